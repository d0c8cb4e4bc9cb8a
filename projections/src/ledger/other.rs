//! Credits, payouts and properties in the ledger.

use chrono::NaiveDate;
use events::{
    CreditEvent, Money, PropertyId, Recorded, ResidentId, StripeAccountEvent, TimeZone, credit::CreditSource,
    stripe_account::PayoutStatus,
};
use serde::{Deserialize, Serialize};

use super::accounts::{About, Account, Draft, Entry};
use crate::model::FoldError;

/// A resident's credit at one property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Credit {
    property: PropertyId,
    resident: ResidentId,
    zone: TimeZone,
    /// What the credit's own stream says is left.
    balance: Money,
}

impl Credit {
    /// The credit after an event, and what the event posts. What an invoice credited was posted with the invoice.
    pub fn post(
        state: Option<Self>,
        zone: Option<TimeZone>,
        event: &Recorded,
    ) -> Result<(Option<Self>, Vec<Entry>), FoldError> {
        let Some(change) = event.event::<CreditEvent>()? else { return Ok((state, vec![])) };
        let (credit, invoice, draft) = match change {
            CreditEvent::CreditAdded { property_id, resident_id, amount, balance, source } => {
                let zone = state.map(|known| known.zone).or(zone).unwrap_or(TimeZone::UTC);
                let credit = Self { property: property_id, resident: resident_id, zone, balance };
                let owed = Account::Credit(resident_id);
                match source {
                    CreditSource::Overpayment { .. } => return Ok((Some(credit), vec![])),
                    CreditSource::Granted { .. } => {
                        (credit, None, Draft::transfer(owed, Account::CreditsGranted, amount))
                    }
                    CreditSource::Returned { invoice_id, .. } => {
                        (credit, Some(invoice_id.0), Draft::transfer(owed, Account::CreditSetAside, amount))
                    }
                }
            }
            CreditEvent::CreditSpent { invoice_id, amount, balance, .. } => {
                let known = state.ok_or(FoldError::Unexpected("credit was spent before there was any"))?;
                let owed = Account::Credit(known.resident);
                let draft = Draft::transfer(Account::CreditSetAside, owed, amount);
                (Self { balance, ..known }, Some(invoice_id.0), draft)
            }
        };
        let about =
            About { property: Some(credit.property.0), resident: Some(credit.resident.0), invoice, ..About::default() };
        let day = credit.zone.day_of(event.recorded_at);
        let entry = Entry { kind: event.event_type.clone(), day, about, postings: draft.balanced()? };
        Ok((Some(credit), vec![entry]))
    }
}

/// The properties that a Stripe account was ever assigned to, up to the second: from then on its payouts are nobody's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Users(Vec<(PropertyId, TimeZone)>);

impl Users {
    pub fn assign(&mut self, property: PropertyId, zone: TimeZone) {
        if self.0.len() < 2 && self.0.iter().all(|(known, _)| *known != property) {
            self.0.push((property, zone));
        }
    }

    fn only(&self) -> Option<(PropertyId, TimeZone)> {
        match self.0.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }
}

/// A payout, and where its money is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Payout {
    amount: Money,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    Available,
    InTransit,
    Bank,
}

impl Place {
    const fn account(self) -> Account {
        match self {
            Self::Available => Account::StripeAvailable,
            Self::InTransit => Account::StripeInTransit,
            Self::Bank => Account::Bank,
        }
    }
}

impl Payout {
    /// The payout after an event, and what the event posts: the way from where the money was to where it is.
    pub fn post(
        state: Option<Self>,
        users: Option<&Users>,
        event: &Recorded,
    ) -> Result<(Option<Self>, Vec<Entry>), FoldError> {
        let Some(StripeAccountEvent::PayoutRecorded { amount, status, arrives_on, .. }) = event.event()? else {
            return Ok((state, vec![]));
        };
        let only = users.and_then(Users::only);
        let today = only.map_or(TimeZone::UTC, |(_, zone)| zone).day_of(event.recorded_at);
        let (place, day): (Place, NaiveDate) = match status {
            PayoutStatus::Pending | PayoutStatus::InTransit => (Place::InTransit, today),
            PayoutStatus::Paid => (Place::Bank, arrives_on),
            PayoutStatus::Canceled | PayoutStatus::Failed => (Place::Available, today),
        };
        let mut draft = Draft::default();
        if let Some(known) = &state {
            let (amount, currency) = (known.amount.amount(), known.amount.currency());
            draft =
                draft.credit(known.place.account(), amount, currency).debit(Account::StripeAvailable, amount, currency);
        }
        draft = draft.debit(place.account(), amount.amount(), amount.currency()).credit(
            Account::StripeAvailable,
            amount.amount(),
            amount.currency(),
        );
        let about = About {
            property: only.map(|(property, _)| property.0),
            stripe_account: Some(event.stream_id),
            ..About::default()
        };
        let entry = Entry { kind: event.event_type.clone(), day, about, postings: draft.balanced()? };
        Ok((Some(Self { amount, place }), vec![entry]))
    }
}
