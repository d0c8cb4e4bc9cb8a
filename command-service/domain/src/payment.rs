//! One online payment: quoted, requested, submitted, and merged with whatever Stripe reports, in any order.

use chrono::{DateTime, TimeDelta, Utc};
use events::{
    InvoiceId, Money, OrganizationId, PaymentEvent, PaymentId, PropertyId, Purpose, RefundId, ResidentId, Role, Sealed,
    StripeAccountId,
    payment::{CancelReason, CardSummary, FrozenIntent, PaymentMethodKind, UnknownCause},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Aggregate, Command, Context, Decision, Facts, Kind, Need, Refuse, Scope, fees,
    invoice::{Invoice, InvoiceRefusal},
    refund::Refund,
};

pub(crate) const PROCESS: &[Role] = &[Role::Process, Role::Provider];

/// Stripe takes at most eight digits.
const STRIPE_MOST: i64 = 99_999_999;
/// How long a quoted price holds.
const QUOTE_HOLDS: TimeDelta = TimeDelta::minutes(30);

/// Tells what paying an invoice by card would cost, before paying.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotePayment {
    pub payment_id: PaymentId,
    pub invoice_id: InvoiceId,
    /// From 1.00 up to the balance; the whole balance by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// Goes on to pay at the quoted price; the client secret for Stripe's form follows within a moment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartPayment {
    pub payment_id: PaymentId,
}

/// Gives an unfinished payment up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelPayment {
    pub payment_id: PaymentId,
}

/// Gives up a payment that was not completed in time, or that the invoice did not admit.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbandonPayment {
    pub payment_id: PaymentId,
    pub reason: CancelReason,
}

/// Commits the intent to call Stripe.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitPayment {
    pub payment_id: PaymentId,
}

/// Records that the call's outcome is not known.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordPaymentUnknown {
    pub payment_id: PaymentId,
    pub cause: UnknownCause,
}

/// Stripe's word for where a `PaymentIntent` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IntentState {
    AwaitingMethod,
    ActionRequired,
    Processing,
    Succeeded,
    Canceled,
}

/// Merges what Stripe says of the `PaymentIntent` now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordIntent {
    pub payment_id: PaymentId,
    pub account: String,
    pub intent: String,
    pub client_secret: Option<String>,
    pub state: IntentState,
    pub amount: i64,
    pub amount_received: i64,
    pub currency: String,
    pub charge: Option<String>,
    pub card: Option<CardSummary>,
    pub decline: Option<IntentDecline>,
}

/// The last refusal of a card on a `PaymentIntent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntentDecline {
    pub code: String,
    pub decline_code: Option<String>,
    pub advice: Option<String>,
}

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
        AlreadyPaid = Conflict, "the payment succeeded; refund it instead";
        TooMuch = Invalid, "the amount with its fee is larger than a payment can be";
        OtherIntent = Conflict, "the report is about another payment at Stripe";
        NothingToRefund = Conflict, "only a payment that succeeded can be refunded";
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
    pub quote: Option<Quoted>,
    pub request: Option<FrozenIntent>,
    pub intent: Option<String>,
    pub cancellation: Option<CancelReason>,
    /// The outcome of the call is not known at the moment.
    pub unknown: bool,
    /// Charge and code of each refusal of a card.
    declines: Vec<(Option<String>, String)>,
    pub refunds: Vec<Refund>,
    pub card: Option<CardSummary>,
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
}

