//! `propty openapi` and `propty schemas`: the contract, generated from the code and checked into `schemas/`.

use std::{collections::BTreeMap, fs, path::Path, process::ExitCode};

use command_service::Registry;

use host::Settings;

use crate::{failure::Failure, server::document};

pub fn print_openapi(settings: &Settings) -> ExitCode {
    println!("{:#}", document(&settings.public_url(), &Registry::default()));
    ExitCode::SUCCESS
}

/// Writes what differs, or with `check` only tells.
pub fn write(folder: &Path, check: bool) -> Result<ExitCode, Failure> {
    let wanted = files();
    let mut differing = Vec::new();
    for (name, text) in &wanted {
        let path = folder.join(name);
        if fs::read_to_string(&path).is_ok_and(|known| known == *text) {
            continue;
        }
        differing.push(name.clone());
        if !check {
            let failed = |source| Failure::File { path: path.display().to_string(), source };
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            fs::write(&path, text).map_err(failed)?;
        }
    }
    for kind in ["events", "commands"] {
        for entry in fs::read_dir(folder.join(kind)).into_iter().flatten().flatten() {
            let name = format!("{kind}/{}", entry.file_name().to_string_lossy());
            if !wanted.contains_key(&name) {
                differing.push(name);
                if !check {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }
    for name in &differing {
        println!("{} {name}", if check { "differs:" } else { "written:" });
    }
    if check && !differing.is_empty() {
        println!("run `propty schemas` and commit what it writes");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn files() -> BTreeMap<String, String> {
    let registry = Registry::default();
    let mut files = BTreeMap::new();
    for event in events::schema::all() {
        files.insert(format!("events/{}.v{}.json", event.name, event.version), format!("{:#}\n", event.schema));
    }
    for entry in registry.iter().filter(|entry| entry.is_public()) {
        files.insert(format!("commands/{}.json", entry.name), format!("{:#}\n", entry.schema.as_value()));
    }
    files.insert("openapi.json".to_owned(), format!("{:#}\n", document("http://127.0.0.1:8080", &registry)));
    files
}
