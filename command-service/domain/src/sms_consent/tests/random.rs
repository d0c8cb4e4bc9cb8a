//! Whatever happens in whatever order: no text of the programme gets leave, or leaves, without a consent that stands.
//!
//! The reference keeps one sentence per number: "granted by this event, and nothing since". It knows nothing of how decisions are made.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use events::{
    ResidentEvent, TextMessageEvent,
    resident::ResidentStatus,
    text_message::{Grounds, TextClass, TextEncoding},
};
use proptest::{collection::vec, prelude::*};

use super::super::*;
use crate::{
    Actor, Channel, Command, TextMessage,
    testing::{
        blind,
        fixtures::{PROPERTY, RESIDENT, UNIT, day, resident, zone},
        from, noon, state,
        texting::{ana, key_of, news, number, portal, signed_in, with_resident},
    },
    text_message::{RequestText, SubmitText},
};

const NUMBERS: [&str; 3] = ["+13055550143", "+13055550144", "+15145550145"];
const BODIES: [&str; 9] =
    ["stop", "STOP please", "start", "yes", "help", "who is this?", "thanks", "opt out", "unstop"];

/// One thing that may happen.
#[derive(Debug, Clone)]
enum Happening {
    Show,
    Save(usize),
    AskForCode,
    Confirm {
        right: bool,
    },
    Impersonate(usize),
    ManagerOptsIn(usize),
    RevokeInPortal,
    Told,
    Texted {
        from: usize,
        body: usize,
    },
    HeldDecided {
        stop: bool,
    },
    Blocked(usize),
    Dead(usize),
    Reassigned,
    RecordNumber(Option<usize>),
    MoveOut,
    MoveIn,
    Deactivate,
    Activate,
    Review,
    /// Asks for leave for one of three texts.
    Authorize(u8),
    /// Hands one of three texts over.
    Submit(u8),
    Wait(i64),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    use Happening as H;
    let one = prop_oneof![
        3 => Just(H::Show),
        5 => (0..3_usize).prop_map(H::Save),
        1 => Just(H::AskForCode),
        5 => prop::bool::weighted(0.85).prop_map(|right| H::Confirm { right }),
        1 => (0..3_usize).prop_map(H::Impersonate),
        1 => (0..3_usize).prop_map(H::ManagerOptsIn),
        1 => Just(H::RevokeInPortal),
        1 => Just(H::Told),
        4 => (0..3_usize, 0..BODIES.len()).prop_map(|(from, body)| H::Texted { from, body }),
        2 => any::<bool>().prop_map(|stop| H::HeldDecided { stop }),
        1 => (0..3_usize).prop_map(H::Blocked),
        1 => (0..3_usize).prop_map(H::Dead),
        1 => Just(H::Reassigned),
        1 => prop::option::of(0..3_usize).prop_map(H::RecordNumber),
        1 => Just(H::MoveOut),
        1 => Just(H::MoveIn),
        1 => Just(H::Deactivate),
        1 => Just(H::Activate),
        1 => Just(H::Review),
        6 => (0..3_u8).prop_map(H::Authorize),
        6 => (0..3_u8).prop_map(H::Submit),
        3 => prop_oneof![Just(1_i64), Just(20), Just(31), Just(700), Just(4000)].prop_map(H::Wait),
    ];
    vec(one, 1..60)
}

/// The record's number, since the resident last asked.
#[derive(Debug, Clone, Copy)]
enum Recorded {
    Unchanged,
    Number(usize),
    Nothing,
}

/// Everything that happened, and the reference beside it.
struct World {
    now: DateTime<Utc>,
    consent: Vec<SmsConsentEvent>,
    record: Vec<ResidentEvent>,
    texts: BTreeMap<u8, Vec<TextMessageEvent>>,
    inbound: u128,
    shown: u128,
    lives: bool,
    /// The reference: granted by the event of this version, and nothing since.
    stands: BTreeMap<NumberKey, i64>,
    unread: u32,
    recorded: Recorded,
    /// How often leave was given.
    left: usize,
}

impl World {
    fn new() -> Self {
        let texts = (0..3).map(|text| (text, vec![requested(text)])).collect();
        Self {
            now: noon(),
            consent: vec![],
            record: resident(),
            texts,
            inbound: 0xe000,
            shown: 0xd000,
            lives: true,
            stands: BTreeMap::new(),
            unread: 0,
            recorded: Recorded::Unchanged,
            left: 0,
        }
    }

