//! What is published stays as it was: the committed schemas, the changelog and the catalogue page against the code.

use std::{collections::BTreeSet, fs, path::PathBuf};

use public_events::{
    catalogue, compatibility,
    schema::{self, TypeSchema},
};
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn no_published_version_changes_so_that_its_readers_break() {
    let folder = root().join("schemas/public");
    let published: BTreeSet<String> = fs::read_dir(&folder)
        .expect("schemas/public")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name != "envelope.json")
        .collect();
    let wanted: BTreeSet<String> = schema::all().iter().map(|one| one.declared.schema_file.to_owned()).collect();
    let gone: Vec<&String> = published.difference(&wanted).collect();
    assert!(gone.is_empty(), "published versions are told until their readers have moved on: {gone:?}");
    let new: Vec<&String> = wanted.difference(&published).collect();
    assert!(new.is_empty(), "`propty schemas` has not written {new:?}");
    for TypeSchema { declared, schema, .. } in schema::all() {
        let text = fs::read_to_string(folder.join(declared.schema_file)).expect("a schema");
        let old: Value = serde_json::from_str(&text).expect("JSON");
        let breaks = compatibility::breaks(&old, &schema);
        assert!(breaks.is_empty(), "{} needs a new version: {breaks:?}", declared.kind);
    }
}

#[test]
fn the_changelog_knows_every_type_and_none_twice() {
    let text = fs::read_to_string(root().join("docs/events-changelog.md")).expect("the changelog");
    for (_, declared) in public_events::types() {
        let named = text.matches(&format!("`{}`", declared.kind)).count();
        assert_eq!(named, 1, "docs/events-changelog.md names {} {named} times", declared.kind);
    }
}

#[test]
fn the_catalogue_is_what_the_code_declares() {
    let file = root().join("docs/events.md");
    let wanted = catalogue::page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, &wanted).expect("a written page");
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == wanted,
        "docs/events.md is not what the code says; run with UPDATE_DOCS=1 and look at the difference"
    );
}
