//! Every operation × every role × strangers, against the table in `docs/authorization.md`.

use std::{collections::BTreeMap, fmt::Write, path::Path, time::Duration};

use events::Role;
use query_service::{FEED, OPERATIONS, authorization_table};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Answer, Client, Options, World};

const FILE: &str = "docs/authorization.md";
const METHODS: [&str; 3] = ["get", "post", "delete"];

/// An operation of the API that is not a query.
struct Operation {
    method: Method,
    path: String,
    /// Empty: everyone, even without a token.
    roles: Vec<&'static str>,
    everyone: bool,
    example: Value,
}

/// What the OpenAPI document says, besides the queries.
async fn operations(world: &World) -> Vec<Operation> {
    let document = world.visitor().get("/openapi.json").await;
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let known = &item[method];
            let mut queries = OPERATIONS.iter().chain(FEED);
            if !known.is_object() || queries.any(|query| query.path == path && method == "get") {
                continue;
            }
            let description = known["description"].as_str().unwrap_or_default();
            let audience = description.rsplit("\n\n").next().unwrap_or_default();
            let everyone = audience.starts_with("For everyone");
            let roles =
                Role::PEOPLE.iter().map(|role| role.name()).filter(|role| audience.contains(role)).collect::<Vec<_>>();
            assert!(everyone || !roles.is_empty(), "{path} does not say whom it is for: {description}");
            let example = known["requestBody"]["content"]["application/json"]["example"].clone();
            let method = method.to_uppercase().parse().expect("a method");
            found.push(Operation { method, path: path.clone(), roles, everyone, example });
        }
    }
    assert!(found.len() > 35, "the document has the commands");
    found
}

