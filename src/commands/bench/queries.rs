//! A point query over HTTP, against the least that an endpoint can do for the same lookup.

use std::net::SocketAddr;

use events::OrganizationId;
use poem::{
    EndpointExt, Response, Route, get, handler,
    http::StatusCode,
    listener::{Acceptor, Listener, TcpListener},
    web::{Data, Path},
};
use projections::{Visibility, tenant, unit};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    CONNECTIONS, RUNS, Size,
    connection::Caller,
    driver::{drive, rate},
    report::Figure,
    seed::World,
    visible::settled,
};
use crate::failure::Failure;

pub async fn figures(world: &World<'_>, caller: &Caller, size: Size) -> Result<Vec<Figure>, Failure> {
    let units = world.units(size.of(2000), 1).await?;
    settled(world, units.last().copied()).await?;
    let (address, server) = minimal(world).await?;
    let bare = Caller { address, token: caller.token.clone() };
    let count = size.of(20_000);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let paths = |prefix: &'static str| units.iter().cycle().take(count).map(move |unit| format!("{prefix}/{unit}"));
        ours.push(ask(caller, paths("/v1/units")).await?);
        theirs.push(ask(&bare, paths("/units")).await?);
    }
    server.abort();
    let figure = Figure::new(format!("point query over HTTP, {CONNECTIONS} connections"), "queries/s", ours);
    Ok(vec![figure.against("poem + the same lookup in a tenant transaction", theirs).ratio_at_least(0.9)])
}

async fn ask(caller: &Caller, paths: impl Iterator<Item = String>) -> Result<f64, Failure> {
    let requests: Vec<Vec<u8>> = paths.map(|path| caller.get(&path)).collect();
    let count = requests.len();
    let connections = caller.connections(CONNECTIONS).await?;
    let (elapsed, _) = drive(connections, requests, |mut connection, request: Vec<u8>| async move {
        connection.expect_ok(&request).await?;
        Ok(connection)
    })
    .await?;
    Ok(rate(count, elapsed))
}

/// No authentication, no freshness, no conditional answers, no headers.
async fn minimal(world: &World<'_>) -> Result<(SocketAddr, tokio::task::JoinHandle<()>), Failure> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let failed = |source| Failure::Listen { address: any.to_string(), source };
    let acceptor = TcpListener::bind(any).into_acceptor().await.map_err(failed)?;
    let address = acceptor.local_addr().first().and_then(|address| address.as_socket_addr().copied()).unwrap_or(any);
    let app =
        Route::new().at("/units/:id", get(look_up)).data(world.node.database.query.clone()).data(world.organization);
    let server = tokio::spawn(async move {
        let _ = poem::Server::new_with_acceptor(acceptor).run(app).await;
    });
    Ok((address, server))
}

#[handler]
async fn look_up(
    Path(id): Path<Uuid>,
    pool: Data<&PgPool>,
    organization: Data<&OrganizationId>,
) -> poem::Result<Response> {
    let failed =
        |error: &dyn std::fmt::Display| poem::Error::from_string(error.to_string(), StatusCode::INTERNAL_SERVER_ERROR);
    let mut transaction = tenant::begin(&pool, **organization).await.map_err(|error| failed(&error))?;
    let found = unit::detail(&mut transaction, Visibility::default(), id).await.map_err(|error| failed(&error))?;
    transaction.commit().await.map_err(|error| failed(&error))?;
    let Some(found) = found else { return Ok(StatusCode::NOT_FOUND.into()) };
    let body = serde_json::to_vec(&found).map_err(|error| failed(&error))?;
    Ok(Response::builder().content_type("application/json").body(body))
}
