//! A pace: of charges by autopay, what Stripe allows less what people need who pay by hand; of texts, what the sender may send.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// A bucket of a second's worth of charges or texts that refills steadily.
#[derive(Debug)]
pub struct Pace {
    per_second: f64,
    bucket: Mutex<(f64, Instant)>,
}

impl Pace {
    /// So many charges a second.
    pub fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self { per_second, bucket: Mutex::new((per_second, Instant::now())) }
    }

    /// How many charges may begin now.
    pub fn available(&self) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "at most what a u32 holds")]
        let whole = self.refilled(0.0).floor() as i64;
        whole
    }

    /// A charge was begun. The bucket may run below empty when several were claimed at once.
    pub fn spend(&self) {
        self.refilled(1.0);
    }

    fn refilled(&self, taken: f64) -> f64 {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let (left, since) = *bucket;
        let filled = (left + now.duration_since(since).as_secs_f64() * self.per_second).min(self.per_second);
        *bucket = (filled - taken, now);
        filled - taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_more_charges_begin_than_the_pace_allows() {
        let pace = Pace::new(20);
        assert_eq!(pace.available(), 20);
        for _ in 0..20 {
            pace.spend();
        }
        assert!(pace.available() <= 1, "a second's worth is spent");
        std::thread::sleep(Duration::from_millis(300));
        let refilled = pace.available();
        assert!((4..20).contains(&refilled), "{refilled} after 0.3 s at 20 a second");
    }
}
