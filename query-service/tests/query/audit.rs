//! Replays for auditors: whole, as of a moment, and never without a trace.

use events::{ResidentEvent, SmsConsentEvent, TextMessageEvent};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    community::{HARBOR, LUCIA, MEADOW, ORGANIZATION, TEXT, clear, community, consent, id},
    world::World,
};

const NUMBER: &str = "/v1/audit/numbers/%2B13125550143";

fn resident() -> String {
    format!("/v1/audit/residents/{}", id(LUCIA))
}

async fn readings(world: &World) -> Vec<Value> {
    sqlx::query_scalar("select payload from log.events where aggregate_type = 'audit-read' order by aggregate_id")
        .fetch_all(&world.database.engine)
        .await
        .expect("readings")
}

/// The number's key in the log is that of the installation, not that of the stories.
async fn under_its_own_key(world: &World) -> Uuid {
    let organization = events::OrganizationId(Uuid::from_u128(ORGANIZATION));
    let key = world.keyring().digest(organization, "+13125550143");
    let evidence = json!({ "actor": "provider:twilio", "role": "Provider", "at": "2026-01-07T15:00:00Z", "zone": "America/Chicago", "locale": "es" });
    let number = clear(LUCIA, "consent", &json!("+13125550143"));
    let stop = [
        json!({ "InboundReceived": {
            "resident_id": id(LUCIA), "inbound_id": id(0xb11), "number": number, "number_key": key,
            "body": clear(LUCIA, "consent", &json!("ALTO")), "reading": "Stop", "provider_id": "SM3",
            "answered_by_provider": false, "reply": "Stopped", "received_at": "2026-01-07T15:00:00Z",
        } }),
        json!({ "ConsentRevoked": {
            "resident_id": id(LUCIA), "number": number, "number_key": key, "cause": { "Keyword": { "inbound_id": id(0xb11) } },
            "scope": "All", "source": "SmsKeyword", "evidence": evidence,
        } }),
    ];
    world.append::<SmsConsentEvent>(ORGANIZATION, consent(LUCIA), 8, &stop).await;
    world.settle().await;
    key
}

#[tokio::test]
async fn a_resident_is_replayed_whole_with_what_each_text_stood_on() {
    let world = community().await;
    let trail = world.get("auditor", &resident()).await.json();
    let names: Vec<_> =
        trail["events"].as_array().expect("events").iter().map(|event| event["event"].clone()).collect();
    assert_eq!(names.len(), 13, "{names:?}");
    let positions: Vec<_> =
        trail["events"].as_array().expect("events").iter().map(|event| event["position"].as_i64()).collect();
    assert!(positions.windows(2).all(|two| two[0] < two[1]), "in the order of the log");
    let granted = trail["events"]
        .as_array()
        .expect("events")
        .iter()
        .find(|event| event["event"] == "ConsentGranted")
        .expect("a grant");
    assert_eq!(granted["body"]["number"], "+13125550143");
    assert_eq!(granted["body"]["evidence"]["address"], "203.0.113.7");
    assert_eq!(granted["body"]["disclosure"]["text"], "Acepto que me escriban.");
    assert_eq!(trail["state"]["consents"][0]["badge"], "Opted In");
    let text = &trail["state"]["texts"][0];
    assert_eq!(
        (&text["status"], &text["consent"]),
        (&json!("Delivered"), &json!(format!("sms-consent/{}/4", id(consent(LUCIA)))))
    );
    assert!(!trail.to_string().contains("number_key"), "where numbers are looked up is nobody's business");
}

