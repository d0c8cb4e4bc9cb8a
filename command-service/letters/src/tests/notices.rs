//! Reminders and what autopay writes, in every language and with every turn they take.

use std::sync::LazyLock;

use events::autopay::PauseReason;

use super::*;
use crate::{About, Charge, Pause};

type Reason = LazyLock<PauseReason>;

fn about() -> About<'static> {
    About {
        resident: "Camille Martin",
        title: "December 2026 dues",
        unit: "12 B",
        invoice_url: "https://portal.example.com/invoices/0193".to_owned(),
        autopay_url: "https://portal.example.com/properties/0192/autopay".to_owned(),
    }
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 12, day).expect("a day")
}

fn reminder(overdue: bool, balance: i64) -> Letter<'static> {
    Letter::PaymentReminder { about: about(), balance: usd(balance), due_on: first_of_december(), overdue }
}

fn by_card() -> Charge<'static> {
    Charge {
        amount: usd(100_000),
        fee: usd(3_551),
        charged: usd(103_551),
        method: Method::Card { brand: "visa", last4: "4242" },
        on: first_of_december(),
    }
}

fn by_bank() -> Charge<'static> {
    Charge {
        amount: usd(100_000),
        fee: usd(0),
        charged: usd(100_000),
        method: Method::Bank { last4: "6789" },
        on: first_of_december(),
    }
}

fn ahead() -> Letter<'static> {
    Letter::AutopayNotice { about: about(), charge: by_card() }
}

fn held() -> Letter<'static> {
    Letter::AutopayHeld { about: about(), amount: usd(123_456), cap: usd(50_000), due_on: first_of_december() }
}

fn charged() -> Letter<'static> {
    Letter::AutopayCharged { about: about(), charge: by_bank(), balance: usd(0) }
}

fn failed(reason: &PauseReason, retry: Option<(u32, u32)>) -> Letter<'_> {
    Letter::AutopayFailed {
        about: about(),
        amount: usd(100_000),
        reason,
        retry_on: retry.map(|(on, _)| day(on)),
        retries_left: retry.map_or(0, |(_, left)| left),
        pause: Pause::ForThis,
    }
}

fn without_method(reason: &PauseReason) -> Letter<'_> {
    Letter::AutopayPaused {
        resident: "Camille Martin",
        reason,
        method: Method::Card { brand: "visa", last4: "4242" },
        autopay_url: "https://portal.example.com/properties/0192/autopay".to_owned(),
    }
}

