//! The hand behind the sandbox: scripts faults, plays the outside world, looks at what happened.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::{Provider, WebhookTarget};
use crate::faults::Fault;
use crate::shared::{Shared, hold};
use crate::store::{Store, Table};
use crate::stripe::due;
use crate::twilio::inbound;
use crate::{resend, twilio, webhooks};

#[derive(Debug, thiserror::Error)]
pub enum SwitchboardError {
    #[error("no such object: {0}")]
    NotFound(String),
    #[error("{0}")]
    Refused(String),
    #[error("cannot save the sandbox's state")]
    State(#[source] io::Error),
}

/// A handle to a running sandbox; every method has a twin under `/switchboard`.
#[derive(Clone, Debug)]
pub struct Switchboard {
    pub(crate) shared: Arc<Shared>,
}

type Change = Option<Result<Value, String>>;

impl Switchboard {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The fault's number, by which [`Switchboard::forget_fault`] takes it back.
    pub fn script(&self, fault: Fault) -> u64 {
        hold(&self.shared.faults).add(fault)
    }

    pub fn forget_fault(&self, id: u64) {
        hold(&self.shared.faults).clear(Some(id));
    }

    pub fn clear_faults(&self) {
        hold(&self.shared.faults).clear(None);
    }

    pub fn faults(&self) -> Vec<Value> {
        hold(&self.shared.faults).listed()
    }

    /// Where a provider's webhooks go from now on. Kept in memory only.
    pub fn aim(&self, provider: Provider, target: WebhookTarget) {
        hold(&self.shared.targets).insert(provider, target);
    }

    /// Waits until every webhook was accepted or given up; answers how many are still on their way.
    pub async fn flush(&self, within: Duration) -> usize {
        for provider in [Provider::Stripe, Provider::Resend, Provider::Twilio] {
            webhooks::release(&self.shared, provider);
        }
        let mut undelivered = self.shared.undelivered.subscribe();
        // A time-out is no error here: the number tells.
        let _ = tokio::time::timeout(within, undelivered.wait_for(|count| *count == 0)).await;
        *self.shared.undelivered.borrow()
    }

    /// Sends an event again, as the dashboards' resend buttons do.
    pub fn replay(&self, event: &str) -> Result<(), SwitchboardError> {
        self.change(event, |store| {
            let row = store.get(Table::Events, event)?;
            let provider = serde_json::from_value(row["provider"].clone()).ok()?;
            let kind = row["type"].as_str()?.to_owned();
            store.queue(provider, event, &kind);
            Some(Ok(json!({})))
        })
        .map(|_| ())
    }

    /// Every request received and every webhook sent, oldest first.
    pub fn journal(&self) -> Vec<Value> {
        hold(&self.shared.journal).entries().cloned().collect()
    }

    pub fn clear_journal(&self) {
        hold(&self.shared.journal).clear();
    }

    /// Sets the business clock's distance from the configured one, and lets everything happen whose time has come.
    pub fn set_clock_offset(&self, seconds: i64) -> Result<(), SwitchboardError> {
        self.shared.change(|store| store.set_clock_offset(seconds)).map_err(SwitchboardError::State)?;
        due::arrive(&self.shared);
        Ok(())
    }

    /// `opened`, `clicked`, `delivered`, `bounced`, `soft_bounced`, `complained`, `delivery_delayed`, `failed`, `suppressed`.
    pub fn email_event(&self, email: &str, step: &str) -> Result<Value, SwitchboardError> {
        self.change(email, |store| resend::later(store, email, step))
    }

    pub fn message_status(&self, sid: &str, status: &str, error: Option<u32>) -> Result<Value, SwitchboardError> {
        self.change(sid, |store| twilio::later(store, sid, status, error))
    }

    /// Somebody's phone sends a text to the sending number.
    pub fn incoming_text(&self, from: &str, body: &str) -> Result<Value, SwitchboardError> {
        let url = hold(&self.shared.targets).get(&Provider::Twilio).map(|target| target.url.clone());
        let only = self.shared.config.twilio.as_ref().map(|only| only.account_sid.clone());
        self.change(from, |store| {
            let sender = store.get(Table::Settings, "text_sender").cloned().unwrap_or_default();
            let known = sender["account"].as_str().map(str::to_owned);
            let account = only.or(known).unwrap_or_else(|| "ACsandbox".to_owned());
            let service = sender["service"].as_str();
            let (to, url) = (None, url.as_deref());
            Some(inbound::receive(store, &inbound::Incoming { from, to, body, account: &account, service, url }))
        })
    }

