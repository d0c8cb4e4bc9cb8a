//! Stripe's notices: which object one is about, and what Stripe says of it now.

use domain::{
    Payment, StripeAccount,
    payment::Phase,
    refund::{RecordOutsideRefund, Refund, RefundPhase},
    stripe_account::{AccountReport, RecordStripeAccount},
};
use events::{OrganizationId, PaymentId, RefundId, StripeAccountId};
use integrations::stripe::webhook::{StripeNotice, StripeObject};
use processes::ports::{Outcome, RefundStatus};
use uuid::Uuid;

use super::{Verdict, ask, autopay, money, owner};
use crate::{
    Fault,
    effects::{Effects, record_snapshot, remember, status_of},
};

/// The payment that a PaymentIntent pays, as an internal asker; through our own record, else through its metadata.
pub(super) async fn payment_of(
    effects: &Effects,
    notice: &StripeNotice,
    intent: &str,
    hinted: Option<Uuid>,
) -> Result<Option<(OrganizationId, PaymentId, Payment)>, Fault> {
    let pool = effects.engine.store().pool();
    let found = match owner(pool, intent, "payment").await? {
        Some(found) => Some(found),
        // The answer to our call is still on its way: the account tells the organization, the metadata the payment.
        None => match (hinted, &notice.account) {
            (Some(payment), Some(account)) => {
                owner(pool, account, "stripe-account").await?.map(|(organization, _)| (organization, payment))
            }
            _ => None,
        },
    };
    let Some((organization, id)) = found else { return Ok(None) };
    match effects.engine.state::<Payment>(organization, id).await {
        Ok(payment) => Ok(Some((organization, PaymentId(id), payment))),
        // An account's owner can write any id into its metadata.
        Err(Fault::Missing) => Ok(None),
        Err(fault) => Err(fault),
    }
}

pub(super) async fn understand(effects: &Effects, raw: &[u8]) -> Result<Verdict, Fault> {
    let Ok(notice) = integrations::stripe::webhook::parse(raw) else {
        return Ok(Verdict::Ignored("not readable as a webhook"));
    };
    match &notice.object {
        StripeObject::PaymentIntent { id, payment } => payment_intent(effects, &notice, id, *payment).await,
        StripeObject::Charge { intent: Some(intent), .. } => {
            match payment_intent(effects, &notice, intent, None).await? {
                Verdict::Done if notice.kind == "charge.refunded" => outside_refunds(effects, &notice, intent).await,
                verdict => Ok(verdict),
            }
        }
        StripeObject::Refund { id, intent: Some(intent), refund } => {
            refund_notice(effects, &notice, id, intent, refund.map(RefundId)).await
        }
        StripeObject::SetupIntent { id, setup, enrollment } => {
            Box::pin(autopay::setup_intent(effects, &notice, id, *setup, *enrollment)).await
        }
        StripeObject::PaymentMethod { id, customer, .. } => {
            autopay::payment_method(effects, &notice, id, customer.as_deref()).await
        }
        StripeObject::Mandate { id, .. } => autopay::mandate(effects, &notice, id).await,
        StripeObject::Dispute(dispute) => money::dispute(effects, &notice, dispute).await,
        StripeObject::Payout { id, .. } => money::payout(effects, &notice, id).await,
        StripeObject::Account { id } => account(effects, &notice, id, false).await,
        StripeObject::Deauthorized => match &notice.account {
            Some(id) => account(effects, &notice, id, true).await,
            None => Ok(Verdict::Ignored("no account named")),
        },
        StripeObject::Charge { intent: None, .. } | StripeObject::Refund { .. } => {
            Ok(Verdict::Ignored("not one of ours"))
        }
        StripeObject::Other => Ok(Verdict::Ignored("not a kind that is acted on")),
    }
}

/// Re-reads the PaymentIntent and merges it: a webhook may be late, out of order or about the past.
async fn payment_intent(
    effects: &Effects,
    notice: &StripeNotice,
    intent: &str,
    hinted: Option<Uuid>,
) -> Result<Verdict, Fault> {
    let Some((organization, id, payment)) = payment_of(effects, notice, intent, hinted).await? else {
        return Ok(Verdict::Ignored("not one of our payments"));
    };
    let Some(request) = &payment.request else { return Ok(Verdict::Ignored("not submitted by us")) };
    if notice.account.as_ref() != Some(&request.account) {
        return Ok(Verdict::Ignored("from another account than the payment's"));
    }
    // Paid, and what Stripe kept is known: it says nothing else of a PaymentIntent, and a call less is one more for others. What
    // becomes of the money later has notices of its own.
    if payment.phase == Phase::Succeeded && payment.settled {
        return Ok(Verdict::Done);
    }
    match effects.providers.stripe.payment_intent(&request.account, intent).await {
        Outcome::Done(snapshot) => {
            let (account, intent) = (request.account.clone(), snapshot.id.clone());
            record_snapshot(effects, &ask(organization, "stripe", &notice.id), id, &account, snapshot).await?;
            // The answer to our call may never come, and a charge's notice names only the PaymentIntent.
            remember(effects, organization, id, &intent).await?;
            Ok(Verdict::Done)
        }
        Outcome::Refused(_) => Ok(Verdict::Ignored("stripe does not show the payment")),
        Outcome::Retry { why, .. } | Outcome::Unknown { why, .. } => Ok(Verdict::Again(why)),
    }
}

