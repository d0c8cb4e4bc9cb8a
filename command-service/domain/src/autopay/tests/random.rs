//! Whatever is asked and reported in whatever order: nobody is charged twice, nobody is charged unasked, nothing gets lost.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{Aggregate, Command, Context, testing::context};

const INVOICES: [InvoiceId; 3] = [INVOICE, SECOND, InvoiceId(Uuid::from_u128(0x43))];
const CODES: [&str; 5] = ["insufficient_funds", "generic_decline", "lost_card", "authentication_required", "R01"];
const STATES: [SetupState; 7] = [
    SetupState::AwaitingMethod,
    SetupState::ActionRequired,
    SetupState::Microdeposits,
    SetupState::Processing,
    SetupState::Succeeded,
    SetupState::Failed,
    SetupState::Canceled,
];

/// One thing that may happen; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Wait {
        hours: i64,
    },
    Enable {
        bank: bool,
    },
    Update {
        bank: bool,
    },
    Reactivate {
        anew: bool,
    },
    Cancel,
    Cap {
        cap: Option<i64>,
    },
    Approve {
        invoice: usize,
    },
    Setup {
        setup: usize,
        state: usize,
    },
    FailSetup {
        setup: usize,
    },
    /// As the worker does: look, then charge, defer or ask.
    Due {
        invoice: usize,
    },
    /// As no worker should.
    Wild {
        invoice: usize,
        attempt: u32,
        payment: usize,
    },
    Settle {
        payment: usize,
    },
    Fail {
        payment: usize,
        code: usize,
    },
    Withdraw {
        payment: usize,
    },
    Return {
        payment: usize,
    },
    Revoke {
        setup: usize,
    },
    Lose {
        setup: usize,
    },
    Refresh {
        setup: usize,
    },
    Release {
        invoice: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let invoice = 0..INVOICES.len();
    let payment = || 0..12_usize;
    let setup = || 0..4_usize;
    let step = prop_oneof![
        4 => (1..60_i64).prop_map(|hours| Step::Wait { hours }),
        1 => any::<bool>().prop_map(|bank| Step::Enable { bank }),
        1 => any::<bool>().prop_map(|bank| Step::Update { bank }),
        2 => any::<bool>().prop_map(|anew| Step::Reactivate { anew }),
        1 => Just(Step::Cancel),
        1 => proptest::option::of(0..20_000_i64).prop_map(|cap| Step::Cap { cap }),
        1 => invoice.clone().prop_map(|invoice| Step::Approve { invoice }),
        4 => (setup(), 0..STATES.len()).prop_map(|(setup, state)| Step::Setup { setup, state }),
        // A set-up that succeeds, so that there is something to charge.
        4 => setup().prop_map(|setup| Step::Setup { setup, state: 4 }),
        1 => setup().prop_map(|setup| Step::FailSetup { setup }),
        10 => invoice.clone().prop_map(|invoice| Step::Due { invoice }),
        4 => (invoice.clone(), 0..5_u32, payment())
            .prop_map(|(invoice, attempt, payment)| Step::Wild { invoice, attempt, payment }),
        3 => payment().prop_map(|payment| Step::Settle { payment }),
        8 => (payment(), 0..CODES.len()).prop_map(|(payment, code)| Step::Fail { payment, code }),
        2 => payment().prop_map(|payment| Step::Withdraw { payment }),
        1 => payment().prop_map(|payment| Step::Return { payment }),
        1 => setup().prop_map(|setup| Step::Revoke { setup }),
        1 => setup().prop_map(|setup| Step::Lose { setup }),
        1 => setup().prop_map(|setup| Step::Refresh { setup }),
        2 => invoice.prop_map(|invoice| Step::Release { invoice }),
    ];
    proptest::collection::vec(step, 1..120)
}

/// The system so far, as the tests see it.
struct World {
    autopay: Autopay,
    now: DateTime<Utc>,
    setups: Vec<(SetupId, PaymentMethodKind)>,
    payments: Vec<PaymentId>,
    /// Every invoice that must not be forgotten while the pause lasts.
    owed: BTreeSet<InvoiceId>,
    /// Failures of each invoice since autopay last stood well.
    last_failure: Vec<(InvoiceId, DateTime<Utc>)>,
    /// Bank debits that came back: invoice and method.
    bounced: Vec<(InvoiceId, String)>,
}