fn table(operations: &[Operation]) -> String {
    let names = Role::PEOPLE.map(Role::name);
    let mut text = String::from(
        "# Who may do what\n\n\
         Written by `UPDATE_DOCS=1 cargo test --test journeys authorization`, from what the code declares; without the variable, the same\n\
         test calls every cell of it. Where a role may, it may within its reach: a property's roles on their property, a resident on what\n\
         is their own, and nobody in another organization. What is out of reach is answered as if it did not exist.\n\n\
         ## Commands and other writes\n\n",
    );
    let _ = writeln!(text, "| operation | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
    for Operation { method, path, roles, everyone, .. } in operations {
        let marks = names.map(|name| if *everyone || roles.contains(&name) { "yes" } else { "no" });
        let _ = writeln!(text, "| `{method} {path}` | {} |", marks.join(" | "));
    }
    let _ = write!(
        text,
        "\nSign-in links and sessions can be asked for without a token or session; everything else needs one.\n\n## Queries\n\n"
    );
    text + &authorization_table()
}

/// Ids of the documentation's examples, and what they stand for here.
struct Things(BTreeMap<&'static str, Uuid>);

impl Things {
    /// The example's body about our things.
    fn put_into(&self, example: &Value) -> Value {
        let mut text = example.to_string().replace("CAD", "USD");
        for (suffix, id) in &self.0 {
            text = text.replace(&format!("01935c2e-0000-7000-8000-000000000{suffix}"), &id.to_string());
        }
        serde_json::from_str(&text).expect("JSON")
    }

    /// The same with ids of nothing.
    fn of_nothing(&self) -> Self {
        Self(self.0.keys().map(|suffix| (*suffix, Uuid::now_v7())).collect())
    }

    fn path(&self, path: &str) -> String {
        let mut parts = path.split('/').skip(2);
        let noun = parts.next().filter(|part| *part != "audit").or_else(|| parts.next()).unwrap_or_default();
        let suffix = match noun {
            "numbers" => return path.replace("{number}", "%2B12125550143"),
            "texts" => "c01",
            "invoices" => "301",
            "payments" => "402",
            "residents" => "201",
            "units" => "101",
            "properties" => "001",
            "messages" => "601",
            "jobs" => "a01",
            "stripe-accounts" => "0aa",
            "autopay" => "b01",
            "webhooks" => "d01",
            _ => return path.to_owned(),
        };
        path.replace("{id}", &self.0[suffix].to_string())
    }
}

/// A little of everything at Maple Court, about Ana.
async fn things(world: &World) -> Things {
    let (first, ana) = (&world.first, world.first.resident("Ana").clone());
    let client = world.sign_in(&ana).await;
    let paid = first.publish(&ana, 42_500, true).await;
    let online = world.pay(&client, paid, None).await;
    let open = first.publish(&ana, 42_500, false).await;
    let offline = Uuid::now_v7();
    let record = json!({
        "invoice_id": open, "payment_id": offline, "amount": { "amount": 20_000, "currency": "USD" }, "method": "Cash",
        "received_on": chrono::Utc::now().date_naive() - chrono::Days::new(1),
    });
    first.manager.command("RecordOfflinePayment", &record).await;
    let greta = first.resident("Greta").clone();
    first.publish(&greta, 1_000, true).await;
    let suppressed = first.manager.until_list("/v1/suppressions", |list| list.len() == 1).await;
    let message = first.until_message(paid, "invoice-published", "Delivered").await;
    let draft = first.draft(&ana, 7_000).await;
    let job = Uuid::now_v7();
    let drafts = json!({
        "job_id": job, "property_id": ana.property, "title": "Monthly fee", "due_on": crate::world::in_two_weeks(),
        "lines": [{ "description": "Condo fee", "amount": { "amount": 100, "currency": "USD" } }],
        "targets": [{ "invoice_id": Uuid::now_v7(), "unit_id": ana.unit, "resident_id": ana.id }],
    });
    first.manager.command("DraftInvoices", &drafts).await;
    first.manager.until(&format!("/v1/jobs/{job}"), |job| job["state"] == "Completed").await;
    let sought = world.begin_setup(&client, &ana, "EnableAutopay", "pm_card_visa").await;
    let enrollment = crate::world::id(&sought["autopay_id"]);
    let shown = Uuid::now_v7();
    let disclosure = json!({
        "resident_id": ana.id, "shown_id": shown, "property_id": ana.property, "language": "en",
        "time_zone": "America/New_York",
    });
    client.command("ShowDisclosure", &disclosure).await;
    let consent = json!({
        "resident_id": ana.id, "shown_id": shown, "phone": "+12125550143", "time_zone": "America/New_York",
        "checkbox": { "before": false, "after": true }, "scope": "All",
    });
    client.command("RecordSmsConsent", &consent).await;
    let texts = first.manager.until_list("/v1/texts", |list| list.len() == 1 && list[0]["status"] == "Delivered").await;
    let (token, _) = first.token("Integrator", None).await;
    world.sign_in(&ana).await;
    let session: String = sqlx::query_scalar(
        "select aggregate_id from log.events where event_type = 'SessionOpened' order by recorded_at desc limit 1",
    )
    .fetch_one(&world.database)
    .await
    .expect("a session");
    let sent = json!({ "url": "https://hooks.example.com/propty", "notice_email": "ops@example.com" });
    let webhook = first.manager.post("/v1/webhooks", &sent).await;
    assert_eq!(webhook.status, 201, "{}", webhook.text);
    Things(BTreeMap::from([
        ("001", ana.property),
        ("0aa", first.stripe_account_id),
        ("101", ana.unit),
        ("102", first.resident("Benoit").unit),
        ("201", ana.id),
        ("301", open),
        ("302", draft),
        ("303", Uuid::now_v7()),
        ("401", offline),
        ("402", online.id),
        ("501", Uuid::now_v7()),
        ("601", crate::world::id(&message["message_id"])),
        ("602", Uuid::now_v7()),
        ("701", crate::world::id(&suppressed[0]["suppression_id"])),
        ("801", token),
        ("901", session.parse().expect("an id")),
        ("a01", job),
        ("a02", Uuid::now_v7()),
        ("b01", enrollment),
        ("b02", Uuid::now_v7()),
        ("c01", crate::world::id(&texts[0]["text_id"])),
        ("d01", crate::world::id(&webhook.body["webhook_id"])),
    ]))
}

async fn call(client: &Client, operation: &Operation, things: &Things) -> Answer {
    let request = client.request(operation.method.clone(), &things.path(&operation.path));
    let request =
        if operation.example.is_null() { request } else { request.json(&things.put_into(&operation.example)) };
    client.send(request).await
}

#[tokio::test]
async fn every_operation_admits_exactly_the_roles_that_the_documentation_says() {
    let world = World::start(Options::default()).await;
    let (first, second) = (&world.first, &world.second);
    let operations = operations(&world).await;
    let text = table(&operations);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &text).expect("a written table");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == text, "{FILE} is not what the code says; run with UPDATE_DOCS=1 and look at the difference");

    let things = things(&world).await;
    let (here, elsewhere) = (first.property("Maple Court").id, first.property("Cedar Row").id);
    world.settle().await;
    let head = world.head(first.id).await;

    // Nobody: known by neither token nor session.
    let nobody = world.visitor();
    for operation in operations.iter().filter(|operation| !operation.everyone) {
        call(&nobody, operation, &things).await.assert_problem(401);
        call(&nobody.with_token("propty_wrong"), operation, &things).await.assert_problem(401);
    }
    for query in OPERATIONS {
        nobody.look(&things.path(query.path)).await.assert_problem(401);
        nobody
            .with_session("propty_session=00000000000000000000000000000000.AAAA")
            .look(&things.path(query.path))
            .await
            .assert_problem(401);
    }

    // Another organization: what is ours is to them as what does not exist.
    for operation in operations.iter().filter(|one| one.path.starts_with("/v1/commands/") || one.path.contains("{id}"))
    {
        let nothing = things.of_nothing();
        let name = operation.path.rsplit('/').next().unwrap_or_default();
        // Making what is one's own is no question of another's; that comes below.
        if ["RenameOrganization", "AddProperty", "ConnectStripeAccount", "PublishDisclosure"].contains(&name)
            || !operation.roles.contains(&"OrganizationManager")
        {
            continue;
        }
        let foreign = call(&second.manager, operation, &things).await;
        let missing = call(&second.manager, operation, &nothing).await;
        assert!((400..500).contains(&foreign.status), "{}: {}", operation.path, foreign.text);
        assert_eq!((foreign.status, &foreign.body), (missing.status, &missing.body), "{}", operation.path);
    }
    let guest = world.sign_in(second.resident("Maria")).await;
    for query in OPERATIONS.iter().filter(|query| query.path.contains("{id}")) {
        let nothing = things.of_nothing();
        let managers = query.roles.iter().any(|admitted| admitted.name() == "OrganizationManager");
        let client = if managers { &second.manager } else { &guest };
        let foreign = client.look(&things.path(query.path)).await;
        let missing = client.look(&nothing.path(query.path)).await;
        assert_eq!((foreign.status, foreign.body), (404, missing.body), "{}", query.path);
    }
    for operation in operations
        .iter()
        .filter(|one| one.path.ends_with("/AddProperty") || one.path.ends_with("/ConnectStripeAccount"))
    {
        let answer = call(&second.manager, operation, &things).await;
        assert!(matches!(answer.status, 200 | 404), "with an id that is ours: {}: {}", operation.path, answer.text);
    }
    world.settle().await;
    assert_eq!(world.head(first.id).await, head, "what others do under our ids is nothing of ours");

    // The same organization, but another property, or another resident.
    let neighbour = world.sign_in(first.resident("Benoit")).await;
    world.settle().await;
    let before = world.head(first.id).await;
    for (role, client) in [
        ("PropertyAdmin", first.token("PropertyAdmin", Some(elsewhere)).await.1),
        ("PropertyManager", first.token("PropertyManager", Some(elsewhere)).await.1),
        ("Resident", neighbour.clone()),
    ] {
        for operation in
            operations.iter().filter(|one| one.path.starts_with("/v1/commands/") && one.roles.contains(&role))
        {
            let answer = call(&client, operation, &things).await;
            assert_eq!(answer.status, 404, "{role} elsewhere: {}: {}", operation.path, answer.text);
        }
        for query in OPERATIONS.iter().filter(|query| query.path.contains("{id}")) {
            // A resident may look at the property that they live in, and both look at one association's account.
            let shared =
                (role == "Resident" && query.path.starts_with("/v1/properties/{id}") && !query.path.contains("dash"))
                    || query.tag == "Stripe accounts";
            if query.roles.iter().any(|admitted| admitted.name() == role) && !shared && !query.path.contains("stripe") {
                let answer = client.look(&things.path(query.path)).await;
                assert_eq!(answer.status, 404, "{role} elsewhere: {}: {}", query.path, answer.text);
            }
        }
    }
    world.settle().await;
    let written = world.told_since(first.id, before).await;
    // Who tries to opt a neighbour in is refused, and that is on record.
    assert_eq!(written, ["AccessTokenIssued", "AccessTokenIssued", "OptInRefused", "OptInRefused", "OptInRefused"]);

    // Each role within its reach: refused exactly where the table says so. Those who may most come last, for they change most.
    let walk = [
        ("Resident", world.sign_in(first.resident("Ana")).await),
        ("ComplianceAuditor", first.token("ComplianceAuditor", None).await.1),
        ("Integrator", first.token("Integrator", None).await.1),
        ("PropertyManager", first.token("PropertyManager", Some(here)).await.1),
        ("PropertyAdmin", first.token("PropertyAdmin", Some(here)).await.1),
        ("OrganizationManager", first.token("OrganizationManager", None).await.1),
    ];
    // A token is known once the read models have seen it.
    world.settle().await;
    for (role, client) in &walk {
        for query in OPERATIONS {
            let admitted = query.roles.iter().any(|one| one.name() == *role);
            let answer = client.look(&things.path(query.path)).await;
            if admitted {
                assert_eq!(answer.status, 200, "{role}: GET {}: {}", query.path, answer.text);
            } else {
                assert_eq!(answer.status, 403, "{role}: GET {}: {}", query.path, answer.text);
                answer.assert_problem(403);
            }
        }
    }
    // Another address ends the sessions that were opened through the one before, the walker's among them.
    let (last, others): (Vec<_>, Vec<_>) =
        operations.iter().partition(|operation| operation.path.ends_with("/ChangeResidentEmail"));
    assert_eq!(last.len(), 1);
    let mut done = BTreeMap::new();
    for (role, client) in &walk {
        for operation in others.iter().chain(&last).copied() {
            // Signing out is for the neighbour's session; the others still need theirs.
            let closes = operation.path == "/v1/sessions/current" && *role == "Resident";
            let answer = call(if closes { &neighbour } else { client }, operation, &things).await;
            let what = format!("{role}: {} {}: {} {}", operation.method, operation.path, answer.status, answer.text);
            if operation.everyone || operation.roles.contains(role) {
                assert!(answer.status != 403 && answer.status != 401 && answer.status < 500, "{what}");
                *done.entry(operation.path.clone()).or_insert(0) += usize::from(answer.status < 300);
            } else {
                assert_eq!(answer.status, 403, "{what}");
                answer.assert_problem(403);
            }
        }
    }
    // The walk means something only if what is admitted mostly succeeds.
    let never: Vec<_> = done.iter().filter(|(_, count)| **count == 0).map(|(path, _)| path.as_str()).collect();
    assert!(never.len() < done.len() / 3, "these never succeeded: {never:?}");
    // What was closed is known as closed once the read models have seen it, and whoever was just known is looked up again.
    world.settle().await;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    neighbour.look("/v1/me").await.assert_problem(401);
    world.remember_second().await;
    world.assert_log().await;
    world.assert_letters().await;
}
