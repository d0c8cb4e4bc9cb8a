//! The machinery of autopay: thousands of invoices fall due at once in three time zones, the sandbox answers at full speed, nothing is paced.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use command_service::{
    Ask, Providers,
    providers::{SANDBOX_RESEND_WEBHOOKS, SANDBOX_STRIPE_WEBHOOKS},
};
use domain::{
    Autopay,
    property::{AddProperty, AssignStripeAccount, ChangeBillingPolicy},
    resident::{Home, RegisterResident},
    unit::AddUnit,
};
use events::{
    AutopayEvent, Currency, EmailAddress, InvoiceEvent, Language, Money, PropertyId, ResidentId, SetupId,
    StripeAccountEvent, StripeAccountId, TimeZone, UnitId,
    address::PostalAddress,
    autopay::{AutopayMethod, SetupPurpose},
    invoice::InvoiceLine,
    payment::{CardSummary, PaymentMethodKind},
    property::BillingPolicy,
    resident::Tenure,
    stripe_account::StripeAccountStatus,
    text::{Label, Line, Name, PersonName, Title},
};
use host::Settings;
use sandbox::{Provider, Sandbox, SandboxConfig, WebhookTarget};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    RUNS, Size,
    driver::{drive, float, rate},
    report::Figure,
    scratch::Scratch,
    seed::{World, row, told},
};
use crate::{cli::ServeRole, failure::Failure, node::Node, server::Service};

/// Residents with autopay at full size, one invoice each.
const RESIDENTS: usize = 2_000;
const ZONES: [&str; 3] = ["America/New_York", "America/Chicago", "America/Denver"];
/// Charges a second that nobody reaches: the pace is lifted.
const UNPACED: u32 = 1_000_000;
/// How many residents are brought in at once.
const SEEDERS: usize = 24;
const ASK: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(900);

/// A place with an account of its own at Stripe.
#[derive(Clone, Copy)]
struct Place {
    property: PropertyId,
    account: StripeAccountId,
    zone: TimeZone,
}

/// Who lives there.
#[derive(Clone, Copy)]
struct Payer {
    place: Place,
    unit: UnitId,
    resident: ResidentId,
}

pub async fn figures(scratch: &Scratch, settings: &Settings, size: Size) -> Result<Vec<Figure>, Failure> {
    let settings = Settings { charges_per_second: UNPACED, ..settings.clone() };
    // In a given database there is one key for all figures, and it is in that place.
    let name = if scratch.is_private() { "charging" } else { "engine" };
    let node = Node::open(&scratch.place(name), settings).await?;
    let measured = charges(&node, size.of(RESIDENTS)).await;
    node.close().await;
    measured
}

async fn charges(node: &Node, count: usize) -> Result<Vec<Figure>, Failure> {
    let clock = node.clock.clone();
    let config = SandboxConfig { clock: sandbox::BusinessClock::new(move || clock.now()), ..SandboxConfig::default() };
    let sandbox = Sandbox::start(config).await?;
    let world = World::found(node).await?;
    // Before the service runs and the sandbox tells of it: what is seeded is not measured.
    let places = places(&world, &sandbox).await?;
    let payers = payers(&world, &sandbox, &places, count).await?;
    let providers = Providers::try_new(&node.settings, Some("sandbox"), Some(&sandbox.url()))?;
    let service = Service::start(node, providers, ServeRole::All).await?;
    for (provider, path, secret) in
        [(Provider::Stripe, "stripe", SANDBOX_STRIPE_WEBHOOKS), (Provider::Resend, "resend", SANDBOX_RESEND_WEBHOOKS)]
    {
        let url = format!("http://{}/webhooks/{path}", service.address);
        sandbox.switchboard().aim(provider, WebhookTarget { url, secret: secret.to_owned() });
    }
    let measured = runs(&world, &sandbox, &places, &payers).await;
    service.stop().await;
    sandbox.stop().await;
    measured
}

