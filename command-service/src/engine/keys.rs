//! Data keys made together: whoever needs some while others' are on their way to the disk shares the next statement.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use event_store::{Keyring, seal::KeyName};
use events::OrganizationId;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// While one batch is on its way, another is put together.
const MAKERS: u32 = 2;
/// Callers of one batch.
const TOGETHER: usize = 100;

/// Sees to it that the keyring knows a command's keys by the time it seals. Each stream that a person touches has one of its own
/// for the person's address, so without this every command would pay for a transaction more than its append.
#[derive(Debug, Clone)]
pub struct Keys(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    keyring: Keyring,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<(Vec<KeyName>, oneshot::Sender<()>)>,
    makers: u32,
}

impl Keys {
    pub fn new(keyring: Keyring) -> Self {
        Self(Arc::new(Shared { keyring, queue: Mutex::default() }))
    }

    /// Makes those that do not exist yet, and has the keyring hold them all for the next seconds. What fails here fails again,
    /// and is told, when something is sealed.
    pub async fn make(&self, names: Vec<KeyName>) {
        if names.is_empty() {
            return;
        }
        let (made, done) = oneshot::channel();
        let maker = {
            let mut queue = self.0.queue();
            queue.waiting.push((names, made));
            let another = queue.makers < MAKERS;
            queue.makers += u32::from(another);
            another.then(|| Maker { shared: self.0.clone(), ended: false })
        };
        // Apart from its caller, who may go away while others rely on it.
        maker.map(|maker| tokio::spawn(maker.run()));
        let _ = done.await;
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing between lock and unlock can leave the queue half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make(&self, names: impl Iterator<Item = KeyName>) {
        let mut fields: HashMap<OrganizationId, Vec<Value>> = HashMap::new();
        for KeyName { organization, subject, purpose } in names {
            let field = json!({ "$clear": { "subject": subject, "purpose": purpose, "value": null } });
            fields.entry(organization).or_default().push(field);
        }
        let each = fields.into_iter().map(|(organization, fields)| async move {
            if let Err(error) = self.keyring.seal(organization, &mut Value::Array(fields)).await {
                tracing::debug!(%error, "keys could not be made together");
            }
        });
        join_all(each).await;
    }
}

struct Maker {
    shared: Arc<Shared>,
    ended: bool,
}

impl Maker {
    async fn run(mut self) {
        loop {
            let batch: Vec<_> = {
                let mut queue = self.shared.queue();
                if queue.waiting.is_empty() {
                    // Before anybody else sees the queue: whoever comes now needs a new maker.
                    queue.makers -= 1;
                    self.ended = true;
                    return;
                }
                let count = queue.waiting.len().min(TOGETHER);
                queue.waiting.drain(..count).collect()
            };
            let (names, callers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            self.shared.make(names.into_iter().flatten()).await;
            drop(callers);
        }
    }
}

impl Drop for Maker {
    /// When it ended early: nobody waits for a maker that is not there.
    fn drop(&mut self) {
        if !self.ended {
            let mut queue = self.shared.queue();
            queue.makers = queue.makers.saturating_sub(1);
            if queue.makers == 0 {
                queue.waiting.clear();
            }
        }
    }
}
