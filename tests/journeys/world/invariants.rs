//! What must hold at the end of every journey, whatever happened in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::Row;
use uuid::Uuid;

use super::{World, client::PATIENCE};

/// Outbox rows left to a person that a journey expects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftToAPerson {
    pub refused: i64,
    pub unresolved: i64,
}

/// Lists of the API, the kind of id in their rows, and the detail page of one.
const LISTS: &[(&str, &str, Option<&str>)] = &[
    ("/v1/invoices", "invoice", Some("/v1/invoices/")),
    ("/v1/payments", "payment", Some("/v1/payments/")),
    ("/v1/residents", "resident", Some("/v1/residents/")),
    ("/v1/units", "unit", Some("/v1/units/")),
    ("/v1/properties", "property", Some("/v1/properties/")),
    ("/v1/messages", "email", Some("/v1/messages/")),
    ("/v1/jobs", "job", Some("/v1/jobs/")),
    ("/v1/stripe-accounts", "stripe-account", Some("/v1/stripe-accounts/")),
    ("/v1/suppressions", "suppression", None),
    ("/v1/tokens", "access-token", None),
];

impl World {
    /// Waits until nothing is under way: the log is ordered, read models and processes have caught up, nothing due is undone.
    pub async fn settle(&self) {
        let started = Instant::now();
        loop {
            let undelivered = self.sandbox.flush().await;
            // What is open at Stripe is looked at now and then, and a charge until it has ended; that is no work under way.
            let left: Value = sqlx::query_scalar(
                "select json_build_object(
                     'pending', (select count(*) from log.pending),
                     'webhooks', (select count(*) from engine.webhooks where state = 'received'),
                     'behind', (select count(*) from engine.checkpoints
                                where global_position < (select global_position from log.head)),
                     'outbox', (select coalesce(json_agg(json_build_object('key', key, 'name', name, 'error', last_error)), '[]')
                                from engine.outbox where state = 'ready' and name not in ('WatchPayment', 'WatchSetup')
                                and last_error is distinct from 'the charge is under way'
                                and last_error is distinct from 'the bank is at work'
                                and (name <> 'ReconcileAccount' or last_error is null)
                                and last_error is distinct from 'autopay is about to charge it'
                                and last_error is distinct from 'a charge with it is on its way'
                                and due_at <= now() + (select make_interval(secs => offset_seconds) from engine.clock)))",
            )
            .fetch_one(&self.database)
            .await
            .expect("an answer");
            let idle = json!({ "pending": 0, "webhooks": 0, "behind": 0, "outbox": [] });
            if undelivered == 0 && left == idle {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "things do not settle: {undelivered} webhooks on their way, {left}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Everything that must always hold, and nothing left to a person.
    pub async fn assert_invariants(&self) {
        self.assert_invariants_but(LeftToAPerson::default()).await;
    }

    /// Everything that must always hold, with some work left to a person.
    pub async fn assert_invariants_but(&self, expected: LeftToAPerson) {
        self.settle().await;
        self.assert_log().await;
        self.assert_outbox(expected).await;
        self.assert_money().await;
        self.assert_letters().await;
        self.assert_neighbour().await;
        let checked = self.propty(&["ledger", "check"]).await;
        let told = [checked.stdout, checked.stderr].concat();
        assert!(checked.status.success(), "the ledger does not hold: {}", String::from_utf8_lossy(&told));
        let audited = self.propty(&["audit", "verify"]).await;
        let told = [audited.stdout, audited.stderr].concat();
        assert!(audited.status.success(), "the log does not verify: {}", String::from_utf8_lossy(&told));
        let log = self.propty_log();
        assert!(!log.contains("panicked"), "propty panicked:\n{log}");
    }

    /// A number by SQL, as a superuser whom row-level security does not bind.
    pub async fn count(&self, query: &str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.database).await.expect("a number")
    }

    /// Positions are dense, and every event is in the log with its leaf.
    pub async fn assert_log(&self) {
        for (what, query) in [
            (
                "organizations whose positions have a gap",
                "select count(*) from (select 1 from log.entries group by organization_id
                 having min(position) <> 1 or max(position) <> count(*)) gap",
            ),
            (
                "heads that are not the last position",
                "select count(*) from log.heads head where position <>
                 (select max(position) from log.entries entry where entry.organization_id = head.organization_id)",
            ),
            (
                "gaps in the global order",
                "select count(*) from (select 1 from log.entries having min(global_position) <> 1
                 or max(global_position) <> count(*)
                 or max(global_position) <> (select global_position from log.head)) gap",
            ),
            (
                "events that are not in the log",
                "select count(*) from log.events event full join log.entries entry
                 using (organization_id, aggregate_type, aggregate_id, sequence)
                 where entry.leaf is null or event.payload is null",
            ),
            (
                "streams with a gap",
                "select count(*) from (select 1 from log.events group by organization_id, aggregate_type, aggregate_id
                 having min(sequence) <> 1 or max(sequence) <> count(*)) gap",
            ),
            ("read models that are stalled", "select count(*) from engine.stalled"),
        ] {
            assert_eq!(self.count(query).await, 0, "{what}");
        }
    }

    async fn assert_outbox(&self, expected: LeftToAPerson) {
        let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
            "select state, key, last_error from engine.outbox where state in ('refused', 'unresolved') order by created_at",
        )
        .fetch_all(&self.database)
        .await
        .expect("rows");
        let count = |state: &str| i64::try_from(rows.iter().filter(|row| row.0 == state).count()).expect("a count");
        let found = LeftToAPerson { refused: count("refused"), unresolved: count("unresolved") };
        assert_eq!(found, expected, "{rows:#?}");
    }

    /// Each succeeded payment is one charge, one posting, one receipt; each refund is one refund.
    pub async fn assert_money(&self) {
        let intents = self.sandbox.objects("stripe/payment_intents").await;
        let mut of_payment: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for intent in &intents {
            let payment = intent["metadata"]["propty_payment"].as_str().unwrap_or_default();
            of_payment.entry(payment).or_default().push(intent);
        }
        let succeeded = self.ids("payment", "PaymentSucceeded").await;
        let quoted = self.quoted().await;
        for (payment, intents) in of_payment.iter().filter(|(payment, _)| quoted.contains_key(**payment)) {
            let charged: Vec<_> = intents.iter().filter(|intent| intent["status"] == "succeeded").collect();
            assert!(intents.len() <= 1, "payment {payment} has several PaymentIntents: {intents:?}");
            assert_eq!(charged.len(), usize::from(succeeded.contains(*payment)), "charges of payment {payment}");
            for charge in charged {
                assert_eq!(charge["amount_received"], quoted[*payment], "payment {payment} took what was quoted");
            }
        }
        for payment in &succeeded {
            assert!(of_payment.contains_key(payment.as_str()), "payment {payment} has no PaymentIntent");
            for (what, query) in [
                (
                    "postings",
                    "select count(*) from log.events where aggregate_type = 'invoice' and event_type = 'PaymentApplied'
                     and payload #>> '{PaymentApplied,payment_id}' = $1",
                ),
                (
                    "successes",
                    "select count(*) from log.events where aggregate_type = 'payment' and event_type = 'PaymentSucceeded'
                     and aggregate_id = $1",
                ),
                (
                    "receipts",
                    "select count(*) from log.events where event_type = 'EmailRequested'
                     and coalesce(payload #>> '{EmailRequested,content,PaymentReceived,payment_id}',
                                  payload #>> '{EmailRequested,content,AutopayCharged,payment_id}') = $1
                     and payload #> '{EmailRequested,resend_of}' is null",
                ),
            ] {
                let count: i64 = sqlx::query_scalar(query).bind(payment).fetch_one(&self.database).await.expect("a number");
                assert_eq!(count, 1, "{what} of payment {payment}");
            }
        }
        self.assert_autopay().await;
        let refunds: Vec<(String, i64)> = sqlx::query_as(
            "select payload #>> '{RefundSucceeded,refund}', (payload #>> '{RefundSucceeded,amount,amount}')::bigint
             from log.events where event_type = 'RefundSucceeded' order by 1",
        )
        .fetch_all(&self.database)
        .await
        .expect("rows");
        let mut given: Vec<(String, i64)> = self
            .sandbox
            .objects("stripe/refunds")
            .await
            .iter()
            .filter(|refund| refund["status"] == "succeeded")
            .map(|refund| {
                (refund["id"].as_str().unwrap_or_default().to_owned(), refund["amount"].as_i64().unwrap_or_default())
            })
            .collect();
        given.sort();
        assert_eq!(refunds, given, "refunds that are recorded, and that Stripe gave");
    }

    /// No charge without authority, no two at a time, none twice, and each failure was told.
    async fn assert_autopay(&self) {
        for (what, query) in [
            (
                "charges by autopay that were submitted without authority",
                "select count(*) from log.events submitted
                 where submitted.event_type = 'PaymentSubmitting'
                     and payload #>> '{PaymentSubmitting,request,payment_method}' is not null
                     and not exists (select from log.events charge where charge.event_type = 'ChargeAuthorized'
                         and charge.payload #>> '{ChargeAuthorized,payment_id}' = submitted.aggregate_id)",
            ),
            (
                "invoices that autopay charged successfully more than once",
                "select count(*) from (select 1 from log.events where event_type = 'ChargeSucceeded'
                 group by payload #>> '{ChargeSucceeded,invoice_id}' having count(*) > 1) twice",
            ),
            (
                "authorized charges without an end although nothing is in flight",
                "select count(*) from log.events charge
                 where charge.event_type = 'ChargeAuthorized'
                     and not exists (select from log.events ended where ended.aggregate_id = charge.aggregate_id
                         and ended.event_type in ('ChargeSucceeded', 'ChargeFailed', 'ChargeWithdrawn')
                         and ended.payload::text like '%' || (charge.payload #>> '{ChargeAuthorized,payment_id}') || '%')
                     and exists (select from log.events over
                         where over.aggregate_id = charge.payload #>> '{ChargeAuthorized,payment_id}'
                         and over.event_type in ('PaymentSucceeded', 'PaymentCanceled'))",
            ),
            (
                "failures that were not told",
                "select count(*) from log.events failed where failed.event_type = 'ChargeFailed'
                     and not exists (select from log.events told where told.event_type = 'EmailRequested'
                         and told.payload #>> '{EmailRequested,cause}'
                             = 'autopay/' || failed.aggregate_id || '/' || failed.sequence)",
            ),
        ] {
            assert_eq!(self.count(query).await, 0, "{what}");
        }
    }

    /// What was handed over was handed over once.
    pub async fn assert_letters(&self) {
        let mut seen = BTreeSet::new();
        for letter in self.sandbox.objects("resend/emails").await {
            let Some(ours) = letter["_tags"]["message"].as_str() else { panic!("a letter without our id: {letter}") };
            assert!(seen.insert(ours.to_owned()), "message {ours} was sent twice");
        }
        for accepted in self.ids("email", "EmailAccepted").await {
            assert!(
                seen.contains(&accepted) || !self.mails_by_sandbox,
                "message {accepted} was accepted, but not by the sandbox"
            );
        }
    }

    /// The streams of a kind that have an event of a type.
    pub async fn ids(&self, stream: &str, event: &str) -> BTreeSet<String> {
        sqlx::query_scalar("select distinct aggregate_id from log.events where aggregate_type = $1 and event_type = $2")
            .bind(stream)
            .bind(event)
            .fetch_all(&self.database)
            .await
            .expect("ids")
            .into_iter()
            .collect()
    }

    /// What each payment was quoted at, in minor units.
    async fn quoted(&self) -> BTreeMap<String, i64> {
        sqlx::query_as::<_, (String, i64)>(
            "select aggregate_id, (payload #>> '{PaymentQuoted,total,amount}')::bigint from log.events
             where event_type = 'PaymentQuoted'",
        )
        .fetch_all(&self.database)
        .await
        .expect("rows")
        .into_iter()
        .collect()
    }

    /// How many events of an organization somebody asked for. What its own calendar brings (reminders, the nightly comparison of
    /// books) is nobody's doing.
    pub async fn asked_of(&self, organization: Uuid) -> i64 {
        sqlx::query_scalar(
            "select count(*) from log.events
             where organization_id = $1 and aggregate_type <> 'email' and event_type <> 'AccountReconciled'",
        )
        .bind(organization)
        .fetch_one(&self.database)
        .await
        .expect("a number")
    }

    /// The head of an organization's log.
    pub async fn head(&self, organization: Uuid) -> i64 {
        sqlx::query("select position from log.heads where organization_id = $1")
            .bind(organization)
            .fetch_one(&self.database)
            .await
            .expect("a head")
            .get(0)
    }

    /// The types of the events after a position.
    pub async fn told_since(&self, organization: Uuid, position: i64) -> Vec<String> {
        sqlx::query_scalar(
            "select event_type from log.entries where organization_id = $1 and position > $2 order by position",
        )
        .bind(organization)
        .bind(position)
        .fetch_all(&self.database)
        .await
        .expect("event types")
    }

    /// The second organization is as it was, and sees nothing of the first.
    async fn assert_neighbour(&self) {
        let second = &self.second;
        let mut ours: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let rows: Vec<(String, String)> =
            sqlx::query_as("select distinct aggregate_type, aggregate_id from log.events where organization_id = $1")
                .bind(self.first.id)
                .fetch_all(&self.database)
                .await
                .expect("rows");
        for (stream, id) in rows {
            ours.entry(stream).or_default().push(id);
        }
        for (list, stream, detail) in LISTS {
            let shown = json!(second.manager.list(list).await).to_string();
            for id in ours.values().flatten() {
                assert!(!shown.contains(id.as_str()), "{list} shows the second organization {id} of the first");
            }
            let foreign = ours.get(*stream).and_then(|ids| ids.last());
            if let (Some(detail), Some(id)) = (detail, foreign) {
                second.manager.look(&format!("{detail}{id}")).await.assert_problem(404);
            }
        }
        if let Some(invoice) = ours.get("invoice").and_then(|ids| ids.last()) {
            for (name, body) in [
                ("PublishInvoice", json!({ "invoice_id": invoice, "notify": true })),
                ("DiscardDraft", json!({ "invoice_id": invoice })),
                ("VoidInvoice", json!({ "invoice_id": invoice, "reason": "not ours" })),
            ] {
                second.manager.refused(name, &body, 404).await;
            }
        }
        if let Some(payment) = ours.get("payment").and_then(|ids| ids.last()) {
            let body = json!({ "payment_id": payment, "refund_id": Uuid::now_v7() });
            second.manager.refused("RefundPayment", &body, 404).await;
        }
        let unchanged = *self.second_head.lock().expect("a head");
        assert_eq!(self.asked_of(second.id).await, unchanged, "nobody asked anything of the second organization");
    }
}
