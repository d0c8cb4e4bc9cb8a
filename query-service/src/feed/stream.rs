//! Answers that go on: everything up to the present as lines, and what happens from now on as server-sent events.

use std::{future::pending, io, sync::Arc, time::Duration};

use edge::{Authenticator, Problem, Ticket};
use futures_util::{Stream, stream};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{Exporting, Feed, MOST, Shown, Slice, Wanted, live::Seat};

/// A sign of life, and with it how far a reader is of whom nothing was wanted.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a reader whose token was revoked may go on at most.
const RENEW: Duration = Duration::from_secs(5);
/// The least that is waited for something new.
const LOOK: Duration = Duration::from_millis(50);
/// Events in one piece of a stream: what a reader that does not read holds in memory.
const PIECE: i64 = 200;
/// How soon a replica is asked again that is not as far as another was.
const BEHIND: Duration = Duration::from_millis(100);

/// Whether the reader of a long answer may still read it.
#[derive(Debug)]
pub struct Watched {
    authenticator: Authenticator,
    ticket: Ticket,
    since: Instant,
}

impl Watched {
    pub fn new(authenticator: Authenticator, ticket: Ticket) -> Self {
        Self { authenticator, ticket, since: Instant::now() }
    }

    async fn may_go_on(&mut self) -> bool {
        if self.since.elapsed() < RENEW {
            return true;
        }
        self.since = Instant::now();
        // That it cannot be looked up for a moment ends nothing.
        !matches!(self.authenticator.renew(&self.ticket).await, Err(problem) if problem.status() == 401)
    }
}

/// Everything that is wanted after one position up to another, a line each.
#[derive(Debug)]
pub struct Export {
    feed: Feed,
    wanted: Arc<Wanted>,
    until: i64,
    /// Where the last slice began.
    reached: Option<i64>,
    /// Read while what came before is on its way; at most one.
    ahead: Option<JoinHandle<Result<Slice, Problem>>>,
    /// Whose answer it is, and its place among the organization's; nobody's at the shell.
    watched: Option<(Watched, Exporting)>,
}

impl Drop for Export {
    fn drop(&mut self) {
        if let Some(ahead) = &self.ahead {
            ahead.abort();
        }
    }
}

impl Export {
    pub fn new(feed: Feed, wanted: Wanted, after: i64, until: i64, watched: Option<(Watched, Exporting)>) -> Self {
        let mut export = Self { feed, wanted: Arc::new(wanted), until, reached: None, ahead: None, watched };
        export.read_on(after);
        export
    }

    fn read_on(&mut self, after: i64) {
        if after >= self.until {
            return;
        }
        let (feed, wanted, until) = (self.feed.clone(), self.wanted.clone(), self.until);
        // Another replica told of the end than answers now: this one has yet to get there.
        let pause = self.reached == Some(after);
        self.reached = Some(after);
        self.ahead = Some(tokio::spawn(async move {
            if pause {
                sleep(BEHIND).await;
            }
            feed.slice(&wanted, after, until, MOST).await
        }));
    }

    /// The next lines; an error ends the answer in its middle, so that nobody takes it for complete.
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        loop {
            let ahead = self.ahead.take()?;
            if let Some((watched, _)) = &mut self.watched
                && !watched.may_go_on().await
            {
                return Some(Err(io::Error::other("the token does not hold any more")));
            }
            let slice = match ahead.await {
                Ok(Ok(slice)) => slice,
                Ok(Err(problem)) => return Some(Err(io::Error::other(problem))),
                Err(error) => return Some(Err(io::Error::other(error))),
            };
            self.read_on(slice.complete);
            if !slice.shown.is_empty() {
                return Some(Ok(lines(&slice.shown)));
            }
        }
    }

    pub fn stream(self) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
        stream::unfold(self, |mut export| async move { export.next().await.map(|piece| (piece, export)) })
    }
}

