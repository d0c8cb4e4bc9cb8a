//! Compiles the server's side of the protocol from the protos that the client's own package ships; nothing is copied, no `protoc` is needed.

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../mirror/Cargo.lock");
    let protos = protos()?;
    let files = protox::compile(["streams.proto", "serverfeatures.proto"], [protos])?;
    tonic_build::configure().build_client(false).build_server(true).include_file("protos.rs").compile_fds(files)?;
    Ok(())
}

/// Where the sources of the package `eventstore` have their protos.
fn protos() -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", &env::var("TARGET")?])
        .current_dir(env::var("CARGO_MANIFEST_DIR")?)
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
    let manifest = packages
        .iter()
        .find(|package| package["name"] == "eventstore")
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or("the package `eventstore` is not among the dependencies")?;
    Ok(Path::new(manifest).parent().ok_or("a manifest has a folder")?.join("protos"))
}
