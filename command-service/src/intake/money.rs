//! Stripe's notices about money that goes back or on: disputes, returned bank debits, payouts. Each is read again first.

use domain::{
    payment::{DisputeState, RecordDispute},
    stripe_account::RecordPayout,
};
use events::{Currency, Money, StripeAccountId, payment::PaymentMethodKind, stripe_account::PayoutStatus};
use integrations::stripe::webhook::{StripeDispute, StripeNotice};
use processes::ports::{self, DisputeStatus, Outcome};

use super::{Verdict, ask, owner, stripe::payment_of};
use crate::{Fault, effects::Effects};

pub(super) async fn dispute(
    effects: &Effects,
    notice: &StripeNotice,
    dispute: &StripeDispute,
) -> Result<Verdict, Fault> {
    let Some(intent) = &dispute.intent else { return Ok(Verdict::Ignored("not one of our payments")) };
    let Some((organization, payment_id, payment)) = payment_of(effects, notice, intent, None).await? else {
        return Ok(Verdict::Ignored("not one of our payments"));
    };
    let Some(request) = payment.request.as_ref().filter(|request| Some(&request.account) == notice.account.as_ref())
    else {
        return Ok(Verdict::Ignored("from another account than the payment's"));
    };
    let now = match effects.providers.stripe.dispute(&request.account, &dispute.id).await {
        Outcome::Done(now) => now,
        Outcome::Refused(_) => return Ok(Verdict::Ignored("stripe does not show the dispute")),
        Outcome::Retry { why, .. } | Outcome::Unknown { why, .. } => return Ok(Verdict::Again(why)),
    };
    if now.intent.as_ref() != Some(intent) {
        return Ok(Verdict::Ignored("the dispute is about another payment"));
    }
    let state = match now.status {
        DisputeStatus::NeedsResponse | DisputeStatus::UnderReview => DisputeState::Open,
        DisputeStatus::Won => DisputeState::Won,
        DisputeStatus::Lost => DisputeState::Lost,
        // No money has moved.
        DisputeStatus::Inquiry | DisputeStatus::InquiryClosed | DisputeStatus::Prevented => return Ok(Verdict::Done),
        DisputeStatus::Unrecognized => return Ok(Verdict::Again("a dispute in a state that is not known".to_owned())),
    };
    let command = RecordDispute {
        payment_id,
        dispute: now.id,
        amount: now.amount,
        currency: now.currency,
        reason: now.reason,
        state,
        // A bank that returns a debit cannot be contested.
        returned: payment.kind() == PaymentMethodKind::BankDebit,
    };
    match effects.engine.execute(command, &ask(organization, "stripe", &notice.id)).await {
        // The notice overtook the payment's own success.
        Err(Fault::Refused { message, .. }) => Ok(Verdict::Again(message)),
        done => done.map(|_| Verdict::Done),
    }
}

pub(super) async fn payout(effects: &Effects, notice: &StripeNotice, external: &str) -> Result<Verdict, Fault> {
    let Some(account) = &notice.account else { return Ok(Verdict::Ignored("no account named")) };
    let Some((organization, id)) = owner(effects.engine.store().pool(), account, "stripe-account").await? else {
        return Ok(Verdict::Ignored("not one of our accounts"));
    };
    let now = match effects.providers.stripe.payout(account, external).await {
        Outcome::Done(now) => now,
        Outcome::Refused(_) => return Ok(Verdict::Ignored("stripe does not show the payout")),
        Outcome::Retry { why, .. } | Outcome::Unknown { why, .. } => return Ok(Verdict::Again(why)),
    };
    let status = match now.status {
        ports::PayoutStatus::Pending => PayoutStatus::Pending,
        ports::PayoutStatus::InTransit => PayoutStatus::InTransit,
        ports::PayoutStatus::Paid => PayoutStatus::Paid,
        ports::PayoutStatus::Failed => PayoutStatus::Failed,
        ports::PayoutStatus::Canceled => PayoutStatus::Canceled,
        ports::PayoutStatus::Unrecognized => return Ok(Verdict::Again("a payout in an unknown state".to_owned())),
    };
    let amount = now.currency.parse::<Currency>().ok().and_then(|currency| Money::try_new(now.amount, currency).ok());
    let Some(amount) = amount else { return Ok(Verdict::Ignored("a payout in a currency that is not offered")) };
    let command = RecordPayout {
        stripe_account_id: StripeAccountId(id),
        payout: now.id,
        amount,
        status,
        arrives_on: now.arrival.date_naive(),
        failure: now.failure,
    };
    effects.engine.execute(command, &ask(organization, "stripe", &notice.id)).await?;
    Ok(Verdict::Done)
}
