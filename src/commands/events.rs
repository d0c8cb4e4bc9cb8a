//! `propty events`: what happened, exported or followed, from a service or from the database of this place.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    pin::pin,
    process::ExitCode,
};

use events::OrganizationId;
use futures_util::{Stream, StreamExt};
use host::{Settings, Stop, stop::until_told};
use public_events::Selection;
use query_service::{
    Feed,
    feed::{Aggregate, Export, Live, Wanted},
};

use super::{
    events_over_http::{Service, export_from, tail_from},
    token::only_organization,
};
use crate::{
    cli::{EventSource, Events, EventsAction, Place},
    failure::Failure,
    node::Node,
};

pub async fn run(place: &Place, settings: Settings, args: Events) -> Result<ExitCode, Failure> {
    let (source, exported) = match &args.action {
        EventsAction::Tail { source, .. } => (source, None),
        EventsAction::Export { source, out, .. } => (source, Some(Output::open(out.as_deref())?)),
    };
    let wants = Wants::read(source)?;
    if let Some(token) = &source.token {
        let url = source.url.clone().unwrap_or_else(|| settings.public_url());
        let service = Service::new(&url, token, source)?;
        match (args.action, exported) {
            (EventsAction::Export { after, .. }, Some(out)) => export_from(&service, after, out).await?,
            (EventsAction::Export { .. }, None) => {}
            (EventsAction::Tail { after, .. }, _) => tail_from(&service, after, Output::open(None)?).await?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    if source.url.is_some() {
        return Err(Failure::Told("a service wants a token; name it in PROPTY_TOKEN".to_owned()));
    }
    let mut node = Node::visit(place, settings).await?;
    let result = here(&mut node, &args.action, wants, exported).await;
    node.close().await;
    result.map(|()| ExitCode::SUCCESS)
}

async fn here(node: &mut Node, action: &EventsAction, wants: Wants, exported: Option<Output>) -> Result<(), Failure> {
    let organization = match wants.organization {
        Some(id) => id,
        None => only_organization(node).await?,
    };
    let Wants { types, aggregate, properties, .. } = wants;
    let wanted = Wanted { organization, types, aggregate, properties };
    let mut stop = Stop::default();
    node.follow(&mut stop);
    let feed = Feed::start(
        node.database.query.clone(),
        node.database.engine.clone(),
        node.store.positions().head(),
        stop.told(),
        &node.settings.public_url(),
    );
    let (head, _) = feed.head(&wanted).await.map_err(told)?;
    let after = match action {
        EventsAction::Tail { after, .. } => after.unwrap_or(head),
        EventsAction::Export { after, .. } => *after,
    };
    if !(0..=head).contains(&after) {
        return Err(Failure::Told(format!("the log ends at position {head}")));
    }
    if let Some(mut out) = exported {
        let complete = out.take(Export::new(feed, wanted, after, head, None).stream()).await?;
        if complete {
            eprintln!("complete up to position {head}");
        }
    } else {
        let live = Live::begin(feed, wanted, after, None).await.map_err(told)?.plain();
        let mut out = Output::open(None)?;
        tokio::select! {
            ended = out.take(live.stream()) => ended.map(|_| ())?,
            () = until_told(node) => {}
        }
    }
    stop.now().await;
    Ok(())
}

/// What the arguments ask for.
struct Wants {
    organization: Option<OrganizationId>,
    types: Selection,
    aggregate: Option<Aggregate>,
    properties: Vec<uuid::Uuid>,
}

impl Wants {
    fn read(source: &EventSource) -> Result<Self, Failure> {
        let types = source.types.as_deref().map(Selection::parse).transpose();
        let aggregate = source.aggregate.as_deref().map(|text| {
            let unknown = || Failure::Told(format!("--aggregate: {text} is no kind of aggregate, nor one by its id"));
            Aggregate::parse(text).ok_or_else(unknown)
        });
        Ok(Self {
            organization: source.organization.map(OrganizationId),
            types: types.map_err(|error| Failure::Told(format!("--types: {error}")))?.unwrap_or_default(),
            aggregate: aggregate.transpose()?,
            properties: source.property.into_iter().collect(),
        })
    }
}

/// Where lines go.
pub struct Output {
    writer: Box<dyn Write + Send>,
    name: String,
}

impl Output {
    fn open(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = file else {
            return Ok(Self { writer: Box::new(io::stdout()), name: "the terminal".to_owned() });
        };
        let name = path.display().to_string();
        let file = File::create(path).map_err(|source| Failure::File { path: name.clone(), source })?;
        Ok(Self { writer: Box::new(file), name })
    }

    /// Writes at once. False when nobody reads any more, as when `head` has seen enough.
    pub fn put(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        match self.writer.write_all(bytes).and_then(|()| self.writer.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(source) => Err(Failure::File { path: self.name.clone(), source }),
        }
    }

    /// Writes a stream to its end. False when nobody reads any more.
    async fn take(&mut self, pieces: impl Stream<Item = io::Result<Vec<u8>>>) -> Result<bool, Failure> {
        let mut pieces = pin!(pieces);
        while let Some(piece) = pieces.next().await {
            if !self.put(&piece.map_err(told)?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn told(error: impl std::fmt::Display) -> Failure {
    Failure::Told(error.to_string())
}
