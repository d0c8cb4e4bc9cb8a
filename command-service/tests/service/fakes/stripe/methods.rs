//! Customers, set-ups, kept methods and mandates, and what their owners do with them.

use async_trait::async_trait;
use chrono::Utc;
use events::payment::PaymentMethodKind;
use processes::ports::{
    CustomerTags, Decline, MandateSnapshot, MethodSnapshot, Outcome, SetupRequest, SetupSnapshot, SetupState,
    StripeMethods, TokenSnapshot,
};
use uuid::Uuid;

use super::{FakeStripe, bank, card, lock, outcome};

impl FakeStripe {
    /// What Stripe holds of a set-up.
    pub fn setups(&self, setup: Uuid) -> Vec<SetupSnapshot> {
        let books = lock(&self.books);
        books.setups.values().map(|(_, seen)| seen.clone()).filter(|seen| seen.setup == Some(setup)).collect()
    }

    pub fn customers(&self) -> usize {
        lock(&self.books).customers.len()
    }

    pub fn change_setup(&self, intent: &str, change: impl FnOnce(&mut SetupSnapshot)) {
        if let Some((_, setup)) = lock(&self.books).setups.get_mut(intent) {
            change(setup);
        }
    }

    /// The resident completes Stripe's form; the new method.
    pub fn complete_setup(&self, intent: &str, kind: PaymentMethodKind) -> String {
        let id = format!("pm_{}", Uuid::now_v7().simple());
        let mut books = lock(&self.books);
        let (account, setup) = books.setups.get_mut(intent).expect("a set-up");
        let account = account.clone();
        let debit = kind == PaymentMethodKind::BankDebit;
        let method = MethodSnapshot {
            id: id.clone(),
            kind: Some(kind),
            customer: setup.customer.clone(),
            card: (!debit).then(card),
            bank: debit.then(bank),
        };
        setup.state = SetupState::Succeeded;
        setup.method = Some(method.clone());
        setup.mandate = debit.then(|| format!("mandate_{id}"));
        if let Some(mandate) = setup.mandate.clone() {
            books.mandates.insert(mandate.clone(), MandateSnapshot { id: mandate, method: id.clone(), active: true });
        }
        books.methods.insert(id.clone(), (account, method));
        id
    }

    /// What was given in the form was refused, or small deposits could not be verified.
    pub fn refuse_setup(&self, intent: &str, code: &str) {
        self.change_setup(intent, |setup| {
            setup.state = SetupState::AwaitingMethod;
            setup.failure = Some(Decline { code: code.to_owned(), decline_code: None, advice: None });
        });
    }

    pub fn change_method(&self, method: &str, change: impl FnOnce(&mut MethodSnapshot)) {
        if let Some((_, method)) = lock(&self.books).methods.get_mut(method) {
            change(method);
        }
    }

    pub fn revoke(&self, mandate: &str) {
        if let Some(mandate) = lock(&self.books).mandates.get_mut(mandate) {
            mandate.active = false;
        }
    }

    /// Somebody deletes a customer in the dashboard: its methods are nobody's from then on.
    pub fn delete_customer(&self, customer: &str) {
        let mut books = lock(&self.books);
        books.customers.remove(customer);
        for (_, method) in books.methods.values_mut().filter(|(_, method)| method.customer.as_deref() == Some(customer))
        {
            method.customer = None;
        }
    }

    /// Whether we had it taken from its customer.
    pub fn is_detached(&self, method: &str) -> bool {
        lock(&self.books).detached.contains(method)
    }
}

#[async_trait]
impl StripeMethods for FakeStripe {
    async fn create_customer(&self, account: &str, key: &str, tags: &CustomerTags) -> Outcome<String> {
        let act = || {
            outcome(lock(&self.books).once(key, format!("{account}{tags:?}"), |books| {
                let id = format!("cus_{}", Uuid::now_v7().simple());
                books.customers.insert(id.clone(), account.to_owned());
                Ok(id)
            }))
        };
        self.script.call("create_customer", act).await
    }

    async fn create_setup_intent(&self, request: &SetupRequest) -> Outcome<SetupSnapshot> {
        let act = || {
            let mut books = lock(&self.books);
            let answer = books.once(&request.idempotency_key, format!("{request:?}"), |books| {
                if books.customers.get(&request.customer) != Some(&request.account) {
                    return Err("resource_missing".to_owned());
                }
                let id = format!("seti_{}", Uuid::now_v7().simple());
                let setup = SetupSnapshot {
                    id: id.clone(),
                    client_secret: Some(format!("{id}_secret")),
                    state: SetupState::AwaitingMethod,
                    customer: Some(request.customer.clone()),
                    method: None,
                    mandate: None,
                    verification_url: None,
                    failure: None,
                    setup: Some(request.tags.setup),
                    created: Utc::now(),
                };
                books.setups.insert(id.clone(), (request.account.clone(), setup));
                Ok(id)
            });
            outcome(answer.map(|id| books.setups[&id].1.clone()))
        };
        self.script.call("create_setup_intent", act).await
    }

    async fn setup_intent(&self, account: &str, setup: &str) -> Outcome<SetupSnapshot> {
        let act = || {
            let books = lock(&self.books);
            let found = books.setups.get(setup).filter(|(owner, _)| owner == account);
            outcome(found.map(|(_, setup)| setup.clone()).ok_or("resource_missing".to_owned()))
        };
        self.script.call("setup_intent", act).await
    }

    async fn cancel_setup_intent(&self, account: &str, setup: &str, _: &str) -> Outcome<SetupSnapshot> {
        self.change_setup(setup, |setup| setup.state = SetupState::Canceled);
        self.setup_intent(account, setup).await
    }

    async fn payment_method(&self, account: &str, method: &str) -> Outcome<MethodSnapshot> {
        let act = || {
            let books = lock(&self.books);
            let found = books.methods.get(method).filter(|(owner, _)| owner == account);
            outcome(found.map(|(_, method)| method.clone()).ok_or("resource_missing".to_owned()))
        };
        self.script.call("payment_method", act).await
    }

    async fn detach_payment_method(&self, account: &str, method: &str, _: &str) -> Outcome<()> {
        let act = || {
            let mut books = lock(&self.books);
            let Some((_, found)) = books.methods.get_mut(method).filter(|(owner, _)| owner == account) else {
                return outcome(Err("resource_missing".to_owned()));
            };
            found.customer = None;
            books.detached.insert(method.to_owned());
            Outcome::Done(())
        };
        self.script.call("detach_payment_method", act).await
    }

    async fn confirmation_token(&self, _: &str, token: &str) -> Outcome<TokenSnapshot> {
        let act = || {
            Outcome::Done(TokenSnapshot {
                id: token.to_owned(),
                kind: Some(PaymentMethodKind::Card),
                card: Some(card()),
                card_country: None,
                bank: None,
                used: false,
                expires: None,
            })
        };
        self.script.call("confirmation_token", act).await
    }

    async fn mandate(&self, _: &str, mandate: &str) -> Outcome<MandateSnapshot> {
        let act = || outcome(lock(&self.books).mandates.get(mandate).cloned().ok_or("resource_missing".to_owned()));
        self.script.call("mandate", act).await
    }
}
