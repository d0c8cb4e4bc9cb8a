//! `propty ledger`: the books audited, or written for an accounting program.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use event_store::Database;
use events::OrganizationId;
use projections::{
    QueryError,
    ledger::{Audit, Difference, Filter, audit},
    tenant,
};
use query_service::ledger_export::{Export, Format};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use host::Settings;

use crate::{
    cli::{Ledger, LedgerAction, Place},
    failure::Failure,
    node::Node,
};

/// How long read models that are behind are waited for.
const PATIENCE: Duration = Duration::from_secs(15);

pub async fn run(place: &Place, settings: Settings, args: Ledger) -> Result<ExitCode, Failure> {
    let node = Node::visit(place, settings).await?;
    let result = act(&node, args.action).await;
    node.close().await;
    result
}

async fn act(node: &Node, action: LedgerAction) -> Result<ExitCode, Failure> {
    match action {
        LedgerAction::Check { organization } => {
            let mut sound = true;
            for (id, name) in organizations(node, organization).await? {
                let found = check(&node.database, OrganizationId(id)).await?;
                println!("{name} ({id}): {} entries, {} invoices", found.entries, found.invoices);
                for difference in &found.differences {
                    println!("  DIFFERS  {}", told(difference));
                }
                for difference in &found.under_way {
                    println!("  under way  {}", told(difference));
                }
                if found.differences.is_empty() {
                    println!("  every entry balances, and every invoice owes what the ledger says");
                }
                sound &= found.differences.is_empty();
            }
            Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        LedgerAction::Export { format, out, organization, property, from, until } => {
            let several = organizations(node, organization).await?;
            let [(id, _)] = several.as_slice() else {
                let list: Vec<String> = several.iter().map(|(id, name)| format!("\n  {id}  {name}")).collect();
                return Err(Failure::Told(format!("name one organization with --organization:{}", list.concat())));
            };
            let filter = Filter { property, from, until, ..Filter::default() };
            export(&node.database, OrganizationId(*id), format, filter, out.as_deref()).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn organizations(node: &Node, wanted: Option<Uuid>) -> Result<Vec<(Uuid, String)>, Failure> {
    let found: Vec<(Uuid, Option<String>)> = sqlx::query_as(
        "select organization_id, payload #>> '{OrganizationRegistered,name}' from log.events
         where event_type = 'OrganizationRegistered' and ($1::uuid is null or organization_id = $1) order by recorded_at",
    )
    .bind(wanted)
    .fetch_all(node.store.pool())
    .await?;
    if found.is_empty() {
        return Err(Failure::Told("there is no such organization".to_owned()));
    }
    Ok(found.into_iter().map(|(id, name)| (id, name.unwrap_or_default())).collect())
}

async fn check(database: &Database, organization: OrganizationId) -> Result<Audit, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut transaction = tenant::begin(&database.query, organization).await?;
        if let Some(found) = audit(&mut transaction).await.map_err(failure)? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(Failure::Told(
                "the read models are still catching up with the log; try again later".to_owned(),
            ));
        }
        drop(transaction);
        sleep(Duration::from_millis(100)).await;
    }
}

/// One difference in words; amounts are minor units.
fn told(difference: &Difference) -> String {
    let Difference { what, currency, ledger, expected } = difference;
    format!("{what}: {ledger} in the ledger, {expected} expected ({currency}, minor units)")
}

async fn export(
    database: &Database,
    organization: OrganizationId,
    format: Format,
    filter: Filter,
    out: Option<&Path>,
) -> Result<(), Failure> {
    let unusable = |source: io::Error| Failure::File {
        path: out.map_or_else(|| "the terminal".to_owned(), |path| path.display().to_string()),
        source,
    };
    let mut writer: Box<dyn Write + Send> = match out {
        Some(path) => Box::new(BufWriter::new(File::create(path).map_err(unusable)?)),
        None => Box::new(io::stdout()),
    };
    // All pages in one reading: nobody else waits for this connection.
    let mut transaction = tenant::begin(&database.query, organization).await?;
    let export = Export::begin(&mut transaction, format, filter).await.map_err(failure)?;
    writer.write_all(export.head().as_bytes()).map_err(unusable)?;
    let mut after = None;
    loop {
        let (text, next) = export.page(&mut transaction, after).await.map_err(failure)?;
        writer.write_all(text.as_bytes()).map_err(unusable)?;
        if next.is_none() {
            return writer.flush().map_err(unusable);
        }
        after = next;
    }
}

fn failure(error: QueryError) -> Failure {
    match error {
        QueryError::Database(error) => error.into(),
        other => Failure::Told(host::explain(&other)),
    }
}
