//! What each event of an enrollment changes in its row.

use chrono::NaiveDate;
use events::{
    AutopayEvent, InvoiceId, Money, Recorded, SetupId,
    autopay::{AutopayMethod, SetupPurpose},
};
use uuid::Uuid;

use super::{AutopayRow, ChargeItem, FailureItem, HeldItem, PausedFor, SetupItem, WaitingItem};
use crate::{
    model::FoldError,
    text::{bank_label, card_label, word},
};

impl AutopayRow {
    pub(super) fn new(key: Uuid, event: &Recorded) -> Self {
        Self {
            autopay_id: key,
            organization_id: event.organization.0,
            property_id: Uuid::nil(),
            resident_id: Uuid::nil(),
            status: "None".to_owned(),
            kind: None,
            method: None,
            card_brand: None,
            card_last4: None,
            card_exp_month: None,
            card_exp_year: None,
            bank_name: None,
            bank_last4: None,
            customer: None,
            payment_method: None,
            stripe_account_id: None,
            setup: None,
            setup_account_id: Uuid::nil(),
            client_secret: None,
            setup_failure: None,
            pause: None,
            new_method_required: false,
            paused_for: None,
            next_attempt_at: None,
            cap: None,
            cap_currency: None,
            waiting: vec![],
            held: vec![],
            in_flight: vec![],
            last_failure: None,
            activated_at: None,
            cancelled_at: None,
            changed_at: event.recorded_at,
            version: 0,
        }
    }

    pub(super) fn change(&mut self, change: AutopayEvent, event: &Recorded) -> Result<(), FoldError> {
        let at = event.recorded_at;
        match change {
            AutopayEvent::AutopaySetupRequested { setup_id, stripe_account_id, kind, purpose, .. } => {
                if purpose == SetupPurpose::Enable {
                    "SetupPending".clone_into(&mut self.status);
                }
                self.end_setup();
                self.setup_account_id = stripe_account_id.0;
                self.setup_failure = None;
                self.setup = Some(SetupItem {
                    setup_id: setup_id.0,
                    kind: word(&kind)?,
                    purpose: word(&purpose)?,
                    state: "Requested".to_owned(),
                    microdeposits: false,
                    account: None,
                    setup_intent: None,
                    requested_at: at,
                });
            }
            AutopayEvent::AutopaySetupSubmitted { setup_id, setup_intent, account, client_secret, .. } => {
                if let Some(setup) = self.setup_of(setup_id) {
                    // A webhook may have told more before the answer came.
                    if setup.state == "Requested" {
                        "AwaitingMethod".clone_into(&mut setup.state);
                    }
                    setup.setup_intent = Some(setup_intent);
                    setup.account = Some(account);
                    self.client_secret = client_secret.into_value();
                }
            }
            AutopayEvent::AutopaySetupActionRequired { setup_id, microdeposits } => {
                if let Some(setup) = self.setup_of(setup_id) {
                    "ActionRequired".clone_into(&mut setup.state);
                    setup.microdeposits = microdeposits;
                }
            }
            AutopayEvent::AutopaySetupFailed { setup_id, code } => {
                if self.setup_of(setup_id).is_some() {
                    self.end_setup();
                    self.setup_failure = Some(code);
                    if self.status == "SetupPending" {
                        "None".clone_into(&mut self.status);
                    }
                }
            }
            AutopayEvent::AutopayActivated { setup_id, method, .. } => {
                if self.setup_of(setup_id).is_some() {
                    self.end_setup();
                }
                self.setup_failure = None;
                self.charges_with(method)?;
                self.stripe_account_id = Some(self.setup_account_id);
                self.goes_on();
                self.activated_at = Some(at);
                self.cancelled_at = None;
            }
            AutopayEvent::AutopayMethodRefreshed { method } => self.charges_with(method)?,
            AutopayEvent::AutopayCapChanged { cap } => {
                self.cap = cap.map(Money::amount);
                self.cap_currency = cap.map(|cap| cap.currency().code().to_owned());
            }
            AutopayEvent::ChargeHeld { invoice_id, due_on, amount, cap } => {
                self.held.retain(|held| held.invoice_id != invoice_id.0);
                self.held.push(HeldItem {
                    invoice_id: invoice_id.0,
                    due_on,
                    amount: amount.amount(),
                    cap: cap.amount(),
                    currency: amount.currency().code().to_owned(),
                    held_at: at,
                });
            }
            AutopayEvent::ChargeApproved { invoice_id, .. } => {
                self.held.retain(|held| held.invoice_id != invoice_id.0);
            }
            AutopayEvent::ChargeDeferred { invoice_id, due_on } => {
                self.wait_for(invoice_id.0, due_on);
            }
            AutopayEvent::ChargeAuthorized { payment_id, invoice_id, due_on, amount, attempt, .. } => {
                self.forget(invoice_id);
                self.in_flight.push(ChargeItem {
                    payment_id: payment_id.0,
                    invoice_id: invoice_id.0,
                    due_on,
                    amount: amount.amount(),
                    currency: amount.currency().code().to_owned(),
                    attempt,
                    authorized_at: at,
                    left_over: false,
                });
            }
            AutopayEvent::ChargeSucceeded { payment_id, invoice_id } => {
                self.land(payment_id.0);
                self.forget(invoice_id);
            }
            AutopayEvent::ChargeWithdrawn { payment_id, invoice_id } => {
                let landed = self.land(payment_id.0).filter(|charge| !charge.left_over);
                // During a pause it waits for its end; the one with a retry keeps its place.
                if let Some(charge) = landed.filter(|_| self.status == "Paused" && !self.is_paused_for(invoice_id.0)) {
                    self.wait_for(charge.invoice_id, charge.due_on);
                }
            }
            AutopayEvent::ChargeFailed { payment_id, invoice_id, due_on, amount, reason, retry, retries_left } => {
                let left_over = self.land(payment_id.0).is_some_and(|charge| charge.left_over);
                let enrolled = matches!(&*self.status, "Active" | "Paused") && !left_over;
                if enrolled && (self.status == "Active" || self.is_paused_for(invoice_id.0)) {
                    let retry_at = retry.map(|retry| retry.at);
                    self.paused_for = Some(PausedFor { invoice_id: invoice_id.0, due_on, retry_at, retries_left });
                } else if enrolled {
                    self.wait_for(invoice_id.0, due_on);
                }
                self.last_failure = Some(FailureItem {
                    payment_id: payment_id.0,
                    invoice_id: invoice_id.0,
                    amount: amount.amount(),
                    currency: amount.currency().code().to_owned(),
                    reason,
                    at,
                });
            }
            AutopayEvent::AutopayPaused { reason, new_method_required } => {
                "Paused".clone_into(&mut self.status);
                self.pause = Some(reason);
                self.new_method_required = new_method_required;
                if let Some(failed) = self.paused_for.as_mut().filter(|_| new_method_required) {
                    failed.retry_at = None;
                    failed.retries_left = 0;
                }
            }
            AutopayEvent::AutopayResumed { .. } => {
                self.goes_on();
                self.waiting.clear();
            }
            // What is in flight stays to be seen.
            AutopayEvent::AutopayCancelled { .. } => {
                self.goes_on();
                "Cancelled".clone_into(&mut self.status);
                self.cancelled_at = Some(at);
                self.end_setup();
                self.forget_method();
                self.stripe_account_id = None;
                self.waiting.clear();
                self.held.clear();
                for charge in &mut self.in_flight {
                    charge.left_over = true;
                }
            }
        }
        Ok(())
    }

