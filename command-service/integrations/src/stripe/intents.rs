//! Creating a PaymentIntent in its three manners, and finding the intent in a decline.

use std::collections::HashMap;

use bytes::Bytes;
use events::payment::{FrozenIntent, PaymentMethodKind, UnknownCause};
use miniserde::Deserialize;
use processes::ports::{IntentMethod, IntentSnapshot, Outcome, PaymentTags};
use serde_json::Value;
use stripe_client_core::StripeRequest;
use stripe_core::payment_intent::{
    CreatePaymentIntent, CreatePaymentIntentAutomaticPaymentMethods,
    CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects, CreatePaymentIntentOffSession,
};
use stripe_shared::{PaymentIntent, PaymentIntentAllowedPaymentMethodTypes};

use super::{
    EXPAND_CHARGE, StripeGateway, check_ids,
    client::{Call, CallError},
    currency, keyed, on,
    outcome::Effect,
    snapshot, tag,
};

/// With this status Stripe says that the bank said no; the intent exists.
const DECLINED: u16 = 402;

#[derive(Deserialize)]
struct Declined {
    error: DeclinedIntent,
}

#[derive(Deserialize)]
struct DeclinedIntent {
    payment_intent: Option<PaymentIntent>,
}

impl StripeGateway {
    pub(super) async fn make_intent(
        &self,
        request: &FrozenIntent,
        with: &IntentMethod,
        tags: &PaymentTags,
    ) -> Outcome<IntentSnapshot> {
        if let Err(refused) = check_ids([request.account.as_str()].into_iter().chain(ids(with))) {
            return Outcome::Refused(refused);
        }
        let intent = match keyed(on(body(request, with, tags).customize(), &request.account), &request.idempotency_key)
        {
            Ok(intent) => intent,
            Err(refused) => return Outcome::Refused(refused),
        };
        let call = self.call();
        match intent.send(&call).await {
            Err(CallError::Rejected { status: DECLINED, body, .. }) => {
                self.declined(&call, &request.account, body).await
            }
            result => call.outcome(Effect::Write, result.map(snapshot::intent)),
        }
    }

    /// A decline carries the intent that was declined: it must be neither lost nor taken for a refusal of the request.
    async fn declined(&self, call: &Call<'_>, account: &str, body: Bytes) -> Outcome<IntentSnapshot> {
        let told = std::str::from_utf8(&body).ok().and_then(|text| miniserde::json::from_str::<Declined>(text).ok());
        if let Some(intent) = told.and_then(|told| told.error.payment_intent) {
            return Outcome::Done(snapshot::intent(intent));
        }
        let Ok(error) = serde_json::from_slice::<Value>(&body) else {
            let why = "a decline that cannot be read".to_owned();
            return Outcome::Unknown { cause: UnknownCause::Undecodable, why };
        };
        // Named but not readable as told: read it by itself.
        if let Some(id) = error["error"]["payment_intent"]["id"].as_str().filter(|id| check_ids([*id]).is_ok())
            && let Outcome::Done(intent) = self.read_intent(account, id).await
        {
            return Outcome::Done(intent);
        }
        if error["error"]["payment_intent"].is_object() {
            let why = "the intent in a decline cannot be read".to_owned();
            return Outcome::Unknown { cause: UnknownCause::Undecodable, why };
        }
        call.outcome(Effect::Write, Err(CallError::Rejected { status: DECLINED, retry_after: None, body }))
    }
}

fn ids(with: &IntentMethod) -> Vec<&str> {
    match with {
        IntentMethod::Form { customer, .. } => customer.iter().map(String::as_str).collect(),
        IntentMethod::Token { token, customer, .. } => {
            customer.iter().map(String::as_str).chain([token.as_str()]).collect()
        }
        IntentMethod::OffSession { customer, method, mandate, .. } => {
            mandate.iter().map(String::as_str).chain([customer.as_str(), method.as_str()]).collect()
        }
    }
}

fn body(request: &FrozenIntent, with: &IntentMethod, tags: &PaymentTags) -> CreatePaymentIntent {
    let metadata = HashMap::from([
        (tag::ORGANIZATION.to_owned(), tags.organization.to_string()),
        (tag::PAYMENT.to_owned(), tags.payment.to_string()),
        (tag::INVOICE.to_owned(), tags.invoice.to_string()),
    ]);
    // The quote was for one kind, so no other may pay it.
    let only = match with.kind() {
        PaymentMethodKind::Card => PaymentIntentAllowedPaymentMethodTypes::Card,
        PaymentMethodKind::BankDebit => PaymentIntentAllowedPaymentMethodTypes::UsBankAccount,
    };
    let mut methods = CreatePaymentIntentAutomaticPaymentMethods::new(true);
    if !matches!(with, IntentMethod::Form { .. }) {
        // Confirmed from here, where nobody can be sent to another page.
        methods.allow_redirects = Some(CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects::Never);
    }
    let mut intent = CreatePaymentIntent::new(request.amount, currency(&request.currency))
        .description(&request.description)
        .automatic_payment_methods(methods)
        .allowed_payment_method_types(vec![only])
        .expand(vec![EXPAND_CHARGE.to_owned()])
        .metadata(metadata);
    match with {
        IntentMethod::Form { customer, .. } => {
            if let Some(customer) = customer {
                intent = intent.customer(customer);
            }
        }
        IntentMethod::Token { token, customer, .. } => {
            intent = intent.confirmation_token(token).confirm(true);
            if let Some(customer) = customer {
                intent = intent.customer(customer);
            }
        }
        IntentMethod::OffSession { customer, method, mandate, .. } => {
            intent = intent
                .customer(customer)
                .payment_method(method)
                .off_session(CreatePaymentIntentOffSession::Bool(true))
                .confirm(true);
            if let Some(mandate) = mandate {
                intent = intent.mandate(mandate);
            }
        }
    }
    intent
}
