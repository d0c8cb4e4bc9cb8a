//! A connected Stripe account and what Stripe lets it do.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use events::{
    Money, OrganizationId, Role, StripeAccountEvent, StripeAccountId,
    stripe_account::{Difference, PayoutStatus, StripeAccountStatus},
    text::{Line, Name},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision, payment::PROCESS};

const OWNERS: &[Role] = &[Role::OrganizationManager];

/// Asks Stripe for a connected account; its onboarding link follows.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectStripeAccount {
    pub stripe_account_id: StripeAccountId,
    pub name: Name,
    /// ISO 3166-1 alpha-2, of the owner.
    pub country: Line<2>,
}

/// Takes a disconnected account into use again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconnectStripeAccount {
    pub stripe_account_id: StripeAccountId,
}

/// Stops using an account. Payments in flight end as Stripe decides.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisconnectStripeAccount {
    pub stripe_account_id: StripeAccountId,
}

/// Records what Stripe says of the account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordStripeAccount {
    pub stripe_account_id: StripeAccountId,
    pub report: AccountReport,
}

/// What is known of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccountReport {
    Seen { account: String, status: StripeAccountStatus },
    Refused { code: String },
    Deauthorized { account: String },
}

/// Records what Stripe says of a payout to the bank.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordPayout {
    pub stripe_account_id: StripeAccountId,
    /// Stripe's `po_…`.
    pub payout: String,
    pub amount: Money,
    pub status: PayoutStatus,
    #[serde(deserialize_with = "crate::day::day")]
    pub arrives_on: NaiveDate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Records what came of comparing the books with Stripe's.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordReconciliation {
    pub stripe_account_id: StripeAccountId,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub compared: u32,
    pub differences: Vec<Difference>,
}

refusals! {
    pub enum StripeAccountRefusal {
        NotFound = Missing, "there is no such Stripe account";
        ConnectedOtherwise = Conflict, "a Stripe account with this id exists with other details";
        BadCountry = Invalid, "the country is two capital letters, like US";
        OtherAccount = Conflict, "the report is about another account";
        BadPeriod = Invalid, "the period ends after it began";
    }
}

/// An account as decisions need it.
#[derive(Debug, Default)]
pub struct StripeAccount {
    name: Option<Name>,
    country: Option<String>,
    external: Option<String>,
    status: Option<StripeAccountStatus>,
    disconnected: bool,
    /// Why Stripe would not open it.
    refused: Option<String>,
    payouts: BTreeMap<String, PayoutStatus>,
    /// The latest of the comparisons, by the end of their period.
    reconciled: Option<Reconciled>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Reconciled {
    until: DateTime<Utc>,
    differences: Vec<Difference>,
}

impl StripeAccount {
    pub const fn exists(&self) -> bool {
        self.name.is_some()
    }

    pub const fn is_disconnected(&self) -> bool {
        self.disconnected
    }

    pub fn takes_payments(&self) -> bool {
        !self.disconnected && self.status == Some(StripeAccountStatus::Active)
    }

    /// Stripe's `acct_…`, while connected.
    pub fn external(&self) -> Option<&str> {
        self.external.as_deref().filter(|_| !self.disconnected)
    }

    /// Stripe's `acct_…`, even after a disconnect: money already moved there.
    pub fn last_external(&self) -> Option<&str> {
        self.external.as_deref()
    }

    /// Where a payout stood when Stripe was last heard of it.
    pub fn payout(&self, payout: &str) -> Option<PayoutStatus> {
        self.payouts.get(payout).copied()
    }

    /// Until when the books were compared with Stripe's.
    pub fn reconciled_until(&self) -> Option<DateTime<Utc>> {
        self.reconciled.as_ref().map(|reconciled| reconciled.until)
    }
}

impl Aggregate for StripeAccount {
    type Event = StripeAccountEvent;
    type Refusal = StripeAccountRefusal;

    fn evolve(&mut self, event: &StripeAccountEvent) {
        match event.clone() {
            StripeAccountEvent::StripeConnectionRequested { name, country } => {
                self.name = Some(name);
                self.country = Some(country);
            }
            StripeAccountEvent::StripeAccountCreated { account } => self.external = Some(account),
            StripeAccountEvent::StripeConnectionFailed { code } => self.refused = Some(code),
            StripeAccountEvent::StripeAccountStatusChanged { status } => self.status = Some(status),
            StripeAccountEvent::StripeAccountDisconnected { .. } => self.disconnected = true,
            StripeAccountEvent::PayoutRecorded { payout, status, .. } => {
                self.payouts.insert(payout, status);
            }
            StripeAccountEvent::AccountReconciled { until, differences, .. } => {
                if self.reconciled_until().is_none_or(|known| until >= known) {
                    self.reconciled = Some(Reconciled { until, differences });
                }
            }
            StripeAccountEvent::StripeReconnectionRequested {} => {
                self.disconnected = false;
                // What Stripe said before may not hold any more: it takes payments again when Stripe says so again.
                self.status = None;
            }
        }
    }
}

impl Command for ConnectStripeAccount {
    type Aggregate = StripeAccount;
    const NAME: &'static str = "ConnectStripeAccount";
    const ROLES: &'static [Role] = OWNERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.stripe_account_id.0
    }

