//! The program itself: killed between the append and the note, started again, told to stop.

use std::{
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use kurrent_double::{Double, Fault};
use uuid::Uuid;

use crate::world::{World, until};

/// Ends with the test, however that ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    fn start(world: &World, double: &Double) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_propty-mirror"))
            .args(["--to", &double.url()])
            .env("DATABASE_URL", world.deployer.url())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a program");
        Self(child)
    }

    fn terminate(&mut self) -> ExitStatus {
        let told = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        self.0.wait().expect("its end")
    }
}

#[tokio::test]
async fn killed_between_the_append_and_the_note_it_goes_on_without_gap_or_duplicate() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    let (organization, ids) = (Uuid::now_v7(), [Uuid::now_v7(), Uuid::now_v7()]);
    for version in 1..=5 {
        for id in ids {
            world.append(organization, "invoice", id, version, &["a note"]).await;
        }
    }
    for answered in [0, 3, 6] {
        // Some appends are answered; the next is stored, and the program is killed while it waits for the answer. The whole page is
        // sent again by its successor.
        let pass = std::iter::repeat_n(Fault::Late(Duration::ZERO), answered);
        double.fail(pass.chain([Fault::SilentAfter]));
        let program = Program::start(&world, &double);
        until("one more is stored and not answered", async || double.all().len() == answered + 1).await;
        drop(program);
        assert_eq!(world.standing("kurrentdb").await.map(|standing| standing.lag), Some(10), "nothing is noted");
        sqlx::query("update engine.leases set expires_at = '-infinity'")
            .execute(&world.database.engine)
            .await
            .expect("expired leases");
    }
    let mut program = Program::start(&world, &double);
    world.caught_up("kurrentdb").await;
    assert!(program.terminate().success(), "told to stop, it ends in order");
    world.assert_mirrored(&double).await;
}

#[tokio::test]
async fn it_fails_with_a_reason_when_it_must_not_go_on() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    world.append(Uuid::now_v7(), "invoice", Uuid::now_v7(), 1, &["one"]).await;
    sqlx::query("insert into engine.mirrors (name, global_position, incarnation) values ('kurrentdb', 0, 7)")
        .execute(&world.database.engine)
        .await
        .expect("a place in another history");
    let Program(child) = &mut Program::start(&world, &double);
    let mut told = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().expect("its errors"), &mut told).expect("text");
    assert!(!child.wait().expect("its end").success());
    assert!(told.contains("the log was restored"), "{told}");
    assert!(double.all().is_empty());
}
