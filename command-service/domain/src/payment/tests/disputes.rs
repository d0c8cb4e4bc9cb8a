//! The payer's bank takes the money back: once, and once decided.

use proptest::prelude::*;

use super::*;
use crate::refund::{RecordRefund, RefundPayment, RefundReport};

fn dispute(dispute: &str, amount: i64, state: DisputeState) -> RecordDispute {
    RecordDispute {
        payment_id: PAYMENT,
        dispute: dispute.into(),
        amount,
        currency: "usd".into(),
        reason: "fraudulent".into(),
        state,
        returned: false,
    }
}

fn disputed(dispute: &str, amount: i64, reversed: i64) -> PaymentEvent {
    PaymentEvent::PaymentDisputed {
        dispute: dispute.into(),
        invoice_id: INVOICE,
        property_id: PROPERTY,
        stripe_account_id: ACCOUNT,
        amount: usd(amount),
        reversed: usd(reversed),
        reason: "fraudulent".into(),
        returned: false,
        autopay_id: None,
    }
}

fn closed(dispute: &str, won: bool, amount: i64, reversed: i64) -> PaymentEvent {
    PaymentEvent::PaymentDisputeClosed {
        dispute: dispute.into(),
        invoice_id: INVOICE,
        won,
        amount: usd(amount),
        reversed: usd(reversed),
    }
}

fn open() -> Vec<PaymentEvent> {
    with(succeeded(), [disputed("dp_1", 10_383, 10_000)])
}

use crate::testing::fixtures::{OTHER_REFUND, REFUND};

fn refund(amount: Option<i64>) -> RefundPayment {
    RefundPayment { payment_id: PAYMENT, refund_id: REFUND, amount: amount.map(usd), note: None }
}

#[test]
fn a_dispute_takes_the_invoices_part_first_and_gives_it_back_when_it_is_won() {
    given(succeeded()).accepts(dispute("dp_1", 10_383, DisputeState::Open), [disputed("dp_1", 10_383, 10_000)]);
    given(succeeded()).accepts(dispute("dp_1", 4_000, DisputeState::Open), [disputed("dp_1", 4_000, 4_000)]);
    given(open()).accepts(dispute("dp_1", 10_383, DisputeState::Won), [closed("dp_1", true, 10_383, 10_000)]);
    given(open()).accepts(dispute("dp_1", 10_383, DisputeState::Lost), [closed("dp_1", false, 10_383, 0)]);
}

#[test]
fn a_decision_that_is_the_first_news_tells_the_whole_story() {
    for (state, won, back) in [(DisputeState::Lost, false, 0), (DisputeState::Won, true, 10_000)] {
        let story = [disputed("dp_1", 10_383, 10_000), closed("dp_1", won, 10_383, back)];
        given(succeeded()).accepts(dispute("dp_1", 10_383, state), story);
    }
}

#[test]
fn what_was_decided_stays_decided() {
    for over in [closed("dp_1", true, 10_383, 10_000), closed("dp_1", false, 10_383, 0)] {
        for stale in [DisputeState::Open, DisputeState::Won, DisputeState::Lost] {
            given(with(open(), [over.clone()])).ignores(dispute("dp_1", 10_383, stale));
        }
    }
    // Stripe may tell another amount later: what was booked stands until it is decided.
    given(open()).ignores(dispute("dp_1", 9_999, DisputeState::Open));
    given(open()).accepts(dispute("dp_1", 9_999, DisputeState::Lost), [closed("dp_1", false, 10_383, 0)]);
}

#[test]
fn a_returned_bank_debit_names_its_code_and_its_autopay() {
    let PaymentEvent::PaymentDisputed {
        dispute: id, invoice_id, property_id, stripe_account_id, amount, reversed, ..
    } = disputed("du_1", 10_383, 10_000)
    else {
        panic!("a dispute")
    };
    let back = PaymentEvent::PaymentDisputed {
        dispute: id,
        invoice_id,
        property_id,
        stripe_account_id,
        amount,
        reversed,
        reason: "insufficient_funds".into(),
        returned: true,
        autopay_id: Some(crate::testing::fixtures::AUTOPAY),
    };
    let command = RecordDispute {
        reason: "insufficient_funds".into(),
        returned: true,
        ..dispute("du_1", 10_383, DisputeState::Lost)
    };
    let charged = super::autopay::succeeded_by_bank();
    given(charged).accepts(command, [back, closed("du_1", false, 10_383, 0)]);
}

#[test]
fn only_what_succeeded_is_disputed() {
    let command = || dispute("dp_1", 10_383, DisputeState::Open);
    given([]).refuses(command(), PaymentRefusal::NotFound);
    for early in [requested(), submitted(), with(submitted(), [PaymentEvent::PaymentProcessing { bank: None }])] {
        given(early).refuses(command(), PaymentRefusal::NothingToDispute);
    }
    given(with(submitted(), [quarantined(1, "usd")])).ignores(command());
    let euros = RecordDispute { currency: "eur".into(), ..command() };
    given(succeeded()).refuses(euros, PaymentRefusal::OtherCurrency);
    given(succeeded()).refuses(dispute("dp_1", 0, DisputeState::Open), PaymentRefusal::NothingToDispute);
}

#[test]
fn disputed_money_is_not_refunded_as_well() {
    given(open()).refuses(refund(None), PaymentRefusal::Disputed);
    let lost = with(open(), [closed("dp_1", false, 10_383, 0)]);
    given(lost).refuses(refund(None), PaymentRefusal::MoreThanLeft { left: usd(0) });
    let part = with(succeeded(), [disputed("dp_1", 4_000, 4_000), closed("dp_1", false, 4_000, 0)]);
    let rest = PaymentEvent::RefundRequested { refund_id: REFUND, amount: usd(6_383), note: None };
    given(part).accepts(refund(None), [rest]);
    let won = with(open(), [closed("dp_1", true, 10_383, 10_000)]);
    let all = PaymentEvent::RefundRequested { refund_id: REFUND, amount: usd(10_383), note: None };
    given(won).accepts(refund(None), [all]);
}

