//! Whatever is asked in whatever order: the books balance, one claim at most, a repeat changes nothing.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Ask {
    Reserve(u8, i64),
    Release(u8),
    Apply(u8, i64),
    Offline(u8, i64),
    Correct(u8),
    Reverse(u8, u8, i64),
    Edit(i64),
    Void,
}

fn asks() -> impl Strategy<Value = Ask> {
    let payment = 0..4_u8;
    let amount = -50..12_000_i64;
    prop_oneof![
        3 => (payment.clone(), amount.clone()).prop_map(|(payment, amount)| Ask::Reserve(payment, amount)),
        2 => payment.clone().prop_map(Ask::Release),
        3 => (payment.clone(), 1..12_000_i64).prop_map(|(payment, amount)| Ask::Apply(payment, amount)),
        3 => (payment.clone(), amount.clone()).prop_map(|(payment, amount)| Ask::Offline(payment, amount)),
        2 => payment.clone().prop_map(Ask::Correct),
        2 => (payment, 0..3_u8, 0..5_000_i64).prop_map(|(payment, refund, amount)| Ask::Reverse(payment, refund, amount)),
        2 => amount.prop_map(Ask::Edit),
        1 => Just(Ask::Void),
    ]
}

fn payment(index: u8) -> PaymentId {
    PaymentId(Uuid::from_u128(u128::from(index) + 0x100))
}

fn refund(index: u8) -> RefundId {
    RefundId(Uuid::from_u128(u128::from(index) + 0x200))
}

fn decide(ask: &Ask, state: &Invoice) -> Decision<Invoice> {
    let context = crate::testing::context(Facts::default());
    match *ask {
        Ask::Reserve(id, amount) => reserve(payment(id), amount).decide(state, &context),
        Ask::Release(id) => release(payment(id)).decide(state, &context),
        Ask::Apply(id, amount) => apply(payment(id), amount).decide(state, &context),
        Ask::Offline(id, amount) => offline(payment(id), amount).decide(state, &context),
        Ask::Correct(id) => correct(payment(id)).decide(state, &context),
        Ask::Reverse(id, of, amount) => {
            ReversePayment { payment_id: payment(id), ..reverse(refund(of), amount) }.decide(state, &context)
        }
        Ask::Edit(amount) => edit(amount).decide(state, &context),
        Ask::Void => void().decide(state, &context),
    }
}

/// The books as somebody keeps them who only reads the events.
#[derive(Debug, Default)]
struct Books {
    total: i64,
    applied: i64,
    reversed: i64,
    claims: BTreeSet<PaymentId>,
    online: BTreeSet<PaymentId>,
}

impl Books {
    /// Enters an event; answers with the balance that the event itself states.
    fn enter(&mut self, event: &InvoiceEvent) -> Option<Money> {
        match event {
            InvoiceEvent::InvoiceDrafted { total, .. } | InvoiceEvent::InvoiceEdited { total, .. } => {
                self.total = total.amount();
                None
            }
            InvoiceEvent::PaymentReserved { payment_id, .. } => {
                self.claims.insert(*payment_id);
                None
            }
            InvoiceEvent::PaymentReleased { payment_id, .. } => {
                self.claims.remove(payment_id);
                None
            }
            InvoiceEvent::PaymentApplied { payment_id, amount, balance, source, .. } => {
                self.claims.remove(payment_id);
                self.applied += amount.amount();
                if *source == PaymentSource::Online {
                    assert!(self.online.insert(*payment_id), "money is booked once");
                }
                Some(*balance)
            }
            InvoiceEvent::PaymentReversed { amount, balance, .. } => {
                self.reversed += amount.amount();
                Some(*balance)
            }
            InvoiceEvent::InvoiceDiscarded {}
            | InvoiceEvent::InvoicePublished { .. }
            | InvoiceEvent::InvoiceVoided { .. } => None,
        }
    }
}

proptest! {
    #[test]
    fn the_books_balance(asks in proptest::collection::vec(asks(), 1..60)) {
        let (mut books, mut state) = (Books::default(), Invoice::default());
        for event in published() {
            books.enter(&event);
            state.evolve(&event);
        }
        for ask in asks {
            let Ok(events) = decide(&ask, &state) else {
                prop_assert!(!matches!(ask, Ask::Apply(..)), "money that Stripe has is never refused");
                continue;
            };
            for event in &events {
                let stated = books.enter(event);
                state.evolve(event);
                if let Some(stated) = stated {
                    prop_assert_eq!(Ok(stated), state.balance());
                }
            }
            let balance = books.total - books.applied + books.reversed;
            prop_assert_eq!(state.balance().map(Money::amount), Ok(balance));
            prop_assert!(books.claims.len() <= 1, "{:?}", books.claims);
            prop_assert_eq!(books.claims.first().copied(), state.claim.map(|(holder, _)| holder));
            if let Ask::Apply(id, _) = ask {
                prop_assert!(books.online.contains(&payment(id)), "accepted money is in the books");
            }
            if state.phase == Phase::Voided {
                prop_assert!(state.claim.is_none());
            }
            prop_assert_eq!(decide(&ask, &state), Ok(vec![]), "{:?} asked again", ask);
        }
    }
}
