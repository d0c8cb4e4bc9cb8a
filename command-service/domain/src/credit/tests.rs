//! What residents have in credit, and what of it is used.

use events::{Currency, InvoiceEvent};
use proptest::prelude::*;

use super::*;
use crate::testing::{
    fixtures::{INVOICE, PAYMENT, PROPERTY, RESIDENT, community, credit, money, usd, with},
    from, given, state,
};

const GRANT: GrantId = GrantId(Uuid::from_u128(0x90));
const OTHER_INVOICE: InvoiceId = InvoiceId(Uuid::from_u128(0x41));

fn grant(amount: i64) -> GrantCredit {
    GrantCredit {
        property_id: PROPERTY,
        resident_id: RESIDENT,
        grant_id: GRANT,
        amount: usd(amount),
        note: from("The pool was closed"),
    }
}

fn add(number: u32, amount: i64) -> AddCredit {
    AddCredit {
        credit_id: credit(),
        property_id: PROPERTY,
        resident_id: RESIDENT,
        invoice_id: INVOICE,
        payment_id: PAYMENT,
        number,
        amount: usd(amount),
    }
}

fn spend(invoice_id: InvoiceId, amount: i64) -> SpendCredit {
    SpendCredit { credit_id: credit(), invoice_id, amount: usd(amount) }
}

fn give_back(number: u32) -> ReturnCredit {
    ReturnCredit { credit_id: credit(), number }
}

fn added(amount: i64, balance: i64, source: CreditSource) -> CreditEvent {
    CreditEvent::CreditAdded {
        property_id: PROPERTY,
        resident_id: RESIDENT,
        amount: usd(amount),
        balance: usd(balance),
        source,
    }
}

fn granted(amount: i64) -> CreditEvent {
    added(amount, amount, CreditSource::Granted { grant_id: GRANT, note: from("The pool was closed") })
}

const fn overpaid(number: u32) -> CreditSource {
    CreditSource::Overpayment { invoice_id: INVOICE, payment_id: PAYMENT, number }
}

const fn returned(number: u32) -> CreditSource {
    CreditSource::Returned { invoice_id: INVOICE, number }
}

fn spent(number: u32, invoice_id: InvoiceId, asked: i64, amount: i64, balance: i64) -> CreditEvent {
    CreditEvent::CreditSpent { number, invoice_id, asked: usd(asked), amount: usd(amount), balance: usd(balance) }
}

#[test]
fn a_gift_is_given_once() {
    given([]).facts(community()).accepts(grant(2_500), [granted(2_500)]);
    given([granted(2_500)]).facts(community()).refuses(grant(2_501), CreditRefusal::GrantIdTaken);
    let another = GrantCredit { grant_id: GrantId(Uuid::from_u128(0x91)), ..grant(500) };
    let source = CreditSource::Granted { grant_id: another.grant_id, note: from("The pool was closed") };
    given([granted(2_500)]).facts(community()).accepts(another, [added(500, 3_000, source)]);
}

#[test]
fn a_gift_is_for_somebody_who_lives_there_and_in_their_currency() {
    let nobody = Facts { resident: None, ..community() };
    given([]).facts(nobody).refuses(grant(2_500), CreditRefusal::NoSuchResident);
    let nowhere = Facts { property: None, ..community() };
    given([]).facts(nowhere).refuses(grant(2_500), CreditRefusal::NoSuchProperty);
    let euros = GrantCredit { amount: money(2_500, Currency::EUR), ..grant(1) };
    given([]).facts(community()).refuses(euros, CreditRefusal::WrongCurrency { expected: Currency::USD });
    for none in [0, -1] {
        given([]).facts(community()).refuses(grant(none), CreditRefusal::NotPositive);
    }
    given([]).facts(community()).refuses(grant(80_000_000), CreditRefusal::TooMuch);
    assert_eq!(grant(1).scope(&Credit::default()), Scope::property(PROPERTY));
    assert_eq!(state::<Credit>([granted(1)]).scope(), Scope::property(PROPERTY).and_resident(RESIDENT));
}

#[test]
fn an_overpayment_is_credited_once_by_its_number() {
    given([]).accepts(add(1, 2_000), [added(2_000, 2_000, overpaid(1))]);
    let once = [added(2_000, 2_000, overpaid(1))];
    given(once.clone()).accepts(add(2, 2_000), [added(2_000, 4_000, overpaid(2))]);
    let elsewhere = AddCredit { resident_id: ResidentId(Uuid::from_u128(9)), ..add(3, 1) };
    given(once).refuses(elsewhere, CreditRefusal::NotTheirs);
    given([]).refuses(add(1, 0), CreditRefusal::NotPositive);
}

#[test]
fn as_much_is_spent_as_there_is() {
    given([granted(2_500)]).accepts(spend(INVOICE, 10_000), [spent(1, INVOICE, 10_000, 2_500, 0)]);
    given([granted(2_500)]).accepts(spend(INVOICE, 1_000), [spent(1, INVOICE, 1_000, 1_000, 1_500)]);
    given([]).ignores(spend(INVOICE, 10_000));
    given([granted(2_500), spent(1, INVOICE, 2_500, 2_500, 0)]).ignores(spend(OTHER_INVOICE, 1));
    given([granted(2_500)]).refuses(spend(INVOICE, 0), CreditRefusal::NotPositive);
    let euros = SpendCredit { amount: money(1, Currency::EUR), ..spend(INVOICE, 1) };
    given([granted(2_500)]).refuses(euros, CreditRefusal::WrongCurrency { expected: Currency::USD });
}

