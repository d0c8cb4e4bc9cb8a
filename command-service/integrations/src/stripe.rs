//! Stripe: direct charges on connected accounts, asked through async-stripe's request types over our own HTTP client.

mod books;
mod client;
mod intents;
mod kept;
mod lookup;
mod methods;
mod outcome;
mod snapshot;
pub mod webhook;

use std::{collections::HashMap, fmt, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use events::payment::FrozenIntent;
use processes::ports::{
    AccountSnapshot, IntentMethod, IntentSnapshot, Outcome, PaymentTags, RefundRequest, RefundSnapshot, Refused, Stripe,
};
use stripe_client_core::{CustomizableStripeRequest, IdempotencyKey, RequestStrategy, StripeRequest};
use stripe_connect::{
    account::{
        CreateAccount, CreateAccountBusinessProfile, CreateAccountController, CreateAccountControllerFees,
        CreateAccountControllerFeesPayer, CreateAccountControllerLosses, CreateAccountControllerLossesPayments,
        CreateAccountControllerRequirementCollection, CreateAccountControllerStripeDashboard,
        CreateAccountControllerStripeDashboardType, RetrieveAccount,
    },
    account_link::{CreateAccountLink, CreateAccountLinkType},
};
use stripe_core::{
    payment_intent::{CancelPaymentIntent, RetrievePaymentIntent},
    refund::{CreateRefund, RetrieveRefund},
};
use stripe_types::Currency;
use uuid::Uuid;

use self::{
    client::{Call, Wire},
    outcome::Effect,
};
use crate::{Secret, SettingsError};

/// Metadata by which Stripe's objects name ours. Hints only: the account's owner can edit them.
mod tag {
    pub const ORGANIZATION: &str = "propty_organization";
    pub const PAYMENT: &str = "propty_payment";
    pub const INVOICE: &str = "propty_invoice";
    pub const REFUND: &str = "propty_refund";
    pub const ACCOUNT: &str = "propty_account";
    pub const RESIDENT: &str = "propty_resident";
    pub const PROPERTY: &str = "propty_property";
    pub const ENROLLMENT: &str = "propty_enrollment";
    pub const SETUP: &str = "propty_setup";
}

/// Without it a `PaymentIntent` names its charge, but tells neither card nor fee.
const EXPAND_CHARGE: &str = "latest_charge.balance_transaction";

/// Where Stripe is and how long it may take.
#[derive(Debug, Clone)]
pub struct StripeSettings {
    /// `https://api.stripe.com`, or the sandbox; without `/v1`.
    pub api_base: String,
    pub secret_key: Secret,
    pub connect_timeout: Duration,
    /// For one call, body included.
    pub timeout: Duration,
}

/// Stripe's API for one platform account.
pub struct StripeGateway {
    wire: Wire,
}

impl fmt::Debug for StripeGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeGateway").field("api_base", &self.wire.base()).finish_non_exhaustive()
    }
}

impl StripeGateway {
    /// Opens no connection yet. The process must have installed a rustls provider.
    pub fn try_new(settings: &StripeSettings) -> Result<Self, SettingsError> {
        Wire::try_new(settings).map(|wire| Self { wire })
    }

    fn call(&self) -> Call<'_> {
        Call::new(&self.wire)
    }

    async fn read_intent(&self, account: &str, intent: &str) -> Outcome<IntentSnapshot> {
        let request = RetrievePaymentIntent::new(intent).expand(vec![EXPAND_CHARGE.to_owned()]).customize();
        let call = self.call();
        let result = on(request, account).send(&call).await;
        call.outcome(Effect::Read, result.map(snapshot::intent))
    }
}

#[async_trait]
impl Stripe for StripeGateway {
    async fn create_account(&self, key: &str, name: &str, country: &str, ours: Uuid) -> Outcome<AccountSnapshot> {
        let controller = CreateAccountController {
            fees: Some(CreateAccountControllerFees { payer: Some(CreateAccountControllerFeesPayer::Account) }),
            losses: Some(CreateAccountControllerLosses {
                payments: Some(CreateAccountControllerLossesPayments::Stripe),
            }),
            requirement_collection: Some(CreateAccountControllerRequirementCollection::Stripe),
            stripe_dashboard: Some(CreateAccountControllerStripeDashboard {
                type_: Some(CreateAccountControllerStripeDashboardType::Full),
            }),
        };
        let mut profile = CreateAccountBusinessProfile::new();
        profile.name = Some(name.to_owned());
        let request = CreateAccount::new()
            .controller(controller)
            .country(country)
            .business_profile(profile)
            .metadata(HashMap::from([(tag::ACCOUNT.to_owned(), ours.to_string())]))
            .customize();
        let request = match keyed(request, key) {
            Ok(request) => request,
            Err(refused) => return Outcome::Refused(refused),
        };
        let call = self.call();
        let result = request.send(&call).await;
        call.outcome(Effect::Write, result.map(snapshot::account))
    }

    async fn account(&self, account: &str) -> Outcome<AccountSnapshot> {
        if let Err(refused) = check_ids([account]) {
            return Outcome::Refused(refused);
        }
        let call = self.call();
        let result = RetrieveAccount::new(account).send(&call).await;
        call.outcome(Effect::Read, result.map(snapshot::account))
    }

