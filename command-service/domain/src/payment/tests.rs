//! One online payment, in whatever order Stripe's words arrive.

use events::{
    Currency, InvoiceEvent, PropertyEvent, Sealed,
    payment::UnknownCause,
    property::{FeeMode, FeePolicy, Rate},
};
use uuid::Uuid;

use super::*;
use crate::{
    Command, Context, Facts, Kind, Need, Refuse, StripeAccount,
    testing::{
        fixtures::{
            ACCOUNT, INVOICE, OTHER_PAYMENT, PAYMENT, PROPERTY, RESIDENT, account, billed, bound, community,
            drafted_of, instant, money, passing, property, property_in, published, quoted, requested, reserved,
            submitted, submitting, succeeded, success, usd, with,
        },
        given, state,
    },
};

mod autopay;
mod disputes;
mod intents;
mod quotes;
mod resolutions;

fn quote(amount: Option<i64>) -> QuotePayment {
    QuotePayment {
        payment_id: PAYMENT,
        invoice_id: INVOICE,
        amount: amount.map(usd),
        kind: PaymentMethodKind::Card,
        confirmation_token: None,
    }
}

fn priced(amount: i64, fee: i64, fees: FeePolicy) -> PaymentEvent {
    PaymentEvent::PaymentQuoted {
        invoice_id: INVOICE,
        property_id: PROPERTY,
        resident_id: RESIDENT,
        stripe_account_id: ACCOUNT,
        method: PaymentMethodKind::Card,
        amount: usd(amount),
        fee: usd(fee),
        total: usd(amount + fee),
        fees,
        mode: fees.mode,
        expires_at: instant("2026-03-01T12:30:00Z"),
        confirmation_token: None,
        funding: None,
        waiver: None,
        autopay_id: None,
    }
}

fn start() -> StartPayment {
    StartPayment { payment_id: PAYMENT }
}

fn submit() -> SubmitPayment {
    SubmitPayment { payment_id: PAYMENT, off_session: None }
}

fn give_up() -> CancelPayment {
    CancelPayment { payment_id: PAYMENT }
}

fn abandon(reason: CancelReason) -> AbandonPayment {
    AbandonPayment { payment_id: PAYMENT, reason }
}

fn canceled(reason: CancelReason, reserved: bool) -> PaymentEvent {
    PaymentEvent::PaymentCanceled { invoice_id: INVOICE, reason, reserved, autopay_id: None }
}

fn cancellation(reason: CancelReason) -> PaymentEvent {
    PaymentEvent::PaymentCancellationRequested { reason }
}

fn quarantined(seen_amount: i64, seen_currency: &str) -> PaymentEvent {
    PaymentEvent::PaymentQuarantined { expected: usd(10_383), seen_amount, seen_currency: seen_currency.into() }
}

fn not_reserved() -> CancelReason {
    CancelReason::NotReserved { why: "nothing is left to pay".into() }
}

fn rejected() -> CancelReason {
    CancelReason::Rejected { code: "parameter_invalid".into() }
}

#[test]
fn the_whole_balance_is_quoted_unless_an_amount_is_named() {
    given([]).facts(billed(published())).accepts(quote(None), [priced(10_000, 0, FeePolicy::STANDARD)]);
    given([]).facts(billed(published())).accepts(quote(Some(4_000)), [priced(4_000, 0, FeePolicy::STANDARD)]);
}

#[test]
fn a_quote_is_for_whoever_owes_the_invoice() {
    let scope = quote(None).scope_with(&Payment::default(), &billed(published()));
    assert_eq!(scope, Scope::property(PROPERTY).and_resident(RESIDENT));
    assert_eq!(quote(None).scope_with(&state([quoted()]), &Facts::default()), scope);
    let needs = quote(None).needs(&Payment::default(), &billed(published()));
    assert_eq!(needs, [Need::Invoice(INVOICE), Need::Property(PROPERTY), Need::StripeAccount(ACCOUNT)]);
}

