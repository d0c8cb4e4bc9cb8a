//! The running service: its parts by role, and the pages that show the whole.

use std::{net::SocketAddr, sync::Arc};

use command_service::{
    Providers, Registry, openapi, outbox,
    service::{CommandSide, authenticator},
};
use event_store::{BusinessClock, checkpointer, follower, positions};
use host::{Stop, http};
use poem::{
    Endpoint, EndpointExt, Response, Route, get, handler,
    web::{Data, Html},
};
use projections::Projector;
use query_service::QueryState;
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::watch;

use crate::{cli::ServeRole, commands::todays_run, failure::Failure, node::Node};

/// The service's background work and HTTP server.
pub struct Service {
    stop: Stop,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What the metrics and the contract's pages show.
#[derive(Clone)]
struct Shown {
    pool: PgPool,
    /// Where the log of the replica is read, if there is one.
    replica: Option<PgPool>,
    clock: BusinessClock,
    spec: Arc<Value>,
    page: Arc<String>,
}

impl Service {
    /// Starts the parts that the role asks for. The read models are ready when this returns.
    pub async fn start(node: &Node, providers: Providers, role: ServeRole) -> Result<Self, Failure> {
        let mut stop = Stop::default();
        let commands = CommandSide::new(node, providers);
        node.follow(&mut stop);
        if matches!(role, ServeRole::All | ServeRole::Worker) {
            let projector = Projector::new(node.store.clone());
            projector.prepare().await?;
            let told = stop.told();
            stop.run(async move { projector.run(told).await });
            commands.run_workers(node, &mut stop);
        }
        let told = stop.told();
        let address = http::serve(node, &mut stop, routes(node, &commands, role, told)).await?;
        Ok(Self { stop, address })
    }

    /// Ends requests and tasks that are under way, then stops.
    pub async fn stop(self) {
        self.stop.now().await;
    }
}

fn routes(
    node: &Node,
    commands: &CommandSide,
    role: ServeRole,
    told: watch::Receiver<bool>,
) -> impl Endpoint<Output = Response> + 'static {
    let spec = document(&node.settings.public_url(), &commands.effects.registry);
    let shown = Shown {
        pool: node.database.engine.clone(),
        replica: node.database.replicated.then(|| node.database.heads.clone()),
        clock: node.clock.clone(),
        page: Arc::new(query_service::reference_page(&spec)),
        spec: Arc::new(spec),
    };
    let authenticator = authenticator(node);
    let queries = matches!(role, ServeRole::All | ServeRole::Query)
        .then(|| query_service::routes(QueryState::of(node, told), authenticator.clone()));
    let commands = matches!(role, ServeRole::All | ServeRole::Command).then(|| commands.routes(node, authenticator));
    let contract = Arc::new(query_service::contract_routes(&node.settings.public_url()));
    let route = Route::new().at("/schemas/*path", contract.clone()).at("/asyncapi.json", contract);
    let route = route.at("/metrics", get(metrics)).at("/openapi.json", get(openapi_json)).at("/docs", get(docs));
    let route = match (commands, queries) {
        (Some(commands), Some(queries)) => route.nest_no_strip("/", Both { commands, queries }),
        (Some(commands), None) => route.nest_no_strip("/", commands),
        (None, Some(queries)) => route.nest_no_strip("/", queries),
        (None, None) => route,
    };
    route.data(shown).map_to_response()
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
fn openapi_json(Data(shown): Data<&Shown>) -> Response {
    Response::builder().content_type("application/json").body(shown.spec.to_string())
}

#[handler]
fn docs(Data(shown): Data<&Shown>) -> Html<String> {
    Html(shown.page.as_ref().clone())
}

/// Prometheus' text format.
#[handler]
async fn metrics(shown: Data<&Shown>) -> poem::Result<Response> {
    use std::fmt::Write;
    let pool = &shown.pool;
    let failed = |error: sqlx::Error| poem::Error::from(edge::Problem::from(error));
    let mut text = String::from("# TYPE propty_log_head gauge\n");
    let head = positions::head(pool).await.map_err(failed)?;
    let _ = writeln!(
        text,
        "propty_log_head {head}\n# TYPE propty_read_model_lag gauge\n# TYPE propty_read_model_stalled gauge"
    );
    let models = projections::status::status(pool).await.map_err(failed)?;
    for model in &models {
        let _ = writeln!(text, "propty_read_model_lag{{model=\"{}\"}} {}", model.name, model.lag);
        let _ = writeln!(text, "propty_read_model_stalled{{model=\"{}\"}} {}", model.name, model.stalled.len());
    }
    let (unsigned, refused) = checkpointer::standing(pool).await.map_err(failed)?;
    let _ = writeln!(
        text,
        "# TYPE propty_log_unsigned gauge\npropty_log_unsigned {unsigned}\n# TYPE propty_log_refused gauge\npropty_log_refused {}",
        refused.len()
    );
    if let Some(heads) = &shown.replica {
        text.push_str("# TYPE propty_replica_up gauge\n# TYPE propty_replica_lag gauge\n");
        match positions::head(heads).await {
            Ok(there) => {
                let _ = writeln!(text, "propty_replica_up 1\npropty_replica_lag {}", (head - there).max(0));
            }
            Err(_) => text.push_str("propty_replica_up 0\n"),
        }
    }
    text.push_str("# TYPE propty_mirror_lag gauge\n# TYPE propty_mirror_stopped gauge\n");
    for mirror in follower::standings(pool).await.map_err(failed)? {
        // A name is chosen by whoever runs the mirror.
        let name = mirror.name.replace(['\\', '"', '\n'], "_");
        let _ = writeln!(text, "propty_mirror_lag{{mirror=\"{name}\"}} {}", mirror.lag);
        let _ = writeln!(text, "propty_mirror_stopped{{mirror=\"{name}\"}} {}", u8::from(mirror.stopped.is_some()));
    }
    text.push_str("# TYPE propty_outbox gauge\n");
    for (state, count) in outbox::counts(pool).await.map_err(failed)? {
        let _ = writeln!(text, "propty_outbox{{state=\"{state}\"}} {count}");
    }
    text.push_str("# TYPE propty_outbox_due gauge\n# TYPE propty_outbox_oldest_seconds gauge\n");
    for lane in outbox::lanes(pool, shown.clock.now()).await.map_err(failed)? {
        let _ = writeln!(text, "propty_outbox_due{{lane=\"{}\"}} {}", lane.lane, lane.due);
        let _ = writeln!(text, "propty_outbox_oldest_seconds{{lane=\"{}\"}} {:.1}", lane.lane, lane.oldest);
    }
    if let Some(today) = todays_run(pool, &models, shown.clock.now()).await.map_err(failed)? {
        text.push_str("# TYPE propty_autopay_today gauge\n");
        for (state, count) in [
            ("charged", today.charged),
            ("in_flight", today.in_flight),
            ("failed", today.failed),
            ("waiting", today.waiting),
            ("held", today.held),
            ("not_yet", today.not_yet),
            ("settled_otherwise", today.settled_otherwise),
        ] {
            let _ = writeln!(text, "propty_autopay_today{{state=\"{state}\"}} {count}");
        }
    }
    Ok(Response::builder().content_type("text/plain; version=0.0.4").body(text))
}
