//! Payments through Stripe, what goes back, and payouts.

use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

use super::{Bill, Charge, Later, Life, id, money};

impl Life {
    pub(super) fn charge(&mut self, which: usize, amount: i64) {
        let payable = |bill: &Bill| bill.published && !bill.void && bill.claims == 0 && bill.balance > 0;
        let Some(bill) = Self::pick(&self.bills, which, payable) else { return };
        let fee = if which.is_multiple_of(3) { 0 } else { amount / 30 + 1 };
        let total = amount + fee;
        let (charge, currency) = (self.charges.len(), self.currency(bill));
        let Bill { property, resident, .. } = self.bills[bill];
        let rate = json!({ "basis_points": 340, "fixed": 30 });
        self.payment(charge, "PaymentQuoted", json!({
            "invoice_id": id(2, bill), "property_id": id(1, property), "resident_id": id(5, resident),
            "stripe_account_id": id(4, 0), "method": "Card", "amount": money(amount, currency), "fee": money(fee, currency),
            "total": money(total, currency), "mode": "PassToResident", "expires_at": "2030-01-01T00:00:00Z",
            "fees": { "mode": "PassToResident", "card": rate, "bank_debit": rate },
        }));
        self.payment(
            charge,
            "PaymentSucceeded",
            json!({ "invoice_id": id(2, bill), "amount": money(amount, currency) }),
        );
        self.charges.push(Charge { bill, amount, total, settled: false, gone: 0, reversed: 0, dispute: None });
        self.bills[bill].claims += 1;
        self.moved(bill, total);
        self.later.push_back(Later::Apply(charge));
    }

    pub(super) fn settle(&mut self, which: usize) {
        let Some(charge) = Self::pick(&self.charges, which, |charge| !charge.settled) else { return };
        self.charges[charge].settled = true;
        let Charge { bill, total, gone, .. } = self.charges[charge];
        let available = self.now + TimeDelta::days(i64::try_from(which % 5).expect("small") - 1);
        let foreign = which % 7 == 6;
        let currency = if foreign { "EUR" } else { self.currency(bill) };
        let (gross, fee) = (if foreign { total * 2 } else { total }, total / 40 + 2);
        if foreign {
            self.moved(bill, gone - total);
            *self.at_stripe.entry("EUR").or_default() += gross - fee;
        } else {
            self.moved(bill, -fee);
        }
        self.payment(charge, "PaymentSettled", json!({
            "property_id": id(1, self.bills[bill].property), "stripe_account_id": id(4, 0), "balance_transaction": "txn_1",
            "gross": money(gross, currency), "fee": money(fee, currency), "net": money(gross - fee, currency),
            "available_at": (which.is_multiple_of(2)).then_some(available),
        }));
    }

    /// A charge of which something is left, that its invoice shows.
    pub(super) fn left(&self, which: usize) -> Option<usize> {
        Self::pick(&self.charges, which, |charge| {
            let waits = self
                .later
                .iter()
                .any(|later| matches!(later, Later::Apply(one) if self.charges[*one].bill == charge.bill));
            !waits && charge.dispute.is_none() && charge.gone < charge.total
        })
    }

    pub(super) fn refund(&mut self, which: usize, amount: i64) {
        let Some(charge) = self.left(which) else { return };
        let known = &mut self.charges[charge];
        let amount = amount.min(known.total - known.gone);
        let reversed = amount.min(known.amount - known.reversed);
        known.gone += amount;
        known.reversed += reversed;
        let (bill, refund) = (known.bill, id(10, usize::try_from(self.position).expect("small")));
        let currency = self.currency(bill);
        self.moved(bill, -amount);
        self.payment(
            charge,
            "RefundSucceeded",
            json!({
                "refund_id": refund, "invoice_id": id(2, bill), "amount": money(amount, currency),
                "reversed": money(reversed, currency), "refund": "re_1",
            }),
        );
        if reversed > 0 {
            self.later.push_back(Later::Reverse {
                charge,
                amount: reversed,
                reason: json!({ "Refund": { "refund_id": refund } }),
            });
        }
        if amount % 7 == 5 {
            self.comes_back(charge, refund, amount, reversed);
        }
    }

    /// The resident's bank would not take the refund.
    fn comes_back(&mut self, charge: usize, refund: Uuid, amount: i64, reversed: i64) {
        let known = &mut self.charges[charge];
        known.gone -= amount;
        known.reversed -= reversed;
        let bill = known.bill;
        let currency = self.currency(bill);
        self.moved(bill, amount);
        self.payment(
            charge,
            "RefundReturned",
            json!({
                "refund_id": refund, "invoice_id": id(2, bill), "amount": money(amount, currency),
                "reversed": money(reversed, currency), "code": "lost_or_stolen_card",
            }),
        );
        if reversed > 0 {
            self.later.push_back(Later::Undo { charge, amount: reversed, refund });
        }
    }

