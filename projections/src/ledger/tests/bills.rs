//! Invoices, money by hand, and credit.

use chrono::Days;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Bill, CURRENCIES, Later, Life, id, money};

impl Life {
    pub(super) fn draft(&mut self, which: usize, total: i64) {
        let (property, resident) = (which % 2, which % 3);
        let bill = self.bills.len();
        self.bills.push(Bill {
            property,
            resident,
            total,
            balance: total,
            published: false,
            void: false,
            written_off: 0,
            claims: 0,
            by_hand: vec![],
        });
        self.invoice(bill, "InvoiceDrafted", json!({
            "property_id": id(1, property), "unit_id": id(6, resident), "resident_id": id(5, resident), "title": "Fee",
            "lines": [{ "description": "Fee", "amount": money(total, CURRENCIES[property]) }],
            "total": money(total, CURRENCIES[property]), "due_on": "2026-02-01", "time_zone": "America/New_York",
        }));
    }

    pub(super) fn edit(&mut self, which: usize, total: i64) {
        let free = |bill: &Bill| !bill.void && bill.claims == 0 && bill.total - bill.balance <= total;
        let Some(bill) = Self::pick(&self.bills, which, free) else { return };
        let currency = self.currency(bill);
        let known = &mut self.bills[bill];
        known.balance += total - known.total;
        known.total = total;
        self.invoice(
            bill,
            "InvoiceEdited",
            json!({
                "title": "Fee", "lines": [{ "description": "Fee", "amount": money(total, currency) }],
                "total": money(total, currency), "due_on": "2026-02-01",
            }),
        );
    }

    /// Voided, or written off.
    pub(super) fn withdraw(&mut self, which: usize, amount: i64) {
        let owed = |bill: &Bill| bill.published && !bill.void && bill.claims == 0;
        if amount % 2 == 0 {
            let untouched = |bill: &Bill| owed(bill) && bill.balance == bill.total;
            let Some(bill) = Self::pick(&self.bills, which, untouched) else { return };
            self.bills[bill].void = true;
            self.bills[bill].written_off = 0;
            self.invoice(bill, "InvoiceVoided", json!({ "reason": "Billed twice" }));
        } else {
            let due = |bill: &Bill| owed(bill) && bill.balance > 0 && bill.written_off == 0;
            let Some(bill) = Self::pick(&self.bills, which, due) else { return };
            let left = self.bills[bill].balance;
            self.bills[bill].written_off = left;
            let body = json!({ "amount": money(left, self.currency(bill)), "reason": "Moved away" });
            self.invoice(bill, "InvoiceWrittenOff", body);
        }
    }

    /// Money on its way to an invoice brings it back from being written off.
    pub(super) fn expect_again(&mut self, bill: usize) {
        if std::mem::take(&mut self.bills[bill].written_off) != 0 {
            self.invoice(bill, "WriteOffUndone", json!({}));
        }
    }

    /// What is above the balance becomes credit.
    pub(super) fn overflow(&mut self, bill: usize, payment: Uuid) {
        let excess = -self.bills[bill].balance;
        if excess <= 0 {
            return;
        }
        self.bills[bill].balance = 0;
        let (property, resident) = (self.bills[bill].property, self.bills[bill].resident);
        let currency = self.currency(bill);
        self.invoice(bill, "OverpaymentCredited", json!({
            "number": 1, "credit_id": id(7, property * 8 + resident), "resident_id": id(5, resident), "property_id": id(1, property),
            "payment_id": payment, "amount": money(excess, currency), "balance": money(0, currency),
        }));
        self.later.push_back(Later::AddCredit { bill, amount: excess, payment });
    }

    pub(super) fn apply(&mut self, bill: usize, payment: Uuid, amount: i64, source: &Value) {
        self.expect_again(bill);
        self.bills[bill].balance -= amount;
        let currency = self.currency(bill);
        self.invoice(bill, "PaymentApplied", json!({
            "payment_id": payment, "resident_id": id(5, self.bills[bill].resident), "amount": money(amount, currency),
            "balance": money(self.bills[bill].balance, currency), "source": source,
        }));
        self.overflow(bill, payment);
    }

    pub(super) fn by_hand(&mut self, which: usize, amount: i64) {
        let payable = |bill: &Bill| bill.published && !bill.void && bill.claims == 0 && bill.balance > 0;
        let Some(bill) = Self::pick(&self.bills, which, payable) else { return };
        let payment = id(8, usize::try_from(self.position).expect("small"));
        let method = ["Cash", "Check", "Other"][which % 3];
        let day = (self.now - Days::new(3)).date_naive();
        self.bills[bill].by_hand.push((payment, amount, false));
        self.apply(bill, payment, amount, &json!({ "Offline": { "method": method, "received_on": day } }));
    }

    pub(super) fn correct(&mut self, which: usize) {
        let has = |bill: &Bill| bill.claims == 0 && bill.by_hand.iter().any(|(_, _, back)| !back);
        let Some(bill) = Self::pick(&self.bills, which, has) else { return };
        let known = &mut self.bills[bill];
        let Some((payment, amount, back)) = known.by_hand.iter_mut().find(|(_, _, back)| !back) else { return };
        *back = true;
        let (payment, amount) = (*payment, *amount);
        self.reverse(bill, payment, amount, &json!({ "OfflineCorrection": { "note": "bounced" } }));
    }

    pub(super) fn reverse(&mut self, bill: usize, payment: Uuid, amount: i64, reason: &Value) {
        self.bills[bill].balance += amount;
        let currency = self.currency(bill);
        self.invoice(
            bill,
            "PaymentReversed",
            json!({
                "payment_id": payment, "amount": money(amount, currency),
                "balance": money(self.bills[bill].balance, currency), "reason": reason,
            }),
        );
    }

    pub(super) fn add_credit(&mut self, property: usize, resident: usize, amount: i64, source: &Value) {
        let left = self.credit.entry((property, resident)).or_default();
        *left += amount;
        let balance = *left;
        self.tell("credit", id(7, property * 8 + resident), "CreditAdded", json!({
            "property_id": id(1, property), "resident_id": id(5, resident), "amount": money(amount, CURRENCIES[property]),
            "balance": money(balance, CURRENCIES[property]), "source": source,
        }));
    }

    /// Granted, or set aside for an invoice.
    pub(super) fn spend(&mut self, which: usize, amount: i64) {
        if which.is_multiple_of(3) {
            return self.add_credit(
                which % 2,
                which % 3,
                amount,
                &json!({ "Granted": { "grant_id": id(11, 0), "note": "for the trouble" } }),
            );
        }
        let Some(bill) = Self::pick(&self.bills, which, |bill| bill.published && !bill.void && bill.balance > 0) else {
            return;
        };
        let Bill { property, resident, .. } = self.bills[bill];
        let left = self.credit.entry((property, resident)).or_default();
        let amount = amount.min(*left);
        if amount == 0 {
            return;
        }
        *left -= amount;
        let balance = *left;
        self.bills[bill].claims += 1;
        self.tell(
            "credit",
            id(7, property * 8 + resident),
            "CreditSpent",
            json!({
                "invoice_id": id(2, bill), "number": 1, "asked": money(amount, CURRENCIES[property]), "amount": money(amount, CURRENCIES[property]),
                "balance": money(balance, CURRENCIES[property]),
            }),
        );
        self.later.push_back(Later::TakeCredit { bill, amount });
    }
}