impl Payment {
    pub(crate) fn quoted(&self) -> Result<&Quoted, PaymentRefusal> {
        self.quote.as_ref().ok_or(PaymentRefusal::NotFound)
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
            PaymentEvent::PaymentQuoted {
                invoice_id,
                property_id,
                resident_id,
                stripe_account_id,
                amount,
                total,
                expires_at,
                ..
            } => {
                self.phase = Phase::Quoted;
                self.quote = Some(Quoted {
                    invoice: invoice_id,
                    property: property_id,
                    resident: resident_id,
                    account: stripe_account_id,
                    amount,
                    total,
                    expires_at,
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
            PaymentEvent::PaymentProcessing {} => {
                self.phase = Phase::Processing;
                // Stripe does not cancel what is processing; should it fail, it can be given up anew.
                self.cancellation = None;
            }
            PaymentEvent::PaymentSucceeded { card, .. } => {
                self.phase = Phase::Succeeded;
                self.card = card;
            }
            PaymentEvent::PaymentCanceled { .. } => {
                self.phase = Phase::Canceled;
                self.unknown = false;
            }
            PaymentEvent::PaymentQuarantined { .. } => self.phase = Phase::Quarantined,
            PaymentEvent::RefundRequested { .. }
            | PaymentEvent::RefundSubmitting { .. }
            | PaymentEvent::RefundOutcomeUnknown { .. }
            | PaymentEvent::RefundSucceeded { .. }
            | PaymentEvent::RefundFailed { .. } => Refund::evolve(&mut self.refunds, event),
        }
    }

    fn scope(&self) -> Scope {
        self.quote.map(|quote| Scope::property(quote.property).and_resident(quote.resident)).unwrap_or_default()
    }
}

impl Command for QuotePayment {
    type Aggregate = Payment;
    const NAME: &'static str = "QuotePayment";
    const ROLES: &'static [Role] = &[Role::Resident];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    /// The invoice's: a quote is for whoever owes it.
    fn scope_with(&self, state: &Payment, facts: &Facts) -> Scope {
        match &facts.invoice {
            Some(invoice) => invoice.scope(),
            None => state.scope(),
        }
    }

    fn needs(&self, _: &Payment, facts: &Facts) -> Vec<Need> {
        let property = facts.invoice.as_ref().and_then(|invoice| invoice.terms).map(|terms| terms.property);
        let account = facts.property.as_ref().and_then(|property| property.details.as_ref()?.stripe_account);
        std::iter::once(Need::Invoice(self.invoice_id))
            .chain(property.map(Need::Property))
            .chain(account.map(Need::StripeAccount))
            .collect()
    }

    fn decide(self, state: &Payment, context: &Context) -> Decision<Payment> {
        let facts = &context.facts;
        let invoice = facts.invoice.as_ref().ok_or(PaymentRefusal::NoSuchInvoice)?;
        let terms = invoice.terms.ok_or(PaymentRefusal::NoSuchInvoice)?;
        let amount = match self.amount {
            Some(amount) => amount,
            None => invoice.balance()?,
        };
        if let Some(quote) = &state.quote {
            let same = quote.invoice == self.invoice_id && (self.amount.is_none() || quote.amount == amount);
            return if same { Ok(vec![]) } else { Err(PaymentRefusal::QuotedOtherwise) };
        }
        admits(invoice, amount).map_err(|why| match why {
            PaymentRefusal::Invoice { why } if why.kind() == Kind::Invalid => PaymentRefusal::Amount { why },
            why => why,
        })?;
        let property = facts.property.as_ref().and_then(|property| property.details.as_ref());
        let property = property.ok_or(PaymentRefusal::NoSuchInvoice)?;
        let account_id = property.stripe_account.ok_or(PaymentRefusal::NoStripeAccount)?;
        if !facts.stripe_account.as_ref().is_some_and(crate::StripeAccount::takes_payments) {
            return Err(PaymentRefusal::StripeAccountNotReady);
        }
        let quote = fees::card_quote(&property.fees, amount)?;
        if quote.total.amount() > STRIPE_MOST {
            return Err(PaymentRefusal::TooMuch);
        }
        Ok(vec![PaymentEvent::PaymentQuoted {
            invoice_id: self.invoice_id,
            property_id: terms.property,
            resident_id: terms.resident,
            stripe_account_id: account_id,
            method: PaymentMethodKind::Card,
            amount,
            fee: quote.fee,
            total: quote.total,
            fees: property.fees,
            mode: property.fees.mode,
            expires_at: context.now + QUOTE_HOLDS,
        }])
    }

    fn example() -> Value {
        json!({
            "payment_id": "01935c2e-0000-7000-8000-000000000402",
            "invoice_id": "01935c2e-0000-7000-8000-000000000301",
            "amount": { "amount": 22_500, "currency": "CAD" }
        })
    }
}

fn admits(invoice: &Invoice, amount: Money) -> Result<(), PaymentRefusal> {
    invoice.admits(amount).map_err(|why| match why {
        InvoiceRefusal::NotFound | InvoiceRefusal::NotPublished => PaymentRefusal::NoSuchInvoice,
        why => PaymentRefusal::Invoice { why },
    })
}

impl Command for StartPayment {
    type Aggregate = Payment;
    const NAME: &'static str = "StartPayment";
    const ROLES: &'static [Role] = &[Role::Resident];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn needs(&self, state: &Payment, _: &Facts) -> Vec<Need> {
        state
            .quote
            .iter()
            .flat_map(|quote| [Need::Invoice(quote.invoice), Need::StripeAccount(quote.account)])
            .collect()
    }

    fn decide(self, state: &Payment, context: &Context) -> Decision<Payment> {
        let quote = state.quoted()?;
        match state.phase {
            Phase::Quoted => {}
            Phase::None => return Err(PaymentRefusal::NotFound),
            Phase::Canceled | Phase::Quarantined => return Err(PaymentRefusal::NotOpen),
            Phase::Requested
            | Phase::Submitting
            | Phase::Submitted
            | Phase::ActionRequired
            | Phase::Processing
            | Phase::Succeeded => return Ok(vec![]),
        }
        if context.now >= quote.expires_at {
            return Err(PaymentRefusal::QuoteExpired);
        }
        if let Some(invoice) = &context.facts.invoice {
            admits(invoice, quote.amount)?;
        }
        if !context.facts.stripe_account.as_ref().is_some_and(crate::StripeAccount::takes_payments) {
            return Err(PaymentRefusal::StripeAccountNotReady);
        }
        Ok(vec![PaymentEvent::PaymentRequested { invoice_id: quote.invoice, amount: quote.amount }])
    }

    fn example() -> Value {
        json!({ "payment_id": "01935c2e-0000-7000-8000-000000000402" })
    }
}

fn cancel(state: &Payment, reason: CancelReason) -> Decision<Payment> {
    let quote = state.quoted()?;
    match state.phase {
        Phase::None => Err(PaymentRefusal::NotFound),
        Phase::Succeeded | Phase::Quarantined => Err(PaymentRefusal::AlreadyPaid),
        Phase::Canceled => Ok(vec![]),
        Phase::Quoted | Phase::Requested => {
            Ok(vec![PaymentEvent::PaymentCanceled { invoice_id: quote.invoice, reason, reserved: state.holds_claim() }])
        }
        // Stripe may have the money by now: it is asked, and its answer decides.
        Phase::Submitting | Phase::Submitted | Phase::ActionRequired => Ok(match state.cancellation {
            Some(_) => vec![],
            None => vec![PaymentEvent::PaymentCancellationRequested { reason }],
        }),
        Phase::Processing => Err(PaymentRefusal::NotOpen),
    }
}

impl Command for CancelPayment {
    type Aggregate = Payment;
    const NAME: &'static str = "CancelPayment";
    const ROLES: &'static [Role] =
        &[Role::Resident, Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn decide(self, state: &Payment, _: &Context) -> Decision<Payment> {
        cancel(state, CancelReason::Requested)
    }

    fn example() -> Value {
        json!({ "payment_id": "01935c2e-0000-7000-8000-000000000402" })
    }
}

impl Command for AbandonPayment {
    type Aggregate = Payment;
    const NAME: &'static str = "AbandonPayment";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn decide(self, state: &Payment, _: &Context) -> Decision<Payment> {
        let quote = state.quoted()?;
        match (&self.reason, &state.phase) {
            // What the invoice did not admit, or Stripe refused, is over at once.
            (CancelReason::NotReserved { .. }, Phase::Requested)
            | (CancelReason::Rejected { .. }, Phase::Requested | Phase::Submitting) => {
                Ok(vec![PaymentEvent::PaymentCanceled {
                    invoice_id: quote.invoice,
                    // Also when the claim was refused: closing it keeps a repeated reservation out.
                    reserved: true,
                    reason: self.reason,
                }])
            }
            // What was submitted had been reserved: the word is stale.
            (CancelReason::NotReserved { .. }, Phase::Submitting | Phase::Submitted | Phase::ActionRequired)
            | (_, Phase::Succeeded | Phase::Quarantined | Phase::Canceled | Phase::Processing) => Ok(vec![]),
            _ => cancel(state, self.reason),
        }
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for SubmitPayment {
    type Aggregate = Payment;
    const NAME: &'static str = "SubmitPayment";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn needs(&self, state: &Payment, _: &Facts) -> Vec<Need> {
        state.quote.iter().map(|quote| Need::StripeAccount(quote.account)).collect()
    }

