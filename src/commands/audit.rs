//! `propty audit`: the log verified, disclosed with its proof, and the keys that sign it.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, BufReader, BufWriter},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use event_store::{
    Checkpointer, Witness,
    audit::{self, Known, Report},
    checkpoints,
    disclosure::{self, Document},
    signing,
    witness::Testimony,
};
use events::{AuditReadEvent, OrganizationId, ResidentId, Role, audit_read::AuditSubject};
use indicatif::ProgressBar;
use transparency::{Vkey, bundle, hash::hex};
use uuid::Uuid;

use host::Settings;
use query_service::{Reader, record_reading};

use crate::{
    cli::{Audit, AuditAction, Place},
    commands::rebuild,
    failure::Failure,
    node::Node,
};

/// How long a running service is given to sign a checkpoint.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn run(place: &Place, settings: Settings, args: Audit) -> Result<ExitCode, Failure> {
    if let AuditAction::Verify { file: Some(file), key, checkpoints } = &args.action {
        return check(file, key, checkpoints.as_deref());
    }
    let node = Node::visit(place, settings).await?;
    let result = act(&node, args.action).await;
    node.close().await;
    result
}

async fn act(node: &Node, action: AuditAction) -> Result<ExitCode, Failure> {
    match action {
        AuditAction::Verify { checkpoints, key, .. } => verify(node, checkpoints, key).await,
        AuditAction::Bundle { resident, out, organization, document } => {
            let organization = home(node, resident, organization).await?;
            disclose(node, organization, resident, &out, &document).await
        }
        AuditAction::Key { all } => keys(node, all).await,
        AuditAction::RotateKey => {
            let id = signing::rotate(node.store.pool(), node.store.keyring()).await?;
            println!("the key {id} signs from now on; `propty audit key` prints it");
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn verify(node: &Node, file: Option<PathBuf>, keys: Vec<Vkey>) -> Result<ExitCode, Failure> {
    let mut known = Known { keys, ..Known::default() };
    if let Some(path) = file.or_else(|| node.settings.checkpoints.clone()) {
        known.testimony = testimony(&path)?;
    }
    let bar = ProgressBar::new(0).with_style(rebuild::style()).with_message("log");
    let report = audit::verify(&node.store, &known, &mut |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    })
    .await?;
    bar.finish_and_clear();
    print!("{}", told(&report));
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The checkpoints of a file, which must be there.
fn testimony(path: &Path) -> Result<Testimony, Failure> {
    if !path.exists() {
        return Err(Failure::Told(format!("there is no file {} of checkpoints", path.display())));
    }
    Witness::new(path).read().map_err(unusable(path))
}

fn told(report: &Report) -> String {
    use std::fmt::Write;
    let Report { organizations, events, checkpoints, witnessed, unreadable, waiting, unsigned, findings } = report;
    let mut text =
        format!("{organizations} organizations, {events} events, {checkpoints} checkpoints, {witnessed} of the file\n");
    if *waiting > 0 {
        let _ = writeln!(text, "{waiting} events have no position yet");
    }
    if *unsigned > 0 {
        let _ = writeln!(text, "{unsigned} events are not covered by a checkpoint yet");
    }
    if *unreadable > 0 {
        let _ = writeln!(text, "{unreadable} lines of the checkpoints' file cannot be read");
    }
    for finding in findings {
        let _ = writeln!(text, "TAMPERED  {finding}");
    }
    if findings.is_empty() {
        text.push_str("everything is as it was logged and signed\n");
    }
    text
}

/// Verifies a bundle, with nothing but the file.
fn check(file: &Path, keys: &[Vkey], known: Option<&Path>) -> Result<ExitCode, Failure> {
    if keys.len() > 1 {
        return Err(Failure::Told("a bundle is verified with one key".to_owned()));
    }
    let reader = BufReader::new(File::open(file).map_err(unusable(file))?);
    let known = match known {
        Some(path) => testimony(path)?.checkpoints.into_iter().map(|known| known.checkpoint).collect(),
        None => Vec::new(),
    };
    match bundle::verify(reader, keys.first(), &known) {
        Ok(found) => {
            println!("resident {} of organization {}", found.resident, found.organization);
            println!(
                "{} events of {} streams, the whole of what {} logged events hold of them",
                found.events, found.streams, found.size
            );
            println!(
                "{} personal fields opened, {} erased, {} withheld; {} documents",
                found.opened, found.erased, found.withheld, found.documents
            );
            println!("until {}; agrees with {} checkpoints known from elsewhere", found.until, found.agrees);
            println!("root {}", hex(&found.root));
            for key in &found.keys {
                println!("signed by {key}");
            }
            if keys.is_empty() {
                println!("compare the key with one that you know from elsewhere, or give that one with --key");
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(bundle::BundleError::Read(error)) => Err(unusable(file)(error)),
        Err(error) => {
            println!("NOT SOUND  {error}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The organization whose resident it is.
async fn home(node: &Node, resident: Uuid, named: Option<Uuid>) -> Result<OrganizationId, Failure> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "select organization_id from log.entries
         where aggregate_type = 'resident' and aggregate_id = $1 and sequence = 1
             and ($2::uuid is null or organization_id = $2)",
    )
    .bind(resident.to_string())
    .bind(named)
    .fetch_all(node.store.pool())
    .await?;
    match found.as_slice() {
        [] => Err(Failure::Told("the log knows no resident of this id".to_owned())),
        [one] => Ok(OrganizationId(*one)),
        _ => Err(Failure::Told("several organizations have a resident of this id; say --organization".to_owned())),
    }
}

async fn disclose(
    node: &Node,
    organization: OrganizationId,
    resident: Uuid,
    out: &Path,
    documents: &[PathBuf],
) -> Result<ExitCode, Failure> {
    let mut texts = Vec::new();
    for path in documents {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        texts.push(Document { name, text: std::fs::read_to_string(path).map_err(unusable(path))? });
    }
    let pool = node.store.pool();
    let head: Option<i64> = sqlx::query_scalar("select position from log.heads where organization_id = $1")
        .bind(organization.0)
        .fetch_optional(pool)
        .await?;
    // On record before anything is shown.
    let read = AuditReadEvent::AuditTrailRead {
        subject: AuditSubject::Bundle { resident_id: ResidentId(resident) },
        position: head.unwrap_or_default(),
        at: None,
        format: "bundle".to_owned(),
    };
    let reader = Reader { organization, name: "operator", role: Role::Operator, address: None };
    record_reading(&node.store, &reader, read, node.engine.clock().now()).await?;
    let witness = node.settings.checkpoints.clone().map(Witness::new);
    let checkpointer = Checkpointer::new(pool.clone(), node.store.keyring().clone(), witness);
    checkpointer.cover(organization, u64::try_from(head.unwrap_or_default()).unwrap_or_default(), PATIENCE).await?;
    // It has personal data in the clear.
    let file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(out).map_err(unusable(out))?;
    // The mode above is that of a new file only.
    file.set_permissions(Permissions::from_mode(0o600)).map_err(unusable(out))?;
    let written = disclosure::bundle(&node.store, organization, resident, &texts, BufWriter::new(file)).await;
    if written.is_err() {
        // Half a bundle is none.
        let _ = std::fs::remove_file(out);
    }
    let written = written?;
    println!(
        "{}: {} events of {} streams, {} headers; `propty audit verify` or docs/verify_bundle.py checks it",
        out.display(),
        written.events,
        written.streams,
        written.size
    );
    Ok(ExitCode::SUCCESS)
}

async fn keys(node: &Node, all: bool) -> Result<ExitCode, Failure> {
    let pool = node.store.pool();
    signing::current(pool, node.store.keyring()).await?;
    let organizations: Vec<Uuid> =
        sqlx::query_scalar("select organization_id from log.heads order by organization_id").fetch_all(pool).await?;
    let mut connection = pool.acquire().await?;
    let keys = signing::public_keys(&mut connection).await?;
    for organization in organizations {
        let origin = signing::origin(&mut connection, OrganizationId(organization)).await?;
        let last = checkpoints::latest(&mut connection, OrganizationId(organization), None).await?;
        for key in keys.iter().filter(|key| all || key.retired_at.is_none()) {
            let state = match (key.retired_at, &last) {
                (Some(since), _) => format!("retired {since}"),
                (None, Some(last)) if last.key_id == key.id => "signs".to_owned(),
                (None, _) => "signs from the next checkpoint on".to_owned(),
            };
            println!("{}  {state}", key.vkey(&origin));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> Failure + use<> {
    let path = path.display().to_string();
    move |source| Failure::File { path: path.clone(), source }
}
