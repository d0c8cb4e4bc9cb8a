//! Builds the message that SMTP carries: both texts, our reference, and no header that was not meant.

use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{Header, HeaderName, HeaderValue},
    },
};
use processes::ports::{OutgoingEmail, Refused};

use crate::resend::one_line;

/// `X-Message-Ref`: how a reply or bounce is matched to our message.
#[derive(Clone)]
struct MessageRef(String);

impl Header for MessageRef {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("X-Message-Ref")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

pub(super) fn build(email: &OutgoingEmail) -> Result<Message, Refused> {
    let from = address(&email.from_address)?;
    let message_id = format!("<{}@{}>", email.reference, from.domain());
    let name = Some(one_line(&email.from_name)).filter(|name| !name.is_empty());
    let mut message = Message::builder()
        .from(Mailbox::new(name, from))
        .to(Mailbox::new(None, address(&email.to)?))
        .subject(one_line(&email.subject))
        .message_id(Some(message_id))
        .header(MessageRef(email.reference.to_string()));
    if let Some(reply_to) = &email.reply_to {
        message = message.reply_to(Mailbox::new(None, address(reply_to)?));
    }
    message
        .multipart(MultiPart::alternative_plain_html(email.text.clone(), email.html.clone()))
        .map_err(|_| Refused { code: "invalid_message".to_owned(), why: "the message cannot be built".to_owned() })
}

/// An ASCII address. Others need SMTPUTF8, which few servers offer and our own parser does not let in.
fn address(text: &str) -> Result<Address, Refused> {
    let refused = || Refused { code: "invalid_address".to_owned(), why: "an address cannot be used".to_owned() };
    text.parse().ok().filter(|_| text.is_ascii()).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn email() -> OutgoingEmail {
        OutgoingEmail {
            from_name: "Résidence Cèdre".to_owned(),
            from_address: "hoa@example.com".to_owned(),
            to: "ada@example.org".to_owned(),
            reply_to: Some("office@example.com".to_owned()),
            subject: "Facture publiée".to_owned(),
            html: "<p>Payée</p>".to_owned(),
            text: "Payée\n.\nfin".to_owned(),
            reference: Uuid::from_u128(5),
            kind: "invoice-published".to_owned(),
            language: "fr".to_owned(),
        }
    }

    fn rendered(email: &OutgoingEmail) -> String {
        build(email).map(|message| String::from_utf8_lossy(&message.formatted()).into_owned()).unwrap_or_default()
    }

    #[test]
    fn a_message_has_both_texts_and_our_headers_in_ascii() {
        let text = rendered(&email());
        assert!(text.is_ascii());
        for expected in [
            "Message-ID: <00000000-0000-0000-0000-000000000005@example.com>\r\n",
            "X-Message-Ref: 00000000-0000-0000-0000-000000000005\r\n",
            "Reply-To: office@example.com\r\n",
            "To: ada@example.org\r\n",
            "From: =?utf-8?b?",
            "Subject: Facture =?utf-8?b?cHVibGnDqWU=?=\r\n",
            "multipart/alternative",
            "text/plain",
            "text/html",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[test]
    fn names_and_subjects_cannot_bring_headers_of_their_own() {
        let nasty = "x\r\nBcc: all@example.org\n\rX-Evil: 1\u{2028}\0 \"<>";
        let text = rendered(&OutgoingEmail { from_name: nasty.to_owned(), subject: nasty.to_owned(), ..email() });
        let (head, _) = text.split_once("\r\n\r\n").unwrap_or_default();
        assert!(!head.is_empty());
        for line in head.split("\r\n") {
            assert!(!line.starts_with("Bcc") && !line.starts_with("X-Evil"), "{line}");
            assert!(!line.contains(['\r', '\n', '\0']), "{line}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for to in ["", "ada", "ada@example.org\r\nRCPT TO:<all@example.org>", "ada@exämple.org", "a b@example.org"] {
            let refused = build(&OutgoingEmail { to: to.to_owned(), ..email() }).err().map(|refused| refused.code);
            assert_eq!(refused.as_deref(), Some("invalid_address"), "{to}");
        }
    }
}
