//! Signing in by e-mail: a link, good once and briefly, and the session that it opens.

use chrono::{DateTime, TimeDelta, Utc};
use events::{OrganizationId, ResidentId, Role, SignInEvent, SignInId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision, Facts, Need, Scope, payment::PROCESS};

/// How long a link is good.
pub const LINK_HOLDS: TimeDelta = TimeDelta::minutes(30);
/// How long a session lasts.
pub const SESSION_LASTS: TimeDelta = TimeDelta::days(14);

/// Prepares a sign-in link for a resident.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSignInLink {
    pub sign_in_id: SignInId,
    pub resident_id: ResidentId,
}

/// Opens the session of a link whose secret the edge has verified.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    pub sign_in_id: SignInId,
}

/// Signs a resident out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseSession {
    pub sign_in_id: SignInId,
}

refusals! {
    pub enum SignInRefusal {
        NotFound = Missing, "there is no such session";
        NotActive = Conflict, "the resident cannot sign in";
        LinkUsed = Conflict, "the link was used already; ask for a new one";
        LinkExpired = Conflict, "the link has expired; ask for a new one";
    }
}

/// A link and its session as decisions need them.
#[derive(Debug, Default)]
pub struct SignIn {
    link: Option<(ResidentId, DateTime<Utc>)>,
    /// Until when the session lasts, once it was opened.
    opened: Option<DateTime<Utc>>,
    closed: bool,
}

impl SignIn {
    /// When the session was opened, if it is this resident's and lasts.
    pub fn opened_by(&self, resident: ResidentId, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let expires_at = self.opened.filter(|expires_at| !self.closed && now < *expires_at)?;
        self.link.filter(|(owner, _)| *owner == resident).map(|_| expires_at - SESSION_LASTS)
    }
}

impl Aggregate for SignIn {
    type Event = SignInEvent;
    type Refusal = SignInRefusal;

    fn evolve(&mut self, event: &SignInEvent) {
        match event {
            SignInEvent::SignInLinkRequested { resident_id, expires_at } => {
                self.link = Some((*resident_id, *expires_at));
            }
            SignInEvent::SessionOpened { expires_at, .. } => self.opened = Some(*expires_at),
            SignInEvent::SessionClosed {} => self.closed = true,
        }
    }

    fn scope(&self) -> Scope {
        Scope { properties: Vec::new(), resident: self.link.map(|(resident, _)| resident) }
    }
}

impl Command for RequestSignInLink {
    type Aggregate = SignIn;
    const NAME: &'static str = "RequestSignInLink";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.sign_in_id.0
    }

    fn needs(&self, _: &SignIn, _: &Facts) -> Vec<Need> {
        vec![Need::Resident(self.resident_id)]
    }

    fn decide(self, state: &SignIn, context: &Context) -> Decision<SignIn> {
        if state.link.is_some() {
            return Ok(vec![]);
        }
        if !context.facts.resident.as_ref().is_some_and(crate::Resident::is_active) {
            return Err(SignInRefusal::NotActive);
        }
        let expires_at = context.now + LINK_HOLDS;
        Ok(vec![SignInEvent::SignInLinkRequested { resident_id: self.resident_id, expires_at }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for OpenSession {
    type Aggregate = SignIn;
    const NAME: &'static str = "OpenSession";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.sign_in_id.0
    }

    fn needs(&self, state: &SignIn, _: &Facts) -> Vec<Need> {
        state.link.iter().map(|(resident, _)| Need::Resident(*resident)).collect()
    }

    fn decide(self, state: &SignIn, context: &Context) -> Decision<SignIn> {
        let (resident_id, expires_at) = state.link.ok_or(SignInRefusal::NotFound)?;
        if state.opened.is_some() || state.closed {
            return Err(SignInRefusal::LinkUsed);
        }
        if context.now >= expires_at {
            return Err(SignInRefusal::LinkExpired);
        }
        if !context.facts.resident.as_ref().is_some_and(crate::Resident::is_active) {
            return Err(SignInRefusal::NotActive);
        }
        let expires_at = context.now + SESSION_LASTS;
        Ok(vec![SignInEvent::SessionOpened { resident_id, expires_at }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for CloseSession {
    type Aggregate = SignIn;
    const NAME: &'static str = "CloseSession";
    const ROLES: &'static [Role] = &[Role::Resident, Role::OrganizationManager];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.sign_in_id.0
    }

    fn decide(self, state: &SignIn, _: &Context) -> Decision<SignIn> {
        if state.link.is_none() {
            return Err(SignInRefusal::NotFound);
        }
        Ok(if state.closed { vec![] } else { vec![SignInEvent::SessionClosed {}] })
    }

    fn example() -> Value {
        json!({ "sign_in_id": "01935c2e-0000-7000-8000-000000000901" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        fixtures::{RESIDENT, community, instant, resident, with},
        given, state,
    };

    const LINK: SignInId = SignInId(Uuid::from_u128(0xa0));

    fn request() -> RequestSignInLink {
        RequestSignInLink { sign_in_id: LINK, resident_id: RESIDENT }
    }

    fn open() -> OpenSession {
        OpenSession { sign_in_id: LINK }
    }

    fn close() -> CloseSession {
        CloseSession { sign_in_id: LINK }
    }

    fn requested() -> SignInEvent {
        SignInEvent::SignInLinkRequested { resident_id: RESIDENT, expires_at: instant("2026-03-01T12:30:00Z") }
    }

    fn opened() -> SignInEvent {
        SignInEvent::SessionOpened { resident_id: RESIDENT, expires_at: instant("2026-03-15T12:00:00Z") }
    }

    fn erased() -> Facts {
        let erased = events::ResidentEvent::ResidentErased { purposes: vec![], retained: vec![] };
        Facts { resident: Some(state(with(resident(), [erased]))), ..community() }
    }

    #[test]
    fn a_link_is_for_somebody_who_is_written_to() {
        given([]).facts(community()).accepts(request(), [requested()]);
        given([]).facts(erased()).refuses(request(), SignInRefusal::NotActive);
        given([]).refuses(request(), SignInRefusal::NotActive);
        let scope = state::<SignIn>([requested()]).scope();
        assert_eq!((scope.properties, scope.resident), (vec![], Some(RESIDENT)));
        assert_eq!(open().needs(&state([requested()]), &Facts::default()), [Need::Resident(RESIDENT)]);
    }

    #[test]
    fn a_link_opens_one_session() {
        given([requested()]).facts(community()).when(open()).then([opened()]);
        given([requested(), opened()]).facts(community()).refuses(open(), SignInRefusal::LinkUsed);
        let closed = [requested(), SignInEvent::SessionClosed {}];
        given(closed).facts(community()).refuses(open(), SignInRefusal::LinkUsed);
        given([]).facts(community()).refuses(open(), SignInRefusal::NotFound);
        given([requested()]).facts(erased()).refuses(open(), SignInRefusal::NotActive);
    }

    #[test]
    fn a_link_is_good_for_thirty_minutes() {
        let at = |text| given([requested()]).facts(community()).at(instant(text));
        at("2026-03-01T12:30:00Z").refuses(open(), SignInRefusal::LinkExpired);
        let expires_at = instant("2026-03-15T12:29:59Z");
        at("2026-03-01T12:29:59Z")
            .when(open())
            .then([SignInEvent::SessionOpened { resident_id: RESIDENT, expires_at }]);
    }

    #[test]
    fn a_session_is_closed_once() {
        given([requested(), opened()]).accepts(close(), [SignInEvent::SessionClosed {}]);
        given([]).refuses(close(), SignInRefusal::NotFound);
    }
}