async fn runs(
    world: &World<'_>,
    sandbox: &Sandbox,
    places: &[Place],
    payers: &[Payer],
) -> Result<Vec<Figure>, Failure> {
    let (mut rates, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (due_on, midnight) = next_midnight(places, world.node.clock.now());
        invoices(world, payers, due_on).await?;
        quiet(world).await?;
        sandbox.switchboard().limit_rate(None);
        let started = Instant::now();
        world.node.clock.advance(midnight - world.node.clock.now() + TimeDelta::seconds(1)).await?;
        settled(world, due_on, payers.len()).await?;
        rates.push(rate(payers.len(), started.elapsed()));
        let admitted = sandbox.switchboard().rate()["admitted"].as_u64().unwrap_or_default();
        calls.push(float(usize::try_from(admitted).unwrap_or_default()) / float(payers.len()));
    }
    once_each(sandbox, payers.len() * RUNS)?;
    Ok(vec![
        Figure::new("autopay machinery, sandbox at full speed", "charges/s", rates).at_least(100.0),
        Figure::new("calls of Stripe for a charge, until it is settled", "calls", calls),
    ])
}

/// The next day that has begun in no zone yet, and when it has begun in all.
fn next_midnight(places: &[Place], now: DateTime<Utc>) -> (NaiveDate, DateTime<Utc>) {
    let latest = places.iter().map(|place| place.zone.day_of(now)).max().unwrap_or_default();
    let due_on = latest + Days::new(1);
    let midnight = places.iter().map(|place| place.zone.at_hour(due_on, 0)).max().unwrap_or(now);
    (due_on, midnight)
}

/// A property in each zone. Its only e-mails are the receipts: what is announced and reminded of before is another day's work.
async fn places(world: &World<'_>, sandbox: &Sandbox) -> Result<Vec<Place>, Failure> {
    let ask = Ask::operator(world.organization);
    let engine = &world.node.engine;
    let mut places = Vec::new();
    for (zone, number) in ZONES.into_iter().zip(1..) {
        let (property, account) = (PropertyId(Uuid::now_v7()), StripeAccountId(Uuid::now_v7()));
        let external = format!("acct_bench{number}");
        let switchboard = sandbox.switchboard();
        switchboard.update_account(&external, &serde_json::json!({})).map_err(told)?;
        switchboard.finish_onboarding(&external).map_err(told)?;
        let (name, country) = (Name::parse("Association").map_err(told)?, "US".to_owned());
        world
            .append(&[
                row(account.0, 1, &StripeAccountEvent::StripeConnectionRequested { name: name.clone(), country })?,
                row(account.0, 2, &StripeAccountEvent::StripeAccountCreated { account: external })?,
                row(
                    account.0,
                    3,
                    &StripeAccountEvent::StripeAccountStatusChanged { status: StripeAccountStatus::Active },
                )?,
            ])
            .await?;
        let zone = TimeZone::parse(zone).map_err(told)?;
        let add = AddProperty {
            property_id: property,
            name: Name::parse(&format!("Maple Court {number}")).map_err(told)?,
            address: PostalAddress {
                street: Line::parse("1 Example Street").map_err(told)?,
                city: Name::parse("Springfield").map_err(told)?,
                region: Line::parse("IL").map_err(told)?,
                postal_code: Line::parse("62701").map_err(told)?,
                country: Line::parse("US").map_err(told)?,
            },
            time_zone: zone,
            currency: Currency::USD,
            contact: EmailAddress::parse("office@example.com").map_err(told)?,
            sender: None,
            fees: None,
        };
        engine.execute(add, &ask).await?;
        let billing = BillingPolicy {
            reminder_days: None,
            remind_overdue: false,
            autopay_notice_days: None,
            ..BillingPolicy::STANDARD
        };
        engine.execute(ChangeBillingPolicy { property_id: property, billing }, &ask).await?;
        let assign = AssignStripeAccount { property_id: property, stripe_account_id: account };
        engine.execute(assign, &ask).await?;
        places.push(Place { property, account, zone });
    }
    Ok(places)
}