    fn context(&self, actor: Actor, channel: Channel, facts: Facts) -> Context {
        Context { now: self.now, actor, channel, ..crate::testing::context(facts) }
    }

    fn facts(&self) -> Facts {
        let consent = Some(state(self.consent.clone()));
        Facts { sms_consent: consent, session: self.session(), ..with_resident(self.record.clone()) }
    }

    /// One that lasts, however long the story.
    fn session(&self) -> Option<crate::SignIn> {
        let expires_at = self.now + crate::sign_in::SESSION_LASTS;
        let opened = events::SignInEvent::SessionOpened { resident_id: RESIDENT, expires_at };
        let link = events::SignInEvent::SignInLinkRequested { resident_id: RESIDENT, expires_at };
        signed_in().session.map(|_| state([link, opened]))
    }

    fn ask<C: Command<Aggregate = SmsConsent>>(&mut self, command: C, actor: Actor, channel: Channel) {
        let context = self.context(actor, channel, self.facts());
        let events = command.decide(&state(self.consent.clone()), &context).unwrap_or_default();
        for event in events {
            self.consent.push(event);
            self.refer();
        }
    }

    /// What the last event says by itself.
    fn refer(&mut self) {
        let version = i64::try_from(self.consent.len()).expect("short stories");
        match self.consent.last().expect("just pushed") {
            SmsConsentEvent::ConsentGranted { number_key, evidence, .. } => {
                assert_eq!(
                    (evidence.role, evidence.impersonator.as_ref()),
                    (Role::Resident, None),
                    "only the resident grants"
                );
                assert!(evidence.session.is_some());
                self.stands.insert(*number_key, version);
                assert_eq!(self.stands.len(), 1, "one number at a time");
            }
            SmsConsentEvent::ConsentRestored { number_key, .. } => {
                self.stands.insert(*number_key, version);
                assert_eq!(self.stands.len(), 1, "one number at a time");
            }
            SmsConsentEvent::ConsentRevoked { number_key, .. }
            | SmsConsentEvent::ConsentInvalidated { number_key, .. } => {
                self.stands.remove(number_key);
            }
            SmsConsentEvent::SendsPaused { .. } => self.unread += 1,
            SmsConsentEvent::HeldTextDecided { .. } => self.unread -= 1,
            SmsConsentEvent::TextAuthorized { class: TextClass::Programme, number_key, consent, .. } => {
                assert_eq!(self.stands.get(number_key), consent.as_ref(), "leave without a consent that stands");
                assert_eq!(self.unread, 0, "leave while somebody may have said stop");
                assert!(self.lives && self.is_active(), "leave for somebody who is gone");
                match self.recorded {
                    Recorded::Unchanged => {}
                    Recorded::Number(chosen) => {
                        assert_eq!(key_of(&number(NUMBERS[chosen])), *number_key, "another number now");
                    }
                    Recorded::Nothing => panic!("leave though there is no number any more"),
                }
                self.left += 1;
            }
            SmsConsentEvent::ConsentRequested { .. } => self.recorded = Recorded::Unchanged,
            SmsConsentEvent::DisclosureShown { .. }
            | SmsConsentEvent::CodeIssued { .. }
            | SmsConsentEvent::CodeRejected { .. }
            | SmsConsentEvent::InboundReceived { .. }
            | SmsConsentEvent::TextAuthorized { .. }
            | SmsConsentEvent::OptInRefused { .. } => {}
        }
        let state: SmsConsent = state(self.consent.clone());
        let known = state.standing().map(|(key, _, version)| (key, version));
        assert_eq!(known, self.stands.iter().next().map(|(key, version)| (*key, *version)));
    }

    fn is_active(&self) -> bool {
        state::<Resident>(self.record.clone()).is_active()
    }