#[test]
fn a_payment_is_quoted_for_one_thing() {
    given([quoted()]).facts(billed(published())).ignores(quote(None));
    given([quoted()]).facts(billed(published())).ignores(quote(Some(10_000)));
    given([quoted()]).facts(billed(published())).refuses(quote(Some(9_999)), PaymentRefusal::QuotedOtherwise);
    let elsewhere = QuotePayment { invoice_id: InvoiceId(Uuid::from_u128(9)), ..quote(None) };
    given([quoted()]).facts(billed(published())).refuses(elsewhere, PaymentRefusal::QuotedOtherwise);
}

#[test]
fn an_amount_that_cannot_be_paid_is_invalid_and_an_invoice_that_cannot_is_a_conflict() {
    let refused = |command: QuotePayment, invoice: Vec<InvoiceEvent>, why: InvoiceRefusal, kind: Kind| {
        let refusal = match kind {
            Kind::Invalid => PaymentRefusal::Amount { why },
            Kind::Missing | Kind::Conflict | Kind::Forbidden => PaymentRefusal::Invoice { why },
        };
        assert_eq!(refusal.kind(), kind);
        given([]).facts(billed(invoice)).refuses(command, refusal);
    };
    let too_small = InvoiceRefusal::TooSmall { least: usd(100) };
    refused(quote(Some(99)), published(), too_small, Kind::Invalid);
    let balance = usd(10_000);
    refused(quote(Some(10_001)), published(), InvoiceRefusal::MoreThanBalance { balance }, Kind::Invalid);
    let euros = QuotePayment { amount: Some(money(5_000, Currency::EUR)), ..quote(None) };
    refused(euros, published(), InvoiceRefusal::WrongCurrency { expected: Currency::USD }, Kind::Invalid);
    refused(quote(None), with(published(), [reserved()]), InvoiceRefusal::PaymentInFlight, Kind::Conflict);
    let voided = InvoiceEvent::InvoiceVoided { reason: crate::testing::from("twice") };
    refused(quote(None), with(published(), [voided]), InvoiceRefusal::Voided, Kind::Conflict);
    let paid = InvoiceEvent::PaymentApplied {
        payment_id: OTHER_PAYMENT,
        resident_id: RESIDENT,
        amount: usd(10_000),
        balance: usd(0),
        source: events::invoice::PaymentSource::Online,
    };
    refused(quote(None), with(published(), [paid]), InvoiceRefusal::AlreadyPaid, Kind::Conflict);
}

#[test]
fn a_draft_is_not_there_for_residents() {
    let draft = vec![drafted_of(usd(10_000), "2026-03-31", "America/New_York")];
    given([]).facts(billed(draft)).refuses(quote(None), PaymentRefusal::NoSuchInvoice);
    given([]).facts(billed([])).refuses(quote(None), PaymentRefusal::NoSuchInvoice);
    given([]).facts(community()).refuses(quote(None), PaymentRefusal::NoSuchInvoice);
    let homeless = Facts { property: None, ..billed(published()) };
    given([]).facts(homeless).refuses(quote(None), PaymentRefusal::NoSuchInvoice);
}

#[test]
fn a_property_takes_payments_while_stripe_lets_it() {
    let unassigned = Facts { property: Some(state([property()])), ..billed(published()) };
    given([]).facts(unassigned).refuses(quote(None), PaymentRefusal::NoStripeAccount);
    let gone = || {
        let disconnected = events::StripeAccountEvent::StripeAccountDisconnected { at_provider: true };
        let account: StripeAccount = state(with(account(), [disconnected]));
        Facts { stripe_account: Some(account), ..billed(published()) }
    };
    given([]).facts(gone()).refuses(quote(None), PaymentRefusal::StripeAccountNotReady);
    given([quoted()]).facts(gone()).refuses(start(), PaymentRefusal::StripeAccountNotReady);
    given(requested()).facts(gone()).refuses(submit(), PaymentRefusal::StripeAccountNotReady);
}

