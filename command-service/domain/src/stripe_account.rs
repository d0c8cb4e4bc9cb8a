//! A connected Stripe account and what Stripe lets it do.

use events::{
    OrganizationId, Role, StripeAccountEvent, StripeAccountId,
    stripe_account::StripeAccountStatus,
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

refusals! {
    pub enum StripeAccountRefusal {
        NotFound = Missing, "there is no such Stripe account";
        ConnectedOtherwise = Conflict, "a Stripe account with this id exists with other details";
        BadCountry = Invalid, "the country is two capital letters, like US";
        OtherAccount = Conflict, "the report is about another account";
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        fixtures::{ACCOUNT, account, with},
        from, given, state,
    };

    fn connect() -> ConnectStripeAccount {
        ConnectStripeAccount { stripe_account_id: ACCOUNT, name: from("Maple Court"), country: from("US") }
    }

    fn requested() -> StripeAccountEvent {
        StripeAccountEvent::StripeConnectionRequested { name: from("Maple Court"), country: "US".into() }
    }

    fn record(report: AccountReport) -> RecordStripeAccount {
        RecordStripeAccount { stripe_account_id: ACCOUNT, report }
    }

    fn seen(account: &str, status: StripeAccountStatus) -> RecordStripeAccount {
        record(AccountReport::Seen { account: account.into(), status })
    }

    fn disconnected(at_provider: bool) -> StripeAccountEvent {
        StripeAccountEvent::StripeAccountDisconnected { at_provider }
    }

    #[test]
    fn an_account_is_connected_once() {
        given([]).accepts(connect(), [requested()]);
        for other in [
            ConnectStripeAccount { name: from("Pine Court"), ..connect() },
            ConnectStripeAccount { country: from("CA"), ..connect() },
        ] {
            given([requested()]).refuses(other, StripeAccountRefusal::ConnectedOtherwise);
        }
        for bad in ["us", "U", "1A"] {
            let command = ConnectStripeAccount { country: from(bad), ..connect() };
            given([]).refuses(command, StripeAccountRefusal::BadCountry);
        }
    }

    #[test]
    fn stripes_word_is_recorded_when_it_is_news() {
        let status = StripeAccountStatus::OnboardingStarted;
        given([requested()]).accepts(
            seen("acct_1", status),
            [
                StripeAccountEvent::StripeAccountCreated { account: "acct_1".into() },
                StripeAccountEvent::StripeAccountStatusChanged { status },
            ],
        );
        given(account()).ignores(seen("acct_1", StripeAccountStatus::Active));
        let status = StripeAccountStatus::Restricted;
        given(account()).accepts(seen("acct_1", status), [StripeAccountEvent::StripeAccountStatusChanged { status }]);
        given(account()).refuses(seen("acct_2", status), StripeAccountRefusal::OtherAccount);
        given([]).refuses(seen("acct_1", status), StripeAccountRefusal::NotFound);
    }

    #[test]
    fn a_refusal_by_stripe_is_told_once_and_not_of_an_open_account() {
        let refused = |code: &str| record(AccountReport::Refused { code: code.into() });
        let failed = StripeAccountEvent::StripeConnectionFailed { code: "country_unsupported".into() };
        given([requested()]).accepts(refused("country_unsupported"), [failed]);
        given(account()).ignores(refused("country_unsupported"));
    }

    #[test]
    fn an_account_is_given_up_by_either_side_once() {
        let disconnect = DisconnectStripeAccount { stripe_account_id: ACCOUNT };
        given(account()).accepts(disconnect.clone(), [disconnected(false)]);
        given([]).refuses(disconnect, StripeAccountRefusal::NotFound);
        let deauthorized = |account: &str| record(AccountReport::Deauthorized { account: account.into() });
        given(account()).accepts(deauthorized("acct_1"), [disconnected(true)]);
        given(with(account(), [disconnected(false)])).ignores(deauthorized("acct_1"));
        given(account()).refuses(deauthorized("acct_2"), StripeAccountRefusal::OtherAccount);
        let gone = state::<StripeAccount>(with(account(), [disconnected(true)]));
        assert!(gone.exists() && gone.is_disconnected() && !gone.takes_payments());
        assert_eq!((gone.external(), gone.last_external()), (None, Some("acct_1")));
    }

    #[test]
    fn a_reconnected_account_takes_payments_when_stripe_says_so_again() {
        let reconnect = ReconnectStripeAccount { stripe_account_id: ACCOUNT };
        let reconnected = StripeAccountEvent::StripeReconnectionRequested {};
        let gone = with(account(), [disconnected(true)]);
        given(gone.clone()).accepts(reconnect.clone(), [reconnected.clone()]);
        given(account()).ignores(reconnect.clone());
        given([]).refuses(reconnect, StripeAccountRefusal::NotFound);
        let back = with(gone, [reconnected]);
        let waiting = state::<StripeAccount>(back.clone());
        assert!(!waiting.takes_payments());
        assert_eq!(waiting.external(), Some("acct_1"));
        let status = StripeAccountStatus::Active;
        let active = StripeAccountEvent::StripeAccountStatusChanged { status };
        given(back.clone()).accepts(seen("acct_1", status), [active.clone()]);
        assert!(state::<StripeAccount>(with(back, [active])).takes_payments());
    }
}
