//! Ana of Maple Court and her telephone: signed in to the portal, agreeing, confirming, texting.

use events::{
    InboundId, Language, NumberKey, Phone, Purpose, ResidentEvent, ResidentId, Sealed, ShownId, SignInEvent, SignInId,
    SmsConsentEvent, TextId,
    disclosure::ShownDisclosure,
    sms_consent::{Checkbox, ConsentScope, ConsentSource, Evidence, SessionEvidence, SignInMethod},
    text_message::TextContent,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    blind,
    fixtures::{INVOICE, PROPERTY, RESIDENT, community, day, resident, usd, with, zone},
    from, noon, state,
};
use crate::{
    Actor, Channel, Disclosure, Facts, SmsConsent,
    sms_consent::{AUTHORITY_HOLDS, AuthorizeText, CODE_HOLDS, ConfirmSmsConsent, RecordInboundText, RecordSmsConsent},
};

pub const SESSION: SignInId = SignInId(Uuid::from_u128(0xa0));
pub const SHOWN: ShownId = ShownId(Uuid::from_u128(0xd0));
pub const TEXT: TextId = TextId(Uuid::from_u128(0xf0));
pub const INBOUND: InboundId = InboundId(Uuid::from_u128(0xe0));
pub const CHECKED: Checkbox = Checkbox { before: false, after: true };

pub fn ana() -> Actor {
    Actor { resident: Some(RESIDENT), ..Actor::of(events::Role::Resident) }
}

pub fn phone() -> Phone {
    from("+13055550143")
}

pub fn other_phone() -> Phone {
    from("+13055550144")
}

pub fn key_of(phone: &Phone) -> NumberKey {
    blind().number(phone)
}

pub fn sealed<T>(value: T) -> Sealed<T> {
    Sealed::new(RESIDENT.0, Purpose::Consent, value)
}

/// Ana's browser, signed in.
pub fn portal() -> Channel {
    Channel {
        actor_name: format!("session:{SESSION}"),
        session: Some(SESSION),
        impersonator: None,
        address: Some("203.0.113.7".into()),
        user_agent: Some("Browser/1".into()),
    }
}

/// Maple Court, Ana, and the session that she opened at noon.
pub fn signed_in() -> Facts {
    with_resident(resident())
}

pub fn with_resident(events: Vec<ResidentEvent>) -> Facts {
    let expires_at = noon() + crate::sign_in::SESSION_LASTS;
    let session = [
        SignInEvent::SignInLinkRequested { resident_id: RESIDENT, expires_at: noon() },
        SignInEvent::SessionOpened { resident_id: RESIDENT, expires_at },
    ];
    let organization = events::OrganizationEvent::OrganizationRegistered { name: from("Evergreen") };
    Facts {
        organization: Some(state([organization])),
        resident: Some(state(events)),
        session: Some(state(session)),
        disclosure: Some(Disclosure::default()),
        ..community()
    }
}

/// The record's number changed, so often and to this in the end.
pub fn renumbered(numbers: &[&str]) -> Vec<ResidentEvent> {
    let changed = numbers.iter().map(|number| ResidentEvent::ResidentPhoneChanged {
        phone: Some(Sealed::new(RESIDENT.0, Purpose::Contact, from(number))),
    });
    with(resident(), changed)
}

pub fn evidence() -> Evidence {
    Evidence {
        actor: format!("session:{SESSION}"),
        role: events::Role::Resident,
        session: Some(SessionEvidence { session_id: SESSION, method: SignInMethod::EmailLink, opened_at: noon() }),
        impersonator: None,
        address: Some(sealed("203.0.113.7".into())),
        user_agent: Some(sealed("Browser/1".into())),
        at: noon(),
        zone: zone("America/Toronto"),
        locale: Language::Es,
    }
}

pub fn disclosure() -> ShownDisclosure {
    Disclosure::default().shown(SHOWN, PROPERTY, Language::Es, &from("Evergreen"), &from("Maple Court"))
}

pub fn shown() -> SmsConsentEvent {
    SmsConsentEvent::DisclosureShown { resident_id: RESIDENT, disclosure: disclosure(), evidence: evidence() }
}

pub fn asked(number: &Phone) -> SmsConsentEvent {
    SmsConsentEvent::ConsentRequested {
        resident_id: RESIDENT,
        number: sealed(number.clone()),
        number_key: key_of(number),
        disclosure: disclosure(),
        checkbox: CHECKED,
        scope: ConsentScope::All,
        source: ConsentSource::Portal,
        phone_revision: 0,
        evidence: evidence(),
    }
}

pub fn issued(number: &Phone, challenge: u32) -> SmsConsentEvent {
    let expires_at = noon() + CODE_HOLDS;
    SmsConsentEvent::CodeIssued { resident_id: RESIDENT, number_key: key_of(number), challenge, expires_at }
}

pub fn confirmed(number: &Phone, challenge: u32) -> SmsConsentEvent {
    SmsConsentEvent::ConsentGranted {
        resident_id: RESIDENT,
        number: sealed(number.clone()),
        number_key: key_of(number),
        challenge,
        disclosure: disclosure(),
        checkbox: CHECKED,
        scope: ConsentScope::All,
        source: ConsentSource::Portal,
        phone_revision: 0,
        evidence: evidence(),
    }
}

/// Shown, asked, and a code on its way: versions 1 to 3.
pub fn pending() -> Vec<SmsConsentEvent> {
    vec![shown(), asked(&phone()), issued(&phone(), 1)]
}

/// And confirmed: version 4.
pub fn granted() -> Vec<SmsConsentEvent> {
    with(pending(), [confirmed(&phone(), 1)])
}

pub fn record() -> RecordSmsConsent {
    RecordSmsConsent {
        resident_id: RESIDENT,
        shown_id: SHOWN,
        phone: phone(),
        checkbox: CHECKED,
        scope: ConsentScope::All,
        time_zone: zone("America/Toronto"),
    }
}

pub fn confirm(resident_id: ResidentId, challenge: u32) -> ConfirmSmsConsent {
    ConfirmSmsConsent { resident_id, code: from(SmsConsent::code(&blind(), resident_id, challenge)) }
}

pub fn inbound(body: &str) -> RecordInboundText {
    RecordInboundText {
        resident_id: RESIDENT,
        inbound_id: INBOUND,
        number: phone(),
        body: body.into(),
        provider_id: "SM1".into(),
        received_at: noon(),
        answered_by_provider: None,
        answers: true,
    }
}

/// An invoice was published.
pub fn news() -> TextContent {
    TextContent::InvoicePublished {
        invoice_id: INVOICE,
        title: from("March"),
        total: usd(10_000),
        due_on: day("2026-03-31"),
    }
}

pub fn authorize(content: TextContent) -> AuthorizeText {
    AuthorizeText { resident_id: RESIDENT, text_id: TEXT, content }
}

/// Leave for [`TEXT`], given at noon under the event of this version.
pub fn authorized(told: &TextContent, consent: Option<i64>, inbound_id: Option<InboundId>) -> SmsConsentEvent {
    SmsConsentEvent::TextAuthorized {
        text_id: TEXT,
        class: told.class(),
        number_key: key_of(&phone()),
        consent,
        inbound_id,
        expires_at: noon() + AUTHORITY_HOLDS,
    }
}

/// Any body of a command, as JSON.
pub fn number(text: &str) -> Phone {
    from(json!(text))
}
