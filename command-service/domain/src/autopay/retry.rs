//! Failures: what a decline means, when it is tried again, and when it is not.

use chrono::{DateTime, TimeDelta, Utc};
use events::{
    AutopayEvent, AutopayId, InvoiceId, OrganizationId, PaymentId, Role,
    autopay::{AutopayMethod, PauseReason, Retry},
    payment::PaymentMethodKind,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Autopay, Charge, ChargeEnd, PROCESS};
use crate::{Command, Context, Decision};

/// Between a failure and the next attempt. Hours, not calendar days: where clocks change, it is still at most one a day.
pub(super) const RETRY_AFTER: TimeDelta = TimeDelta::hours(24);
/// Nacha: a debit that came back may be presented again for so long.
const REPRESENT_WITHIN: TimeDelta = TimeDelta::days(180);

/// Records that a charge was declined, or that a bank debit failed before it succeeded.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailCharge {
    pub autopay_id: AutopayId,
    pub payment_id: PaymentId,
    pub code: String,
    pub decline_code: Option<String>,
    pub advice: Option<String>,
}

/// Records that a bank debit came back after it had succeeded.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnCharge {
    pub autopay_id: AutopayId,
    pub payment_id: PaymentId,
    pub code: String,
}

/// What a decline means for the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decline {
    /// It may be different tomorrow.
    Soft,
    /// The method is of no more use.
    Hard,
    /// The bank wants the resident to be there.
    Authentication,
}

/// Declines after which Stripe or the card networks forbid another attempt, or after which it is in vain.
const HARD: &[&str] = &[
    "card_not_supported",
    "currency_not_supported",
    "expired_card",
    "fraudulent",
    "highest_risk_level",
    "incorrect_number",
    "invalid_account",
    "invalid_expiry_month",
    "invalid_expiry_year",
    "invalid_number",
    "lost_card",
    "merchant_blacklist",
    "new_account_information_available",
    "pickup_card",
    "restricted_card",
    "revocation_of_all_authorizations",
    "revocation_of_authorization",
    "stolen_card",
    "stop_payment_order",
    "testmode_decline",
    "transaction_not_allowed",
];
const AUTHENTICATION: &[&str] = &["authentication_required", "payment_intent_authentication_failure"];
/// Nacha's R01 and R09, and Stripe's word for both: the only returns that may be presented again.
const UNCOVERED: &[&str] = &["insufficient_funds", "R01", "R09"];

/// Reads Stripe's codes and advice.
pub fn classify(kind: PaymentMethodKind, code: &str, decline_code: Option<&str>, advice: Option<&str>) -> Decline {
    let says = |list: &[&str]| list.contains(&code) || decline_code.is_some_and(|code| list.contains(&code));
    match kind {
        PaymentMethodKind::BankDebit if says(UNCOVERED) => Decline::Soft,
        PaymentMethodKind::BankDebit => Decline::Hard,
        PaymentMethodKind::Card if says(AUTHENTICATION) => Decline::Authentication,
        PaymentMethodKind::Card if says(HARD) => Decline::Hard,
        PaymentMethodKind::Card => match advice {
            Some("do_not_try_again" | "confirm_card_data") => Decline::Hard,
            Some(_) | None => Decline::Soft,
        },
    }
}

/// How often a failed charge is tried again.
pub const fn retries(kind: PaymentMethodKind) -> u32 {
    match kind {
        PaymentMethodKind::Card => 3,
        PaymentMethodKind::BankDebit => 2,
    }
}

impl Autopay {
    /// How often a bank debit of this invoice with this method came back.
    fn presented(&self, invoice: InvoiceId, payment_method: &str) -> u32 {
        let back = |charge: &&Charge| {
            charge.payment_method == payment_method
                && matches!(charge.end, Some(ChargeEnd::Failed | ChargeEnd::Returned))
        };
        u32::try_from(self.charges_of(invoice).filter(back).count()).unwrap_or(u32::MAX)
    }

    /// Whether Nacha lets this debit be presented (again); cards are limited by the pause alone.
    pub(super) fn may_present(&self, invoice: InvoiceId, method: &AutopayMethod, now: DateTime<Utc>) -> bool {
        let first = self
            .charges_of(invoice)
            .filter(|charge| charge.payment_method == method.payment_method)
            .filter_map(|charge| charge.failed_at)
            .min();
        method.kind == PaymentMethodKind::Card
            || (self.presented(invoice, &method.payment_method) <= retries(method.kind)
                && first.is_none_or(|first| now <= first + REPRESENT_WITHIN))
    }

    fn newest_of(&self, invoice: InvoiceId) -> Option<PaymentId> {
        self.charges_of(invoice).last().map(|charge| charge.payment)
    }

    /// Retries made since this failure began.
    fn retries_made(&self, charge: &Charge, method: &AutopayMethod) -> u32 {
        match method.kind {
            // The bank network counts presentments whatever pauses and reactivations there were in between.
            PaymentMethodKind::BankDebit => self.presented(charge.invoice, &method.payment_method),
            PaymentMethodKind::Card => {
                let retried = self.failure.is_some_and(|failure| failure.invoice == charge.invoice);
                if retried { charge.attempt } else { 0 }
            }
        }
    }