#[test]
fn the_charge_with_its_fee_fits_what_stripe_takes() {
    let total = usd(79_999_999);
    let bill = vec![
        drafted_of(total, "2026-03-31", "America/New_York"),
        InvoiceEvent::InvoicePublished { resident_id: RESIDENT, notify: false },
    ];
    let dear = Rate { basis_points: 2_000, fixed: 100_000, cap: None };
    let fees = FeePolicy { mode: FeeMode::PassToResident, card: dear, bank_debit: dear };
    let dear = || Some(state(with(passing(), [PropertyEvent::FeePolicyChanged { fees }])));
    let facts = Facts { property: dear(), ..billed(bill.clone()) };
    let by_bank = QuotePayment { kind: PaymentMethodKind::BankDebit, ..quote(None) };
    given([]).facts(facts).refuses(by_bank, PaymentRefusal::TooMuch);
    let shown = PaymentEvent::PaymentPreviewRequested {
        invoice_id: INVOICE,
        property_id: PROPERTY,
        resident_id: RESIDENT,
        stripe_account_id: ACCOUNT,
        amount: total,
        confirmation_token: "ctoken_1".into(),
    };
    let facts = Facts { property: dear(), ..billed(bill) };
    let too_large = PaymentEvent::PaymentPreviewFailed { code: "amount_too_large".into() };
    given([shown]).facts(facts).accepts(quotes::seen("credit"), [too_large]);
}

#[test]
fn a_currency_without_minor_units_is_quoted_and_submitted_as_it_is() {
    let yen = |amount| money(amount, Currency::JPY);
    let bill = [
        drafted_of(yen(10_000), "2026-03-31", "Asia/Tokyo"),
        InvoiceEvent::InvoicePublished { resident_id: RESIDENT, notify: false },
    ];
    let assigned = PropertyEvent::StripeAccountAssigned { stripe_account_id: ACCOUNT };
    let tokyo = state([property_in("Asia/Tokyo", Currency::JPY), assigned]);
    let context = crate::testing::context(Facts { property: Some(tokyo), ..billed(bill) });
    let started = PaymentEvent::PaymentRequested { invoice_id: INVOICE, amount: yen(10_000), autopay_id: None };
    let quoted = quote(None).decide(&Payment::default(), &context);
    let payment: Payment = state(quoted.into_iter().flatten().chain([started]));
    let events = submit().decide(&payment, &context);
    let Ok([PaymentEvent::PaymentSubmitting { request }]) = events.as_deref() else { panic!("{events:?}") };
    assert_eq!((request.amount, request.currency.as_str()), (10_000, "jpy"));
}

#[test]
fn a_quoted_payment_starts_while_the_quote_holds() {
    given([quoted()]).facts(billed(published())).accepts(start(), requested().pop());
    for at in ["2026-03-01T12:30:00Z", "2026-03-02T00:00:00Z"] {
        let late = given([quoted()]).facts(billed(published())).at(instant(at));
        late.refuses(start(), PaymentRefusal::QuoteExpired);
    }
    given([]).refuses(start(), PaymentRefusal::NotFound);
    for over in
        [with(requested(), [canceled(CancelReason::Requested, true)]), with(submitted(), [quarantined(1, "usd")])]
    {
        given(over).refuses(start(), PaymentRefusal::NotOpen);
    }
    for on_its_way in [submitting(), submitted(), succeeded()] {
        given(on_its_way).ignores(start());
    }
}

#[test]
fn the_last_look_decides_when_the_invoice_changed_after_the_quote() {
    let claimed = billed(with(published(), [reserved()]));
    let in_flight = PaymentRefusal::Invoice { why: InvoiceRefusal::PaymentInFlight };
    given([quoted()]).facts(claimed).refuses(start(), in_flight);
    let edited = InvoiceEvent::InvoiceEdited {
        title: crate::testing::from("March"),
        description: None,
        lines: vec![crate::testing::fixtures::line(usd(9_000))],
        total: usd(9_000),
        due_on: crate::testing::fixtures::day("2026-03-31"),
    };
    let less = InvoiceRefusal::MoreThanBalance { balance: usd(9_000) };
    let refusal = PaymentRefusal::Invoice { why: less };
    assert_eq!(refusal.kind(), Kind::Conflict, "the quote was right when it was given");
    given([quoted()]).facts(billed(with(published(), [edited]))).refuses(start(), refusal);
}

