//! What names mean: looked up a few at a time, and only addresses that may be connected to are handed over.

use std::{
    error::Error,
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{TargetProblem, Targets, is_public};

/// Names that are looked up at once.
const PLACES: usize = 16;
/// How long a name waits for its turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks names up.
pub type Lookup = Arc<dyn Fn(String) -> Looking + Send + Sync>;
type Looking = std::pin::Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
/// Looks a name up by a thread, which it may hold long after nobody waits any more.
type Blocking = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// As the system does.
pub(super) fn system() -> Lookup {
    bounded(PLACES, |name| Ok((name, 0).to_socket_addrs()?.collect()))
}

/// A few threads at most: everything that blocks shares them, and a server for names that says nothing must not take them all.
fn bounded(places: usize, look: Blocking) -> Lookup {
    let places = Arc::new(Semaphore::new(places));
    Arc::new(move |name| {
        let places = places.clone();
        Box::pin(async move {
            let place = timeout(PATIENCE, places.acquire_owned()).await;
            let place = place.map_err(|_| io::Error::other("too many names are being looked up"))?;
            let found = spawn_blocking(move || {
                // Given back by the thread: who waits may have given up long before.
                let _place = place;
                look(&name)
            });
            found.await.map_err(io::Error::other)?
        })
    })
}

/// Hands over only addresses that may be connected to: what a name means can change between two looks, so the look that counts
/// is the one that is connected to.
pub(super) struct Filtered {
    pub lookup: Lookup,
    pub targets: Targets,
}

impl Resolve for Filtered {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, targets) = ((self.lookup)(name.as_str().to_owned()), self.targets);
        Box::pin(async move {
            let mut addresses = found.await?;
            if targets == Targets::Public {
                addresses.retain(|address| is_public(address.ip()));
            }
            if addresses.is_empty() {
                return Err(Box::new(TargetProblem::NotPublic) as Box<dyn Error + Send + Sync>);
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// How many are blocked, and whether they may go.
    static BLOCKED: (Mutex<(usize, bool)>, Condvar) = (Mutex::new((0, false)), Condvar::new());

    fn slow(_: &str) -> io::Result<Vec<SocketAddr>> {
        let (state, changed) = &BLOCKED;
        let mut state = state.lock().expect("a state");
        state.0 += 1;
        while !state.1 {
            state = changed.wait(state).expect("a state");
        }
        Ok("192.0.2.1:0".to_socket_addrs()?.collect())
    }

    #[tokio::test]
    async fn names_that_nobody_waits_for_any_more_keep_their_places_until_they_are_found() {
        let lookup = bounded(2, slow);
        let abandoned: Vec<_> = ["a", "b"].map(|name| tokio::spawn(lookup(name.to_owned()))).into();
        while BLOCKED.0.lock().expect("a state").0 < 2 {
            tokio::task::yield_now().await;
        }
        for one in abandoned {
            one.abort();
            assert!(one.await.is_err());
        }
        let error = lookup("c".to_owned()).await.expect_err("no place");
        assert!(error.to_string().contains("too many"), "{error}");
        assert_eq!(BLOCKED.0.lock().expect("a state").0, 2, "it took no thread");
        BLOCKED.0.lock().expect("a state").1 = true;
        BLOCKED.1.notify_all();
        assert_eq!(lookup("d".to_owned()).await.expect("an address").len(), 1);
    }
}
