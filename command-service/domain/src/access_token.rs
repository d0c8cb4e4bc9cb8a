//! A bearer token: issued with a role and a scope, and revoked.

use chrono::{DateTime, TimeDelta, Utc};
use events::{AccessTokenEvent, OrganizationId, PropertyId, Role, TokenId, text::Name, webhook::TypeName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision, Facts, Need};

/// The longest that a token may live.
const LONGEST: TimeDelta = TimeDelta::days(400);
/// More names of types than there are types.
const TYPES: usize = 100;

/// Records a token that the edge made and shows once; only its hash arrives here.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueAccessToken {
    pub token_id: TokenId,
    pub hash: String,
    pub label: Name,
    pub role: Role,
    pub property_id: Option<PropertyId>,
    /// The types of events that it reads; empty: all of them.
    #[serde(default)]
    pub types: Vec<TypeName>,
    #[serde(deserialize_with = "crate::day::instant")]
    pub expires_at: DateTime<Utc>,
}

/// Ends a token's validity.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeAccessToken {
    pub token_id: TokenId,
}

refusals! {
    pub enum AccessRefusal {
        NotFound = Missing, "there is no such token";
        IdTaken = Conflict, "a token with this id exists; use a new one";
        NotForPeople = Invalid, "tokens carry OrganizationManager, PropertyAdmin, PropertyManager, ComplianceAuditor or Integrator";
        PropertyNeeded = Invalid, "a token of a property's role names the property";
        PropertyNotAllowed = Invalid, "an organization manager's token is for the whole organization";
        TypesNotAllowed = Invalid, "only an integrator's token is for some types of events";
        TooManyTypes = Invalid, "name at most 100 types; a family such as invoice.* is one";
        NoSuchProperty = Invalid, "there is no such property";
        ExpiryOutOfRange = Invalid, "a token expires in the future, within 400 days";
    }
}

/// Issued, revoked, or neither.
#[derive(Debug, Default)]
pub struct AccessToken {
    hash: Option<String>,
    revoked: bool,
}

impl Aggregate for AccessToken {
    type Event = AccessTokenEvent;
    type Refusal = AccessRefusal;

    fn evolve(&mut self, event: &AccessTokenEvent) {
        match event {
            AccessTokenEvent::AccessTokenIssued { hash, .. } => self.hash = Some(hash.clone()),
            AccessTokenEvent::AccessTokenRevoked {} => self.revoked = true,
        }
    }
}