    async fn onboarding_link(&self, account: &str, return_url: &str, refresh_url: &str) -> Outcome<String> {
        if let Err(refused) = check_ids([account]) {
            return Outcome::Refused(refused);
        }
        let call = self.call();
        let result = CreateAccountLink::new(account, CreateAccountLinkType::AccountOnboarding)
            .return_url(return_url)
            .refresh_url(refresh_url)
            .send(&call)
            .await;
        // A link that nobody was given expires unused, so a lost answer leaves nothing behind.
        call.outcome(Effect::Read, result.map(|link| link.url))
    }

    async fn create_intent(
        &self,
        request: &FrozenIntent,
        with: &IntentMethod,
        tags: &PaymentTags,
    ) -> Outcome<IntentSnapshot> {
        self.make_intent(request, with, tags).await
    }

    async fn payment_intent(&self, account: &str, intent: &str) -> Outcome<IntentSnapshot> {
        match check_ids([account, intent]) {
            Ok(()) => self.read_intent(account, intent).await,
            Err(refused) => Outcome::Refused(refused),
        }
    }

    async fn find_payment_intent(
        &self,
        account: &str,
        payment: Uuid,
        since: DateTime<Utc>,
    ) -> Outcome<Option<IntentSnapshot>> {
        match check_ids([account]) {
            Ok(()) => self.look_up_intent(account, None, payment, since).await,
            Err(refused) => Outcome::Refused(refused),
        }
    }

    async fn find_customers_intent(
        &self,
        account: &str,
        customer: &str,
        payment: Uuid,
        since: DateTime<Utc>,
    ) -> Outcome<Option<IntentSnapshot>> {
        match check_ids([account, customer]) {
            Ok(()) => self.look_up_intent(account, Some(customer), payment, since).await,
            Err(refused) => Outcome::Refused(refused),
        }
    }

    async fn cancel_payment_intent(&self, account: &str, intent: &str, key: &str) -> Outcome<IntentSnapshot> {
        if let Err(refused) = check_ids([account, intent]) {
            return Outcome::Refused(refused);
        }
        let request = CancelPaymentIntent::new(intent).expand(vec![EXPAND_CHARGE.to_owned()]).customize();
        let request = match keyed(on(request, account), key) {
            Ok(request) => request,
            Err(refused) => return Outcome::Refused(refused),
        };
        let call = self.call();
        let result = request.send(&call).await;
        call.outcome(Effect::Write, result.map(snapshot::intent))
    }

    async fn create_refund(&self, request: &RefundRequest) -> Outcome<RefundSnapshot> {
        if let Err(refused) = check_ids([&request.account, &request.intent]) {
            return Outcome::Refused(refused);
        }
        let refund = CreateRefund::new()
            .payment_intent(&request.intent)
            .amount(request.amount)
            .metadata(HashMap::from([(tag::REFUND.to_owned(), request.refund.to_string())]))
            .customize();
        let refund = match keyed(on(refund, &request.account), &request.idempotency_key) {
            Ok(refund) => refund,
            Err(refused) => return Outcome::Refused(refused),
        };
        let call = self.call();
        let result = refund.send(&call).await;
        call.outcome(Effect::Write, result.map(snapshot::refund))
    }

    async fn find_refund(&self, account: &str, intent: &str, refund: Uuid) -> Outcome<Option<RefundSnapshot>> {
        match check_ids([account, intent]) {
            Ok(()) => self.look_up_refund(account, intent, refund).await,
            Err(refused) => Outcome::Refused(refused),
        }
    }

    async fn refunds(&self, account: &str, intent: &str) -> Outcome<Vec<RefundSnapshot>> {
        match check_ids([account, intent]) {
            Ok(()) => self.list_refunds(account, intent).await,
            Err(refused) => Outcome::Refused(refused),
        }
    }

    async fn refund(&self, account: &str, refund: &str) -> Outcome<RefundSnapshot> {
        if let Err(refused) = check_ids([account, refund]) {
            return Outcome::Refused(refused);
        }
        let call = self.call();
        let result = on(RetrieveRefund::new(refund).customize(), account).send(&call).await;
        call.outcome(Effect::Read, result.map(snapshot::refund))
    }
}

/// Acts on a connected account.
fn on<T>(request: CustomizableStripeRequest<T>, account: &str) -> CustomizableStripeRequest<T> {
    request.account_id(account.into())
}

/// One attempt under our key.
fn keyed<T>(request: CustomizableStripeRequest<T>, key: &str) -> Result<CustomizableStripeRequest<T>, Refused> {
    match IdempotencyKey::new(key) {
        Ok(key) => Ok(request.request_strategy(RequestStrategy::Idempotent(key))),
        Err(error) => Err(Refused { code: "invalid_key".to_owned(), why: error.to_string() }),
    }
}

/// Ids end up in paths and headers, so anything but Stripe's own alphabet stays out.
fn check_ids<'a, S: AsRef<str> + ?Sized + 'a>(ids: impl IntoIterator<Item = &'a S>) -> Result<(), Refused> {
    let valid =
        |id: &str| (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if ids.into_iter().all(|id| valid(id.as_ref())) {
        return Ok(());
    }
    Err(Refused { code: "invalid_id".to_owned(), why: "not an id of Stripe".to_owned() })
}

fn currency(code: &str) -> Currency {
    let code = code.to_ascii_lowercase();
    match code.parse() {
        Ok(currency) => currency,
        Err(never) => match never {},
    }
}
