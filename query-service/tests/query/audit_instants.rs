//! Replays as of an instant, and what has changed since one: to the microsecond.

use events::SmsConsentEvent;
use serde_json::{Value, json};

use crate::{
    community::{LUCIA, NUMBER_KEY, ORGANIZATION, clear, community, consent, id},
    world::World,
};

/// When the stories happened, then a STOP, then a START.
const STORIES: &str = "2026-01-05T15:04:05.123456Z";
const STOP: &str = "2026-01-07T15:00:00.000001Z";
const START: &str = "2026-02-01T05:30:00Z";

async fn stopped_and_started(world: &World) {
    let number = || clear(LUCIA, "consent", &json!("+13125550143"));
    let (resident, key) = (id(LUCIA), id(NUMBER_KEY));
    let evidence = |at: &str| json!({ "actor": "provider:twilio", "role": "Provider", "at": at, "zone": "America/Chicago", "locale": "es" });
    let stop = json!({ "ConsentRevoked": {
        "resident_id": resident, "number": number(), "number_key": key, "cause": { "Keyword": { "inbound_id": id(0xb11) } },
        "scope": "All", "source": "SmsKeyword", "evidence": evidence(STOP),
    } });
    let disclosure = json!({
        "shown_id": id(0xb03), "property_id": id(0x10), "language": "es", "version": "standard-1",
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "text": "Acepto que me escriban.",
    });
    let start = json!({ "ConsentRestored": {
        "resident_id": resident, "number": number(), "number_key": key, "inbound_id": id(0xb12), "granted_by": 4,
        "disclosure": disclosure, "checkbox": { "before": false, "after": true }, "scope": "All", "source": "SmsKeyword",
        "evidence": evidence(START),
    } });
    world.append_at::<SmsConsentEvent>(STOP, ORGANIZATION, consent(LUCIA), 8, &[stop]).await;
    world.append_at::<SmsConsentEvent>(START, ORGANIZATION, consent(LUCIA), 9, &[start]).await;
    world.settle().await;
}

async fn replay(world: &World, query: &str) -> Value {
    world.get("auditor", &format!("/v1/audit/residents/{}?{query}", id(LUCIA))).await.json()
}

/// Case 54.
#[tokio::test]
async fn a_replay_at_an_instant_shows_consent_as_of_that_instant() {
    let world = community().await;
    stopped_and_started(&world).await;
    for (at, expected) in [
        ("2026-01-05T15:04:05.123455Z", None),
        (STORIES, Some("Granted")),
        ("2026-01-07T15:00:00Z", Some("Granted")),
        (STOP, Some("Revoked")),
        // The same instant, as written elsewhere.
        ("2026-01-07T09:00:00.000001-06:00", Some("Revoked")),
        ("2026-02-01T05:29:59.999999Z", Some("Revoked")),
        (START, Some("Granted")),
        ("2030-01-01T00:00:00Z", Some("Granted")),
    ] {
        let then = replay(&world, &format!("at={}", at.replace('+', "%2B"))).await;
        let status = then["state"]["consents"].as_array().and_then(|all| all.first()).map(|one| one["status"].clone());
        assert_eq!(status, expected.map(|status| json!(status)), "at {at}");
        let last = then["events"].as_array().and_then(|events| events.last()).map(|event| event["event"].clone());
        if at == STOP {
            assert_eq!(last, Some(json!("ConsentRevoked")));
        }
    }
}

#[tokio::test]
async fn what_has_changed_since_an_instant_is_told_field_by_field() {
    let world = community().await;
    stopped_and_started(&world).await;
    let status = |told: &Value| {
        let changes = told["differences"]["changes"].as_array().expect("changes");
        let status = changes.iter().find(|change| change["field"] == "status" && change["stream"] == "sms-consent");
        status.map(|change| (change["before"].clone(), change["after"].clone()))
    };
    for (since, events, expected) in [
        (STORIES, 2, None),
        ("2026-01-07T15:00:00Z", 2, None),
        (STOP, 1, Some((json!("Revoked"), json!("Granted")))),
        (START, 0, None),
    ] {
        let told = replay(&world, &format!("since={since}")).await;
        assert_eq!(told["differences"]["events"], json!(events), "since {since}");
        assert_eq!(status(&told), expected, "since {since}");
    }
    // Up to an instant, since an earlier one: the STOP alone.
    let told = replay(&world, &format!("since={STORIES}&at=2026-01-31T00:00:00Z")).await;
    assert_eq!(told["differences"]["events"], json!(1));
    assert_eq!(status(&told), Some((json!("Granted"), json!("Revoked"))));
}
