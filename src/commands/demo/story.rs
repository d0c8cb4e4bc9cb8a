//! The story: a community is brought in, billed, paid and receipted, and lives through a month; what was expected is checked.

mod billing;
mod enrolling;
mod month;
mod news;
mod paying;
mod reckoning;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{Days, NaiveDate};
use command_service::{
    Ask, Engine,
    http::{Grant, issue_token},
};
use event_store::Database;
use events::{Role, TimeZone, property::SurchargePolicy, text::Name};
use sandbox::Switchboard;
use serde_json::json;
use uuid::Uuid;

use super::{
    browser::Browser,
    calendar::Calendar,
    cast::Cast,
    client::Client,
    payer::{Doors, SetUp},
    told,
};
use crate::{
    commands::import::{self, Person, Target, property_id},
    failure::Failure,
};

/// Days from publication to the due day.
const UNTIL_DUE: u64 = 14;

/// Where the story plays.
pub struct Stage {
    pub engine: Engine,
    pub database: Database,
    pub switchboard: Switchboard,
    pub propty: String,
    pub sandbox: String,
}

/// What is told, and what was expected of it.
pub struct Story {
    stage: Stage,
    target: Target,
    people: Vec<Person>,
    expectations: Vec<(String, bool)>,
    calendar: Calendar,
    cast: Cast,
    /// What residents set up for autopay, by resident.
    set_up: BTreeMap<String, SetUp>,
    /// The day on which the month's invoices are due.
    due: NaiveDate,
    /// What was told of autopay so far: the last position.
    told_until: i64,
    /// How many e-mails of each kind there were then.
    mails: BTreeMap<String, usize>,
    /// Invoices of somebody who cancelled before.
    after_cancel: Vec<String>,
}

impl Story {
    pub fn new(stage: Stage, target: Target, people: Vec<Person>) -> Self {
        // The sample's properties are in one zone, and so is anybody else's community.
        let zone = target.properties.values().next().map_or(TimeZone::UTC, |terms| terms.time_zone);
        let due = zone.day_of(stage.engine.clock().now()) + Days::new(UNTIL_DUE);
        let calendar = Calendar { engine: stage.engine.clone(), switchboard: stage.switchboard.clone(), zone };
        Self {
            stage,
            target,
            people,
            expectations: Vec::new(),
            calendar,
            cast: Cast::default(),
            set_up: BTreeMap::new(),
            due,
            told_until: 0,
            mails: BTreeMap::new(),
            after_cancel: Vec::new(),
        }
    }

    /// How many objects of a kind the sandbox has.
    fn sent(&self, kind: &str) -> usize {
        self.stage.switchboard.objects(kind).unwrap_or_default().len()
    }

    fn expect(&mut self, what: impl Into<String>, held: bool) {
        let what = what.into();
        if !held {
            println!("  !! {what}: not so");
        }
        self.expectations.push((what, held));
    }

    /// Tells the story; `true` when every expectation held.
    pub async fn tell(mut self) -> Result<bool, Failure> {
        let started = Instant::now();
        let token = self.arrive().await?;
        let manager = Client::nobody(&self.stage.propty).with_token(&token);
        let account = self.connect_stripe(&manager).await?;
        // An earlier demo's letters may be in the same sandbox.
        let letters = self.sent("emails");
        let invoices = self.publish(&manager).await?;
        self.letters(&manager, invoices, letters).await?;
        let doors = Doors {
            visitor: Client::nobody(&self.stage.propty),
            browser: Browser::new(&self.stage.sandbox)?,
            switchboard: self.stage.switchboard.clone(),
            organization: self.target.organization,
            manager: manager.clone(),
            account,
        };
        self.choose(&manager).await?;
        let paid = self.payments(&doors).await?;
        self.refund(&manager, &paid).await?;
        self.pay_by_check(&manager).await?;
        self.enroll(&doors).await?;
        self.live(&doors).await?;
        self.reckon(&manager, &paid).await?;
        let held = self.expectations.iter().all(|(_, held)| *held);
        println!("\n── What was expected ({:.1} s)", started.elapsed().as_secs_f64());
        for (what, held) in &self.expectations {
            println!("  {} {what}", if *held { "held  " } else { "FAILED" });
        }
        self.explore(&manager, &token).await?;
        Ok(held)
    }

    /// Who does what. The first property's residents bear the fee.
    async fn choose(&mut self, manager: &Client) -> Result<(), Failure> {
        self.calendar.quiet().await?;
        let open = manager.list("/v1/invoices?status=Open").await?;
        let first = self.target.properties.keys().next().map(|name| property_id(self.target.organization, name));
        let bearing = first.map(|id| id.to_string()).unwrap_or_default();
        self.cast = Cast::choose(&self.people, &open, &bearing);
        Ok(())
    }

