//! The house's rules, checked by a machine: which crate may know which, what stays out of the pure ones, how files begin.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The crates of the workspace with their normal dependencies: what ships, not what tests use.
fn crates() -> BTreeMap<String, BTreeSet<String>> {
    crates_of(ROOT)
}

fn crates_of(folder: impl AsRef<Path>) -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(folder)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let texts = |value: &Value, normal: bool| -> BTreeSet<String> {
        let all = value.as_array().into_iter().flatten();
        all.filter(|item| !normal || item["kind"].is_null())
            .filter_map(|item| Some(item["name"].as_str()?.to_owned()))
            .collect()
    };
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| (package["name"].as_str().expect("a name").to_owned(), texts(&package["dependencies"], true)))
        .collect()
}

/// What a crate of ours reaches among ours, itself left out.
fn reach(crates: &BTreeMap<String, BTreeSet<String>>, name: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![name.to_owned()];
    while let Some(next) = open.pop() {
        for dependency in crates[&next].iter().filter(|dependency| crates.contains_key(*dependency)) {
            if reached.insert(dependency.clone()) {
                open.push(dependency.clone());
            }
        }
    }
    reached
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Is it a vendor's own crate, or a protocol to reach one?
fn is_vendor(dependency: &str) -> bool {
    dependency.starts_with("async-stripe") || matches!(dependency, "lettre" | "reqwest")
}

/// Every Rust file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "propty-data" {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(ROOT).unwrap_or(path).display().to_string()
}

/// Files that only tests compile: below `tests`, examples, and modules that a `#[cfg(test)]` declares.
fn is_test(path: &Path) -> bool {
    let parts: Vec<String> =
        path.strip_prefix(ROOT).unwrap_or(path).iter().map(|part| part.to_string_lossy().into_owned()).collect();
    parts.iter().any(|part| matches!(part.as_str(), "tests" | "tests.rs" | "examples" | "testing" | "testing.rs"))
}

/// A file's lines with their numbers, without what `#[cfg(test)]` covers and without comments.
fn shipped(path: &Path) -> Vec<(usize, String)> {
    let text = read(path);
    let mut kept = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            let indent = line.len() - line.trim_start().len();
            for (covered, _) in lines.by_ref() {
                let depth = covered.len() - covered.trim_start().len();
                let attribute = covered.trim_start().starts_with("#[");
                if depth == indent && !attribute && (covered.ends_with(';') || covered.trim() == "}") {
                    break;
                }
            }
        } else if !line.trim_start().starts_with("//") {
            kept.push((number, line.to_owned()));
        }
    }
    kept
}

/// Asserts that a list of findings is empty, and shows it otherwise.
fn none(what: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{what}:\n  {}", findings.join("\n  "));
}

#[test]
fn the_prescribed_folders_are_there() {
    let folders = [
        "events",
        "events/store",
        "events/transparency",
        "command-service",
        "command-service/domain",
        "command-service/processes",
        "command-service/integrations",
        "projections",
        "query-service",
        "schemas",
        "infra",
        "tests",
        "docs/adr",
        "docs/guides",
    ];
    let missing: Vec<String> = folders
        .iter()
        .filter(|folder| !Path::new(ROOT).join(folder).is_dir())
        .map(|&folder| folder.to_owned())
        .collect();
    none("folders that ARCHITECTURE prescribes are missing", &missing);
}

