//! The pages that the templates print: a frame shared by all letters, and one content per kind.

use askama::Template;
use events::{Language, Money};

use crate::{
    Letter, Letterhead, RenderError, Rendered, date,
    layout::{lines, one_line, wrapped},
    means::method_name,
    money, notice, staff,
    wording::Wording,
};

/// What a letter is written on, and in.
#[derive(Clone, Copy)]
pub struct Paper<'a> {
    pub words: &'static Wording,
    pub head: &'a Letterhead<'a>,
    pub language: Language,
}

/// What every letter has around its content.
pub struct Frame {
    pub words: &'static Wording,
    pub subject: String,
    /// What a mailbox shows beside the subject.
    pub preheader: String,
    pub greeting: String,
    pub action: &'static str,
    pub link: String,
    pub organization: String,
    pub sender: String,
    pub property: Option<String>,
    pub address: Option<String>,
    pub reply: String,
    pub because: String,
    /// Absent where whoever reads it is no resident.
    pub portal_url: Option<String>,
}

/// A label with its value.
pub struct Fact {
    pub label: &'static str,
    pub value: String,
    pub strong: bool,
}

impl Fact {
    pub const fn plain(label: &'static str, value: String) -> Self {
        Self { label, value, strong: false }
    }

    pub const fn strong(label: &'static str, value: String) -> Self {
        Self { label, value, strong: true }
    }
}

struct InvoicePublished {
    title: String,
    description: Vec<String>,
    facts: Vec<Fact>,
    items: Vec<(String, String)>,
    sums: Vec<Fact>,
    settled: bool,
}

struct PaymentReceived {
    facts: Vec<Fact>,
    status: String,
}

struct SignInLink {
    expiry: String,
}

#[derive(Template)]
#[template(path = "invoice_published.html")]
struct InvoicePublishedHtml<'a> {
    frame: &'a Frame,
    letter: &'a InvoicePublished,
}

#[derive(Template)]
#[template(path = "invoice_published.txt")]
struct InvoicePublishedText<'a> {
    frame: &'a Frame,
    letter: &'a InvoicePublished,
}

#[derive(Template)]
#[template(path = "payment_received.html")]
struct PaymentReceivedHtml<'a> {
    frame: &'a Frame,
    letter: &'a PaymentReceived,
}

#[derive(Template)]
#[template(path = "payment_received.txt")]
struct PaymentReceivedText<'a> {
    frame: &'a Frame,
    letter: &'a PaymentReceived,
}

#[derive(Template)]
#[template(path = "sign_in_link.html")]
struct SignInLinkHtml<'a> {
    frame: &'a Frame,
    letter: &'a SignInLink,
}

#[derive(Template)]
#[template(path = "sign_in_link.txt")]
struct SignInLinkText<'a> {
    frame: &'a Frame,
    letter: &'a SignInLink,
}

/// What of a frame depends on the letter.
pub struct Envelope<'a> {
    pub resident: &'a str,
    pub subject: String,
    pub preheader: String,
    pub action: &'static str,
    pub link: String,
}

impl Frame {
    pub fn try_new(words: &'static Wording, head: &Letterhead<'_>, of: Envelope<'_>) -> Result<Self, RenderError> {
        let organization = one_line(head.organization);
        let property = head.property.map(one_line).filter(|name| !name.is_empty());
        let contact = head.contact.map(one_line).filter(|contact| !contact.is_empty());
        Ok(Self {
            words,
            subject: one_line(&of.subject),
            preheader: of.preheader,
            greeting: (words.greeting)(&one_line(of.resident)),
            action: of.action,
            link: of.link,
            sender: one_line(head.sender),
            address: head.property_address.map(|address| lines(address).join(", ")),
            reply: contact.map_or_else(|| words.no_replies.to_owned(), |contact| (words.questions)(&contact)),
            because: (words.because)(property.as_ref().unwrap_or(&organization)),
            portal_url: Some(web_address(head.portal_url, "portal address")?),
            organization,
            property,
        })
    }
}