#[tokio::test]
async fn a_replay_shows_consent_as_it_was() {
    let world = community().await;
    let all = world.get("auditor", &resident()).await.json();
    let events = all["events"].as_array().expect("events").clone();
    let badge = |trail: &Value| {
        trail["state"]["consents"].as_array().and_then(|all| all.first()).map(|one| one["status"].clone())
    };
    for (index, event) in events.iter().enumerate() {
        let at = format!("{}?position={}", resident(), event["position"]);
        let then = world.get("auditor", &at).await.json();
        assert_eq!(then["events"].as_array().map(Vec::len), Some(index + 1));
        let expected = match index {
            0 => "None",
            1 | 2 => "Pending",
            _ => "Granted",
        };
        assert_eq!(badge(&then), Some(json!(expected)), "after {}", event["event"]);
    }
    let before = world.get("auditor", &format!("{}?at=2000-01-01T00:00:00Z", resident())).await.json();
    assert_eq!((badge(&before), &before["events"]), (None, &json!([])));
    under_its_own_key(&world).await;
    let since = world.get("auditor", &format!("{}?since=2000-01-01T00:00:00Z", resident())).await.json();
    let changes = since["differences"]["changes"].as_array().expect("changes").clone();
    assert!(changes.iter().any(|change| change["field"] == "badge" && change["before"].is_null()), "{changes:?}");
}

#[tokio::test]
async fn a_number_is_replayed_for_everybody_it_stood_for() {
    let world = community().await;
    let nothing = world.get("auditor", NUMBER).await.json();
    assert_eq!(nothing["events"], json!([]), "the stories' own key is another one");
    under_its_own_key(&world).await;
    let trail = world.get("auditor", NUMBER).await.json();
    let told: Vec<_> =
        trail["events"].as_array().expect("events").iter().filter_map(|event| event["event"].as_str()).collect();
    assert!(told.contains(&"ConsentRevoked") && told.contains(&"DisclosureShown"), "{told:?}");
    assert!(!told.contains(&"ConsentGranted"), "what another number was agreed to for is not this one's: {told:?}");
    assert_eq!(world.get("auditor", "/v1/audit/numbers/5550143").await.status, 422);
}

#[tokio::test]
async fn a_property_is_replayed_and_printed() {
    let world = community().await;
    let path = |property| format!("/v1/audit/properties/{}", id(property));
    let trail = world.get("auditor", &path(HARBOR)).await.json();
    assert_eq!(trail["state"]["texts"][0]["text_id"], id(TEXT));
    assert_eq!(world.get("auditor", &path(MEADOW)).await.json()["events"], json!([]));
    let csv = world.get("auditor", &format!("{}?format=csv", path(HARBOR))).await;
    assert!(csv.header("content-type").starts_with("text/csv"), "{}", csv.header("content-type"));
    assert_eq!(csv.text.lines().count(), 14);
    let html = world.get("auditor", &format!("{}?format=html&since=2000-01-01T00:00:00Z", path(HARBOR))).await;
    assert!(html.header("content-type").starts_with("text/html") && html.text.contains("Opted In"), "{}", html.text);
    assert!(html.text.contains("qui\u{e9}n es?"));
}

#[tokio::test]
async fn an_erasure_withholds_the_evidence_from_managers_at_every_position_and_does_not_tell_whose_a_number_was() {
    let world = community().await;
    under_its_own_key(&world).await;
    let paths = [resident(), format!("/v1/audit/properties/{}", id(HARBOR)), NUMBER.to_owned()];
    for path in &paths {
        let before = world.get("manager", path).await;
        assert!(before.text.contains("+13125550143"), "{path}: {}", before.text);
    }
    let evidence = json!({ "purpose": "consent", "until": "2099-01-01", "rule": "ConsentEvidence" });
    let erased = json!({ "ResidentErased": { "purposes": ["contact", "message"], "retained": [evidence] } });
    world.append::<ResidentEvent>(ORGANIZATION, LUCIA, 2, &[erased]).await;
    // First in the log alone, while read models lag behind it; then everywhere.
    for settled in [false, true] {
        if settled {
            world.settle().await;
        }
        for query in
            ["", "?position=1000", "?at=2098-01-01T00:00:00Z", "?format=csv", "?format=html&since=2000-01-01T00:00:00Z"]
        {
            for path in &paths {
                let answer = world.get("manager", &format!("{path}{query}")).await;
                assert_eq!(answer.status, 200, "{path}{query}: {}", answer.text);
                for word in ["203.0.113.7", "ALTO", "qui\u{e9}n es?"] {
                    assert!(!answer.text.contains(word), "{word} is in {path}{query}: {}", answer.text);
                }
                if *path != NUMBER {
                    assert!(!answer.text.contains("+13125550143"), "{path}{query}: {}", answer.text);
                }
            }
        }
        for position in 1..40 {
            let answer = world.get("manager", &format!("{}?position={position}", resident())).await;
            assert!(!answer.text.contains("+1312555"), "as of {position}: {}", answer.text);
        }
        let never = world.get("manager", &NUMBER.replace("0143", "0199")).await.json();
        let hers = world.get("manager", NUMBER).await.json();
        assert_eq!(
            (&hers["events"], &hers["state"]),
            (&never["events"], &never["state"]),
            "a number that nobody had looks so"
        );
        let auditors = world.get("auditor", NUMBER).await.json();
        assert!(auditors.to_string().contains("ConsentRevoked"), "{auditors}");
    }
}

