//! The pages that the templates print: a frame shared by all letters, and one content per kind.

use askama::Template;
use events::{Language, Money};

use crate::{
    Letter, Letterhead, Method, RenderError, Rendered, date,
    layout::{lines, one_line, wrapped},
    money,
    wording::{PaymentWording, Wording},
};

/// What every letter has around its content.
struct Frame {
    words: &'static Wording,
    subject: String,
    /// What a mailbox shows beside the subject.
    preheader: String,
    greeting: String,
    action: &'static str,
    link: String,
    organization: String,
    sender: String,
    property: Option<String>,
    address: Option<String>,
    reply: String,
    because: String,
    portal_url: String,
}

/// A label with its value.
struct Fact {
    label: &'static str,
    value: String,
    strong: bool,
}

impl Fact {
    const fn plain(label: &'static str, value: String) -> Self {
        Self { label, value, strong: false }
    }

    const fn strong(label: &'static str, value: String) -> Self {
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
struct Envelope<'a> {
    resident: &'a str,
    subject: String,
    preheader: String,
    action: &'static str,
    link: String,
}

impl Frame {
    fn try_new(words: &'static Wording, head: &Letterhead<'_>, of: Envelope<'_>) -> Result<Self, RenderError> {
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
            portal_url: web_address(head.portal_url, "portal address")?,
            organization,
            property,
        })
    }
}

pub fn render(letter: &Letter<'_>, head: &Letterhead<'_>, language: Language) -> Result<Rendered, RenderError> {
    let words = Wording::of(language);
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

fn finished(frame: Frame, html: String, text: &str) -> Rendered {
    Rendered { subject: frame.subject, html, text: wrapped(text) }
}

fn method_name(method: Method<'_>, phrases: &PaymentWording) -> String {
    match method {
        Method::Card { brand, last4 } => format!("{} ****{}", brand_name(brand, phrases), one_line(last4)),
        Method::Online => phrases.online.to_owned(),
        Method::Offline(method) => phrases.offline(method).to_owned(),
    }
}

/// The names that stand on the cards, for Stripe's words; a brand of tomorrow is simply a card.
fn brand_name(brand: &str, phrases: &PaymentWording) -> &'static str {
    match brand {
        "amex" => "American Express",
        "cartes_bancaires" => "Cartes Bancaires",
        "diners" => "Diners Club",
        "discover" => "Discover",
        "eftpos_au" => "eftpos",
        "interac" => "Interac",
        "jcb" => "JCB",
        "mastercard" => "Mastercard",
        "unionpay" => "UnionPay",
        "visa" => "Visa",
        _ => phrases.card,
    }
}

/// Escaping keeps an address inside its attribute, but only this keeps `javascript:` out of it.
fn web_address(address: &str, which: &'static str) -> Result<String, RenderError> {
    let web = address.starts_with("https://") || address.starts_with("http://");
    let unbroken = !address.contains(|c: char| c.is_whitespace() || c.is_control());
    if web && unbroken { Ok(address.to_owned()) } else { Err(RenderError::NotALink(which)) }
}
