//! All state as tables of JSON, each change appended to the state file before it is answered.
//!
//! The file is a list of lines `[table, key, value]`, `null` for a removal. A torn last line was never answered, so it
//! is left out on reading. Reading rewrites the file to its live rows and renames it into place.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::{BusinessClock, Provider};
use crate::ids;

/// Stripe lists events of 30 days; a load test would fill the memory before that.
const EVENTS_KEPT: usize = 50_000;
const REWRITE_ABOVE: u64 = 256 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Table {
    Accounts,
    BalanceTransactions,
    Charges,
    ConfirmationTokens,
    Customers,
    Deliveries,
    Disputes,
    Due,
    Emails,
    Events,
    Idempotency,
    Mandates,
    Messages,
    OptOuts,
    PaymentIntents,
    PaymentIntentsByCustomer,
    PaidOut,
    PaymentMethods,
    Payouts,
    Refunds,
    RefundsByCharge,
    Settings,
    SetupIntents,
    Suppressions,
    TextScripts,
}

/// An event to record; a webhook is queued for it in the same commit.
#[derive(Debug)]
pub(crate) struct NewEvent {
    pub provider: Provider,
    pub id: String,
    pub account: String,
    pub kind: String,
    pub created: i64,
    pub body: String,
    /// Twilio's callbacks name their own address and are signed by the sending account's token.
    pub callback: Option<Value>,
}

#[derive(Debug)]
struct Disk {
    path: PathBuf,
    file: File,
    bytes: u64,
    live_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Store {
    tables: BTreeMap<Table, BTreeMap<String, Value>>,
    disk: Option<Disk>,
    unsaved: Vec<u8>,
    last_sequence: u64,
    pub clock: BusinessClock,
    /// How long a bank debit is on its way, unless the switchboard said otherwise.
    pub ach_days: i64,
    /// Deliveries queued since the last commit; the caller hands them to the senders.
    pub queued: Vec<String>,
}

impl Store {
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let mut store = Self::default();
        let Some(path) = path else { return Ok(store) };
        match File::open(path) {
            Ok(file) => {
                for line in BufReader::new(file).split(b'\n') {
                    let Ok((table, key, value)) = serde_json::from_slice::<(Table, String, Value)>(&line?) else {
                        continue;
                    };
                    let rows = store.tables.entry(table).or_default();
                    if value.is_null() {
                        rows.remove(&key);
                    } else {
                        rows.insert(key, value);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        store.disk = Some(store.rewrite(path)?);
        Ok(store)
    }

    fn rewrite(&self, path: &Path) -> io::Result<Disk> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        let fresh = PathBuf::from(fresh);
        let mut out = BufWriter::new(File::create(&fresh)?);
        let mut bytes = 0;
        for (table, rows) in &self.tables {
            for (key, value) in rows {
                let line = serde_json::to_vec(&(table, key, value))?;
                bytes += line.len() as u64 + 1;
                out.write_all(&line)?;
                out.write_all(b"\n")?;
            }
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&fresh, path)?;
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Disk { path: path.to_owned(), file, bytes, live_bytes: bytes })
    }

    /// Makes everything since the last commit outlive the process. Called before an answer leaves.
    pub fn commit(&mut self) -> io::Result<()> {
        let unsaved = std::mem::take(&mut self.unsaved);
        let Some(disk) = &mut self.disk else {
            return Ok(());
        };
        disk.file.write_all(&unsaved)?;
        disk.bytes += unsaved.len() as u64;
        if disk.bytes > REWRITE_ABOVE && disk.bytes > disk.live_bytes.saturating_mul(4) {
            let path = disk.path.clone();
            self.disk = Some(self.rewrite(&path)?);
        }
        Ok(())
    }

    pub fn get(&self, table: Table, key: &str) -> Option<&Value> {
        self.tables.get(&table)?.get(key)
    }

    pub fn put(&mut self, table: Table, key: &str, value: Value) {
        self.note(table, key, &value);
        self.tables.entry(table).or_default().insert(key.to_owned(), value);
    }

    pub fn remove(&mut self, table: Table, key: &str) -> Option<Value> {
        let removed = self.tables.get_mut(&table)?.remove(key)?;
        self.note(table, key, &Value::Null);
        Some(removed)
    }

    fn note(&mut self, table: Table, key: &str, value: &Value) {
        if self.disk.is_some() && serde_json::to_writer(&mut self.unsaved, &(table, key, value)).is_ok() {
            self.unsaved.push(b'\n');
        }
    }

    pub fn all(&self, table: Table) -> impl DoubleEndedIterator<Item = (&String, &Value)> {
        self.tables.get(&table).into_iter().flatten()
    }

    pub fn len(&self, table: Table) -> usize {
        self.tables.get(&table).map_or(0, BTreeMap::len)
    }

    /// Rows whose key is `{owner}/…`, oldest first.
    pub fn of<'a>(&'a self, table: Table, owner: &str) -> impl DoubleEndedIterator<Item = (&'a String, &'a Value)> {
        // '0' is the character after '/', so the range ends behind the owner's last row.
        let range = format!("{owner}/")..format!("{owner}0");
        self.tables.get(&table).map(|rows| rows.range(range)).into_iter().flatten()
    }

