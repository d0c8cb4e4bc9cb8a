//! The event feed: how fast a late consumer catches up, what waiting readers cost, and how soon live ones hear.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use host::Settings;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    RUNS, Size,
    child::Served,
    connection::{Caller, Connection},
    driver::{percentile, rate},
    report::Figure,
    scratch::Scratch,
    seed::{World, told},
};
use crate::{failure::Failure, node::Node};

/// Invoices, of two events each, that a late consumer reads.
const INVOICES: usize = 500_000;
const IDLE: usize = 1000;
const LIVE: usize = 200;
/// Events a second that live readers hear, how many at a time, and for how long.
const PACE: usize = 500;
const AT_ONCE: usize = 5;
const SECONDS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(600);
const REST: Duration = Duration::from_secs(2);

pub async fn figures(scratch: &Scratch, settings: &Settings, size: Size) -> Result<Vec<Figure>, Failure> {
    let place = scratch.place("feed");
    let served = Served::start(&place).await?;
    let node = Node::visit(&place, settings.clone()).await?;
    let measured = measure(&node, &served, size).await;
    node.close().await;
    served.stop().await?;
    measured
}

async fn measure(node: &Node, served: &Served, size: Size) -> Result<Vec<Figure>, Failure> {
    let world = World::found(node).await?;
    let caller = Caller { address: served.address, token: world.token().await? };
    caller.until_known().await?;
    let mut figures = idle(served, &caller, size).await?;
    figures.extend(live(&world, &caller, size).await?);
    world.invoices(size.of(INVOICES)).await?;
    let head = at_rest(node).await?;
    let mut rates = Vec::new();
    for _ in 0..RUNS {
        let started = Instant::now();
        let count = catch_up(&caller).await?;
        rates.push(rate(count, started.elapsed()));
    }
    let name = format!("catch-up of one consumer over HTTP (NDJSON, {head} events)");
    figures.push(Figure::new(name, "events/s", rates).at_least(100_000.0));
    Ok(figures)
}

/// Waits until everything has its position and all who follow the log have read it; where it ends then.
async fn at_rest(node: &Node) -> Result<i64, Failure> {
    let pool = node.store.pool();
    let started = Instant::now();
    let busy = "select exists (select from log.pending)
                or exists (select from engine.checkpoints
                           where global_position < (select max(global_position) from log.entries))";
    while sqlx::query_scalar::<_, bool>(busy).fetch_one(pool).await? {
        if started.elapsed() > PATIENCE {
            return Err(Failure::Told("the log was not read by all in time".to_owned()));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(event_store::positions::head(pool).await?)
}

/// Reads everything from the beginning, and counts the lines.
async fn catch_up(caller: &Caller) -> Result<usize, Failure> {
    let mut stream = begin(caller, "/v1/events?format=ndjson").await?;
    let mut buffer = vec![0; 1 << 18];
    let (mut lines, mut end) = (0, Vec::new());
    loop {
        let count = stream.read(&mut buffer).await.map_err(told)?;
        let piece = buffer.get(..count).unwrap_or_default();
        // A line of an event ends so, and nothing else does.
        let split = end.last() == Some(&b'}') && piece.first() == Some(&b'\n');
        lines += piece.windows(2).filter(|pair| pair == b"}\n").count() + usize::from(split);
        end.extend_from_slice(piece.get(piece.len().saturating_sub(5)..).unwrap_or_default());
        end.drain(..end.len().saturating_sub(5));
        if end == b"0\r\n\r\n" {
            return Ok(lines);
        }
        if count == 0 {
            return Err(Failure::Told("the answer broke off".to_owned()));
        }
    }
}

/// Sends a request, and returns when the head of an answer with status 200 has come.
async fn begin(caller: &Caller, path: &str) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(caller.address).await.map_err(told)?;
    stream.write_all(&caller.get(path)).await.map_err(told)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.map_err(told)?);
    }
    if head.starts_with(b"HTTP/1.1 200") {
        return Ok(stream);
    }
    Err(Failure::Told(String::from_utf8_lossy(&head).into_owned()))
}

