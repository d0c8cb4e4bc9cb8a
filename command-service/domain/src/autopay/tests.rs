//! Autopay, in whatever order its commands, timers and webhooks arrive.

use chrono::{DateTime, TimeDelta, Utc};
use events::{
    AutopayEvent, AutopayId, InvoiceEvent, InvoiceId, Money, PaymentId, Purpose, Sealed, SetupId, StripeAccountId,
    autopay::{AutopayMethod, PauseReason, ResumeReason, Retry, SetupPurpose},
    payment::{BankSummary, CardSummary, PaymentMethodKind},
};
use uuid::Uuid;

use super::*;
use crate::{
    Facts,
    testing::{
        fixtures::{ACCOUNT, INVOICE, PAYMENT, PROPERTY, RESIDENT, community, day, drafted_of, instant, usd, with},
        given, noon, state,
    },
};

mod charges;
mod failures;
mod methods;
mod races;
mod random;
mod setups;

const SETUP: SetupId = SetupId(Uuid::from_u128(0x80));
const NEW_SETUP: SetupId = SetupId(Uuid::from_u128(0x81));
const SECOND: InvoiceId = InvoiceId(Uuid::from_u128(0x42));
const OTHER_ACCOUNT: StripeAccountId = StripeAccountId(Uuid::from_u128(0x71));

fn autopay_id() -> AutopayId {
    Autopay::id(PROPERTY, RESIDENT)
}

fn payment(number: u128) -> PaymentId {
    PaymentId(Uuid::from_u128(0x500 + number))
}

/// So many hours after noon of 1 March.
fn later(hours: i64) -> DateTime<Utc> {
    noon() + TimeDelta::hours(hours)
}

fn visa() -> CardSummary {
    CardSummary { brand: "visa".into(), last4: "4242".into(), exp_month: 4, exp_year: 2030, funding: "credit".into() }
}

fn card(payment_method: &str) -> AutopayMethod {
    AutopayMethod {
        payment_method: payment_method.into(),
        customer: "cus_1".into(),
        kind: PaymentMethodKind::Card,
        card: Some(visa()),
        bank: None,
        mandate: None,
    }
}

fn bank(payment_method: &str) -> AutopayMethod {
    let summary = BankSummary { bank_name: None, last4: "6789".into(), account_type: Some("checking".into()) };
    AutopayMethod {
        kind: PaymentMethodKind::BankDebit,
        card: None,
        bank: Some(summary),
        mandate: Some("mandate_1".into()),
        ..card(payment_method)
    }
}

/// As at Maple Court, by card, in its own Stripe account; a story changes what it is about.
#[derive(Clone, Copy)]
struct Wish {
    property: PropertyId,
    account: StripeAccountId,
    kind: PaymentMethodKind,
}

const WISH: Wish = Wish { property: PROPERTY, account: ACCOUNT, kind: PaymentMethodKind::Card };

fn wished(setup_id: SetupId, purpose: SetupPurpose, wish: Wish) -> AutopayEvent {
    AutopayEvent::AutopaySetupRequested {
        setup_id,
        property_id: wish.property,
        resident_id: RESIDENT,
        stripe_account_id: wish.account,
        kind: wish.kind,
        purpose,
    }
}

fn requested(setup_id: SetupId, purpose: SetupPurpose) -> AutopayEvent {
    wished(setup_id, purpose, WISH)
}

fn submitted(setup_id: SetupId, secret: Option<&str>) -> AutopayEvent {
    AutopayEvent::AutopaySetupSubmitted {
        setup_id,
        setup_intent: "seti_1".into(),
        customer: "cus_1".into(),
        account: "acct_1".into(),
        client_secret: secret.map_or(Sealed::Erased, |secret| Sealed::new(RESIDENT.0, Purpose::Finance, secret.into())),
    }
}

fn activated(setup_id: SetupId, method: AutopayMethod, replaces: Option<&str>) -> AutopayEvent {
    AutopayEvent::AutopayActivated { setup_id, method, replaces: replaces.map(Into::into) }
}

fn pending() -> Vec<AutopayEvent> {
    vec![requested(SETUP, SetupPurpose::Enable), submitted(SETUP, Some("seti_1_secret"))]
}

/// Charges the card `pm_1`.
fn active() -> Vec<AutopayEvent> {
    with(pending(), [activated(SETUP, card("pm_1"), None)])
}

/// Charges the bank account `pm_1`.
fn active_bank() -> Vec<AutopayEvent> {
    with(pending(), [activated(SETUP, bank("pm_1"), None)])
}

fn cancelled() -> AutopayEvent {
    AutopayEvent::AutopayCancelled { payment_method: Some("pm_1".into()), because: None }
}

fn charged(payment_id: PaymentId, invoice_id: InvoiceId, attempt: u32) -> AutopayEvent {
    AutopayEvent::ChargeAuthorized {
        payment_id,
        invoice_id,
        due_on: day("2026-03-01"),
        amount: usd(10_000),
        customer: "cus_1".into(),
        payment_method: "pm_1".into(),
        attempt,
    }
}

