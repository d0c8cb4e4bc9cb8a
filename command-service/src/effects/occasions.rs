//! What an e-mail is to tell, with the facts as of now, to whom and in which language.

use chrono::NaiveDate;
use domain::{Autopay, EmailMessage, Invoice, Payment, Property, Resident, email::RequestEmail, fees, invoice::Terms};
use events::{
    InvoiceId, Language, MessageId, Money, OrganizationId, PaymentId,
    autopay::AutopayMethod,
    email::{EmailContent, PaymentMeans},
    payment::{BankSummary, CardSummary},
    text::Title,
};
use processes::effect::Occasion;

use super::Effects;
use crate::{
    Fault,
    outbox::{Done, Task},
};

/// Notes what is to be told to whom, in which language.
pub async fn compose(
    effects: &Effects,
    task: &Task,
    id: MessageId,
    occasion: Occasion,
    cause: String,
) -> Result<Done, Fault> {
    let organization = task.organization;
    let engine = &effects.engine;
    let (resident_id, property_id, content, resend_of) = match occasion {
        Occasion::InvoicePublished { invoice_id } => {
            let invoice: Invoice = engine.state(organization, invoice_id.0).await?;
            let (Some(terms), Some(content)) = (invoice.terms, invoice.content) else { return Ok(Done::Finished) };
            let (title, total, due_on) = (content.title, content.total, content.due_on);
            let content = EmailContent::InvoicePublished { invoice_id, title, total, due_on };
            (terms.resident, Some(terms.property), content, None)
        }
        Occasion::PaymentReceived { invoice_id, payment_id, amount, balance } => {
            let invoice: Invoice = engine.state(organization, invoice_id.0).await?;
            let Some(terms) = invoice.terms else { return Ok(Done::Finished) };
            let content = receipt(effects, organization, &invoice, invoice_id, payment_id, amount, balance).await?;
            let Some(content) = content else { return Ok(Done::Finished) };
            (terms.resident, Some(terms.property), content, None)
        }
        Occasion::SignInLink { sign_in_id, resident_id } => {
            (resident_id, None, EmailContent::SignInLink { sign_in_id }, None)
        }
        Occasion::PaymentReminder { invoice_id, overdue } => {
            let invoice: Invoice = engine.state(organization, invoice_id.0).await?;
            let Some((terms, title, due_on, balance)) = owed(&invoice) else { return Ok(Done::Finished) };
            let content = EmailContent::PaymentReminder { invoice_id, title, balance, due_on, overdue };
            (terms.resident, Some(terms.property), content, None)
        }
        Occasion::AutopayNotice { invoice_id, charge_on } => {
            let invoice: Invoice = engine.state(organization, invoice_id.0).await?;
            let Some((terms, title, _, amount)) = owed(&invoice) else { return Ok(Done::Finished) };
            let autopay: Autopay = engine.state(organization, Autopay::id(terms.property, terms.resident).0).await?;
            let Some(method) = autopay.method() else { return Ok(Done::Finished) };
            let fee = autopay_fee(effects, organization, &terms, method, amount).await?;
            let means = means(method.card.clone(), method.bank.clone());
            let content = EmailContent::AutopayNotice { invoice_id, title, amount, fee, charge_on, means };
            (terms.resident, Some(terms.property), content, None)
        }
        Occasion::AutopayHeld { invoice_id, amount, cap } => {
            let invoice: Invoice = engine.state(organization, invoice_id.0).await?;
            let Some((terms, title, due_on, _)) = owed(&invoice) else { return Ok(Done::Finished) };
            let content = EmailContent::AutopayHeld { invoice_id, title, amount, cap, due_on };
            (terms.resident, Some(terms.property), content, None)
        }
        Occasion::AutopayFailed { invoice_id, amount, reason, retry_at, retries_left } => {
            let invoice: Invoice = engine.state(organization, invoice_id.0).await?;
            let (Some(terms), Some(content)) = (invoice.terms, invoice.content) else { return Ok(Done::Finished) };
            let retry_on = retry_at.map(|at| terms.time_zone.day_of(at));
            let title = content.title;
            let content = EmailContent::AutopayFailed { invoice_id, title, amount, reason, retry_on, retries_left };
            (terms.resident, Some(terms.property), content, None)
        }
        Occasion::AutopayPaused { autopay_id, reason } => {
            let autopay: Autopay = engine.state(organization, autopay_id.0).await?;
            // Cancelled meanwhile: there is nothing to set up any more.
            let (Some((property, resident)), Some(method)) = (autopay.owner(), autopay.method()) else {
                return Ok(Done::Finished);
            };
            let means = means(method.card.clone(), method.bank.clone());
            (resident, Some(property), EmailContent::AutopayPaused { reason, means }, None)
        }
        Occasion::Resend { of } => {
            let earlier: EmailMessage = engine.state(organization, of.0).await?;
            let Some(request) = earlier.request else { return Ok(Done::Finished) };
            (request.resident, request.property, request.content, Some(of))
        }
    };
    let resident: Resident = engine.state(organization, resident_id.0).await?;
    let wanted = resident.record.as_ref().map_or(Language::En, |record| record.language);
    let (language, fallback) = letters::choose(content.kind(), wanted);
    let command = RequestEmail {
        message_id: id,
        resident_id,
        property_id,
        template: letters::template_version(content.kind()),
        content,
        language,
        fallback,
        cause,
        resend_of,
    };
    engine.execute(command, &effects.ask(task)).await?;
    Ok(Done::Finished)
}

