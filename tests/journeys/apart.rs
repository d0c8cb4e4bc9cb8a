//! The sides deployed apart: each binary on its own port, over one database.

use std::process::Command;

use crate::world::{Client, Options, Process, World, binary, port, until_ready};

/// A sibling of the binary under test, with the same environment.
fn sibling(world: &World, name: &str, url: &str) -> Process {
    let path = std::path::Path::new(env!("CARGO_BIN_EXE_propty")).with_file_name(name);
    assert!(
        path.exists(),
        "{} is not built; test the whole workspace, or `cargo build --bin {name}` first",
        path.display()
    );
    let mut command = Command::new(path);
    for (key, value) in binary(world.folder()).get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    command
        .env("DATABASE_URL", &world.database_url)
        .env("PROPTY_LISTEN", url.trim_start_matches("http://"))
        .env("PROPTY_SANDBOX_URL", &world.sandbox.url);
    Process::new(command, world.folder().join(format!("{name}.stderr")))
}

#[tokio::test]
async fn the_two_binaries_do_the_main_job_together() {
    let world = World::start(Options::default()).await;
    world.stop().await;
    // Stripe and Resend go on calling where propty was reached.
    let commands_url = world.url.clone();
    let queries_url = format!("http://127.0.0.1:{}", port());
    let commands = sibling(&world, "command-service", &commands_url);
    let queries = sibling(&world, "query-service", &queries_url);
    commands.start();
    queries.start();
    until_ready(&commands, &commands_url).await;
    until_ready(&queries, &queries_url).await;
    let carol = world.first.resident("Carol").clone();
    let asks = world.first.at(&commands_url);
    let reads = Client::nobody(&queries_url).with_token(&world.first.token);
    let invoice = asks.publish(&carol, 12_300, true).await;
    let path = format!("/v1/invoices/{invoice}");
    reads.until(&path, |shown| shown["status"] == "Open").await;
    let letters = format!("/v1/messages?invoice_id={invoice}&kind=invoice-published");
    reads.until_list(&letters, |list| list.len() == 1 && list[0]["status"] == "Delivered").await;
    // What the one wrote, the other tells at once: it follows the log.
    let mut stream = reads
        .request(reqwest::Method::GET, "/v1/events/stream?types=invoice.published")
        .send()
        .await
        .expect("a stream");
    let mut text = String::new();
    while !text.contains(&format!("invoice/{invoice}")) {
        let piece = stream.chunk().await.expect("a stream that goes on").expect("no end");
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    let next = asks.publish(&carol, 12_400, false).await;
    while !text.contains(&format!("invoice/{next}")) {
        let piece = stream.chunk().await.expect("a stream that goes on").expect("no end");
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    drop(stream);
    assert_eq!(reads.get("/asyncapi.json").await["asyncapi"], "3.0.0");
    // Neither answers for the other.
    asks.manager.look(&path).await.assert_problem(404);
    let publish = serde_json::json!({ "invoice_id": invoice, "notify": false });
    assert_eq!(reads.post("/v1/commands/PublishInvoice", &publish).await.status, 404);
    for (name, process) in [("command-service", &commands), ("query-service", &queries)] {
        assert!(process.stop("TERM").await, "{name} did not stop well:\n{}", process.log());
        assert!(!process.log().contains("panicked"), "{}", process.log());
    }
    world.restart().await;
    world.assert_invariants().await;
}
