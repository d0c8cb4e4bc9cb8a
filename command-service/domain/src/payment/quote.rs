//! What paying would cost, told before paying; and the decision to pay at that price.

use chrono::TimeDelta;
use events::{
    AutopayId, InvoiceId, Money, OrganizationId, PaymentEvent, PaymentId, PropertyId, ResidentId, Role,
    StripeAccountId, payment::PaymentMethodKind, property::FeeMode,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Payment, PaymentRefusal, Phase, STRIPE_MOST};
use crate::{
    Aggregate as _, Command, Context, Decision, Facts, Invoice, Kind, Need, Refuse, Scope, fees,
    invoice::InvoiceRefusal, property,
};

/// How long a quoted price holds.
const QUOTE_HOLDS: TimeDelta = TimeDelta::minutes(30);

/// Tells what paying an invoice would cost, before paying.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotePayment {
    pub payment_id: PaymentId,
    pub invoice_id: InvoiceId,
    /// From 1.00 up to the balance; the whole balance by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    #[serde(default)]
    pub kind: PaymentMethodKind,
    /// Stripe's `ctoken_…` of the card or bank account that was entered: what it costs depends on it. The price follows within a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255), regex(pattern = "^ctoken_[A-Za-z0-9]+$"))]
    pub confirmation_token: Option<String>,
}

/// Goes on to pay at the quoted price; the client secret for Stripe's form follows within a moment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartPayment {
    pub payment_id: PaymentId,
}

/// What is asked for when a price is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) invoice: InvoiceId,
    pub(super) property: PropertyId,
    pub(super) resident: ResidentId,
    pub(super) account: StripeAccountId,
    pub(super) amount: Money,
}

/// With what it is paid.
#[derive(Debug, Clone, Default)]
pub(super) struct Method {
    pub(super) kind: PaymentMethodKind,
    pub(super) funding: Option<String>,
    pub(super) confirmation_token: Option<String>,
    pub(super) autopay_id: Option<AutopayId>,
}

pub(super) fn priced(
    asked: &Asked,
    method: Method,
    property: &property::Details,
    context: &Context,
) -> Result<PaymentEvent, PaymentRefusal> {
    let amount = asked.amount;
    let quote = fees::quote(&property.terms(context.now), method.kind, method.funding.as_deref(), amount)?;
    if quote.total.amount() > STRIPE_MOST {
        return Err(PaymentRefusal::TooMuch);
    }
    Ok(PaymentEvent::PaymentQuoted {
        invoice_id: asked.invoice,
        property_id: asked.property,
        resident_id: asked.resident,
        stripe_account_id: asked.account,
        method: method.kind,
        amount,
        fee: quote.fee,
        total: quote.total,
        fees: property.fees,
        mode: property.fees.mode,
        expires_at: context.now + QUOTE_HOLDS,
        confirmation_token: method.confirmation_token,
        funding: method.funding,
        waiver: quote.waiver,
        autopay_id: method.autopay_id,
    })
}

/// The invoice's property and its Stripe account, which is in use.
pub(super) fn payee(facts: &Facts) -> Result<(&property::Details, StripeAccountId), PaymentRefusal> {
    let property = facts.property.as_ref().and_then(|property| property.details.as_ref());
    let property = property.ok_or(PaymentRefusal::NoSuchInvoice)?;
    let account = property.stripe_account.ok_or(PaymentRefusal::NoStripeAccount)?;
    if facts.stripe_account.as_ref().is_some_and(crate::StripeAccount::takes_payments) {
        Ok((property, account))
    } else {
        Err(PaymentRefusal::StripeAccountNotReady)
    }
}

/// The invoice, then its property, then the property's Stripe account.
pub(super) fn invoice_to_account(invoice: InvoiceId, facts: &Facts) -> Vec<Need> {
    let property = facts.invoice.as_ref().and_then(|invoice| invoice.terms).map(|terms| terms.property);
    let account = facts.property.as_ref().and_then(|property| property.details.as_ref()?.stripe_account);
    std::iter::once(Need::Invoice(invoice))
        .chain(property.map(Need::Property))
        .chain(account.map(Need::StripeAccount))
        .collect()
}

fn admits(invoice: &Invoice, amount: Money) -> Result<(), PaymentRefusal> {
    invoice.admits(amount).map_err(refused)
}

pub(super) fn refused(why: InvoiceRefusal) -> PaymentRefusal {
    match why {
        InvoiceRefusal::NotFound | InvoiceRefusal::NotPublished => PaymentRefusal::NoSuchInvoice,
        why => PaymentRefusal::Invoice { why },
    }
}

/// Stripe's name of what was entered in its form; never a number.
fn is_token(text: &str) -> bool {
    let rest = text.strip_prefix("ctoken_").unwrap_or_default();
    !rest.is_empty() && text.len() <= 255 && rest.chars().all(|c| c.is_ascii_alphanumeric())
}