/// What is owed on a published invoice: by whom, for what, until when, how much.
fn owed(invoice: &Invoice) -> Option<(Terms, Title, NaiveDate, Money)> {
    let (terms, content) = (invoice.terms?, invoice.content.as_ref()?);
    Some((terms, content.title.clone(), content.due_on, invoice.balance().ok()?))
}

/// What autopay would charge on top.
async fn autopay_fee(
    effects: &Effects,
    organization: OrganizationId,
    terms: &Terms,
    method: &AutopayMethod,
    amount: Money,
) -> Result<Money, Fault> {
    let property: Property = effects.engine.state(organization, terms.property.0).await?;
    let funding = method.card.as_ref().map(|card| card.funding.as_str());
    let quote = property.details.and_then(|details| {
        fees::quote(&details.terms(effects.engine.clock().now()), method.kind, funding, amount).ok()
    });
    Ok(quote.map_or(Money::zero(amount.currency()), |quote| quote.fee))
}

fn means(card: Option<CardSummary>, bank: Option<BankSummary>) -> PaymentMeans {
    match (card, bank) {
        (Some(card), _) => PaymentMeans::Card { brand: card.brand, last4: card.last4 },
        (None, Some(bank)) => PaymentMeans::Bank { bank_name: bank.bank_name, last4: bank.last4 },
        (None, None) => PaymentMeans::Online,
    }
}

async fn receipt(
    effects: &Effects,
    organization: OrganizationId,
    invoice: &Invoice,
    invoice_id: InvoiceId,
    payment_id: PaymentId,
    amount: Money,
    balance: Money,
) -> Result<Option<EmailContent>, Fault> {
    let (Some(terms), Some(content)) = (invoice.terms, &invoice.content) else { return Ok(None) };
    let mut by_autopay = false;
    let (fee, received_on, means) = if let Some((method, received_on)) = invoice.offline(payment_id) {
        (Money::zero(amount.currency()), received_on, PaymentMeans::Offline { method })
    } else {
        let payment: Payment = effects.engine.state(organization, payment_id.0).await?;
        let fee = payment
            .quote
            .and_then(|quote| quote.total.checked_sub(quote.amount).ok())
            .unwrap_or(Money::zero(amount.currency()));
        by_autopay = payment.quote.is_some_and(|quote| quote.autopay.is_some());
        let means = means(payment.card, payment.bank);
        (fee, terms.time_zone.day_of(effects.engine.clock().now()), means)
    };
    let title = content.title.clone();
    if by_autopay {
        let charged_on = received_on;
        let content =
            EmailContent::AutopayCharged { invoice_id, payment_id, title, amount, fee, balance, charged_on, means };
        return Ok(Some(content));
    }
    Ok(Some(EmailContent::PaymentReceived { invoice_id, payment_id, title, amount, fee, balance, received_on, means }))
}
