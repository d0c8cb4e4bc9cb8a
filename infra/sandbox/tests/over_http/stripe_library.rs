//! The library Propty uses reads every object the sandbox writes.

use stripe::{Client, ClientBuilder};
use stripe_client_core::RequestStrategy;
use stripe_connect::account::{CreateAccount, RetrieveAccount};
use stripe_connect::account_link::{CreateAccountLink, CreateAccountLinkType};
use stripe_connect::login_link::CreateAccountLoginLink;
use stripe_core::customer::CreateCustomer;
use stripe_core::payment_intent::{
    ConfirmPaymentIntent, CreatePaymentIntent, ListPaymentIntent, RetrievePaymentIntent,
};
use stripe_core::refund::CreateRefund;
use stripe_shared::PaymentIntentStatus;
use stripe_types::Currency;

use crate::world::{Tested, World, start};

fn client(world: &World, account: Option<&str>) -> Result<Client, crate::world::Failure> {
    let mut builder =
        ClientBuilder::new("sk_test_sandbox").url(world.url("/stripe/")).request_strategy(RequestStrategy::Once);
    if let Some(account) = account {
        builder = builder.account_id(account.parse()?);
    }
    Ok(builder.build()?)
}

#[tokio::test]
async fn the_library_creates_pays_refunds_and_lists() -> Tested {
    let world = start().await?;
    let platform = client(&world, None)?;
    let account = CreateAccount::new().country("US").send(&platform).await?;
    world.board.finish_onboarding(account.id.as_str())?;
    let account = RetrieveAccount::new(account.id.clone()).send(&platform).await?;
    assert_eq!(account.charges_enabled, Some(true));
    let link = CreateAccountLink::new(account.id.as_str(), CreateAccountLinkType::AccountOnboarding)
        .refresh_url("https://example.com/again")
        .return_url("https://example.com/back")
        .send(&platform)
        .await?;
    let login = CreateAccountLoginLink::new(account.id.clone()).send(&platform).await?;
    assert!(link.url.starts_with(&world.url("/connect/")) && login.url.starts_with(&world.url("/connect/")));
    let client = client(&world, Some(account.id.as_str()))?;
    let customer = CreateCustomer::new().email("ana@example.com").send(&client).await?;
    let intent = CreatePaymentIntent::new(25_000, Currency::USD)
        .customer(customer.id.as_str())
        .application_fee_amount(175)
        .send(&client)
        .await?;
    let declined = ConfirmPaymentIntent::new(intent.id.clone())
        .payment_method("pm_card_chargeDeclinedInsufficientFunds")
        .send(&client)
        .await;
    match declined {
        Err(stripe::StripeError::Stripe(error, status)) => {
            assert_eq!((status, error.decline_code.as_deref()), (402, Some("insufficient_funds")));
            assert!(error.payment_intent.is_some() && error.payment_method.is_some());
        }
        other => return Err(format!("expected a card error, got {other:?}").into()),
    }
    let paid = ConfirmPaymentIntent::new(intent.id.clone())
        .payment_method("pm_card_visa")
        .expand(["latest_charge.balance_transaction".to_owned()])
        .send(&client)
        .await?;
    assert_eq!(paid.status, PaymentIntentStatus::Succeeded);
    let charge = paid.latest_charge.as_ref().and_then(|charge| charge.as_object());
    let transaction = charge.and_then(|charge| charge.balance_transaction.as_ref()?.as_object());
    assert_eq!(transaction.map(|transaction| transaction.fee), Some(755 + 175));
    let refund = CreateRefund::new().payment_intent(intent.id.as_str()).amount(1_000).send(&client).await?;
    assert_eq!(refund.status.as_deref(), Some("succeeded"));
    let listed = ListPaymentIntent::new().customer(customer.id.as_str()).send(&client).await?;
    assert_eq!(listed.data.len(), 1);
    let asked = CreatePaymentIntent::new(25_000, Currency::USD)
        .payment_method("pm_card_authenticationRequired")
        .confirm(true)
        .send(&client)
        .await?;
    assert_eq!(asked.status, PaymentIntentStatus::RequiresAction);
    let bank = CreatePaymentIntent::new(25_000, Currency::USD)
        .payment_method("pm_usBankAccount_success")
        .confirm(true)
        .expand(["latest_charge".to_owned(), "payment_method".to_owned()])
        .send(&client)
        .await?;
    assert_eq!(bank.status, PaymentIntentStatus::Processing);
    let again = RetrievePaymentIntent::new(bank.id.clone()).send(&client).await?;
    assert_eq!(again.id, bank.id);
    Ok(())
}
