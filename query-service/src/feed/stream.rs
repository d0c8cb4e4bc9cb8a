//! Answers that go on: everything up to the present as lines, and what happens from now on as server-sent events.

use std::{future::pending, io, sync::Arc, time::Duration};

use edge::{Authenticator, Problem, Ticket};
use futures_util::{Stream, stream};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep, timeout},
};

use super::{Exporting, Feed, Shown, Wanted, live::Seat};

/// A sign of life, and with it how far a reader is of whom nothing was wanted.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a reader whose token was revoked may go on at most.
const RENEW: Duration = Duration::from_secs(5);
/// The least that is waited for something new.
const LOOK: Duration = Duration::from_millis(50);
/// Events in one piece of a stream: what a reader that does not read holds in memory.
const PIECE: i64 = 200;
/// Events that are fetched at once for whoever reads the past.
const TOGETHER: i64 = 2000;
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
    /// Told in order while what follows is fetched: one waits here, one is fetched.
    pieces: mpsc::Receiver<Result<Telling, Problem>>,
    reading: JoinHandle<()>,
    /// Whose answer it is, and its place among the organization's; nobody's at the shell.
    watched: Option<(Watched, Exporting)>,
}

/// Lines that are being written.
type Telling = JoinHandle<Result<Vec<u8>, Problem>>;

impl Drop for Export {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Export {
    pub fn new(feed: Feed, wanted: Wanted, after: i64, until: i64, watched: Option<(Watched, Exporting)>) -> Self {
        let (sender, pieces) = mpsc::channel(1);
        Self { pieces, reading: tokio::spawn(read(feed, wanted, after, until, sender)), watched }
    }

    /// The next lines; an error ends the answer in its middle, so that nobody takes it for complete.
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        loop {
            let telling = match self.pieces.recv().await? {
                Ok(telling) => telling,
                Err(problem) => return Some(Err(io::Error::other(problem))),
            };
            if let Some((watched, _)) = &mut self.watched
                && !watched.may_go_on().await
            {
                return Some(Err(io::Error::other("the token does not hold any more")));
            }
            match telling.await {
                Ok(Ok(lines)) if lines.is_empty() => {}
                Ok(Ok(lines)) => return Some(Ok(lines)),
                Ok(Err(problem)) => return Some(Err(io::Error::other(problem))),
                Err(error) => return Some(Err(io::Error::other(error))),
            }
        }
    }

    pub fn stream(self) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
        stream::unfold(self, |mut export| async move { export.next().await.map(|piece| (piece, export)) })
    }
}

/// Fetches slice after slice and has each told, until the end or until nobody listens.
async fn read(feed: Feed, wanted: Wanted, mut after: i64, until: i64, pieces: mpsc::Sender<Result<Telling, Problem>>) {
    let wanted = Arc::new(wanted);
    while after < until {
        let fetched = match feed.fetch(&wanted, after, until, TOGETHER).await {
            Ok(fetched) => fetched,
            Err(problem) => {
                let _ = pieces.send(Err(problem)).await;
                return;
            }
        };
        let reached = fetched.complete;
        let (feed, wanted) = (feed.clone(), wanted.clone());
        // Where it holds up nobody.
        let telling = spawn_blocking(move || feed.lines(&wanted, &fetched));
        if pieces.send(Ok(telling)).await.is_err() {
            return;
        }
        if reached == after {
            // Another replica told of the end than answers now: this one has yet to get there.
            sleep(BEHIND).await;
        }
        after = reached;
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
