//! What happens later on the business clock: debits settle, returns come in, payouts arrive.

use std::sync::Arc;

use serde_json::{Value, json};

use super::context::Context;
use super::{confirm, disputes, payouts};
use crate::shared::{Shared, unsaved};
use crate::store::{Store, Table};

/// At most so many at a time, so that no request waits behind a whole month.
const BATCH: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Settle,
    Return,
    PayOut,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Settle => "settle",
            Self::Return => "return",
            Self::PayOut => "pay_out",
        }
    }
}

pub(crate) fn put(context: &mut Context<'_>, at: i64, step: Step, id: &str) {
    // Zero-padded seconds make the order of keys the order of time.
    let key = format!("{:012}/{}/{}/{id}", at.max(0), context.account, step.name());
    context.store.put(Table::Due, &key, json!({"account": context.account, "step": step.name(), "id": id}));
}

fn next(store: &Store) -> Option<(String, Value)> {
    let (key, row) = store.all(Table::Due).next()?;
    let at: i64 = key.split('/').next()?.parse().ok()?;
    (at <= store.now()).then(|| (key.clone(), row.clone()))
}

/// Lets everything happen whose time has come.
pub(crate) fn arrive(shared: &Arc<Shared>) {
    while shared.read(|store| next(store).is_some()) {
        let done = shared.change(|store| {
            for _ in 0..BATCH {
                let Some((key, row)) = next(store) else { return };
                store.remove(Table::Due, &key);
                happen(store, &row);
            }
        });
        if let Err(error) = done {
            unsaved(&error);
            return;
        }
    }
}

fn happen(store: &mut Store, row: &Value) {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    let mut context = Context::internal(store, text("account"), "");
    match text("step") {
        "settle" => confirm::arrive(&mut context, text("id")),
        "return" => disputes::come_back(&mut context, text("id")),
        "pay_out" => payouts::arrive(&mut context, text("id")),
        _ => {}
    }
}
