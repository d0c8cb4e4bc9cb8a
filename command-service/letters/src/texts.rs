//! The texts that residents receive: one short paragraph each, in three languages, in characters that phones charge least for.

mod wording;

use std::fmt;

use chrono::NaiveDate;
use events::{Language, Money};

use crate::{date, money};
use wording::TextWording;

/// The longest title or name that a text repeats.
const LONGEST_NAME: usize = 60;
/// What the provider takes.
const LONGEST_TEXT: usize = 1_600;

/// Who writes, and where more is to be found: the same for every text of a property.
#[derive(Clone, Copy)]
pub struct TextHead<'a> {
    /// The name that stands in front of every text.
    pub brand: &'a str,
    pub portal_url: &'a str,
    /// The address that answers questions, where there is one.
    pub contact: Option<&'a str>,
    /// At the end of every text, so that it can be found at the provider.
    pub reference: &'a str,
}

impl fmt::Debug for TextHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextHead").field("brand", &self.brand).finish_non_exhaustive()
    }
}

/// What a text tells. All names are taken as written by strangers.
#[derive(Clone)]
pub enum Text<'a> {
    InvoicePublished {
        title: &'a str,
        balance: Money,
        due_on: NaiveDate,
        url: String,
    },
    PaymentReceived {
        title: &'a str,
        amount: Money,
        /// What is left to be paid.
        balance: Money,
        url: String,
    },
    PaymentFailed {
        title: &'a str,
        amount: Money,
        retry_on: Option<NaiveDate>,
        url: String,
    },
    /// A secret: whoever has it confirms the number.
    ConsentCode {
        code: &'a str,
        minutes: i64,
    },
    /// The number was confirmed: who writes, how often, what it costs, how to end it.
    ConsentConfirmed,
    Stopped,
    Help,
    Restarted,
    NothingToRestart,
}

impl Text<'_> {
    /// The kind, as in [`events::text_message::TextContent::kind`].
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::InvoicePublished { .. } => "invoice-published",
            Self::PaymentReceived { .. } => "payment-received",
            Self::PaymentFailed { .. } => "payment-failed",
            Self::ConsentCode { .. } => "consent-code",
            Self::ConsentConfirmed => "consent-confirmed",
            Self::Stopped | Self::Help | Self::Restarted | Self::NothingToRestart => "keyword-reply",
        }
    }
}

impl fmt::Debug for Text<'_> {
    /// Codes stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({})", self.kind())
    }
}

/// The version of a kind's wording, 0 for a kind that has none. Recorded with each text: raise it whenever the wording changes.
pub const fn text_version(kind: &str) -> u32 {
    match kind.as_bytes() {
        b"invoice-published" | b"payment-received" | b"payment-failed" | b"consent-code" | b"consent-confirmed"
        | b"keyword-reply" => 1,
        _ => 0,
    }
}

/// The language to write in, and whether English stands in for the wanted one.
pub fn choose_text(kind: &str, wanted: Language) -> (Language, bool) {
    if text_version(kind) > 0 { (wanted, false) } else { (Language::En, wanted != Language::En) }
}

/// Writes a text: the same input gives the same characters.
pub fn write_text(text: &Text<'_>, head: &TextHead<'_>, language: Language) -> String {
    let wording = TextWording::of(language);
    let (brand, portal) = (short(head.brand), head.portal_url);
    let told = match text {
        Text::InvoicePublished { title, balance, due_on, url } => {
            (wording.invoice_published)(&short(title), &money(*balance, language), &date(*due_on, language), url)
        }
        Text::PaymentReceived { title, amount, balance, url } => {
            let left = balance.is_positive().then(|| money(*balance, language));
            (wording.payment_received)(&short(title), &money(*amount, language), left.as_deref(), url)
        }
        Text::PaymentFailed { title, amount, retry_on, url } => {
            let again = retry_on.map(|day| date(day, language));
            (wording.payment_failed)(&short(title), &money(*amount, language), again.as_deref(), url)
        }
        Text::ConsentCode { code, minutes } => (wording.code)(code, *minutes),
        Text::ConsentConfirmed => (wording.confirmed)(portal),
        Text::Stopped => wording.stopped.to_owned(),
        Text::Help => (wording.help)(head.contact, portal),
        Text::Restarted => wording.restarted.to_owned(),
        Text::NothingToRestart => (wording.nothing_to_restart)(portal),
    };
    let ending = format!(" Ref {}", head.reference);
    let room = LONGEST_TEXT.saturating_sub(ending.chars().count());
    let begin: String = plain(&format!("{brand}: {told}")).chars().take(room).collect();
    format!("{begin}{ending}")
}

/// One line, of at most so many characters.
fn short(name: &str) -> String {
    let line = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST_NAME {
        return line;
    }
    let kept: String = line.chars().take(LONGEST_NAME - 3).collect();
    format!("{}...", kept.trim_end())
}

/// Typographic characters in the plain form that phones have: one of them would more than double what a text costs. Letters of a
/// language are left as they are.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\u{a0}' | '\u{202f}' | '\u{2009}' | '\u{2007}' => out.push(' '),
            '’' | '‘' | 'ʼ' | '´' | '`' => out.push('\''),
            '“' | '”' | '«' | '»' => out.push('"'),
            '–' | '—' | '‑' | '‐' | '−' => out.push('-'),
            '…' => out.push_str("..."),
            '\u{200b}' | '\u{feff}' | '\u{ad}' => {}
            other if other.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests;
