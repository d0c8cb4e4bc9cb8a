//! Idempotency keys as Stripe honours them.

use serde_json::json;

use crate::world::{Tested, start};

const FORM: [(&str, &str); 4] =
    [("amount", "5000"), ("currency", "usd"), ("confirm", "true"), ("payment_method", "pm_card_visa")];

#[tokio::test]
async fn the_same_request_is_answered_from_memory() -> Tested {
    let world = start().await?;
    let first = world.post_keyed("/payment_intents", "inv_1:1", &FORM).await?;
    let mut reordered = FORM;
    reordered.reverse();
    let second = world.post_keyed("/payment_intents", "inv_1:1", &reordered).await?;
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    assert_eq!(second.header("original-request"), first.header("request-id"));
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    assert_eq!(world.board.objects("charges").map(|all| all.len()), Some(1));
    Ok(())
}

#[tokio::test]
async fn declines_are_replayed_and_refused_parameters_are_not() -> Tested {
    let world = start().await?;
    let declined =
        [("amount", "5000"), ("currency", "usd"), ("confirm", "true"), ("payment_method", "pm_card_chargeDeclined")];
    let first = world.post_keyed("/payment_intents", "inv_1:1", &declined).await?;
    let second = world.post_keyed("/payment_intents", "inv_1:1", &declined).await?;
    assert_eq!((second.status, second.header("idempotent-replayed")), (402, Some("true")));
    assert_eq!(first.body, second.body);
    let wrong = world.post_keyed("/payment_intents", "inv_2:1", &[("amount", "x"), ("currency", "usd")]).await?;
    assert_eq!(wrong.status, 400);
    let right = world.post_keyed("/payment_intents", "inv_2:1", &FORM).await?;
    assert_eq!(right.status, 200);
    Ok(())
}

#[tokio::test]
async fn another_body_or_path_is_refused() -> Tested {
    let world = start().await?;
    world.post_keyed("/payment_intents", "inv_1:1", &FORM).await?;
    for (path, form) in
        [("/payment_intents", vec![("amount", "6000"), ("currency", "usd")]), ("/customers", FORM.to_vec())]
    {
        let other = world.post_keyed(path, "inv_1:1", &form).await?;
        assert_eq!((other.status, &other.body["error"]["type"]), (400, &json!("idempotency_error")));
    }
    Ok(())
}

#[tokio::test]
async fn a_key_in_flight_conflicts() -> Tested {
    let world = start().await?;
    world.fault(json!({"provider": "stripe", "match": "POST /v1/payment_intents", "kind": "slow", "ms": 400})).await?;
    let (first, second) = tokio::join!(world.post_keyed("/payment_intents", "k", &FORM), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        world.post_keyed("/payment_intents", "k", &FORM).await
    });
    assert_eq!(first?.status, 200);
    let second = second?;
    assert_eq!((second.status, &second.body["error"]["code"]), (409, &json!("idempotency_key_in_use")));
    let third = world.post_keyed("/payment_intents", "k", &FORM).await?;
    assert_eq!(third.header("idempotent-replayed"), Some("true"));
    Ok(())
}

#[tokio::test]
async fn keys_are_forgotten_after_a_day() -> Tested {
    let world = start().await?;
    let first = world.post_keyed("/payment_intents", "k", &FORM).await?;
    world.switch("/clock", &json!({"offset_seconds": 86_400})).await?;
    let second = world.post_keyed("/payment_intents", "k", &FORM).await?;
    assert_eq!(second.header("idempotent-replayed"), None);
    assert_ne!(first.id(), second.id());
    let created = |answer: &crate::world::Answer| answer.body["created"].as_i64().unwrap_or(0);
    assert!(created(&second) - created(&first) >= 86_400);
    Ok(())
}

#[tokio::test]
async fn fifty_concurrent_requests_with_one_key_make_one_charge() -> Tested {
    let world = start().await?;
    let requests = (0..50).map(|_| world.post_keyed("/payment_intents", "k", &FORM));
    let answers = futures_util::future::join_all(requests).await;
    for answer in answers {
        assert!(matches!(answer?.status, 200 | 409));
    }
    assert_eq!(world.board.objects("charges").map(|all| all.len()), Some(1));
    Ok(())
}
