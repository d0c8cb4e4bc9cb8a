//! One online payment: quoted, requested, submitted, and merged with whatever Stripe reports, in any order.

mod dispute;
mod preview;
mod quote;
mod report;
mod resolve;
mod submission;
mod unattended;

use chrono::{DateTime, Utc};
use events::{
    AutopayId, InvoiceId, Money, PaymentEvent, PaymentId, PropertyId, RefundId, ResidentId, Role, StripeAccountId,
    payment::{BankSummary, CancelReason, CardSummary, FrozenIntent, PaymentMethodKind},
    property::FeeMode,
};

pub use self::{
    dispute::{Dispute, DisputeState, RecordDispute},
    preview::{FailPreview, RecordPreview},
    quote::{QuotePayment, StartPayment},
    report::{IntentDecline, IntentState, RecordIntent, Settlement},
    resolve::{Resolution, ResolvePayment},
    submission::{AbandonPayment, CancelPayment, OffSession, RecordPaymentUnknown, SubmitPayment},
    unattended::StartAutopayPayment,
};
use crate::{Aggregate, Scope, invoice::InvoiceRefusal, refund::Refund};

pub(crate) const PROCESS: &[Role] = &[Role::Process, Role::Provider];

/// Stripe takes at most eight digits.
const STRIPE_MOST: i64 = 99_999_999;
refusals! {
    pub enum PaymentRefusal {
        NotFound = Missing, "there is no such payment";
        NoSuchInvoice = Invalid, "there is no such invoice";
        Invoice { why: InvoiceRefusal } = Conflict, "{why}";
        Amount { why: InvoiceRefusal } = Invalid, "{why}";
        NoStripeAccount = Conflict, "the property takes no online payments; ask the manager for other ways to pay";
        StripeAccountNotReady = Conflict, "the property's Stripe account cannot take payments at the moment; try later or pay by hand";
        QuotedOtherwise = Conflict, "this payment was quoted for something else; ask for a new quote under a new id";
        QuoteExpired = Conflict, "the quote has expired; ask for a new one under a new id";
        NotOpen = Conflict, "the payment is not open any more";
        OfAutopay = Conflict, "autopay makes this payment; cancel autopay to stop what comes after it";
        AlreadyPaid = Conflict, "the payment succeeded; refund it instead";
        BadToken = Invalid, "a confirmation token is Stripe's ctoken_ and letters and digits";
        NeedsToken = Invalid, "what a card costs on top depends on the card: enter it, and quote with Stripe's confirmation token";
        NoPriceYet = Conflict, "the price is being found out; ask again in a moment";
        CannotBePaidWith = Conflict, "the payment cannot be made with what was shown; quote another method under a new id";
        OffSession = Invalid, "a charge by autopay names the method that it is made with, and no other payment does";
        TooMuch = Invalid, "the amount with its fee is larger than a payment can be";
        NotInDoubt = Conflict, "what became of the payment is not in doubt; cancel or refund it instead";
        NeedsIntent = Invalid, "name the payment at Stripe that was charged: pi_ and letters and digits";
        OtherIntent = Conflict, "the report is about another payment at Stripe";
        NothingToRefund = Conflict, "only a payment that succeeded can be refunded";
        NothingToDispute = Conflict, "only a payment that succeeded can be disputed";
        OtherCurrency = Conflict, "the dispute is in another currency than the payment; a person has to book it";
        Disputed = Conflict, "the payer's bank has taken the money back; wait until the dispute is decided";
        BecameCredit { credited: Money, left: Money } = Conflict, "{credited} of the payment became the resident's credit, which settles other invoices; {left} can be given back";
        MoreThanLeft { left: Money } = Invalid, "only {left} is left to refund";
        RefundInFlight = Conflict, "a refund is under way; wait until it is done";
        RefundIdTaken = Conflict, "another refund has this id; use a new one";
    }
}

impl From<events::money::MoneyError> for PaymentRefusal {
    fn from(_: events::money::MoneyError) -> Self {
        Self::TooMuch
    }
}

