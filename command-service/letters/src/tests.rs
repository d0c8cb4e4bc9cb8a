//! Every letter in every language, as it leaves the house.

mod notices;

use chrono::NaiveDate;
use events::{Currency, Language, Money, invoice::OfflineMethod};

use crate::{Letter, Letterhead, Method, RenderError, Rendered, choose, render};

const HEAD: Letterhead<'_> = Letterhead {
    organization: "Évergreen Communities",
    sender: "Évergreen Communities",
    property: Some("Maple Court"),
    property_address: Some("12 Maple Street\nSpringfield, VT 05156"),
    contact: Some("office@example.com"),
    portal_url: "https://portal.example.com/",
};

fn usd(minor: i64) -> Money {
    Money::try_new(minor, Currency::USD).expect("in range")
}

fn first_of_december() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 12, 1).expect("a day")
}

fn invoice() -> Letter<'static> {
    Letter::InvoicePublished {
        resident: "Camille Martin",
        title: "December 2026 dues",
        unit: "12 B",
        description: Some("Monthly contribution.\nThe pool closes on December 15."),
        lines: vec![("Common charges", usd(120_000)), ("Parking & storage", usd(8_456)), ("Credit", usd(-5_000))],
        total: usd(123_456),
        balance: usd(123_456),
        due_on: first_of_december(),
        invoice_url: "https://portal.example.com/invoices/0193?from=email&lang=x".to_owned(),
    }
}

fn payment() -> Letter<'static> {
    Letter::PaymentReceived {
        resident: "Camille Martin",
        title: "December 2026 dues",
        unit: "12 B",
        amount: usd(100_000),
        fee: usd(3_551),
        charged: usd(103_551),
        method: Method::Card { brand: "visa", last4: "4242" },
        received_on: first_of_december(),
        balance: usd(23_456),
        invoice_url: "https://portal.example.com/invoices/0193".to_owned(),
    }
}

fn offline_payment(method: OfflineMethod) -> Letter<'static> {
    Letter::PaymentReceived {
        resident: "Camille Martin",
        title: "December 2026 dues",
        unit: "12 B",
        amount: usd(23_456),
        fee: usd(0),
        charged: usd(23_456),
        method: Method::Offline(method),
        received_on: first_of_december(),
        balance: usd(0),
        invoice_url: "https://portal.example.com/invoices/0193".to_owned(),
    }
}

fn sign_in() -> Letter<'static> {
    Letter::SignInLink {
        resident: "Camille Martin",
        link: "https://portal.example.com/sign-in#not-a-secret".to_owned(),
        minutes: 15,
    }
}

fn written(letter: &Letter<'_>, language: Language) -> Rendered {
    render(letter, &HEAD, language).expect("a letter")
}

#[test]
fn every_letter_reads_well_in_every_language() {
    for letter in [invoice(), payment(), sign_in()] {
        for language in Language::ALL {
            let Rendered { subject, html, text } = written(&letter, language);
            let name = format!("{}.{}", letter.kind(), language.code());
            insta::assert_snapshot!(format!("{name}.text"), format!("Subject: {subject}\n\n{text}"));
            insta::assert_snapshot!(format!("{name}.html"), html);
        }
    }
}

#[test]
fn every_letter_is_complete_in_text_and_loads_nothing_from_elsewhere() {
    for letter in [invoice(), payment(), sign_in()].into_iter().chain(notices::letters().map(|(_, letter)| letter)) {
        assert_eq!(choose(letter.kind(), Language::Fr), (Language::Fr, false));
        let link = match &letter {
            Letter::InvoicePublished { invoice_url, .. } | Letter::PaymentReceived { invoice_url, .. } => invoice_url,
            Letter::SignInLink { link, .. } => link,
            Letter::WebhookDisabled { webhook_url, .. } => webhook_url,
            Letter::AutopayPaused { autopay_url, .. } => autopay_url,
            Letter::AutopayNotice { about, .. } => &about.autopay_url,
            Letter::PaymentReminder { about, .. }
            | Letter::AutopayHeld { about, .. }
            | Letter::AutopayCharged { about, .. }
            | Letter::AutopayFailed { about, .. } => &about.invoice_url,
        };
        for language in Language::ALL {
            let Rendered { subject, html, text } = written(&letter, language);
            assert!(!subject.contains(char::is_control));
            assert!(text.lines().any(|line| line == link));
            assert!(text.lines().all(|line| line.chars().count() <= 72));
            assert!(text.contains("Maple Court") && text.contains("office@example.com"));
            assert!(html.contains(&format!("<html lang=\"{}\"", language.code())));
            for foreign in ["<img", "<script", "src=", "@import", "url("] {
                assert!(!html.contains(foreign), "{foreign}");
            }
        }
    }
}

