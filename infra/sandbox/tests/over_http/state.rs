//! What was answered outlives the process.

use sandbox::SandboxConfig;
use serde_json::json;

use crate::world::{Tested, start_with};

#[tokio::test]
async fn a_restart_keeps_objects_keys_clock_and_undelivered_webhooks() -> Tested {
    let folder = tempfile::tempdir()?;
    let config =
        || SandboxConfig { state_file: Some(folder.path().join("sandbox/state.jsonl")), ..SandboxConfig::default() };
    let form = [("amount", "5000"), ("currency", "usd"), ("confirm", "true"), ("payment_method", "pm_card_visa")];
    let world = start_with(config()).await?;
    world.inbox.refuse(usize::MAX);
    world.switch("/clock", &json!({"offset_seconds": 500})).await?;
    let paid = world.post_keyed("/payment_intents", "k", &form).await?;
    let mail = world.mail("ana@example.com", Some("m")).await?;
    // Dropped, not stopped: as after kill -9, nothing may be left to write.
    drop(world);
    let world = start_with(config()).await?;
    let replayed = world.post_keyed("/payment_intents", "k", &form).await?;
    assert_eq!((replayed.header("idempotent-replayed"), &replayed.body), (Some("true"), &paid.body));
    assert_eq!(world.mail("ana@example.com", Some("m")).await?.body, mail.body);
    let read = world.get(&format!("/payment_intents/{}", paid.id())).await?;
    assert_eq!(read.body, paid.body);
    assert_eq!(world.look("").await?.body["state"]["clock_offset_seconds"], 500);
    world.flush().await?;
    assert_eq!(world.inbox.count("payment_intent.succeeded"), 1);
    assert_eq!(world.inbox.count("email.delivered"), 1);
    Ok(())
}

#[tokio::test]
async fn a_thousand_charges_are_quick() -> Tested {
    let folder = tempfile::tempdir()?;
    let config = SandboxConfig { state_file: Some(folder.path().join("state.jsonl")), ..SandboxConfig::default() };
    let world = start_with(config).await?;
    let began = std::time::Instant::now();
    for _ in 0..20 {
        let batch = (0..50).map(|_| world.pay("5000", "pm_card_visa"));
        for answer in futures_util::future::join_all(batch).await {
            assert_eq!(answer?.status, 200);
        }
    }
    world.flush().await?;
    println!("1000 charges and 3000 webhooks in {:?}", began.elapsed());
    assert_eq!(world.inbox.count("payment_intent.succeeded"), 1_000);
    Ok(())
}

#[test]
fn the_handle_works_outside_the_runtime() -> Tested {
    let runtime = tokio::runtime::Runtime::new()?;
    let world = runtime.block_on(start_with(SandboxConfig::default()))?;
    world.board.finish_onboarding("acct_oak")?;
    runtime.block_on(world.flush())?;
    assert_eq!(world.inbox.count("account.updated"), 1);
    Ok(())
}
