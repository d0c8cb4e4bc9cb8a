//! What happened by text: somebody agreed, was told of an invoice, and asked who it was.

use events::{SmsConsentEvent, TextMessageEvent};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    story::{Story, start},
    world::World,
};

impl Story {
    /// A resident agrees, gets a text about an invoice, and answers it; returns the text.
    pub async fn texts(&self, world: &mut World, who: usize, invoice: Uuid) -> Uuid {
        let resident = self.residents[who];
        let clear = |purpose: &str, value: Value| json!({ "$clear": { "subject": resident, "purpose": purpose, "value": value } });
        let number = || clear("consent", json!("+13125550143"));
        let key = Uuid::new_v5(&self.organization.0, b"+13125550143");
        let stream = Uuid::new_v5(&resident, b"sms-consent");
        let (text, inbound) = (Uuid::now_v7(), Uuid::now_v7());
        let evidence = json!({
            "actor": "session:1", "role": "Resident", "address": clear("consent", json!("203.0.113.7")),
            "at": start(), "zone": "America/Chicago", "locale": "en",
        });
        let disclosure = json!({
            "shown_id": Uuid::now_v7(), "property_id": self.property, "language": "en", "version": "standard-1",
            "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "text": "I agree to texts.",
        });
        let checkbox = json!({ "before": false, "after": true });
        for event in [
            json!({ "DisclosureShown": { "resident_id": resident, "disclosure": disclosure, "evidence": evidence } }),
            json!({ "ConsentRequested": {
                "resident_id": resident, "number": number(), "number_key": key, "disclosure": disclosure,
                "checkbox": checkbox, "scope": "All", "source": "Portal", "phone_revision": 0, "evidence": evidence,
            } }),
            json!({ "CodeIssued": { "resident_id": resident, "number_key": key, "challenge": 1, "expires_at": start() } }),
            json!({ "ConsentGranted": {
                "resident_id": resident, "number": number(), "number_key": key, "challenge": 1, "disclosure": disclosure,
                "checkbox": checkbox, "scope": "All", "source": "Portal", "phone_revision": 0, "evidence": evidence,
            } }),
            json!({ "TextAuthorized": {
                "text_id": text, "class": "Programme", "number_key": key, "consent": 4, "expires_at": start(),
            } }),
            json!({ "InboundReceived": {
                "resident_id": resident, "inbound_id": inbound, "number": number(), "number_key": key,
                "body": clear("consent", json!("who is this?")), "reading": "MayMeanStop", "provider_id": "SM2",
                "answered_by_provider": false, "received_at": start(),
            } }),
            json!({ "SendsPaused": { "inbound_id": inbound } }),
        ] {
            self.tell::<SmsConsentEvent>(world, stream, start(), event).await;
        }
        let authority = |version: u32| format!("sms-consent/{stream}/{version}");
        for event in [
            json!({ "TextRequested": {
                "resident_id": resident, "property_id": self.property, "language": "en", "fallback": false, "template": 1,
                "content": { "InvoicePublished": {
                    "invoice_id": invoice, "title": "Fee", "total": { "amount": 700, "currency": "CAD" }, "due_on": "2026-01-31",
                } },
                "cause": format!("invoice/{invoice}/2"),
            } }),
            json!({ "TextSending": {
                "number": number(), "number_key": key, "body": clear("message", json!("New invoice")),
                "authority": authority(5), "encoding": "Gsm7", "segments": 1, "reference": "Q7F2", "provider": "twilio",
                "grounds": {
                    "consent": authority(4), "policy": "us-1", "zone": "America/Chicago",
                    "local_time": "2026-01-05T10:00:00-06:00",
                },
            } }),
            json!({ "TextAccepted": { "provider_id": "SM1" } }),
            json!({ "TextDelivered": {} }),
        ] {
            self.tell::<TextMessageEvent>(world, text, start(), event).await;
        }
        text
    }
}
