//! What processes need of the outside world: the words that every provider's answer is brought to.

mod books;
mod methods;
mod texts;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use events::payment::{BankSummary, CardSummary, FrozenIntent, PaymentMethodKind, UnknownCause};

pub use self::books::{
    BalanceItem, BalanceRange, DisputeSnapshot, DisputeStatus, Page, PayoutSnapshot, PayoutStatus, StripeBooks,
};
pub use self::methods::{
    CustomerTags, IntentMethod, MandateSnapshot, MethodSnapshot, SetupRequest, SetupSnapshot, SetupState, SetupTags,
    StripeMethods, TokenSnapshot,
};
pub use self::texts::{OutgoingText, TextProblem, TextSnapshot, TextStatus, Texts};

/// What came of a call to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    Done(T),
    /// Final: asking again would be refused again.
    Refused(Refused),
    /// Surely nothing happened; ask again no sooner than this.
    Retry {
        after: Duration,
        why: String,
    },
    /// It may or may not have happened. Never failed, never blindly repeated.
    Unknown {
        cause: UnknownCause,
        why: String,
    },
}

/// A provider's final no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The provider's stable code, else the HTTP status.
    pub code: String,
    /// For logs and operators; without personal data.
    pub why: String,
}

/// Names our payment in Stripe's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentTags {
    pub organization: uuid::Uuid,
    pub payment: uuid::Uuid,
    pub invoice: uuid::Uuid,
}

/// A PaymentIntent as Stripe tells it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentSnapshot {
    pub id: String,
    pub client_secret: Option<String>,
    pub status: IntentStatus,
    /// Minor units.
    pub amount: i64,
    pub amount_received: i64,
    /// Upper case ISO code.
    pub currency: String,
    pub charge: Option<String>,
    /// `pm_…` of the last attempt, also of a declined one.
    pub method: Option<String>,
    pub kind: Option<PaymentMethodKind>,
    pub card: Option<CardSummary>,
    pub bank: Option<BankSummary>,
    pub decline: Option<Decline>,
    /// Why its last charge failed, in the words of banks.
    pub failure: Option<ChargeFailure>,
    /// What the charge moved on the balance, with the fee that Stripe kept.
    pub booked: Option<BalanceItem>,
    /// The `propty_payment` of its metadata. A hint: an account's owner can edit it.
    pub payment: Option<uuid::Uuid>,
    pub created: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Succeeded,
    Canceled,
    /// A status of a later version of the provider's API.
    Unrecognized,
}

/// Why a card was declined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decline {
    pub code: String,
    pub decline_code: Option<String>,
    pub advice: Option<String>,
}

/// Why a charge failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeFailure {
    /// Stripe's word: `insufficient_funds`, `account_closed`, `debit_not_authorized` …
    pub code: Option<String>,
    /// The network's own: `R01` for ACH, `51` for cards.
    pub network: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundStatus {
    Pending,
    Succeeded,
    Failed,
    Canceled,
    RequiresAction,
    Unrecognized,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundSnapshot {
    pub id: String,
    pub status: RefundStatus,
    pub amount: i64,
    /// The `propty_refund` of its metadata.
    pub refund: Option<uuid::Uuid>,
    pub failure: Option<String>,
}

/// A connected account as Stripe tells it now.
#[expect(clippy::struct_excessive_bools, reason = "these are Stripe's own flags, independent of each other")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSnapshot {
    pub id: String,
    pub charges_enabled: bool,
    pub payouts_enabled: bool,
    pub details_submitted: bool,
    pub disabled_reason: Option<String>,
    pub requirements_due: bool,
}

/// Frozen parameters of a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRequest {
    pub account: String,
    pub intent: String,
    /// Minor units.
    pub amount: i64,
    pub idempotency_key: String,
    pub refund: uuid::Uuid,
}

