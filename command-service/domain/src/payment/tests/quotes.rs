//! What paying costs, told before paying.

use events::payment::FeeWaiver;

use super::*;

const TOKEN: &str = "ctoken_1NnQUf2eZvKYlo2CIObdtbnb";

fn shown() -> QuotePayment {
    QuotePayment { confirmation_token: Some(TOKEN.into()), ..quote(None) }
}

fn previewed() -> PaymentEvent {
    PaymentEvent::PaymentPreviewRequested {
        invoice_id: INVOICE,
        property_id: PROPERTY,
        resident_id: RESIDENT,
        stripe_account_id: ACCOUNT,
        amount: usd(10_000),
        confirmation_token: TOKEN.into(),
    }
}

pub(super) fn seen(funding: &str) -> RecordPreview {
    RecordPreview {
        payment_id: PAYMENT,
        kind: PaymentMethodKind::Card,
        funding: Some(funding.into()),
        card: None,
        bank: None,
    }
}

fn fail() -> FailPreview {
    FailPreview { payment_id: PAYMENT, code: "payment_method_unsupported".into() }
}

/// A price for what was shown.
fn offer(fee: i64, method: PaymentMethodKind, funding: Option<&str>, waiver: Option<FeeWaiver>) -> PaymentEvent {
    let fees = FeePolicy { mode: FeeMode::PassToResident, ..FeePolicy::STANDARD };
    PaymentEvent::PaymentQuoted {
        invoice_id: INVOICE,
        property_id: PROPERTY,
        resident_id: RESIDENT,
        stripe_account_id: ACCOUNT,
        method,
        amount: usd(10_000),
        fee: usd(fee),
        total: usd(10_000 + fee),
        fees,
        mode: fees.mode,
        expires_at: instant("2026-03-01T12:30:00Z"),
        confirmation_token: Some(TOKEN.into()),
        funding: funding.map(Into::into),
        waiver,
        autopay_id: None,
    }
}

fn passing_on() -> Facts {
    Facts { property: Some(state(passing())), ..billed(published()) }
}

#[test]
fn what_a_card_costs_is_found_out_from_the_card() {
    given([]).facts(passing_on()).refuses(quote(None), PaymentRefusal::NeedsToken);
    given([]).facts(passing_on()).accepts(shown(), [previewed()]);
    given([]).facts(billed(published())).accepts(shown(), [previewed()]);
}

#[test]
fn a_bank_debit_costs_the_same_whatever_the_account() {
    let by_bank = QuotePayment { kind: PaymentMethodKind::BankDebit, ..quote(None) };
    let PaymentEvent::PaymentQuoted { fees, mode, .. } = offer(0, PaymentMethodKind::BankDebit, None, None) else {
        panic!("an offer is a quote")
    };
    let quoted = PaymentEvent::PaymentQuoted {
        invoice_id: INVOICE,
        property_id: PROPERTY,
        resident_id: RESIDENT,
        stripe_account_id: ACCOUNT,
        method: PaymentMethodKind::BankDebit,
        amount: usd(10_000),
        fee: usd(101),
        total: usd(10_101),
        fees,
        mode,
        expires_at: instant("2026-03-01T12:30:00Z"),
        confirmation_token: None,
        funding: None,
        waiver: None,
        autopay_id: None,
    };
    given([]).facts(passing_on()).accepts(by_bank, [quoted.clone()]);
    given([quoted]).facts(passing_on()).refuses(quote(None), PaymentRefusal::QuotedOtherwise);
}

#[test]
fn the_fee_follows_from_what_was_shown() {
    let card = PaymentMethodKind::Card;
    given([previewed()]).facts(passing_on()).accepts(seen("credit"), [offer(383, card, Some("credit"), None)]);
    for funding in ["debit", "prepaid"] {
        let waiver = Some(FeeWaiver::Funding { funding: funding.into() });
        given([previewed()]).facts(passing_on()).accepts(seen(funding), [offer(0, card, Some(funding), waiver)]);
    }
    let by_bank = RecordPreview { kind: PaymentMethodKind::BankDebit, funding: None, ..seen("credit") };
    let offered = offer(101, PaymentMethodKind::BankDebit, None, None);
    given([previewed()]).facts(passing_on()).accepts(by_bank, [offered]);
    let summary = events::payment::CardSummary {
        brand: "visa".into(),
        last4: "4242".into(),
        exp_month: 12,
        exp_year: 2030,
        funding: "credit".into(),
    };
    let told_by_summary = RecordPreview { funding: None, card: Some(summary), ..seen("credit") };
    given([previewed()]).facts(passing_on()).accepts(told_by_summary, [offer(383, card, Some("credit"), None)]);
}