    /// The set-up under way, if it is this one.
    fn setup_of(&mut self, id: SetupId) -> Option<&mut SetupItem> {
        self.setup.as_mut().filter(|setup| setup.setup_id == id.0)
    }

    fn end_setup(&mut self) {
        self.setup = None;
        self.client_secret = None;
    }

    fn goes_on(&mut self) {
        "Active".clone_into(&mut self.status);
        self.pause = None;
        self.new_method_required = false;
        self.paused_for = None;
    }

    fn is_paused_for(&self, invoice: Uuid) -> bool {
        self.paused_for.as_ref().is_some_and(|failed| failed.invoice_id == invoice)
    }

    fn wait_for(&mut self, invoice_id: Uuid, due_on: NaiveDate) {
        self.waiting.retain(|waiting| waiting.invoice_id != invoice_id);
        self.waiting.push(WaitingItem { invoice_id, due_on });
    }

    /// The invoice waits for nothing any more, or for something else.
    fn forget(&mut self, invoice: InvoiceId) {
        self.waiting.retain(|waiting| waiting.invoice_id != invoice.0);
        self.held.retain(|held| held.invoice_id != invoice.0);
    }

    /// Takes the charge off those in flight.
    fn land(&mut self, payment: Uuid) -> Option<ChargeItem> {
        let place = self.in_flight.iter().position(|charge| charge.payment_id == payment)?;
        Some(self.in_flight.remove(place))
    }

    fn charges_with(&mut self, method: AutopayMethod) -> Result<(), FoldError> {
        self.forget_method();
        self.kind = Some(word(&method.kind)?);
        if let Some(card) = method.card {
            self.method = Some(card_label(&card.brand, &card.last4));
            self.card_brand = Some(card.brand);
            self.card_last4 = Some(card.last4);
            self.card_exp_month = Some(card.exp_month);
            self.card_exp_year = Some(card.exp_year);
        }
        if let Some(bank) = method.bank {
            self.method = Some(bank_label(&bank.last4));
            self.bank_name = bank.bank_name;
            self.bank_last4 = Some(bank.last4);
        }
        self.customer = Some(method.customer);
        self.payment_method = Some(method.payment_method);
        Ok(())
    }

    fn forget_method(&mut self) {
        self.kind = None;
        self.method = None;
        self.card_brand = None;
        self.card_last4 = None;
        self.card_exp_month = None;
        self.card_exp_year = None;
        self.bank_name = None;
        self.bank_last4 = None;
        self.customer = None;
        self.payment_method = None;
    }

    /// What follows from the rest.
    pub(super) fn settle(&mut self) {
        let flying = |invoice: Uuid| self.in_flight.iter().any(|charge| charge.invoice_id == invoice);
        let paused_for =
            self.paused_for.as_ref().filter(|failed| self.status == "Paused" && !flying(failed.invoice_id));
        self.next_attempt_at = paused_for.and_then(|failed| failed.retry_at);
    }
}
