//! The pages on which a person acts in place of Stripe's form.

use serde_json::{Value, json};

use crate::world::{Failure, Tested, World, start};

async fn form(world: &World, url: &str, fields: &[(&str, &str)]) -> Result<(u16, String, String), Failure> {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    let url = if url.starts_with("http") { url.to_owned() } else { world.url(url) };
    let answer = client.post(url).form(fields).send().await?;
    let place = answer.headers().get("location").and_then(|place| place.to_str().ok()).unwrap_or_default().to_owned();
    Ok((answer.status().as_u16(), place, answer.text().await?))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

const BACK: &str = "https%3A%2F%2Fhoa.example.com%2Fautopay";

#[tokio::test]
async fn a_person_keeps_a_card_on_the_page() -> Tested {
    let world = start().await?;
    let customer = world.post("/customers", &[]).await?;
    let intent = world.post("/setup_intents", &[("customer", customer.id())]).await?;
    let page =
        format!("/pages/setup/{}?client_secret={}&return_url={BACK}", intent.id(), text(&intent.body, "client_secret"));
    let shown = world.send(world.http.get(world.url(&page))).await?;
    assert!(shown.status == 200 && shown.body.as_str().is_some_and(|html| html.contains("4242424242424242")));
    let (status, _, html) = form(&world, &page, &[("number", "4000 0000 0000 9995")]).await?;
    assert!(status == 402 && html.contains("insufficient funds"), "{html}");
    let (status, place, _) = form(&world, &page, &[("number", "4242 4242 4242 4242"), ("expiry", "02/2031")]).await?;
    assert_eq!(status, 303);
    assert!(place.starts_with("https://hoa.example.com/autopay?setup_intent=seti_"), "{place}");
    assert!(place.contains("redirect_status=succeeded"), "{place}");
    let read = world.get(&format!("/setup_intents/{}?expand[]=payment_method", intent.id())).await?;
    assert_eq!(
        (&read.body["status"], &read.body["payment_method"]["card"]["exp_year"]),
        (&json!("succeeded"), &json!(2031))
    );
    let guess = format!("/pages/setup/{}?client_secret=guess", intent.id());
    assert_eq!(world.send(world.http.get(world.url(&guess))).await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn a_person_types_a_bank_account_and_tells_the_deposits() -> Tested {
    let world = start().await?;
    let intent = world.post("/setup_intents", &[("allowed_payment_method_types[]", "us_bank_account")]).await?;
    let page =
        format!("/pages/setup/{}?client_secret={}&return_url={BACK}", intent.id(), text(&intent.body, "client_secret"));
    let (status, place, _) = form(&world, &page, &[("account", "000123456789")]).await?;
    assert!(status == 303 && place.contains("/pages/microdeposits/"), "{place}");
    let (status, _, html) = form(&world, &place, &[("first", "1"), ("second", "2")]).await?;
    assert!(status == 402 && html.contains("does not match"), "{html}");
    let (status, place, _) = form(&world, &place, &[("first", "32"), ("second", "45")]).await?;
    assert!(status == 303 && place.starts_with("https://hoa.example.com/autopay?setup_intent="), "{place}");
    Ok(())
}

#[tokio::test]
async fn a_person_authenticates_and_pays() -> Tested {
    let world = start().await?;
    let intent = world.post("/payment_intents", &[("amount", "5000"), ("currency", "usd")]).await?;
    let page =
        format!("/pages/pay/{}?client_secret={}&return_url={BACK}", intent.id(), text(&intent.body, "client_secret"));
    let (_, place, _) = form(&world, &page, &[("number", "4000002760003184")]).await?;
    assert!(place.contains("/pages/authenticate/pi_"), "{place}");
    let (status, place, _) = form(&world, &place, &[("outcome", "succeeded")]).await?;
    assert!(status == 303 && place.contains("payment_intent=pi_"), "{place}");
    assert_eq!(world.get(&format!("/payment_intents/{}", intent.id())).await?.body["status"], "succeeded");
    Ok(())
}

#[tokio::test]
async fn what_a_person_shows_becomes_a_token_that_pays_once() -> Tested {
    let world = start().await?;
    world.board.finish_onboarding("acct_oak")?;
    let page = format!("/pages/token/acct_oak?return_url={BACK}");
    let (_, place, _) = form(&world, &page, &[("number", "4000056655665556")]).await?;
    let token = place.split("confirmation_token=").nth(1).unwrap_or_default().to_owned();
    assert!(token.starts_with("ctoken_"), "{place}");
    let read = world.get_as("acct_oak", &format!("/confirmation_tokens/{token}")).await?;
    assert_eq!(read.body["payment_method_preview"]["card"]["funding"], "debit");
    let form = [("amount", "5000"), ("currency", "usd"), ("confirm", "true"), ("confirmation_token", token.as_str())];
    let paid = world.post_as("acct_oak", "/payment_intents", &form).await?;
    assert_eq!((paid.status, &paid.body["status"]), (200, &json!("succeeded")));
    assert_eq!(world.post_as("acct_oak", "/payment_intents", &form).await?.status, 400);
    let read = world.get_as("acct_oak", &format!("/confirmation_tokens/{token}")).await?;
    assert_eq!(read.body["payment_intent"], json!(paid.id()));
    let browser = world.http.post(world.url("/stripe/v1/confirmation_tokens")).form(&[
        ("key", "pk_test_sandbox"),
        ("payment_method_data[type]", "card"),
        ("payment_method_data[card][number]", "4242424242424242"),
    ]);
    let late = world.send(browser).await?;
    world.switch("/clock", &json!({"advance_seconds": 13 * 3600})).await?;
    let form = [("amount", "5000"), ("currency", "usd"), ("confirm", "true"), ("confirmation_token", late.id())];
    let expired = world.post("/payment_intents", &form).await?;
    assert!(expired.status == 400 && expired.body.to_string().contains("expired"), "{}", expired.body);
    Ok(())
}