#[test]
fn a_ban_begins_and_ends_with_the_day_at_the_property() {
    let ban = events::property::SurchargeBan {
        region: "NY".into(),
        from: crate::testing::fixtures::day("2026-03-08"),
        until: Some(crate::testing::fixtures::day("2026-11-01")),
    };
    let surcharges = events::property::SurchargePolicy { cap_basis_points: None, forbidden: vec![ban] };
    let fee = |at: &str| {
        let changed = PropertyEvent::SurchargePolicyChanged { surcharges: surcharges.clone() };
        let facts = Facts { property: Some(state(with(passing(), [changed]))), ..billed(published()) };
        let context = Context { now: instant(at), ..crate::testing::context(facts) };
        let events = seen("credit").decide(&state([previewed()]), &context);
        let Ok([PaymentEvent::PaymentQuoted { fee, waiver, .. }]) = events.as_deref() else { panic!("{events:?}") };
        assert_eq!(waiver.is_some(), fee.is_zero());
        fee.amount()
    };
    // Winter time until 8 March, 2:00; summer time until 1 November, 2:00.
    assert_eq!(fee("2026-03-08T04:59:59Z"), 383);
    assert_eq!(fee("2026-03-08T05:00:00Z"), 0);
    assert_eq!(fee("2026-11-01T03:59:59Z"), 0);
    assert_eq!(fee("2026-11-01T04:00:00Z"), 383);
}

#[test]
fn a_property_that_says_nothing_receives_what_it_billed() {
    let assigned = PropertyEvent::StripeAccountAssigned { stripe_account_id: ACCOUNT };
    let fees = FeePolicy { mode: FeeMode::PassToResident, ..FeePolicy::STANDARD };
    let passing = [property(), assigned, PropertyEvent::FeePolicyChanged { fees }];
    let facts = Facts { property: Some(state(passing)), ..billed(published()) };
    let offered = offer(383, PaymentMethodKind::Card, Some("credit"), None);
    given([previewed()]).facts(facts).accepts(seen("credit"), [offered]);
}

#[test]
fn one_look_gives_one_price() {
    let offered = offer(383, PaymentMethodKind::Card, Some("credit"), None);
    given([previewed()]).facts(passing_on()).ignores(shown());
    given([previewed(), offered.clone()]).facts(passing_on()).ignores(shown());
    given([previewed(), offered.clone()]).facts(passing_on()).ignores(seen("debit"));
    given([previewed(), offered]).ignores(fail());
    let other = QuotePayment { confirmation_token: Some("ctoken_2".into()), ..quote(None) };
    given([previewed()]).facts(passing_on()).refuses(other, PaymentRefusal::QuotedOtherwise);
    let other = QuotePayment { amount: Some(usd(9_999)), ..shown() };
    given([previewed()]).facts(passing_on()).refuses(other, PaymentRefusal::QuotedOtherwise);
    given([]).refuses(seen("credit"), PaymentRefusal::NotFound);
    given([]).refuses(fail(), PaymentRefusal::NotFound);
}

#[test]
fn without_a_price_nothing_starts() {
    given([previewed()]).refuses(start(), PaymentRefusal::NoPriceYet);
    let failed = PaymentEvent::PaymentPreviewFailed { code: "payment_method_unsupported".into() };
    given([previewed()]).accepts(fail(), [failed.clone()]);
    given([previewed(), failed.clone()]).refuses(start(), PaymentRefusal::CannotBePaidWith);
    given([previewed(), failed.clone()]).facts(passing_on()).ignores(seen("credit"));
    given([previewed(), failed]).ignores(give_up());
    given([previewed()]).accepts(give_up(), [canceled(CancelReason::Requested, false)]);
    let given_up = [previewed(), canceled(CancelReason::Requested, false)];
    given(given_up.clone()).refuses(start(), PaymentRefusal::NotOpen);
    given(given_up).facts(passing_on()).ignores(seen("credit"));
}

