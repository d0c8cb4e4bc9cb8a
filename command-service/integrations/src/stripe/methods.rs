//! Customers, setup intents, payment methods, confirmation tokens and mandates.

use async_trait::async_trait;
use events::payment::PaymentMethodKind;
use processes::ports::{
    CustomerTags, MandateSnapshot, MethodSnapshot, Outcome, SetupRequest, SetupSnapshot, StripeMethods, TokenSnapshot,
};
use serde_json::{Value, json};
use stripe_client_core::{CustomizableStripeRequest, RequestBuilder, StripeMethod};
use stripe_shared::{Customer, Mandate, PaymentMethod, SetupIntent};

use super::{StripeGateway, check_ids, client::CallError, kept, keyed, on, outcome::Effect, tag};

/// What the methods of a kept SetupIntent look like is told only on request.
const EXPAND_METHOD: &str = "payment_method";

fn post<T>(path: String, form: &Value) -> CustomizableStripeRequest<T> {
    RequestBuilder::new(StripeMethod::Post, path).form(form).customize()
}

fn get<T>(path: String) -> CustomizableStripeRequest<T> {
    RequestBuilder::new(StripeMethod::Get, path).customize()
}

impl StripeGateway {
    async fn write<T: miniserde::Deserialize>(
        &self,
        account: &str,
        key: &str,
        request: CustomizableStripeRequest<T>,
    ) -> Outcome<T> {
        let request = match keyed(on(request, account), key) {
            Ok(request) => request,
            Err(refused) => return Outcome::Refused(refused),
        };
        let call = self.call();
        let result: Result<T, CallError> = request.send(&call).await;
        call.outcome(Effect::Write, result)
    }

    pub(super) async fn read<T: miniserde::Deserialize>(
        &self,
        account: &str,
        request: CustomizableStripeRequest<T>,
    ) -> Outcome<T> {
        let call = self.call();
        let result: Result<T, CallError> = on(request, account).send(&call).await;
        call.outcome(Effect::Read, result)
    }
}

pub(super) fn map<T, U>(outcome: Outcome<T>, with: impl FnOnce(T) -> U) -> Outcome<U> {
    match outcome {
        Outcome::Done(value) => Outcome::Done(with(value)),
        Outcome::Refused(refused) => Outcome::Refused(refused),
        Outcome::Retry { after, why } => Outcome::Retry { after, why },
        Outcome::Unknown { cause, why } => Outcome::Unknown { cause, why },
    }
}

#[async_trait]
impl StripeMethods for StripeGateway {
    async fn create_customer(&self, account: &str, key: &str, tags: &CustomerTags) -> Outcome<String> {
        if let Err(refused) = check_ids([account]) {
            return Outcome::Refused(refused);
        }
        let form = json!({"metadata": {
            (tag::ORGANIZATION): tags.organization, (tag::RESIDENT): tags.resident, (tag::PROPERTY): tags.property,
        }});
        let made = self.write::<Customer>(account, key, post("/customers".to_owned(), &form)).await;
        map(made, |customer| customer.id.to_string())
    }

    async fn create_setup_intent(&self, request: &SetupRequest) -> Outcome<SetupSnapshot> {
        if let Err(refused) = check_ids([&request.account, &request.customer]) {
            return Outcome::Refused(refused);
        }
        let kind = match request.kind {
            PaymentMethodKind::Card => "card",
            PaymentMethodKind::BankDebit => "us_bank_account",
        };
        let form = json!({
            "allowed_payment_method_types": [kind],
            "automatic_payment_methods": {"allow_redirects": "never", "enabled": true},
            "customer": request.customer,
            "expand": [EXPAND_METHOD],
            "metadata": {
                (tag::ORGANIZATION): request.tags.organization,
                (tag::ENROLLMENT): request.tags.enrollment,
                (tag::SETUP): request.tags.setup,
            },
            "usage": "off_session",
        });
        let request_ = post::<SetupIntent>("/setup_intents".to_owned(), &form);
        map(self.write(&request.account, &request.idempotency_key, request_).await, kept::setup)
    }

    async fn setup_intent(&self, account: &str, setup: &str) -> Outcome<SetupSnapshot> {
        if let Err(refused) = check_ids([account, setup]) {
            return Outcome::Refused(refused);
        }
        let request = RequestBuilder::new(StripeMethod::Get, format!("/setup_intents/{setup}"))
            .query(&json!({"expand": [EXPAND_METHOD]}))
            .customize::<SetupIntent>();
        map(self.read(account, request).await, kept::setup)
    }

    async fn cancel_setup_intent(&self, account: &str, setup: &str, key: &str) -> Outcome<SetupSnapshot> {
        if let Err(refused) = check_ids([account, setup]) {
            return Outcome::Refused(refused);
        }
        let form = json!({"expand": [EXPAND_METHOD]});
        let request = post::<SetupIntent>(format!("/setup_intents/{setup}/cancel"), &form);
        map(self.write(account, key, request).await, kept::setup)
    }

    async fn payment_method(&self, account: &str, method: &str) -> Outcome<MethodSnapshot> {
        if let Err(refused) = check_ids([account, method]) {
            return Outcome::Refused(refused);
        }
        let request = get::<PaymentMethod>(format!("/payment_methods/{method}"));
        map(self.read(account, request).await, kept::method)
    }

    async fn detach_payment_method(&self, account: &str, method: &str, key: &str) -> Outcome<()> {
        if let Err(refused) = check_ids([account, method]) {
            return Outcome::Refused(refused);
        }
        // No form at all: an empty one would be written as a nameless field.
        let request = RequestBuilder::new(StripeMethod::Post, format!("/payment_methods/{method}/detach"))
            .customize::<PaymentMethod>();
        let refused = match self.write(account, key, request).await {
            Outcome::Refused(refused) => refused,
            other => return map(other, |_| ()),
        };
        if refused.code == "resource_missing" {
            return Outcome::Done(());
        }
        // Stripe refuses to detach twice, without a code of its own for it: only the method tells.
        match self.payment_method(account, method).await {
            Outcome::Done(method) if method.customer.is_none() => Outcome::Done(()),
            Outcome::Done(_) | Outcome::Refused(_) => Outcome::Refused(refused),
            other => map(other, |_| ()),
        }
    }

    async fn confirmation_token(&self, account: &str, token: &str) -> Outcome<TokenSnapshot> {
        if let Err(refused) = check_ids([account, token]) {
            return Outcome::Refused(refused);
        }
        let request = get::<kept::Token>(format!("/confirmation_tokens/{token}"));
        map(self.read(account, request).await, kept::token)
    }

    async fn mandate(&self, account: &str, mandate: &str) -> Outcome<MandateSnapshot> {
        if let Err(refused) = check_ids([account, mandate]) {
            return Outcome::Refused(refused);
        }
        map(self.read(account, get::<Mandate>(format!("/mandates/{mandate}"))).await, |mandate| kept::mandate(&mandate))
    }
}
