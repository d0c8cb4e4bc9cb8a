//! A mail provider that counts what it sent.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use processes::ports::{Mail, MailPromise, Outcome, OutgoingEmail};
use uuid::Uuid;

use super::{Script, lock};

#[derive(Debug)]
pub struct FakeMail {
    pub script: Script,
    /// Whether it knows keys, as Resend does and SMTP does not.
    keyed: bool,
    sent: Mutex<(BTreeMap<String, String>, Vec<OutgoingEmail>)>,
}

impl FakeMail {
    pub fn new(keyed: bool) -> Self {
        Self { script: Script::default(), keyed, sent: Mutex::default() }
    }

    pub fn sent(&self) -> Vec<OutgoingEmail> {
        lock(&self.sent).1.clone()
    }

    /// How often a message really went out.
    pub fn times(&self, message: Uuid) -> usize {
        self.sent().iter().filter(|email| email.reference == message).count()
    }

    /// As if every known key had been used with another body.
    pub fn knows_other_bodies(&self) {
        lock(&self.sent).0.values_mut().for_each(|body| body.push('!'));
    }

    /// As after the keys' time.
    pub fn forget_keys(&self) {
        lock(&self.sent).0.clear();
    }
}

#[async_trait]
impl Mail for FakeMail {
    fn name(&self) -> &'static str {
        if self.keyed { "resend" } else { "smtp" }
    }

    fn promise(&self) -> MailPromise {
        if self.keyed {
            MailPromise::Idempotent { window: Duration::from_secs(23 * 3600) }
        } else {
            MailPromise::AtMostOnce
        }
    }

    async fn find(&self, email: &OutgoingEmail, _: DateTime<Utc>) -> Option<Outcome<Option<String>>> {
        if !self.keyed {
            return None;
        }
        let find = || {
            let found = self.times(email.reference) > 0;
            Outcome::Done(found.then(|| format!("mail_{}", email.reference)))
        };
        Some(self.script.call("find", find).await)
    }

    async fn send(&self, email: &OutgoingEmail, idempotency_key: &str) -> Outcome<Option<String>> {
        let send = || {
            let mut sent = lock(&self.sent);
            let body = serde_json::to_string(email).unwrap_or_default();
            match sent.0.insert(idempotency_key.to_owned(), body.clone()) {
                Some(known) if self.keyed && known != body => return super::refused("invalid_idempotent_request"),
                Some(_) if self.keyed => {}
                Some(_) | None => sent.1.push(email.clone()),
            }
            Outcome::Done(self.keyed.then(|| format!("mail_{}", email.reference)))
        };
        self.script.call("send", send).await
    }
}
