//! A history that was restored: nothing is charged or sent until somebody accepts it.

use serde_json::Value;

use crate::world::{Options, World};

async fn status(world: &World) -> Value {
    let output = world.propty(&["status", "--json"]).await;
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn after_a_restore_nothing_is_charged_or_sent_until_it_is_accepted() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let ana = world.first.resident("Ana").clone();
    world.enroll(&ana, "pm_card_visa").await;
    world.pass_days(1).await;
    world.settle().await;
    assert_eq!(status(&world).await["quarantined_since"], Value::Null);
    assert!(!world.propty(&["restore", "accept"]).await.status.success(), "there is nothing to accept");
    // A copy of the folder shows nothing by itself; another cluster, or a history that forked, does.
    for by_hand in [true, false] {
        world.stop().await;
        if by_hand {
            assert!(world.propty(&["restore", "quarantine"]).await.status.success());
        } else {
            let moved = "with moved as (update engine.installation set cluster = 'another/1' returning 1) select count(*) from moved";
            assert_eq!(world.count(moved).await, 1);
        }
        world.restart().await;
        let today = world.now().await.date_naive();
        let invoice = world.publish_due(&ana, 4_200, today).await;
        let letter = world.first.publish(&ana, 1_100, true).await;
        assert!(status(&world).await["quarantined_since"].is_string());
        assert_eq!(world.charged(invoice).await, (0, 0));
        let reacted = "select count(*) from engine.checkpoints
                       where subscriber like 'process/%' and global_position = (select max(global_position) from log.entries)";
        assert_eq!(world.count(reacted).await, 0, "nobody reacts");
        let accepted = world.propty(&["restore", "accept"]).await;
        assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
        world.first.until_status(invoice, "Paid").await;
        world.first.until_message(letter, "invoice-published", "Delivered").await;
        assert_eq!(world.charged(invoice).await, (1, 4_200));
    }
    assert_eq!(world.count("select incarnation::bigint from engine.installation").await, 3);
    world.settle().await;
    world.assert_invariants().await;
}
