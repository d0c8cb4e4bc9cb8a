//! Ways to pay that are kept or shown before paying: customers, setup intents, payment methods, mandates.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use events::payment::{BankSummary, CardSummary, FrozenIntent, PaymentMethodKind};
use uuid::Uuid;

use super::{Decline, Outcome};

/// With what a PaymentIntent is created. Frozen with the attempt: a repeat under the same key must say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntentMethod {
    /// The resident completes it in Stripe's form; nothing is confirmed yet.
    Form { kind: PaymentMethodKind, customer: Option<String> },
    /// Shown and quoted before as a confirmation token (`ctoken_…`); confirmed at once, with the resident present.
    Token { kind: PaymentMethodKind, token: String, customer: Option<String> },
    /// A kept method, charged at once without the resident.
    OffSession { kind: PaymentMethodKind, customer: String, method: String, mandate: Option<String> },
}

impl IntentMethod {
    /// What a frozen request asks for.
    pub fn of(request: &FrozenIntent) -> Self {
        let (kind, customer) = (request.kind, request.customer.clone());
        match (&request.confirmation_token, &request.payment_method, customer) {
            (Some(token), _, customer) => Self::Token { kind, token: token.clone(), customer },
            (None, Some(method), Some(customer)) => {
                Self::OffSession { kind, customer, method: method.clone(), mandate: None }
            }
            (None, _, customer) => Self::Form { kind, customer },
        }
    }

    /// Whether creating the PaymentIntent takes the money, too.
    pub const fn charges_at_once(&self) -> bool {
        match self {
            Self::Token { .. } | Self::OffSession { .. } => true,
            Self::Form { .. } => false,
        }
    }

    pub const fn kind(&self) -> PaymentMethodKind {
        match self {
            Self::Form { kind, .. } | Self::Token { kind, .. } | Self::OffSession { kind, .. } => *kind,
        }
    }
}

/// Names our resident in Stripe's metadata; no personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerTags {
    pub organization: Uuid,
    pub resident: Uuid,
    pub property: Uuid,
}

/// Names our enrollment in Stripe's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupTags {
    pub organization: Uuid,
    pub enrollment: Uuid,
    pub setup: Uuid,
}

/// Frozen parameters of a SetupIntent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupRequest {
    pub account: String,
    pub customer: String,
    pub kind: PaymentMethodKind,
    pub idempotency_key: String,
    pub tags: SetupTags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupState {
    /// Nothing was given yet, or what was given was refused: see the snapshot's failure.
    AwaitingMethod,
    /// The bank asks the resident to authenticate, or the form has still to confirm.
    ActionRequired,
    /// The resident has to tell the small amounts that arrive in a day or two.
    MicrodepositsPending,
    Processing,
    Succeeded,
    Canceled,
    /// A status of a later version of the provider's API.
    Unrecognized,
}

/// A SetupIntent as Stripe tells it now.
#[derive(Clone, PartialEq, Eq)]
pub struct SetupSnapshot {
    pub id: String,
    pub client_secret: Option<String>,
    pub state: SetupState,
    pub customer: Option<String>,
    pub method: Option<MethodSnapshot>,
    pub mandate: Option<String>,
    /// Where small amounts can be told, when they are awaited.
    pub verification_url: Option<String>,
    /// The last refusal.
    pub failure: Option<Decline>,
    /// The `propty_setup` of its metadata. A hint: an account's owner can edit it.
    pub setup: Option<Uuid>,
    pub created: DateTime<Utc>,
}

impl std::fmt::Debug for SetupSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetupSnapshot")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("method", &self.method)
            .field("mandate", &self.mandate)
            .field("failure", &self.failure)
            .field("setup", &self.setup)
            .finish_non_exhaustive()
    }
}

/// A payment method as Stripe tells it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodSnapshot {
    /// `pm_…`.
    pub id: String,
    /// `None` for a kind that we do not offer.
    pub kind: Option<PaymentMethodKind>,
    /// `None` once it is detached.
    pub customer: Option<String>,
    pub card: Option<CardSummary>,
    pub bank: Option<BankSummary>,
}

/// What the resident chose in the form, seen before anything is charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSnapshot {
    /// `ctoken_…`.
    pub id: String,
    /// `None` for a kind that we do not offer.
    pub kind: Option<PaymentMethodKind>,
    /// Its funding decides whether a surcharge is allowed.
    pub card: Option<CardSummary>,
    /// The issuer's country, two letters, where Stripe knows it.
    pub card_country: Option<String>,
    pub bank: Option<BankSummary>,
    pub used: bool,
    pub expires: Option<DateTime<Utc>>,
}

impl TokenSnapshot {
    pub fn usable(&self, now: DateTime<Utc>) -> bool {
        !self.used && self.expires.is_none_or(|expires| now < expires)
    }
}

/// A mandate as Stripe tells it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MandateSnapshot {
    pub id: String,
    /// `pm_…`.
    pub method: String,
    /// False once it was revoked, or a bank's return ended it.
    pub active: bool,
}

/// Stripe, as far as enrollments and quotes need it.
#[async_trait]
pub trait StripeMethods: Send + Sync + std::fmt::Debug {
    /// The new customer's id.
    async fn create_customer(&self, account: &str, key: &str, tags: &CustomerTags) -> Outcome<String>;
    /// Creates an unconfirmed SetupIntent; the resident completes it in Stripe's form.
    async fn create_setup_intent(&self, request: &SetupRequest) -> Outcome<SetupSnapshot>;
    async fn setup_intent(&self, account: &str, setup: &str) -> Outcome<SetupSnapshot>;
    async fn cancel_setup_intent(&self, account: &str, setup: &str, key: &str) -> Outcome<SetupSnapshot>;
    async fn payment_method(&self, account: &str, method: &str) -> Outcome<MethodSnapshot>;
    /// Takes a method from its customer; one that is already detached or gone is done.
    async fn detach_payment_method(&self, account: &str, method: &str, key: &str) -> Outcome<()>;
    async fn confirmation_token(&self, account: &str, token: &str) -> Outcome<TokenSnapshot>;
    async fn mandate(&self, account: &str, mandate: &str) -> Outcome<MandateSnapshot>;
}