#[test]
fn what_is_on_its_way_to_an_invoice_is_not_sent_again() {
    let on_its_way = vec![granted(2_500), spent(1, INVOICE, 1_000, 1_000, 1_500)];
    given(on_its_way.clone()).ignores(spend(INVOICE, 1_000));
    given(on_its_way.clone()).accepts(spend(OTHER_INVOICE, 1_000), [spent(2, OTHER_INVOICE, 1_000, 1_000, 500)]);
    // Another balance: it does not know of the first yet.
    given(on_its_way.clone()).ignores(spend(INVOICE, 400));
    given(on_its_way.clone()).facts(reached(1)).accepts(spend(INVOICE, 400), [spent(2, INVOICE, 400, 400, 1_100)]);
    let back = with(on_its_way, [added(1_000, 2_500, returned(1))]);
    given(back).accepts(spend(INVOICE, 1_000), [spent(2, INVOICE, 1_000, 1_000, 1_500)]);
}

/// The invoice has what was spent under this number.
fn reached(number: u32) -> Facts {
    let (resident_id, amount) = (RESIDENT, usd(1_000));
    let applied = InvoiceEvent::CreditApplied { credit_id: credit(), number, resident_id, amount, balance: usd(1_000) };
    Facts { invoice: Some(state([applied])), ..Facts::default() }
}

#[test]
fn more_is_spent_on_the_same_balance_once_the_first_has_arrived() {
    // 100 less 40, raised by 40, and credit again.
    let first = vec![granted(4_000), spent(1, INVOICE, 10_000, 4_000, 0), added(2_500, 2_500, overpaid(1))];
    given(first.clone()).facts(reached(2)).ignores(spend(INVOICE, 10_000));
    given(first).facts(reached(1)).accepts(spend(INVOICE, 10_000), [spent(2, INVOICE, 10_000, 2_500, 0)]);
}

#[test]
fn what_an_invoice_did_not_take_comes_back_once() {
    let on_its_way = vec![granted(2_500), spent(1, INVOICE, 1_000, 1_000, 1_500)];
    given(on_its_way.clone()).accepts(give_back(1), [added(1_000, 2_500, returned(1))]);
    let spent_anew = with(on_its_way, [added(1_000, 2_500, returned(1)), spent(2, INVOICE, 1_000, 1_000, 1_500)]);
    given(spent_anew.clone()).ignores(give_back(1));
    let credit = state::<Credit>(spent_anew);
    assert!(credit.was_returned(1) && !credit.was_returned(2));
    given([granted(2_500)]).refuses(give_back(1), CreditRefusal::NoSuchSpending);
    given([]).refuses(give_back(1), CreditRefusal::NoSuchSpending);
}

#[derive(Debug, Clone)]
enum Ask {
    Grant(u8, i64),
    Add(u32, i64),
    Spend(u8, i64),
    Return(u32),
}

fn asks() -> impl Strategy<Value = Ask> {
    prop_oneof![
        (0..4_u8, 1..5_000_i64).prop_map(|(id, amount)| Ask::Grant(id, amount)),
        (1..6_u32, 1..5_000_i64).prop_map(|(number, amount)| Ask::Add(number, amount)),
        (0..3_u8, 1..5_000_i64).prop_map(|(invoice, amount)| Ask::Spend(invoice, amount)),
        (1..8_u32).prop_map(Ask::Return),
    ]
}

fn decide(ask: &Ask, state: &Credit) -> Decision<Credit> {
    let context = crate::testing::context(community());
    match *ask {
        Ask::Grant(id, amount) => {
            GrantCredit { grant_id: GrantId(Uuid::from_u128(u128::from(id))), ..grant(amount) }.decide(state, &context)
        }
        Ask::Add(number, amount) => add(number, amount).decide(state, &context),
        Ask::Spend(invoice, amount) => {
            spend(InvoiceId(Uuid::from_u128(u128::from(invoice))), amount).decide(state, &context)
        }
        Ask::Return(number) => give_back(number).decide(state, &context),
    }
}

proptest! {
    #[test]
    fn no_more_is_spent_than_came_in_and_a_repeat_spends_nothing(asks in proptest::collection::vec(asks(), 1..40)) {
        let mut credit = Credit::default();
        let (mut came, mut went) = (0, 0);
        for ask in asks {
            let Ok(events) = decide(&ask, &credit) else { continue };
            for event in &events {
                credit.evolve(event);
                match event {
                    CreditEvent::CreditAdded { amount, .. } => came += amount.amount(),
                    CreditEvent::CreditSpent { amount, .. } => went += amount.amount(),
                }
            }
            prop_assert!(went <= came);
            prop_assert_eq!(credit.balance.map_or(0, Money::amount), came - went);
            prop_assert_eq!(decide(&ask, &credit), Ok(vec![]), "{:?} asked again", ask);
        }
    }
}
