//! An invoice in the ledger: what its resident owes.

use events::{
    InvoiceEvent, Money, PaymentId, PropertyId, Recorded, ResidentId, TimeZone, UnitId,
    invoice::{OfflineMethod, PaymentSource, ReversalReason},
};
use serde::{Deserialize, Serialize};

use super::accounts::{About, Account, Draft, Entry};
use crate::model::FoldError;

/// An invoice as later entries need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Invoice {
    property: PropertyId,
    unit: UnitId,
    resident: ResidentId,
    zone: TimeZone,
    total: Money,
    published: bool,
    /// Minor units that are not expected any more.
    pub written_off: i64,
    /// Payments by hand, and how they came.
    by_hand: Vec<(PaymentId, OfflineMethod)>,
    /// Bank debits that came back for good.
    returned: Vec<String>,
}

impl Invoice {
    /// The invoice after an event, and what the event posts.
    pub fn post(state: Option<Self>, event: &Recorded) -> Result<(Option<Self>, Vec<Entry>), FoldError> {
        let Some(change) = event.event::<InvoiceEvent>()? else { return Ok((state, vec![])) };
        if let InvoiceEvent::InvoiceDrafted { property_id, unit_id, resident_id, total, time_zone, .. } = change {
            let drafted = Self {
                property: property_id,
                unit: unit_id,
                resident: resident_id,
                zone: time_zone,
                total,
                published: false,
                written_off: 0,
                by_hand: vec![],
                returned: vec![],
            };
            return Ok((Some(drafted), vec![]));
        }
        let mut invoice = state.ok_or(FoldError::Unexpected("an invoice's event without its draft"))?;
        let entry = invoice.change(change, event)?;
        Ok((Some(invoice), entry.into_iter().collect()))
    }

    fn change(&mut self, change: InvoiceEvent, event: &Recorded) -> Result<Option<Entry>, FoldError> {
        let (owed, currency) = (Account::Receivable(self.resident), self.total.currency());
        let mut day = self.zone.day_of(event.recorded_at);
        let mut payment = None;
        let postings = match change {
            InvoiceEvent::InvoiceDrafted { .. } => return Err(FoldError::Unexpected("drafted twice")),
            InvoiceEvent::InvoiceDiscarded {}
            | InvoiceEvent::PaymentReserved { .. }
            | InvoiceEvent::PaymentReleased { .. } => return Ok(None),
            InvoiceEvent::InvoicePublished { .. } => {
                self.published = true;
                Draft::transfer(Account::Assessments, owed, self.total)
            }
            InvoiceEvent::InvoiceEdited { total, .. } => {
                let more = total.checked_sub(self.total)?;
                self.total = total;
                if !self.published {
                    return Ok(None);
                }
                Draft::transfer(Account::Assessments, owed, more)
            }
            InvoiceEvent::InvoiceVoided { .. } => {
                let (total, written_off) = (self.total.amount(), std::mem::take(&mut self.written_off));
                Draft::default()
                    .debit(Account::Assessments, total, currency)
                    .credit(Account::WriteOffs, written_off, currency)
                    .credit(owed, total - written_off, currency)
            }
            InvoiceEvent::PaymentApplied { payment_id, amount, source, .. } => {
                payment = Some(payment_id);
                let to = match source {
                    PaymentSource::Online | PaymentSource::Autopay { .. } => Account::Unapplied,
                    PaymentSource::Offline { method, received_on, .. } => {
                        day = received_on;
                        self.by_hand.push((payment_id, method));
                        Account::Undeposited(method)
                    }
                };
                Draft::transfer(owed, to, amount)
            }
            InvoiceEvent::PaymentReversed { payment_id, amount, reason, .. } => {
                payment = Some(payment_id);
                let from = match reason {
                    ReversalReason::Refund { .. } => Account::Unapplied,
                    ReversalReason::Return { dispute, .. } => {
                        self.returned.push(dispute);
                        Account::Unapplied
                    }
                    ReversalReason::Dispute { .. } => Account::DisputedInvoices,
                    ReversalReason::OfflineCorrection { .. } => {
                        let known = self.by_hand.iter().find(|(id, _)| *id == payment_id);
                        let (_, method) = known.ok_or(FoldError::Unexpected("taken back before it was recorded"))?;
                        Account::Undeposited(*method)
                    }
                };
                Draft::transfer(from, owed, amount)
            }
            InvoiceEvent::PaymentReinstated { payment_id, amount, dispute, .. } => {
                payment = Some(payment_id);
                let returned = self.returned.contains(&dispute);
                let to = if returned { Account::Unapplied } else { Account::DisputedInvoices };
                Draft::transfer(owed, to, amount)
            }
            InvoiceEvent::RefundUndone { payment_id, amount, .. } => {
                payment = Some(payment_id);
                Draft::transfer(owed, Account::Unapplied, amount)
            }
            InvoiceEvent::OverpaymentCredited { resident_id, payment_id, amount, .. } => {
                payment = Some(payment_id);
                Draft::transfer(Account::Credit(resident_id), owed, amount)
            }
            InvoiceEvent::CreditApplied { amount, .. } => Draft::transfer(owed, Account::CreditSetAside, amount),
            InvoiceEvent::InvoiceWrittenOff { amount, .. } => {
                self.written_off += amount.amount();
                Draft::transfer(owed, Account::WriteOffs, amount)
            }
            InvoiceEvent::WriteOffUndone {} => {
                let back = Money::try_new(std::mem::take(&mut self.written_off), currency)?;
                Draft::transfer(Account::WriteOffs, owed, back)
            }
        };
        let about = About {
            property: Some(self.property.0),
            unit: Some(self.unit.0),
            resident: Some(self.resident.0),
            invoice: Some(event.stream_id),
            payment: payment.map(|payment| payment.0),
            stripe_account: None,
        };
        Ok(Some(Entry { kind: event.event_type.clone(), day, about, postings: postings.balanced()? }))
    }
}
