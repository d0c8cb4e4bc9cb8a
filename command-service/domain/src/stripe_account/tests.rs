//! What Stripe says of an account, its payouts, and the books.

use events::{Currency, stripe_account::DifferenceKind};
use proptest::prelude::*;

use super::*;
use crate::testing::{
    fixtures::{ACCOUNT, account, day, instant, money, with},
    from, given, state,
};

fn connect() -> ConnectStripeAccount {
    ConnectStripeAccount { stripe_account_id: ACCOUNT, name: from("Maple Court"), country: from("US") }
}

fn requested() -> StripeAccountEvent {
    StripeAccountEvent::StripeConnectionRequested { name: from("Maple Court"), country: "US".into() }
}

fn record(report: AccountReport) -> RecordStripeAccount {
    RecordStripeAccount { stripe_account_id: ACCOUNT, report }
}

fn seen(account: &str, status: StripeAccountStatus) -> RecordStripeAccount {
    record(AccountReport::Seen { account: account.into(), status })
}

fn disconnected(at_provider: bool) -> StripeAccountEvent {
    StripeAccountEvent::StripeAccountDisconnected { at_provider }
}

#[test]
fn an_account_is_connected_once() {
    given([]).accepts(connect(), [requested()]);
    for other in [
        ConnectStripeAccount { name: from("Pine Court"), ..connect() },
        ConnectStripeAccount { country: from("CA"), ..connect() },
    ] {
        given([requested()]).refuses(other, StripeAccountRefusal::ConnectedOtherwise);
    }
    for bad in ["us", "U", "1A"] {
        let command = ConnectStripeAccount { country: from(bad), ..connect() };
        given([]).refuses(command, StripeAccountRefusal::BadCountry);
    }
}

#[test]
fn stripes_word_is_recorded_when_it_is_news() {
    let status = StripeAccountStatus::OnboardingStarted;
    given([requested()]).accepts(
        seen("acct_1", status),
        [
            StripeAccountEvent::StripeAccountCreated { account: "acct_1".into() },
            StripeAccountEvent::StripeAccountStatusChanged { status },
        ],
    );
    given(account()).ignores(seen("acct_1", StripeAccountStatus::Active));
    let status = StripeAccountStatus::Restricted;
    given(account()).accepts(seen("acct_1", status), [StripeAccountEvent::StripeAccountStatusChanged { status }]);
    given(account()).refuses(seen("acct_2", status), StripeAccountRefusal::OtherAccount);
    given([]).refuses(seen("acct_1", status), StripeAccountRefusal::NotFound);
}

#[test]
fn a_refusal_by_stripe_is_told_once_and_not_of_an_open_account() {
    let refused = |code: &str| record(AccountReport::Refused { code: code.into() });
    let failed = StripeAccountEvent::StripeConnectionFailed { code: "country_unsupported".into() };
    given([requested()]).accepts(refused("country_unsupported"), [failed]);
    given(account()).ignores(refused("country_unsupported"));
}

#[test]
fn an_account_is_given_up_by_either_side_once() {
    let disconnect = DisconnectStripeAccount { stripe_account_id: ACCOUNT };
    given(account()).accepts(disconnect.clone(), [disconnected(false)]);
    given([]).refuses(disconnect, StripeAccountRefusal::NotFound);
    let deauthorized = |account: &str| record(AccountReport::Deauthorized { account: account.into() });
    given(account()).accepts(deauthorized("acct_1"), [disconnected(true)]);
    given(with(account(), [disconnected(false)])).ignores(deauthorized("acct_1"));
    given(account()).refuses(deauthorized("acct_2"), StripeAccountRefusal::OtherAccount);
    let gone = state::<StripeAccount>(with(account(), [disconnected(true)]));
    assert!(gone.exists() && gone.is_disconnected() && !gone.takes_payments());
    assert_eq!((gone.external(), gone.last_external()), (None, Some("acct_1")));
}

#[test]
fn a_reconnected_account_takes_payments_when_stripe_says_so_again() {
    let reconnect = ReconnectStripeAccount { stripe_account_id: ACCOUNT };
    let reconnected = StripeAccountEvent::StripeReconnectionRequested {};
    let gone = with(account(), [disconnected(true)]);
    given(gone.clone()).accepts(reconnect.clone(), [reconnected.clone()]);
    given(account()).ignores(reconnect.clone());
    given([]).refuses(reconnect, StripeAccountRefusal::NotFound);
    let back = with(gone, [reconnected]);
    let waiting = state::<StripeAccount>(back.clone());
    assert!(!waiting.takes_payments());
    assert_eq!(waiting.external(), Some("acct_1"));
    let status = StripeAccountStatus::Active;
    let active = StripeAccountEvent::StripeAccountStatusChanged { status };
    given(back.clone()).accepts(seen("acct_1", status), [active.clone()]);
    assert!(state::<StripeAccount>(with(back, [active])).takes_payments());
}

