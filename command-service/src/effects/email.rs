//! E-mails: whom to write to in which language, whether at all, frozen before it is handed over, at most once per cause.

use chrono::{NaiveDate, Utc};
use domain::{
    Autopay, EmailMessage, Invoice, Organization, Property, Resident, Suppression,
    email::{EmailReport, Phase, RecordEmail, SubmitEmail, SuppressEmail},
    invoice::Terms,
    sign_in::LINK_HOLDS,
    suppression::SuppressAddress,
};
use events::{
    EmailAddress, InvoiceId, MessageId, Money, OrganizationId, ResidentId, SuppressionId,
    email::{EmailContent, EmailSuppression, PaymentMeans},
    suppression::SuppressionCause,
};
use letters::{About, Charge, Letter, Letterhead, Method, Pause};
use processes::ports::{MailPromise, Outcome, OutgoingEmail};
use serde_json::Value;

use super::{Effects, backoff, unknown};
use crate::{
    Fault,
    outbox::{Done, Task},
};

/// Decides whether to send, freezes the message, hands it over.
pub async fn send(effects: &Effects, task: &Task, id: MessageId) -> Result<Done, Fault> {
    let ask = effects.ask(task);
    let mail = &effects.providers.mail;
    let mut message: EmailMessage = effects.engine.state(task.organization, id.0).await?;
    if message.phase == Phase::Requested {
        match prepare(effects, task.organization, id, &message).await? {
            Prepared::No(reason) => {
                effects.engine.execute(SuppressEmail { message_id: id, reason }, &ask).await?;
                return Ok(Done::Finished);
            }
            Prepared::Unrenderable(why) => return Ok(Done::Unresolved(why)),
            Prepared::Yes(address, rendered) => {
                let provider = mail.name().to_owned();
                let submit = SubmitEmail { message_id: id, provider, address, message: rendered };
                effects.engine.execute(submit, &ask).await?;
                message = effects.engine.state(task.organization, id.0).await?;
            }
        }
    }
    let Some(frozen) = message.frozen.filter(|_| message.phase == Phase::Submitting) else {
        return Ok(Done::Finished);
    };
    let report = |report| RecordEmail { message_id: id, report };
    // It may have been frozen a while ago: who was erased meanwhile is not written to any more.
    let erased = match &message.request {
        Some(request) => effects.engine.state::<Resident>(task.organization, request.resident.0).await?.erased,
        None => false,
    };
    let mut was_called = task.interrupted;
    let frozen_message = frozen.message.into_value();
    let outgoing = frozen_message.and_then(|value| serde_json::from_value::<OutgoingEmail>(value).ok());
    let outgoing = outgoing.filter(|_| frozen.provider == mail.name());
    let mut lost = match (mail.promise(), task.first_called_at) {
        // A second call under the same key is the same message, but only for so long.
        (MailPromise::Idempotent { window }, Some(first)) => {
            task.interrupted && (Utc::now() - first).to_std().unwrap_or_default() >= window
        }
        (MailPromise::Idempotent { .. }, None) => false,
        (MailPromise::AtMostOnce, _) => task.interrupted,
    };
    if let (true, Some(outgoing), Some(first)) = (lost, &outgoing, task.first_called_at) {
        match mail.find(outgoing, first).await {
            Some(Outcome::Done(Some(id))) => {
                effects.engine.execute(report(EmailReport::Accepted { provider_id: Some(id) }), &ask).await?;
                return Ok(Done::Finished);
            }
            // After so long it would be there: it never went out, and its key is free again.
            Some(Outcome::Done(None)) => (lost, was_called) = (false, false),
            Some(Outcome::Retry { after, why }) => {
                return Ok(Done::Unsure { after: after.max(backoff(task.attempts)), why });
            }
            Some(Outcome::Unknown { cause, why }) => {
                return Ok(Done::Unsure { after: backoff(task.attempts), why: unknown(cause, &why) });
            }
            Some(Outcome::Refused(_)) | None => {}
        }
    }
    if erased && !was_called {
        let reason = "the resident was erased before it was handed over".to_owned();
        effects.engine.execute(report(EmailReport::Failed { reason }), &ask).await?;
        return Ok(Done::Finished);
    }
    let Some(outgoing) = outgoing.filter(|_| !lost && !erased) else {
        let why = match (lost, erased) {
            (_, true) => "the resident was erased while the provider's answer was awaited",
            (true, false) => "the provider's answer was lost",
            (false, false) => "the message is gone or another provider's",
        };
        effects.engine.execute(report(EmailReport::Unknown { why: why.to_owned() }), &ask).await?;
        return Ok(Done::Unresolved(why.to_owned()));
    };
    effects.calling(task).await?;
    match mail.send(&outgoing, &frozen.idempotency_key).await {
        Outcome::Done(provider_id) => {
            effects.engine.execute(report(EmailReport::Accepted { provider_id }), &ask).await?;
            Ok(Done::Finished)
        }
        // An earlier call may have sent it: unknown, not failed.
        Outcome::Refused(refused) if task.interrupted => {
            let why = format!("the provider's first answer was lost, then it refused: {}", refused.code);
            effects.engine.execute(report(EmailReport::Unknown { why: why.clone() }), &ask).await?;
            Ok(Done::Unresolved(why))
        }
        Outcome::Refused(refused) => {
            let reason = format!("{}: {}", refused.code, refused.why);
            effects.engine.execute(report(EmailReport::Failed { reason }), &ask).await?;
            Ok(Done::Refused(refused.code))
        }
        Outcome::Retry { after, why } => Ok(Done::Again { after: after.max(backoff(task.attempts)), why }),
        Outcome::Unknown { cause, why } => match mail.promise() {
            // The same key again: the provider tells whether it had it.
            MailPromise::Idempotent { .. } => {
                Ok(Done::Unsure { after: backoff(task.attempts), why: unknown(cause, &why) })
            }
            MailPromise::AtMostOnce => {
                effects.engine.execute(report(EmailReport::Unknown { why: why.clone() }), &ask).await?;
                Ok(Done::Unresolved(unknown(cause, &why)))
            }
        },
    }
}

