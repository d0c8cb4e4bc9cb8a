//! The running service: its parts by role, its HTTP routes, and an orderly stop.

use std::{sync::Arc, time::Duration};

use command_service::{
    Providers, Registry,
    effects::Effects,
    http::{CommandState, SignInLimits},
    openapi, outbox,
    reactor::Reactor,
    worker::Worker,
};
use edge::{Authenticator, Credentials};
use event_store::{positions, sequencer::Sequencer};
use poem::{
    Endpoint, EndpointExt, Response, Route, get, handler,
    http::StatusCode,
    listener::{Acceptor, Listener, TcpListener},
    web::{Data, Html},
};
use projections::Projector;
use query_service::QueryState;
use serde_json::Value;
use sqlx::PgPool;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use crate::{cli::ServeRole, failure::Failure, node::Node};

/// How long open requests may take once the service is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// The service's background work and HTTP server.
pub struct Service {
    stop: watch::Sender<bool>,
    running: JoinSet<()>,

    /// Where it listens.
    pub address: std::net::SocketAddr,
}

/// What `/health`, `/metrics` and the contract's pages need.
#[derive(Clone)]
struct Surroundings {
    pool: PgPool,
    ready: watch::Receiver<bool>,
    spec: Arc<Value>,
    page: Arc<String>,
}

impl Service {
    /// Starts the parts that the role asks for. The read models are ready when this returns.
    pub async fn start(node: &Node, providers: Providers, role: ServeRole) -> Result<Self, Failure> {
        let (stop, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        let works = matches!(role, ServeRole::All | ServeRole::Worker);
        let work = Arc::new(Notify::new());
        let credentials = Credentials::new(node.store.keyring());
        let effects = Effects {
            engine: node.engine.clone(),
            registry: Arc::new(Registry::default()),
            providers,
            credentials: credentials.clone(),
        };
        let projector = Projector::new(node.store.clone());
        if works {
            let sequencer = Sequencer::new(node.database.engine.clone(), node.store.positions().clone());
            let stop = stopped.clone();
            running.spawn(async move { sequencer.run(stop).await });
            projector.prepare().await?;
            let stop = stopped.clone();
            running.spawn(async move { projector.run(stop).await });
            let reactor = Reactor::new(node.store.clone(), work.clone());
            let stop = stopped.clone();
            running.spawn(async move { reactor.run(stop).await });
            let worker = Worker::new(effects.clone(), work.clone());
            let stop = stopped.clone();
            running.spawn(async move { worker.run(stop).await });
        }
        {
            // What another process orders is followed too: a standby knows the head when it takes over.
            let (positions, pool) = (node.store.positions().clone(), node.database.engine.clone());
            let mut stop = stopped.clone();
            running.spawn(async move {
                tokio::select! {
                    () = positions.follow(&pool) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            });
            let clock = node.clock.clone();
            let mut stop = stopped.clone();
            running.spawn(async move {
                while !*stop.borrow() {
                    if let Err(error) = clock.refresh().await {
                        tracing::warn!(%error, "the business clock cannot be read");
                    }
                    let _ = tokio::time::timeout(Duration::from_secs(1), stop.changed()).await;
                }
            });
        }
        let authenticator = Authenticator::new(
            node.database.engine.clone(),
            node.clock.clone(),
            credentials,
            node.settings.client_address_header.clone(),
        );
        let app = app(node, &effects, authenticator, &work, role, &stopped);
        let listen = node.settings.listen;
        let failed = |source| Failure::Listen { address: listen.to_string(), source };
        let acceptor = TcpListener::bind(listen).into_acceptor().await.map_err(failed)?;
        let address = acceptor
            .local_addr()
            .first()
            .and_then(|address| address.as_socket_addr().copied())
            .unwrap_or(listen);
        let mut stop_http = stopped;
        running.spawn(async move {
            let until = async move {
                let _ = stop_http.wait_for(|stop| *stop).await;
            };
            let served = poem::Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(app, until, Some(GRACE)).await;
            if let Err(error) = served {
                tracing::error!(%error, "the HTTP server ended");
            }
        });
        Ok(Self { stop, running, address })
    }

    /// Ends requests and tasks that are under way, then stops.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let all = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE * 2, all).await.is_err() {
            tracing::warn!("some work did not end in time; it is taken up again at the next start");
        }
    }
}