    /// An object by its id alone; the sandbox's own pages and switchboard do not know its account.
    pub fn find(&self, table: Table, id: &str) -> Option<(String, Value)> {
        let suffix = format!("/{id}");
        self.all(table).find(|(key, _)| key.ends_with(&suffix)).and_then(|(key, value)| {
            let owner = key.strip_suffix(&suffix)?;
            Some((owner.to_owned(), value.clone()))
        })
    }

    pub fn new_id(&mut self, prefix: &str) -> String {
        let now = u64::try_from(Utc::now().timestamp_micros()).unwrap_or(0);
        self.last_sequence = now.max(self.last_sequence + 1);
        ids::sequenced(prefix, self.last_sequence)
    }

    pub fn clock_offset(&self) -> i64 {
        self.get(Table::Settings, "clock_offset").and_then(Value::as_i64).unwrap_or(0)
    }

    pub fn set_clock_offset(&mut self, seconds: i64) {
        self.put(Table::Settings, "clock_offset", json!(seconds));
    }

    pub fn ach_seconds(&self) -> i64 {
        let days = self.get(Table::Settings, "ach_days").and_then(Value::as_i64).unwrap_or(self.ach_days);
        days.saturating_mul(24 * 60 * 60)
    }

    /// Seconds on the business clock.
    pub fn now(&self) -> i64 {
        self.clock.now().timestamp().saturating_add(self.clock_offset())
    }

    pub fn record(&mut self, event: &NewEvent) {
        let row = json!({
            "provider": event.provider,
            "account": event.account,
            "type": event.kind,
            "created": event.created,
            "callback": event.callback,
            "body": event.body,
        });
        self.put(Table::Events, &event.id, row);
        if self.len(Table::Events) > EVENTS_KEPT {
            let oldest = self.all(Table::Events).next().map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.remove(Table::Events, &oldest);
            }
        }
        self.queue(event.provider, &event.id, &event.kind);
    }

    pub fn queue(&mut self, provider: Provider, event: &str, kind: &str) {
        let id = self.new_id("del_");
        self.put(Table::Deliveries, &id, json!({"event": event, "provider": provider, "type": kind, "gave_up": false}));
        self.queued.push(id);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Store, Table};

    #[test]
    fn what_was_committed_survives_and_a_torn_line_does_not() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("state");
        let mut store = Store::open(Some(&path))?;
        store.put(Table::Customers, "platform/cus_1", json!({"id": "cus_1"}));
        store.put(Table::Customers, "platform/cus_2", json!({"id": "cus_2"}));
        store.remove(Table::Customers, "platform/cus_2");
        store.commit()?;
        drop(store);
        let mut bytes = std::fs::read(&path)?;
        bytes.extend_from_slice(b"[\"customers\",\"platform/cus_3\",{\"id\":");
        std::fs::write(&path, bytes)?;
        let store = Store::open(Some(&path))?;
        assert_eq!(store.len(Table::Customers), 1);
        assert!(store.get(Table::Customers, "platform/cus_1").is_some());
        Ok(())
    }

    #[test]
    fn rows_of_one_owner_are_not_mixed_with_a_neighbour() {
        let mut store = Store::default();
        for key in ["acct_1/a", "acct_1/b", "acct_10/a", "acct_1x/a"] {
            store.put(Table::Charges, key, json!({}));
        }
        let keys: Vec<_> = store.of(Table::Charges, "acct_1").map(|(key, _)| key.clone()).collect();
        assert_eq!(keys, ["acct_1/a", "acct_1/b"]);
    }
}
