//! A model-based test of autopay: random sequences of commands, webhooks, faults, crashes and clock steps against the real
//! system and the sandbox, compared with a small reference model whenever everything has come to rest.
//!
//! `PROPTY_MODEL_SECONDS` says how long (60, or 300 where `CI` is set), `PROPTY_MODEL_SEED` repeats one sequence.

mod book;
mod chance;
mod check;
mod enrollment;
mod house;
mod run;
#[path = "../service/server.rs"]
mod server;
mod step;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{house::House, run::Run};

/// How many sequences are enough.
const ENOUGH: u64 = 2_000;
/// Worlds at the same time.
const WORLDS: usize = 4;
/// Sequences in one world, one after the other, each with an organization of its own.
const PER_WORLD: usize = 6;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.trim().parse().ok()
}

/// What all worlds share.
#[derive(Debug, Default)]
struct Hunt {
    next: AtomicU64,
    done: AtomicU64,
    over: AtomicBool,
    /// How often what happened: a hunt in which nobody is charged proves nothing.
    seen: Mutex<BTreeMap<String, usize>>,
    found: Mutex<Vec<String>>,
}

impl Hunt {
    async fn one(&self, house: &House, seed: u64) -> bool {
        let mut run = Run::move_in(house, seed).await;
        let ended = run.live().await;
        self.done.fetch_add(1, Ordering::Relaxed);
        for fact in
            run.book.facts.iter().filter(|fact| ["autopay", "payment", "invoice"].contains(&fact.stream.as_str()))
        {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner).entry(fact.name.clone()).or_default() += 1;
        }
        if let Err(wrong) = ended {
            let story = run.story().join("\n  ");
            let text = format!("PROPTY_MODEL_SEED={seed} repeats it:\n  {story}\n{wrong}");
            self.found.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            self.over.store(true, Ordering::Relaxed);
            return false;
        }
        run.move_out().await;
        true
    }

    async fn world(&self, until: Instant, last: u64) {
        while !self.over.load(Ordering::Relaxed) && Instant::now() < until {
            let house = House::new().await;
            for _ in 0..PER_WORLD {
                let seed = self.next.fetch_add(1, Ordering::Relaxed);
                if seed > last || self.over.load(Ordering::Relaxed) || Instant::now() >= until {
                    break;
                }
                if !self.one(&house, seed).await {
                    break;
                }
            }
            house.demolish().await;
            if self.next.load(Ordering::Relaxed) > last {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_charged_twice_whatever_happens_in_whatever_order() {
    let ci = std::env::var_os("CI").is_some();
    let seconds = number("PROPTY_MODEL_SECONDS").unwrap_or(if ci { 300 } else { 60 });
    let single = number("PROPTY_MODEL_SEED");
    let first = single.or_else(|| number("PROPTY_MODEL_FIRST")).unwrap_or(1);
    let (last, worlds) = if single.is_some() { (first, 1) } else { (first + ENOUGH - 1, WORLDS) };
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let hunt = Arc::new(Hunt { next: AtomicU64::new(first), ..Hunt::default() });
    let hunters: Vec<_> = (0..worlds)
        .map(|_| {
            let hunt = hunt.clone();
            tokio::spawn(async move { hunt.world(until, last).await })
        })
        .collect();
    for hunter in hunters {
        hunter.await.expect("a world that ends");
    }
    let found = hunt.found.lock().unwrap_or_else(PoisonError::into_inner).join("\n\n");
    let done = hunt.done.load(Ordering::Relaxed);
    let seen = hunt.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    println!("{done} sequences in {:?}: {seen:?}", began.elapsed());
    assert!(found.is_empty(), "after {done} sequences:\n{found}");
    assert!(done > 0, "no sequence came to its end in {seconds} s");
    for event in ["ChargeAuthorized", "ChargeSucceeded", "ChargeFailed", "PaymentApplied"] {
        assert!(single.is_some() || done < 20 || seen.contains_key(event), "no {event} in {done} sequences");
    }
}
