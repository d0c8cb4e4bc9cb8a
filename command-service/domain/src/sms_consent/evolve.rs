//! What consent amounts to after its events.

use chrono::{DateTime, TimeDelta, Utc};
use events::sms_consent::Reading;

use super::{
    Aggregate, Authority, Grant, Inbound, InvalidationCause, Known, OptInRefusal, Pending, Scope, Shown, SmsConsent,
    SmsConsentEvent, SmsConsentRefusal, Standing,
};

/// Disclosures of the last sessions are enough: an older one is not agreed to any more.
const SHOWN_KEPT: usize = 20;

impl Aggregate for SmsConsent {
    type Event = SmsConsentEvent;
    type Refusal = SmsConsentRefusal;

    fn evolve(&mut self, event: &SmsConsentEvent) {
        self.version += 1;
        let version = self.version;
        self.last_evidence = self.last_evidence.max(evidence_at(event));
        match event.clone() {
            SmsConsentEvent::DisclosureShown { resident_id, disclosure, evidence } => {
                self.resident = Some(resident_id);
                let session = evidence.session.map(|session| session.session_id);
                self.shown.push(Shown { disclosure, session, at: evidence.at });
                let surplus = self.shown.len().saturating_sub(SHOWN_KEPT);
                self.shown.drain(..surplus);
            }
            SmsConsentEvent::ConsentRequested {
                resident_id,
                number,
                number_key,
                disclosure,
                checkbox,
                scope,
                source: _,
                phone_revision,
                evidence,
            } => {
                self.resident = Some(resident_id);
                self.zone = Some(evidence.zone);
                self.language = evidence.locale;
                self.pending = Some(Pending {
                    number,
                    key: number_key,
                    disclosure,
                    checkbox,
                    scope,
                    phone_revision,
                    challenge: 0,
                    expires_at: evidence.at,
                    issued_at: evidence.at,
                    attempts: 0,
                });
            }
            SmsConsentEvent::CodeIssued { challenge, expires_at, .. } => {
                let issued_at = expires_at - super::CODE_HOLDS;
                self.challenges = challenge;
                self.issued.retain(|issued| issued_at - *issued < TimeDelta::days(1));
                self.issued.push(issued_at);
                if let Some(pending) = &mut self.pending {
                    pending.challenge = challenge;
                    pending.expires_at = expires_at;
                    pending.issued_at = issued_at;
                    pending.attempts = 0;
                }
            }
            SmsConsentEvent::CodeRejected { .. } => {
                if let Some(pending) = &mut self.pending {
                    pending.attempts += 1;
                }
            }
            SmsConsentEvent::ConsentGranted {
                number,
                number_key,
                disclosure,
                checkbox,
                scope,
                phone_revision,
                evidence,
                ..
            } => {
                self.pending = None;
                self.zone = Some(evidence.zone);
                let grant = Grant { version, granted_by: version, disclosure, checkbox, scope, phone_revision };
                self.confirmed.insert(number_key);
                self.numbers.insert(number_key, Known { number, standing: Standing::Granted(grant) });
            }
            SmsConsentEvent::ConsentRevoked { number, number_key, source, .. } => {
                self.drop_pending(number_key);
                let before = match self.numbers.remove(&number_key).map(|known| known.standing) {
                    Some(Standing::Granted(grant)) => Some(grant),
                    Some(Standing::Revoked { before, .. }) => before,
                    Some(Standing::Invalidated { .. }) | None => None,
                };
                let before = before.filter(|_| source == super::ConsentSource::SmsKeyword);
                self.numbers.insert(number_key, Known { number, standing: Standing::Revoked { version, before } });
            }
            SmsConsentEvent::ConsentRestored { number_key, granted_by, .. } => {
                if let Some(known) = self.numbers.get_mut(&number_key)
                    && let Standing::Revoked { before: Some(grant), .. } = &known.standing
                {
                    known.standing = Standing::Granted(Grant { version, granted_by, ..grant.clone() });
                }
            }
            SmsConsentEvent::ConsentInvalidated { number, number_key, cause, .. } => {
                self.drop_pending(number_key);
                if matches!(cause, InvalidationCause::Reassigned { .. } | InvalidationCause::Erased {}) {
                    self.confirmed.remove(&number_key);
                }
                self.numbers.insert(number_key, Known { number, standing: Standing::Invalidated { version } });
            }
            SmsConsentEvent::InboundReceived {
                inbound_id, number, number_key, reading, reply, received_at, ..
            } => {
                let inbound = Inbound { number, key: number_key, reading, reply, received_at, answered_by: None };
                self.inbound.insert(inbound_id, inbound);
            }
            SmsConsentEvent::SendsPaused { inbound_id } => {
                self.held.insert(inbound_id);
            }
            SmsConsentEvent::HeldTextDecided { inbound_id, .. } => {
                self.held.remove(&inbound_id);
            }
            SmsConsentEvent::TextAuthorized { text_id, class, number_key, consent, inbound_id, expires_at } => {
                let given_at = expires_at - super::AUTHORITY_HOLDS;
                self.authorized.retain(|_, authority| authority.expires_at > given_at);
                if let Some(inbound) = inbound_id.and_then(|id| self.inbound.get_mut(&id)) {
                    inbound.answered_by.get_or_insert(text_id);
                }
                let number = self.number_of(number_key);
                let authority = Authority { version, class, number_key, number, consent, expires_at };
                self.authorized.insert(text_id, authority);
            }
            SmsConsentEvent::OptInRefused { number_key, why, .. } => {
                if why == OptInRefusal::ClaimedByImport {
                    self.claimed.insert(number_key);
                }
            }
        }
    }

