//! Each scripted fault does what it says, and no more.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{Tested, World, start};

const FORM: [(&str, &str); 4] =
    [("amount", "5000"), ("currency", "usd"), ("confirm", "true"), ("payment_method", "pm_card_visa")];

fn charges(world: &World) -> usize {
    world.board.objects("charges").map_or(0, |all| all.len())
}

fn fault(kind: &str, more: Value) -> Value {
    let mut fault = json!({"provider": "stripe", "match": "POST /v1/payment_intents", "kind": kind, "times": 1});
    if let (Some(fault), Value::Object(more)) = (fault.as_object_mut(), more) {
        fault.extend(more);
    }
    fault
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back_and_does_nothing() -> Tested {
    let world = start().await?;
    world.fault(fault("rate_limit", json!({"retry_after": 7}))).await?;
    let first = world.post_keyed("/payment_intents", "k", &FORM).await?;
    assert_eq!((first.status, first.header("retry-after")), (429, Some("7")));
    assert_eq!(charges(&world), 0);
    assert_eq!(world.post_keyed("/payment_intents", "k", &FORM).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_server_error_is_kept_under_its_key() -> Tested {
    let world = start().await?;
    world.fault(fault("server_error", json!({}))).await?;
    for _ in 0..2 {
        let answer = world.post_keyed("/payment_intents", "k", &FORM).await?;
        assert_eq!((answer.status, &answer.body["error"]["type"]), (500, &json!("api_error")));
    }
    assert_eq!(charges(&world), 0);
    assert_eq!(world.post_keyed("/payment_intents", "k2", &FORM).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_time_out_before_commit_leaves_nothing() -> Tested {
    let world = start().await?;
    world.fault(fault("timeout_before_commit", json!({"hold_ms": 50}))).await?;
    assert!(world.post_keyed("/payment_intents", "k", &FORM).await.is_err());
    assert_eq!(charges(&world), 0);
    let again = world.post_keyed("/payment_intents", "k", &FORM).await?;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, None));
    Ok(())
}

#[tokio::test]
async fn a_time_out_after_commit_leaves_the_charge_for_the_replay() -> Tested {
    let world = start().await?;
    // The same connection served a request before: a client must not take the cut for an idle connection and resend.
    world.get("/events").await?;
    world.fault(fault("timeout_after_commit", json!({"hold_ms": 50}))).await?;
    assert!(world.post_keyed("/payment_intents", "k", &FORM).await.is_err());
    assert_eq!(charges(&world), 1);
    let again = world.post_keyed("/payment_intents", "k", &FORM).await?;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")));
    assert_eq!(charges(&world), 1);
    Ok(())
}

#[tokio::test]
async fn a_truncated_answer_breaks_off_in_the_body() -> Tested {
    let world = start().await?;
    world.fault(fault("truncate", json!({}))).await?;
    let request = world.stripe(reqwest::Method::POST, "/payment_intents").header("Idempotency-Key", "k").form(&FORM);
    let response = request.send().await?;
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
    assert_eq!(charges(&world), 1);
    Ok(())
}

#[tokio::test]
async fn a_garbled_answer_is_not_json() -> Tested {
    let world = start().await?;
    world.fault(fault("garble", json!({}))).await?;
    let answer = world.post_keyed("/payment_intents", "k", &FORM).await?;
    assert!(answer.status == 200 && answer.body.is_string());
    assert_eq!(charges(&world), 1);
    Ok(())
}

#[tokio::test]
async fn the_held_connection_outlasts_an_impatient_client() -> Tested {
    let world = start().await?;
    world.fault(fault("timeout_after_commit", json!({"hold_ms": 5000}))).await?;
    let request = world.stripe(reqwest::Method::POST, "/payment_intents").form(&FORM);
    let answer = request.timeout(Duration::from_millis(100)).send().await;
    assert!(answer.is_err_and(|error| error.is_timeout()));
    assert_eq!(charges(&world), 1);
    Ok(())
}

#[tokio::test]
async fn faults_can_be_seen_and_taken_back() -> Tested {
    let world = start().await?;
    world.fault(fault("server_error", json!({"times": 100}))).await?;
    assert_eq!(world.look("/faults").await?.body[0]["fault"]["kind"], "server_error");
    world.send(world.http.delete(world.url("/switchboard/faults"))).await?;
    assert_eq!(world.post("/payment_intents", &FORM).await?.status, 200);
    let nonsense = world.switch("/faults", &json!({"kind": "earthquake"})).await?;
    assert_eq!(nonsense.status, 400);
    Ok(())
}
