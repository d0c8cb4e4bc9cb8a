//! Effects as the worker does them: one file per kind, each safe to repeat after a crash at any point.

mod accounts;
mod charges;
mod credits;
mod email;
mod erasure;
mod jobs;
mod occasions;
mod payments;
mod reconcile;
mod refunds;
mod reminders;
mod setups;
mod text_occasions;
mod texts;
mod webhooks;

use std::{sync::Arc, time::Duration};

use edge::Credentials;
use event_store::erasure::list::ErasureList;
use events::{Role, payment::UnknownCause};
use processes::{Effect, ports::Outcome};

use crate::{
    Ask, Engine, Fault, Pace, Providers, Registry,
    outbox::{self, Done, Task},
};

pub use accounts::status_of;
pub use erasure::destroy;
pub use payments::{record_snapshot, remember, remember_as};
pub use refunds::report as refund_report;
pub use setups::{STREAM as AUTOPAY, record as record_setup};
pub use texts::{facts_of_property, preview_of, report as text_report};

/// Does effects.
#[derive(Debug, Clone)]
pub struct Effects {
    pub engine: Engine,
    pub registry: Arc<Registry>,
    pub providers: Providers,
    pub credentials: Credentials,
    /// Shared by all that begin charges in this process.
    pub pace: Arc<Pace>,
    /// Shared by all that hand texts over in this process.
    pub text_pace: Arc<Pace>,
    /// Outlives a restore of the database.
    pub erasures: Option<ErasureList>,
}

impl Effects {
    /// Does one effect, and says what became of it.
    pub async fn run(&self, task: &Task, effect: Effect) -> Result<Done, Fault> {
        match effect {
            Effect::SubmitPayment { payment_id } => payments::submit(self, task, payment_id).await,
            Effect::ReadConfirmationToken { payment_id } => payments::preview(self, task, payment_id).await,
            Effect::ReadSettlement { payment_id } => payments::settlement(self, task, payment_id).await,
            Effect::SetUpAutopay { autopay_id, setup_id } => setups::open(self, task, autopay_id, setup_id).await,
            Effect::WatchSetup { autopay_id, setup_id } => setups::watch(self, task, autopay_id, setup_id).await,
            Effect::DetachMethod { autopay_id, payment_method } => {
                setups::detach(self, task, autopay_id, &payment_method).await
            }
            Effect::EndAutopay { resident_id } => setups::end(self, task, resident_id).await,
            Effect::ChargeWhenDue { invoice_id } => charges::when_due(self, task, invoice_id).await,
            Effect::RetryCharge { invoice_id, attempt, .. } => charges::retry(self, task, invoice_id, attempt).await,
            Effect::ReleaseFromAutopay { invoice_id } => charges::release(self, task, invoice_id).await,
            Effect::SpendCredit { invoice_id } => credits::on_invoice(self, task, invoice_id).await,
            Effect::SpendCreditOf { property_id, resident_id } => {
                credits::of_resident(self, task, property_id, resident_id).await
            }
            Effect::RemindBeforeDue { invoice_id } => reminders::before_due(self, task, invoice_id).await,
            Effect::RemindOverdue { invoice_id } => reminders::overdue(self, task, invoice_id).await,
            Effect::AnnounceCharge { invoice_id } => reminders::announce(self, task, invoice_id).await,
            Effect::MoveTimers { .. } => reminders::move_timers(self, task).await,
            Effect::ReconcileAccount { stripe_account_id } => reconcile::account(self, task, stripe_account_id).await,
            Effect::WatchPayment { payment_id } => payments::watch(self, task, payment_id).await,
            Effect::CancelPayment { payment_id } => payments::cancel(self, task, payment_id).await,
            Effect::SubmitRefund { payment_id, refund_id } => refunds::submit(self, task, payment_id, refund_id).await,
            Effect::OpenStripeAccount { stripe_account_id } => accounts::open(self, task, stripe_account_id).await,
            Effect::ReadStripeAccount { stripe_account_id } => accounts::read(self, task, stripe_account_id).await,
            Effect::ComposeEmail { message_id, occasion, cause } => {
                occasions::compose(self, task, message_id, occasion, cause).await
            }
            Effect::SendEmail { message_id } => email::send(self, task, message_id).await,
            Effect::SuppressAddress { message_id, cause } => email::suppress(self, task, message_id, cause).await,
            Effect::ComposeText { text_id, occasion, cause } => {
                text_occasions::compose(self, task, text_id, occasion, cause).await
            }
            Effect::SendText { text_id, .. } => texts::send(self, task, text_id).await,
            Effect::ActOnTextError { text_id, code } => texts::act(self, task, text_id, code).await,
            Effect::SendTextAgain { text_id, code } => texts::again(self, task, text_id, code).await,
            Effect::RunJob { job_id, after } => jobs::run(self, task, job_id, after).await,
            Effect::DestroyKeys { resident_id, purposes } => {
                erasure::destroy(self, task.organization, resident_id, &purposes).await?;
                Ok(Done::Finished)
            }
            Effect::FollowWebhook { webhook_id } => webhooks::follow(self, task, webhook_id).await,
            Effect::ReplayWebhook { webhook_id, version, from } => {
                webhooks::replay(self, task, webhook_id, version, from).await
            }
            Effect::TestWebhook { webhook_id, version } => webhooks::test(self, task, webhook_id, version).await,
            Effect::TellWebhookDisabled { webhook_id, version } => {
                webhooks::tell(self, task, webhook_id, version).await
            }
            Effect::EndRetention { resident_id, until } => erasure::end_retention(self, task, resident_id, until).await,
        }
    }