impl World {
    fn new() -> Self {
        Self {
            autopay: Autopay::default(),
            now: noon(),
            setups: vec![],
            payments: vec![],
            owed: BTreeSet::new(),
            last_failure: vec![],
            bounced: vec![],
        }
    }

    fn context(&self, facts: Facts) -> Context {
        Context { now: self.now, ..context(facts) }
    }

    /// Asks twice: the second time nothing happens any more.
    fn ask<C: Command<Aggregate = Autopay>>(&mut self, command: C, facts: impl Fn() -> Facts) -> bool {
        let Ok(events) = command.clone().decide(&self.autopay, &self.context(facts())) else { return false };
        for event in &events {
            self.check(event);
            self.autopay.evolve(event);
        }
        self.check_standing();
        let again = command.decide(&self.autopay, &self.context(facts()));
        assert!(again.as_ref().is_ok_and(Vec::is_empty), "asked again: {again:?} after {events:?}");
        true
    }

    /// Against the state before the event.
    fn check(&mut self, event: &AutopayEvent) {
        match event {
            AutopayEvent::ChargeAuthorized { invoice_id, attempt, payment_method, .. } => {
                assert!(self.autopay.in_flight(*invoice_id).is_none(), "two charges of one invoice");
                assert!(*attempt <= 3, "a fourth retry");
                match self.autopay.pause() {
                    None => assert_eq!((self.autopay.status(), *attempt), (Status::Active, 0)),
                    Some(pause) => {
                        assert!(!pause.new_method_required, "a method that is of no more use");
                        let scheduled = self.autopay.next_retry().map(|(invoice, retry)| (invoice, retry.attempt));
                        assert_eq!(scheduled, Some((*invoice_id, *attempt)), "a retry that was not scheduled");
                        let failed = self.last_failure.iter().rev().find(|(invoice, _)| invoice == invoice_id);
                        assert!(failed.is_some_and(|(_, at)| self.now >= *at + TimeDelta::hours(24)), "two on one day");
                    }
                }
                let back = self.bounced.iter().filter(|known| **known == (*invoice_id, payment_method.clone())).count();
                assert!(back <= 2, "presented a fourth time");
            }
            AutopayEvent::ChargeFailed { payment_id, invoice_id, retry, retries_left, .. } => {
                assert!(retry.is_none_or(|retry| retry.attempt <= 3 && retry.at > self.now));
                assert!(retry.is_none_or(|retry| retry.attempt + retries_left <= 4), "more than was promised");
                self.last_failure.push((*invoice_id, self.now));
                if let Some(charge) = self.autopay.charge(*payment_id)
                    && charge.kind == PaymentMethodKind::BankDebit
                {
                    self.bounced.push((*invoice_id, charge.payment_method.clone()));
                }
                let concerns = self.autopay.charge(*payment_id).is_some_and(|charge| self.autopay.concerns(charge));
                let paid = |charge: &Charge| charge.end == Some(ChargeEnd::Succeeded) && charge.payment != *payment_id;
                if concerns && !self.autopay.charges_of(*invoice_id).any(paid) {
                    self.owed.insert(*invoice_id);
                }
            }
            AutopayEvent::ChargeDeferred { invoice_id, .. } => {
                assert!(self.autopay.pause().is_some());
                self.owed.insert(*invoice_id);
            }
            AutopayEvent::ChargeSucceeded { invoice_id, .. } => {
                self.owed.remove(invoice_id);
            }
            AutopayEvent::AutopayResumed { waiting, because } => {
                assert!(self.autopay.pause().is_some());
                let mut listed: BTreeSet<_> = waiting.iter().copied().collect();
                assert_eq!(listed.len(), waiting.len(), "listed twice");
                assert!(waiting.iter().all(|invoice| self.autopay.in_flight(*invoice).is_none()));
                listed.extend(INVOICES.iter().filter(|invoice| self.autopay.in_flight(**invoice).is_some()));
                if *because == ResumeReason::InvoiceSettled {
                    listed.extend(self.autopay.failure().map(|failure| failure.invoice));
                }
                assert!(self.owed.is_subset(&listed), "{:?} are forgotten", self.owed);
                self.owed.clear();
            }
            AutopayEvent::AutopayCancelled { .. } => self.owed.clear(),
            AutopayEvent::AutopayPaused { .. } => assert!(self.autopay.is_enrolled()),
            AutopayEvent::AutopaySetupRequested { .. }
            | AutopayEvent::AutopaySetupSubmitted { .. }
            | AutopayEvent::AutopaySetupActionRequired { .. }
            | AutopayEvent::AutopaySetupFailed { .. }
            | AutopayEvent::AutopayActivated { .. }
            | AutopayEvent::AutopayMethodRefreshed { .. }
            | AutopayEvent::AutopayCapChanged { .. }
            | AutopayEvent::ChargeHeld { .. }
            | AutopayEvent::ChargeApproved { .. }
            | AutopayEvent::ChargeWithdrawn { .. } => {}
        }
    }

