//! `query-service`: the query side alone (read models and their API), on a given database.

use std::process::ExitCode;

use edge::{Authenticator, Credentials};
use host::{Host, Place, Settings, Stop, http, logs, stop::until_told};
use projections::Projector;
use query_service::QueryState;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("query-service: {}", host::explain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (place, config) = Place::from_environment();
    let settings = Settings::load(config.as_deref())?;
    logs::begin(&settings, "info,sqlx=warn");
    let mut host = Host::open(&place, settings).await?;
    let mut stop = Stop::default();
    host.follow(&mut stop);
    let projector = Projector::new(host.store.clone());
    projector.prepare().await?;
    let told = stop.told();
    stop.run(async move { projector.run(told).await });
    let authenticator = Authenticator::new(
        host.database.engine.clone(),
        host.clock.clone(),
        Credentials::new(host.store.keyring()),
        host.settings.client_address_header.clone(),
    );
    let state = QueryState::of(&host, stop.told());
    let contract = query_service::contract_routes(&host.settings.public_url());
    let contract = std::sync::Arc::new(contract);
    let routes = poem::Route::new()
        .at("/schemas/*path", contract.clone())
        .at("/asyncapi.json", contract)
        .nest_no_strip("/", query_service::routes(state, authenticator));
    let address = http::serve(&host, &mut stop, routes).await?;
    eprintln!("query-service listens on http://{address}");
    until_told(&mut host).await;
    stop.now().await;
    host.close().await;
    Ok(())
}