/// Where the attempt stands.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Phase {
    #[default]
    None,
    /// What was shown is being looked at.
    Previewing,
    /// It cannot be paid with.
    PreviewFailed,
    Quoted,
    Requested,
    /// The intent is committed; an answer may or may not have come.
    Submitting,
    /// Stripe holds the `PaymentIntent`.
    Submitted,
    ActionRequired,
    Processing,
    Succeeded,
    Canceled,
    Quarantined,
}

/// A payment as decisions need it.
#[derive(Debug, Default)]
pub struct Payment {
    pub phase: Phase,
    pub preview: Option<Preview>,
    /// What was shown, and is quoted for: Stripe's `ctoken_…`.
    pub confirmation_token: Option<String>,
    pub quote: Option<Quoted>,
    pub request: Option<FrozenIntent>,
    pub intent: Option<String>,
    pub cancellation: Option<CancelReason>,
    /// The outcome of the call is not known at the moment.
    pub unknown: bool,
    /// Charge and code of each refusal of a card.
    declines: Vec<(Option<String>, String)>,
    pub refunds: Vec<Refund>,
    pub disputes: Vec<Dispute>,
    pub card: Option<CardSummary>,
    pub bank: Option<BankSummary>,
    /// Stripe's `ch_…`.
    pub charge: Option<String>,
    /// What Stripe kept is known.
    pub settled: bool,
    /// A person's word on whether it was charged.
    pub resolved: Option<bool>,
}

/// What a price is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preview {
    pub invoice: InvoiceId,
    pub property: PropertyId,
    pub resident: ResidentId,
    pub account: StripeAccountId,
    pub amount: Money,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    pub invoice: InvoiceId,
    pub property: PropertyId,
    pub resident: ResidentId,
    pub account: StripeAccountId,
    pub amount: Money,
    pub total: Money,
    pub expires_at: DateTime<Utc>,
    pub kind: PaymentMethodKind,
    /// Set when it is autopay that charges.
    pub autopay: Option<AutopayId>,
    /// The price is for what was shown alone: another card may have to bear more, or nothing.
    pub bound: bool,
}

impl Payment {
    pub(crate) fn quoted(&self) -> Result<&Quoted, PaymentRefusal> {
        self.quote.as_ref().ok_or(PaymentRefusal::NotFound)
    }

    /// Which invoice it is for and how much of it, as soon as a price was asked for.
    fn asked(&self) -> Option<(InvoiceId, Money)> {
        let quoted = self.quote.map(|quote| (quote.invoice, quote.amount));
        quoted.or_else(|| self.preview.map(|preview| (preview.invoice, preview.amount)))
    }

    pub fn kind(&self) -> PaymentMethodKind {
        self.quote.map(|quote| quote.kind).unwrap_or_default()
    }

    /// Set when it is autopay that charges.
    pub fn autopay(&self) -> Option<AutopayId> {
        self.quote.and_then(|quote| quote.autopay)
    }

    /// What of it is on the invoice: neither refunded nor taken back by the payer's bank.
    pub(crate) fn on_invoice(&self) -> Result<Money, PaymentRefusal> {
        let quote = self.quoted()?;
        let gone =
            self.refunds.iter().map(Refund::reversed).chain(self.disputes.iter().map(|dispute| dispute.reversed));
        Ok(quote.amount.checked_sub(Money::sum(quote.amount.currency(), gone)?)?)
    }

    /// Whether the invoice's claim is, or may be, held for this payment.
    pub const fn holds_claim(&self) -> bool {
        matches!(
            self.phase,
            Phase::Requested | Phase::Submitting | Phase::Submitted | Phase::ActionRequired | Phase::Processing
        )
    }

    /// The key under which Stripe creates this payment's `PaymentIntent`, once.
    pub fn idempotency_key(invoice: InvoiceId, payment: PaymentId) -> String {
        format!("{invoice}:{payment}")
    }
}

impl Aggregate for Payment {
    type Event = PaymentEvent;
    type Refusal = PaymentRefusal;

