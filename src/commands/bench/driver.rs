//! Load: so many callers, each doing its share of the jobs one after the other.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::failure::Failure;

/// Deals the jobs out to the callers, lets them work, and returns how long it took with what the callers have become.
pub async fn drive<S, T, F, Fut>(callers: Vec<S>, jobs: Vec<T>, work: F) -> Result<(Duration, Vec<S>), Failure>
where
    S: Send + 'static,
    T: Send + 'static,
    F: Fn(S, T) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<S, Failure>> + Send,
{
    let count = callers.len().max(1);
    let mut shares: Vec<Vec<T>> = (0..count).map(|_| Vec::with_capacity(jobs.len() / count + 1)).collect();
    for (index, job) in jobs.into_iter().enumerate() {
        shares[index % count].push(job);
    }
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for (mut caller, share) in callers.into_iter().zip(shares) {
        let work = work.clone();
        tasks.spawn(async move {
            for job in share {
                caller = work(caller, job).await?;
            }
            Ok(caller)
        });
    }
    let mut callers = Vec::with_capacity(count);
    while let Some(done) = tasks.join_next().await {
        let caller: Result<S, Failure> =
            done.map_err(|error| Failure::Told(format!("a caller of the benchmark ended early: {error}")))?;
        callers.push(caller?);
    }
    Ok((started.elapsed(), callers))
}

/// Things per second.
pub fn rate(count: usize, elapsed: Duration) -> f64 {
    float(count) / elapsed.as_secs_f64().max(1e-9)
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "no benchmark counts beyond 2^52")]
pub const fn float(count: usize) -> f64 {
    count as f64
}

/// The middle one.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The value below which `percent` of them are, in milliseconds.
pub fn percentile(latencies: &mut [Duration], percent: usize) -> f64 {
    latencies.sort_unstable();
    let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
    latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&[3.0, 1.0, 2.0]).total_cmp(&2.0), std::cmp::Ordering::Equal);
        assert_eq!(median(&[]).total_cmp(&0.0), std::cmp::Ordering::Equal);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut latencies: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut latencies, 50).total_cmp(&51.0), std::cmp::Ordering::Equal);
        assert_eq!(percentile(&mut latencies, 99).total_cmp(&100.0), std::cmp::Ordering::Equal);
        assert_eq!(percentile(&mut [], 99).total_cmp(&0.0), std::cmp::Ordering::Equal);
    }

    #[tokio::test]
    async fn every_job_is_done_once_by_one_of_the_callers() -> Result<(), Failure> {
        let work = |mut done: Vec<u32>, job: u32| async move {
            done.push(job);
            Ok(done)
        };
        let (_, callers) = drive(vec![Vec::new(); 3], (0..10).collect(), work).await?;
        let mut all: Vec<u32> = callers.into_iter().flatten().collect();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        Ok(())
    }
}
