//! Refunds at Stripe: submitted once under their key, read again until they end.

use std::time::Duration;

use chrono::Utc;
use domain::{
    Payment,
    refund::{RecordRefund, RefundPhase, RefundReport, SubmitRefund},
};
use events::{PaymentId, RefundId};
use processes::ports::{Outcome, RefundRequest, RefundSnapshot, RefundStatus};

use super::{ABSENT, Effects, KEY_HOLDS, KEY_REUSED, backoff, repeats_its_failure, unknown};
use crate::{
    Fault,
    outbox::{Done, Task},
};

/// How soon, and how rarely, a pending refund is looked at.
const SOONEST: Duration = Duration::from_secs(5);
const SLOWEST: Duration = Duration::from_secs(3600);

/// A call that was not answered may still be at work: one list without it proves nothing yet.
fn unseen(task: &Task) -> Done {
    let why = "stripe does not show the refund; it may still be at work".to_owned();
    Done::Unsure { after: backoff(task.attempts), why }
}

pub async fn submit(effects: &Effects, task: &Task, payment_id: PaymentId, id: RefundId) -> Result<Done, Fault> {
    let ask = effects.ask(task);
    effects.engine.execute(SubmitRefund { payment_id, refund_id: id }, &ask).await?;
    let payment: Payment = effects.engine.state(task.organization, payment_id.0).await?;
    let Some(refund) = payment.refunds.iter().find(|refund| refund.id == id) else { return Ok(Done::Finished) };
    let (Some(request), Some(intent)) = (&payment.request, &payment.intent) else { return Ok(Done::Finished) };
    if matches!(refund.phase, RefundPhase::Succeeded | RefundPhase::Failed) {
        return Ok(Done::Finished);
    }
    let first = effects.calling(task).await?;
    let stripe = &effects.providers.stripe;
    let asked = if Utc::now() - first < KEY_HOLDS {
        let request = RefundRequest {
            account: request.account.clone(),
            intent: intent.clone(),
            amount: refund.amount.amount(),
            idempotency_key: format!("refund:{id}"),
            refund: id.0,
        };
        Some(match stripe.create_refund(&request).await {
            // A replayed answer is as old as the first call.
            Outcome::Done(snapshot) if snapshot.status == RefundStatus::Pending => {
                match stripe.refund(&request.account, &snapshot.id).await {
                    // It exists and cannot be shown now: pending is what is known. Failed would let it be given back twice.
                    Outcome::Refused(_) => Outcome::Done(snapshot),
                    other => other,
                }
            }
            other => other,
        })
    } else {
        None
    };
    let outcome = if let Some(outcome) = asked.filter(|outcome| !repeats_its_failure(outcome, task)) {
        outcome
    } else {
        match stripe.find_refund(&request.account, intent, id.0).await {
            Outcome::Done(Some(snapshot)) => Outcome::Done(snapshot),
            Outcome::Done(None) if Utc::now() - first < ABSENT => return Ok(unseen(task)),
            Outcome::Done(None) => {
                let report = RefundReport::Failed { code: "not_found_at_stripe".to_owned(), refund: None };
                effects.engine.execute(RecordRefund { payment_id, refund_id: id, report }, &ask).await?;
                return Ok(Done::Finished);
            }
            Outcome::Refused(refused) => Outcome::Refused(refused),
            Outcome::Retry { after, why } => Outcome::Retry { after, why },
            Outcome::Unknown { cause, why } => Outcome::Unknown { cause, why },
        }
    };
    let outcome = match outcome {
        Outcome::Refused(refused) if refused.code == KEY_REUSED => {
            return Ok(Done::Unresolved(format!("stripe refused the repeated key: {}", refused.why)));
        }
        // An earlier call may have given the money back: a failure that is none would let it be given back twice.
        Outcome::Refused(refused) if task.interrupted => {
            match stripe.find_refund(&request.account, intent, id.0).await {
                Outcome::Done(Some(snapshot)) => Outcome::Done(snapshot),
                Outcome::Done(None) if Utc::now() - first < ABSENT => return Ok(unseen(task)),
                Outcome::Done(None) => Outcome::Refused(refused),
                Outcome::Refused(unseen) => {
                    let why =
                        format!("stripe refused ({}) and does not show the refunds: {}", refused.code, unseen.why);
                    return Ok(Done::Unresolved(why));
                }
                Outcome::Retry { after, why } => Outcome::Retry { after, why },
                Outcome::Unknown { cause, why } => Outcome::Unknown { cause, why },
            }
        }
        other => other,
    };
    let report = match outcome {
        Outcome::Done(snapshot) => {
            let Some(report) = report(snapshot) else {
                // Soon at first, hourly later: a webhook normally comes before.
                let after = (Utc::now() - first).to_std().unwrap_or_default().clamp(SOONEST, SLOWEST);
                return Ok(Done::Later { after, why: "the refund is pending at stripe".to_owned() });
            };
            report
        }
        Outcome::Refused(refused) => RefundReport::Failed { code: refused.code, refund: None },
        Outcome::Retry { after, why } => {
            return Ok(Done::Again { after: after.max(backoff(task.attempts)), why });
        }
        Outcome::Unknown { cause, why } => {
            let report = RefundReport::Unknown { cause };
            effects.engine.execute(RecordRefund { payment_id, refund_id: id, report }, &ask).await?;
            return Ok(Done::Unsure { after: backoff(task.attempts), why: unknown(cause, &why) });
        }
    };
    effects.engine.execute(RecordRefund { payment_id, refund_id: id, report }, &ask).await?;
    Ok(Done::Finished)
}

/// What a snapshot settles, if it does.
pub fn report(snapshot: RefundSnapshot) -> Option<RefundReport> {
    match snapshot.status {
        RefundStatus::Succeeded => Some(RefundReport::Succeeded { refund: snapshot.id }),
        RefundStatus::Failed | RefundStatus::Canceled => {
            let code = snapshot.failure.unwrap_or_else(|| "canceled".to_owned());
            Some(RefundReport::Failed { code, refund: Some(snapshot.id) })
        }
        RefundStatus::Pending | RefundStatus::RequiresAction | RefundStatus::Unrecognized => None,
    }
}