#[test]
fn what_people_wrote_cannot_become_markup_or_a_header() {
    let hostile = "<script>alert(\"1\")</script> & 'x'\r\nBcc: everyone@example.org";
    let letter = Letter::InvoicePublished {
        resident: hostile,
        title: hostile,
        unit: hostile,
        description: Some(hostile),
        lines: vec![(hostile, usd(100))],
        total: usd(100),
        balance: usd(100),
        due_on: first_of_december(),
        invoice_url: "https://portal.example.com/?a=\"><script>".to_owned(),
    };
    let head = Letterhead {
        organization: hostile,
        sender: hostile,
        property: Some(hostile),
        property_address: Some(hostile),
        contact: Some(hostile),
        ..HEAD
    };
    for language in Language::ALL {
        let Rendered { subject, html, text } = render(&letter, &head, language).expect("a letter");
        assert!(!subject.contains(['\r', '\n']));
        assert!(!html.contains("<script"));
        assert!(!html.contains("alert(\""));
        assert!(!html.contains(" & "));
        assert!(html.contains("&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62; &#38; &#39;x&#39;"));
        assert!(!text.contains('\r'));
        assert!(text.contains("<script>alert(\"1\")</script> & 'x'"), "text is not escaped");
    }
}

#[test]
fn a_fee_of_zero_is_not_shown_and_an_offline_method_has_a_name_in_each_language() {
    let table = [
        (OfflineMethod::Cash, ["Cash", "Espèces", "Efectivo"]),
        (OfflineMethod::Check, ["Check", "Chèque", "Cheque"]),
        (OfflineMethod::Other, ["Other", "Autre", "Otro"]),
    ];
    for (method, names) in table {
        for (language, name) in Language::ALL.into_iter().zip(names) {
            let Rendered { text, html, .. } = written(&offline_payment(method), language);
            assert!(text.contains(name) && html.contains(name));
            for fee in ["fee", "Frais", "procesamiento", "Total"] {
                assert!(!text.contains(fee) && !html.contains(fee), "{fee}");
            }
        }
    }
}

#[test]
fn a_card_is_named_by_brand_a_bank_account_by_last_four_and_an_unknown_brand_is_a_card() {
    let text = |method, language| {
        let Letter::PaymentReceived {
            resident,
            title,
            unit,
            amount,
            fee,
            charged,
            received_on,
            balance,
            invoice_url,
            ..
        } = payment()
        else {
            unreachable!("a payment is a payment")
        };
        let letter = Letter::PaymentReceived {
            resident,
            title,
            unit,
            amount,
            fee,
            charged,
            method,
            received_on,
            balance,
            invoice_url,
        };
        written(&letter, language).text
    };
    let card = |brand| Method::Card { brand, last4: "4242" };
    assert!(text(card("amex"), Language::En).contains("American Express ****4242"));
    assert!(text(card("unheard-of"), Language::Es).contains("Tarjeta ****4242"));
    assert!(text(Method::Bank { last4: "6789" }, Language::En).contains("Payment method: Bank ****6789\n"));
    assert!(text(Method::Bank { last4: "6789" }, Language::Fr).contains("Banque ****6789"));
    assert!(text(Method::Bank { last4: "6789" }, Language::Es).contains("Banco ****6789"));
    assert!(text(Method::Online, Language::Fr).contains("Paiement en ligne"));
}

#[test]
fn an_invoice_asks_for_its_balance_only() {
    let of_balance = |minor| Letter::InvoicePublished {
        resident: "Camille Martin",
        title: "Dues",
        unit: "12 B",
        description: None,
        lines: Vec::new(),
        total: usd(10_000),
        balance: usd(minor),
        due_on: first_of_december(),
        invoice_url: "https://portal.example.com/i".to_owned(),
    };
    let full = written(&of_balance(10_000), Language::En);
    assert_eq!(full.subject, "Dues: $100.00 due December 1, 2026");
    assert!(!full.text.contains("Balance due"));
    let partly = written(&of_balance(2_500), Language::En);
    assert_eq!(partly.subject, "Dues: $25.00 due December 1, 2026");
    assert!(partly.text.contains("Total: $100.00\nBalance due: $25.00\n"));
    let settled = written(&of_balance(0), Language::En);
    assert_eq!(settled.subject, "Dues: new invoice, nothing to pay");
    assert!(settled.text.contains("already paid in full") && !settled.html.contains("View and pay"));
}

#[test]
fn without_a_contact_nobody_is_told_to_reply() {
    let head = Letterhead { contact: None, property: None, property_address: None, ..HEAD };
    let letter = render(&sign_in(), &head, Language::En).expect("a letter");
    assert!(letter.text.contains("this mailbox is not") && !letter.text.contains("office@example.com"));
    assert!(
        letter.text.contains("on file with\nÉvergreen Communities") || letter.text.contains("on file with Évergreen")
    );
}

#[test]
fn only_web_addresses_become_links() {
    for link in ["javascript:alert(1)", "portal.example.com", "https://portal.example.com/\nX: y", ""] {
        let letter = Letter::SignInLink { resident: "Camille Martin", link: link.to_owned(), minutes: 1 };
        assert!(matches!(render(&letter, &HEAD, Language::En), Err(RenderError::NotALink("sign-in link"))));
    }
}

#[test]
fn nothing_personal_or_secret_is_printed_for_debugging() {
    assert_eq!(format!("{:?}", sign_in()), "Letter(sign-in-link)");
    assert_eq!(format!("{:?}", written(&sign_in(), Language::En)), "Rendered(…)");
    assert!(!format!("{HEAD:?}").contains("office@example.com"));
    let (_, reminder) = notices::letters().next().expect("a letter");
    assert_eq!(format!("{reminder:?}"), "Letter(payment-reminder)");
    let Letter::PaymentReminder { about, .. } = reminder else { unreachable!("a reminder is a reminder") };
    assert_eq!(format!("{about:?}"), "About(…)");
}
