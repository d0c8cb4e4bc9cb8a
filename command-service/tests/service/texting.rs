//! What a resident who agreed to texts does in these tests, and what the provider tells.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use command_service::{Ask, Fault, intake};
use domain::{
    Actor, SmsConsent, TextMessage,
    sign_in::{OpenSession, RequestSignInLink},
    text_message::{Phase, RequestText},
};
use events::{InvoiceId, Language, PropertyId, ResidentId, Role, SignInId, TextId, text_message::TextContent};
use integrations::twilio::webhook::{INBOUND_PATH, envelope, identity, status_callback};
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::texts::FakeTexts,
    household::zone,
    world::{PROPERTY, RESIDENT, World},
};

/// In the same zone as the property.
pub const NUMBER: &str = "+14165550143";
const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

impl World {
    /// A community at ten in the morning, whose property sends texts and whose resident agreed to them.
    pub async fn texting() -> Self {
        let world = Self::new().await;
        world.community().await;
        world.until_local(10, 0).await;
        let switch = json!({ "property_id": PROPERTY, "kind": "invoice-published", "on": true });
        world.manage("SwitchTextKind", switch).await;
        world.manage("ChangeResidentLanguage", json!({ "resident_id": RESIDENT, "language": "en" })).await;
        world.agrees(NUMBER).await;
        world
    }

    /// Lets the time pass until it is this late at the property, to the second.
    pub async fn until_local(&self, hour: u32, minute: u32) -> DateTime<Utc> {
        let now = self.effects.engine.clock().now();
        let time = NaiveTime::from_hms_opt(hour, minute, 0).expect("a time");
        let midnight = |day| zone().at_hour(day, 0);
        let mut day = zone().day_of(now);
        let instant = loop {
            let local =
                day.and_time(time).and_local_timezone(zone().tz()).earliest().expect("a time that exists").to_utc();
            if local > now {
                break local;
            }
            day = day.succ_opt().expect("a day");
            assert!(midnight(day) > midnight(day.pred_opt().expect("a day")));
        };
        // The clock is moved by whole seconds: a second after is surely not before.
        self.advance(instant - now + TimeDelta::seconds(1)).await;
        instant
    }

    fn internal(&self) -> Ask {
        Ask::internal(self.organization, Role::Process, "process:test".to_owned(), Uuid::now_v7())
    }

    /// A resident as signed in by link.
    pub async fn signed_in_as(&self, resident_id: ResidentId) -> Ask {
        let sign_in_id = SignInId(Uuid::now_v7());
        let engine = &self.effects.engine;
        engine.execute(RequestSignInLink { sign_in_id, resident_id }, &self.internal()).await.expect("a link");
        engine.execute(OpenSession { sign_in_id }, &self.internal()).await.expect("a session");
        let actor = Actor { resident: Some(resident_id), ..Actor::of(Role::Resident) };
        Ask { actor_name: format!("session:{sign_in_id}"), ..self.ask(actor) }
    }

    /// Agrees to texts, and types the code that came.
    pub async fn agrees(&self, number: &str) {
        self.agrees_as(RESIDENT, PROPERTY, number, "America/Toronto").await;
    }

    pub async fn agrees_as(&self, resident: ResidentId, property: PropertyId, number: &str, zone: &str) {
        let session = self.types_number(resident, property, number, zone).await.expect("a number");
        self.settle().await;
        let code = self.code().expect("a code");
        let confirm = json!({ "resident_id": resident, "code": code });
        self.execute(session, "ConfirmSmsConsent", confirm).await.expect("a confirmation");
        self.settle().await;
    }

    /// Saves a number in the portal, whoever's it may be.
    pub async fn types_number(
        &self,
        resident_id: ResidentId,
        property_id: PropertyId,
        number: &str,
        time_zone: &str,
    ) -> Result<Ask, Fault> {
        let session = self.signed_in_as(resident_id).await;
        let shown = Uuid::now_v7();
        for (name, fields) in [
            ("ShowDisclosure", json!({ "shown_id": shown, "language": "en", "property_id": property_id })),
            ("RecordSmsConsent", json!({ "shown_id": shown, "phone": number })),
        ] {
            let mut body = self.body(name, fields);
            body["resident_id"] = json!(resident_id);
            body["time_zone"] = json!(time_zone);
            self.execute(session.clone(), name, body).await?;
        }
        Ok(session)
    }

