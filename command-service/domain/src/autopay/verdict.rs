//! The one answer to "may this be charged now?".

use chrono::{DateTime, Utc};
use events::{
    InvoiceId, Money, PaymentId, StripeAccountId,
    autopay::{AutopayMethod, PauseReason},
};

use super::Autopay;

/// Whether an invoice may be charged now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// With this method, as this attempt.
    Charge {
        method: &'a AutopayMethod,
        account: StripeAccountId,
        attempt: u32,
    },
    /// Autopay is paused; `until` is set for the invoice whose retry is scheduled.
    Wait {
        reason: &'a PauseReason,
        until: Option<DateTime<Utc>>,
    },
    /// The amount is above the resident's cap.
    Ask {
        cap: Money,
    },
    No(NoCharge),
}

/// Why autopay leaves an invoice alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoCharge {
    NotEnabled,
    InFlight(PaymentId),
    /// It was charged once; should it be open again, the resident decides.
    Charged,
    /// Nacha's limit for a bank debit that came back.
    PresentedTooOften,
}

impl Autopay {
    /// Whether this much may be charged for the invoice now. Look again whenever anything happened.
    pub fn may_charge(&self, invoice: InvoiceId, amount: Money, now: DateTime<Utc>) -> Verdict<'_> {
        let (Some((method, account)), true) = (&self.method, self.is_enrolled()) else {
            return Verdict::No(NoCharge::NotEnabled);
        };
        if let Some(charge) = self.in_flight(invoice) {
            return Verdict::No(NoCharge::InFlight(charge.payment));
        }
        if self.is_charged(invoice) {
            return Verdict::No(NoCharge::Charged);
        }
        let attempt = match (self.pause(), self.failure) {
            (None, _) => 0,
            (Some(pause), failure) => {
                let retry = failure.filter(|failure| failure.invoice == invoice).and_then(|failure| failure.retry);
                match retry {
                    Some(retry) if now >= retry.at => retry.attempt,
                    later => return Verdict::Wait { reason: &pause.reason, until: later.map(|retry| retry.at) },
                }
            }
        };
        if !self.may_present(invoice, method, now) {
            return Verdict::No(NoCharge::PresentedTooOften);
        }
        match self.cap_against(invoice, amount) {
            Some(cap) => Verdict::Ask { cap },
            None => Verdict::Charge { method, account: *account, attempt },
        }
    }

    /// The cap, when the amount needs the resident's word. An approval is for one amount, neither more nor less.
    fn cap_against(&self, invoice: InvoiceId, amount: Money) -> Option<Money> {
        // Another currency is neither more nor less than the cap: better ask.
        let within = |cap: &Money| amount <= *cap;
        self.cap.filter(|cap| !within(cap) && self.approved(invoice) != Some(amount))
    }
}