    pub(super) fn dispute(&mut self, which: usize, amount: i64) {
        let Some(charge) = self.left(which) else { return };
        let known = &mut self.charges[charge];
        let (taken, reversed) = (known.total - known.gone, known.amount - known.reversed);
        known.gone += taken;
        known.reversed += reversed;
        let (bill, returned, dispute) = (known.bill, amount % 3 == 0, format!("dp_{}", self.position));
        known.dispute = Some((dispute.clone(), taken, reversed, returned));
        let currency = self.currency(bill);
        self.moved(bill, -taken);
        if !returned {
            *self.disputed.entry(currency).or_default() += taken;
        }
        self.payment(
            charge,
            "PaymentDisputed",
            json!({
                "dispute": dispute, "invoice_id": id(2, bill), "property_id": id(1, self.bills[bill].property),
                "stripe_account_id": id(4, 0), "amount": money(taken, currency), "reversed": money(reversed, currency),
                "reason": "fraudulent", "returned": returned,
            }),
        );
        let reason = if returned {
            json!({ "Return": { "dispute": dispute, "code": "insufficient_funds" } })
        } else {
            json!({ "Dispute": { "dispute": dispute } })
        };
        if reversed > 0 {
            self.later.push_back(Later::Reverse { charge, amount: reversed, reason });
        }
    }

    pub(super) fn close(&mut self, which: usize, won: bool) {
        let Some(charge) = Self::pick(&self.charges, which, |charge| charge.dispute.is_some()) else { return };
        let Some((dispute, taken, reversed, returned)) = self.charges[charge].dispute.take() else { return };
        let bill = self.charges[charge].bill;
        let currency = self.currency(bill);
        if !returned {
            *self.disputed.entry(currency).or_default() -= taken;
        }
        let mut back = reversed;
        if won {
            if which.is_multiple_of(3) {
                back -= self.refund_of_what_is_disputed(charge, (reversed + 1) / 2);
            }
            self.charges[charge].gone -= taken;
            self.charges[charge].reversed -= back;
            self.moved(bill, taken);
            if back > 0 {
                self.later.push_back(Later::Reinstate { charge, amount: back, dispute: dispute.clone() });
            }
        }
        self.payment(
            charge,
            "PaymentDisputeClosed",
            json!({
                "dispute": dispute, "invoice_id": id(2, bill), "won": won, "amount": money(taken, currency),
                "reversed": money(back, currency),
            }),
        );
    }

    /// A refund that was asked for before the dispute succeeds, and finds nothing on the invoice.
    fn refund_of_what_is_disputed(&mut self, charge: usize, amount: i64) -> i64 {
        if amount == 0 {
            return 0;
        }
        let bill = self.charges[charge].bill;
        let currency = self.currency(bill);
        self.charges[charge].gone += amount;
        self.moved(bill, -amount);
        let refund = id(10, usize::try_from(self.position).expect("small"));
        self.payment(
            charge,
            "RefundSucceeded",
            json!({
                "refund_id": refund, "invoice_id": id(2, bill), "amount": money(amount, currency),
                "reversed": money(0, currency), "refund": "re_2",
            }),
        );
        amount
    }

    pub(super) fn pay_out(&mut self, which: usize, amount: i64) {
        if self.payouts.is_empty() || which.is_multiple_of(2) {
            self.payouts.push((amount, "New"));
        }
        let payout = which % self.payouts.len();
        let (amount, from) = self.payouts[payout];
        let to = match from {
            "New" => ["Pending", "InTransit", "Paid"][which % 3],
            "Pending" => ["InTransit", "Canceled", "Paid"][which % 3],
            "InTransit" => ["Paid", "Failed"][which % 2],
            "Paid" if which.is_multiple_of(5) => "Failed",
            _ => return,
        };
        self.payouts[payout].1 = to;
        let (at_stripe, bank) = match (from, to) {
            (_, "Paid") => (-amount, amount),
            ("Paid", _) => (amount, -amount),
            _ => (0, 0),
        };
        *self.at_stripe.entry("USD").or_default() += at_stripe;
        self.bank += bank;
        self.tell("stripe-account", id(4, 0), "PayoutRecorded", json!({
            "payout": format!("po_{payout}"), "amount": money(amount, "USD"), "status": to, "arrives_on": "2026-01-20",
        }));
    }
}