/// What the process holds while many wait at the end of the log.
async fn idle(served: &Served, caller: &Caller, size: Size) -> Result<Vec<Figure>, Failure> {
    let wanted = size.of(IDLE);
    let mut held = Vec::new();
    for _ in 0..RUNS {
        let mut readers = Vec::with_capacity(wanted);
        for _ in 0..wanted {
            readers.push(begin(caller, "/v1/events/stream?after=head").await?);
        }
        sleep(REST).await;
        held.extend(served.memory("VmRSS"));
        drop(readers);
        // The next round's take their places.
        sleep(REST).await;
        Connection::open(caller.address).await?;
    }
    if held.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Figure::new(format!("memory of `propty serve`, {wanted} idle readers"), "MB", held).below(200.0)])
}

/// When how many events had come.
type Arrivals = Vec<(usize, Instant)>;

/// From an event's commit until each of many readers has it.
async fn live(world: &World<'_>, caller: &Caller, size: Size) -> Result<Vec<Figure>, Failure> {
    let (mut p50, mut p99, mut paces) = (Vec::new(), Vec::new(), Vec::new());
    let count = size.of(PACE * SECONDS) / AT_ONCE * AT_ONCE;
    for _ in 0..RUNS {
        let committed = Arc::new(Mutex::new(Vec::with_capacity(count)));
        let mut readers = JoinSet::new();
        for _ in 0..size.of(LIVE) {
            let stream = begin(caller, "/v1/events/stream?after=head").await?;
            readers.spawn(async move { timeout(PATIENCE, hear(stream, count)).await.map_err(told)? });
        }
        let begun = Instant::now();
        let step = Duration::from_secs(1) * u32::try_from(AT_ONCE).unwrap_or(1) / u32::try_from(PACE).unwrap_or(1);
        for round in 0..u32::try_from(count / AT_ONCE).unwrap_or(u32::MAX) {
            sleep_until(begun + step * round).await;
            world.units(AT_ONCE, 1).await?;
            let now = Instant::now();
            committed.lock().unwrap_or_else(PoisonError::into_inner).extend([now; AT_ONCE]);
        }
        paces.push(rate(count, begun.elapsed()));
        let mut delays = Vec::with_capacity(count * size.of(LIVE));
        while let Some(arrivals) = readers.join_next().await {
            let committed = committed.lock().unwrap_or_else(PoisonError::into_inner);
            let mut heard = 0;
            for (reached, at) in arrivals.map_err(told)?? {
                let commits = committed.get(heard..reached).unwrap_or_default();
                delays.extend(commits.iter().map(|commit| at.saturating_duration_since(*commit)));
                heard = reached;
            }
        }
        p50.push(percentile(&mut delays, 50));
        p99.push(percentile(&mut delays, 99));
    }
    let readers = size.of(LIVE);
    Ok(vec![
        Figure::new(format!("pace held while {PACE} events/s are asked for"), "events/s", paces),
        Figure::new(format!("from commit to each of {readers} live readers, p50"), "ms", p50),
        Figure::new(format!("from commit to each of {readers} live readers, p99"), "ms", p99).below(100.0),
    ])
}

/// Counts events as they come, until all have.
async fn hear(mut stream: TcpStream, count: usize) -> Result<Arrivals, Failure> {
    const MARK: &[u8] = b"\ndata: ";
    let mut buffer = Vec::with_capacity(1 << 16);
    let (mut arrivals, mut heard) = (Vec::new(), 0);
    while heard < count {
        if stream.read_buf(&mut buffer).await.map_err(told)? == 0 {
            return Err(Failure::Told(format!("a stream ended after {heard} events")));
        }
        let found = buffer.windows(MARK.len()).filter(|window| *window == MARK).count();
        // What may be the beginning of the next mark is kept.
        buffer.drain(..buffer.len().saturating_sub(MARK.len() - 1));
        if found > 0 {
            heard += found;
            arrivals.push((heard, Instant::now()));
        }
    }
    Ok(arrivals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_are_counted_however_they_are_cut() -> Result<(), Failure> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(told)?;
        let client = TcpStream::connect(listener.local_addr().map_err(told)?).await.map_err(told)?;
        let (mut server, _) = listener.accept().await.map_err(told)?;
        tokio::spawn(async move {
            for piece in ["retry: 1\n\nid: 1\nda", "ta: {}\n\nid: 2\ndata: {}\n\n", "id: 3\n", "data: {}\n\n"] {
                let _ = server.write_all(piece.as_bytes()).await;
                let _ = server.flush().await;
                tokio::task::yield_now().await;
            }
            sleep(PATIENCE).await;
        });
        let arrivals = hear(client, 3).await?;
        assert_eq!(arrivals.last().map(|(heard, _)| *heard), Some(3));
        Ok(())
    }
}
