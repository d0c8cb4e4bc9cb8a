//! Measures the launcher: a first start, further starts, and the stops.

use std::time::Instant;

use embedded_postgres::{Server, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: launch DATA-FOLDER")?;
    let settings = Settings::from_environment(folder);
    for round in ["first", "second", "third"] {
        let began = Instant::now();
        let server = Server::start(&settings, &mut |text| println!("  {text}"))?;
        let started = began.elapsed();
        println!("{round}: PostgreSQL {} in {} ready after {started:.2?}", server.version(), server.folder().display());
        let began = Instant::now();
        server.stop()?;
        println!("{round}: stopped after {:.2?}", began.elapsed());
    }
    Ok(())
}
