//! `propty privacy verify-erased`: that nothing readable is left of who was erased, and where something is.

use std::{io::Read, process::ExitCode};

use event_store::erasure::{self, Erasure, Leftover, Needles};
use events::{OrganizationId, Purpose, resident::RetentionRule};
use host::Settings;
use indicatif::ProgressBar;
use projections::leftovers;

use crate::{
    cli::{Place, Privacy, PrivacyAction},
    commands::rebuild,
    failure::Failure,
    node::Node,
};

pub async fn run(place: &Place, settings: Settings, args: Privacy) -> Result<ExitCode, Failure> {
    let PrivacyAction::VerifyErased { resident, organization, needle } = args.action;
    let needles = if needle { read_needles()? } else { Needles::default() };
    if needle && needles.is_empty() {
        return Err(Failure::Told("standard input has no text to be looked for".to_owned()));
    }
    let node = Node::visit(place, settings).await?;
    let result = verify(&node, organization.map(OrganizationId), resident, &needles).await;
    node.close().await;
    let (text, clean) = result?;
    print!("{text}");
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read_needles() -> Result<Needles, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|source| Failure::File { path: "standard input".to_owned(), source })?;
    Ok(Needles::new(text.lines()))
}

async fn verify(
    node: &Node,
    organization: Option<OrganizationId>,
    resident: Option<uuid::Uuid>,
    needles: &Needles,
) -> Result<(String, bool), Failure> {
    use std::fmt::Write;
    let pool = node.store.pool();
    if let Some(organization) = organization
        && !known(pool, organization).await?
    {
        return Err(Failure::Told(format!("there is no organization {organization} in the log")));
    }
    let erasures = erasure::erased(pool, organization, resident).await?;
    if erasures.is_empty() && resident.is_some() {
        return Err(Failure::Told("the log knows no erasure of this resident".to_owned()));
    }
    let mut text = String::new();
    let mut clean = true;
    for one in &erasures {
        let mut found = erasure::keys(pool, one, node.clock.now().date_naive()).await?;
        found.extend(erasure::log(pool, one).await?);
        let evidence_gone = one.gone.contains(&Purpose::Consent);
        found.extend(leftovers::of(pool, one.organization.0, one.resident, evidence_gone).await?);
        clean &= found.is_empty();
        tell(&mut text, one, &found);
    }
    if !needles.is_empty() {
        // Also where nobody was erased: whoever names texts wants to know where they are.
        let bar = ProgressBar::new_spinner().with_style(rebuild::style()).with_message("log");
        let searched = erasure::search_sealed(&node.store, &erasures, needles, &mut |position| {
            bar.set_position(u64::try_from(position).unwrap_or_default());
        })
        .await;
        bar.finish_and_clear();
        let mut found = searched?;
        found.extend(erasure::search(pool, needles).await?);
        clean &= found.is_empty();
        leftover_lines(&mut text, &found);
    }
    let verdict = match (clean, erasures.is_empty()) {
        (false, _) => "something is left, see above",
        (true, false) => "nothing readable is left of what had to go",
        (true, true) if needles.is_empty() => "there was nothing to check",
        (true, true) => "none of the texts was found",
    };
    let _ = writeln!(text, "{} erased residents: {verdict}", erasures.len());
    Ok((text, clean))
}

async fn known(pool: &sqlx::PgPool, organization: OrganizationId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select from log.heads where organization_id = $1)")
        .bind(organization.0)
        .fetch_one(pool)
        .await
}

fn tell(text: &mut String, erasure: &Erasure, found: &[Leftover]) {
    use std::fmt::Write;
    let gone: Vec<&str> = erasure.gone.iter().map(|purpose| purpose.name()).collect();
    let _ = writeln!(
        text,
        "resident {} of organization {}: {} gone",
        erasure.resident,
        erasure.organization,
        gone.join(", ")
    );
    for kept in &erasure.retained {
        let reason = kept.rule.unwrap_or(RetentionRule::of(kept.purpose)).reason();
        let _ = writeln!(text, "  kept until {}: {} ({reason})", kept.until, kept.purpose.name());
    }
    leftover_lines(text, found);
}

fn leftover_lines(text: &mut String, found: &[Leftover]) {
    use std::fmt::Write;
    for Leftover { place, what } in found {
        let _ = writeln!(text, "LEFT  {place}: {what}");
    }
}