#[test]
fn only_what_was_quoted_for_is_charged() {
    let offered = offer(383, PaymentMethodKind::Card, Some("credit"), None);
    let requested = PaymentEvent::PaymentRequested { invoice_id: INVOICE, amount: usd(10_000), autopay_id: None };
    let events = submit().decide(&state([previewed(), offered, requested]), &crate::testing::context(community()));
    let Ok([PaymentEvent::PaymentSubmitting { request }]) = events.as_deref() else { panic!("{events:?}") };
    assert_eq!((request.confirmation_token.as_deref(), request.amount), (Some(TOKEN), 10_383));
}

#[test]
fn a_price_for_one_card_ends_with_that_card() {
    let bound_to = |event: PaymentEvent| {
        let requested = PaymentEvent::PaymentRequested { invoice_id: INVOICE, amount: usd(10_000), autopay_id: None };
        let mut story = vec![previewed(), event, requested];
        story.extend(submitting().pop());
        with(story, [bound()])
    };
    let why = PaymentEvent::PaymentDeclined {
        code: "card_declined".into(),
        decline_code: Some("insufficient_funds".into()),
        advice: Some("try_again_later".into()),
        charge: Some("ch_0".into()),
        autopay_id: None,
    };
    let ends = cancellation(CancelReason::Declined { code: "insufficient_funds".into() });
    let declined = intents::refused("ch_0");
    let priced = offer(383, PaymentMethodKind::Card, Some("credit"), None);
    given(bound_to(priced.clone())).accepts(declined.clone(), [why.clone(), ends.clone()]);
    // A second word while the first is being acted on asks for nothing more.
    let ending = with(bound_to(priced), [why.clone(), ends]);
    let again = PaymentEvent::PaymentDeclined {
        code: "card_declined".into(),
        decline_code: Some("insufficient_funds".into()),
        advice: Some("try_again_later".into()),
        charge: Some("ch_2".into()),
        autopay_id: None,
    };
    given(ending).accepts(intents::refused("ch_2"), [again]);
    // Where the property bears the fee, any card costs the same.
    let PaymentEvent::PaymentQuoted {
        invoice_id,
        property_id,
        resident_id,
        stripe_account_id,
        method,
        amount,
        fees,
        expires_at,
        ..
    } = offer(0, PaymentMethodKind::Card, Some("credit"), None)
    else {
        panic!("an offer is a quote")
    };
    let absorbed = PaymentEvent::PaymentQuoted {
        invoice_id,
        property_id,
        resident_id,
        stripe_account_id,
        method,
        amount,
        fee: usd(0),
        total: usd(10_383),
        fees,
        mode: FeeMode::Absorb,
        expires_at,
        confirmation_token: Some(TOKEN.into()),
        funding: Some("credit".into()),
        waiver: None,
        autopay_id: None,
    };
    given(bound_to(absorbed)).accepts(declined, [why]);
}

#[test]
fn a_token_is_stripes_and_never_a_number() {
    for bad in ["", "ctoken_", "4242424242424242", "ctoken_1/2", "ctoken_é", " ctoken_1", "pm_1"] {
        let command = QuotePayment { confirmation_token: Some(bad.into()), ..quote(None) };
        given([]).facts(passing_on()).refuses(command, PaymentRefusal::BadToken);
    }
    let long = format!("ctoken_{}", "1".repeat(249));
    let command = QuotePayment { confirmation_token: Some(long), ..quote(None) };
    given([]).facts(passing_on()).refuses(command, PaymentRefusal::BadToken);
}

#[test]
fn whoever_owes_the_invoice_sees_what_they_asked_the_price_of() {
    assert_eq!(state::<Payment>([previewed()]).scope(), Scope::property(PROPERTY).and_resident(RESIDENT));
    assert_eq!(seen("credit").needs(&state([previewed()]), &Facts::default()), [Need::Property(PROPERTY)]);
}
