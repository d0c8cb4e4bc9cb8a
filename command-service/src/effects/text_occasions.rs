//! What a text is to tell, with the facts as of now, to whom and in which language.

use domain::{Invoice, Property, Resident, text_message::RequestText};
use events::{Language, PropertyId, ResidentId, TextId, text_message::TextContent};
use processes::effect::TextOccasion;

use super::Effects;
use crate::{
    Fault,
    outbox::{Done, Task},
};

/// Notes what is to be told to whom. Where the property has this kind of text switched off, nobody is to be told anything.
pub async fn compose(
    effects: &Effects,
    task: &Task,
    text_id: TextId,
    occasion: TextOccasion,
    cause: String,
) -> Result<Done, Fault> {
    let Some((resident_id, property_id, content)) = told(effects, task, occasion).await? else {
        return Ok(Done::Finished);
    };
    if let Some(property_id) = property_id {
        let property: Property = effects.engine.state(task.organization, property_id.0).await?;
        if !property.details.is_some_and(|details| details.texts(content.kind())) {
            return Ok(Done::Finished);
        }
    }
    let resident: Resident = effects.engine.state(task.organization, resident_id.0).await?;
    let wanted = resident.record.as_ref().map_or(Language::En, |record| record.language);
    let (language, fallback) = letters::choose_text(content.kind(), wanted);
    let command = RequestText {
        text_id,
        resident_id,
        property_id,
        template: letters::text_version(content.kind()),
        content,
        language,
        fallback,
        cause,
    };
    effects.engine.execute(command, &effects.ask(task)).await?;
    Ok(Done::Finished)
}

type Told = (ResidentId, Option<PropertyId>, TextContent);

async fn told(effects: &Effects, task: &Task, occasion: TextOccasion) -> Result<Option<Told>, Fault> {
    let invoice_id = match occasion {
        TextOccasion::ConsentCode { resident_id, challenge } => {
            return Ok(Some((resident_id, None, TextContent::ConsentCode { challenge })));
        }
        TextOccasion::ConsentConfirmed { resident_id } => {
            return Ok(Some((resident_id, None, TextContent::ConsentConfirmed {})));
        }
        TextOccasion::KeywordReply { resident_id, inbound_id, reply } => {
            return Ok(Some((resident_id, None, TextContent::KeywordReply { inbound_id, reply })));
        }
        TextOccasion::InvoicePublished { invoice_id }
        | TextOccasion::PaymentReceived { invoice_id, .. }
        | TextOccasion::PaymentFailed { invoice_id, .. } => invoice_id,
    };
    let invoice: Invoice = effects.engine.state(task.organization, invoice_id.0).await?;
    let (Some(terms), Some(known)) = (invoice.terms, invoice.content) else { return Ok(None) };
    let title = known.title;
    let content = match occasion {
        TextOccasion::InvoicePublished { .. } => {
            TextContent::InvoicePublished { invoice_id, title, total: known.total, due_on: known.due_on }
        }
        TextOccasion::PaymentReceived { payment_id, amount, balance, .. } => {
            TextContent::PaymentReceived { invoice_id, payment_id, title, amount, balance }
        }
        TextOccasion::PaymentFailed { amount, retry_at, .. } => {
            let retry_on = retry_at.map(|at| terms.time_zone.day_of(at));
            TextContent::PaymentFailed { invoice_id, title, amount, retry_on }
        }
        TextOccasion::ConsentCode { .. }
        | TextOccasion::ConsentConfirmed { .. }
        | TextOccasion::KeywordReply { .. } => return Ok(None),
    };
    Ok(Some((terms.resident, Some(terms.property), content)))
}
