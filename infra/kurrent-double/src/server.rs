//! The double as a server that can be stopped, cut off and started again at the same address, with what it holds.

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use tokio::runtime::{Builder, Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use crate::{
    database::{Event, Expected, Fault},
    protos::event_store::client::{
        server_features::server_features_server::ServerFeaturesServer, streams::streams_server::StreamsServer,
    },
    service::Service,
};

/// What the server's thread is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Break all connections and go on.
    Cut,
    /// Refuse connections.
    Down(mpsc::Sender<()>),
    /// Accept them again.
    Up(mpsc::Sender<()>),
    End,
}

/// A running double; ends when dropped.
#[derive(Debug)]
pub struct Double {
    address: SocketAddr,
    service: Service,
    thread: Option<JoinHandle<()>>,
}

impl Double {
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (orders, told) = mpsc::channel();
        let service = Service { database: std::sync::Arc::default(), orders };
        let served = service.clone();
        let first = serve(listener, &served)?;
        let thread = thread::spawn(move || obey(address, &served, &told, first));
        Ok(Self { address, service, thread: Some(thread) })
    }

    /// How a client reaches it.
    pub fn url(&self) -> String {
        format!("kurrentdb://{}?tls=false&discoveryInterval=20&maxDiscoverAttempts=2", self.address)
    }

    /// How the next appends fail, one each.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.service.database().faults.extend(faults);
    }

    /// How many wanted failures are still to come.
    pub fn outstanding_faults(&self) -> usize {
        self.service.database().faults.len()
    }

    /// How many appends were asked for, whatever became of them.
    pub fn appends(&self) -> u64 {
        self.service.database().appends
    }

    /// All streams by name.
    pub fn streams(&self) -> BTreeMap<String, Vec<Event>> {
        self.service.database().streams.clone()
    }

    /// Everything in the order in which it was stored: stream and event.
    pub fn all(&self) -> Vec<(String, Event)> {
        let database = self.service.database();
        let event = |stream: &String, revision: u64| {
            database.streams.get(stream)?.get(usize::try_from(revision).ok()?).cloned()
        };
        database.all.iter().filter_map(|(stream, revision)| Some((stream.clone(), event(stream, *revision)?))).collect()
    }

    /// Somebody else writes.
    pub fn write(&self, stream: &str, event: Event) {
        let _ = self.service.database().append(stream, Expected::Any, &[event]);
    }

    /// Somebody takes a stream's end away.
    pub fn truncate(&self, stream: &str, length: usize) {
        let mut database = self.service.database();
        if let Some(events) = database.streams.get_mut(stream) {
            events.truncate(length);
        }
        database
            .all
            .retain(|(name, revision)| name != stream || usize::try_from(*revision).is_ok_and(|at| at < length));
    }

    /// Breaks all connections and refuses new ones, until [`Self::up`].
    pub fn down(&self) {
        let (done, wait) = mpsc::channel();
        let _ = self.service.orders.send(Order::Down(done));
        let _ = wait.recv();
    }

    pub fn up(&self) {
        let (done, wait) = mpsc::channel();
        let _ = self.service.orders.send(Order::Up(done));
        let _ = wait.recv();
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        let _ = self.service.orders.send(Order::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves in a runtime of its own: with it, all connections end.
fn serve(listener: TcpListener, service: &Service) -> io::Result<Runtime> {
    listener.set_nonblocking(true)?;
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (streams, features) = (StreamsServer::new(service.clone()), ServerFeaturesServer::new(service.clone()));
    runtime.spawn(async move {
        if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
            let server = Server::builder().add_service(streams).add_service(features);
            let _ = server.serve_with_incoming(TcpListenerStream::new(listener)).await;
        }
    });
    Ok(runtime)
}

fn obey(address: SocketAddr, service: &Service, told: &mpsc::Receiver<Order>, first: Runtime) {
    let again = || TcpListener::bind(address).and_then(|listener| serve(listener, service)).ok();
    let mut running = Some(first);
    while let Ok(order) = told.recv() {
        match order {
            Order::Cut => {
                end(&mut running);
                running = again();
            }
            Order::Down(done) => {
                end(&mut running);
                let _ = done.send(());
            }
            Order::Up(done) => {
                if running.is_none() {
                    running = again();
                }
                let _ = done.send(());
            }
            Order::End => break,
        }
    }
    end(&mut running);
}

/// Waits until its connections are closed, so that the address is free.
fn end(running: &mut Option<Runtime>) {
    if let Some(runtime) = running.take() {
        runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    }
}
