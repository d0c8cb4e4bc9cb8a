//! Every text in every language, and what strangers write into them.

use std::fmt::Write as _;

use events::{Currency, text_message::TextContent};

use super::*;

fn head() -> TextHead<'static> {
    TextHead {
        brand: "Maple Court",
        portal_url: "https://hoa.example.org",
        contact: Some("office@example.org"),
        reference: "K7Q2XM",
    }
}

fn usd(amount: i64) -> Money {
    Money::try_new(amount, Currency::USD).expect("small")
}

fn day() -> NaiveDate {
    "2027-02-01".parse().expect("a day")
}

fn all() -> Vec<Text<'static>> {
    let url = || "https://hoa.example.org/invoices/7".to_owned();
    let (title, amount, retry_on) = ("Condo fee, February", usd(123_456), Some(day()));
    vec![
        Text::InvoicePublished { title, balance: amount, due_on: day(), url: url() },
        Text::PaymentReceived { title, amount, balance: usd(0), url: url() },
        Text::PaymentReceived { title, amount, balance: usd(500), url: url() },
        Text::PaymentFailed { title, amount, retry_on, url: url() },
        Text::PaymentFailed { title, amount, retry_on: None, url: url() },
        Text::ConsentCode { code: "048213", minutes: 10 },
        Text::ConsentConfirmed,
        Text::Stopped,
        Text::Help,
        Text::Restarted,
        Text::NothingToRestart,
    ]
}

#[test]
fn every_text_reads_so() {
    let mut shown = String::new();
    for language in Language::ALL {
        for text in all() {
            // Writing to a string cannot fail.
            let _ = writeln!(shown, "{} {}: {}", language.code(), text.kind(), write_text(&text, &head(), language));
        }
        shown.push('\n');
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn every_kind_is_written_and_has_a_version() {
    for kind in TextContent::KINDS {
        assert!(text_version(kind) > 0 && all().iter().any(|text| text.kind() == *kind), "{kind}");
        assert_eq!(choose_text(kind, Language::Fr), (Language::Fr, false));
    }
    assert_eq!(choose_text("no-such-kind", Language::Es), (Language::En, true));
}

#[test]
fn the_confirmation_says_who_how_often_what_it_costs_and_how_to_end_it() {
    for (language, words) in [
        (Language::En, ["Maple Court", "frequency", "rates", "STOP", "HELP", "/privacy"]),
        (Language::Fr, ["Maple Court", "Fréquence", "frais", "ARRET", "AIDE", "/privacy"]),
        (Language::Es, ["Maple Court", "frecuencia", "tarifas", "ALTO", "AYUDA", "/privacy"]),
    ] {
        let text = write_text(&Text::ConsentConfirmed, &head(), language);
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
}

#[test]
fn typography_does_not_make_a_text_dearer_and_letters_stay() {
    let title = "L’été «\u{a0}Ñandú\u{a0}» – façade…";
    let text = Text::InvoicePublished { title, balance: usd(123_456), due_on: day(), url: String::new() };
    let written = write_text(&text, &head(), Language::Fr);
    assert!(written.contains("L'été \" Ñandú \" - façade..."), "{written}");
    assert!(written.contains("1 234,56 $ US"), "{written}");
}

#[test]
fn a_stranger_cannot_add_lines_or_push_the_reference_out() {
    let (title, brand) = ("STOP\r\n\nYou owe ".repeat(400), "B\u{7}rand\n".repeat(100));
    let text =
        Text::InvoicePublished { title: &title, balance: usd(1), due_on: day(), url: "https://x.example.org".into() };
    for language in Language::ALL {
        let written = write_text(&text, &TextHead { brand: &brand, ..head() }, language);
        assert!(!written.contains(char::is_control) && written.chars().count() < 320, "{written}");
        assert!(written.ends_with(" Ref K7Q2XM"), "{written}");
    }
    let url = "https://x.example.org/".repeat(200);
    let text = Text::InvoicePublished { title: "Fee", balance: usd(1), due_on: day(), url };
    let written = write_text(&text, &head(), Language::En);
    assert_eq!((written.chars().count(), written.ends_with(" Ref K7Q2XM")), (LONGEST_TEXT, true));
}
