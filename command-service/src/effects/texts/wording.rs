//! What a text says: its facts, brought to the words of its language.

use domain::{Blind, SmsConsent, property::Details, segments, sms_consent::CODE_HOLDS, text_message::Request};
use events::{
    Language, Money, OrganizationId, TextId,
    text_message::{KeywordReply, TextContent},
};
use letters::{Text, TextHead, choose_text, write_text};
use serde_json::{Value, json};

use super::look::Look;
use crate::effects::Effects;

/// Without those that are mistaken for others.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 6;

/// What stands at the end of a text, so that it can be found at the provider: thirty bits of its id.
pub fn reference(text: TextId) -> String {
    let mut bits = text.0.as_u128();
    let mut out = String::with_capacity(LENGTH);
    for _ in 0..LENGTH {
        let letter = usize::try_from(bits & 31).unwrap_or_default();
        out.push(char::from(LETTERS[letter]));
        bits >>= 5;
    }
    out
}

pub(super) fn write(
    effects: &Effects,
    organization: OrganizationId,
    request: &Request,
    look: &Look,
    reference: &str,
) -> String {
    let balance = look.invoice.as_ref().and_then(|invoice| invoice.balance().ok());
    let keyring = effects.engine.store().keyring().clone();
    let blind = Blind::new(move |value| keyring.digest(organization, value));
    let code = |challenge| SmsConsent::code(&blind, request.resident, challenge);
    let head = Head::of(look.details.as_ref(), &look.organization, &effects.providers.public_url);
    head.write(&request.content, request.language, balance, code, reference)
}

/// Who writes.
struct Head {
    brand: String,
    contact: Option<String>,
    public_url: String,
}

impl Head {
    fn of(details: Option<&Details>, organization: &str, public_url: &str) -> Self {
        let sender = details.map(|details| String::from(details.sender.clone()));
        Self {
            brand: sender.unwrap_or_else(|| organization.to_owned()),
            contact: details.and_then(|details| details.contact.value()).map(|contact| contact.as_str().to_owned()),
            public_url: public_url.to_owned(),
        }
    }

    fn write(
        &self,
        content: &TextContent,
        language: Language,
        open: Option<Money>,
        code: impl Fn(u32) -> String,
        reference: &str,
    ) -> String {
        let head =
            TextHead { brand: &self.brand, portal_url: &self.public_url, contact: self.contact.as_deref(), reference };
        let url = content.invoice_id().map(|id| format!("{}/invoices/{id}", self.public_url)).unwrap_or_default();
        let secret;
        let text = match content {
            TextContent::InvoicePublished { title, total, due_on, .. } => Text::InvoicePublished {
                title: title.as_str(),
                // Paid in part meanwhile, it must not ask for all.
                balance: open.unwrap_or(*total),
                due_on: *due_on,
                url,
            },
            TextContent::PaymentReceived { title, amount, balance, .. } => {
                Text::PaymentReceived { title: title.as_str(), amount: *amount, balance: *balance, url }
            }
            TextContent::PaymentFailed { title, amount, retry_on, .. } => {
                Text::PaymentFailed { title: title.as_str(), amount: *amount, retry_on: *retry_on, url }
            }
            TextContent::ConsentCode { challenge } => {
                secret = code(*challenge);
                Text::ConsentCode { code: &secret, minutes: CODE_HOLDS.num_minutes() }
            }
            TextContent::ConsentConfirmed {} => Text::ConsentConfirmed,
            TextContent::KeywordReply { reply, .. } => match reply {
                KeywordReply::Stopped => Text::Stopped,
                KeywordReply::Help => Text::Help,
                KeywordReply::Restarted => Text::Restarted,
                KeywordReply::NothingToRestart => Text::NothingToRestart,
            },
        };
        write_text(&text, &head, language)
    }
}

/// A text as it would read, and what it would cost in parts. Codes are shown as zeros.
pub fn preview_of(
    details: &Details,
    organization: &str,
    public_url: &str,
    content: &TextContent,
    wanted: Language,
) -> Value {
    let (language, fallback) = choose_text(content.kind(), wanted);
    let head = Head::of(Some(details), organization, public_url);
    let body = head.write(content, language, None, |_| "000000".to_owned(), &"0".repeat(LENGTH));
    let counted = segments::count(&body);
    json!({
        "kind": content.kind(),
        "language": language,
        "fallback": fallback,
        "body": body,
        "characters": body.chars().count(),
        "encoding": counted.encoding,
        "units": counted.units,
        "segments": counted.segments,
        "left_in_last_segment": counted.left,
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_reference_is_six_letters_of_the_texts_id() {
        assert_eq!(reference(TextId(Uuid::nil())), "000000");
        assert_eq!(reference(TextId(Uuid::from_u128(0b11111_00001))), "1Z0000");
        let one = reference(TextId(Uuid::from_u128(1)));
        assert_ne!(one, reference(TextId(Uuid::from_u128(2))));
        assert_eq!(one.len(), LENGTH);
    }
}