/// Events, one on a line.
pub fn lines(shown: &[Arc<Shown>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(shown.iter().map(|one| one.line.len() + 1).sum());
    for one in shown {
        bytes.extend_from_slice(&one.line);
        bytes.push(b'\n');
    }
    bytes
}

/// What happens after a position, as server-sent events, until somebody hangs up.
#[derive(Debug)]
pub struct Live {
    feed: Feed,
    wanted: Wanted,
    seat: Seat,
    /// How far everything wanted was told.
    at: i64,
    /// How far the reader knows that.
    known: i64,
    begun: bool,
    /// The last piece was an error: there is nothing more to say.
    broken: bool,
    /// Lines alone, for the shell.
    plain: bool,
    told: watch::Receiver<bool>,
    watched: Option<Watched>,
}

impl Live {
    pub async fn begin(feed: Feed, wanted: Wanted, after: i64, watched: Option<Watched>) -> Result<Self, Problem> {
        let seat = feed.seat(wanted.organization).await?;
        let told = feed.0.told.clone();
        Ok(Self {
            feed,
            wanted,
            seat,
            at: after,
            known: after,
            begun: false,
            broken: false,
            plain: false,
            told,
            watched,
        })
    }

    /// The events alone, a line each.
    #[must_use]
    pub fn plain(self) -> Self {
        Self { plain: true, begun: true, ..self }
    }

    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        if self.broken {
            return None;
        }
        if !self.begun {
            self.begun = true;
            // Sent at once, so that the reader knows it is heard.
            return Some(Ok(b"retry: 2000\n\n".to_vec()));
        }
        let heartbeat = Instant::now() + HEARTBEAT;
        loop {
            if *self.told.borrow() {
                return None;
            }
            if let Some(watched) = &mut self.watched
                && !watched.may_go_on().await
            {
                return None;
            }
            let (shown, reach) =
                match self.seat.after(&self.wanted, self.at, usize::try_from(PIECE).unwrap_or(usize::MAX)) {
                    Some(found) => found,
                    None => match self.feed.slice(&self.wanted, self.at, i64::MAX, PIECE).await {
                        Ok(slice) => (slice.shown, slice.complete),
                        Err(problem) => {
                            self.broken = true;
                            return Some(Err(io::Error::other(problem)));
                        }
                    },
                };
            let moved = reach > self.at;
            self.at = reach;
            if !shown.is_empty() {
                self.known = shown.last().map_or(self.known, |last| last.position);
                return Some(Ok(if self.plain { lines(&shown) } else { messages(&shown) }));
            }
            if Instant::now() >= heartbeat && !self.plain {
                return Some(Ok(self.sign_of_life()));
            }
            if !moved {
                self.wait(heartbeat.max(Instant::now() + LOOK)).await;
            }
        }
    }

    /// Until there is something new, or it is time for a sign of life, for another look at the token, or for the end.
    async fn wait(&mut self, heartbeat: Instant) {
        let patience = heartbeat.saturating_duration_since(Instant::now());
        let patience = if self.watched.is_some() { patience.min(RENEW) } else { patience };
        let at = self.at;
        let (reached, told) = (&mut self.seat.reached, &mut self.told);
        // Whoever could tell is gone: then only time passes.
        let grown = async {
            if reached.wait_for(|reached| *reached > at).await.is_err() {
                pending::<()>().await;
            }
        };
        let ended = async {
            if told.changed().await.is_err() {
                pending::<()>().await;
            }
        };
        let changed = async {
            tokio::select! {
                () = grown => {}
                () = ended => {}
            }
        };
        let _ = timeout(patience, changed).await;
    }

    /// A comment, and the position if the reader's is behind: where to go on from, although nothing of it was wanted.
    fn sign_of_life(&mut self) -> Vec<u8> {
        if self.known >= self.at {
            return b":\n\n".to_vec();
        }
        self.known = self.at;
        format!(": complete up to here\nid: {}\n\n", self.at).into_bytes()
    }

    pub fn stream(self) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
        stream::unfold(self, |mut live| async move { live.next().await.map(|piece| (piece, live)) })
    }
}

fn messages(shown: &[Arc<Shown>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(shown.iter().map(|one| one.line.len() + 40).sum());
    for one in shown {
        bytes.extend_from_slice(b"id: ");
        bytes.extend_from_slice(one.position.to_string().as_bytes());
        bytes.extend_from_slice(b"\ndata: ");
        bytes.extend_from_slice(&one.line);
        bytes.extend_from_slice(b"\n\n");
    }
    bytes
}