    /// Asks in the name of the process whose step this task is.
    #[expect(clippy::unused_self, reason = "reads as what it is: these effects ask")]
    fn ask(&self, task: &Task) -> Ask {
        let process = task.key.split('/').nth(1).unwrap_or("process");
        Ask::internal(task.organization, Role::Process, format!("process:{process}"), task.correlation)
            .because(task.causation.clone())
    }

    /// Notes that a provider is about to be called; returns when it first was. Refused to whom the task is no longer left.
    async fn calling(&self, task: &Task) -> Result<chrono::DateTime<chrono::Utc>, Fault> {
        outbox::calling(self.engine.store().pool(), task).await?.ok_or(Fault::TakenOver)
    }
}

/// Longer with every attempt, up to five minutes.
pub fn backoff(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts.clamp(0, 9)).unwrap_or_default();
    Duration::from_millis(500 * 2_u64.pow(doublings)).min(Duration::from_secs(300))
}

/// Stripe's code for another body under a known key: something of ours is wrong, and money may be involved.
const KEY_REUSED: &str = "idempotency_error";
/// The code for an account that we have no access to at the moment.
const ACCOUNT_UNAVAILABLE: &str = "account_unavailable";
/// The code for a key of ours that Stripe does not know (any more).
const PLATFORM_KEY_REFUSED: &str = "platform_key_refused";
/// Within this time a repeat under the same key is the same call (Stripe prunes keys after 24 hours).
const KEY_HOLDS: chrono::TimeDelta = chrono::TimeDelta::hours(23);

/// After so long, a charge or a refund that Stripe does not show was not made.
const ABSENT: chrono::TimeDelta = chrono::TimeDelta::minutes(15);

/// Stripe keeps a 500 under the key and gives it again for every repeat: after a few, only a look tells what is there.
fn repeats_its_failure<T>(outcome: &Outcome<T>, task: &Task) -> bool {
    task.attempts >= 4 && matches!(outcome, Outcome::Unknown { cause: UnknownCause::ProviderError, .. })
}

fn unknown(cause: UnknownCause, why: &str) -> String {
    format!("the outcome is not known ({cause:?}): {why}")
}
