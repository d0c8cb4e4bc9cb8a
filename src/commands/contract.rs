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
    let broken = broken(folder, &wanted);
    if !broken.is_empty() {
        println!("published events may not change so; declare a new version and keep telling the old one:");
        for line in broken {
            println!("  {line}");
        }
        return Ok(ExitCode::FAILURE);
    }
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

/// What published schemas would break, or lose.
fn broken(folder: &Path, wanted: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.join("public")).into_iter().flatten().flatten() {
        let name = format!("public/{}", entry.file_name().to_string_lossy());
        let Some(text) = wanted.get(&name) else {
            found.push(format!("{name} would be gone"));
            continue;
        };
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        let published = fs::read_to_string(entry.path()).ok().and_then(|text| read(&text));
        if let (Some(published), Some(new)) = (published, read(text)) {
            let breaks = public_events::compatibility::breaks(&published, &new);
            found.extend(breaks.into_iter().map(|why| format!("{name}: {why}")));
        }
    }
    found
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
    for one in public_events::schema::all() {
        files.insert(format!("public/{}", one.declared.schema_file), format!("{:#}\n", one.schema));
    }
    files.insert("public/envelope.json".to_owned(), format!("{:#}\n", public_events::schema::envelope()));
    let asyncapi = public_events::asyncapi::document("http://127.0.0.1:8080");
    files.insert("asyncapi.json".to_owned(), format!("{asyncapi:#}\n"));
    files.insert("openapi.json".to_owned(), format!("{:#}\n", document("http://127.0.0.1:8080", &registry)));
    files
}