impl Command for QuotePayment {
    type Aggregate = Payment;
    const NAME: &'static str = "QuotePayment";
    const ROLES: &'static [Role] = &[Role::Resident];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    /// The invoice's: a quote is for whoever owes it.
    fn scope_with(&self, state: &Payment, facts: &Facts) -> Scope {
        match &facts.invoice {
            Some(invoice) => invoice.scope(),
            None => state.scope(),
        }
    }

    fn needs(&self, _: &Payment, facts: &Facts) -> Vec<Need> {
        invoice_to_account(self.invoice_id, facts)
    }

    fn decide(self, state: &Payment, context: &Context) -> Decision<Payment> {
        let facts = &context.facts;
        let invoice = facts.invoice.as_ref().ok_or(PaymentRefusal::NoSuchInvoice)?;
        let terms = invoice.terms.ok_or(PaymentRefusal::NoSuchInvoice)?;
        let amount = match self.amount {
            Some(amount) => amount,
            None => invoice.balance()?,
        };
        if let Some((known_invoice, known_amount)) = state.asked() {
            let same = known_invoice == self.invoice_id
                && (self.amount.is_none() || known_amount == amount)
                && state.confirmation_token == self.confirmation_token
                && (self.confirmation_token.is_some() || state.kind() == self.kind);
            return if same { Ok(vec![]) } else { Err(PaymentRefusal::QuotedOtherwise) };
        }
        if self.confirmation_token.as_deref().is_some_and(|token| !is_token(token)) {
            return Err(PaymentRefusal::BadToken);
        }
        admits(invoice, amount).map_err(|why| match why {
            PaymentRefusal::Invoice { why } if why.kind() == Kind::Invalid => PaymentRefusal::Amount { why },
            why => why,
        })?;
        let (property, account) = payee(facts)?;
        let asked =
            Asked { invoice: self.invoice_id, property: terms.property, resident: terms.resident, account, amount };
        Ok(vec![match (self.confirmation_token, self.kind, property.fees.mode) {
            (Some(confirmation_token), _, _) => PaymentEvent::PaymentPreviewRequested {
                invoice_id: asked.invoice,
                property_id: asked.property,
                resident_id: asked.resident,
                stripe_account_id: asked.account,
                amount,
                confirmation_token,
            },
            // What a card costs on top depends on the card.
            (None, PaymentMethodKind::Card, FeeMode::PassToResident) => return Err(PaymentRefusal::NeedsToken),
            (None, kind, _) => priced(&asked, Method { kind, ..Method::default() }, property, context)?,
        }])
    }

    fn example() -> Value {
        json!({
            "payment_id": "01935c2e-0000-7000-8000-000000000402",
            "invoice_id": "01935c2e-0000-7000-8000-000000000301",
            "amount": { "amount": 22_500, "currency": "CAD" }
        })
    }
}

impl Command for StartPayment {
    type Aggregate = Payment;
    const NAME: &'static str = "StartPayment";
    const ROLES: &'static [Role] = &[Role::Resident];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn needs(&self, state: &Payment, _: &Facts) -> Vec<Need> {
        state
            .quote
            .iter()
            .flat_map(|quote| [Need::Invoice(quote.invoice), Need::StripeAccount(quote.account)])
            .collect()
    }

    fn decide(self, state: &Payment, context: &Context) -> Decision<Payment> {
        match &state.phase {
            Phase::Quoted => {}
            Phase::None => return Err(PaymentRefusal::NotFound),
            Phase::Previewing => return Err(PaymentRefusal::NoPriceYet),
            Phase::PreviewFailed => return Err(PaymentRefusal::CannotBePaidWith),
            Phase::Canceled | Phase::Quarantined => return Err(PaymentRefusal::NotOpen),
            Phase::Requested
            | Phase::Submitting
            | Phase::Submitted
            | Phase::ActionRequired
            | Phase::Processing
            | Phase::Succeeded => return Ok(vec![]),
        }
        let quote = state.quoted()?;
        if context.now >= quote.expires_at {
            return Err(PaymentRefusal::QuoteExpired);
        }
        if let Some(invoice) = &context.facts.invoice {
            admits(invoice, quote.amount)?;
        }
        if !context.facts.stripe_account.as_ref().is_some_and(crate::StripeAccount::takes_payments) {
            return Err(PaymentRefusal::StripeAccountNotReady);
        }
        Ok(vec![PaymentEvent::PaymentRequested { invoice_id: quote.invoice, amount: quote.amount, autopay_id: None }])
    }

    fn example() -> Value {
        json!({ "payment_id": "01935c2e-0000-7000-8000-000000000402" })
    }
}
