//! `kill -9` at any moment: what was acknowledged stays, what was half done is finished, nothing happens twice.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Client, Options, Organization, Process, Resident, World, in_two_weeks, port, until_ready};

/// How often propty is killed.
const KILLS: u32 = 50;
/// How long one step may take while propty is killed again and again.
const LONG: Duration = Duration::from_secs(400);
/// Residents with a mailbox that takes letters.
const PAYERS: [&str; 10] = ["Ana", "Benoit", "Carol", "Dmitri", "Elena", "Henry", "Ines", "Jonas", "Karin", "Liam"];

/// A small generator of numbers: the same seed, the same misfortunes.
struct Chance(u64);

impl Chance {
    /// From the environment to repeat a run, else from the clock.
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let seed = std::env::var("PROPTY_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::try_from(now % 1_000_000_007).unwrap_or(1));
        println!("PROPTY_TEST_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// A command that was answered with 200: from then on it has happened.
#[derive(Debug, Clone)]
struct Acknowledged {
    name: String,
    answer: Value,
}

/// What goes on while propty is killed.
struct Batch {
    world: World,
    acknowledged: Mutex<Vec<Acknowledged>>,
    /// Published invoices that nobody has paid yet, by resident.
    open: Mutex<BTreeMap<Uuid, VecDeque<Uuid>>>,
    /// Payments that Stripe's form has confirmed.
    confirmed: Mutex<Vec<Uuid>>,
    published: Mutex<Vec<Uuid>>,
    refunded: AtomicUsize,
    over: AtomicBool,
}

impl Batch {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Asks until the command is acknowledged: under one key, so that a lost answer does no harm.
    async fn insist(&self, client: &Client, name: &str, body: &Value) {
        let key = Uuid::now_v7().to_string();
        let started = Instant::now();
        loop {
            match client.try_command(name, body, Some(&key)).await {
                // An answer that broke off in its body is none.
                Ok(answer) if answer.status == 200 && answer.body.is_object() => {
                    let acknowledged = Acknowledged { name: name.to_owned(), answer: answer.body };
                    self.acknowledged.lock().expect("a list").push(acknowledged);
                    return;
                }
                Ok(answer) if answer.status == 200 || answer.status == 503 || answer.problem() == "contention" => {}
                Ok(answer) => panic!("{name} {body}: {} {}", answer.status, answer.text),
                Err(_) => {}
            }
            assert!(started.elapsed() < LONG, "{name} {body} is not acknowledged");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks a query until its answer is as wanted.
    async fn until(&self, client: &Client, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        let mut last = None;
        loop {
            if let Ok(answer) = client.try_send(client.request(reqwest::Method::GET, path)).await {
                if answer.status == 200 && wanted(&answer.body) {
                    return answer.body;
                }
                last = Some(answer.text);
            }
            assert!(started.elapsed() < LONG, "{path} did not become as expected; last: {last:?}");
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }

    /// Waits while there is enough to pay; whether to go on.
    async fn wanted(&self, most: usize) -> bool {
        while self.open.lock().expect("the open ones").values().map(VecDeque::len).sum::<usize>() > most {
            if self.is_over() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        !self.is_over()
    }

    fn is_published(&self, invoice: Uuid, person: &Resident) {
        self.published.lock().expect("a list").push(invoice);
        if PAYERS.contains(&person.first_name.as_str()) {
            self.open.lock().expect("the open ones").entry(person.id).or_default().push_back(invoice);
        }
    }

    /// Bills everybody of a property by two jobs, again and again.
    async fn bill(&self, number: usize) {
        let organization = &self.world.first;
        let (manager, property) = (&organization.manager, &organization.properties[number]);
        while self.wanted(20).await {
            let people = organization.residents.iter().filter(|resident| resident.property == property.id);
            let targets: Vec<(Uuid, &Resident)> = people.map(|person| (Uuid::now_v7(), person)).collect();
            let amount = |amount: i64| json!({ "amount": amount, "currency": property.currency });
            let draft = json!({
                "job_id": Uuid::now_v7(), "property_id": property.id, "title": "Monthly fee",
                "lines": [{ "description": "Common charges", "amount": amount(40_000) }],
                "due_on": in_two_weeks(),
                "targets": targets.iter().map(|(invoice, person)| json!({
                    "invoice_id": invoice, "unit_id": person.unit, "resident_id": person.id
                })).collect::<Vec<_>>(),
            });
            self.insist(manager, "DraftInvoices", &draft).await;
            self.job(manager, &draft).await;
            let invoices: Vec<Uuid> = targets.iter().map(|(invoice, _)| *invoice).collect();
            let publish =
                json!({ "job_id": Uuid::now_v7(), "property_id": property.id, "invoices": invoices, "notify": true });
            self.insist(manager, "PublishInvoices", &publish).await;
            self.job(manager, &publish).await;
            for (invoice, person) in targets {
                self.is_published(invoice, person);
            }
        }
    }

    /// Bills one resident after the other.
    async fn bill_one_by_one(&self) {
        let organization = &self.world.first;
        for person in organization.residents.iter().cycle() {
            if !self.wanted(12).await {
                return;
            }
            let draft = organization.draft_body(person, 20_000);
            self.insist(&organization.manager, "DraftInvoice", &draft).await;
            let publish = json!({ "invoice_id": draft["invoice_id"], "notify": true });
            self.insist(&organization.manager, "PublishInvoice", &publish).await;
            self.is_published(crate::world::id(&draft["invoice_id"]), person);
        }
    }

    async fn job(&self, manager: &Client, started: &Value) {
        let path = format!("/v1/jobs/{}", started["job_id"].as_str().unwrap_or_default());
        let job = self.until(manager, &path, |job| job["state"] == "Completed").await;
        assert_eq!((&job["refused"], &job["done"]), (&json!(0), &job["total"]), "{job}");
    }

    /// A resident pays what comes, some by a card that is declined first; every third payment is given back.
    async fn pay(&self, resident: Uuid, client: Client) {
        loop {
            let next = self.open.lock().expect("the open ones").get_mut(&resident).and_then(VecDeque::pop_front);
            let Some(invoice) = next else {
                if self.is_over() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let path = format!("/v1/invoices/{invoice}");
            self.until(&client, &path, |shown| shown["status"] == "Open").await;
            let payment = Uuid::now_v7();
            self.insist(&client, "QuotePayment", &json!({ "payment_id": payment, "invoice_id": invoice })).await;
            self.insist(&client, "StartPayment", &json!({ "payment_id": payment })).await;
            let path = format!("/v1/payments/{payment}");
            let shown = self.until(&client, &path, |payment| payment["client_secret"].is_string()).await;
            let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
            let (account, secret) = (text("stripe_account"), text("client_secret"));
            let number = self.confirmed.lock().expect("a list").len();
            if number % 4 == 1 {
                self.world.sandbox.confirm(&account, &secret, "pm_card_chargeDeclined").await;
            }
            // The browser speaks to Stripe, whether propty lives or not.
            let confirmed = self.world.sandbox.confirm(&account, &secret, "pm_card_visa").await;
            assert_eq!(confirmed.body["status"], "succeeded", "{}", confirmed.text);
            self.confirmed.lock().expect("a list").push(payment);
            self.until(&client, &path, |payment| payment["status"] == "Succeeded").await;
            if number.is_multiple_of(3) {
                let refund = json!({ "payment_id": payment, "refund_id": Uuid::now_v7(), "note": "billed twice" });
                self.insist(&self.world.first.manager, "RefundPayment", &refund).await;
                self.refunded.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Each acknowledged command's events are in the log, where the answer said.
    async fn assert_acknowledged(&self) {
        let rows: Vec<(String, String, i64, i64, String)> = sqlx::query_as(
            "select aggregate_type, aggregate_id, sequence, position, event_type from log.entries
             where organization_id = $1",
        )
        .bind(self.world.first.id)
        .fetch_all(&self.world.database)
        .await
        .expect("the log");
        let log: BTreeMap<(String, String, i64), (i64, String)> = rows
            .into_iter()
            .map(|(stream, id, sequence, position, event)| ((stream, id, sequence), (position, event)))
            .collect();
        let acknowledged = self.acknowledged.lock().expect("a list").clone();
        let mut with_position = 0;
        for Acknowledged { name, answer } in &acknowledged {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            for event in answer["events"].as_array().into_iter().flatten() {
                let version = event["version"].as_i64().expect("a version");
                let found = log.get(&(text(&answer["stream"]), text(&answer["id"]), version));
                let (position, kind) = found.unwrap_or_else(|| panic!("{name} is lost: {answer}"));
                assert_eq!(*kind, text(&event["type"]), "{name}: {answer}");
                if version == answer["version"].as_i64().expect("a version") && answer["position"].is_i64() {
                    assert_eq!(json!(position), answer["position"], "{name}: {answer}");
                    with_position += 1;
                }
            }
        }
        println!("{} commands were acknowledged, {with_position} with a position", acknowledged.len());
        assert!(with_position > 20, "hardly any answer named a position");
    }

    /// Every published invoice was told, every payment is receipted, each once; no letter hangs.
    async fn assert_told(&self) {
        let messages = self.world.first.manager.list("/v1/messages").await;
        for (kind, field, wanted) in [
            ("invoice-published", "invoice_id", self.published.lock().expect("a list").clone()),
            ("payment-received", "payment_id", self.confirmed.lock().expect("a list").clone()),
        ] {
            for id in wanted {
                let told: Vec<&Value> =
                    messages.iter().filter(|message| message["kind"] == kind && message[field] == json!(id)).collect();
                assert_eq!(told.len(), 1, "{kind} of {id}: {told:?}");
                let status = told[0]["status"].as_str().unwrap_or_default();
                assert!(matches!(status, "Delivered" | "Suppressed" | "Bounced"), "{kind} of {id}: {}", told[0]);
            }
        }
    }
}

/// Waits longer than a settling world does: a killed worker's claims run out first.
pub(crate) async fn drain(world: &World) {
    let started = Instant::now();
    loop {
        let ready = world
            .count(
                "select (select count(*) from engine.outbox where state = 'ready' and name <> 'WatchPayment'
                             and due_at <= now() + (select make_interval(secs => offset_seconds) from engine.clock)
                             and last_error is distinct from 'the charge is under way')
                      + (select count(*) from engine.webhooks where state = 'received')
                      + (select count(*) from log.pending)",
            )
            .await;
        if ready == 0 && world.sandbox.flush().await == 0 {
            return world.settle().await;
        }
        if started.elapsed() > Duration::from_secs(120) {
            let rows: Vec<(String, i32, Option<String>, bool)> = sqlx::query_as(
                "select key, attempts, last_error, lease_until > now() from engine.outbox
                 where state = 'ready' and due_at <= now()",
            )
            .fetch_all(&world.database)
            .await
            .unwrap_or_default();
            panic!("things do not settle: {rows:#?}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_fifty_moments_propty_loses_nothing_and_does_nothing_twice() {
    let mut chance = Chance::new();
    let world = World::start(Options::default()).await;
    let mut payers = Vec::new();
    for name in PAYERS {
        let resident = world.first.resident(name).clone();
        payers.push((resident.id, world.sign_in(&resident).await));
    }
    let batch = Arc::new(Batch {
        world,
        acknowledged: Mutex::default(),
        open: Mutex::default(),
        confirmed: Mutex::default(),
        published: Mutex::default(),
        refunded: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    });
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..batch.world.first.properties.len() {
        let batch = batch.clone();
        tasks.spawn(async move { batch.bill(number).await });
    }
    let biller = batch.clone();
    tasks.spawn(async move { biller.bill_one_by_one().await });
    // Each resident in two windows of a browser.
    for (resident, client) in payers.iter().chain(&payers).cloned() {
        let batch = batch.clone();
        tasks.spawn(async move { batch.pay(resident, client).await });
    }
    for _ in 0..KILLS {
        // Mostly short lives, some long enough to inherit the last one's leases and to get somewhere.
        let life = if chance.below(3) == 0 { 3_000 } else { 1_200 };
        tokio::time::sleep(Duration::from_millis(20 + chance.below(life))).await;
        batch.world.kill9();
        batch.world.restart().await;
    }
    batch.over.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a task that ends well");
    }
    drain(&batch.world).await;

    let (published, confirmed) =
        (batch.published.lock().expect("a list").len(), batch.confirmed.lock().expect("a list").len());
    println!("{published} invoices, {confirmed} payments, {} refunds", batch.refunded.load(Ordering::Relaxed));
    assert!(published >= 30 && confirmed >= 20, "too little happened: {published} invoices, {confirmed} payments");
    batch.assert_acknowledged().await;
    let world = &batch.world;
    let succeeded = world.ids("payment", "PaymentSucceeded").await;
    for payment in batch.confirmed.lock().expect("a list").iter() {
        assert!(succeeded.contains(&payment.to_string()), "payment {payment} is not booked");
    }
    let refunds =
        usize::try_from(world.count("select count(*) from log.events where event_type = 'RefundSucceeded'").await);
    assert_eq!(refunds, Ok(batch.refunded.load(Ordering::Relaxed)), "refunds");
    world.assert_invariants().await;
    batch.assert_told().await;
    let verified = world.propty(&["rebuild", "--verify"]).await;
    let told = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success(), "{told}{}", String::from_utf8_lossy(&verified.stderr));
    assert!(told.matches("byte-equal").count() > 5 && !told.contains("DIFFERENT"), "{told}");
}

/// The same caller at another process.
fn at(client: &Client, url: &str) -> Client {
    let mut client = client.clone();
    url.clone_into(&mut client.base);
    client
}

/// Where webhooks go from now on.
async fn aim(world: &World, url: &str) {
    for (provider, secret) in [("stripe", "whsec_sandbox_stripe"), ("resend", "whsec_c2FuZGJveC1yZXNlbmQtc2VjcmV0")] {
        let target = json!({ "provider": provider, "url": format!("{url}/webhooks/{provider}"), "secret": secret });
        world.sandbox.act("/webhooks/target", &target).await;
    }
}

/// Publishes, pays and receipts one invoice where propty is `url`; how long it took until the letter was out.
async fn bill_and_pay(world: &World, organization: &Organization, payer: &Client) -> Duration {
    let started = Instant::now();
    let ana = organization.resident("Ana").clone();
    let invoice = organization.publish(&ana, 25_000, true).await;
    organization.until_message(invoice, "invoice-published", "Delivered").await;
    let took = started.elapsed();
    world.pay(payer, invoice, None).await;
    organization.until_message(invoice, "payment-received", "Delivered").await;
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_within_seconds_and_nothing_happens_twice() {
    let world = World::start(Options::default()).await;
    let url = format!("http://127.0.0.1:{}", port());
    let mut command = world.command(&["serve", "--sandbox-url", &world.sandbox.url]);
    command.env("PROPTY_LISTEN", url.trim_start_matches("http://")).env("PROPTY_PUBLIC_URL", &url);
    let standby = Process::new(command, world.folder().join("standby.stderr"));
    standby.start();
    until_ready(&standby, &url).await;
    let other = world.first.at(&url);
    let payer = world.sign_in(&world.first.resident("Ana").clone()).await;

    // Both at once: whatever is asked of one, either may do.
    tokio::join!(async { bill_and_pay(&world, &world.first, &payer).await }, async {
        let ben = other.resident("Benoit").clone();
        for _ in 0..4 {
            let invoice = other.publish(&ben, 10_000, true).await;
            other.until_message(invoice, "invoice-published", "Delivered").await;
        }
    });

    // The first one leads, and has a payment half done when it is killed.
    let resident = at(&payer, &url);
    let ana = other.resident("Ana").clone();
    let invoice = other.publish(&ana, 31_000, true).await;
    let half = world.request_payment(&payer, invoice, None).await;
    world.kill9();
    aim(&world, &url).await;
    let started = Instant::now();
    let submitted = world.until_submitted(&resident, half).await;
    world.confirm(&submitted, "pm_card_visa").await;
    other.until_status(invoice, "Paid").await;
    assert!(started.elapsed() < Duration::from_secs(25), "half a payment waited for {:?}", started.elapsed());
    let took = bill_and_pay(&world, &other, &resident).await;
    assert!(took < Duration::from_secs(10), "a letter took {took:?} after the takeover");

    // And back again.
    world.restart().await;
    standby.kill9();
    aim(&world, &world.url).await;
    let started = Instant::now();
    let invoice = world.first.publish(&ana, 12_000, true).await;
    world.first.until_message(invoice, "invoice-published", "Delivered").await;
    assert!(started.elapsed() < Duration::from_secs(10), "the takeover took {:?}", started.elapsed());
    drain(&world).await;
    world.assert_invariants().await;
    let log = standby.log();
    assert!(!log.contains("panicked"), "{log}");
}
