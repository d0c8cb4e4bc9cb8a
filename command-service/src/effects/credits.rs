//! Credit is spent as soon as there is an invoice for it, with or without autopay, and never while a payment is in flight.

use chrono::NaiveDate;
use domain::{
    Credit, Invoice,
    credit::{SpendCredit, credit_id},
    invoice::Phase,
};
use events::{InvoiceId, Money, PropertyId, ResidentId};
use uuid::Uuid;

use super::{Effects, backoff};
use crate::{
    Fault,
    outbox::{Done, Task},
};

/// The invoices that were ever drafted for a resident: an index of the log, so that none is missed that a read model has yet to hear of.
const INVOICES: &str = "select aggregate_id::uuid from log.events
     where organization_id = $1 and event_type = 'InvoiceDrafted'
         and payload #>> '{InvoiceDrafted,resident_id}' = $2 and payload #>> '{InvoiceDrafted,property_id}' = $3";

/// Whether an invoice's balance is about to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spending {
    /// There is nothing to spend on it.
    Nothing,
    /// Credit is on its way.
    OnItsWay,
}

/// The balance that credit may settle now. What a payment is in flight for is looked at again when that is over.
fn open(invoice: &Invoice) -> Option<Money> {
    let balance = invoice.balance().ok()?;
    let open = invoice.phase == Phase::Published && invoice.written_off.is_none() && invoice.claim.is_none();
    (open && balance.is_positive()).then_some(balance)
}

/// Sets aside for the invoice what there is of this balance.
pub(super) async fn spend(
    effects: &Effects,
    task: &Task,
    id: InvoiceId,
    invoice: &Invoice,
    balance: Money,
) -> Result<Spending, Fault> {
    let Some(terms) = invoice.terms else { return Ok(Spending::Nothing) };
    let credit_id = credit_id(terms.property, terms.resident);
    let credit: Credit = effects.engine.state(task.organization, credit_id.0).await?;
    if credit.is_on_its_way(id, Some(invoice)) {
        return Ok(Spending::OnItsWay);
    }
    if credit.available().is_none() {
        return Ok(Spending::Nothing);
    }
    let command = SpendCredit { credit_id, invoice_id: id, amount: balance };
    match effects.engine.execute(command, &effects.ask(task)).await {
        Ok(_) => Ok(Spending::OnItsWay),
        // In another currency than the invoice: it is for others.
        Err(Fault::Refused { .. }) => Ok(Spending::Nothing),
        Err(fault) => Err(fault),
    }
}

fn done(task: &Task, spending: Spending) -> Done {
    match spending {
        Spending::Nothing => Done::Finished,
        // There may be more, of which the balance that was asked with knows nothing.
        Spending::OnItsWay => Done::Again { after: backoff(task.attempts), why: "credit is being applied".to_owned() },
    }
}

/// An invoice became payable, was raised, or is free again.
pub async fn on_invoice(effects: &Effects, task: &Task, id: InvoiceId) -> Result<Done, Fault> {
    let invoice: Invoice = effects.engine.state(task.organization, id.0).await?;
    let Some(balance) = open(&invoice) else { return Ok(Done::Finished) };
    Ok(done(task, spend(effects, task, id, &invoice, balance).await?))
}

/// Credit came: what is open is settled with it, in the order of the due days.
pub async fn of_resident(
    effects: &Effects,
    task: &Task,
    property: PropertyId,
    resident: ResidentId,
) -> Result<Done, Fault> {
    let ids: Vec<Uuid> = sqlx::query_scalar(INVOICES)
        .bind(task.organization.0)
        .bind(resident.to_string())
        .bind(property.to_string())
        .fetch_all(effects.engine.store().pool())
        .await?;
    let mut invoices: Vec<(NaiveDate, InvoiceId, Invoice, Money)> = Vec::new();
    for id in ids {
        let invoice: Invoice = effects.engine.state(task.organization, id).await?;
        if let (Some(balance), Some(due_on)) = (open(&invoice), invoice.content.as_ref().map(|content| content.due_on))
        {
            invoices.push((due_on, InvoiceId(id), invoice, balance));
        }
    }
    invoices.sort_by_key(|(due_on, id, ..)| (*due_on, *id));
    let mut all = Spending::Nothing;
    for (_, id, invoice, balance) in invoices {
        if spend(effects, task, id, &invoice, balance).await? == Spending::OnItsWay {
            all = Spending::OnItsWay;
        }
    }
    Ok(done(task, all))
}
