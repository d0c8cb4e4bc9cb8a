//! The account a request speaks for, and how its objects and events are written.

use serde_json::{Value, json};

use crate::config::Provider;
use crate::store::{NewEvent, Store, Table};

/// The owner of objects made without a `Stripe-Account` header.
pub(crate) const PLATFORM: &str = "platform";

/// The version async-stripe 1.0.0-rc.10 speaks.
pub(crate) const API_VERSION: &str = "2026-09-30.endive";

pub(crate) struct Context<'a> {
    pub store: &'a mut Store,
    pub account: &'a str,
    pub base_url: &'a str,
    pub request_id: Option<&'a str>,
    pub idempotency_key: Option<&'a str>,
    /// A browser with a publishable key, which sees and does less.
    pub publishable: bool,
}

impl<'a> Context<'a> {
    /// For what happens at Stripe without a request.
    pub fn internal(store: &'a mut Store, account: &'a str, base_url: &'a str) -> Self {
        Self { store, account, base_url, request_id: None, idempotency_key: None, publishable: false }
    }

    fn key(&self, id: &str) -> String {
        format!("{}/{id}", self.account)
    }

    pub fn get(&self, table: Table, id: &str) -> Option<Value> {
        self.store.get(table, &self.key(id)).cloned()
    }

    pub fn put(&mut self, table: Table, object: &Value) {
        let key = self.key(object["id"].as_str().unwrap_or_default());
        self.store.put(table, &key, object.clone());
    }

    pub fn put_row(&mut self, table: Table, id: &str, row: Value) {
        let key = self.key(id);
        self.store.put(table, &key, row);
    }

    pub fn now(&self) -> i64 {
        self.store.now()
    }

    pub fn emit(&mut self, kind: &str, object: &Value) {
        self.emit_for(self.account, kind, object);
    }

    /// An event that tells what its object's fields were before.
    pub fn emit_changed(&mut self, kind: &str, object: &Value, previous: &Value) {
        self.write(self.account, kind, &json!({"object": object, "previous_attributes": previous}));
    }

    /// An event of another account than the one that speaks, as when the platform changes an account.
    pub fn emit_for(&mut self, account: &str, kind: &str, object: &Value) {
        self.write(account, kind, &json!({"object": object}));
    }

    fn write(&mut self, account: &str, kind: &str, data: &Value) {
        let id = self.store.new_id("evt_");
        let created = self.now();
        let mut event = json!({
            "api_version": API_VERSION,
            "created": created,
            "data": data,
            "id": id,
            "livemode": false,
            "object": "event",
            "pending_webhooks": 1,
            "request": {"id": self.request_id, "idempotency_key": self.idempotency_key},
            "type": kind,
        });
        if account != PLATFORM {
            event["account"] = json!(account);
        }
        self.store.record(&NewEvent {
            provider: Provider::Stripe,
            id,
            account: account.to_owned(),
            kind: kind.to_owned(),
            created,
            body: event.to_string(),
            callback: None,
        });
    }
}