fn payout(payout: &str, status: PayoutStatus) -> RecordPayout {
    let failure = (status == PayoutStatus::Failed).then(|| "account_closed".to_owned());
    RecordPayout {
        stripe_account_id: ACCOUNT,
        payout: payout.into(),
        amount: money(50_000, Currency::USD),
        status,
        arrives_on: day("2026-03-04"),
        failure,
    }
}

fn paid_out(payout: &str, status: PayoutStatus) -> StripeAccountEvent {
    StripeAccountEvent::PayoutRecorded {
        payout: payout.into(),
        amount: money(50_000, Currency::USD),
        status,
        arrives_on: day("2026-03-04"),
        failure: (status == PayoutStatus::Failed).then(|| "account_closed".to_owned()),
    }
}

const STATUSES: [PayoutStatus; 5] =
    [PayoutStatus::Pending, PayoutStatus::InTransit, PayoutStatus::Paid, PayoutStatus::Canceled, PayoutStatus::Failed];

#[test]
fn a_payout_goes_forward_and_never_back() {
    for (index, status) in STATUSES.into_iter().enumerate() {
        given(account()).accepts(payout("po_1", status), [paid_out("po_1", status)]);
        for earlier in STATUSES.into_iter().take(index) {
            let known = with(account(), [paid_out("po_1", status)]);
            given(known.clone()).ignores(payout("po_1", earlier));
            given(known).accepts(payout("po_2", earlier), [paid_out("po_2", earlier)]);
            let before = with(account(), [paid_out("po_1", earlier)]);
            given(before).accepts(payout("po_1", status), [paid_out("po_1", status)]);
        }
    }
    given([]).refuses(payout("po_1", PayoutStatus::Paid), StripeAccountRefusal::NotFound);
    let failed = with(account(), [paid_out("po_1", PayoutStatus::Paid), paid_out("po_1", PayoutStatus::Failed)]);
    assert_eq!(state::<StripeAccount>(failed).payout("po_1"), Some(PayoutStatus::Failed));
}

fn reconciliation(until: &str, differences: Vec<Difference>) -> RecordReconciliation {
    RecordReconciliation {
        stripe_account_id: ACCOUNT,
        from: instant("2026-02-28T00:00:00Z"),
        until: instant(until),
        compared: 12,
        differences,
    }
}

fn reconciled(until: &str, differences: Vec<Difference>) -> StripeAccountEvent {
    StripeAccountEvent::AccountReconciled {
        from: instant("2026-02-28T00:00:00Z"),
        until: instant(until),
        compared: 12,
        differences,
    }
}

fn difference(reference: &str) -> Difference {
    let seen = Some(money(10_383, Currency::USD));
    Difference { kind: DifferenceKind::NotBooked, reference: reference.into(), booked: None, seen }
}

#[test]
fn a_comparison_is_recorded_once_and_again_when_it_shows_something_else() {
    let (first, second) = ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z");
    given(account()).accepts(reconciliation(first, vec![]), [reconciled(first, vec![])]);
    let once = with(account(), [reconciled(first, vec![])]);
    let found = vec![difference("ch_1")];
    given(once.clone()).accepts(reconciliation(first, found.clone()), [reconciled(first, found.clone())]);
    given(once.clone()).accepts(reconciliation(second, vec![]), [reconciled(second, vec![])]);
    let twice = with(once, [reconciled(second, found)]);
    given(twice.clone()).ignores(reconciliation(first, vec![]));
    assert_eq!(state::<StripeAccount>(twice).reconciled_until(), Some(instant(second)));
    assert_eq!(state::<StripeAccount>(account()).reconciled_until(), None);
    given([]).refuses(reconciliation(first, vec![]), StripeAccountRefusal::NotFound);
    given(account()).refuses(reconciliation("2026-02-28T00:00:00Z", vec![]), StripeAccountRefusal::BadPeriod);
}

proptest! {
    #[test]
    fn in_any_order_a_payout_ends_where_it_was_farthest(words in proptest::collection::vec(0..5_usize, 1..12)) {
        let context = crate::testing::context(crate::Facts::default());
        let mut known = state::<StripeAccount>(account());
        let farthest = words.iter().map(|word| STATUSES[*word]).max();
        for word in words {
            for event in payout("po_1", STATUSES[word]).decide(&known, &context).expect("payouts are merged") {
                known.evolve(&event);
            }
        }
        prop_assert_eq!(known.payout("po_1"), farthest);
    }
}
