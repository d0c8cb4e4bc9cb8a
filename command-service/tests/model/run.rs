//! One sequence: an organization with one resident moves in, lives through chance, and comes to rest.

use chrono::{DateTime, Days, TimeDelta, Utc};
use command_service::{Answer, Ask, Fault, outbox};
use domain::Actor;
use events::{OrganizationId, ResidentId, Role, TimeZone};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{book::Book, chance::Chance, enrollment::Standing, house::House};

const ZONES: [&str; 5] =
    ["America/Toronto", "America/Los_Angeles", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Auckland"];

/// How often 37 hours pass, at most, until everything has come to its end.
const PASSES: usize = 16;

/// Who lives through it.
#[derive(Debug)]
pub struct Home {
    pub organization: OrganizationId,
    pub property: Uuid,
    pub unit: Uuid,
    pub resident: Uuid,
    /// Our id of the Stripe account, and Stripe's.
    pub stripe_account: Uuid,
    pub account: String,
    pub currency: &'static str,
    pub charge_hour: u8,
}

/// What became of the Stripe account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    Open,
    Restricted,
    Deauthorized,
}

pub struct Run<'a> {
    pub house: &'a House,
    pub home: Home,
    pub chance: Chance,
    pub book: Book,
    pub account: Account,
    /// The account took no payments at some time: what failed then is left to a person.
    pub disturbed: bool,
    /// Stripe shows us nothing of the account.
    pub unreachable: bool,
    pub granted: i64,
    steps: Vec<String>,
}

impl<'a> Run<'a> {
    pub async fn move_in(house: &'a House, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let zone_name = chance.pick(&ZONES).unwrap_or(ZONES[0]);
        let zone = TimeZone::parse(zone_name).expect("a zone");
        let home = Home {
            organization: OrganizationId(chance.id()),
            property: chance.id(),
            unit: chance.id(),
            resident: chance.id(),
            stripe_account: chance.id(),
            account: String::new(),
            currency: if chance.one_in(2) { "USD" } else { "CAD" },
            charge_hour: chance.pick(&[0, 0, 2, 9]).unwrap_or(0),
        };
        let mut run = Self {
            house,
            home,
            chance,
            book: Book::new(zone),
            account: Account::Open,
            disturbed: false,
            unreachable: false,
            granted: 0,
            steps: Vec::new(),
        };
        run.begin_some_day().await;
        run.found(zone_name).await;
        run
    }

    /// On a day that follows from the seed, often shortly before the clocks change.
    async fn begin_some_day(&mut self) {
        let (now, zone) = (self.house.now(), self.book.zone);
        let days = if self.chance.one_in(3) {
            let changes = |days: &u64| {
                let day = zone.day_of(now) + Days::new(*days + 2);
                zone.at_hour(day + Days::new(1), 0) - zone.at_hour(day, 0) != TimeDelta::hours(24)
            };
            (1..400).find(changes).unwrap_or(1)
        } else {
            self.chance.next() % 366
        };
        let morning = zone.at_hour(zone.day_of(now) + Days::new(days + 1), 9);
        self.house.advance(morning - now).await;
    }

    async fn found(&mut self, zone: &str) {
        let (house, home) = (self.house, &self.home);
        let (property, unit, resident) = (home.property, home.unit, home.resident);
        let email = format!("resident-{}@example.com", resident.simple());
        let place = json!({ "property_id": property, "unit_id": unit, "tenure": "Owner", "on": "2026-01-01" });
        for (name, fields) in [
            ("RegisterOrganization", json!({})),
            ("AddProperty", json!({ "property_id": property, "currency": home.currency, "time_zone": zone })),
            ("AddUnit", json!({ "property_id": property, "unit_id": unit })),
            ("RegisterResident", json!({ "resident_id": resident, "email": email, "home": place })),
        ] {
            let body = house.body(name, fields);
            house.execute(Ask::operator(home.organization), name, body).await.expect("an accepted command");
        }
        let connect = house.body("ConnectStripeAccount", json!({ "stripe_account_id": home.stripe_account }));
        self.manage("ConnectStripeAccount", connect).await.expect("an account");
        house.settle().await.expect("a beginning");
        let account: domain::StripeAccount =
            house.effects.engine.state(home.organization, home.stripe_account).await.expect("an account");
        account.last_external().expect("an account at Stripe").clone_into(&mut self.home.account);
        house.board.finish_onboarding(&self.home.account).expect("an account");
        house.settle().await.expect("a beginning");
        let assign = json!({ "property_id": property, "stripe_account_id": self.home.stripe_account });
        self.manage("AssignStripeAccount", assign).await.expect("an assignment");
        let reminded = self.chance.one_in(4);
        let billing = json!({
            "charge_hour": self.home.charge_hour, "remind_overdue": reminded,
            "reminder_days": if reminded { json!(2) } else { Value::Null },
            "autopay_notice_days": if reminded { json!(1) } else { Value::Null },
        });
        let bill = json!({ "property_id": property, "billing": billing });
        self.manage("ChangeBillingPolicy", bill).await.expect("a policy");
    }

    fn ask(&self, actor: Actor) -> Ask {
        Ask { actor, actor_name: "token:model".to_owned(), ..Ask::operator(self.home.organization) }
    }

    pub async fn manage(&self, name: &str, body: Value) -> Result<Answer, Fault> {
        self.house.execute(self.ask(Actor::of(Role::OrganizationManager)), name, body).await
    }

    pub async fn reside(&self, name: &str, body: Value) -> Result<Answer, Fault> {
        let resident = Some(ResidentId(self.home.resident));
        self.house.execute(self.ask(Actor { resident, ..Actor::of(Role::Resident) }), name, body).await
    }