enum Prepared {
    Yes(EmailAddress, Value),
    No(EmailSuppression),
    Unrenderable(String),
}

/// The last look before sending, and the rendered message.
async fn prepare(
    effects: &Effects,
    organization: OrganizationId,
    id: MessageId,
    message: &EmailMessage,
) -> Result<Prepared, Fault> {
    let Some(request) = &message.request else { return Ok(Prepared::No(EmailSuppression::NoAddress)) };
    let engine = &effects.engine;
    let resident: Resident = engine.state(organization, request.resident.0).await?;
    if resident.erased {
        return Ok(Prepared::No(EmailSuppression::ResidentErased));
    }
    if !resident.is_active() {
        return Ok(Prepared::No(EmailSuppression::ResidentInactive));
    }
    let record = resident.record.as_ref();
    let address = record.and_then(|record| record.email.as_ref()?.value().cloned());
    let Some(address) = address else { return Ok(Prepared::No(EmailSuppression::NoAddress)) };
    let suppression: Suppression =
        engine.state(organization, suppression_id(effects, organization, &address).0).await?;
    if suppression.active {
        return Ok(Prepared::No(EmailSuppression::AddressSuppressed));
    }
    let name = record.and_then(|record| record.name.value()).map(ToString::to_string).unwrap_or_default();
    let property = match request.property {
        Some(id) => engine.state::<Property>(organization, id.0).await?.details,
        None => None,
    };
    if property.as_ref().is_some_and(|property| !property.sends(request.content.kind())) {
        return Ok(Prepared::No(EmailSuppression::KindSwitchedOff));
    }
    if overtaken(effects, organization, request).await? {
        return Ok(Prepared::No(EmailSuppression::Overtaken));
    }
    let head = head(effects, organization, property).await?;
    let unit = invoice_unit(effects, organization, &request.content).await?;
    match render(effects, request, &head, &name, &unit) {
        Ok(rendered) => {
            let outgoing = OutgoingEmail {
                from_name: head.sender.clone(),
                from_address: effects.providers.mail_from.clone(),
                to: address.as_str().to_owned(),
                reply_to: head.contact.clone(),
                subject: rendered.subject,
                html: rendered.html,
                text: rendered.text,
                reference: id.0,
                kind: request.content.kind().to_owned(),
                language: request.language.code().to_owned(),
            };
            match serde_json::to_value(&outgoing) {
                Ok(value) => Ok(Prepared::Yes(address, value)),
                Err(error) => Ok(Prepared::Unrenderable(error.to_string())),
            }
        }
        Err(error) => Ok(Prepared::Unrenderable(error.to_string())),
    }
}

/// Whether a letter asks for what is not asked for any more.
async fn overtaken(
    effects: &Effects,
    organization: OrganizationId,
    request: &domain::email::Request,
) -> Result<bool, Fault> {
    let content = &request.content;
    let invoice_id = match content {
        EmailContent::AutopayPaused { reason, .. } => {
            let Some(property) = request.property else { return Ok(true) };
            let autopay: Autopay =
                effects.engine.state(organization, Autopay::id(property, request.resident).0).await?;
            return Ok(autopay.pause().is_none_or(|pause| pause.reason != *reason));
        }
        EmailContent::InvoicePublished { invoice_id, .. }
        | EmailContent::PaymentReminder { invoice_id, .. }
        | EmailContent::AutopayNotice { invoice_id, .. }
        | EmailContent::AutopayHeld { invoice_id, .. } => *invoice_id,
        EmailContent::PaymentReceived { .. }
        | EmailContent::SignInLink { .. }
        | EmailContent::AutopayCharged { .. }
        | EmailContent::AutopayFailed { .. } => return Ok(false),
    };
    let invoice: Invoice = effects.engine.state(organization, invoice_id.0).await?;
    let expected = invoice.expected().is_ok_and(Money::is_positive);
    // Who paid at once still hears of the invoice.
    let told = matches!(content, EmailContent::InvoicePublished { .. });
    Ok(!expected && (!told || invoice.phase != domain::invoice::Phase::Published))
}

