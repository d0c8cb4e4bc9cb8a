//! How a text would read to a resident, and in how many parts it would be sent. Nothing is sent.

use domain::{Organization, property::Details};
use edge::{Caller, Problem};
use events::{
    InboundId, InvoiceId, Language, Money, PaymentId, PropertyId, Role,
    text::Title,
    text_message::{KeywordReply, TextContent},
};
use poem::{Body, Request, Response, handler, http::StatusCode, web::Data};
use serde::Deserialize;

use super::{CommandState, KNOWN, respond, typed};
use crate::{
    Fault,
    effects::{facts_of_property, preview_of},
};

/// Who may see how texts read.
pub const ROLES: &[Role] = &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager];

/// What is to be previewed. Facts that are left out are made up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    property_id: PropertyId,
    /// As in `TextContent::KINDS`.
    kind: String,
    #[serde(default)]
    language: Language,
    /// Of an invoice.
    title: Option<Title>,
    amount: Option<Money>,
}

impl Wanted {
    fn content(&self, details: &Details, today: chrono::NaiveDate) -> Option<TextContent> {
        let invoice_id = InvoiceId(uuid::Uuid::nil());
        let title = || self.title.clone().or_else(|| Title::parse("Condo fee").ok());
        let amount = || self.amount.or_else(|| Money::try_new(42_500, details.currency).ok());
        Some(match self.kind.as_str() {
            "invoice-published" => {
                TextContent::InvoicePublished { invoice_id, title: title()?, total: amount()?, due_on: today }
            }
            "payment-received" => TextContent::PaymentReceived {
                invoice_id,
                payment_id: PaymentId(uuid::Uuid::nil()),
                title: title()?,
                amount: amount()?,
                balance: Money::zero(amount()?.currency()),
            },
            "payment-failed" => {
                TextContent::PaymentFailed { invoice_id, title: title()?, amount: amount()?, retry_on: Some(today) }
            }
            "consent-code" => TextContent::ConsentCode { challenge: 0 },
            "consent-confirmed" => TextContent::ConsentConfirmed {},
            "keyword-reply" => {
                let inbound_id = InboundId(uuid::Uuid::nil());
                TextContent::KeywordReply { inbound_id, reply: KeywordReply::Stopped }
            }
            _ => return None,
        })
    }
}

#[handler]
pub async fn preview(
    caller: Caller,
    state: Data<&CommandState>,
    request: &Request,
    body: Body,
) -> Result<Response, Problem> {
    caller.admit(ROLES)?;
    let wanted: Wanted = typed(request, body, &KNOWN).await?;
    let (effects, organization) = (&state.effects, caller.organization);
    let missing = || Problem::missing("there is no such property");
    // Another organization's is to us what does not exist, to the word; so is what a role of a property does not reach.
    let reached = caller.property.is_none_or(|own| own == wanted.property_id);
    let details = match facts_of_property(effects, organization, wanted.property_id).await {
        Ok(Some(details)) if reached => details,
        Ok(_) | Err(Fault::Missing) => return Err(missing()),
        Err(fault) => return Err(fault.into()),
    };
    let company: Organization = effects.engine.state(organization, organization.0).await?;
    let today = details.time_zone.day_of(effects.engine.clock().now());
    let content = wanted.content(&details, today).ok_or_else(|| {
        Problem::invalid("no-such-kind", format!("kinds of texts: {}", TextContent::KINDS.join(", ")))
    })?;
    let name = company.name.map(String::from).unwrap_or_default();
    let preview = preview_of(&details, &name, &effects.providers.public_url, &content, wanted.language);
    Ok(respond(StatusCode::OK, &preview))
}