    /// The failure of a charge of today's enrollment.
    fn failure_of(&self, charge: &Charge, decline: Decline, code: String, now: DateTime<Utc>) -> Vec<AutopayEvent> {
        let Some(method) = self.method() else { return vec![failed(charge, reason(decline, code), None, 0)] };
        // What was declined has been replaced since: the new method gets its own chances.
        let replaced = method.payment_method != charge.payment_method;
        let decline = if replaced { Decline::Soft } else { decline };
        let made = if replaced { 0 } else { self.retries_made(charge, method) };
        let left = retries(method.kind).saturating_sub(made);
        // Another charge of the invoice turned out to have gone through meanwhile: there is nothing to try again.
        if self.is_charged(charge.invoice) && decline != Decline::Hard {
            return vec![failed(charge, reason(decline, code), None, 0)];
        }
        if let Some(pause) = self.pause() {
            let other = self.failure.filter(|failure| failure.invoice != charge.invoice);
            if pause.new_method_required {
                return vec![failed(charge, reason(decline, code), None, 0)];
            }
            // The retries belong to the invoice that failed first; this one waits, unless it shows the method to be of no more use.
            let exhausted = method.kind == PaymentMethodKind::BankDebit && left == 0;
            if let Some(other) = other
                && decline != Decline::Hard
                && !exhausted
            {
                return vec![failed(charge, reason(decline, code), None, other.retries_left)];
            }
        }
        match decline {
            Decline::Soft if left > 0 => {
                let retry = Retry { attempt: made + 1, at: now + RETRY_AFTER };
                self.fails(charge, PauseReason::Declined { code }, Some(retry), left)
            }
            Decline::Soft => self.fails(charge, PauseReason::RetriesUsedUp { code }, None, 0),
            Decline::Hard | Decline::Authentication => self.fails(charge, reason(decline, code), None, 0),
        }
    }

    /// The failure, and the pause unless it is known.
    fn fails(
        &self,
        charge: &Charge,
        reason: PauseReason,
        retry: Option<Retry>,
        retries_left: u32,
    ) -> Vec<AutopayEvent> {
        let new_method_required =
            matches!(reason, PauseReason::RetriesUsedUp { .. } | PauseReason::DeclinedForGood { .. });
        let known = self
            .pause()
            .is_some_and(|pause| pause.reason == reason && pause.new_method_required == new_method_required);
        let mut events = vec![failed(charge, reason.clone(), retry, retries_left)];
        if !known {
            events.push(AutopayEvent::AutopayPaused { reason, new_method_required });
        }
        events
    }
}

fn reason(decline: Decline, code: String) -> PauseReason {
    match decline {
        Decline::Soft => PauseReason::Declined { code },
        Decline::Hard => PauseReason::DeclinedForGood { code },
        Decline::Authentication => PauseReason::AuthenticationRequired,
    }
}

fn failed(charge: &Charge, reason: PauseReason, retry: Option<Retry>, retries_left: u32) -> AutopayEvent {
    AutopayEvent::ChargeFailed {
        payment_id: charge.payment,
        invoice_id: charge.invoice,
        due_on: charge.due_on,
        amount: charge.amount,
        reason,
        retry,
        retries_left,
    }
}

impl Command for FailCharge {
    type Aggregate = Autopay;
    const NAME: &'static str = "FailCharge";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.autopay_id.0
    }

    fn decide(self, state: &Autopay, context: &Context) -> Decision<Autopay> {
        let charge = state.known_charge(self.payment_id)?;
        match charge.end {
            None => {}
            // The bank's answer came after all; it counts unless the next charge is under way.
            Some(ChargeEnd::Withdrawn) if state.newest_of(charge.invoice) == Some(charge.payment) => {}
            Some(_) => return Ok(vec![]),
        }
        let decline = classify(charge.kind, &self.code, self.decline_code.as_deref(), self.advice.as_deref());
        let code = self.decline_code.unwrap_or(self.code);
        // Nothing follows from what an enrollment left behind that was cancelled since.
        if !state.concerns(charge) {
            return Ok(vec![failed(charge, reason(decline, code), None, 0)]);
        }
        Ok(state.failure_of(charge, decline, code, context.now))
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ReturnCharge {
    type Aggregate = Autopay;
    const NAME: &'static str = "ReturnCharge";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.autopay_id.0
    }

    fn decide(self, state: &Autopay, _: &Context) -> Decision<Autopay> {
        let charge = state.known_charge(self.payment_id)?;
        match charge.end {
            Some(ChargeEnd::Failed | ChargeEnd::Returned) => return Ok(vec![]),
            None | Some(ChargeEnd::Succeeded | ChargeEnd::Withdrawn) => {}
        }
        let reason = PauseReason::Returned { code: self.code };
        let mut events = vec![failed(charge, reason.clone(), None, 0)];
        if !state.concerns(charge) {
            return Ok(events);
        }
        // A late return kills the mandate. Of a method that was replaced since, it says nothing about the present one, but
        // what the bank sent back is not taken from elsewhere without the resident's word.
        let dead = state.method().is_some_and(|method| method.payment_method == charge.payment_method);
        // The end of the mandate is told apart, and may have been heard first: why it ended says more.
        let pauses = state
            .pause()
            .is_none_or(|pause| dead && (!pause.new_method_required || pause.reason == PauseReason::MandateRevoked));
        if pauses {
            events.push(AutopayEvent::AutopayPaused { reason, new_method_required: dead });
        }
        Ok(events)
    }

    fn example() -> Value {
        Value::Null
    }
}
