//! A provider of texts that counts what it sent, knows no keys, and shows what it has.

use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;
use processes::ports::{Outcome, OutgoingText, TextSnapshot, TextStatus, Texts};
use uuid::Uuid;

use super::{Script, lock};

#[derive(Debug, Default)]
pub struct FakeTexts {
    pub script: Script,
    sent: Mutex<Vec<OutgoingText>>,
}

impl FakeTexts {
    pub fn sent(&self) -> Vec<OutgoingText> {
        lock(&self.sent).clone()
    }

    /// How often a text really went out.
    pub fn times(&self, text: Uuid) -> usize {
        self.sent().iter().filter(|sent| sent.reference == text).count()
    }

    pub fn id(text: Uuid) -> String {
        format!("SM{}", text.simple())
    }
}

fn snapshot(text: &OutgoingText) -> TextSnapshot {
    TextSnapshot { id: FakeTexts::id(text.reference), status: TextStatus::Accepted, error: None, segments: None }
}

#[async_trait]
impl Texts for FakeTexts {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn sender(&self) -> &'static str {
        "MG1"
    }

    async fn send(&self, text: &OutgoingText) -> Outcome<TextSnapshot> {
        let send = || {
            lock(&self.sent).push(text.clone());
            Outcome::Done(snapshot(text))
        };
        self.script.call("send", send).await
    }

    async fn find(&self, to: &str, short_reference: &str) -> Outcome<Option<TextSnapshot>> {
        let find = || {
            let sent = self.sent();
            let found = sent.iter().find(|text| text.to == to && text.body.contains(short_reference));
            Outcome::Done(found.map(snapshot))
        };
        self.script.call("find", find).await
    }

    async fn text(&self, _: &str) -> Outcome<TextSnapshot> {
        super::refused("20404")
    }

    fn appears_within(&self) -> Duration {
        Duration::from_secs(15 * 60)
    }
}