#[test]
fn a_refund_that_a_dispute_overtook_takes_nothing_more_from_the_invoice() {
    let asked = PaymentEvent::RefundRequested { refund_id: REFUND, amount: usd(10_383), note: None };
    let under_way = with(succeeded(), [asked, disputed("dp_1", 10_383, 10_000)]);
    let report = RefundReport::Succeeded { refund: "re_1".into() };
    let done = PaymentEvent::RefundSucceeded {
        refund_id: REFUND,
        invoice_id: INVOICE,
        amount: usd(10_383),
        reversed: usd(0),
        refund: "re_1".into(),
    };
    let command = RecordRefund { payment_id: PAYMENT, refund_id: REFUND, report };
    given(under_way).accepts(command, [done]);
}

#[derive(Debug, Clone)]
enum Word {
    Dispute(u8, i64, DisputeState),
    Refund(u8, Option<i64>),
    Refunded(u8, bool),
}

fn words() -> impl Strategy<Value = Word> {
    let state = prop_oneof![Just(DisputeState::Open), Just(DisputeState::Won), Just(DisputeState::Lost)];
    prop_oneof![
        (0..3_u8, 1..12_000_i64, state).prop_map(|(id, amount, state)| Word::Dispute(id, amount, state)),
        (0..2_u8, proptest::option::of(1..6_000_i64)).prop_map(|(id, amount)| Word::Refund(id, amount)),
        (0..2_u8, any::<bool>()).prop_map(|(id, good)| Word::Refunded(id, good)),
    ]
}

fn said(word: &Word, payment: &Payment) -> crate::Decision<Payment> {
    let context = crate::testing::context(Facts::default());
    let refund_id = |id: u8| if id == 0 { REFUND } else { OTHER_REFUND };
    match *word {
        Word::Dispute(id, amount, state) => dispute(&format!("dp_{id}"), amount, state).decide(payment, &context),
        Word::Refund(id, amount) => {
            RefundPayment { refund_id: refund_id(id), ..refund(amount) }.decide(payment, &context)
        }
        Word::Refunded(id, good) => {
            let report = if good {
                RefundReport::Succeeded { refund: "re_1".into() }
            } else {
                RefundReport::Failed { code: "declined".into(), refund: None }
            };
            RecordRefund { payment_id: PAYMENT, refund_id: refund_id(id), report }.decide(payment, &context)
        }
    }
}

proptest! {
    #[test]
    fn the_invoice_never_loses_more_than_it_got(words in proptest::collection::vec(words(), 1..25)) {
        let mut payment = state::<Payment>(succeeded());
        let mut on_invoice = 10_000;
        let mut opened = std::collections::BTreeSet::new();
        let mut over = std::collections::BTreeSet::new();
        for word in words {
            let Ok(events) = said(&word, &payment) else { continue };
            for event in &events {
                payment.evolve(event);
                match event {
                    PaymentEvent::PaymentDisputed { dispute, reversed, .. } => {
                        prop_assert!(opened.insert(dispute.clone()), "opened once");
                        on_invoice -= reversed.amount();
                    }
                    PaymentEvent::PaymentDisputeClosed { dispute, won, reversed, .. } => {
                        prop_assert!(over.insert(dispute.clone()), "decided once");
                        prop_assert!(*won || reversed.is_zero());
                        on_invoice += reversed.amount();
                    }
                    PaymentEvent::RefundSucceeded { reversed, .. } => on_invoice -= reversed.amount(),
                    _ => {}
                }
                prop_assert!((0..=10_000).contains(&on_invoice), "{} on the invoice", on_invoice);
            }
            prop_assert_eq!(payment.on_invoice().map(Money::amount), Ok(on_invoice));
            prop_assert_eq!(said(&word, &payment), Ok(vec![]), "{:?} asked again", word);
        }
    }
}

#[test]
fn what_a_refund_took_while_a_dispute_was_open_does_not_come_back_when_it_is_won() {
    let asked = |amount| PaymentEvent::RefundRequested { refund_id: REFUND, amount: usd(amount), note: None };
    let refunded = |amount, reversed| PaymentEvent::RefundSucceeded {
        refund_id: REFUND,
        invoice_id: INVOICE,
        amount: usd(amount),
        reversed: usd(reversed),
        refund: "re_1".into(),
    };
    let won = dispute("dp_1", 10_383, DisputeState::Won);
    // Asked for before, it succeeds while nothing is on the invoice: wholly, and in part.
    for (amount, back) in [(10_383, 0), (10_000, 0), (4_000, 6_000)] {
        let taken = with(succeeded(), [asked(amount), disputed("dp_1", 10_383, 10_000), refunded(amount, 0)]);
        given(taken.clone()).accepts(won.clone(), [closed("dp_1", true, 10_383, back)]);
        let over = state::<Payment>(with(taken, [closed("dp_1", true, 10_383, back)]));
        assert_eq!(over.on_invoice(), Ok(usd(back)));
    }
    // One that succeeded before took its part then.
    let before = with(succeeded(), [asked(4_000), refunded(4_000, 4_000), disputed("dp_1", 6_383, 6_000)]);
    given(before).accepts(dispute("dp_1", 6_383, DisputeState::Won), [closed("dp_1", true, 6_383, 6_000)]);
}