/// The list's entry for an address follows from its keyed hash.
pub(super) fn suppression_id(effects: &Effects, organization: OrganizationId, address: &EmailAddress) -> SuppressionId {
    SuppressionId(effects.engine.store().keyring().digest(organization, &address.normalized()))
}

struct Head {
    organization: String,
    sender: String,
    property: Option<String>,
    address: Option<String>,
    contact: Option<String>,
}

async fn head(
    effects: &Effects,
    organization: OrganizationId,
    property: Option<domain::property::Details>,
) -> Result<Head, Fault> {
    let company: Organization = effects.engine.state(organization, organization.0).await?;
    let company = company.name.map(String::from).unwrap_or_default();
    Ok(match property {
        Some(details) => Head {
            organization: company,
            sender: details.sender.into(),
            property: Some(details.name.into()),
            address: Some(format!(
                "{}, {}, {} {}",
                details.address.street, details.address.city, details.address.region, details.address.postal_code
            )),
            contact: details.contact.value().map(|contact| contact.as_str().to_owned()),
        },
        None => Head { sender: company.clone(), organization: company, property: None, address: None, contact: None },
    })
}

/// What a letter about an invoice shows of it beyond the message's own facts.
#[derive(Default)]
struct InvoiceFacts {
    unit: String,
    description: Option<String>,
    lines: Vec<(String, Money)>,
    balance: Option<Money>,
    pause: Pause,
}

async fn invoice_unit(
    effects: &Effects,
    organization: OrganizationId,
    told: &EmailContent,
) -> Result<InvoiceFacts, Fault> {
    let Some(invoice_id) = told.invoice_id() else { return Ok(InvoiceFacts::default()) };
    let invoice: Invoice = effects.engine.state(organization, invoice_id.0).await?;
    let balance = invoice.balance().ok();
    let (Some(terms), Some(content)) = (invoice.terms, invoice.content) else { return Ok(InvoiceFacts::default()) };
    let unit: domain::Unit = effects.engine.state(organization, terms.unit.0).await?;
    Ok(InvoiceFacts {
        unit: unit.label.map(String::from).unwrap_or_default(),
        description: content.description.map(String::from),
        lines: content.lines.into_iter().map(|line| (line.description.into(), line.amount)).collect(),
        balance,
        pause: match told {
            EmailContent::AutopayFailed { .. } => pause(effects, organization, &terms, invoice_id).await?,
            EmailContent::InvoicePublished { .. }
            | EmailContent::PaymentReceived { .. }
            | EmailContent::SignInLink { .. }
            | EmailContent::PaymentReminder { .. }
            | EmailContent::AutopayNotice { .. }
            | EmailContent::AutopayHeld { .. }
            | EmailContent::AutopayCharged { .. }
            | EmailContent::AutopayPaused { .. } => Pause::None,
        },
    })
}

/// How autopay stands now: it may have been cancelled while the charge was on its way.
async fn pause(
    effects: &Effects,
    organization: OrganizationId,
    terms: &Terms,
    invoice: InvoiceId,
) -> Result<Pause, Fault> {
    let autopay: Autopay = effects.engine.state(organization, Autopay::id(terms.property, terms.resident).0).await?;
    Ok(match (autopay.pause(), autopay.failure()) {
        (None, _) => Pause::None,
        (Some(_), Some(failure)) if failure.invoice == invoice => Pause::ForThis,
        (Some(_), _) => Pause::ForAnother,
    })
}