#[test]
fn dependencies_point_one_way() {
    let crates = crates();
    // Exactly what each may reach among our own; whoever adds an arrow changes this list, and thinks.
    let house: [(&str, &[&str]); 12] = [
        ("events", &[]),
        ("transparency", &[]),
        ("domain", &["events"]),
        ("processes", &["events", "domain"]),
        ("integrations", &["events", "domain", "processes"]),
        ("event-store", &["events", "transparency"]),
        ("public-events", &["events"]),
        ("event-feed", &["events", "event-store", "transparency", "public-events"]),
        ("projections", &["events", "event-store", "transparency"]),
        ("edge", &["events", "event-store", "transparency"]),
        ("host", &["events", "event-store", "transparency", "edge", "embedded-postgres"]),
        (
            "query-service",
            &[
                "events",
                "event-store",
                "transparency",
                "public-events",
                "event-feed",
                "edge",
                "embedded-postgres",
                "host",
                "projections",
            ],
        ),
    ];
    for (name, allowed) in house {
        let foreign: Vec<String> = reach(&crates, name).difference(&set(allowed)).cloned().collect();
        none(&format!("{name} must not depend on"), &foreign);
    }
    let alone: [&str; 2] = ["embedded-postgres", "sandbox"];
    for name in alone {
        none(&format!("{name} stands alone, but depends on"), &reach(&crates, name).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn only_the_command_side_sees_decisions_and_vendors_together() {
    let crates = crates();
    for (name, dependencies) in &crates {
        let ours = reach(&crates, name);
        let both = ours.contains("domain") && ours.contains("integrations");
        assert!(
            !both || matches!(name.as_str(), "command-service" | "propty"),
            "{name} sees domain and integrations together"
        );
        let vendors: Vec<String> = dependencies.iter().filter(|dependency| is_vendor(dependency)).cloned().collect();
        match name.as_str() {
            "integrations" => {}
            // The double is spoken to, and speaks its webhooks, over HTTP; the demo plays browsers.
            "sandbox" | "propty" => {
                assert!(vendors.iter().all(|vendor| vendor == "reqwest"), "{name} uses {vendors:?}");
            }
            _ => none(&format!("{name} uses a vendor's crate"), &vendors),
        }
    }
}

#[test]
fn the_mirror_stands_apart_and_sees_the_log_only() {
    let crates = crates();
    for name in ["mirror", "kurrent-double"] {
        assert!(!crates.contains_key(name), "{name} is in the house's workspace, and so is its cryptography");
    }
    let apart = crates_of(Path::new(ROOT).join("infra/mirror"));
    let ours: BTreeSet<String> =
        apart["mirror"].iter().filter(|dependency| crates.contains_key(*dependency)).cloned().collect();
    assert_eq!(ours, set(&["event-store"]), "what the mirror sees of ours");
    let double: BTreeSet<String> = apart["kurrent-double"]
        .iter()
        .filter(|dependency| crates.contains_key(*dependency) || apart.contains_key(*dependency))
        .cloned()
        .collect();
    none("the double stands alone, but depends on", &double.into_iter().collect::<Vec<_>>());
}

#[test]
fn the_pure_crates_know_no_io() {
    let crates = crates();
    let io = [
        "sqlx",
        "postgres-es",
        "tokio",
        "reqwest",
        "hyper",
        "poem",
        "poem-openapi",
        "rand",
        "getrandom",
        "ring",
        "lettre",
        "rustix",
        "futures-util",
        "tracing",
    ];
    for name in ["events", "public-events", "transparency", "domain", "processes"] {
        let mut impure: BTreeSet<String> = crates[name].intersection(&set(&io)).cloned().collect();
        // It hashes and signs; keys and randomness come from outside.
        if name == "transparency" {
            impure.remove("ring");
        }
        let impure: Vec<String> = impure.into_iter().collect();
        none(&format!("{name} is pure, but depends on"), &impure);
    }
}

#[test]
fn decisions_read_no_clock_and_draw_no_ids() {
    let forbidden = [
        "Utc::now",
        "Local::now",
        "SystemTime",
        "Instant::now",
        "now_v7",
        "new_v4",
        "std::env",
        "std::fs",
        "std::net",
        "std::thread",
        "std::process",
    ];
    let mut findings = Vec::new();
    for folder in [
        "events/src",
        "events/public/src",
        "events/transparency/src",
        "command-service/domain/src",
        "command-service/processes/src",
    ] {
        for path in sources(&Path::new(ROOT).join(folder)).into_iter().filter(|path| !is_test(path)) {
            for (number, line) in shipped(&path) {
                findings.extend(
                    forbidden
                        .iter()
                        .filter(|word| line.contains(**word))
                        .map(|word| format!("{}:{number}: {word}", shown(&path))),
                );
            }
        }
    }
    none("time and ids arrive inside a command's envelope", &findings);
}

#[test]
fn the_lock_file_has_one_of_each_and_no_foreign_cryptography() {
    let lock = read(&Path::new(ROOT).join("Cargo.lock"));
    let names: Vec<&str> = lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    for name in ["sqlx", "sqlx-core", "hyper", "reqwest", "rustls", "tokio", "poem", "cqrs-es", "ring"] {
        let count = names.iter().filter(|found| **found == name).count();
        assert_eq!(count, 1, "Cargo.lock has {count} versions of {name}");
    }
    let foreign: Vec<String> = names
        .iter()
        .filter(|name| {
            matches!(
                **name,
                "openssl" | "openssl-sys" | "native-tls" | "aws-lc-rs" | "aws-lc-sys" | "postgresql_embedded"
            )
        })
        .map(|&name| name.to_owned())
        .collect();
    none("Cargo.lock must not have", &foreign);
}

#[test]
fn every_module_says_what_it_is_for() {
    let mute: Vec<String> = sources(Path::new(ROOT))
        .into_iter()
        .filter(|path| !read(path).starts_with("//! "))
        .map(|path| shown(&path))
        .collect();
    none("modules that do not open with `//!`", &mute);
}

#[test]
fn the_same_noun_has_the_same_file_stem() {
    // What an events file declares, by its enum's name: `pub enum InvoiceEvent of "invoice"`.
    let root = Path::new(ROOT);
    let mut stems = BTreeMap::new();
    for path in sources(&root.join("events/src")) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for line in read(&path).lines() {
            let declared = line.trim().strip_prefix("pub enum ").and_then(|rest| rest.split_once("Event of \""));
            if let Some((noun, stream)) = declared {
                let stream = stream.trim_end_matches("\" {").replace('-', "_");
                // `text.rs` holds the kinds of text that events are made of.
                let stream = if stream == "text" { "text_message".to_owned() } else { stream };
                assert_eq!(stem, stream, "{} declares the events of {stream}", shown(&path));
                stems.insert(noun.to_owned(), stem.clone());
            }
        }
    }
    assert!(stems.len() >= 12, "only {} streams were found", stems.len());
    let mut decided = BTreeMap::new();
    // Nobody decides that somebody reads the audit trail: it is recorded.
    stems.remove("AuditRead");
    let domain = root.join("command-service/domain/src");
    for path in sources(&domain).into_iter().filter(|path| !is_test(path)) {
        // The file, or the folder beside it.
        let below = path.strip_prefix(&domain).unwrap_or(&path);
        let first = below.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
        let stem = first.unwrap_or_default().trim_end_matches(".rs").to_owned();
        for (_, line) in shipped(&path) {
            if let Some(noun) = line.strip_prefix("impl Aggregate for ").and_then(|rest| rest.strip_suffix(" {")) {
                decided.insert(noun.to_owned(), stem.clone());
            }
        }
    }
    assert_eq!(decided, stems, "an aggregate's file in domain is named like its events'");
    for stem in
        ["invoice", "payment", "property", "resident", "unit", "job", "stripe_account", "suppression", "access_token"]
    {
        for folder in ["projections/src", "query-service/src"] {
            let path = root.join(folder).join(format!("{stem}.rs"));
            assert!(path.is_file(), "{} is missing", shown(&path));
        }
    }
}

#[test]
fn nothing_that_ships_unwraps_without_a_reason() {
    let mut findings = Vec::new();
    for path in sources(Path::new(ROOT)).into_iter().filter(|path| !is_test(path)) {
        let lines = shipped(&path);
        for (place, (number, line)) in lines.iter().enumerate() {
            let unwraps = [".unwrap()", ".expect(\"", ".expect(&format!", "panic!(", "todo!(", "unimplemented!("]
                .iter()
                .any(|word| line.contains(word))
                && !line.contains("self.expect(");
            let before = &lines[place.saturating_sub(12)..place];
            let reasoned = before.iter().any(|(_, line)| line.contains("#[expect(") && line.contains("reason"));
            if unwraps && !reasoned {
                findings.push(format!("{}:{number}: {}", shown(&path), line.trim()));
            }
        }
    }
    none("`#[expect(…, reason = …)]` is wanted near", &findings);
}
