//! What each event of a payment changes in its row.

use events::{
    Money, PaymentEvent, Recorded, RefundId,
    invoice::ReversalReason,
    payment::{BankSummary, CancelReason, CardSummary, PaymentMethodKind},
};
use uuid::Uuid;

use super::{PaymentRow, RefundItem};
use crate::{model::FoldError, text::word};

impl PaymentRow {
    pub(super) fn new(key: Uuid, event: &Recorded) -> Self {
        Self {
            row_id: key,
            payment_id: key,
            organization_id: event.organization.0,
            invoice_id: Uuid::nil(),
            property_id: None,
            resident_id: Uuid::nil(),
            kind: "Online".to_owned(),
            phase: "Quoted".to_owned(),
            status: "Pending".to_owned(),
            amount: 0,
            fee: 0,
            total: 0,
            refunded: 0,
            reversed: 0,
            currency: String::new(),
            method: "Card".to_owned(),
            method_kind: None,
            funding: None,
            waiver: None,
            autopay_id: None,
            card_brand: None,
            card_last4: None,
            bank_name: None,
            bank_last4: None,
            reference: None,
            received_on: None,
            failure_code: None,
            decline_code: None,
            cancellation: None,
            intent: None,
            stripe_account_id: None,
            client_secret: None,
            unresolved: false,
            quoted_at: None,
            requested_at: None,
            succeeded_at: None,
            ended_at: None,
            expires_at: None,
            refunds: vec![],
            settled_currency: None,
            processor_fee: None,
            settled_net: None,
            available_at: None,
            balance_transaction: None,
            dispute: None,
            dispute_status: None,
            dispute_reason: None,
            disputed: 0,
            dispute_reversed: 0,
            disputed_at: None,
            dispute_closed_at: None,
            version: 0,
        }
    }

    fn ended(&self) -> bool {
        matches!(&*self.phase, "Succeeded" | "Canceled" | "Quarantined" | "PreviewFailed")
    }

    /// Goes on to another phase unless the money is already where it will be.
    fn go(&mut self, phase: &str) {
        if !self.ended() {
            phase.clone_into(&mut self.phase);
        }
    }

    pub(super) fn change(&mut self, change: PaymentEvent, event: &Recorded) -> Result<(), FoldError> {
        match change {
            PaymentEvent::PaymentPreviewRequested {
                invoice_id,
                property_id,
                resident_id,
                stripe_account_id,
                amount,
                ..
            } => {
                self.go("Previewing");
                self.invoice_id = invoice_id.0;
                self.property_id = Some(property_id.0);
                self.resident_id = resident_id.0;
                self.stripe_account_id = Some(stripe_account_id.0);
                self.amount = amount.amount();
                self.total = amount.amount();
                amount.currency().code().clone_into(&mut self.currency);
            }
            PaymentEvent::PaymentPreviewFailed { code } => {
                self.go("PreviewFailed");
                self.failure_code = Some(code);
                self.ended_at = Some(event.recorded_at);
            }
            PaymentEvent::PaymentQuoted {
                invoice_id,
                property_id,
                resident_id,
                stripe_account_id,
                method,
                amount,
                fee,
                total,
                expires_at,
                funding,
                waiver,
                autopay_id,
                ..
            } => {
                self.go("Quoted");
                self.invoice_id = invoice_id.0;
                self.property_id = Some(property_id.0);
                self.resident_id = resident_id.0;
                self.stripe_account_id = Some(stripe_account_id.0);
                self.amount = amount.amount();
                self.fee = fee.amount();
                self.total = total.amount();
                amount.currency().code().clone_into(&mut self.currency);
                self.quoted_at = Some(event.recorded_at);
                self.expires_at = Some(expires_at);
                match method {
                    PaymentMethodKind::Card => "Card",
                    PaymentMethodKind::BankDebit => "Bank",
                }
                .clone_into(&mut self.method);
                self.method_kind = Some(word(&method)?);
                self.funding = funding;
                self.waiver = waiver.map(serde_json::to_value).transpose()?;
                self.autopay_id = autopay_id.map(|id| id.0);
            }
            PaymentEvent::PaymentRequested { .. } => {
                self.go("Pending");
                self.requested_at = Some(event.recorded_at);
            }
            PaymentEvent::PaymentSubmitting { .. } => self.go("Pending"),
            PaymentEvent::PaymentSubmitted { intent, client_secret } => {
                self.go("Pending");
                self.intent = Some(intent);
                self.client_secret = client_secret.into_value();
            }
            PaymentEvent::PaymentCancellationRequested { reason } => {
                self.cancellation = Some(serde_json::to_value(reason)?);
            }
            PaymentEvent::PaymentOutcomeUnknown { .. } => self.go("Unknown"),
            PaymentEvent::PaymentActionRequired {} => self.go("ActionRequired"),
            PaymentEvent::PaymentDeclined { code, decline_code, .. } => {
                self.go("Declined");
                self.failure_code = Some(code);
                self.decline_code = decline_code;
            }
            PaymentEvent::PaymentProcessing { bank } => {
                self.go("Processing");
                if let Some(bank) = bank {
                    self.debited(bank);
                }
            }
            PaymentEvent::PaymentSucceeded { card, bank, .. } => {
                "Succeeded".clone_into(&mut self.phase);
                self.succeeded_at = Some(event.recorded_at);
                self.failure_code = None;
                self.decline_code = None;
                self.cancellation = None;
                if let Some(card) = card {
                    self.paid_with(card);
                }
                if let Some(bank) = bank {
                    self.debited(bank);
                }
            }
            PaymentEvent::PaymentCanceled { reason, .. } => {
                self.go("Canceled");
                self.ended_at = Some(event.recorded_at);
                if let CancelReason::Rejected { code } = &reason {
                    self.failure_code = Some(code.clone());
                }
                self.cancellation = Some(serde_json::to_value(reason)?);
            }
            PaymentEvent::PaymentSettled { balance_transaction, fee, net, available_at, .. } => {
                self.settled_currency = Some(net.currency().code().to_owned());
                self.processor_fee = Some(fee.amount());
                self.settled_net = Some(net.amount());
                self.available_at = available_at;
                self.balance_transaction = Some(balance_transaction);
            }
            PaymentEvent::PaymentDisputed { dispute, amount, reversed, reason, returned, .. } => {
                self.dispute = Some(dispute);
                self.dispute_status = Some(if returned { "Returned" } else { "Open" }.to_owned());
                self.dispute_reason = Some(reason);
                self.disputed = amount.amount();
                self.dispute_reversed += reversed.amount();
                self.reversed += reversed.amount();
                self.disputed_at = Some(event.recorded_at);
                self.dispute_closed_at = returned.then_some(event.recorded_at);
            }
            PaymentEvent::PaymentDisputeClosed { dispute, won, reversed, .. } => {
                self.dispute = Some(dispute);
                self.dispute_status = Some(if won { "Won" } else { "Lost" }.to_owned());
                self.dispute_closed_at = Some(event.recorded_at);
                if won {
                    self.dispute_reversed -= reversed.amount();
                    self.reversed -= reversed.amount();
                }
            }
            PaymentEvent::PaymentQuarantined { .. } => {
                "Quarantined".clone_into(&mut self.phase);
                self.ended_at = Some(event.recorded_at);
            }
            // What follows from it is told by the next event.
            PaymentEvent::PaymentResolved { .. } => {}
            PaymentEvent::RefundRequested { refund_id, amount, note } => self.refunds.push(RefundItem {
                refund_id: refund_id.0,
                status: "Pending".to_owned(),
                amount: amount.amount(),
                reversed: 0,
                code: None,
                note: note.map(Into::into),
                requested_at: event.recorded_at,
                settled_at: None,
            }),
            PaymentEvent::RefundSubmitting { refund_id, .. } => {
                "Pending".clone_into(&mut self.refund(refund_id)?.status);
            }
            PaymentEvent::RefundOutcomeUnknown { refund_id, .. } => {
                "Unknown".clone_into(&mut self.refund(refund_id)?.status);
            }
            PaymentEvent::RefundSucceeded { refund_id, amount, reversed, .. } => {
                let refund = self.refund(refund_id)?;
                "Succeeded".clone_into(&mut refund.status);
                // A failure that was inferred, and was none.
                refund.code = None;
                refund.amount = amount.amount();
                refund.reversed = reversed.amount();
                refund.settled_at = Some(event.recorded_at);
                self.refunded += amount.amount();
                self.reversed += reversed.amount();
            }
            PaymentEvent::RefundReturned { refund_id, amount, reversed, code, .. } => {
                let refund = self.refund(refund_id)?;
                "Failed".clone_into(&mut refund.status);
                refund.code = Some(code);
                refund.reversed = 0;
                refund.settled_at = Some(event.recorded_at);
                self.refunded -= amount.amount();
                self.reversed -= reversed.amount();
            }
            PaymentEvent::RefundFailed { refund_id, code, .. } => {
                let refund = self.refund(refund_id)?;
                "Failed".clone_into(&mut refund.status);
                refund.code = Some(code);
                refund.settled_at = Some(event.recorded_at);
            }
        }
        Ok(())
    }