fn render(
    effects: &Effects,
    request: &domain::email::Request,
    head: &Head,
    resident: &str,
    facts: &InvoiceFacts,
) -> Result<letters::Rendered, letters::RenderError> {
    let public_url = &effects.providers.public_url;
    let letterhead = Letterhead {
        organization: &head.organization,
        sender: &head.sender,
        property: head.property.as_deref(),
        property_address: head.address.as_deref(),
        contact: head.contact.as_deref(),
        portal_url: public_url,
    };
    let invoice_url = |id: InvoiceId| format!("{public_url}/invoices/{id}");
    // There is one enrollment per property.
    let autopay_url = request
        .property
        .map_or_else(|| format!("{public_url}/autopay"), |id| format!("{public_url}/properties/{id}/autopay"));
    let about = |id: InvoiceId, title| About {
        resident,
        title,
        unit: &facts.unit,
        invoice_url: invoice_url(id),
        autopay_url: autopay_url.clone(),
    };
    let letter = match &request.content {
        EmailContent::InvoicePublished { invoice_id, title, total, due_on } => Letter::InvoicePublished {
            resident,
            title: title.as_str(),
            unit: &facts.unit,
            description: facts.description.as_deref(),
            lines: facts.lines.iter().map(|(text, amount)| (text.as_str(), *amount)).collect(),
            total: *total,
            balance: facts.balance.unwrap_or(*total),
            due_on: *due_on,
            invoice_url: invoice_url(*invoice_id),
        },
        EmailContent::PaymentReceived { invoice_id, title, amount, fee, balance, received_on, means, .. } => {
            Letter::PaymentReceived {
                resident,
                title: title.as_str(),
                unit: &facts.unit,
                amount: *amount,
                fee: *fee,
                charged: in_all(*amount, *fee),
                method: method(means),
                received_on: *received_on,
                balance: *balance,
                invoice_url: invoice_url(*invoice_id),
            }
        }
        EmailContent::SignInLink { sign_in_id } => Letter::SignInLink {
            resident,
            link: format!("{public_url}/sign-in?link={}", effects.credentials.link(*sign_in_id)),
            minutes: u32::try_from(LINK_HOLDS.num_minutes()).unwrap_or(30),
        },
        EmailContent::PaymentReminder { invoice_id, title, balance, due_on, overdue } => Letter::PaymentReminder {
            about: about(*invoice_id, title.as_str()),
            // Paid meanwhile, it must not ask again.
            balance: facts.balance.unwrap_or(*balance),
            due_on: *due_on,
            overdue: *overdue,
        },
        EmailContent::AutopayNotice { invoice_id, title, amount, fee, charge_on, means } => Letter::AutopayNotice {
            about: about(*invoice_id, title.as_str()),
            charge: charge(*amount, *fee, means, *charge_on),
        },
        EmailContent::AutopayHeld { invoice_id, title, amount, cap, due_on } => Letter::AutopayHeld {
            about: about(*invoice_id, title.as_str()),
            amount: *amount,
            cap: *cap,
            due_on: *due_on,
        },
        EmailContent::AutopayCharged { invoice_id, title, amount, fee, balance, charged_on, means, .. } => {
            Letter::AutopayCharged {
                about: about(*invoice_id, title.as_str()),
                charge: charge(*amount, *fee, means, *charged_on),
                balance: *balance,
            }
        }
        EmailContent::AutopayFailed { invoice_id, title, amount, reason, retry_on, retries_left } => {
            Letter::AutopayFailed {
                about: about(*invoice_id, title.as_str()),
                amount: *amount,
                reason,
                retry_on: *retry_on,
                retries_left: *retries_left,
                pause: facts.pause,
            }
        }
        EmailContent::AutopayPaused { reason, means } => {
            Letter::AutopayPaused { resident, reason, method: method(means), autopay_url: autopay_url.clone() }
        }
    };
    letters::render(&letter, &letterhead, request.language)
}

/// What the resident is charged, fee included.
fn in_all(amount: Money, fee: Money) -> Money {
    amount.checked_add(fee).unwrap_or(amount)
}

fn charge(amount: Money, fee: Money, means: &PaymentMeans, on: NaiveDate) -> Charge<'_> {
    Charge { amount, fee, charged: in_all(amount, fee), method: method(means), on }
}

fn method(means: &PaymentMeans) -> Method<'_> {
    match means {
        PaymentMeans::Card { brand, last4 } => Method::Card { brand, last4 },
        PaymentMeans::Bank { last4, .. } => Method::Bank { last4 },
        PaymentMeans::Online => Method::Online,
        PaymentMeans::Offline { method } => Method::Offline(*method),
    }
}

/// Puts the address that a message went to on the suppression list.
pub async fn suppress(effects: &Effects, task: &Task, id: MessageId, cause: SuppressionCause) -> Result<Done, Fault> {
    let message: EmailMessage = effects.engine.state(task.organization, id.0).await?;
    let (Some(request), Some(frozen)) = (message.request, message.frozen) else { return Ok(Done::Finished) };
    // Erased meanwhile: there is nothing to suppress.
    let Some(address) = frozen.address.into_value() else { return Ok(Done::Finished) };
    let resident_id: ResidentId = request.resident;
    let suppression_id = suppression_id(effects, task.organization, &address);
    let command = SuppressAddress { suppression_id, resident_id, message_id: id, address, cause };
    // Under the task's key: a repeat after somebody lifted the suppression does not put it back.
    effects.engine.execute(command, &effects.ask(task).keyed(task.key.clone())).await?;
    Ok(Done::Finished)
}