/// Residents with a card at Stripe and autopay on.
async fn payers(world: &World<'_>, sandbox: &Sandbox, places: &[Place], count: usize) -> Result<Vec<Payer>, Failure> {
    let payers: Vec<Payer> = places
        .iter()
        .cycle()
        .take(count)
        .map(|place| Payer { place: *place, unit: UnitId(Uuid::now_v7()), resident: ResidentId(Uuid::now_v7()) })
        .collect();
    let seeder = Seeder {
        engine: world.node.engine.clone(),
        ask: Ask::operator(world.organization),
        http: reqwest::Client::new(),
        url: sandbox.url(),
        accounts: places
            .iter()
            .zip(1..)
            .map(|(place, number)| (place.account, format!("acct_bench{number}")))
            .collect(),
        methods: Vec::new(),
    };
    let jobs: Vec<(usize, Payer)> = payers.iter().copied().enumerate().collect();
    let (_, seeders) = drive(vec![seeder; SEEDERS], jobs, |mut seeder, (number, payer)| async move {
        seeder.move_in(number, payer).await?;
        let method = seeder.keep_card(payer).await?;
        seeder.methods.push((payer, method));
        Ok(seeder)
    })
    .await?;
    let mut events = Vec::with_capacity(count * 2);
    for (Payer { place, resident, .. }, method) in seeders.into_iter().flat_map(|seeder| seeder.methods) {
        let (id, setup_id) = (Autopay::id(place.property, resident).0, SetupId(Uuid::now_v7()));
        let requested = AutopayEvent::AutopaySetupRequested {
            setup_id,
            property_id: place.property,
            resident_id: resident,
            stripe_account_id: place.account,
            kind: PaymentMethodKind::Card,
            purpose: SetupPurpose::Enable,
        };
        events.push(row(id, 1, &requested)?);
        events.push(row(id, 2, &AutopayEvent::AutopayActivated { setup_id, method, replaces: None })?);
    }
    world.append(&events).await?;
    Ok(payers)
}

/// One of those who bring residents in.
#[derive(Clone)]
struct Seeder {
    engine: command_service::Engine,
    ask: Ask,
    http: reqwest::Client,
    url: String,
    accounts: Vec<(StripeAccountId, String)>,
    methods: Vec<(Payer, AutopayMethod)>,
}

impl Seeder {
    async fn move_in(&self, number: usize, payer: Payer) -> Result<(), Failure> {
        let Payer { place, unit, resident } = payer;
        let label = Label::parse(&format!("A {number}")).map_err(told)?;
        self.engine.execute(AddUnit { unit_id: unit, property_id: place.property, label }, &self.ask).await?;
        let languages = [Language::En, Language::Fr, Language::Es];
        let register = RegisterResident {
            resident_id: resident,
            name: PersonName {
                first: Some(Name::parse("Ana").map_err(told)?),
                last: Name::parse("Ruiz").map_err(told)?,
            },
            email: Some(EmailAddress::parse(&format!("resident.{number}@example.com")).map_err(told)?),
            phone: None,
            language: languages[number % languages.len()],
            home: Home {
                property_id: place.property,
                unit_id: unit,
                tenure: Tenure::Owner,
                on: place.zone.day_of(self.engine.clock().now()),
            },
        };
        self.engine.execute(register, &self.ask).await?;
        Ok(())
    }

    /// A customer with a card that may be charged in their absence.
    async fn keep_card(&self, payer: Payer) -> Result<AutopayMethod, Failure> {
        let customer = self.post(payer, "customers", "").await?;
        let customer = customer["id"].as_str().unwrap_or_default().to_owned();
        let form = format!(
            "customer={customer}&payment_method=pm_card_visa&usage=off_session&confirm=true\
             &return_url=https%3A%2F%2Fexample.com%2F"
        );
        let intent = self.post(payer, "setup_intents", &form).await?;
        let card = CardSummary {
            brand: "visa".to_owned(),
            last4: "4242".to_owned(),
            exp_month: 12,
            exp_year: 2040,
            funding: "credit".to_owned(),
        };
        match intent["payment_method"].as_str() {
            Some(method) if intent["status"] == "succeeded" => Ok(AutopayMethod {
                payment_method: method.to_owned(),
                customer,
                kind: PaymentMethodKind::Card,
                card: Some(card),
                bank: None,
                mandate: None,
            }),
            _ => Err(Failure::Told(format!("the sandbox kept no card: {intent}"))),
        }
    }