    pub fn money(&self, amount: i64) -> Value {
        json!({ "amount": amount, "currency": self.home.currency })
    }

    /// Notes what is done, for whoever has to understand it.
    pub fn note(&mut self, what: impl Into<String>) {
        let now: DateTime<Utc> = self.house.now();
        self.steps.push(format!("{} {}", now.format("%Y-%m-%d %H:%M:%S"), what.into()));
    }

    /// Adds how it ended to the last note.
    pub fn ended(&mut self, answer: &Result<Answer, Fault>) {
        if let (Some(last), Err(fault)) = (self.steps.last_mut(), answer) {
            last.extend([" — refused: ".to_owned(), fault.to_string()]);
        }
    }

    /// What was done, and what the log tells of it.
    pub fn story(&self) -> Vec<String> {
        let facts = self.book.facts.iter().filter(|fact| {
            !matches!(fact.stream.as_str(), "email" | "organization" | "unit" | "property" | "resident")
        });
        let facts = facts.map(|fact| {
            format!(
                "{} {} {}/{} {} {}",
                fact.position,
                fact.at.format("%m-%d %H:%M:%S"),
                fact.stream,
                fact.id,
                fact.name,
                fact.body
            )
        });
        self.steps.iter().cloned().chain(facts).collect()
    }

    pub async fn read(&mut self) {
        self.house.sequence().await;
        self.book.read(self.house.pool(), self.home.organization.0).await;
    }

    pub async fn live(&mut self) -> Result<(), String> {
        self.read().await;
        if !self.chance.one_in(8) {
            self.enable_or_change().await;
            self.house.settle().await?;
            self.complete_with("pm_card_visa").await;
            self.publish().await;
            self.house.settle().await?;
            self.read().await;
            if self.chance.one_in(2) {
                self.behave();
            }
        }
        for _ in 0..self.chance.between(8, 20) {
            self.step().await?;
            self.read().await;
        }
        self.end().await
    }

    /// Everything is delivered, faults are lifted, and open things have been looked at: then all has to fit.
    pub async fn quiet(&mut self) -> Result<(), String> {
        self.note("quiet");
        self.house.board.clear_faults();
        self.house.settle().await?;
        // Webhooks may be lost: whatever is open is looked at after a minute.
        self.house.advance(TimeDelta::seconds(61)).await;
        self.house.settle().await?;
        self.check().await
    }

    /// All is well again, time passes, and everything comes to its end.
    async fn end(&mut self) -> Result<(), String> {
        self.note("the end begins");
        self.house.board.clear_faults();
        self.open_account().await;
        self.house.settle().await?;
        self.person_retries().await;
        self.quiet().await?;
        let (early, late) = if self.chance.one_in(2) { (4, 0) } else { (0, 4) };
        for _ in 0..late {
            self.pass(37).await?;
        }
        self.banks_are_kind();
        for _ in 0..early {
            self.pass(37).await?;
        }
        self.check().await?;
        if self.book.enrollment.standing == Standing::Paused {
            self.note("reactivates");
            self.reactivate().await?;
        }
        // A debit takes days, and one that the bank returned is tried again days later.
        for _ in 0..PASSES {
            self.pass(37).await?;
            self.read().await;
            if self.converged().is_ok() {
                break;
            }
        }
        self.check().await?;
        self.converged()
    }

    /// From now on every method pays.
    fn banks_are_kind(&self) {
        for method in self.house.objects("payment_methods", &self.home.account) {
            let bank = method["type"] == "us_bank_account";
            let like = if bank { "pm_usBankAccount_success" } else { "pm_card_visa" };
            let _ = self.house.board.behave(method["id"].as_str().unwrap_or_default(), like, None);
        }
    }

    async fn pass(&mut self, hours: i64) -> Result<(), String> {
        self.house.advance(TimeDelta::hours(hours)).await;
        self.house.settle().await
    }

    /// A person repeats what was left to them while the account was closed.
    async fn person_retries(&self) {
        let keys: Vec<String> = sqlx::query_scalar(
            "select key from engine.outbox where organization_id = $1 and state = 'unresolved'
                 and last_error not like '%answer was lost%'",
        )
        .bind(self.home.organization.0)
        .fetch_all(self.house.pool())
        .await
        .expect("keys");
        for key in keys {
            outbox::retry(self.house.pool(), &key).await.expect("an answer");
        }
    }

    async fn reactivate(&mut self) -> Result<(), String> {
        let who = json!({ "property_id": self.home.property, "resident_id": self.home.resident });
        let present = if self.book.enrollment.new_method {
            None
        } else {
            self.reside("ReactivateAutopay", who.clone()).await.ok()
        };
        if present.is_none() {
            let mut fields = who;
            let setup = self.chance.id();
            fields["setup_id"] = json!(setup);
            self.reside("ReactivateAutopay", fields)
                .await
                .map_err(|fault| format!("cannot be reactivated: {fault}"))?;
            self.house.settle().await?;
            self.complete_well(setup).await;
        }
        self.house.settle().await?;
        self.read().await;
        let standing = self.book.enrollment.standing;
        if standing == Standing::Active {
            Ok(())
        } else {
            Err(format!("autopay is {standing:?} after it was reactivated"))
        }
    }

    /// Leaves nothing behind that would be done while the next live here.
    pub async fn move_out(&self) {
        sqlx::query("delete from engine.outbox where organization_id = $1")
            .bind(self.home.organization.0)
            .execute(self.house.pool())
            .await
            .expect("an empty outbox");
        self.house.arrived().await;
        let _ = self.house.inbox.take();
        self.house.board.clear_journal();
    }
}