pub fn render(letter: &Letter<'_>, head: &Letterhead<'_>, language: Language) -> Result<Rendered, RenderError> {
    let words = Wording::of(language);
    let paper = Paper { words, head, language };
    let money = |amount: &Money| money(*amount, language);
    match letter {
        Letter::InvoicePublished {
            resident,
            title,
            unit,
            description,
            lines: items,
            total,
            balance,
            due_on,
            invoice_url,
        } => {
            let (phrases, title, unit) = (&words.invoice, one_line(title), one_line(unit));
            let (settled, due_on) = (!balance.is_positive(), date(*due_on, language));
            let mut sums = vec![Fact::strong(phrases.total, money(total))];
            if balance != total {
                sums.push(Fact::strong(phrases.balance, money(balance)));
            }
            let envelope = Envelope {
                resident,
                subject: if settled {
                    (phrases.subject_settled)(&title)
                } else {
                    (phrases.subject)(&title, &money(balance), &due_on)
                },
                preheader: format!("{} · {unit}", one_line(head.property.unwrap_or(head.organization))),
                action: if settled { phrases.view } else { phrases.pay },
                link: web_address(invoice_url, "link to the invoice")?,
            };
            let letter = InvoicePublished {
                title,
                description: description.map(lines).unwrap_or_default(),
                facts: vec![Fact::plain(phrases.unit, unit), Fact::plain(phrases.due_on, due_on)],
                items: items.iter().map(|(text, amount)| (one_line(text), money(amount))).collect(),
                sums,
                settled,
            };
            let frame = Frame::try_new(words, head, envelope)?;
            let html = InvoicePublishedHtml { frame: &frame, letter: &letter }.render()?;
            let text = InvoicePublishedText { frame: &frame, letter: &letter }.render()?;
            Ok(finished(frame, html, &text))
        }
        Letter::PaymentReceived {
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
        } => {
            let (phrases, title) = (&words.payment, one_line(title));
            let mut facts = vec![
                Fact::plain(phrases.invoice, title.clone()),
                Fact::plain(phrases.unit, one_line(unit)),
                Fact::strong(phrases.amount, money(amount)),
            ];
            if !fee.is_zero() {
                facts.push(Fact::plain(phrases.fee, money(fee)));
            }
            if charged != amount {
                facts.push(Fact::strong(phrases.charged, money(charged)));
            }
            facts.extend([
                Fact::plain(phrases.method, method_name(*method, phrases)),
                Fact::plain(phrases.received_on, date(*received_on, language)),
                Fact::plain(phrases.balance, money(balance)),
            ]);
            let status =
                if balance.is_positive() { (phrases.remaining)(&money(balance)) } else { phrases.settled.to_owned() };
            let envelope = Envelope {
                resident,
                subject: (phrases.subject)(&money(charged), &title),
                preheader: status.clone(),
                action: phrases.view,
                link: web_address(invoice_url, "link to the invoice")?,
            };
            let letter = PaymentReceived { facts, status };
            let frame = Frame::try_new(words, head, envelope)?;
            let html = PaymentReceivedHtml { frame: &frame, letter: &letter }.render()?;
            let text = PaymentReceivedText { frame: &frame, letter: &letter }.render()?;
            Ok(finished(frame, html, &text))
        }
        Letter::PaymentReminder { about, balance, due_on, overdue } => {
            notice::reminder(paper, about, *balance, *due_on, *overdue)
        }
        Letter::AutopayNotice { about, charge } => notice::ahead(paper, about, charge),
        Letter::AutopayHeld { about, amount, cap, due_on } => notice::held(paper, about, *amount, *cap, *due_on),
        Letter::AutopayCharged { about, charge, balance } => notice::charged(paper, about, charge, *balance),
        Letter::AutopayFailed { about, amount, reason, retry_on, retries_left, pause } => {
            let next = notice::Next::after(reason, retry_on.map(|day| (day, *retries_left)), *pause);
            notice::failed(paper, about, *amount, reason, next, *pause)
        }
        Letter::AutopayPaused { resident, reason, method, autopay_url } => {
            notice::paused(paper, resident, reason, *method, autopay_url)
        }
        Letter::WebhookDisabled { host, description, failing_since, webhook_url } => {
            staff::webhook_disabled(paper, host, *description, *failing_since, webhook_url)
        }
        Letter::SignInLink { resident, link, minutes } => {
            let phrases = &words.sign_in;
            let expiry = (phrases.expiry)(*minutes);
            let envelope = Envelope {
                resident,
                subject: (phrases.subject)(&one_line(head.organization)),
                preheader: expiry.clone(),
                action: phrases.sign_in,
                link: web_address(link, "sign-in link")?,
            };
            let letter = SignInLink { expiry };
            let frame = Frame::try_new(words, head, envelope)?;
            let html = SignInLinkHtml { frame: &frame, letter: &letter }.render()?;
            let text = SignInLinkText { frame: &frame, letter: &letter }.render()?;
            Ok(finished(frame, html, &text))
        }
    }
}

pub fn finished(frame: Frame, html: String, text: &str) -> Rendered {
    Rendered { subject: frame.subject, html, text: wrapped(text) }
}

/// Escaping keeps an address inside its attribute, but only this keeps `javascript:` out of it.
pub fn web_address(address: &str, which: &'static str) -> Result<String, RenderError> {
    let web = address.starts_with("https://") || address.starts_with("http://");
    let unbroken = !address.contains(|c: char| c.is_whitespace() || c.is_control());
    if web && unbroken { Ok(address.to_owned()) } else { Err(RenderError::NotALink(which)) }
}