fn succeeded(payment_id: PaymentId, invoice_id: InvoiceId) -> AutopayEvent {
    AutopayEvent::ChargeSucceeded { payment_id, invoice_id }
}

fn failed(
    payment_id: PaymentId,
    invoice_id: InvoiceId,
    reason: PauseReason,
    retry: Option<Retry>,
    retries_left: u32,
) -> AutopayEvent {
    AutopayEvent::ChargeFailed {
        payment_id,
        invoice_id,
        due_on: day("2026-03-01"),
        amount: usd(10_000),
        reason,
        retry,
        retries_left,
    }
}

fn declined() -> PauseReason {
    PauseReason::Declined { code: "insufficient_funds".into() }
}

fn paused(reason: PauseReason, new_method_required: bool) -> AutopayEvent {
    AutopayEvent::AutopayPaused { reason, new_method_required }
}

fn resumed(because: ResumeReason, waiting: &[InvoiceId]) -> AutopayEvent {
    AutopayEvent::AutopayResumed { because, waiting: waiting.to_vec() }
}

#[expect(clippy::unnecessary_wraps, reason = "events hold it as an option")]
const fn retry(attempt: u32, at: DateTime<Utc>) -> Option<Retry> {
    Some(Retry { attempt, at })
}

/// The first charge failed at noon; its first retry is due a day later.
fn paused_for_invoice() -> Vec<AutopayEvent> {
    with(
        active(),
        [
            charged(PAYMENT, INVOICE, 0),
            failed(PAYMENT, INVOICE, declined(), retry(1, later(24)), 3),
            paused(declined(), false),
        ],
    )
}

/// Needs a new method, with one invoice waiting.
fn dead() -> Vec<AutopayEvent> {
    let reason = PauseReason::DeclinedForGood { code: "lost_card".into() };
    with(
        active(),
        [charged(PAYMENT, INVOICE, 0), failed(PAYMENT, INVOICE, reason.clone(), None, 0), paused(reason, true)],
    )
}

fn authorize(payment_id: PaymentId, invoice_id: InvoiceId, attempt: u32) -> AuthorizeCharge {
    AuthorizeCharge {
        autopay_id: autopay_id(),
        payment_id,
        invoice_id,
        due_on: day("2026-03-01"),
        amount: usd(10_000),
        attempt,
        payment_method: None,
    }
}

/// Due on 1 March, and claimed for this payment.
fn claimed(payment_id: PaymentId, amount: Money) -> Facts {
    let published = InvoiceEvent::InvoicePublished { resident_id: RESIDENT, notify: true };
    let reserved = InvoiceEvent::PaymentReserved { payment_id, amount };
    let drafted = drafted_of(amount, "2026-03-01", "America/New_York");
    Facts { invoice: Some(state([drafted, published, reserved])), ..community() }
}

fn settle(payment_id: PaymentId) -> SettleCharge {
    SettleCharge { autopay_id: autopay_id(), payment_id }
}

fn fail(payment_id: PaymentId, decline_code: &str) -> FailCharge {
    FailCharge {
        autopay_id: autopay_id(),
        payment_id,
        code: "card_declined".into(),
        decline_code: Some(decline_code.into()),
        advice: None,
    }
}

fn withdraw(payment_id: PaymentId) -> WithdrawCharge {
    WithdrawCharge { autopay_id: autopay_id(), payment_id }
}

fn give_back(payment_id: PaymentId) -> ReturnCharge {
    ReturnCharge { autopay_id: autopay_id(), payment_id, code: "debit_not_authorized".into() }
}

fn release(invoice_id: InvoiceId) -> ReleaseInvoice {
    ReleaseInvoice { autopay_id: autopay_id(), invoice_id }
}

fn defer(invoice_id: InvoiceId, due_on: &str) -> DeferCharge {
    DeferCharge { autopay_id: autopay_id(), invoice_id, due_on: day(due_on) }
}

fn cancel() -> CancelAutopay {
    CancelAutopay { property_id: PROPERTY, resident_id: RESIDENT }
}

fn reactivate(setup_id: Option<SetupId>) -> ReactivateAutopay {
    ReactivateAutopay { property_id: PROPERTY, resident_id: RESIDENT, setup_id, kind: PaymentMethodKind::Card }
}

fn report(setup_id: SetupId, state: SetupState) -> RecordSetup {
    RecordSetup {
        autopay_id: autopay_id(),
        setup_id,
        account: "acct_1".into(),
        customer: "cus_1".into(),
        setup_intent: "seti_1".into(),
        client_secret: None,
        state,
        method: None,
        code: None,
    }
}

fn confirmed(setup_id: SetupId, payment_method: &str) -> RecordSetup {
    RecordSetup { method: Some(card(payment_method)), ..report(setup_id, SetupState::Succeeded) }
}
