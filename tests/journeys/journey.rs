//! The main job, from a draft to a receipt and back.

use crate::world::{Options, World};

#[tokio::test]
async fn an_invoice_travels_from_draft_to_receipt_and_refund() {
    let world = World::start(Options::default()).await;
    let ana = world.first.resident("Ana").clone();
    let invoice = world.first.publish(&ana, 42_500, true).await;
    let client = world.sign_in(&ana).await;
    let payment = world.pay(&client, invoice, None).await;
    world.first.until_message(invoice, "payment-received", "Delivered").await;
    assert_eq!(payment.total, 42_500);
    world.assert_invariants().await;
}