    async fn post(&self, payer: Payer, path: &str, form: &str) -> Result<Value, Failure> {
        let account = self.accounts.iter().find(|(id, _)| *id == payer.place.account).map(|(_, name)| name.as_str());
        let request = self
            .http
            .post(format!("{}/stripe/v1/{path}", self.url))
            .bearer_auth("sk_test_sandbox")
            .header("stripe-account", account.unwrap_or_default())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        Ok(request.send().await?.json().await?)
    }
}

/// An invoice for everyone.
async fn invoices(world: &World<'_>, payers: &[Payer], due_on: NaiveDate) -> Result<(), Failure> {
    let title = Title::parse("Monthly dues").map_err(told)?;
    let total = Money::try_new(31_250, Currency::USD).map_err(told)?;
    let mut events = Vec::with_capacity(payers.len() * 2);
    for Payer { place, unit, resident } in payers.iter().copied() {
        let id = Uuid::now_v7();
        let drafted = InvoiceEvent::InvoiceDrafted {
            property_id: place.property,
            unit_id: unit,
            resident_id: resident,
            title: title.clone(),
            description: None,
            lines: vec![InvoiceLine { description: title.clone(), amount: total }],
            total,
            due_on,
            time_zone: place.zone,
        };
        events.push(row(id, 1, &drafted)?);
        events.push(row(id, 2, &InvoiceEvent::InvoicePublished { resident_id: resident, notify: false })?);
    }
    world.append(&events).await
}

/// Waits until everything is done that is due before the measured moment.
async fn quiet(world: &World<'_>) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    let mut still = 0;
    while still < 3 {
        let left: i64 = sqlx::query_scalar(
            "select (select count(*) from log.pending)
                  + (select count(*) from engine.webhooks where state = 'received')
                  + (select count(*) from engine.checkpoints
                     where global_position < (select global_position from log.head))
                  + (select count(*) from engine.outbox
                     where state = 'ready' and due_at <= $1 and (lease_until is not null or retry_at <= now()))",
        )
        .bind(world.node.clock.now())
        .fetch_one(world.node.store.pool())
        .await?;
        still = if left == 0 { still + 1 } else { 0 };
        if Instant::now() > deadline {
            return Err(Failure::Told(format!("what is not measured did not end: {left} are left")));
        }
        tokio::time::sleep(ASK).await;
    }
    Ok(())
}

/// Waits until every invoice of the day is paid by autopay and its receipt was handed over, as the read models show it.
async fn settled(world: &World<'_>, due_on: NaiveDate, count: usize) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    let wanted = i64::try_from(count).unwrap_or(i64::MAX);
    loop {
        let (paid, told): (i64, i64) = sqlx::query_as(
            "select (select count(*) from read.invoice
                     where organization_id = $1 and due_on = $2 and phase = 'Published' and balance = 0),
                    (select count(*) from read.message
                     where organization_id = $1 and kind = 'autopay-charged' and accepted_at is not null
                         and invoice_id = any(array(select invoice_id from read.invoice where due_on = $2)))",
        )
        .bind(world.organization.0)
        .bind(due_on)
        .fetch_one(world.node.store.pool())
        .await?;
        if paid == wanted && told == wanted {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Failure::Told(format!("of {count} charges {paid} are paid and {told} were told of in time")));
        }
        tokio::time::sleep(ASK).await;
    }
}

/// Speed counts for nothing if anything was charged or told twice.
fn once_each(sandbox: &Sandbox, wanted: usize) -> Result<(), Failure> {
    let objects = |kind: &str| sandbox.switchboard().objects(kind).unwrap_or_default();
    let taken = objects("payment_intents").iter().filter(|row| row["object"]["status"] == "succeeded").count();
    let letters = objects("emails").len();
    if (taken, letters) == (wanted, wanted) {
        return Ok(());
    }
    Err(Failure::Told(format!("of {wanted} charges {taken} were made and {letters} were told of")))
}
