//! Resend: sending once, fates, suppression, and the page that shows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::json;

use crate::world::{RESEND_SECRET, Received, Tested, start};

fn verified(event: &Received) -> bool {
    let secret = STANDARD.decode(RESEND_SECRET.trim_start_matches("whsec_")).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let signed = format!("{}.{}.{}", event.header("svix-id"), event.header("svix-timestamp"), event.body);
    let tag = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
    event.header("svix-signature") == format!("v1,{tag}")
}

#[tokio::test]
async fn an_e_mail_is_sent_once_per_key() -> Tested {
    let world = start().await?;
    let first = world.mail("ana@example.com", Some("msg-1")).await?;
    let second = world.mail("ana@example.com", Some("msg-1")).await?;
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    let other = world.mail("ben@example.com", Some("msg-1")).await?;
    assert_eq!((other.status, &other.body["name"]), (409, &json!("invalid_idempotent_request")));
    world.flush().await?;
    assert_eq!((world.inbox.count("email.sent"), world.inbox.count("email.delivered")), (1, 1));
    assert!(world.inbox.all().iter().all(verified));
    let read = world.http.get(world.url(&format!("/resend/emails/{}", first.id()))).bearer_auth("re_test");
    assert_eq!(world.send(read).await?.body["last_event"], "delivered");
    Ok(())
}

#[tokio::test]
async fn what_was_sent_is_listed_newest_first_page_by_page_without_its_text() -> Tested {
    let world = start().await?;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(world.mail(&format!("ana{number}@example.com"), None).await?.id().to_owned());
    }
    let list = async |query: &str| {
        world.send(world.http.get(world.url(&format!("/resend/emails{query}"))).bearer_auth("re_test")).await
    };
    let first = list("?limit=2").await?.body;
    let seen = |page: &serde_json::Value| -> Vec<String> {
        let data = page["data"].as_array().cloned().unwrap_or_default();
        data.iter().filter_map(|email| email["id"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!((seen(&first), &first["has_more"]), (vec![ids[2].clone(), ids[1].clone()], &json!(true)));
    assert!(first["data"][0].get("text").is_none() && first["data"][0].get("html").is_none());
    let second = list(&format!("?limit=2&after={}", ids[1])).await?.body;
    assert_eq!((seen(&second), &second["has_more"]), (vec![ids[0].clone()], &json!(false)));
    assert_eq!((list("?limit=0").await?.status, list("?after=nothing").await?.status), (422, 422));
    Ok(())
}

#[tokio::test]
async fn a_key_in_flight_conflicts() -> Tested {
    let world = start().await?;
    world.fault(json!({"provider": "resend", "kind": "slow", "ms": 400})).await?;
    let (first, second) = tokio::join!(world.mail("ana@example.com", Some("k")), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        world.mail("ana@example.com", Some("k")).await
    });
    assert_eq!(first?.status, 200);
    assert_eq!(second?.body["name"], "concurrent_idempotent_requests");
    Ok(())
}

#[tokio::test]
async fn recipients_decide_their_fate() -> Tested {
    let world = start().await?;
    for to in [
        "bounce@example.com",
        "softbounce@example.com",
        "complain@example.com",
        "delay@example.com",
        "suppressed@example.com",
    ] {
        assert_eq!(world.mail(to, None).await?.status, 200);
    }
    world.flush().await?;
    let bounces: Vec<_> = world
        .inbox
        .all()
        .iter()
        .filter(|one| one.kind() == "email.bounced")
        .map(|one| one.json()["data"]["bounce"]["type"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert!(bounces.contains(&"Permanent".to_owned()) && bounces.contains(&"Transient".to_owned()));
    for kind in ["email.complained", "email.delivery_delayed", "email.suppressed"] {
        assert_eq!(world.inbox.count(kind), 1, "{kind}");
    }
    world.mail("complain@example.com", None).await?;
    let lifted = world.http.delete(world.url("/resend/suppressions/complain%40example.com")).bearer_auth("re_test");
    assert_eq!(world.send(lifted).await?.status, 200);
    let sent = world.mail("Ana <ana@example.com>", None).await?;
    world.switch(&format!("/resend/emails/{}", sent.id()), &json!({"event": "opened"})).await?;
    world.flush().await?;
    assert_eq!((world.inbox.count("email.suppressed"), world.inbox.count("email.opened")), (2, 1));
    Ok(())
}

#[tokio::test]
async fn bad_e_mails_are_refused() -> Tested {
    let world = start().await?;
    let send =
        |body: serde_json::Value| world.http.post(world.url("/resend/emails")).bearer_auth("re_test").json(&body);
    for (body, name) in [
        (json!({"to": "a@example.com", "subject": "x", "text": "x"}), "missing_required_field"),
        (json!({"from": "a@example.com", "to": "nobody", "subject": "x", "text": "x"}), "validation_error"),
        (json!({"from": "a@example.com", "to": "b@example.com", "subject": "x"}), "missing_required_field"),
        (
            json!({"from": "a@example.com", "to": "b@example.com", "subject": "x", "text": "x", "tags": [{"name": "a b", "value": "c"}]}),
            "validation_error",
        ),
    ] {
        let answer = world.send(send(body)).await?;
        assert_eq!((answer.status, &answer.body["name"]), (422, &json!(name)));
    }
    assert_eq!(world.send(world.http.post(world.url("/resend/emails")).body("{}")).await?.status, 401);
    world.fault(json!({"provider": "resend", "kind": "rate_limit", "retry_after": 2})).await?;
    let limited = world.mail("ana@example.com", None).await?;
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("2")));
    Ok(())
}

#[tokio::test]
async fn the_page_escapes_everything_foreign() -> Tested {
    let world = start().await?;
    let evil = "<script>alert(1)</script>\"'><img src=x>";
    let body = json!({"from": "a@example.com", "to": "b@example.com", "subject": evil, "html": evil, "text": evil});
    world.send(world.http.post(world.url("/resend/emails")).bearer_auth("re_test").json(&body)).await?;
    world.post("/payment_intents", &[("amount", "5000"), ("currency", "usd"), ("description", evil)]).await?;
    world.board.update_account("acct_oak", &json!({"business_profile": {"name": evil}}))?;
    let text = [("To", "+15555550100"), ("MessagingServiceSid", "MG1"), ("Body", evil)];
    let path = "/twilio/2010-04-01/Accounts/AC1/Messages.json";
    world.send(world.http.post(world.url(path)).basic_auth("AC1", Some("t")).form(&text)).await?;
    world.switch("/faults", &json!({"kind": "garble", "match": evil})).await?;
    let page = world.http.get(world.url("/")).send().await?.text().await?;
    assert!(!page.contains("<script") && !page.contains("<img"));
    assert!(page.contains("<iframe sandbox") && page.contains("&lt;script&gt;alert(1)"));
    assert!(page.matches("&lt;script&gt;").count() >= 7);
    Ok(())
}
