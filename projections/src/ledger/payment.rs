//! An online payment in the ledger: what is at Stripe, what Stripe kept, what went back.

use chrono::NaiveDate;
use events::{InvoiceId, Money, PaymentEvent, PropertyId, Recorded, ResidentId, StripeAccountId, TimeZone};
use serde::{Deserialize, Serialize};

use super::accounts::{About, Account, Draft, Entry};
use crate::model::FoldError;

/// A payment as later entries need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Payment {
    invoice: InvoiceId,
    property: PropertyId,
    resident: ResidentId,
    account: StripeAccountId,
    zone: TimeZone,
    /// Fee included.
    total: Money,
    /// What of this payment is pending at Stripe.
    pending: i64,
    /// Charged on top, and neither given back nor compared with what Stripe kept.
    fee_held: i64,
    settled: bool,
    disputes: Vec<Dispute>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Dispute {
    id: String,
    amount: Money,
    reversed: Money,
    returned: bool,
    closed: bool,
}

/// Postings with the name and day under which they are entered.
type Fact = (Option<&'static str>, NaiveDate, Draft);

impl Payment {
    /// The payment after an event, and what the event posts. The zone is that of the property that a quote names.
    pub fn post(
        state: Option<Self>,
        zone: Option<TimeZone>,
        event: &Recorded,
    ) -> Result<(Option<Self>, Vec<Entry>), FoldError> {
        let Some(change) = event.event::<PaymentEvent>()? else { return Ok((state, vec![])) };
        if let PaymentEvent::PaymentQuoted { invoice_id, property_id, resident_id, stripe_account_id, total, .. } =
            change
        {
            let quoted = Self {
                invoice: invoice_id,
                property: property_id,
                resident: resident_id,
                account: stripe_account_id,
                zone: zone.unwrap_or(TimeZone::UTC),
                total,
                pending: 0,
                fee_held: 0,
                settled: false,
                disputes: vec![],
            };
            return Ok((Some(quoted), vec![]));
        }
        let mut payment = state.ok_or(FoldError::Unexpected("a payment's event without its quote"))?;
        let facts = payment.change(change, event)?;
        let about = About {
            property: Some(payment.property.0),
            unit: None,
            resident: Some(payment.resident.0),
            invoice: Some(payment.invoice.0),
            payment: Some(event.stream_id),
            stripe_account: Some(payment.account.0),
        };
        let entries = facts.into_iter().map(|(name, day, draft)| {
            let kind = name.unwrap_or(&event.event_type).to_owned();
            Ok(Entry { kind, day, about, postings: draft.balanced()? })
        });
        let entries = entries.collect::<Result<_, FoldError>>()?;
        Ok((Some(payment), entries))
    }

    fn change(&mut self, change: PaymentEvent, event: &Recorded) -> Result<Vec<Fact>, FoldError> {
        let day = self.zone.day_of(event.recorded_at);
        let draft = match change {
            PaymentEvent::PaymentQuoted { .. } => return Err(FoldError::Unexpected("quoted twice")),
            PaymentEvent::PaymentPreviewRequested { .. }
            | PaymentEvent::PaymentPreviewFailed { .. }
            | PaymentEvent::PaymentRequested { .. }
            | PaymentEvent::PaymentSubmitting { .. }
            | PaymentEvent::PaymentSubmitted { .. }
            | PaymentEvent::PaymentCancellationRequested { .. }
            | PaymentEvent::PaymentOutcomeUnknown { .. }
            | PaymentEvent::PaymentActionRequired {}
            | PaymentEvent::PaymentDeclined { .. }
            | PaymentEvent::PaymentProcessing { .. }
            | PaymentEvent::PaymentCanceled { .. }
            | PaymentEvent::PaymentQuarantined { .. }
            | PaymentEvent::PaymentResolved { .. }
            | PaymentEvent::RefundRequested { .. }
            | PaymentEvent::RefundSubmitting { .. }
            | PaymentEvent::RefundOutcomeUnknown { .. }
            | PaymentEvent::RefundFailed { .. } => return Ok(vec![]),
            PaymentEvent::PaymentSucceeded { amount, .. } => {
                let fee = self.total.checked_sub(amount)?.amount();
                self.pending += self.total.amount();
                self.fee_held += fee;
                Draft::transfer(Account::Unapplied, Account::StripePending, amount)
                    .debit(Account::StripePending, fee, amount.currency())
                    .credit(Account::FeesHeld, fee, amount.currency())
            }
            PaymentEvent::PaymentSettled { fee, net, available_at, .. } => {
                // What is learnt late is entered when it is learnt.
                let available = available_at.map_or(day, |at| self.zone.day_of(at).max(day));
                return Ok(self.settle(fee, net, day, available));
            }
            PaymentEvent::RefundSucceeded { amount, reversed, .. } => {
                let given = self.take(amount).debit(Account::Unapplied, reversed.amount(), amount.currency());
                self.bear(given, amount.checked_sub(reversed)?)
            }
            PaymentEvent::RefundReturned { amount, reversed, .. } => {
                if !self.settled {
                    self.pending += amount.amount();
                }
                let beyond = amount.checked_sub(reversed)?;
                Draft::default()
                    .debit(self.place(), amount.amount(), amount.currency())
                    .credit(Account::Unapplied, reversed.amount(), amount.currency())
                    .credit(Account::FeeDifference, beyond.amount(), beyond.currency())
            }
            PaymentEvent::PaymentDisputed { dispute, amount, reversed, returned, .. } => {
                self.disputes.push(Dispute { id: dispute, amount, reversed, returned, closed: false });
                let taken = self.take(amount);
                if returned {
                    let taken = taken.debit(Account::Unapplied, reversed.amount(), amount.currency());
                    self.bear(taken, amount.checked_sub(reversed)?)
                } else {
                    taken.debit(Account::Disputed, amount.amount(), amount.currency())
                }
            }
            PaymentEvent::PaymentDisputeClosed { dispute, won, reversed, .. } => match self.close(&dispute)? {
                Some(dispute) => self.decided(&dispute, won, reversed)?,
                None => return Ok(vec![]),
            },
        };
        Ok(vec![(None, day, draft)])
    }

    /// Stripe keeps its fee; the rest is available from the day that Stripe names.
    fn settle(&mut self, fee: Money, net: Money, day: NaiveDate, available: NaiveDate) -> Vec<Fact> {
        let charged = self.total.currency();
        let kept = Draft::default().debit(Account::StripeFees, fee.amount(), fee.currency());
        let (held, pending) = (std::mem::take(&mut self.fee_held), std::mem::take(&mut self.pending));
        self.settled = true;
        let (kept, rest) = if fee.currency() == charged {
            // What was charged on top is income as far as Stripe kept it; the difference is a line of its own.
            let passed_on = if held == 0 { 0 } else { fee.amount() };
            let kept = kept
                .credit(Account::StripePending, fee.amount(), charged)
                .debit(Account::FeesHeld, held, charged)
                .credit(Account::FeesPassedOn, passed_on, charged)
                .credit(Account::FeeDifference, held - passed_on, charged);
            (kept, (pending - fee.amount(), charged))
        } else {
            // Stripe converted it: the two currencies meet in an account of their own, and fees cannot be compared.
            let kept = kept
                .credit(Account::StripePending, pending, charged)
                .debit(Account::Conversion, pending, charged)
                .credit(Account::Conversion, fee.amount() + net.amount(), fee.currency())
                .debit(Account::StripePending, net.amount(), fee.currency())
                .debit(Account::FeesHeld, held, charged)
                .credit(Account::FeesPassedOn, held, charged);
            (kept, (net.amount(), fee.currency()))
        };
        let (rest, currency) = rest;
        let moved = Draft::default().debit(Account::StripeAvailable, rest, currency);
        vec![
            (None, day, kept),
            (Some("FundsAvailable"), available, moved.credit(Account::StripePending, rest, currency)),
        ]
    }

    /// Where this payment's money is: what goes back comes out of it.
    const fn place(&self) -> Account {
        if self.settled { Account::StripeAvailable } else { Account::StripePending }
    }

    fn take(&mut self, amount: Money) -> Draft {
        if !self.settled {
            self.pending -= amount.amount();
        }
        Draft::default().credit(self.place(), amount.amount(), amount.currency())
    }

    /// What went back beyond the invoice's part: out of what was charged on top, or else a loss.
    fn bear(&mut self, draft: Draft, beyond: Money) -> Draft {
        let held = beyond.amount().clamp(0, self.fee_held.max(0));
        self.fee_held -= held;
        draft.debit(Account::FeesHeld, held, beyond.currency()).debit(
            Account::FeeDifference,
            beyond.amount() - held,
            beyond.currency(),
        )
    }

    /// Closes a dispute once.
    fn close(&mut self, id: &str) -> Result<Option<Dispute>, FoldError> {
        let known = self.disputes.iter_mut().find(|dispute| dispute.id == id);
        let known = known.ok_or(FoldError::Unexpected("a dispute was decided before it began"))?;
        Ok((!std::mem::replace(&mut known.closed, true)).then(|| known.clone()))
    }

    fn decided(&mut self, dispute: &Dispute, won: bool, back_to_invoice: Money) -> Result<Draft, FoldError> {
        let Dispute { amount, reversed, returned, .. } = *dispute;
        let currency = amount.currency();
        let beyond = amount.checked_sub(reversed)?;
        Ok(match (won, returned) {
            (true, returned) => {
                if !self.settled {
                    self.pending += amount.amount();
                }
                let back = Draft::default().debit(self.place(), amount.amount(), currency);
                // What a refund took meanwhile, which found nothing on the invoice, stays off it: the loss that it was is none.
                let kept = reversed.checked_sub(back_to_invoice)?.amount();
                if returned {
                    back.credit(Account::Unapplied, back_to_invoice.amount(), currency).credit(
                        Account::FeeDifference,
                        beyond.amount() + kept,
                        currency,
                    )
                } else {
                    back.credit(Account::Disputed, amount.amount(), currency)
                        .debit(Account::DisputedInvoices, kept, currency)
                        .credit(Account::FeeDifference, kept, currency)
                }
            }
            // It was taken for good already.
            (false, true) => Draft::default(),
            (false, false) => {
                let lost = Draft::default().credit(Account::Disputed, amount.amount(), currency).debit(
                    Account::DisputedInvoices,
                    reversed.amount(),
                    currency,
                );
                self.bear(lost, beyond)
            }
        })
    }
}