    /// Another resident of the organization, in a property and unit of their own.
    pub async fn neighbour(&self, resident: ResidentId) -> PropertyId {
        let (property, unit) = (PropertyId(Uuid::now_v7()), Uuid::now_v7());
        let name = format!("{}@example.com", resident.0.simple());
        for (name, fields) in [
            ("AddProperty", json!({ "property_id": property, "currency": self.currency })),
            ("AddUnit", json!({ "property_id": property, "unit_id": unit })),
            (
                "RegisterResident",
                json!({
                    "resident_id": resident, "email": name, "language": "en",
                    "home": { "property_id": property, "unit_id": unit, "tenure": "Owner", "on": "2026-01-01" },
                }),
            ),
        ] {
            let body = self.body(name, fields);
            self.execute(Ask::operator(self.organization), name, body).await.expect(name);
        }
        self.settle().await;
        property
    }

    pub async fn consent_of(&self, resident: ResidentId) -> SmsConsent {
        self.state(SmsConsent::id(resident)).await
    }

    /// The last code that was texted.
    pub fn code(&self) -> Option<String> {
        let mut codes = self.texts.sent().into_iter().filter_map(|text| {
            let (_, rest) = text.body.split_once("your code is ")?;
            Some(rest.chars().take(6).collect::<String>())
        });
        codes.next_back()
    }

    pub async fn consent(&self) -> SmsConsent {
        self.state(SmsConsent::id(RESIDENT)).await
    }

    /// A text about an open invoice whose sending is the only thing to do.
    pub async fn text_to_be_sent(&self) -> Uuid {
        self.text_in(Language::En, false).await
    }

    /// The same in this language, which may stand in for the resident's own.
    pub async fn text_in(&self, language: Language, fallback: bool) -> Uuid {
        let invoice = self.draft_due(self.today() + chrono::Days::new(20), 10_000).await;
        self.publish(invoice, false).await;
        self.settle().await;
        let text_id = TextId(Uuid::now_v7());
        let known: domain::Invoice = self.state(invoice).await;
        let content = known.content.expect("contents");
        let command = RequestText {
            text_id,
            resident_id: RESIDENT,
            property_id: Some(PROPERTY),
            content: TextContent::InvoicePublished {
                invoice_id: InvoiceId(invoice),
                title: content.title,
                total: content.total,
                due_on: content.due_on,
            },
            language,
            fallback,
            template: 1,
            cause: format!("test/{text_id}"),
        };
        self.effects.engine.execute(command, &self.internal()).await.expect("a text");
        self.react().await;
        text_id.0
    }

    pub async fn text_phase(&self, text: Uuid) -> Phase {
        self.state::<TextMessage>(text).await.phase
    }

    /// A verified callback about a text, stored.
    pub async fn callback(&self, text: Uuid, status: &str, code: Option<u32>) {
        let address = status_callback("", self.organization.0, text);
        let sid = FakeTexts::id(text);
        let error = code.map(|code| format!("&ErrorCode={code}")).unwrap_or_default();
        self.hook(&address, &format!("MessageSid={sid}&MessageStatus={status}&To=%2B14165550143{error}&Later=1")).await;
    }

    /// A verified text from a phone, stored; the same words twice are two texts.
    pub async fn hears(&self, from: &str, body: &str, opt_out: Option<&str>) {
        let sid = Uuid::now_v7().simple();
        let told = opt_out.map(|kind| format!("&OptOutType={kind}")).unwrap_or_default();
        let (from, body) = (from.replace('+', "%2B"), body.replace(' ', "+"));
        self.hook(INBOUND_PATH, &format!("MessageSid=SM{sid}&From={from}&To=%2B15555550199&Body={body}{told}")).await;
    }

    pub async fn hook(&self, address: &str, body: &str) -> bool {
        let kept = envelope(address, FORM, body.as_bytes());
        let id = identity(&kept).expect("an id");
        intake::store(&self.effects, "twilio", &id, &kept).await.expect("a stored webhook")
    }

    /// As if a lost answer were older than anything appears at the provider.
    pub async fn much_later(&self) {
        self.sql("update engine.outbox set last_called_at = now() - interval '16 minutes' where calling").await;
    }

    pub async fn in_seconds(&self, seconds: i64) {
        self.advance(TimeDelta::seconds(seconds)).await;
    }
}
