//! Stripe's rate limit, when the switchboard sets one: so many requests per account and second of the machine's clock.

use std::collections::BTreeMap;

use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(crate) struct Pace {
    per_second: Option<u64>,
    /// The second that is counted, and the requests in it, by account.
    now: BTreeMap<String, (i64, u64)>,
    admitted: u64,
    refused: u64,
    /// The most that one account was granted in one second.
    peak: u64,
}

impl Pace {
    pub fn set(&mut self, per_second: Option<u64>) {
        *self = Self { per_second, ..Self::default() };
    }

    /// Whether a request may pass.
    pub fn admit(&mut self, account: &str, second: i64) -> bool {
        let (counted, requests) = self.now.entry(account.to_owned()).or_default();
        if *counted != second {
            (*counted, *requests) = (second, 0);
        }
        if self.per_second.is_some_and(|most| *requests >= most) {
            self.refused += 1;
            return false;
        }
        *requests += 1;
        self.admitted += 1;
        self.peak = self.peak.max(*requests);
        true
    }

    pub fn told(&self) -> Value {
        json!({"per_second": self.per_second, "admitted": self.admitted, "refused": self.refused, "peak": self.peak})
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

    #[test]
    fn each_account_has_its_own_second() {
        let mut pace = Pace::default();
        pace.set(Some(2));
        let granted: Vec<bool> = [("a", 1), ("a", 1), ("a", 1), ("b", 1), ("a", 2)]
            .into_iter()
            .map(|(account, second)| pace.admit(account, second))
            .collect();
        assert_eq!(granted, [true, true, false, true, true]);
        assert_eq!(pace.told()["refused"], 1);
        assert_eq!(pace.told()["peak"], 2);
    }
}
