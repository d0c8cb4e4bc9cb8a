//! `propty demo`: a month of a community through the real code path, told as it happens.

mod browser;
mod calendar;
mod cast;
mod client;
mod payer;
mod story;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::PathBuf,
    process::ExitCode,
};

use command_service::Providers;
use events::{
    Currency, EmailAddress, OrganizationId, TimeZone,
    address::PostalAddress,
    text::{Line, Name},
};
use host::{Settings, stop::until_told};
use roster::{MinorDigits, Options};
use uuid::Uuid;

use super::{
    import::{self, PropertyTerms, Target},
    serve,
};
use crate::{
    cli::{Demo, Place, ServeRole},
    failure::Failure,
    node::Node,
    server::Service,
};
use story::{Stage, Story};

const SAMPLE: &[u8] = include_bytes!("../../infra/sample/community.csv");

pub async fn run(place: &Place, mut settings: Settings, args: &Demo) -> Result<ExitCode, Failure> {
    // The demo is its own world: it does not touch what `serve` keeps in the same folder.
    let place = Place {
        data_dir: place.data_dir.join("demo"),
        database_url: place.database_url.clone(),
        config: place.config.clone(),
    };
    settings.secrets.read_database = None;
    settings.secrets.stripe_key = None;
    settings.secrets.resend_key = None;
    if args.once && std::env::var_os("PROPTY_LISTEN").is_none() {
        // Nobody will look at it, so it need not be where people look.
        settings.listen.set_port(free_port()?);
    }
    println!("starting the database …");
    let mut node = Node::open(&place, settings).await?;
    let state = node.data_dir.join("sandbox.state");
    let sandbox = serve::start_sandbox(Some(state), &node.settings.public_url(), node.engine.clock()).await?;
    let providers = Providers::try_new(&node.settings, Some("sandbox"), Some(&sandbox.url()))?;
    let service = match Service::start(&node, providers, ServeRole::All).await {
        Ok(service) => service,
        Err(failure) => {
            node.close().await;
            return Err(failure);
        }
    };
    let scene = Stage {
        engine: node.engine.clone(),
        database: node.database.clone(),
        switchboard: sandbox.switchboard(),
        propty: format!("http://{}", service.address),
        sandbox: sandbox.url(),
    };
    let story = match community(args.community.as_ref()) {
        Ok((target, roster)) => {
            let people = import::people(&roster, &target);
            match import::identify(&scene.engine, target.organization, people).await {
                Ok(people) => Story::new(scene, target, people).tell().await,
                Err(failure) => Err(failure),
            }
        }
        Err(failure) => Err(failure),
    };
    let code = match &story {
        Ok(held) if *held => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    };
    if story.is_ok() && !args.once {
        println!("\nIt stays up until Ctrl-C.");
        until_told(&mut node).await;
    }
    service.stop().await;
    sandbox.stop().await;
    node.close().await;
    story.map(|_| code)
}

fn free_port() -> Result<u16, Failure> {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| Failure::Listen { address: "127.0.0.1".to_owned(), source })
}

/// The sample's or the user's community, in a new organization each time the demo runs.
fn community(file: Option<&PathBuf>) -> Result<(Target, roster::Roster), Failure> {
    let roster = match file {
        Some(path) => import::read(path, Currency::USD)?,
        None => roster::read(SAMPLE, &Options { minor_digits: MinorDigits::Two, ..Options::default() })
            .map_err(|problem| Failure::Told(problem.to_string()))?,
    };
    for problem in &roster.problems {
        println!("  bad row, left out: {problem}");
    }
    let mut properties = BTreeMap::new();
    for row in &roster.rows {
        let name = row.property.clone().unwrap_or_else(|| "My property".to_owned());
        if let Entry::Vacant(place) = properties.entry(name) {
            let terms = terms(place.key())?;
            place.insert(terms);
        }
    }
    let name = Name::parse("Evergreen Community Management").map_err(told)?;
    let target = Target {
        organization: OrganizationId(Uuid::now_v7()),
        organization_name: name,
        properties,
        fallback_property: "My property".to_owned(),
    };
    Ok((target, roster))
}

fn told(error: impl std::fmt::Display) -> Failure {
    Failure::Told(error.to_string())
}

/// The sample's two properties are in two countries; anybody else's is in one.
fn terms(property: &str) -> Result<PropertyTerms, Failure> {
    let (zone, currency, street, city, region, code, country) = if property == "Maple Court" {
        ("America/Toronto", Currency::CAD, "12 rue des Érables", "Montréal", "QC", "H2X 1Y4", "CA")
    } else {
        ("America/New_York", Currency::USD, "400 Ocean Drive", "Miami", "FL", "33139", "US")
    };
    Ok(PropertyTerms {
        time_zone: TimeZone::parse(zone).map_err(told)?,
        currency,
        contact: EmailAddress::parse("office@evergreen.example.org").map_err(told)?,
        address: PostalAddress {
            street: Line::parse(street).map_err(told)?,
            city: Name::parse(city).map_err(told)?,
            region: Line::parse(region).map_err(told)?,
            postal_code: Line::parse(code).map_err(told)?,
            country: Line::parse(country).map_err(told)?,
        },
    })
}