async fn refund_notice(
    effects: &Effects,
    notice: &StripeNotice,
    external: &str,
    intent: &str,
    named: Option<RefundId>,
) -> Result<Verdict, Fault> {
    let Some((organization, payment_id, payment)) = payment_of(effects, notice, intent, None).await? else {
        return Ok(Verdict::Ignored("not one of our payments"));
    };
    let known = |id| payment.refunds.iter().find(|refund| refund.id == id);
    let found = named.and_then(known).or_else(|| known(Refund::outside(payment_id, external)));
    let Some(refund) = found else { return outside_refunds(effects, notice, intent).await };
    let id = refund.id;
    let Some(request) = payment.request.as_ref().filter(|request| Some(&request.account) == notice.account.as_ref())
    else {
        return Ok(Verdict::Ignored("from another account than the payment's"));
    };
    // One that succeeded can still come back, and a failure may only have been inferred.
    if refund.phase == RefundPhase::Requested {
        return Ok(Verdict::Done);
    }
    match effects.providers.stripe.refund(&request.account, external).await {
        Outcome::Done(snapshot) => {
            if let Some(report) = crate::effects::refund_report(snapshot) {
                let command = domain::refund::RecordRefund { payment_id, refund_id: id, report };
                effects.engine.execute(command, &ask(organization, "stripe", &notice.id)).await?;
            }
            Ok(Verdict::Done)
        }
        Outcome::Refused(_) => Ok(Verdict::Ignored("stripe does not show the refund")),
        Outcome::Retry { why, .. } | Outcome::Unknown { why, .. } => Ok(Verdict::Again(why)),
    }
}

/// What somebody gave back in Stripe's dashboard: the list tells, and our own are known by what their metadata names.
async fn outside_refunds(effects: &Effects, notice: &StripeNotice, intent: &str) -> Result<Verdict, Fault> {
    let Some((organization, payment_id, payment)) = payment_of(effects, notice, intent, None).await? else {
        return Ok(Verdict::Ignored("not one of our payments"));
    };
    let Some(request) = payment.request.as_ref().filter(|request| Some(&request.account) == notice.account.as_ref())
    else {
        return Ok(Verdict::Ignored("from another account than the payment's"));
    };
    let refunds = match effects.providers.stripe.refunds(&request.account, intent).await {
        Outcome::Done(refunds) => refunds,
        Outcome::Refused(_) => return Ok(Verdict::Ignored("stripe does not show the refunds")),
        Outcome::Retry { why, .. } | Outcome::Unknown { why, .. } => return Ok(Verdict::Again(why)),
    };
    // One that is pending has a notice of its own when it ends.
    for refund in refunds.into_iter().filter(|refund| refund.status == RefundStatus::Succeeded) {
        let named = refund.refund.map(RefundId);
        let command = RecordOutsideRefund { payment_id, refund: refund.id, amount: refund.amount, named };
        match effects.engine.execute(command, &ask(organization, "stripe", &notice.id)).await {
            Ok(_) => {}
            // The notice overtook the payment's own success.
            Err(Fault::Refused { message, .. }) => return Ok(Verdict::Again(message)),
            Err(fault) => return Err(fault),
        }
    }
    Ok(Verdict::Done)
}

async fn account(effects: &Effects, notice: &StripeNotice, id: &str, gone: bool) -> Result<Verdict, Fault> {
    let Some((organization, ours)) = owner(effects.engine.store().pool(), id, "stripe-account").await? else {
        return Ok(Verdict::Ignored("not one of our accounts"));
    };
    let stripe_account_id = StripeAccountId(ours);
    let report = if gone {
        AccountReport::Deauthorized { account: id.to_owned() }
    } else {
        let known: StripeAccount = effects.engine.state(organization, ours).await?;
        if known.last_external() != Some(id) {
            return Ok(Verdict::Ignored("not the account that we opened"));
        }
        match effects.providers.stripe.account(id).await {
            Outcome::Done(snapshot) => AccountReport::Seen { status: status_of(&snapshot), account: snapshot.id },
            Outcome::Refused(_) => return Ok(Verdict::Ignored("stripe does not show the account")),
            Outcome::Retry { why, .. } | Outcome::Unknown { why, .. } => return Ok(Verdict::Again(why)),
        }
    };
    let command = RecordStripeAccount { stripe_account_id, report };
    effects.engine.execute(command, &ask(organization, "stripe", &notice.id)).await?;
    Ok(Verdict::Done)
}