    fn decide(self, state: &StripeAccount, _: &Context) -> Decision<StripeAccount> {
        let country = self.country.as_str();
        if country.len() != 2 || !country.chars().all(|c| c.is_ascii_uppercase()) {
            return Err(StripeAccountRefusal::BadCountry);
        }
        match &state.name {
            None => {
                Ok(vec![StripeAccountEvent::StripeConnectionRequested { name: self.name, country: country.to_owned() }])
            }
            Some(name) if *name == self.name && state.country.as_deref() == Some(country) => Ok(vec![]),
            Some(_) => Err(StripeAccountRefusal::ConnectedOtherwise),
        }
    }

    fn example() -> Value {
        json!({
            "stripe_account_id": "01935c2e-0000-7000-8000-0000000000aa",
            "name": "Maple Court Association",
            "country": "CA"
        })
    }
}

impl Command for ReconnectStripeAccount {
    type Aggregate = StripeAccount;
    const NAME: &'static str = "ReconnectStripeAccount";
    const ROLES: &'static [Role] = OWNERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.stripe_account_id.0
    }

    fn decide(self, state: &StripeAccount, _: &Context) -> Decision<StripeAccount> {
        if !state.exists() {
            return Err(StripeAccountRefusal::NotFound);
        }
        Ok(if state.disconnected { vec![StripeAccountEvent::StripeReconnectionRequested {}] } else { vec![] })
    }

    fn example() -> Value {
        json!({ "stripe_account_id": "01935c2e-0000-7000-8000-0000000000aa" })
    }
}

impl Command for DisconnectStripeAccount {
    type Aggregate = StripeAccount;
    const NAME: &'static str = "DisconnectStripeAccount";
    const ROLES: &'static [Role] = OWNERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.stripe_account_id.0
    }

    fn decide(self, state: &StripeAccount, _: &Context) -> Decision<StripeAccount> {
        if !state.exists() {
            return Err(StripeAccountRefusal::NotFound);
        }
        Ok(if state.disconnected {
            vec![]
        } else {
            vec![StripeAccountEvent::StripeAccountDisconnected { at_provider: false }]
        })
    }

    fn example() -> Value {
        json!({ "stripe_account_id": "01935c2e-0000-7000-8000-0000000000aa" })
    }
}

impl Command for RecordStripeAccount {
    type Aggregate = StripeAccount;
    const NAME: &'static str = "RecordStripeAccount";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.stripe_account_id.0
    }

    fn decide(self, state: &StripeAccount, _: &Context) -> Decision<StripeAccount> {
        if !state.exists() {
            return Err(StripeAccountRefusal::NotFound);
        }
        let other = |account: &str| state.external.as_deref().is_some_and(|known| known != account);
        let mut events = Vec::new();
        match self.report {
            AccountReport::Seen { account, status } => {
                if other(&account) {
                    return Err(StripeAccountRefusal::OtherAccount);
                }
                if state.external.is_none() {
                    events.push(StripeAccountEvent::StripeAccountCreated { account });
                }
                if state.status != Some(status) {
                    events.push(StripeAccountEvent::StripeAccountStatusChanged { status });
                }
            }
            AccountReport::Refused { code } => {
                if state.external.is_none() && state.refused.as_deref() != Some(code.as_str()) {
                    events.push(StripeAccountEvent::StripeConnectionFailed { code });
                }
            }
            AccountReport::Deauthorized { account } => {
                if other(&account) {
                    return Err(StripeAccountRefusal::OtherAccount);
                }
                if !state.disconnected {
                    events.push(StripeAccountEvent::StripeAccountDisconnected { at_provider: true });
                }
            }
        }
        Ok(events)
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for RecordPayout {
    type Aggregate = StripeAccount;
    const NAME: &'static str = "RecordPayout";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.stripe_account_id.0
    }

    /// Monotone: a payout that was paid can still fail, and is never pending again.
    fn decide(self, state: &StripeAccount, _: &Context) -> Decision<StripeAccount> {
        if !state.exists() {
            return Err(StripeAccountRefusal::NotFound);
        }
        if state.payout(&self.payout).is_some_and(|known| known >= self.status) {
            return Ok(vec![]);
        }
        let Self { payout, amount, status, arrives_on, failure, .. } = self;
        Ok(vec![StripeAccountEvent::PayoutRecorded { payout, amount, status, arrives_on, failure }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for RecordReconciliation {
    type Aggregate = StripeAccount;
    const NAME: &'static str = "RecordReconciliation";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.stripe_account_id.0
    }

    /// A period that was compared already is news only when it shows other differences than before.
    fn decide(self, state: &StripeAccount, _: &Context) -> Decision<StripeAccount> {
        if !state.exists() {
            return Err(StripeAccountRefusal::NotFound);
        }
        let Self { from, until, compared, differences, .. } = self;
        if from >= until {
            return Err(StripeAccountRefusal::BadPeriod);
        }
        let known = state
            .reconciled
            .as_ref()
            .is_some_and(|known| until < known.until || (until == known.until && differences == known.differences));
        Ok(if known {
            vec![]
        } else {
            vec![StripeAccountEvent::AccountReconciled { from, until, compared, differences }]
        })
    }

    fn example() -> Value {
        Value::Null
    }
}

#[cfg(test)]
mod tests;