fn paused(as_told: Pause, mut letter: Letter<'_>) -> Letter<'_> {
    if let Letter::AutopayFailed { pause, .. } = &mut letter {
        *pause = as_told;
    }
    letter
}

fn code(code: &str) -> String {
    code.to_owned()
}

/// Every kind, with the variants that read differently; the names are those of the snapshots.
pub fn letters() -> impl Iterator<Item = (&'static str, Letter<'static>)> {
    static DECLINED: Reason = Reason::new(|| PauseReason::Declined { code: code("card_declined") });
    static USED_UP: Reason = Reason::new(|| PauseReason::RetriesUsedUp { code: code("card_declined") });
    static RETURNED: Reason = Reason::new(|| PauseReason::Returned { code: code("debit_not_authorized") });
    [
        ("payment-reminder", reminder(false, 123_456)),
        ("payment-reminder-overdue", reminder(true, 123_456)),
        ("autopay-notice", ahead()),
        ("autopay-held", held()),
        ("autopay-charged", charged()),
        ("autopay-failed", failed(&DECLINED, Some((2, 3)))),
        ("autopay-failed-ended", failed(&USED_UP, None)),
        ("autopay-failed-confirm", failed(&PauseReason::AuthenticationRequired, None)),
        ("autopay-failed-returned", failed(&RETURNED, None)),
        ("autopay-failed-waits", paused(Pause::ForAnother, failed(&DECLINED, None))),
        ("autopay-failed-cancelled", paused(Pause::None, failed(&DECLINED, None))),
        ("autopay-paused-removed", without_method(&PauseReason::MethodDetached)),
        ("autopay-paused-moved", without_method(&PauseReason::AccountChanged)),
    ]
    .into_iter()
}

#[test]
fn every_notice_reads_well_in_every_language() {
    for (name, letter) in letters() {
        for language in Language::ALL {
            let Rendered { subject, html, text } = written(&letter, language);
            let name = format!("{name}.{}", language.code());
            insta::assert_snapshot!(format!("{name}.text"), format!("Subject: {subject}\n\n{text}"));
            insta::assert_snapshot!(format!("{name}.html"), html);
        }
    }
}

#[test]
fn what_people_wrote_cannot_become_markup_or_a_header_of_a_notice() {
    let hostile = "<script>alert(\"1\")</script> & 'x'\r\nBcc: everyone@example.org";
    let about = || About {
        resident: hostile,
        title: hostile,
        unit: hostile,
        invoice_url: "https://portal.example.com/?a=\"><script>".to_owned(),
        autopay_url: "https://portal.example.com/?b=\"><script>".to_owned(),
    };
    let methods = [Method::Card { brand: hostile, last4: hostile }, Method::Bank { last4: hostile }];
    let charge = |method| Charge { method, ..by_card() };
    let reason = PauseReason::Declined { code: code(hostile) };
    let letters = [
        Letter::PaymentReminder { about: about(), balance: usd(1), due_on: day(1), overdue: true },
        Letter::AutopayNotice { about: about(), charge: charge(methods[0]) },
        Letter::AutopayNotice { about: about(), charge: charge(methods[1]) },
        Letter::AutopayHeld { about: about(), amount: usd(2), cap: usd(1), due_on: day(1) },
        Letter::AutopayCharged { about: about(), charge: charge(methods[1]), balance: usd(1) },
        Letter::AutopayFailed {
            about: about(),
            amount: usd(1),
            reason: &reason,
            retry_on: Some(day(2)),
            retries_left: u32::MAX,
            pause: Pause::ForAnother,
        },
        Letter::AutopayFailed {
            about: about(),
            amount: usd(1),
            reason: &reason,
            retry_on: None,
            retries_left: 0,
            pause: Pause::None,
        },
    ];
    for letter in letters {
        for language in Language::ALL {
            let Rendered { subject, html, text } = written(&letter, language);
            assert!(!subject.contains(['\r', '\n']));
            assert!(!html.contains("<script") && !html.contains("alert(\"") && !html.contains(" & "));
            assert!(html.contains("&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62; &#38; &#39;x&#39;"));
            assert!(!text.contains('\r') && !text.lines().any(|line| line.starts_with("Bcc")));
            assert!(text.contains("<script>alert(\"1\")</script> & 'x'"), "text is not escaped");
        }
    }
}

#[test]
fn a_notice_links_to_web_addresses_only() {
    let about = |invoice: &str, autopay: &str| About {
        invoice_url: invoice.to_owned(),
        autopay_url: autopay.to_owned(),
        ..about()
    };
    let (web, script) = ("https://portal.example.com", "javascript:alert(1)");
    for (about, which) in [(about(script, web), "link to the invoice"), (about(web, script), "link to autopay")] {
        let letter = Letter::AutopayHeld { about, amount: usd(2), cap: usd(1), due_on: day(1) };
        let error = render(&letter, &HEAD, Language::En).expect_err("a script is no link");
        assert!(matches!(error, RenderError::NotALink(name) if name == which));
    }
}

#[test]
fn a_reminder_asks_for_the_balance_and_for_nothing_once_it_is_paid() {
    let before = written(&reminder(false, 2_500), Language::En);
    assert_eq!(before.subject, "Reminder: December 2026 dues, $25.00 due December 1, 2026");
    assert!(before.text.contains("Balance due: $25.00\n") && before.text.contains("View and pay:\n"));
    let overdue = written(&reminder(true, 2_500), Language::En);
    assert_eq!(overdue.subject, "Overdue: December 2026 dues, $25.00 was due December 1, 2026");
    for (language, subject) in Language::ALL.into_iter().zip([
        "December 2026 dues: already paid, nothing to do",
        "December 2026 dues\u{a0}: facture déjà réglée, rien à payer",
        "December 2026 dues: ya está pagada, no tiene que hacer nada",
    ]) {
        assert_eq!(written(&reminder(false, 0), language).subject, subject);
        let paid = written(&reminder(true, -100), language);
        assert_eq!(paid.subject, subject);
        assert!(!paid.text.contains("1.00") && !paid.text.contains("1,00"), "what was overpaid is not due");
        for asks in ["View and pay", "Consulter et payer", "Ver y pagar", "was due", "à payer au plus tard", "venció"]
        {
            assert!(!paid.text.contains(asks) && !paid.html.contains(asks), "{asks}");
        }
    }
}

#[test]
fn a_notice_ahead_shows_the_whole_charge_and_no_fee_where_there_is_none() {
    let with_fee = written(&ahead(), Language::En);
    assert_eq!(with_fee.subject, "Autopay on December 1, 2026: $1,035.51 for December 2026 dues");
    for fact in [
        "Amount: $1,000.00\n",
        "Processing fee: $35.51\n",
        "Total to be charged: $1,035.51\n",
        "Payment method: Visa ****4242\n",
        "Charge date: December 1, 2026\n",
    ] {
        assert!(with_fee.text.contains(fact), "{fact}");
    }
    let without = Letter::AutopayNotice { about: about(), charge: by_bank() };
    let without = written(&without, Language::En);
    assert_eq!(without.subject, "Autopay on December 1, 2026: $1,000.00 for December 2026 dues");
    assert!(without.text.contains("Bank ****6789"));
    assert!(!without.text.contains("fee") && !without.text.contains("Total"));
}

#[test]
fn a_failure_tells_the_reason_in_words_and_never_the_code() {
    let table = [
        (
            PauseReason::Declined { code: code("generic_decline") },
            ["Card declined", "Carte refusée", "Tarjeta rechazada"],
        ),
        (
            PauseReason::Returned { code: code("insufficient_funds") },
            ["Insufficient funds", "Fonds insuffisants", "Fondos insuficientes"],
        ),
        (
            PauseReason::DeclinedForGood { code: code("stolen_card") },
            ["Card declined", "Carte refusée", "Tarjeta rechazada"],
        ),
        (
            PauseReason::MandateRevoked,
            ["Bank authorization withdrawn", "Autorisation bancaire retirée", "Autorización bancaria retirada"],
        ),
    ];
    for (reason, words) in table {
        for (language, words) in Language::ALL.into_iter().zip(words) {
            let Rendered { subject, html, text } = written(&failed(&reason, None), language);
            assert!(text.contains(words) && html.contains(words), "{words}");
            for secret in ["generic_decline", "insufficient_funds", "stolen"] {
                assert!(!subject.contains(secret) && !text.contains(secret) && !html.contains(secret));
            }
        }
    }
}

#[test]
fn a_failure_says_whether_it_is_tried_again_and_what_to_do() {
    let reason = PauseReason::Declined { code: code("card_declined") };
    let again = written(&failed(&reason, Some((3, 2))), Language::En);
    assert_eq!(again.subject, "Autopay payment failed: $1,000.00 for December 2026 dues");
    assert!(again.text.contains("Next attempt: December 3, 2026\nAttempts left: 2\n"));
    assert!(again.text.contains("Update payment method:\nhttps://portal.example.com/properties/0192/autopay\n"));
    assert!(!again.text.contains("We will not try again"));

    let ended = written(&failed(&PauseReason::RetriesUsedUp { code: code("card_declined") }, None), Language::En);
    assert_eq!(ended.subject, "Action needed: Autopay could not pay December 2026 dues");
    assert!(ended.text.contains("We will not try again.") && ended.text.contains("Reactivate Autopay:\n"));
    assert!(!ended.text.contains("Next attempt") && !ended.text.contains("Attempts left"));

    let confirm = written(&failed(&PauseReason::AuthenticationRequired, None), Language::En);
    assert!(confirm.text.contains("your bank wants you to confirm") && !confirm.text.contains("Reactivate"));
    assert!(confirm.text.contains("paused until this invoice is paid"));

    let waits = written(&paused(Pause::ForAnother, failed(&reason, None)), Language::En);
    assert!(waits.text.contains("We will try again once Autopay is active again.") && waits.subject == again.subject);

    let cancelled = written(&paused(Pause::None, failed(&reason, None)), Language::En);
    assert!(cancelled.text.contains("We will not try again. Please pay this invoice yourself.\n"));
    assert!(!cancelled.text.contains("paused") && !cancelled.text.contains("eactivate"));
    for letter in [again, ended, confirm, waits, cancelled] {
        assert!(letter.text.contains("Pay now:\nhttps://portal.example.com/invoices/0193\n"));
    }
}

#[test]
fn a_pause_without_a_failure_tells_why_and_leads_to_a_new_method() {
    let table = [
        (PauseReason::MandateRevoked, "Reason: Bank authorization withdrawn\n"),
        (PauseReason::MethodDetached, "Reason: Payment method removed\n"),
        (PauseReason::AccountChanged, "Reason: Your community receives its payments in another account now\n"),
    ];
    for (reason, told) in table {
        let letter = written(&without_method(&reason), Language::En);
        assert_eq!(letter.subject, "Action needed: Autopay is paused");
        assert!(letter.text.contains(told) && letter.text.contains("Payment method: Visa ****4242\n"));
        let action = "Set up a new payment method:\nhttps://portal.example.com/properties/0192/autopay\n";
        assert!(letter.text.contains(action) && !letter.text.contains("failed"));
    }
    let reason = PauseReason::MethodDetached;
    let script = Letter::AutopayPaused {
        resident: "x",
        reason: &reason,
        method: Method::Online,
        autopay_url: "javascript:alert(1)".to_owned(),
    };
    assert!(matches!(render(&script, &HEAD, Language::En), Err(RenderError::NotALink("link to autopay"))));
}