impl Command for IssueAccessToken {
    type Aggregate = AccessToken;
    const NAME: &'static str = "IssueAccessToken";
    // The secret is made at the edge, so people cannot ask for this by name; see `Registry`.
    const ROLES: &'static [Role] = &[Role::Operator];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.token_id.0
    }

    fn needs(&self, _: &AccessToken, _: &Facts) -> Vec<Need> {
        self.property_id.map(Need::Property).into_iter().collect()
    }

    fn decide(self, state: &AccessToken, context: &Context) -> Decision<AccessToken> {
        match &state.hash {
            Some(hash) if *hash == self.hash => return Ok(vec![]),
            Some(_) => return Err(AccessRefusal::IdTaken),
            None => {}
        }
        match (self.role, self.property_id) {
            (Role::Resident | Role::Operator | Role::Process | Role::Provider, _) => {
                return Err(AccessRefusal::NotForPeople);
            }
            (Role::PropertyAdmin | Role::PropertyManager, None) => return Err(AccessRefusal::PropertyNeeded),
            (Role::OrganizationManager, Some(_)) => return Err(AccessRefusal::PropertyNotAllowed),
            (Role::OrganizationManager | Role::ComplianceAuditor | Role::Integrator, _)
            | (Role::PropertyAdmin | Role::PropertyManager, Some(_)) => {}
        }
        if !self.types.is_empty() && self.role != Role::Integrator {
            // The others see more than events, and from that what happened.
            return Err(AccessRefusal::TypesNotAllowed);
        }
        if self.types.len() > TYPES {
            return Err(AccessRefusal::TooManyTypes);
        }
        let known = context.facts.property.as_ref().is_some_and(|property| property.details.is_some());
        if self.property_id.is_some() && !known {
            return Err(AccessRefusal::NoSuchProperty);
        }
        if self.expires_at <= context.now || self.expires_at > context.now + LONGEST {
            return Err(AccessRefusal::ExpiryOutOfRange);
        }
        Ok(vec![AccessTokenEvent::AccessTokenIssued {
            hash: self.hash,
            label: self.label,
            role: self.role,
            property_id: self.property_id,
            types: self.types,
            expires_at: self.expires_at,
        }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for RevokeAccessToken {
    type Aggregate = AccessToken;
    const NAME: &'static str = "RevokeAccessToken";
    const ROLES: &'static [Role] = &[Role::OrganizationManager, Role::Operator];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.token_id.0
    }

    fn decide(self, state: &AccessToken, _: &Context) -> Decision<AccessToken> {
        if state.hash.is_none() {
            return Err(AccessRefusal::NotFound);
        }
        Ok(if state.revoked { vec![] } else { vec![AccessTokenEvent::AccessTokenRevoked {}] })
    }

    fn example() -> Value {
        json!({ "token_id": "01935c2e-0000-7000-8000-000000000801" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        fixtures::{PROPERTY, community, instant},
        from, given,
    };

    const TOKEN: TokenId = TokenId(Uuid::from_u128(0xb0));

    fn issue(role: Role, property_id: Option<PropertyId>) -> IssueAccessToken {
        IssueAccessToken {
            token_id: TOKEN,
            hash: "hash".into(),
            label: from("front desk"),
            role,
            property_id,
            types: vec![],
            expires_at: instant("2026-06-01T00:00:00Z"),
        }
    }

    fn issued(role: Role, property_id: Option<PropertyId>) -> AccessTokenEvent {
        AccessTokenEvent::AccessTokenIssued {
            hash: "hash".into(),
            label: from("front desk"),
            role,
            property_id,
            types: vec![],
            expires_at: instant("2026-06-01T00:00:00Z"),
        }
    }

    #[test]
    fn a_token_is_issued_to_people_with_the_scope_of_their_role() {
        for (role, property) in [
            (Role::OrganizationManager, None),
            (Role::PropertyAdmin, Some(PROPERTY)),
            (Role::PropertyManager, Some(PROPERTY)),
            (Role::ComplianceAuditor, None),
            (Role::ComplianceAuditor, Some(PROPERTY)),
            (Role::Integrator, None),
        ] {
            given([]).facts(community()).accepts(issue(role, property), [issued(role, property)]);
        }
    }

    #[test]
    fn no_token_goes_beyond_its_role() {
        for role in [Role::Resident, Role::Operator, Role::Process, Role::Provider] {
            given([]).facts(community()).refuses(issue(role, None), AccessRefusal::NotForPeople);
        }
        for role in [Role::PropertyAdmin, Role::PropertyManager] {
            given([]).facts(community()).refuses(issue(role, None), AccessRefusal::PropertyNeeded);
        }
        let everywhere = issue(Role::OrganizationManager, Some(PROPERTY));
        given([]).facts(community()).refuses(everywhere, AccessRefusal::PropertyNotAllowed);
        given([]).refuses(issue(Role::PropertyAdmin, Some(PROPERTY)), AccessRefusal::NoSuchProperty);
    }

    #[test]
    fn only_an_integrators_token_is_for_some_types() {
        let some = |role, property| IssueAccessToken { types: vec![from("invoice.*")], ..issue(role, property) };
        let AccessTokenEvent::AccessTokenIssued { hash, label, role, property_id, expires_at, .. } =
            issued(Role::Integrator, None)
        else {
            unreachable!("that is what it is")
        };
        let types = vec![from("invoice.*")];
        given([]).accepts(
            some(Role::Integrator, None),
            [AccessTokenEvent::AccessTokenIssued { hash, label, role, property_id, types, expires_at }],
        );
        for (role, property) in [
            (Role::OrganizationManager, None),
            (Role::PropertyManager, Some(PROPERTY)),
            (Role::ComplianceAuditor, None),
        ] {
            given([]).facts(community()).refuses(some(role, property), AccessRefusal::TypesNotAllowed);
        }
        let many = IssueAccessToken { types: vec![from("invoice.*"); 101], ..issue(Role::Integrator, None) };
        given([]).refuses(many, AccessRefusal::TooManyTypes);
    }

    #[test]
    fn a_token_expires_within_400_days() {
        for expires_at in ["2026-03-01T12:00:00Z", "2027-04-05T12:00:01Z"] {
            let command = IssueAccessToken { expires_at: instant(expires_at), ..issue(Role::Integrator, None) };
            given([]).refuses(command, AccessRefusal::ExpiryOutOfRange);
        }
    }

    #[test]
    fn a_token_is_another_when_its_secret_is() {
        let other = IssueAccessToken { hash: "other".into(), ..issue(Role::Integrator, None) };
        given([issued(Role::Integrator, None)]).refuses(other, AccessRefusal::IdTaken);
    }

    #[test]
    fn a_token_is_revoked_once() {
        let revoke = RevokeAccessToken { token_id: TOKEN };
        given([issued(Role::Integrator, None)]).accepts(revoke.clone(), [AccessTokenEvent::AccessTokenRevoked {}]);
        given([]).refuses(revoke, AccessRefusal::NotFound);
    }
}