    /// Whether Twilio answers stop words itself: `advanced` (and tells so with `OptOutType`), `default`, `off`.
    pub fn answer_stop_words(&self, mode: &str) -> Result<Value, SwitchboardError> {
        self.change(mode, |store| Some(inbound::answer_words(store, mode)))
    }

    /// What happens to texts to a number from now on: `{statuses, error_code}` or `{refuse}`; `{}` takes it back.
    pub fn script_number(&self, number: &str, script: &Value) -> Result<Value, SwitchboardError> {
        self.change(number, |store| Some(twilio::script(store, number, script)))
    }

    /// Objects of every account, oldest first, with their account beside them: `payment_intents`, `charges`, `refunds`,
    /// `customers`, `accounts`, `payouts`, `events`, `balance_transactions`, `setup_intents`, `payment_methods`,
    /// `mandates`, `disputes`, `emails`, `suppressions`, `messages`, `opt_outs`.
    pub fn objects(&self, kind: &str) -> Option<Vec<Value>> {
        let table: Table = serde_json::from_value(json!(kind)).ok()?;
        if matches!(
            table,
            Table::Due
                | Table::Idempotency
                | Table::PaidOut
                | Table::PaymentIntentsByCustomer
                | Table::RefundsByCharge
                | Table::Settings
        ) {
            return None;
        }
        Some(self.shared.read(|store| {
            store
                .all(table)
                .map(|(key, row)| match (table, key.split_once('/')) {
                    (Table::PaymentMethods | Table::ConfirmationTokens, Some((account, _))) => {
                        json!({"account": account, "object": row["object"]})
                    }
                    (_, Some((account, _))) => json!({"account": account, "object": row}),
                    (Table::Accounts, None) => {
                        json!({"account": key, "object": row["object"], "deauthorized": row["deauthorized"] == json!(true)})
                    }
                    _ => row_with_id(key, row),
                })
                .collect()
        }))
    }

    pub fn state(&self) -> Value {
        let counts = self.shared.read(|store| {
            json!({
                "accounts": store.len(Table::Accounts),
                "customers": store.len(Table::Customers),
                "disputes": store.len(Table::Disputes),
                "payment_intents": store.len(Table::PaymentIntents),
                "payouts": store.len(Table::Payouts),
                "setup_intents": store.len(Table::SetupIntents),
                "charges": store.len(Table::Charges),
                "refunds": store.len(Table::Refunds),
                "emails": store.len(Table::Emails),
                "messages": store.len(Table::Messages),
                "events": store.len(Table::Events),
                "deliveries": store.len(Table::Deliveries),
                "clock_offset_seconds": store.clock_offset(),
                "now": store.now(),
            })
        });
        let targets: Vec<Value> = hold(&self.shared.targets)
            .iter()
            .map(|(provider, target)| json!({"provider": provider, "url": target.url}))
            .collect();
        json!({
            "state": counts,
            "faults": self.faults(),
            "webhook_targets": targets,
            "undelivered": *self.shared.undelivered.borrow(),
        })
    }

    pub(crate) fn change(
        &self,
        name: &str,
        work: impl FnOnce(&mut Store) -> Change,
    ) -> Result<Value, SwitchboardError> {
        match self.shared.change(work).map_err(SwitchboardError::State)? {
            None => Err(SwitchboardError::NotFound(name.to_owned())),
            Some(Err(reason)) => Err(SwitchboardError::Refused(reason)),
            Some(Ok(value)) => Ok(value),
        }
    }
}

fn row_with_id(key: &str, row: &Value) -> Value {
    let mut row = row.clone();
    if row.is_object() && row.get("id").is_none() {
        row["id"] = json!(key);
    }
    // Bodies of JSON events are easier to read as objects.
    if let Some(parsed) = row["body"].as_str().and_then(|body| serde_json::from_str::<Value>(body).ok()) {
        row["body"] = parsed;
    }
    row
}