    fn evolve(&mut self, event: &PaymentEvent) {
        match event.clone() {
            PaymentEvent::PaymentPreviewRequested {
                invoice_id,
                property_id,
                resident_id,
                stripe_account_id,
                amount,
                confirmation_token,
            } => {
                self.phase = Phase::Previewing;
                self.confirmation_token = Some(confirmation_token);
                self.preview = Some(Preview {
                    invoice: invoice_id,
                    property: property_id,
                    resident: resident_id,
                    account: stripe_account_id,
                    amount,
                });
            }
            PaymentEvent::PaymentPreviewFailed { .. } => self.phase = Phase::PreviewFailed,
            PaymentEvent::PaymentQuoted {
                invoice_id,
                property_id,
                resident_id,
                stripe_account_id,
                method,
                amount,
                total,
                expires_at,
                confirmation_token,
                autopay_id,
                mode,
                ..
            } => {
                self.phase = Phase::Quoted;
                let bound = confirmation_token.is_some() && mode == FeeMode::PassToResident;
                self.confirmation_token = confirmation_token;
                self.quote = Some(Quoted {
                    invoice: invoice_id,
                    property: property_id,
                    resident: resident_id,
                    account: stripe_account_id,
                    amount,
                    total,
                    expires_at,
                    kind: method,
                    autopay: autopay_id,
                    bound,
                });
            }
            PaymentEvent::PaymentRequested { .. } => self.phase = Phase::Requested,
            PaymentEvent::PaymentSubmitting { request } => {
                self.phase = Phase::Submitting;
                self.request = Some(request);
            }
            PaymentEvent::PaymentSubmitted { intent, .. } => {
                // A payment that was given up meanwhile stays given up.
                if self.phase == Phase::Submitting {
                    self.phase = Phase::Submitted;
                }
                self.intent = Some(intent);
                self.unknown = false;
            }
            PaymentEvent::PaymentCancellationRequested { reason } => self.cancellation = Some(reason),
            PaymentEvent::PaymentOutcomeUnknown { .. } => self.unknown = true,
            PaymentEvent::PaymentActionRequired {} => self.phase = Phase::ActionRequired,
            PaymentEvent::PaymentDeclined { code, charge, .. } => {
                self.phase = Phase::Submitted;
                self.declines.push((charge, code));
            }
            PaymentEvent::PaymentProcessing { .. } => {
                self.phase = Phase::Processing;
                // Stripe does not cancel what is processing; should it fail, it can be given up anew.
                self.cancellation = None;
            }
            PaymentEvent::PaymentSucceeded { card, bank, charge, .. } => {
                self.phase = Phase::Succeeded;
                self.card = card;
                self.bank = bank;
                self.charge = charge;
            }
            PaymentEvent::PaymentSettled { .. } => self.settled = true,
            PaymentEvent::PaymentDisputed { dispute, amount, reversed, .. } => {
                self.disputes.push(Dispute { id: dispute, amount, reversed, state: DisputeState::Open });
            }
            PaymentEvent::PaymentDisputeClosed { dispute, won, reversed, .. } => {
                if let Some(known) = self.disputes.iter_mut().find(|known| known.id == dispute) {
                    known.close(won, reversed);
                }
            }
            PaymentEvent::PaymentCanceled { .. } => {
                self.phase = Phase::Canceled;
                self.unknown = false;
            }
            PaymentEvent::PaymentQuarantined { .. } => self.phase = Phase::Quarantined,
            PaymentEvent::PaymentResolved { charged, .. } => self.resolved = Some(charged),
            PaymentEvent::RefundRequested { .. }
            | PaymentEvent::RefundSubmitting { .. }
            | PaymentEvent::RefundOutcomeUnknown { .. }
            | PaymentEvent::RefundSucceeded { .. }
            | PaymentEvent::RefundFailed { .. }
            | PaymentEvent::RefundReturned { .. } => Refund::evolve(&mut self.refunds, event),
        }
    }

    fn scope(&self) -> Scope {
        let quoted = self.quote.map(|quote| (quote.property, quote.resident));
        let asked = quoted.or_else(|| self.preview.map(|preview| (preview.property, preview.resident)));
        asked.map(|(property, resident)| Scope::property(property).and_resident(resident)).unwrap_or_default()
    }
}

/// Names a refund of this payment for Stripe, once.
pub(crate) fn refund_key(refund: RefundId) -> String {
    format!("refund:{refund}")
}

#[cfg(test)]
mod tests;