    fn submit(&mut self, text: u8) {
        let context = self.context(Actor::of(Role::Process), Channel::default(), self.facts());
        let events = self.texts.get_mut(&text).expect("three texts");
        let command = SubmitText {
            text_id: id(text),
            body: "News".into(),
            grounds: Grounds::default(),
            encoding: TextEncoding::Gsm7,
            segments: 1,
            reference: "r".into(),
            provider: "twilio".into(),
        };
        let decided = command.decide(&state::<TextMessage>(events.clone()), &context).unwrap_or_default();
        for event in &decided {
            let TextMessageEvent::TextSending { number_key, grounds, .. } = event else { panic!("{event:?}") };
            let version = self.stands.get(number_key).expect("a text left without a consent that stands");
            assert_eq!(grounds.consent, Some(SmsConsent::reference(RESIDENT, *version)));
            assert_eq!(self.unread, 0, "a text left while somebody may have said stop");
            assert!(
                self.lives && context.facts.resident.as_ref().is_some_and(Resident::is_active),
                "a text left to nobody"
            );
        }
        events.extend(decided);
    }

    fn happen(&mut self, happening: &Happening) {
        let manager = || (Actor::of(Role::OrganizationManager), Channel::default());
        let process = || (Actor::of(Role::Process), Channel::default());
        let resident_id = RESIDENT;
        let save = |world: &Self, chosen: usize| RecordSmsConsent {
            resident_id,
            shown_id: ShownIdOf(world.shown).into(),
            phone: number(NUMBERS[chosen]),
            checkbox: Checkbox { before: false, after: true },
            scope: ConsentScope::All,
            time_zone: zone("America/Toronto"),
        };
        match *happening {
            Happening::Show => {
                self.shown += 1;
                let (shown_id, language) = (ShownIdOf(self.shown).into(), Language::En);
                let time_zone = zone("America/Toronto");
                let show = ShowDisclosure { resident_id, shown_id, property_id: PROPERTY, language, time_zone };
                self.ask(show, ana(), portal());
            }
            Happening::Save(chosen) => self.ask(save(self, chosen), ana(), portal()),
            Happening::AskForCode => self.ask(RequestSmsCode { resident_id }, ana(), portal()),
            Happening::Confirm { right } => {
                let challenge = state::<SmsConsent>(self.consent.clone()).challenges;
                let code = SmsConsent::code(&blind(), RESIDENT, challenge);
                let code = if right { code } else { "000000".to_owned() };
                self.ask(ConfirmSmsConsent { resident_id, code: from(code) }, ana(), portal());
            }
            Happening::Impersonate(chosen) => {
                let channel = Channel { impersonator: Some("token:7".into()), ..portal() };
                self.ask(save(self, chosen), ana(), channel.clone());
                let challenge = state::<SmsConsent>(self.consent.clone()).challenges;
                let code = from(SmsConsent::code(&blind(), RESIDENT, challenge));
                self.ask(ConfirmSmsConsent { resident_id, code }, ana(), channel);
            }
            Happening::ManagerOptsIn(chosen) => self.ask(save(self, chosen), manager().0, portal()),
            Happening::RevokeInPortal => {
                self.ask(RevokeSmsConsent { resident_id, scope: ConsentScope::All }, ana(), portal());
            }
            Happening::Told => {
                let wish = RecordVerbalOptOut { resident_id, note: from("told"), scope: ConsentScope::All };
                self.ask(wish, manager().0, manager().1);
            }
            Happening::Texted { from, body } => {
                self.inbound += 1;
                self.now += TimeDelta::seconds(1);
                let text = RecordInboundText {
                    resident_id,
                    inbound_id: InboundId(Uuid::from_u128(self.inbound)),
                    number: number(NUMBERS[from]),
                    body: BODIES[body].to_owned(),
                    provider_id: "SM".into(),
                    received_at: self.now,
                    answered_by_provider: None,
                    answers: true,
                };
                self.ask(text, process().0, process().1);
            }
            Happening::HeldDecided { stop } => {
                let inbound_id = InboundId(Uuid::from_u128(self.inbound));
                let decide = DecideHeldText { resident_id, inbound_id, stop, note: from("read") };
                self.ask(decide, manager().0, manager().1);
            }
            Happening::Blocked(chosen) => {
                let number_key = key_of(&number(NUMBERS[chosen]));
                self.ask(RecordProviderBlock { resident_id, number_key, code: 21610 }, process().0, process().1);
            }
            Happening::Dead(chosen) => {
                let number_key = key_of(&number(NUMBERS[chosen]));
                self.ask(RecordUndeliverable { resident_id, number_key, code: 30005 }, process().0, process().1);
            }
            Happening::Reassigned => {
                self.ask(ReportNumberReassigned { resident_id, note: from("gone") }, manager().0, manager().1);
            }
            Happening::RecordNumber(chosen) => {
                let phone = chosen.map(|chosen| Sealed::new(RESIDENT.0, Purpose::Contact, from(NUMBERS[chosen])));
                self.recorded = chosen.map_or(Recorded::Nothing, Recorded::Number);
                self.record.push(ResidentEvent::ResidentPhoneChanged { phone });
            }
            Happening::MoveOut if self.lives => {
                self.lives = false;
                let on = day("2026-02-01");
                self.record.push(ResidentEvent::ResidentMovedOut { property_id: PROPERTY, unit_id: UNIT, on });
            }
            Happening::MoveIn if !self.lives => {
                self.lives = true;
                let (tenure, on) = (events::resident::Tenure::Owner, day("2026-02-01"));
                self.record.push(ResidentEvent::ResidentMovedIn { property_id: PROPERTY, unit_id: UNIT, tenure, on });
            }
            Happening::MoveOut | Happening::MoveIn => {}
            Happening::Deactivate => self.set(ResidentStatus::Inactive),
            Happening::Activate => self.set(ResidentStatus::Active),
            Happening::Review => self.ask(ReviewSmsConsent { resident_id }, process().0, process().1),
            Happening::Authorize(text) => {
                let authorize = AuthorizeText { resident_id, text_id: id(text), content: news() };
                self.ask(authorize, process().0, process().1);
            }
            Happening::Submit(text) => self.submit(text),
            Happening::Wait(seconds) => self.now += TimeDelta::seconds(seconds),
        }
    }