fn app(
    node: &Node,
    effects: &Effects,
    authenticator: Authenticator,
    work: &Arc<Notify>,
    role: ServeRole,
    stopped: &watch::Receiver<bool>,
) -> impl Endpoint<Output = Response> + 'static {
    let query_state = QueryState { query_pool: node.database.query.clone(), clock: node.clock.clone() };
    let spec = document(&node.settings.public_url(), &effects.registry);
    let surroundings = Surroundings {
        pool: node.database.engine.clone(),
        ready: stopped.clone(),
        page: Arc::new(query_service::reference_page(&spec)),
        spec: Arc::new(spec),
    };
    let mut route = Route::new()
        .at("/health/live", get(live))
        .at("/health/ready", get(ready))
        .at("/metrics", get(metrics))
        .at("/openapi.json", get(openapi_json))
        .at("/docs", get(docs));
    let queries = matches!(role, ServeRole::All | ServeRole::Query)
        .then(|| query_service::routes(query_state, authenticator.clone()));
    let commands = matches!(role, ServeRole::All | ServeRole::Command).then(|| {
        command_service::http::routes(CommandState {
            effects: effects.clone(),
            authenticator,
            work: work.clone(),
            secure_cookies: node.settings.public_url().starts_with("https://"),
            sign_in_limits: SignInLimits::default(),
        })
    });
    route = match (commands, queries) {
        (Some(commands), Some(queries)) => route.nest_no_strip("/", Both { commands, queries }),
        (Some(commands), None) => route.nest_no_strip("/", commands),
        (None, Some(queries)) => route.nest_no_strip("/", queries),
        (None, None) => route,
    };
    edge::guard::guard(route.data(surroundings).with(poem::middleware::CookieJarManager::new()))
}

/// Reads go to the query side, everything else to the command side.
struct Both<C, Q> {
    commands: C,
    queries: Q,
}

impl<C, Q> Endpoint for Both<C, Q>
where
    C: Endpoint<Output = Response>,
    Q: Endpoint<Output = Response>,
{
    type Output = Response;

    async fn call(&self, request: poem::Request) -> poem::Result<Response> {
        let reads = matches!(*request.method(), poem::http::Method::GET | poem::http::Method::HEAD);
        if reads && request.uri().path().starts_with("/v1/") {
            self.queries.call(request).await
        } else {
            self.commands.call(request).await
        }
    }
}

/// The whole contract: queries and commands in one document.
pub fn document(public_url: &str, registry: &Registry) -> Value {
    let mut document = query_service::openapi(public_url);
    openapi::merge(&mut document, registry);
    document
}

#[handler]
fn live() -> &'static str {
    "live\n"
}

#[handler]
async fn ready(surroundings: Data<&Surroundings>) -> (StatusCode, &'static str) {
    if *surroundings.ready.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match sqlx::query("select 1").execute(&surroundings.pool).await {
        Ok(_) => (StatusCode::OK, "ready\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database is not reachable\n"),
    }
}

#[handler]
fn openapi_json(surroundings: Data<&Surroundings>) -> Response {
    Response::builder().content_type("application/json").body(surroundings.spec.to_string())
}

#[handler]
fn docs(surroundings: Data<&Surroundings>) -> Html<String> {
    Html(surroundings.page.as_ref().clone())
}

/// Prometheus' text format.
#[handler]
async fn metrics(surroundings: Data<&Surroundings>) -> poem::Result<Response> {
    use std::fmt::Write;
    let pool = &surroundings.pool;
    let failed = |error: sqlx::Error| poem::Error::from(edge::Problem::from(error));
    let mut text = String::from("# TYPE propty_log_head gauge\n");
    let head = positions::head(pool).await.map_err(failed)?;
    let _ = writeln!(text, "propty_log_head {head}\n# TYPE propty_read_model_lag gauge\n# TYPE propty_read_model_stalled gauge");
    for model in projections::status::status(pool).await.map_err(failed)? {
        let _ = writeln!(text, "propty_read_model_lag{{model=\"{}\"}} {}", model.name, model.lag);
        let _ = writeln!(text, "propty_read_model_stalled{{model=\"{}\"}} {}", model.name, model.stalled.len());
    }
    text.push_str("# TYPE propty_outbox gauge\n");
    for (state, count) in outbox::counts(pool).await.map_err(failed)? {
        let _ = writeln!(text, "propty_outbox{{state=\"{state}\"}} {count}");
    }
    Ok(Response::builder().content_type("text/plain; version=0.0.4").body(text))
}