#[tokio::test]
async fn each_reading_leaves_a_trace_and_without_one_there_is_no_reading() {
    let world = community().await;
    assert_eq!(world.get("auditor", &resident()).await.status, 200);
    assert_eq!(world.get("auditor", NUMBER).await.status, 200);
    assert_eq!(world.get("harbor", &resident()).await.status, 403);
    let readings = readings(&world).await;
    assert_eq!(readings.len(), 2, "{readings:?}");
    let about_number = readings.iter().find(|reading| reading["AuditTrailRead"]["subject"].get("Number").is_some());
    assert!(!about_number.expect("one").to_string().contains("5550143"), "the number is sealed");
    sqlx::query("revoke insert on log.pending from propty_engine")
        .execute(&mut world.owner().await)
        .await
        .expect("done");
    for path in [resident(), NUMBER.to_owned(), "/v1/audit/control".to_owned()] {
        let answer = world.get("auditor", &path).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text);
        assert!(!answer.text.contains("ConsentGranted"));
    }
}

#[tokio::test]
async fn the_control_finds_a_text_that_nothing_allowed() {
    let world = community().await;
    let control = format!("/v1/audit/control?property_id={}", id(HARBOR));
    let fine = world.get("auditor", &control).await.json();
    assert_eq!(
        (&fine["programme_texts_checked"], &fine["sent_without_standing_consent"]),
        (&json!(1), &json!(0)),
        "{fine}"
    );
    assert!(fine["checked_up_to_position"].as_i64() > Some(0));
    // One whose leave was another text's.
    let number = clear(LUCIA, "consent", &json!("+13125550143"));
    let content = json!({ "InvoicePublished": {
        "invoice_id": id(0x100), "title": "A", "total": { "amount": 1, "currency": "USD" }, "due_on": "2020-01-31",
    } });
    let forged = [
        json!({ "TextRequested": {
            "resident_id": id(LUCIA), "property_id": id(HARBOR), "language": "es", "fallback": false, "template": 1,
            "content": content, "cause": "none",
        } }),
        json!({ "TextSending": {
            "number": number, "number_key": id(0xb02), "body": clear(LUCIA, "message", &json!("x")),
            "authority": format!("sms-consent/{}/5", id(consent(LUCIA))), "grounds": {}, "encoding": "Gsm7", "segments": 1,
            "reference": "r", "provider": "twilio",
        } }),
    ];
    world.append::<TextMessageEvent>(ORGANIZATION, 0xb99, 0, &forged).await;
    world.settle().await;
    let found = world.get("auditor", &control).await.json();
    assert_eq!((&found["programme_texts_checked"], &found["sent_without_standing_consent"]), (&json!(2), &json!(1)));
    assert_eq!(found["texts"][0]["text_id"], id(0xb99));
    let other = world.get("auditor", "/v1/audit/control?until=2000-01-01T00:00:00Z").await.json();
    assert_eq!(other["texts_sent"], 0);
}