    fn scope(&self) -> Scope {
        Scope { properties: Vec::new(), resident: self.resident }
    }

    fn verdict(event: &SmsConsentEvent) -> Option<SmsConsentRefusal> {
        match event {
            SmsConsentEvent::CodeRejected { attempts_left: 0, .. } => Some(SmsConsentRefusal::NoAttemptsLeft),
            SmsConsentEvent::CodeRejected { attempts_left, .. } => {
                Some(SmsConsentRefusal::WrongCode { left: *attempts_left })
            }
            SmsConsentEvent::OptInRefused { why, .. } => Some(super::refusal_of(*why)),
            SmsConsentEvent::DisclosureShown { .. }
            | SmsConsentEvent::ConsentRequested { .. }
            | SmsConsentEvent::CodeIssued { .. }
            | SmsConsentEvent::ConsentGranted { .. }
            | SmsConsentEvent::ConsentRevoked { .. }
            | SmsConsentEvent::ConsentRestored { .. }
            | SmsConsentEvent::ConsentInvalidated { .. }
            | SmsConsentEvent::InboundReceived { .. }
            | SmsConsentEvent::SendsPaused { .. }
            | SmsConsentEvent::HeldTextDecided { .. }
            | SmsConsentEvent::TextAuthorized { .. } => None,
        }
    }
}

/// When something happened that is evidence of a consent, of its use or of its end. What was shown or refused led to no text, and the
/// end that an erasure brings must not move the erasure's own retention.
fn evidence_at(event: &SmsConsentEvent) -> Option<DateTime<Utc>> {
    match event {
        SmsConsentEvent::ConsentInvalidated { cause: InvalidationCause::Erased {}, .. }
        | SmsConsentEvent::InboundReceived { reading: Reading::Other, .. }
        | SmsConsentEvent::DisclosureShown { .. }
        | SmsConsentEvent::SendsPaused { .. }
        | SmsConsentEvent::OptInRefused { .. } => None,
        SmsConsentEvent::ConsentRequested { evidence, .. }
        | SmsConsentEvent::CodeRejected { evidence, .. }
        | SmsConsentEvent::ConsentGranted { evidence, .. }
        | SmsConsentEvent::ConsentRevoked { evidence, .. }
        | SmsConsentEvent::ConsentRestored { evidence, .. }
        | SmsConsentEvent::ConsentInvalidated { evidence, .. }
        | SmsConsentEvent::HeldTextDecided { evidence, .. } => Some(evidence.at),
        SmsConsentEvent::CodeIssued { expires_at, .. } => Some(*expires_at - super::CODE_HOLDS),
        SmsConsentEvent::InboundReceived { received_at, .. } => Some(*received_at),
        SmsConsentEvent::TextAuthorized { expires_at, .. } => Some(*expires_at - super::AUTHORITY_HOLDS),
    }
}
