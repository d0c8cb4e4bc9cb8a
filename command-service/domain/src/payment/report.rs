//! What Stripe says of a `PaymentIntent`, merged monotonically.

use chrono::{DateTime, Utc};
use events::{
    Currency, Money, OrganizationId, PaymentEvent, PaymentId, Purpose, Role, Sealed,
    payment::{BankSummary, CancelReason, CardSummary},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{PROCESS, Payment, PaymentRefusal, Phase, Quoted};
use crate::{Command, Context, Decision};

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<BankSummary>,
    /// Known some time after success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement: Option<Settlement>,
}

/// The last refusal of a card on a `PaymentIntent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntentDecline {
    pub code: String,
    pub decline_code: Option<String>,
    pub advice: Option<String>,
}

/// What Stripe kept of a charge, from its balance transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// Stripe's `txn_…`.
    pub balance_transaction: String,
    pub fee: i64,
    pub net: i64,
    pub currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_at: Option<DateTime<Utc>>,
}

/// What a bank says that wants to see the cardholder.
const AUTHENTICATION: &str = "authentication_required";

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
        if state.phase == Phase::Quarantined {
            return Ok(events);
        }
        if state.phase == Phase::Succeeded {
            let news = self.settlement.filter(|_| self.state == IntentState::Succeeded && !state.settled);
            events.extend(news.and_then(|settlement| settlement.settled(&quote)));
            return Ok(events);
        }
        let received = if self.state == IntentState::Succeeded { self.amount_received } else { self.amount };
        if received != request.amount || !self.currency.eq_ignore_ascii_case(&request.currency) {
            // A person has looked at it already.
            if state.resolved.is_some() {
                return Ok(events);
            }
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
    fn news(self, state: &Payment, quote: &Quoted) -> Vec<PaymentEvent> {
        match (self.state, quote.autopay) {
            (IntentState::Succeeded, autopay_id) => std::iter::once(PaymentEvent::PaymentSucceeded {
                invoice_id: quote.invoice,
                amount: quote.amount,
                charge: self.charge,
                card: self.card,
                bank: self.bank,
                autopay_id,
            })
            .chain(self.settlement.and_then(|settlement| settlement.settled(quote)))
            .collect(),
            (IntentState::Canceled, autopay_id) => vec![PaymentEvent::PaymentCanceled {
                invoice_id: quote.invoice,
                reason: state.cancellation.clone().unwrap_or(CancelReason::AtProvider),
                reserved: true,
                autopay_id,
            }],
            (_, Some(_)) => self.unattended(state, quote),
            (_, None) => self.attended(state, quote),
        }
    }

    /// Somebody is there: who was declined may try another card, unless the price was for this one alone.
    fn attended(self, state: &Payment, quote: &Quoted) -> Vec<PaymentEvent> {
        match self.state {
            IntentState::Succeeded | IntentState::Canceled => vec![],
            IntentState::Processing if state.phase == Phase::Processing => vec![],
            IntentState::Processing => vec![PaymentEvent::PaymentProcessing { bank: self.bank }],
            _ if state.phase == Phase::Processing && self.decline.is_none() => vec![],
            IntentState::ActionRequired if state.phase == Phase::ActionRequired => vec![],
            IntentState::ActionRequired => vec![PaymentEvent::PaymentActionRequired {}],
            IntentState::AwaitingMethod => {
                let Some(decline) = self.decline else { return vec![] };
                let repeated =
                    state.declines.iter().any(|(charge, code)| *charge == self.charge && *code == decline.code);
                if repeated {
                    return vec![];
                }
                let cancellation = quote.bound.then(|| decline.ends(state)).flatten();
                std::iter::once(declined(decline, self.charge, None)).chain(cancellation).collect()
            }
        }
    }

    /// Nobody is there: the first refusal is the last, and after it only money or the end is news.
    fn unattended(self, state: &Payment, quote: &Quoted) -> Vec<PaymentEvent> {
        if !state.declines.is_empty() {
            return vec![];
        }
        let decline = match self.state {
            IntentState::Succeeded | IntentState::Canceled => None,
            IntentState::Processing if state.phase == Phase::Processing => None,
            IntentState::Processing => return vec![PaymentEvent::PaymentProcessing { bank: self.bank }],
            IntentState::AwaitingMethod => self.decline,
            // A bank debit that is processing needs nothing of anybody: the word is stale.
            IntentState::ActionRequired if state.phase == Phase::Processing => self.decline,
            IntentState::ActionRequired => Some(self.decline.unwrap_or_else(|| IntentDecline {
                code: AUTHENTICATION.to_owned(),
                decline_code: None,
                advice: None,
            })),
        };
        let Some(decline) = decline else { return vec![] };
        let cancellation = decline.ends(state);
        std::iter::once(declined(decline, self.charge, quote.autopay)).chain(cancellation).collect()
    }
}

impl IntentDecline {
    /// The end of the attempt, unless it is ending already.
    fn ends(&self, state: &Payment) -> Option<PaymentEvent> {
        let code = self.decline_code.as_ref().unwrap_or(&self.code).clone();
        let reason = CancelReason::Declined { code };
        state.cancellation.is_none().then_some(PaymentEvent::PaymentCancellationRequested { reason })
    }
}

fn declined(
    IntentDecline { code, decline_code, advice }: IntentDecline,
    charge: Option<String>,
    autopay_id: Option<events::AutopayId>,
) -> PaymentEvent {
    PaymentEvent::PaymentDeclined { code, decline_code, advice, charge, autopay_id }
}

impl Settlement {
    /// Nothing when it does not add up to what was charged: the nightly comparison names it then, and the books stay balanced.
    fn settled(self, quote: &Quoted) -> Option<PaymentEvent> {
        let gross = quote.total;
        let currency: Currency = self.currency.parse().ok().filter(|currency| *currency == gross.currency())?;
        let fee = Money::try_new(self.fee, currency).ok()?;
        let net = Money::try_new(self.net, currency).ok()?;
        (net.checked_add(fee) == Ok(gross)).then_some(PaymentEvent::PaymentSettled {
            property_id: quote.property,
            stripe_account_id: quote.account,
            balance_transaction: self.balance_transaction,
            gross,
            fee,
            net,
            available_at: self.available_at,
        })
    }
}
