//! Scripted misfortune: which fault meets which request or webhook, how often, and repeatably by seed.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::Provider;

fn one_second() -> u64 {
    1
}

fn default_hold() -> u64 {
    30_000
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// The same event is sent a second time after the first was accepted.
    DuplicateWebhook,
    /// Held back until the next webhook of the provider has gone out (or two seconds), then sent in reverse.
    ReorderWebhooks,
    DelayWebhooks {
        ms: u64,
    },
    /// Never sent; the event stays listed and can be replayed.
    DropWebhooks,
    /// A copy signed with a wrong secret goes first.
    ForgeWebhooks,
    /// A copy with half its body goes first.
    TruncateWebhooks,
    /// 429 with `Retry-After` in seconds; nothing is executed or recorded.
    RateLimit {
        #[serde(default = "one_second")]
        retry_after: u64,
    },
    /// 500; nothing is executed, but Stripe records it under the idempotency key, as Stripe does.
    ServerError,
    /// Executes, but only after a pause in which the idempotency key counts as in flight.
    Slow {
        ms: u64,
    },
    /// Nothing is executed; the connection is held, then dropped without an answer.
    TimeoutBeforeCommit {
        #[serde(default = "default_hold")]
        hold_ms: u64,
    },
    /// Everything is executed; the connection is held, then dropped without an answer.
    TimeoutAfterCommit {
        #[serde(default = "default_hold")]
        hold_ms: u64,
    },
    /// Executed; half the answer arrives, then the connection breaks.
    Truncate,
    /// Executed; the answer is not what it should be.
    Garble,
}

impl FaultKind {
    fn meets_webhooks(&self) -> bool {
        matches!(
            self,
            Self::DuplicateWebhook
                | Self::ReorderWebhooks
                | Self::DelayWebhooks { .. }
                | Self::DropWebhooks
                | Self::ForgeWebhooks
                | Self::TruncateWebhooks
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Absent means every provider.
    #[serde(default)]
    pub provider: Option<Provider>,
    /// Part of `METHOD /path?query` (without the provider's prefix), or of the event type for webhook faults.
    #[serde(default, rename = "match")]
    pub matching: Option<String>,
    #[serde(flatten)]
    pub kind: FaultKind,
    /// How often it strikes; absent means once, or for ever when `percent` is given.
    #[serde(default)]
    pub times: Option<u32>,
    /// The chance, from 0 to 100, that a match is struck.
    #[serde(default)]
    pub percent: Option<u8>,
    #[serde(default)]
    pub seed: u64,
}

impl Fault {
    pub fn once(provider: Provider, matching: &str, kind: FaultKind) -> Self {
        Self {
            provider: Some(provider),
            matching: Some(matching.to_owned()),
            kind,
            times: Some(1),
            percent: None,
            seed: 0,
        }
    }
}

#[derive(Debug)]
struct Scripted {
    id: u64,
    fault: Fault,
    left: Option<u32>,
    struck: u32,
    random: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    scripted: Vec<Scripted>,
    next: u64,
}

impl Faults {
    pub fn add(&mut self, fault: Fault) -> u64 {
        self.next += 1;
        let left = match (fault.times, fault.percent) {
            (Some(times), _) => Some(times),
            (None, Some(_)) => None,
            (None, None) => Some(1),
        };
        self.scripted.push(Scripted { id: self.next, left, struck: 0, random: fault.seed, fault });
        self.next
    }

    pub fn clear(&mut self, id: Option<u64>) {
        self.scripted.retain(|entry| id.is_some_and(|id| entry.id != id));
    }

    pub fn for_request(&mut self, provider: Provider, line: &str) -> Option<FaultKind> {
        self.draw(provider, line, false)
    }

    pub fn for_webhook(&mut self, provider: Provider, event_type: &str) -> Option<FaultKind> {
        self.draw(provider, event_type, true)
    }

    fn draw(&mut self, provider: Provider, text: &str, webhook: bool) -> Option<FaultKind> {
        for entry in &mut self.scripted {
            let applies = entry.fault.kind.meets_webhooks() == webhook
                && entry.left != Some(0)
                && entry.fault.provider.is_none_or(|wanted| wanted == provider)
                && entry.fault.matching.as_deref().is_none_or(|part| text.contains(part));
            if !applies {
                continue;
            }
            let chance = u64::from(entry.fault.percent.unwrap_or(100));
            if splitmix(&mut entry.random) % 100 >= chance {
                continue;
            }
            if let Some(left) = &mut entry.left {
                *left -= 1;
            }
            entry.struck += 1;
            return Some(entry.fault.kind.clone());
        }
        None
    }

    pub fn listed(&self) -> Vec<Value> {
        self.scripted
            .iter()
            .map(|entry| json!({"id": entry.id, "fault": entry.fault, "left": entry.left, "struck": entry.struck}))
            .collect()
    }
}

/// `SplitMix64`: small, and the same sequence for the same seed on every machine.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Fault, FaultKind, Faults};
    use crate::config::Provider;

    fn struck(seed: u64) -> Vec<bool> {
        let mut faults = Faults::default();
        faults.add(Fault {
            provider: None,
            matching: None,
            kind: FaultKind::ServerError,
            times: None,
            percent: Some(30),
            seed,
        });
        (0..200).map(|_| faults.for_request(Provider::Stripe, "GET /v1/x").is_some()).collect()
    }

    #[test]
    fn a_seed_repeats_its_misfortunes() {
        assert_eq!(struck(7), struck(7));
        assert_ne!(struck(7), struck(8));
        let count = struck(7).iter().filter(|hit| **hit).count();
        assert!((30..=90).contains(&count), "{count} of 200 at 30 percent");
    }

    #[test]
    fn a_fault_without_a_limit_strikes_once() {
        let mut faults = Faults::default();
        faults.add(Fault { times: None, ..Fault::once(Provider::Stripe, "POST /v1/refunds", FaultKind::Garble) });
        assert_eq!(faults.for_request(Provider::Resend, "POST /v1/refunds"), None);
        assert_eq!(faults.for_request(Provider::Stripe, "POST /v1/refunds"), Some(FaultKind::Garble));
        assert_eq!(faults.for_request(Provider::Stripe, "POST /v1/refunds"), None);
    }
}
