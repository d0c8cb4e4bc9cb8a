//! Stripe's notices about methods that are kept for autopay. Each is read again before anything follows from it.

use domain::{
    Autopay,
    autopay::{LoseMethod, Loss, RefreshMethod, RevokeMandate},
};
use events::{AutopayId, OrganizationId};
use integrations::stripe::webhook::StripeNotice;
use processes::ports::Outcome;
use uuid::Uuid;

use super::{Verdict, ask, owner};
use crate::{
    Fault,
    effects::{AUTOPAY, Effects, record_setup},
};

/// The enrollment that an object belongs to, by our own record.
async fn enrollment(effects: &Effects, external: &str) -> Result<Option<(OrganizationId, AutopayId, Autopay)>, Fault> {
    let Some((organization, id)) = owner(effects.engine.store().pool(), external, AUTOPAY).await? else {
        return Ok(None);
    };
    let autopay: Autopay = effects.engine.state(organization, id).await?;
    Ok(Some((organization, AutopayId(id), autopay)))
}

pub(super) async fn setup_intent(
    effects: &Effects,
    notice: &StripeNotice,
    intent: &str,
    hinted_setup: Option<Uuid>,
    hinted_enrollment: Option<Uuid>,
) -> Result<Verdict, Fault> {
    let Some(account) = &notice.account else { return Ok(Verdict::Ignored("no account named")) };
    let found = match enrollment(effects, intent).await? {
        Some(found) => Some(found),
        // The answer to our call is still on its way: the account tells the organization, the metadata the enrollment.
        None => match (hinted_enrollment, owner(effects.engine.store().pool(), account, "stripe-account").await?) {
            (Some(id), Some((organization, _))) => {
                Some((organization, AutopayId(id), effects.engine.state(organization, id).await?))
            }
            _ => None,
        },
    };
    let Some((organization, id, autopay)) = found else { return Ok(Verdict::Ignored("not one of our set-ups")) };
    let Some(setup) = autopay.setup() else { return Ok(Verdict::Ignored("not one of our set-ups")) };
    let known = setup.intent.as_deref() == Some(intent) && setup.external.as_ref() == Some(account);
    // Anybody can write ids into an account's metadata: only what we are about to learn ourselves is taken from there.
    let learning = setup.intent.is_none() && hinted_setup == Some(setup.id.0);
    if !(known || learning) {
        return Ok(Verdict::Ignored("of another set-up than the present one"));
    }
    if setup.intent.is_none() {
        let ours: domain::StripeAccount = effects.engine.state(organization, setup.account.0).await?;
        if ours.last_external() != Some(account) {
            return Ok(Verdict::Ignored("from another account than the set-up's"));
        }
    }
    match effects.providers.stripe.setup_intent(account, intent).await {
        Outcome::Done(snapshot) => {
            record_setup(effects, &ask(organization, "stripe", &notice.id), id, setup.id, account, snapshot).await?;
            Ok(Verdict::Done)
        }
        Outcome::Refused(_) => Ok(Verdict::Ignored("stripe does not show the set-up")),
        Outcome::Retry { why, .. } | Outcome::Unknown { why, .. } => Ok(Verdict::Again(why)),
    }
}

/// A method was removed, or the card's network told a new number or date.
pub(super) async fn payment_method(
    effects: &Effects,
    notice: &StripeNotice,
    external: &str,
    customer: Option<&str>,
) -> Result<Verdict, Fault> {
    let Some((organization, autopay_id, autopay)) = enrollment(effects, external).await? else {
        return Ok(Verdict::Ignored("not one of our methods"));
    };
    let (Some(account), Some(method)) = (&notice.account, autopay.method()) else {
        return Ok(Verdict::Ignored("not charged any more"));
    };
    let ours = customer.is_none_or(|customer| customer == method.customer);
    if method.payment_method != external || !ours {
        return Ok(Verdict::Ignored("not charged any more"));
    }
    let ask = ask(organization, "stripe", &notice.id);
    let payment_method = external.to_owned();
    match effects.providers.stripe.payment_method(account, external).await {
        Outcome::Done(now) if now.customer.is_some() => {
            if let Some(card) = now.card {
                effects.engine.execute(RefreshMethod { autopay_id, payment_method, card }, &ask).await?;
            }
            Ok(Verdict::Done)
        }
        // Detached or gone: nobody can charge it.
        Outcome::Done(_) => {
            effects.engine.execute(LoseMethod { autopay_id, payment_method, because: Loss::Removed }, &ask).await?;
            Ok(Verdict::Done)
        }
        Outcome::Refused(_) => Ok(Verdict::Ignored("stripe does not show the method")),
        Outcome::Retry { why, .. } | Outcome::Unknown { why, .. } => Ok(Verdict::Again(why)),
    }
}

/// The account's owner withdrew a mandate, or a return ended it.
pub(super) async fn mandate(effects: &Effects, notice: &StripeNotice, external: &str) -> Result<Verdict, Fault> {
    let Some((organization, autopay_id, _)) = enrollment(effects, external).await? else {
        return Ok(Verdict::Ignored("not one of our mandates"));
    };
    let Some(account) = &notice.account else { return Ok(Verdict::Ignored("no account named")) };
    match effects.providers.stripe.mandate(account, external).await {
        Outcome::Done(mandate) => {
            if !mandate.active {
                let command = RevokeMandate { autopay_id, mandate: external.to_owned() };
                effects.engine.execute(command, &ask(organization, "stripe", &notice.id)).await?;
            }
            Ok(Verdict::Done)
        }
        Outcome::Refused(_) => Ok(Verdict::Ignored("stripe does not show the mandate")),
        Outcome::Retry { why, .. } | Outcome::Unknown { why, .. } => Ok(Verdict::Again(why)),
    }
}