/// Stripe, as far as payments and accounts need it.
#[async_trait]
pub trait Stripe: StripeMethods + StripeBooks {
    /// Opens a connected account with controller properties (the owner has Stripe's full dashboard).
    async fn create_account(&self, key: &str, name: &str, country: &str, ours: uuid::Uuid) -> Outcome<AccountSnapshot>;
    async fn account(&self, account: &str) -> Outcome<AccountSnapshot>;
    /// A single-use link to Stripe's onboarding forms.
    async fn onboarding_link(&self, account: &str, return_url: &str, refresh_url: &str) -> Outcome<String>;
    /// Creates a PaymentIntent as its frozen request says: for Stripe's form, with a token, or off the session.
    async fn create_payment_intent(&self, request: &FrozenIntent, tags: &PaymentTags) -> Outcome<IntentSnapshot> {
        self.create_intent(request, &IntentMethod::of(request), tags).await
    }
    /// Creates a PaymentIntent on the connected account and, by `with`, confirms it. A decline is done: the snapshot tells.
    async fn create_intent(
        &self,
        request: &FrozenIntent,
        with: &IntentMethod,
        tags: &PaymentTags,
    ) -> Outcome<IntentSnapshot>;
    async fn payment_intent(&self, account: &str, intent: &str) -> Outcome<IntentSnapshot>;
    /// Looks a payment up by our id among the account's PaymentIntents created since `since` (never by Search).
    async fn find_payment_intent(
        &self,
        account: &str,
        payment: uuid::Uuid,
        since: DateTime<Utc>,
    ) -> Outcome<Option<IntentSnapshot>>;
    /// The same among one customer's PaymentIntents, which are few.
    async fn find_customers_intent(
        &self,
        account: &str,
        customer: &str,
        payment: uuid::Uuid,
        since: DateTime<Utc>,
    ) -> Outcome<Option<IntentSnapshot>>;
    async fn cancel_payment_intent(&self, account: &str, intent: &str, key: &str) -> Outcome<IntentSnapshot>;
    async fn create_refund(&self, request: &RefundRequest) -> Outcome<RefundSnapshot>;
    /// Looks a refund up by our id among the PaymentIntent's refunds.
    async fn find_refund(&self, account: &str, intent: &str, refund: uuid::Uuid) -> Outcome<Option<RefundSnapshot>>;
    /// All refunds of a PaymentIntent, whoever made them.
    async fn refunds(&self, account: &str, intent: &str) -> Outcome<Vec<RefundSnapshot>>;
    async fn refund(&self, account: &str, refund: &str) -> Outcome<RefundSnapshot>;
}

/// A rendered e-mail, as it is frozen before it is handed over.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OutgoingEmail {
    /// `"Name" <address>`.
    pub from_name: String,
    pub from_address: String,
    pub to: String,
    pub reply_to: Option<String>,
    pub subject: String,
    pub html: String,
    pub text: String,
    /// Our message's id: an `X-Message-Ref` header and a tag.
    pub reference: uuid::Uuid,
    pub kind: String,
    pub language: String,
}

impl std::fmt::Debug for OutgoingEmail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingEmail")
            .field("reference", &self.reference)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// What a mail provider can promise when an answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailPromise {
    /// The same key within this time is the same message.
    Idempotent { window: Duration },
    /// A lost answer stays unknown; only a person may send again.
    AtMostOnce,
}

/// A way to send e-mail.
#[async_trait]
pub trait Mail: Send + Sync + std::fmt::Debug {
    /// `resend` or `smtp`.
    fn name(&self) -> &'static str;
    fn promise(&self) -> MailPromise;
    /// Looks for a message among those handed over since then, by what it says. `None` where a provider shows nothing of the past.
    async fn find(&self, _email: &OutgoingEmail, _since: DateTime<Utc>) -> Option<Outcome<Option<String>>> {
        None
    }
    /// Hands one message over; the provider's id comes back where it has one.
    async fn send(&self, email: &OutgoingEmail, idempotency_key: &str) -> Outcome<Option<String>>;
}
