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
    Dispute(u8, u8, i64),
    Reinstate(u8, u8, i64),
    Credit(u32, i64),
    WriteOff,
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
        2 => (payment.clone(), 0..3_u8, 0..5_000_i64).prop_map(|(payment, refund, amount)| Ask::Reverse(payment, refund, amount)),
        2 => (payment.clone(), 0..2_u8, 0..5_000_i64).prop_map(|(payment, id, amount)| Ask::Dispute(payment, id, amount)),
        2 => (payment, 0..2_u8, 0..5_000_i64).prop_map(|(payment, id, amount)| Ask::Reinstate(payment, id, amount)),
        2 => (1..5_u32, -5..6_000_i64).prop_map(|(number, amount)| Ask::Credit(number, amount)),
        1 => Just(Ask::WriteOff),
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
    // Overdue, so that everything is possible; edits keep the due day.
    let now = instant("2026-04-15T12:00:00Z");
    let context = Context { now, ..crate::testing::context(Facts::default()) };
    match *ask {
        Ask::Reserve(id, amount) => reserve(payment(id), amount).decide(state, &context),
        Ask::Release(id) => release(payment(id)).decide(state, &context),
        Ask::Apply(id, amount) => apply(payment(id), amount).decide(state, &context),
        // Half of the people tick the box for the excess.
        Ask::Offline(id, amount) => {
            let excess_to_credit = amount % 2 == 0;
            RecordOfflinePayment { excess_to_credit, ..offline(payment(id), amount) }.decide(state, &context)
        }
        Ask::Correct(id) => correct(payment(id)).decide(state, &context),
        Ask::Reverse(id, of, amount) => {
            ReversePayment { payment_id: payment(id), ..reverse(refund(of), amount) }.decide(state, &context)
        }
        Ask::Dispute(id, of, amount) => {
            let command = super::disputes::dispute(payment(id), &format!("dp_{of}"), amount);
            command.decide(state, &context)
        }
        Ask::Reinstate(id, of, amount) => {
            let command = super::disputes::reinstate(payment(id), &format!("dp_{of}"), amount);
            command.decide(state, &context)
        }
        Ask::Credit(number, amount) => super::credits::credit(number, amount).decide(state, &context),
        Ask::WriteOff => super::write_offs::write_off().decide(state, &context),
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
    overpaid: i64,
    credited: i64,
    written_off: i64,
    credits: BTreeSet<u32>,
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
            InvoiceEvent::PaymentReinstated { amount, balance, .. }
            | InvoiceEvent::RefundUndone { amount, balance, .. } => {
                self.reversed -= amount.amount();
                Some(*balance)
            }
            InvoiceEvent::OverpaymentCredited { amount, balance, .. } => {
                self.overpaid += amount.amount();
                Some(*balance)
            }
            InvoiceEvent::CreditApplied { number, amount, balance, .. } => {
                assert!(self.credits.insert(*number), "credit is booked once");
                self.credited += amount.amount();
                Some(*balance)
            }
            InvoiceEvent::InvoiceWrittenOff { amount, .. } => {
                self.written_off = amount.amount();
                Some(*amount)
            }
            InvoiceEvent::WriteOffUndone {} => {
                self.written_off = 0;
                None
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
                prop_assert!(!matches!(ask, Ask::Apply(..)), "money that Stripe has is never refused: {:?}", ask);
                continue;
            };
            for event in &events {
                let stated = books.enter(event);
                state.evolve(event);
                if let Some(stated) = stated {
                    prop_assert_eq!(Ok(stated), state.balance());
                }
            }
            let balance = books.total - books.applied + books.reversed + books.overpaid - books.credited;
            prop_assert_eq!(state.balance().map(Money::amount), Ok(balance));
            prop_assert!(balance >= 0, "what is beyond the balance is credit: {}", balance);
            prop_assert!(books.written_off == 0 || books.written_off == balance, "all that is left, or nothing");
            prop_assert_eq!(state.written_off.is_some(), books.written_off > 0);
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