    fn refund(&mut self, id: RefundId) -> Result<&mut RefundItem, FoldError> {
        self.refunds
            .iter_mut()
            .find(|refund| refund.refund_id == id.0)
            .ok_or(FoldError::Unexpected("a refund that nobody asked for"))
    }

    fn paid_with(&mut self, card: CardSummary) {
        "Card".clone_into(&mut self.method);
        self.funding = Some(card.funding);
        self.card_brand = Some(card.brand);
        self.card_last4 = Some(card.last4);
    }

    fn debited(&mut self, bank: BankSummary) {
        "Bank".clone_into(&mut self.method);
        self.bank_name = bank.bank_name;
        self.bank_last4 = Some(bank.last4);
    }

    pub(super) fn take_back(&mut self, amount: Money, reason: ReversalReason, event: &Recorded) {
        self.reversed += amount.amount();
        if self.reversed >= self.amount {
            self.ended_at = Some(event.recorded_at);
        }
        if let ReversalReason::OfflineCorrection { note } = reason {
            self.cancellation = Some(serde_json::json!({ "OfflineCorrection": { "note": note.as_str() } }));
        }
    }

    /// What follows from the rest.
    pub(super) fn settle(&mut self) {
        if self.ended() {
            self.client_secret = None;
        }
        let unknown_refund = self.refunds.iter().any(|refund| refund.status == "Unknown");
        self.unresolved = unknown_refund || matches!(&*self.phase, "Unknown" | "Quarantined");
        let taken_back = self.dispute_reversed > 0 && self.dispute_reversed >= self.amount;
        let status = match &*self.phase {
            "Succeeded" if taken_back && self.dispute_status.as_deref() == Some("Open") => "Pending",
            "Succeeded" if taken_back => "Failed",
            "Succeeded" if self.refunded > 0 && self.refunded >= self.total => "Refunded",
            // Recorded by hand and taken back whole: there was no money, or not this much.
            "Succeeded" if self.kind == "Offline" && self.reversed >= self.amount => "Failed",
            "Succeeded" => "Succeeded",
            "Declined" | "Canceled" | "PreviewFailed" => "Failed",
            _ => "Pending",
        };
        status.clone_into(&mut self.status);
    }
}