    fn check_standing(&self) {
        let autopay = &self.autopay;
        let status = autopay.status();
        assert_eq!(status == Status::Paused, autopay.pause().is_some());
        assert_eq!(autopay.is_enrolled(), matches!(status, Status::Active | Status::Paused));
        assert!(!autopay.is_enrolled() || autopay.method().is_some(), "nothing to charge with");
        assert!(status != Status::Active || autopay.failure().is_none() && autopay.waiting().is_empty());
        for invoice in INVOICES {
            assert!(autopay.charges_of(invoice).filter(|charge| charge.end.is_none()).count() <= 1);
        }
        let dead = autopay.pause().is_some_and(|pause| pause.new_method_required);
        assert!(!dead || autopay.next_retry().is_none());
    }

    fn method(&self, setup: usize) -> AutopayMethod {
        let name = format!("pm_{setup}");
        match self.setups.get(setup) {
            Some((_, PaymentMethodKind::BankDebit)) => {
                AutopayMethod { mandate: Some(format!("mandate_{setup}")), ..bank(&name) }
            }
            Some((_, PaymentMethodKind::Card)) | None => card(&name),
        }
    }

    fn new_setup(&self, bank: bool) -> (SetupId, PaymentMethodKind) {
        let kind = if bank { PaymentMethodKind::BankDebit } else { PaymentMethodKind::Card };
        (SetupId(Uuid::from_u128(0x8000 + self.setups.len() as u128)), kind)
    }

    fn authorize(&mut self, invoice: usize, attempt: u32, payment_id: PaymentId) -> bool {
        let command = authorize(payment_id, INVOICES[invoice], attempt);
        self.ask(command, || claimed(payment_id, usd(10_000)))
    }

    fn due(&mut self, invoice: usize) {
        let invoice_id = INVOICES[invoice];
        let due_on = day(["2026-03-01", "2026-03-03", "2026-03-02"][invoice]);
        let autopay_id = autopay_id();
        let amount = usd(10_000);
        match self.autopay.may_charge(invoice_id, amount, self.now) {
            Verdict::Charge { attempt, .. } => {
                let payment_id = payment(self.payments.len() as u128);
                self.payments.push(payment_id);
                assert!(self.authorize(invoice, attempt, payment_id), "the verdict was yes");
            }
            Verdict::Wait { .. } => {
                assert!(
                    self.ask(DeferCharge { autopay_id, invoice_id, due_on }, Facts::default),
                    "the verdict was to wait"
                );
                assert!(self.autopay.waiting().contains(&invoice_id));
            }
            Verdict::Ask { .. } => {
                assert!(
                    self.ask(HoldCharge { autopay_id, invoice_id, due_on, amount }, Facts::default),
                    "the verdict was to ask"
                );
            }
            Verdict::No(_) => {}
        }
    }

