//! What happens next, and what a process does some time later.

use serde_json::json;

use super::{Bill, Charge, Later, Life, id, money};

impl Life {
    pub(super) fn step(&mut self, what: u8, which: usize, amount: i64) {
        match what % 16 {
            0 => self.draft(which, amount),
            1 => self.edit(which, amount),
            2 | 3 => {
                if let Some(bill) = Self::pick(&self.bills, which, |bill| !bill.published && !bill.void) {
                    self.bills[bill].published = true;
                    let resident = id(5, self.bills[bill].resident);
                    self.invoice(bill, "InvoicePublished", json!({ "resident_id": resident, "notify": false }));
                }
            }
            4 => self.withdraw(which, amount),
            5 => self.by_hand(which, amount),
            6 => self.correct(which),
            7 | 8 => self.charge(which, amount),
            9 => self.settle(which),
            10 => self.refund(which, amount),
            11 => self.dispute(which, amount),
            12 => self.close(which, amount % 2 == 0),
            13 => self.spend(which, amount),
            14 => self.pay_out(which, amount),
            _ => self.deliver(),
        }
        self.check_receivables();
    }

    pub(super) fn deliver(&mut self) {
        match self.later.pop_front() {
            None => {}
            Some(Later::Apply(charge)) => {
                let Charge { bill, amount, .. } = self.charges[charge];
                self.bills[bill].claims -= 1;
                self.apply(bill, id(3, charge), amount, &json!("Online"));
            }
            Some(Later::Reverse { charge, amount, reason }) => {
                self.reverse(self.charges[charge].bill, id(3, charge), amount, &reason);
            }
            Some(Later::Reinstate { charge, amount, dispute }) => {
                let bill = self.charges[charge].bill;
                self.expect_again(bill);
                self.bills[bill].balance -= amount;
                let currency = self.currency(bill);
                self.invoice(
                    bill,
                    "PaymentReinstated",
                    json!({
                        "payment_id": id(3, charge), "amount": money(amount, currency),
                        "balance": money(self.bills[bill].balance, currency), "dispute": dispute,
                    }),
                );
                self.overflow(bill, id(3, charge));
            }
            Some(Later::Undo { charge, amount, refund }) => {
                let bill = self.charges[charge].bill;
                self.expect_again(bill);
                self.bills[bill].balance -= amount;
                let currency = self.currency(bill);
                self.invoice(
                    bill,
                    "RefundUndone",
                    json!({
                        "payment_id": id(3, charge), "refund_id": refund, "amount": money(amount, currency),
                        "balance": money(self.bills[bill].balance, currency),
                    }),
                );
                self.overflow(bill, id(3, charge));
            }
            Some(Later::AddCredit { bill, amount, payment }) => {
                let Bill { property, resident, .. } = self.bills[bill];
                let source =
                    json!({ "Overpayment": { "invoice_id": id(2, bill), "payment_id": payment, "number": 1 } });
                self.add_credit(property, resident, amount, &source);
            }
            Some(Later::TakeCredit { bill, amount }) => {
                self.bills[bill].claims -= 1;
                let Bill { property, resident, balance, void, .. } = self.bills[bill];
                if void || balance < amount {
                    return self.add_credit(
                        property,
                        resident,
                        amount,
                        &json!({ "Returned": { "invoice_id": id(2, bill), "number": 1 } }),
                    );
                }
                self.expect_again(bill);
                self.bills[bill].balance -= amount;
                let currency = self.currency(bill);
                self.invoice(
                    bill,
                    "CreditApplied",
                    json!({
                        "number": 1, "credit_id": id(7, property * 8 + resident), "resident_id": id(5, resident),
                        "amount": money(amount, currency), "balance": money(self.bills[bill].balance, currency),
                    }),
                );
            }
        }
    }
}
