//! What each event of autopay changes.

use events::{
    AutopayEvent, PaymentId,
    autopay::{PauseReason, Retry, SetupPurpose},
};

use super::{Autopay, Charge, ChargeEnd, Failure, Held, Pause, Setup, Stage, Standing, retry::RETRY_AFTER};

impl Autopay {
    pub(super) fn take(&mut self, event: &AutopayEvent) {
        match event.clone() {
            AutopayEvent::AutopaySetupRequested {
                setup_id,
                property_id,
                resident_id,
                stripe_account_id,
                kind,
                purpose,
            } => {
                self.owner = Some((property_id, resident_id));
                self.setups.push((setup_id, kind, purpose));
                self.setup = Some(Setup {
                    id: setup_id,
                    account: stripe_account_id,
                    kind,
                    purpose,
                    intent: None,
                    external: None,
                    has_secret: false,
                    stage: Stage::Open,
                });
                if purpose == SetupPurpose::Enable {
                    self.standing = Standing::None;
                }
            }
            AutopayEvent::AutopaySetupSubmitted { setup_intent, account, client_secret, .. } => {
                if let Some(setup) = &mut self.setup {
                    setup.intent = Some(setup_intent);
                    setup.external = Some(account);
                    setup.has_secret = client_secret.value().is_some();
                }
            }
            AutopayEvent::AutopaySetupActionRequired { microdeposits, .. } => {
                self.stage(Stage::ActionRequired { microdeposits });
            }
            AutopayEvent::AutopaySetupFailed { .. } => self.stage(Stage::Failed),
            AutopayEvent::AutopayActivated { method, .. } => {
                self.stage(Stage::Succeeded);
                self.method = self.setup.as_ref().map(|setup| (method, setup.account));
                if !self.is_enrolled() {
                    self.standing = Standing::Active;
                }
            }
            AutopayEvent::AutopayMethodRefreshed { method } => {
                if let Some((known, _)) = &mut self.method {
                    *known = method;
                }
            }
            AutopayEvent::AutopayCapChanged { cap } => self.cap = cap,
            AutopayEvent::ChargeHeld { invoice_id, due_on, amount, .. } => {
                self.held.insert(invoice_id, Held { due_on, amount });
            }
            AutopayEvent::ChargeApproved { invoice_id, amount } => {
                self.held.remove(&invoice_id);
                self.approved.insert(invoice_id, amount);
            }
            AutopayEvent::ChargeDeferred { invoice_id, due_on } => {
                self.waiting.insert(invoice_id, due_on);
            }
            AutopayEvent::ChargeAuthorized {
                payment_id,
                invoice_id,
                due_on,
                amount,
                customer,
                payment_method,
                attempt,
            } => {
                self.held.remove(&invoice_id);
                self.waiting.remove(&invoice_id);
                self.charges.push(Charge {
                    payment: payment_id,
                    invoice: invoice_id,
                    due_on,
                    amount,
                    customer,
                    payment_method,
                    kind: self.method().map(|method| method.kind).unwrap_or_default(),
                    attempt,
                    end: None,
                    life: self.life,
                    failed_at: None,
                });
            }
            AutopayEvent::ChargeSucceeded { payment_id, invoice_id } => {
                self.end(payment_id, ChargeEnd::Succeeded);
                self.waiting.remove(&invoice_id);
                self.held.remove(&invoice_id);
                self.approved.remove(&invoice_id);
            }
            AutopayEvent::ChargeFailed { payment_id, invoice_id, due_on, reason, retry, retries_left, .. } => {
                let returned = matches!(reason, PauseReason::Returned { .. });
                self.end(payment_id, if returned { ChargeEnd::Returned } else { ChargeEnd::Failed });
                self.failed(payment_id, Failure { invoice: invoice_id, due_on, retry, retries_left });
            }
            AutopayEvent::ChargeWithdrawn { payment_id, .. } => {
                self.end(payment_id, ChargeEnd::Withdrawn);
                self.wait_for(payment_id);
            }
            AutopayEvent::AutopayPaused { reason, new_method_required } => {
                self.standing = Standing::Paused(Pause { reason, new_method_required });
                if let Some(failure) = self.failure.as_mut().filter(|_| new_method_required) {
                    failure.retry = None;
                    failure.retries_left = 0;
                }
            }
            AutopayEvent::AutopayResumed { .. } => {
                self.standing = Standing::Active;
                self.failure = None;
                self.waiting.clear();
            }
            AutopayEvent::AutopayCancelled { .. } => {
                // What was charged stays known, and so does the cap: a wish about money outlives the method.
                self.standing = Standing::Cancelled;
                self.life += 1;
                self.setup = None;
                self.method = None;
                self.failure = None;
                self.waiting.clear();
                self.held.clear();
                self.approved.clear();
            }
        }
    }

    fn stage(&mut self, stage: Stage) {
        if let Some(setup) = &mut self.setup {
            setup.stage = stage;
        }
    }

    fn end(&mut self, payment: PaymentId, end: ChargeEnd) {
        for charge in self.charges.iter_mut().filter(|charge| charge.payment == payment) {
            charge.end = Some(end);
        }
    }

    fn failed(&mut self, payment: PaymentId, failure: Failure) {
        for charge in self.charges.iter_mut().filter(|charge| charge.payment == payment) {
            charge.failed_at = failure.retry.map(|Retry { at, .. }| at - RETRY_AFTER);
        }
        let counts = self.charge(payment).is_some_and(|charge| self.concerns(charge));
        if !counts || self.is_charged(failure.invoice) {
            return;
        }
        let holds = match &self.standing {
            Standing::Active => true,
            Standing::Paused(_) => self.failure.is_none_or(|held| held.invoice == failure.invoice),
            Standing::None | Standing::Cancelled => return,
        };
        if holds {
            self.failure = Some(failure);
        } else {
            self.waiting.insert(failure.invoice, failure.due_on);
        }
    }

    /// A charge that came to nothing during a pause waits for its end; the one with a retry keeps its place.
    fn wait_for(&mut self, payment: PaymentId) {
        let Some(charge) = self.charge(payment).filter(|charge| self.concerns(charge)) else { return };
        let (invoice, due_on) = (charge.invoice, charge.due_on);
        let retried = self.failure.is_some_and(|failure| failure.invoice == invoice);
        if self.pause().is_some() && !retried {
            self.waiting.insert(invoice, due_on);
        }
    }
}