#[test]
fn the_intent_is_committed_before_the_call_once() {
    given(requested()).facts(community()).accepts(submit(), submitting().pop());
    given([]).refuses(submit(), PaymentRefusal::NotFound);
    given([quoted()]).facts(community()).ignores(submit());
    let given_up = with(requested(), [canceled(CancelReason::Requested, true)]);
    given(given_up).facts(community()).ignores(submit());
}

#[test]
fn an_unfinished_payment_is_given_up() {
    given([quoted()]).accepts(give_up(), [canceled(CancelReason::Requested, false)]);
    given(requested()).accepts(give_up(), [canceled(CancelReason::Requested, true)]);
    given([]).refuses(give_up(), PaymentRefusal::NotFound);
    given(succeeded()).refuses(give_up(), PaymentRefusal::AlreadyPaid);
    given(with(submitted(), [PaymentEvent::PaymentProcessing { bank: None }]))
        .refuses(give_up(), PaymentRefusal::NotOpen);
    given(with(submitted(), [quarantined(1, "usd")])).refuses(give_up(), PaymentRefusal::AlreadyPaid);
}

#[test]
fn once_stripe_may_have_the_money_it_is_asked_before_anything_is_over() {
    let requested = cancellation(CancelReason::Requested);
    for open in [submitting(), submitted(), with(submitted(), [PaymentEvent::PaymentActionRequired {}])] {
        given(open.clone()).accepts(give_up(), [requested.clone()]);
        given(with(open, [requested.clone()])).ignores(abandon(CancelReason::Expired));
    }
}

#[test]
fn a_payment_that_processed_in_spite_of_a_cancellation_and_failed_can_be_given_up_anew() {
    let failed = PaymentEvent::PaymentDeclined {
        code: "card_declined".into(),
        decline_code: None,
        advice: None,
        charge: Some("ch_9".into()),
        autopay_id: None,
    };
    let asked = cancellation(CancelReason::Requested);
    let story = with(submitted(), [asked, PaymentEvent::PaymentProcessing { bank: None }, failed]);
    given(story).accepts(abandon(CancelReason::Expired), [cancellation(CancelReason::Expired)]);
}

#[test]
fn what_the_invoice_did_not_admit_is_over_and_its_claim_is_closed_to_repeats() {
    given(requested()).accepts(abandon(not_reserved()), [canceled(not_reserved(), true)]);
    for later in [submitting(), submitted(), succeeded()] {
        given(later).ignores(abandon(not_reserved()));
    }
}

#[test]
fn what_stripe_refused_is_over_and_its_claim_with_it() {
    given(submitting()).accepts(abandon(rejected()), [canceled(rejected(), true)]);
    given(requested()).accepts(abandon(rejected()), [canceled(rejected(), true)]);
    given(succeeded()).ignores(abandon(rejected()));
    given(with(submitted(), [PaymentEvent::PaymentProcessing { bank: None }])).ignores(abandon(CancelReason::Expired));
    given([quoted()]).accepts(abandon(CancelReason::Expired), [canceled(CancelReason::Expired, false)]);
    given([]).refuses(abandon(rejected()), PaymentRefusal::NotFound);
}

#[test]
fn a_lost_answer_is_unknown_and_never_a_failure() {
    let unknown = |cause| RecordPaymentUnknown { payment_id: PAYMENT, cause };
    for cause in [UnknownCause::TimedOut, UnknownCause::Undecodable, UnknownCause::Interrupted] {
        given(submitting()).accepts(unknown(cause), [PaymentEvent::PaymentOutcomeUnknown { cause }]);
    }
    let lost = with(submitting(), [PaymentEvent::PaymentOutcomeUnknown { cause: UnknownCause::TimedOut }]);
    let payment = state::<Payment>(lost.clone());
    assert!(payment.unknown && payment.holds_claim());
    let found = state::<Payment>(with(lost, [bound()]));
    assert!(!found.unknown && found.holds_claim());
    given(submitted()).ignores(unknown(UnknownCause::TimedOut));
    given(succeeded()).ignores(unknown(UnknownCause::TimedOut));
    given([]).refuses(unknown(UnknownCause::TimedOut), PaymentRefusal::NotFound);
}
