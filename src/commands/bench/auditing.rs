//! The log as an auditor uses it: verified whole, disclosed for one resident, and signed while it is appended to.

use std::{io, time::Instant};

use event_store::{Checkpointer, append::NewEvent, audit, disclosure};
use events::{
    InvoiceId, Language, NumberKey, OrganizationId, Purpose, ResidentEvent, ResidentId, Sealed, SmsConsentEvent,
    TextMessageEvent,
    text::{Name, PersonName},
    text_message::TextContent,
};
use host::Settings;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    RUNS, Size, commands,
    driver::rate,
    report::Figure,
    scratch::Scratch,
    seed::{World, row, told},
};
use crate::{failure::Failure, node::Node};

/// Organizations, and residents of each at full size: 10 events of consent and texts each.
const ORGANIZATIONS: usize = 5;
const RESIDENTS: usize = 4_000;
const TEXTS: usize = 2;
const CALLERS: usize = 64;

pub async fn figures(scratch: &Scratch, settings: &Settings, size: Size) -> Result<Vec<Figure>, Failure> {
    let node = Node::open(&scratch.place("audit"), settings.clone()).await?;
    let measured = measure(&node, size).await;
    node.close().await;
    measured
}

async fn measure(node: &Node, size: Size) -> Result<Vec<Figure>, Failure> {
    let mut worlds = Vec::new();
    for _ in 0..ORGANIZATIONS {
        let world = World::found(node).await?;
        let resident = ResidentId(Uuid::now_v7());
        world.append(&household(node, world.organization, resident).await?).await?;
        let mut events = Vec::new();
        for _ in 1..size.of(RESIDENTS) {
            let id = ResidentId(Uuid::now_v7());
            events.push(row(id.0, 1, &ResidentEvent::ResidentLanguageChanged { language: Language::Es })?);
            texts(id, &mut events)?;
        }
        world.append(&events).await?;
        world.order().await?;
        worlds.push((world, resident));
    }
    let checkpointer = Checkpointer::new(node.store.pool().clone(), node.store.keyring().clone(), None);
    let (mut verified, mut bundled, mut plain, mut signed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut logged = 0;
    for (world, _) in &worlds {
        let head: i64 = sqlx::query_scalar("select position from log.heads where organization_id = $1")
            .bind(world.organization.0)
            .fetch_one(node.store.pool())
            .await?;
        logged = u64::try_from(head).unwrap_or_default();
        checkpointer.cover(world.organization, logged, std::time::Duration::from_secs(60)).await?;
    }
    let Some((world, resident)) = worlds.first() else { return Ok(Vec::new()) };
    for _ in 0..RUNS {
        let started = Instant::now();
        let report = audit::verify(&node.store, &audit::Known::default(), &mut |_| {}).await?;
        verified.push(rate(usize::try_from(report.events).unwrap_or_default(), started.elapsed()));
        if let Some(finding) = report.findings.first() {
            return Err(Failure::Told(format!("the benchmark's own log does not verify: {finding}")));
        }
        let started = Instant::now();
        disclosure::bundle(&node.store, world.organization, resident.0, &[], io::sink()).await?;
        bundled.push(started.elapsed().as_secs_f64());
    }
    let count = size.of(8000);
    for _ in 0..RUNS {
        plain.push(commands::sequenced(world, CALLERS, count).await?);
        let checkpointer = Checkpointer::new(node.store.pool().clone(), node.store.keyring().clone(), None);
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(async move { checkpointer.run(stopped).await });
        let measured = commands::sequenced(world, CALLERS, count).await;
        let _ = stop.send(true);
        let _ = running.await;
        signed.push(measured?);
    }
    Ok(vec![
        Figure::new("verification of the whole log", "events/s", verified).at_least(200_000.0),
        Figure::new(format!("bundle of one resident, out of {logged} events"), "s", bundled).below(1.0),
        Figure::new(format!("command in process with checkpoints, {CALLERS} callers"), "commands/s", signed)
            .against("without checkpoints", plain)
            .ratio_at_least(0.9),
    ])
}

/// The resident who is disclosed, with a name that has to be opened.
async fn household(node: &Node, organization: OrganizationId, resident: ResidentId) -> Result<Vec<NewEvent>, Failure> {
    let name = |text| Name::parse(text).map_err(told);
    let name = PersonName { first: Some(name("Ifeoma")?), last: name("Okafor")? };
    let registered = ResidentEvent::ResidentRegistered {
        name: Sealed::new(resident.0, Purpose::Contact, name),
        email: None,
        phone: None,
        language: Language::En,
    };
    let mut first = row(resident.0, 1, &registered)?;
    node.store.keyring().seal(organization, &mut first.payload).await?;
    let mut events = vec![first];
    texts(resident, &mut events)?;
    Ok(events)
}

fn texts(resident_id: ResidentId, events: &mut Vec<NewEvent>) -> Result<(), Failure> {
    let number_key = NumberKey(Uuid::now_v7());
    let issued = SmsConsentEvent::CodeIssued { resident_id, number_key, challenge: 1, expires_at: chrono::Utc::now() };
    events.push(row(Uuid::now_v7(), 1, &issued)?);
    for _ in 0..TEXTS {
        let id = Uuid::now_v7();
        let requested = TextMessageEvent::TextRequested {
            resident_id,
            property_id: None,
            content: TextContent::ConsentConfirmed {},
            language: Language::En,
            fallback: false,
            template: 1,
            cause: format!("invoice/{}/2", InvoiceId(id)),
        };
        let accepted = TextMessageEvent::TextAccepted { provider_id: format!("SM{}", id.simple()) };
        let told = [requested, accepted, TextMessageEvent::TextSent {}, TextMessageEvent::TextDelivered {}];
        for (version, event) in (1..).zip(&told) {
            events.push(row(id, version, event)?);
        }
    }
    Ok(())
}