    fn take(&mut self, step: &Step) {
        let (property_id, resident_id, autopay_id) = (PROPERTY, RESIDENT, autopay_id());
        let pm = |setup: usize| format!("pm_{setup}");
        match *step {
            Step::Wait { hours } => self.now += TimeDelta::hours(hours),
            Step::Enable { bank } => {
                let (setup_id, kind) = self.new_setup(bank);
                if self.ask(EnableAutopay { property_id, resident_id, setup_id, kind }, community) {
                    self.setups.push((setup_id, kind));
                }
            }
            Step::Update { bank } => {
                let (setup_id, kind) = self.new_setup(bank);
                if self.ask(UpdateAutopayMethod { property_id, resident_id, setup_id, kind }, community) {
                    self.setups.push((setup_id, kind));
                }
            }
            Step::Reactivate { anew } => {
                let (setup_id, kind) = self.new_setup(false);
                let setup = anew.then_some(setup_id);
                let asked = ReactivateAutopay { property_id, resident_id, setup_id: setup, kind };
                if self.ask(asked, community) && anew {
                    self.setups.push((setup_id, kind));
                }
            }
            Step::Cancel => {
                self.ask(cancel(), Facts::default);
            }
            Step::Cap { cap } => {
                self.ask(SetAutopayCap { property_id, resident_id, cap: cap.map(usd) }, community);
            }
            Step::Approve { invoice } => {
                let command =
                    ApproveCharge { property_id, resident_id, invoice_id: INVOICES[invoice], amount: usd(10_000) };
                self.ask(command, Facts::default);
            }
            Step::Setup { setup, state } => {
                let Some((setup_id, _)) = self.setups.get(setup).copied() else { return };
                let method = Some(self.method(setup));
                let intent = format!("seti_{setup}");
                let command = RecordSetup { setup_intent: intent, method, ..report(setup_id, STATES[state]) };
                assert!(self.ask(command, Facts::default), "a report is never refused");
            }
            Step::FailSetup { setup } => {
                let Some((setup_id, _)) = self.setups.get(setup).copied() else { return };
                self.ask(FailSetup { autopay_id, setup_id, code: "rejected".into() }, Facts::default);
            }
            Step::Due { invoice } => self.due(invoice),
            Step::Wild { invoice, attempt, payment } => {
                let fresh = super::payment(self.payments.len() as u128);
                let payment_id = self.payments.get(payment).copied().unwrap_or(fresh);
                if self.authorize(invoice, attempt, payment_id) && payment_id == fresh {
                    self.payments.push(payment_id);
                }
            }
            Step::Settle { payment } => self.end(payment, settle),
            Step::Fail { payment, code } => self.end(payment, |payment| fail(payment, CODES[code])),
            Step::Withdraw { payment } => self.end(payment, withdraw),
            Step::Return { payment } => self.end(payment, give_back),
            Step::Revoke { setup } => {
                self.ask(RevokeMandate { autopay_id, mandate: format!("mandate_{setup}") }, Facts::default);
            }
            Step::Lose { setup } => {
                self.ask(LoseMethod { autopay_id, payment_method: pm(setup), because: Loss::Removed }, Facts::default);
            }
            Step::Refresh { setup } => {
                let card = CardSummary { exp_year: 2035, ..visa() };
                self.ask(RefreshMethod { autopay_id, payment_method: pm(setup), card }, Facts::default);
            }
            Step::Release { invoice } => {
                self.ask(release(INVOICES[invoice]), Facts::default);
            }
        }
    }

    fn end<C: Command<Aggregate = Autopay>>(&mut self, payment: usize, command: impl Fn(PaymentId) -> C) {
        let Some(payment) = self.payments.get(payment).copied() else { return };
        let authorized = self.autopay.charge(payment).is_some();
        let taken = self.ask(command(payment), Facts::default);
        assert!(taken || !authorized, "the end of a charge is never refused");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nobody_is_charged_twice_or_unasked_and_nothing_is_lost(bank: bool, steps in steps()) {
        let mut world = World::new();
        // Most stories begin with autopay on.
        world.take(&Step::Enable { bank });
        world.take(&Step::Setup { setup: 0, state: 4 });
        for step in &steps {
            world.take(step);
        }
    }

    /// The same news of one charge in any order, each any number of times, lead to the same end.
    #[test]
    fn the_order_of_news_about_a_charge_does_not_decide_its_end(order in Just([0, 1, 2, 0, 1, 2]).prop_shuffle(), returned: bool) {
        let mut world = World::new();
        world.take(&Step::Enable { bank: true });
        world.take(&Step::Setup { setup: 0, state: 4 });
        world.take(&Step::Due { invoice: 0 });
        for news in order {
            match news {
                0 => world.take(&Step::Settle { payment: 0 }),
                1 => world.take(&Step::Fail { payment: 0, code: 0 }),
                _ if returned => {}
                _ => world.take(&Step::Withdraw { payment: 0 }),
            }
        }
        let end = world.autopay.charge(payment(0)).and_then(|charge| charge.end);
        prop_assert_eq!(end, Some(ChargeEnd::Succeeded));
        prop_assert_eq!(world.autopay.status(), Status::Active);
    }
}