    /// The organization, its properties, units and residents.
    async fn arrive(&mut self) -> Result<String, Failure> {
        println!("\n── A community moves in");
        let tally = import::bring_in(&self.stage.engine, &self.target, &self.people, &|| ()).await?;
        println!("  import → {} changes for {} residents", tally.changed, self.people.len());
        let again = import::bring_in(&self.stage.engine, &self.target, &self.people, &|| ()).await?;
        println!("  the same import again → {} changes", again.changed);
        self.expect("importing again changes nothing", again.changed == 0);
        let label = Name::parse("Demo manager").map_err(told)?;
        let ask = Ask::operator(self.target.organization);
        let (_, token, _) = issue_token(&self.stage.engine, &ask, Grant::of(label, Role::OrganizationManager)).await?;
        let manager = Client::nobody(&self.stage.propty).with_token(&token.secret);
        let wanted = self.people.len();
        manager.until("/v1/me", |_| true).await?;
        let started = Instant::now();
        while manager.list("/v1/residents").await?.len() < wanted && started.elapsed() < Duration::from_secs(30) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let residents = manager.list("/v1/residents").await?.len();
        println!("  read model: {residents} residents, {} units", manager.list("/v1/units").await?.len());
        self.expect("every resident of the file is in the read model", residents == wanted);
        Ok(token.secret)
    }

    /// One Stripe account for all properties, onboarded, and who bears the fee.
    async fn connect_stripe(&mut self, manager: &Client) -> Result<String, Failure> {
        println!("\n── Stripe is connected");
        let id = Uuid::now_v7();
        let connect = json!({ "stripe_account_id": id, "name": "Evergreen Communities", "country": "US" });
        println!("  {}", manager.command("ConnectStripeAccount", &connect).await?);
        let path = format!("/v1/stripe-accounts/{id}");
        let opened = manager.until(&path, |account| account["external_account"].is_string()).await?;
        let account = opened["external_account"].as_str().unwrap_or_default().to_owned();
        println!("  Stripe opened {account}; its owner fills in the forms …");
        self.stage.switchboard.finish_onboarding(&account).map_err(told)?;
        let active = manager.until(&path, |account| account["status"] == "Active").await?;
        println!("  webhook account.updated → badge {}", active["badge"].as_str().unwrap_or_default());
        self.expect("the Stripe account is active", active["status"] == "Active");
        for (number, name) in self.target.properties.keys().enumerate() {
            let property = property_id(self.target.organization, name);
            let assign = json!({ "property_id": property, "stripe_account_id": id });
            println!("  {name}: {}", manager.command("AssignStripeAccount", &assign).await?);
            if number == 0 {
                let policy = json!({ "property_id": property, "fees": {
                    "mode": "PassToResident",
                    "card": { "basis_points": 340, "fixed": 30 },
                    "bank_debit": { "basis_points": 100, "fixed": 0, "cap": 550 }
                } });
                println!("  {name}: {}", manager.command("ChangeFeePolicy", &policy).await?);
                // The card networks' limit where residents bear the fee.
                let surcharges = SurchargePolicy { cap_basis_points: Some(300), ..SurchargePolicy::standard() };
                let limits = json!({ "property_id": property, "surcharges": surcharges });
                println!("  {name}: {}", manager.command("ChangeSurchargePolicy", &limits).await?);
            }
        }
        Ok(account)
    }

    async fn explore(&self, manager: &Client, token: &str) -> Result<(), Failure> {
        let base = &self.stage.propty;
        let resident = manager.list("/v1/residents").await?;
        let resident = resident.first().and_then(|row| row["resident_id"].as_str()).unwrap_or_default().to_owned();
        println!("\n── Look around");
        println!("  API        {base}   reference {base}/docs   contract {base}/openapi.json");
        println!("  Sandbox    {}   (what was sent to Stripe and Resend)", self.stage.sandbox);
        println!("  Token      {token}");
        println!("  Clock      {} (it goes on from there)", self.calendar.told());
        println!("\n  export TOKEN={token}");
        println!("  curl -s -H \"Authorization: Bearer $TOKEN\" {base}/v1/dashboard");
        println!("  curl -s -H \"Authorization: Bearer $TOKEN\" '{base}/v1/invoices?status=Open&limit=5'");
        println!("  curl -s -H \"Authorization: Bearer $TOKEN\" {base}/v1/residents/{resident}");
        println!("  curl -s -H \"Authorization: Bearer $TOKEN\" -H 'Accept: text/csv' {base}/v1/payments");
        println!("  curl -s -H \"Authorization: Bearer $TOKEN\" '{base}/v1/autopay?status=Paused'");
        println!("  curl -s -H \"Authorization: Bearer $TOKEN\" {base}/v1/ledger/balances");
        Ok(())
    }
}