    fn set(&mut self, status: ResidentStatus) {
        self.record.push(ResidentEvent::ResidentStatusChanged { status });
    }
}

struct ShownIdOf(u128);

impl From<ShownIdOf> for events::ShownId {
    fn from(id: ShownIdOf) -> Self {
        Self(Uuid::from_u128(id.0))
    }
}

fn id(text: u8) -> TextId {
    TextId(Uuid::from_u128(0xf000 + u128::from(text)))
}

fn requested(text: u8) -> TextMessageEvent {
    let request = RequestText {
        text_id: id(text),
        resident_id: RESIDENT,
        property_id: Some(PROPERTY),
        content: news(),
        language: Language::En,
        fallback: false,
        template: 1,
        cause: format!("invoice/{text}/1"),
    };
    let context = crate::testing::context(Facts::default());
    request.decide(&TextMessage::default(), &context).expect("requested").remove(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn no_text_of_the_programme_leaves_without_a_consent_that_stands(happenings in happenings()) {
        let mut world = World::new();
        for happening in &happenings {
            world.happen(happening);
        }
    }
}

/// The reference sees texts leave at all, and everything that may end consent does end it between leave and sending.
#[test]
fn a_stop_that_comes_between_leave_and_sending_wins() {
    let begin = [Happening::Show, Happening::Save(0), Happening::Confirm { right: true }, Happening::Authorize(0)];
    let after = |between: &[Happening]| {
        let mut world = World::new();
        for happening in begin.iter().chain(between).chain(&[Happening::Submit(0)]) {
            world.happen(happening);
        }
        assert_eq!(world.left, 1, "leave was given");
        world.texts[&0].len() == 2
    };
    assert!(after(&[]));
    assert!(after(&[Happening::Wait(20)]));
    for end in [
        Happening::Wait(31),
        Happening::RevokeInPortal,
        Happening::Told,
        Happening::Texted { from: 0, body: 0 },
        Happening::Texted { from: 0, body: 5 },
        Happening::Blocked(0),
        Happening::Dead(0),
        Happening::Reassigned,
        Happening::MoveOut,
        Happening::Deactivate,
        Happening::RecordNumber(Some(1)),
        Happening::RecordNumber(None),
    ] {
        assert!(!after(std::slice::from_ref(&end)), "{end:?}");
    }
    let restored = [Happening::Texted { from: 0, body: 0 }, Happening::Texted { from: 0, body: 2 }];
    assert!(!after(&restored), "the leave was given under another event");
    let moved = [Happening::Show, Happening::Save(1), Happening::Confirm { right: true }];
    assert!(!after(&moved), "the leave was for another number");
}