    fn decide(self, state: &Payment, context: &Context) -> Decision<Payment> {
        let quote = state.quoted()?;
        if state.phase != Phase::Requested {
            return Ok(vec![]);
        }
        let account = context.facts.stripe_account.as_ref().and_then(crate::StripeAccount::external);
        let account = account.ok_or(PaymentRefusal::StripeAccountNotReady)?;
        Ok(vec![PaymentEvent::PaymentSubmitting {
            request: FrozenIntent {
                account: account.to_owned(),
                amount: quote.total.amount(),
                currency: quote.total.currency().code().to_ascii_lowercase(),
                idempotency_key: Payment::idempotency_key(quote.invoice, self.payment_id),
                description: format!("Invoice {}", quote.invoice),
            },
        }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for RecordPaymentUnknown {
    type Aggregate = Payment;
    const NAME: &'static str = "RecordPaymentUnknown";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn decide(self, state: &Payment, _: &Context) -> Decision<Payment> {
        state.quoted()?;
        Ok(if state.phase == Phase::Submitting && !state.unknown {
            vec![PaymentEvent::PaymentOutcomeUnknown { cause: self.cause }]
        } else {
            vec![]
        })
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for RecordIntent {
    type Aggregate = Payment;
    const NAME: &'static str = "RecordIntent";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    /// Monotone: what is known is never undone by an older report, and a repeated report changes nothing.
    fn decide(self, state: &Payment, _: &Context) -> Decision<Payment> {
        let quote = *state.quoted()?;
        let request = state.request.as_ref().ok_or(PaymentRefusal::OtherIntent)?;
        let other = state.intent.as_ref().is_some_and(|known| *known != self.intent);
        if request.account != self.account || other {
            return Err(PaymentRefusal::OtherIntent);
        }
        let mut events = Vec::new();
        // Whoever could pay by it never saw its secret: only money brings a payment back that was given up.
        if state.phase == Phase::Canceled && self.state != IntentState::Succeeded {
            return Ok(events);
        }
        if state.intent.is_none() {
            events.push(PaymentEvent::PaymentSubmitted {
                intent: self.intent.clone(),
                client_secret: match self.client_secret.clone() {
                    Some(secret) => Sealed::new(quote.resident.0, Purpose::Finance, secret),
                    None => Sealed::Erased,
                },
            });
        }
        if matches!(state.phase, Phase::Succeeded | Phase::Quarantined) {
            return Ok(events);
        }
        let received = if self.state == IntentState::Succeeded { self.amount_received } else { self.amount };
        if received != request.amount || !self.currency.eq_ignore_ascii_case(&request.currency) {
            events.push(PaymentEvent::PaymentQuarantined {
                expected: quote.total,
                seen_amount: received,
                seen_currency: self.currency,
            });
            return Ok(events);
        }
        events.extend(self.news(state, &quote));
        Ok(events)
    }

    fn example() -> Value {
        Value::Null
    }
}

impl RecordIntent {
    fn news(self, state: &Payment, quote: &Quoted) -> Option<PaymentEvent> {
        match self.state {
            IntentState::Succeeded => Some(PaymentEvent::PaymentSucceeded {
                invoice_id: quote.invoice,
                amount: quote.amount,
                charge: self.charge,
                card: self.card,
            }),
            IntentState::Canceled => Some(PaymentEvent::PaymentCanceled {
                invoice_id: quote.invoice,
                reason: state.cancellation.clone().unwrap_or(CancelReason::AtProvider),
                reserved: true,
            }),
            IntentState::Processing => (state.phase != Phase::Processing).then_some(PaymentEvent::PaymentProcessing {}),
            _ if state.phase == Phase::Processing && self.decline.is_none() => None,
            IntentState::ActionRequired => {
                (state.phase != Phase::ActionRequired).then_some(PaymentEvent::PaymentActionRequired {})
            }
            IntentState::AwaitingMethod => {
                let decline = self.decline?;
                let repeated =
                    state.declines.iter().any(|(charge, code)| *charge == self.charge && *code == decline.code);
                (!repeated).then_some(PaymentEvent::PaymentDeclined {
                    code: decline.code,
                    decline_code: decline.decline_code,
                    advice: decline.advice,
                    charge: self.charge,
                })
            }
        }
    }
}

/// Names a refund of this payment for Stripe, once.
pub(crate) fn refund_key(refund: RefundId) -> String {
    format!("refund:{refund}")
}

#[cfg(test)]
mod tests;
