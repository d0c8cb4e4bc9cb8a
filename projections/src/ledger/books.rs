//! The books: what each stream's next entry needs to know, and the entries that events make.

use std::collections::{BTreeSet, HashMap};

use events::{CreditEvent, Event, InvoiceEvent, PaymentEvent, PropertyEvent, Recorded, StripeAccountEvent, TimeZone};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    accounts::Entry,
    invoice::Invoice,
    other::{Credit, Payout, Users},
    payment::Payment,
};
use crate::{apply::Key, model::FoldError};

/// What is kept of a stream, or of a part of it, between its entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    Property(TimeZone),
    Account(Users),
    Invoice(Invoice),
    Payment(Payment),
    Credit(Credit),
    Payout(Payout),
}

/// The key of what is kept under a name of a stream.
fn kept(stream: Uuid, name: &str) -> Uuid {
    Uuid::new_v5(&stream, format!("ledger/{name}").as_bytes())
}

/// What an event changes first, and what it looks at besides. Nothing: the event moves no money.
pub(super) fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
    let id = event.stream_id;
    let field = |name: &str| {
        let value = event.payload.get(&event.event_type)?.get(name)?.as_str()?;
        Some(value)
    };
    let uuid = |name: &str| -> Option<Uuid> { field(name)?.parse().ok() };
    let missing = FoldError::Unexpected("an event does not say what it is about");
    Ok(match (&*event.stream, &*event.event_type) {
        (
            InvoiceEvent::STREAM,
            "InvoiceDrafted"
            | "InvoiceEdited"
            | "InvoicePublished"
            | "InvoiceVoided"
            | "PaymentApplied"
            | "PaymentReversed"
            | "PaymentReinstated"
            | "RefundUndone"
            | "OverpaymentCredited"
            | "CreditApplied"
            | "InvoiceWrittenOff"
            | "WriteOffUndone",
        ) => vec![kept(id, "invoice")],
        (PaymentEvent::STREAM, "PaymentQuoted") => {
            vec![kept(id, "payment"), kept(uuid("property_id").ok_or(missing)?, "property")]
        }
        (
            PaymentEvent::STREAM,
            "PaymentSucceeded"
            | "PaymentSettled"
            | "PaymentDisputed"
            | "PaymentDisputeClosed"
            | "RefundSucceeded"
            | "RefundReturned",
        ) => vec![kept(id, "payment")],
        (CreditEvent::STREAM, "CreditAdded") => {
            vec![kept(id, "credit"), kept(uuid("property_id").ok_or(missing)?, "property")]
        }
        (CreditEvent::STREAM, "CreditSpent") => vec![kept(id, "credit")],
        (PropertyEvent::STREAM, "PropertyAdded") => vec![kept(id, "property")],
        (PropertyEvent::STREAM, "StripeAccountAssigned") => {
            vec![kept(uuid("stripe_account_id").ok_or(missing)?, "account"), kept(id, "property")]
        }
        (StripeAccountEvent::STREAM, "PayoutRecorded") => {
            vec![kept(id, &format!("payout/{}", field("payout").ok_or(missing)?)), kept(id, "account")]
        }
        _ => vec![],
    })
}

/// The books of some streams, in memory.
#[derive(Debug, Default)]
pub(super) struct Books {
    states: HashMap<Key, State>,
    /// What has to be written.
    pub touched: BTreeSet<Key>,
}

impl Books {
    pub fn know(&mut self, key: Key, state: State) {
        self.states.insert(key, state);
    }

    pub fn state(&self, key: Key) -> Option<&State> {
        self.states.get(&key)
    }

    /// What the event means, with `keys` as [`keys`] gave them. After an error the books are as before.
    pub fn post(&mut self, event: &Recorded, keys: &[Uuid]) -> Result<Vec<Entry>, FoldError> {
        let Some(first) = keys.first() else { return Ok(vec![]) };
        let place = (event.organization.0, *first);
        let own = self.states.get(&place).cloned();
        let beside = keys.get(1).and_then(|second| self.states.get(&(event.organization.0, *second)));
        let zone = match beside {
            Some(State::Property(zone)) => Some(*zone),
            _ => None,
        };
        let (state, entries) = match &*event.stream {
            InvoiceEvent::STREAM => {
                let (state, entries) = Invoice::post(of(own, State::invoice)?, event)?;
                (state.map(State::Invoice), entries)
            }
            PaymentEvent::STREAM => {
                let (state, entries) = Payment::post(of(own, State::payment)?, zone, event)?;
                (state.map(State::Payment), entries)
            }
            CreditEvent::STREAM => {
                let (state, entries) = Credit::post(of(own, State::credit)?, zone, event)?;
                (state.map(State::Credit), entries)
            }
            StripeAccountEvent::STREAM => {
                let users = match beside {
                    Some(State::Account(users)) => Some(users),
                    _ => None,
                };
                let (state, entries) = Payout::post(of(own, State::payout)?, users, event)?;
                (state.map(State::Payout), entries)
            }
            _ => (Self::property(own, zone, event)?, vec![]),
        };
        if let Some(state) = state {
            self.states.insert(place, state);
            self.touched.insert(place);
        }
        Ok(entries.into_iter().filter(|entry| !entry.postings.is_empty()).collect())
    }

    fn property(own: Option<State>, zone: Option<TimeZone>, event: &Recorded) -> Result<Option<State>, FoldError> {
        Ok(match event.event::<PropertyEvent>()? {
            Some(PropertyEvent::PropertyAdded { time_zone, .. }) => Some(State::Property(time_zone)),
            Some(PropertyEvent::StripeAccountAssigned { .. }) => {
                let mut users = of(own, State::account)?.unwrap_or_default();
                users.assign(events::PropertyId(event.stream_id), zone.unwrap_or(TimeZone::UTC));
                Some(State::Account(users))
            }
            _ => own,
        })
    }
}

fn of<T>(state: Option<State>, read: fn(State) -> Option<T>) -> Result<Option<T>, FoldError> {
    match state {
        None => Ok(None),
        Some(state) => {
            read(state).map(Some).ok_or(FoldError::Unexpected("the ledger keeps something else under this key"))
        }
    }
}

impl State {
    fn invoice(self) -> Option<Invoice> {
        if let Self::Invoice(state) = self { Some(state) } else { None }
    }

    fn payment(self) -> Option<Payment> {
        if let Self::Payment(state) = self { Some(state) } else { None }
    }

    fn credit(self) -> Option<Credit> {
        if let Self::Credit(state) = self { Some(state) } else { None }
    }

    fn payout(self) -> Option<Payout> {
        if let Self::Payout(state) = self { Some(state) } else { None }
    }

    fn account(self) -> Option<Users> {
        if let Self::Account(state) = self { Some(state) } else { None }
    }
}
