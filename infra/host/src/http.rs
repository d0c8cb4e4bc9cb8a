//! The HTTP server and its health pages.

use std::{io, net::SocketAddr, time::Duration};

use poem::{
    Endpoint, EndpointExt, IntoResponse, Response, Route, get, handler,
    http::StatusCode,
    listener::{Acceptor, TcpAcceptor},
    web::Data,
};
use sqlx::PgPool;
use tokio::sync::watch;

use crate::{Host, HostError, Stop};

const GRACE: Duration = Duration::from_secs(10);
/// A connection that says nothing is closed.
const IDLE: Duration = Duration::from_secs(60);
/// So is one whose other end takes nothing of what it asked for. An answer that nobody reads would otherwise keep its place for ever.
const UNREAD_MS: u32 = 60_000;

#[derive(Debug, Clone)]
struct Health {
    pool: PgPool,
    stopping: watch::Receiver<bool>,
}

/// Serves an application, with `/health/live` and `/health/ready`, until told to stop. Returns where it listens.
pub async fn serve<E>(host: &Host, stop: &mut Stop, routes: E) -> Result<SocketAddr, HostError>
where
    E: Endpoint + 'static,
    E::Output: IntoResponse,
{
    allow_many_connections();
    let listen = host.settings.listen;
    let failed = |source| HostError::Listen { address: listen.to_string(), source };
    let acceptor = listener(listen).await.and_then(TcpAcceptor::from_tokio).map_err(failed)?;
    let address = acceptor.local_addr().first().and_then(|local| local.as_socket_addr().copied()).unwrap_or(listen);
    let health = Health { pool: host.database.engine.clone(), stopping: stop.told() };
    let app = Route::new()
        .at("/health/live", get(live))
        .at("/health/ready", get(ready))
        .nest_no_strip("/", routes)
        .data(health);
    let app = edge::guard::guard(app);
    let mut told = stop.told();
    stop.run(async move {
        let until = async move {
            let _ = told.wait_for(|told| *told).await;
        };
        let server = poem::Server::new_with_acceptor(acceptor).idle_timeout(IDLE);
        if let Err(error) = server.run_with_graceful_shutdown(app, until, Some(GRACE)).await {
            tracing::error!(%error, "the HTTP server ended");
        }
    });
    Ok(address)
}

/// Listens; what is accepted inherits the options.
async fn listener(listen: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(&listener, UNREAD_MS)?;
    Ok(listener)
}

/// Thousands may follow the event stream, each on a connection: as many files as the system lets us open.
fn allow_many_connections() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err() {
        tracing::warn!(?current, "the number of open files could not be raised");
    }
}

#[handler]
fn live() -> &'static str {
    "live\n"
}

#[handler]
async fn ready(health: Data<&Health>) -> Response {
    let (status, text) = if *health.stopping.borrow() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if sqlx::query("select 1").execute(&health.pool).await.is_ok() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the database is not reachable\n")
    };
    text.with_status(status).into_response()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_connection_that_takes_nothing_is_given_up_by_the_system() -> io::Result<()> {
        let listener = listener(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let _client = TcpStream::connect(listener.local_addr()?).await?;
        let (accepted, _) = listener.accept().await?;
        assert_eq!(rustix::net::sockopt::tcp_user_timeout(&accepted)?, UNREAD_MS);
        Ok(())
    }
}
