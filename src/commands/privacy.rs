//! `propty privacy verify-erased`: that nothing readable is left of who was erased, and where something is.

use std::{io::Read, process::ExitCode};

use event_store::erasure::{self, Erasure, Leftover, Needles};
use events::{OrganizationId, resident::RetentionRule};
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
    let erasures = erasure::erased(pool, organization, resident).await?;
    if erasures.is_empty() && resident.is_some() {
        return Err(Failure::Told("the log knows no erasure of this resident".to_owned()));
    }
    let mut text = String::new();
    let mut clean = true;
    for one in &erasures {
        let mut found = erasure::keys(pool, one, node.clock.now().date_naive()).await?;
        found.extend(erasure::log(pool, one).await?);
        found.extend(leftovers::of(pool, one.organization.0, one.resident).await?);
        if !needles.is_empty() {
            let bar = ProgressBar::new_spinner().with_style(rebuild::style()).with_message("log");
            let searched = erasure::search_sealed(&node.store, one, needles, &mut |position| {
                bar.set_position(u64::try_from(position).unwrap_or_default());
            })
            .await;
            bar.finish_and_clear();
            found.extend(searched?);
        }
        clean &= found.is_empty();
        tell(&mut text, one, &found);
    }
    if !needles.is_empty() {
        let found = erasure::search(pool, needles).await?;
        clean &= found.is_empty();
        leftover_lines(&mut text, &found);
    }
    let verdict = if clean { "nothing readable is left of what had to go" } else { "something is left, see above" };
    let _ = writeln!(text, "{} erased residents: {verdict}", erasures.len());
    Ok((text, clean))
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
