//! What every world begins with, lived through once: two organizations with tokens, Stripe connected, a letter delivered.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use serde_json::json;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{
    client::PATIENCE,
    community::{FIRST, Organization, SECOND},
    process::{Process, binary, run},
    sandbox::Sandbox,
    server::{Fresh, port, server},
    until_ready,
};

/// A stopped world to be copied.
pub struct Template {
    pub database: Fresh,
    pub sandbox_state: PathBuf,
    pub first: Organization,
    pub second: Organization,
}

/// The template of this process.
pub async fn template() -> &'static Template {
    static TEMPLATE: OnceCell<Template> = OnceCell::const_new();
    static TRIED: AtomicBool = AtomicBool::new(false);
    let once = || async {
        // Where it fails it fails for everyone: waiting again in each journey would take an hour to say so.
        assert!(!TRIED.swap(true, Ordering::Relaxed), "the template could not be made; the first failure tells why");
        make().await
    };
    TEMPLATE.get_or_init(once).await
}

async fn make() -> Template {
    let database = server().await.database().await;
    let folder = tempfile::tempdir().expect("a folder").keep();
    let url = database.deployer.url();
    let mut founded = Vec::new();
    for (csv, name) in [(FIRST, "Evergreen Communities"), (SECOND, "Lakeside Management")] {
        let file = folder.join("community.csv");
        std::fs::write(&file, csv).expect("a file");
        let organization = Uuid::now_v7();
        let mut import = binary(&folder);
        import.env("DATABASE_URL", &url).arg("import").arg(&file);
        import.args(["--organization", &organization.to_string(), "--organization-name", name]);
        let output = run(import).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut token = binary(&folder);
        token.env("DATABASE_URL", &url).args(["token", "--organization", &organization.to_string()]);
        let output = run(token).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        founded.push((organization, String::from_utf8_lossy(&output.stdout).trim().to_owned()));
    }
    let (propty_port, sandbox_port) = (port(), port());
    let (propty_url, sandbox_url) =
        (format!("http://127.0.0.1:{propty_port}"), format!("http://127.0.0.1:{sandbox_port}"));
    let mut command = binary(&folder);
    command.args(["sandbox", "--listen", &format!("127.0.0.1:{sandbox_port}"), "--propty", &propty_url]);
    let sandbox_process = Process::new(command, folder.join("sandbox.stderr"));
    let mut command = binary(&folder);
    command.env("DATABASE_URL", &url).env("PROPTY_LISTEN", format!("127.0.0.1:{propty_port}"));
    command.args(["serve", "--sandbox-url", &sandbox_url]);
    let propty = Process::new(command, folder.join("propty.stderr"));
    sandbox_process.start();
    propty.start();
    until_ready(&propty, &propty_url).await;
    let sandbox = Sandbox::new(&sandbox_url);
    let mut organizations = Vec::new();
    for ((organization, token), people) in founded.into_iter().zip([FIRST, SECOND].map(|csv| csv.lines().count() - 1)) {
        let manager = super::Client::nobody(&propty_url).with_token(&token);
        // The token works as soon as the read model has it.
        manager.until("/v1/me", |_| true).await;
        manager.until_list("/v1/residents", |list| list.len() == people).await;
        let mut organization = Organization::find(organization, &token, &propty_url).await;
        connect(&mut organization, &sandbox).await;
        organizations.push(organization);
    }
    let (Some(second), Some(first)) = (organizations.pop(), organizations.pop()) else { unreachable!() };
    let invoice = second.publish(second.resident("Maria"), 31_000, true).await;
    second.until_message(invoice, "invoice-published", "Delivered").await;
    assert_eq!(sandbox.flush().await, 0, "every webhook is delivered");
    assert!(propty.stop("TERM").await, "{}", propty.log());
    assert!(sandbox_process.stop("INT").await, "{}", sandbox_process.log());
    Template { database, sandbox_state: folder.join("sandbox.state"), first, second }
}

/// Opens an account at Stripe, lets its owner fill in the forms, and assigns it to every property.
async fn connect(organization: &mut Organization, sandbox: &Sandbox) {
    let started = Instant::now();
    let id = Uuid::now_v7();
    let manager = &organization.manager;
    let body = json!({ "stripe_account_id": id, "name": "Association", "country": "US" });
    manager.command("ConnectStripeAccount", &body).await;
    let path = format!("/v1/stripe-accounts/{id}");
    let opened = manager.until(&path, |account| account["external_account"].is_string()).await;
    let account = opened["external_account"].as_str().unwrap_or_default().to_owned();
    sandbox.act(&format!("/stripe/accounts/{account}/onboard"), &json!({})).await;
    manager.until(&path, |account| account["status"] == "Active").await;
    for property in &organization.properties {
        let body = json!({ "property_id": property.id, "stripe_account_id": id });
        manager.command("AssignStripeAccount", &body).await;
    }
    organization.stripe_account_id = id;
    organization.account = account;
    assert!(started.elapsed() < PATIENCE);
}
