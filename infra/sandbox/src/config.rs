//! What a sandbox is started with.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The provider a request, fault or webhook belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    Stripe,
    Resend,
    Twilio,
}

impl Provider {
    pub fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Resend => "resend",
            Self::Twilio => "twilio",
        }
    }
}

/// Where webhooks go, and the secret that signs them (`whsec_…` for Stripe and Resend, the account's token for Twilio).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookTarget {
    pub url: String,
    pub secret: String,
}

impl fmt::Debug for WebhookTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookTarget").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The only Twilio account the sandbox admits; without one, any account with any token is admitted and
/// callbacks are signed with the token of the request that sent the message.
#[derive(Clone, PartialEq, Eq)]
pub struct TwilioAccount {
    pub account_sid: String,
    pub auth_token: String,
}

impl fmt::Debug for TwilioAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwilioAccount").field("account_sid", &self.account_sid).finish_non_exhaustive()
    }
}

/// What time it is in the world that is played. Webhooks are signed by the machine's clock all the same.
#[derive(Clone)]
pub struct BusinessClock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl BusinessClock {
    pub fn new(read: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

impl Default for BusinessClock {
    fn default() -> Self {
        Self::new(Utc::now)
    }
}

impl fmt::Debug for BusinessClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BusinessClock").field(&self.now()).finish()
    }
}

#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Port 0 takes a free one; see [`crate::Sandbox::url`].
    pub listen: SocketAddr,
    /// Every change is appended here before it is answered; absent means memory only.
    pub state_file: Option<PathBuf>,
    pub stripe_webhooks: Option<WebhookTarget>,
    pub resend_webhooks: Option<WebhookTarget>,
    /// Where texts of people go, and the token of the account that they are written to. Callbacks about texts name their own address.
    pub twilio_webhooks: Option<WebhookTarget>,
    pub twilio: Option<TwilioAccount>,
    /// Added to each provider request, half before and half after it commits.
    pub latency: Duration,
    /// Stamps objects and makes debits and payouts arrive; the switchboard's offset is added to it.
    pub clock: BusinessClock,
    /// Days on that clock until a bank debit succeeds or fails.
    pub ach_days: i64,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            state_file: None,
            stripe_webhooks: None,
            resend_webhooks: None,
            twilio_webhooks: None,
            twilio: None,
            latency: Duration::ZERO,
            clock: BusinessClock::default(),
            ach_days: 4,
        }
    }
}
