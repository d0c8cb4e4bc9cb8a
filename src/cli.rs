//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use uuid::Uuid;

/// Invoices, payments and messages of homeowner associations, event-sourced and provable.
///
/// With nothing configured, a private PostgreSQL runs in the data folder and a sandbox stands in for Stripe and Resend.
/// Start with `propty demo`.
#[derive(Debug, Parser)]
#[command(name = "propty", version, max_term_width = 120)]
pub struct Cli {
    #[command(flatten)]
    pub place: Place,
    #[command(subcommand)]
    pub command: Command,
}

/// Where the data is.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Folder for the private database, its keys and the sandbox's state.
    #[arg(long, global = true, env = "PROPTY_DATA_DIR", default_value = "./propty-data")]
    pub data_dir: PathBuf,
    /// A PostgreSQL 15 or newer to use instead of the private one.
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Configuration file (TOML); `infra/propty.toml` explains every key.
    #[arg(long, global = true, env = "PROPTY_CONFIG")]
    pub config: Option<PathBuf>,
}

impl Place {
    pub fn host(&self) -> host::Place {
        host::Place { data_dir: self.data_dir.clone(), database_url: self.database_url.clone() }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service.
    Serve(Serve),
    /// Live through a month of a sample community, then stay up to be explored.
    Demo(Demo),
    /// Bring in a community from a spreadsheet export.
    Import(Import),
    /// Make a bearer token; shown once.
    Token(Token),
    /// Throw read models away and build them anew from the log; no effect fires.
    Rebuild(Rebuild),
    /// Show the log, the read models, the outbox.
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Append every event to EventStoreDB or KurrentDB; runs the program propty-mirror, which explains its arguments.
    #[command(disable_help_flag = true)]
    Mirror {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Audit the double-entry ledger, or export it for an accountant.
    Ledger(Ledger),
    /// Prove the log: verify it, disclose it, or show and replace the key that signs it.
    Audit(Audit),
    /// Replace the master key, or say which one wraps how many keys.
    Keys(Keys),
    /// Verify that nothing readable is left of erased residents.
    Privacy(Privacy),
    /// Export what happened, or follow it as it happens: public events, one in JSON on each line.
    Events(Events),
    /// Show unresolved work, or try or drop a piece of it.
    Outbox(Outbox),
    /// After a restore from a backup: hold all work, or accept the history and go on.
    Restore(Restore),
    /// Run only the sandbox: a local double of Stripe, Resend and Twilio.
    Sandbox(SandboxArgs),
    /// Print the OpenAPI document.
    Openapi,
    /// Write the JSON Schemas of events and commands, and the OpenAPI document, into a folder.
    Schemas {
        #[arg(default_value = "schemas")]
        folder: PathBuf,
        /// Write nothing; fail if a file would change.
        #[arg(long)]
        check: bool,
    },
    /// Measure this machine against plain postgres-es and single inserts.
    Bench(Bench),
}

/// Which part of the service a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ServeRole {
    All,
    /// Commands and webhooks over HTTP.
    Command,
    /// Queries over HTTP.
    Query,
    /// Sequencer, read models, processes and effects.
    Worker,
}

#[derive(Debug, Args)]
pub struct Serve {
    #[arg(long, value_enum, default_value = "all")]
    pub role: ServeRole,
    /// `resend`, `sandbox`, or `smtp://…`, `smtp+starttls://…`, `smtps://user:password@host:port`.
    #[arg(long, env = "PROPTY_MAIL", hide_env_values = true)]
    pub mail: Option<String>,
    /// Use a sandbox for what has no keys, although DATABASE_URL is set.
    #[arg(long)]
    pub sandbox: bool,
    /// Base URL of a running sandbox (`propty sandbox`) to use.
    #[arg(long, env = "PROPTY_SANDBOX_URL")]
    pub sandbox_url: Option<String>,
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Your own community instead of the sample: a CSV as `propty import` takes it.
    #[arg(long)]
    pub community: Option<PathBuf>,
    /// Exit when the story is told; 0 only if every expectation held.
    #[arg(long)]
    pub once: bool,
}

#[derive(Debug, Args)]
pub struct Import {
    /// CSV with a header row, in any column order.
    pub file: PathBuf,
    /// The organization's id; made if it does not exist.
    #[arg(long)]
    pub organization: Option<Uuid>,
    /// The organization's name, when it is made.
    #[arg(long, default_value = "My organization")]
    pub organization_name: String,
    /// The property's name, for rows that name none.
    #[arg(long, default_value = "My property")]
    pub property: String,
    #[arg(long, default_value = "America/New_York")]
    pub time_zone: String,
    #[arg(long, default_value = "USD")]
    pub currency: String,
    /// Replies to e-mails go here.
    #[arg(long, default_value = "manager@example.org")]
    pub contact: String,
    /// Say what would happen and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Bring in the good rows although others are bad. Without it, one bad row and nothing is brought in.
    #[arg(long)]
    pub skip_bad_rows: bool,
}

#[derive(Debug, Args)]
pub struct Token {
    /// The organization's id; needed when there are several.
    #[arg(long)]
    pub organization: Option<Uuid>,
    /// OrganizationManager, PropertyAdmin, PropertyManager, ComplianceAuditor or Integrator.
    #[arg(long, default_value = "OrganizationManager")]
    pub role: events::Role,
    /// The property's id, for roles of a property.
    #[arg(long)]
    pub property: Option<Uuid>,
    /// The types of events that an integrator reads, as `invoice.*,payment.succeeded`; all when none is named.
    #[arg(long, value_delimiter = ',')]
    pub types: Vec<String>,
    #[arg(long, default_value = "made at the shell")]
    pub label: String,
    #[arg(long, default_value_t = 90)]
    pub days: i64,
}

#[derive(Debug, Args)]
pub struct Rebuild {
    /// The read models; all when none is named.
    pub names: Vec<String>,
    /// Rebuild twice and compare byte by byte.
    #[arg(long)]
    pub verify: bool,
}

#[derive(Debug, Args)]
pub struct Restore {
    #[command(subcommand)]
    pub action: RestoreAction,
}

#[derive(Debug, Subcommand)]
pub enum RestoreAction {
    /// Say that this history was restored from a backup: at the next start nothing is charged or sent. Done by itself where the
    /// database shows it (another cluster, or a history that forked).
    Quarantine,
    /// Let work go on: what may have been done at providers meanwhile is looked for there before it is done again.
    Accept,
}

#[derive(Debug, Args)]
pub struct Ledger {
    #[command(subcommand)]
    pub action: LedgerAction,
}

#[derive(Debug, Subcommand)]
pub enum LedgerAction {
    /// Verify that every entry balances and that invoices owe what the ledger says; exit 1 and name what differs.
    Check {
        /// The organization's id; all of them by default.
        #[arg(long)]
        organization: Option<Uuid>,
    },
    /// Write the ledger for an accounting program.
    Export {
        /// `hledger`, `quickbooks` or `csv`.
        #[arg(long, default_value = "hledger")]
        format: query_service::ledger_export::Format,
        /// The file to write; the terminal by default.
        #[arg(long)]
        out: Option<PathBuf>,
        /// The organization's id; needed when there are several.
        #[arg(long)]
        organization: Option<Uuid>,
        /// The property's id; all of them by default.
        #[arg(long)]
        property: Option<Uuid>,
        /// The first day, in the property's time zone.
        #[arg(long)]
        from: Option<chrono::NaiveDate>,
        /// The last day, in the property's time zone.
        #[arg(long)]
        until: Option<chrono::NaiveDate>,
    },
}

#[derive(Debug, Args)]
pub struct Audit {
    #[command(subcommand)]
    pub action: AuditAction,
}

#[derive(Debug, Subcommand)]
pub enum AuditAction {
    /// Verify the whole log of every organization, or a bundle; exit 1 and name what is wrong, and where.
    Verify {
        /// A bundle, for which no database is needed; the log by default.
        file: Option<PathBuf>,
        /// The file outside the database that checkpoints were appended to; that of the configuration by default.
        #[arg(long)]
        checkpoints: Option<PathBuf>,
        /// A key that is known from elsewhere, as `propty audit key` prints it; may be given several times.
        #[arg(long)]
        key: Vec<transparency::Vkey>,
    },
    /// Write everything that the log tells of a resident, with the proof that it is all of it.
    Bundle {
        /// The resident's id.
        #[arg(long)]
        resident: Uuid,
        /// The file to write.
        #[arg(long)]
        out: PathBuf,
        /// The organization's id; needed when several have a resident of this id.
        #[arg(long)]
        organization: Option<Uuid>,
        /// A text that the events refer to by its SHA-256, such as a disclosure; may be given several times.
        #[arg(long)]
        document: Vec<PathBuf>,
    },
    /// Print the public keys, as other programs take them (C2SP signed-note).
    Key {
        /// Retired keys too.
        #[arg(long)]
        all: bool,
    },
    /// Replace the key that signs. The next checkpoint of each organization is signed by both.
    RotateKey,
}

#[derive(Debug, Args)]
pub struct Keys {
    #[command(subcommand)]
    pub action: KeysAction,
}

#[derive(Debug, Subcommand)]
pub enum KeysAction {
    /// Wrap every key by a new master key: that of `PROPTY_NEXT_MASTER_KEY`, or a new file beside master.key. May be interrupted and
    /// run again; services go on meanwhile.
    Rotate {
        /// No other host uses the database that `DATABASE_URL` names. Needed to rotate by files there: another host would not find
        /// the new key.
        #[arg(long)]
        only_this_host: bool,
    },
    /// Say how many keys each master key wraps.
    Status,
}

#[derive(Debug, Args)]
pub struct Privacy {
    #[command(subcommand)]
    pub action: PrivacyAction,
}

#[derive(Debug, Subcommand)]
pub enum PrivacyAction {
    /// Check keys, log, read models, outbox, notices and answers; exit 1 and name the places where something is left.
    VerifyErased {
        /// The resident's id; everybody who was erased by default.
        #[arg(long)]
        resident: Option<Uuid>,
        /// The organization's id; all of them by default.
        #[arg(long)]
        organization: Option<Uuid>,
        /// Also search every table, and what can still be opened, for the texts that standard input has, one on each line: a name, an
        /// address, a number that nobody else has.
        #[arg(long)]
        needle: bool,
    },
}

#[derive(Debug, Args)]
pub struct Events {
    #[command(subcommand)]
    pub action: EventsAction,
}

#[derive(Debug, Subcommand)]
pub enum EventsAction {
    /// Follow what happens until interrupted; goes on by itself when the service was away.
    Tail {
        /// Begin after this position; by default with what happens from now on.
        #[arg(long)]
        after: Option<i64>,
        #[command(flatten)]
        source: EventSource,
    },
    /// Write everything up to now, and tell up to which position that is.
    Export {
        /// Begin after this position.
        #[arg(long, default_value_t = 0)]
        after: i64,
        /// The file to write; the terminal by default.
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        source: EventSource,
    },
}

/// Whose events, and which. Without a token, they are read from the database of this place.
#[derive(Debug, Clone, Args)]
pub struct EventSource {
    /// A token that may read events: they are then asked of the service.
    #[arg(long, env = "PROPTY_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Where the service is; where this place's would be, by default.
    #[arg(long, env = "PROPTY_URL")]
    pub url: Option<String>,
    /// The organization's id; needed without a token when there are several.
    #[arg(long)]
    pub organization: Option<Uuid>,
    /// Only these types: `invoice.published,payment.*`.
    #[arg(long)]
    pub types: Option<String>,
    /// Only this kind of aggregate, or one: `invoice`, `invoice/…`.
    #[arg(long)]
    pub aggregate: Option<String>,
    /// Only what reaches this property.
    #[arg(long)]
    pub property: Option<Uuid>,
}

#[derive(Debug, Args)]
pub struct Outbox {
    #[command(subcommand)]
    pub action: Option<OutboxAction>,
}

#[derive(Debug, Subcommand)]
pub enum OutboxAction {
    /// List what is unresolved or refused.
    List,
    /// Try a piece again.
    Retry { key: String },
    /// Leave a piece undone for good.
    Drop { key: String },
}

#[derive(Debug, Args)]
pub struct SandboxArgs {
    #[arg(long, default_value = "127.0.0.1:8090")]
    pub listen: std::net::SocketAddr,
    /// Where Propty listens, for webhooks.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub propty: String,
    /// Keep no state over restarts.
    #[arg(long)]
    pub forget: bool,
}

#[derive(Debug, Args)]
pub struct Bench {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Share of the full size, in percent.
    #[arg(long, default_value_t = 100)]
    pub percent: u32,
    /// Measure only these, separated by commas; everything by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Measured>,
}

/// What `bench` can measure by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measured {
    /// Commands in process.
    Commands,
    /// Commands on long streams.
    History,
    Sequencer,
    Projector,
    /// Commands over HTTP.
    Http,
    /// How soon a read model shows a command.
    Visible,
    Query,
    /// Charges by autopay, all due at once.
    Charging,
    /// The log verified, disclosed, and signed.
    Audit,
    /// Catching up, waiting and hearing of the event feed.
    Feed,
    Start,
    Memory,
}
