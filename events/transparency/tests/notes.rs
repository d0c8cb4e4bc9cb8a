//! Signed notes and checkpoints against known answers, and against forgery.

use base64::{Engine, engine::general_purpose::STANDARD};
use transparency::{Checkpoint, KeyPair, Note, Vkey, note::NoteError, note::sign};

// From the documentation of Go's `golang.org/x/mod/sumdb/note`.
const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const LINE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn peter() -> KeyPair {
    let bytes = STANDARD.decode(SEED).expect("base64");
    KeyPair::from_seed(&bytes[1..]).expect("a seed")
}

fn keys(text: &str) -> Vec<Vkey> {
    vec![text.parse().expect("a key")]
}

#[test]
fn a_note_is_signed_as_another_implementation_signs_it() {
    let note = sign(TEXT, "PeterNeumann", &[&peter()]);
    assert_eq!(note, format!("{TEXT}\n{LINE}"));
    let key = Vkey { name: "PeterNeumann".into(), public: peter().public() };
    assert_eq!(key.to_string(), VKEY);
    let note = Note::parse(&note).expect("a note");
    assert_eq!(note.text(), TEXT);
    assert_eq!(note.verify(std::slice::from_ref(&key)), Ok(vec![&key]));
}

#[test]
fn a_changed_text_or_signature_is_refused() {
    let note = format!("{TEXT}\n{LINE}");
    for (from, to) in [("problem", "solution"), ("x08go/ZJku", "x08go/ZJkv")] {
        let changed = Note::parse(&note.replacen(from, to, 1)).expect("a note");
        assert_eq!(changed.verify(&keys(VKEY)), Err(NoteError::Wrong(VKEY.into())), "{from}");
    }
}

#[test]
fn signatures_of_strangers_are_ignored_and_do_not_help() {
    let stranger = KeyPair::from_seed(&[7; 32]).expect("a seed");
    let both = Note::parse(&sign(TEXT, "PeterNeumann", &[&stranger, &peter()])).expect("a note");
    assert_eq!(both.verify(&keys(VKEY)).map(|found| found.len()), Ok(1));
    let strange = Note::parse(&sign(TEXT, "PeterNeumann", &[&stranger])).expect("a note");
    assert_eq!(strange.verify(&keys(VKEY)), Err(NoteError::Unknown));
    let renamed = Note::parse(&sign(TEXT, "PeterNewman", &[&peter()])).expect("a note");
    assert_eq!(renamed.verify(&keys(VKEY)), Err(NoteError::Unknown));
}

#[test]
fn what_is_no_note_is_refused() {
    let long = format!("{TEXT}\n{}", LINE.repeat(17));
    for text in ["", "\n", "text\n", "text\n\n", "text\n\nno signature\n", "te\txt\n\n\u{2014} a AAAAAAAA\n", &long] {
        assert_eq!(Note::parse(text), Err(NoteError::Malformed), "{text:?}");
    }
    assert!(Note::parse(&format!("{TEXT}\n{LINE}").replace('\u{2014}', "-")).is_err());
}

#[test]
fn what_is_no_key_is_refused() {
    for text in [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc",
    ] {
        assert!(text.parse::<Vkey>().is_err(), "{text}");
    }
}

#[test]
fn a_private_key_does_not_show_itself() {
    assert_eq!(format!("{:?}", peter()), "KeyPair(…)");
}

#[test]
fn a_checkpoint_is_written_and_read_as_the_specification_says() {
    let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let checkpoint = Checkpoint::parse(text).expect("a checkpoint");
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.to_string(), text);
    for wrong in [
        "",
        "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "a\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "a\n+1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "a\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "a\n1\nCsUY\n",
        "a\n1\n",
        "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
        "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\nmore\n",
    ] {
        assert!(Checkpoint::parse(wrong).is_err(), "{wrong:?}");
    }
}
