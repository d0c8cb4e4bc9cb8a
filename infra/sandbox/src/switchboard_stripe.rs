//! What happens at Stripe without a request of ours: payers, banks, holders, payouts, and differences in its books.

use serde_json::{Value, json};

use crate::shared::hold;
use crate::store::{Store, Table};
use crate::stripe::context::Context;
use crate::stripe::{
    accounts, balance, confirm, disputes, due, magic, mandates, payment_methods, payouts, refunds, setup_intents,
};
use crate::switchboard::{Switchboard, SwitchboardError};

impl Switchboard {
    /// Changes a connected account (made if it does not exist) and sends `account.updated`.
    pub fn update_account(&self, id: &str, change: &Value) -> Result<Value, SwitchboardError> {
        if !id.starts_with("acct_") || !change.is_object() {
            return Err(SwitchboardError::Refused(
                "an account's id starts with acct_, and its change is an object".to_owned(),
            ));
        }
        self.change(id, |store| {
            accounts::ensure(store, id);
            accounts::patch(store, id, change).map(Ok)
        })
    }

    /// As if a person had answered all of Stripe's questions.
    pub fn finish_onboarding(&self, id: &str) -> Result<Value, SwitchboardError> {
        self.update_account(id, &accounts::onboarded())
    }

    pub fn deauthorize(&self, id: &str) -> Result<(), SwitchboardError> {
        self.change(id, |store| accounts::deauthorize(store, id).map(|()| Ok(json!({})))).map(|_| ())
    }

    /// A deauthorized account lets the platform in again.
    pub fn reauthorize(&self, id: &str) -> Result<Value, SwitchboardError> {
        self.change(id, |store| accounts::reauthorize(store, id).map(Ok))
    }

    /// The payer's answer to the bank's question, for a payment or a setup intent.
    pub fn authenticate(&self, intent: &str, well: bool) -> Result<Value, SwitchboardError> {
        self.change(intent, |store| {
            if intent.starts_with("seti_") {
                setup_intents::outside(store, intent, well)
            } else {
                confirm::outside(store, intent, confirm::Step::Authenticate, well, "")
            }
        })
    }

    /// The bank's answer to a processing payment.
    pub fn settle(&self, intent: &str, well: bool) -> Result<Value, SwitchboardError> {
        self.change(intent, |store| confirm::outside(store, intent, confirm::Step::Settle, well, ""))
    }

    /// A processing payment fails for Stripe's reason (`account_closed`) or Nacha's code (`R02`).
    pub fn fail_debit(&self, intent: &str, failure: &str) -> Result<Value, SwitchboardError> {
        self.change(intent, |store| confirm::outside(store, intent, confirm::Step::Settle, false, failure))
    }

    /// Days on the business clock until bank debits that begin from now on settle by themselves.
    pub fn set_ach_days(&self, days: i64) -> Result<(), SwitchboardError> {
        self.change("ach_days", |store| {
            store.put(Table::Settings, "ach_days", json!(days));
            Some(Ok(json!({})))
        })
        .map(|_| ())
    }

    /// `succeeded`, `failed` or `canceled`.
    pub fn settle_refund(&self, refund: &str, status: &str, failure: &str) -> Result<Value, SwitchboardError> {
        self.change(refund, |store| refunds::settle(store, refund, status, failure))
    }

    pub fn pay_out(&self, account: &str, amount: i64, currency: &str) -> Result<Value, SwitchboardError> {
        self.change(account, |store| {
            store.get(Table::Accounts, account)?;
            Some(payouts::create(store, account, Some(amount), currency))
        })
    }

    /// An automatic payout of everything available; refused when that is nothing.
    pub fn pay_out_available(&self, account: &str, currency: &str) -> Result<Value, SwitchboardError> {
        self.change(account, |store| {
            store.get(Table::Accounts, account)?;
            Some(payouts::create(store, account, None, currency))
        })
    }

    /// `paid`, `failed` or `canceled`.
    pub fn settle_payout(&self, payout: &str, status: &str, failure: &str) -> Result<Value, SwitchboardError> {
        self.change(payout, |store| payouts::settle(store, payout, status, failure))
    }

    /// Disputes a payment intent's charge: `{reason, amount, inquiry}`. Of a bank debit it is a late return, lost at once.
    pub fn dispute(&self, intent: &str, wish: &Value) -> Result<Value, SwitchboardError> {
        self.change(intent, |store| disputes::by_hand(store, intent, wish))
    }

    /// `won`, `lost`, `under_review`; an inquiry: `warning_closed` or `needs_response`.
    pub fn settle_dispute(&self, dispute: &str, status: &str) -> Result<Value, SwitchboardError> {
        self.change(dispute, |store| disputes::settle(store, dispute, status))
    }

    /// The card network tells a kept card's new number or date: `{last4, exp_month, exp_year, brand, funding}`.
    pub fn update_card(&self, method: &str, change: &Value) -> Result<Value, SwitchboardError> {
        self.change(method, |store| {
            let (account, row) = store.find(Table::PaymentMethods, method)?;
            let mut object = row["object"].clone();
            if !object["card"].is_object() {
                return Some(Err("only a card can be updated".to_owned()));
            }
            let mut before = json!({});
            for field in ["last4", "exp_month", "exp_year", "brand", "funding", "fingerprint"] {
                if let Some(value) = change.get(field) {
                    before[field] = object["card"][field].clone();
                    object["card"][field] = value.clone();
                }
            }
            let mut context = Context::internal(store, &account, "");
            payment_methods::mark(&mut context, method, |row| row["object"] = object.clone());
            context.emit_changed("payment_method.automatically_updated", &object, &json!({"card": before}));
            Some(Ok(object))
        })
    }

    /// Taken from its customer at Stripe, by its dashboard or by the holder.
    pub fn detach_method(&self, method: &str) -> Result<Value, SwitchboardError> {
        self.change(method, |store| {
            let (account, row) = store.find(Table::PaymentMethods, method)?;
            if row["object"]["customer"].is_null() {
                return Some(Err("the payment method has no customer".to_owned()));
            }
            Some(Ok(payment_methods::release(&mut Context::internal(store, &account, ""), row["object"].clone())))
        })
    }

    /// From now on a kept method does what a test method does (`pm_card_chargeDeclinedLostCard`), for some charges or for good.
    pub fn behave(&self, method: &str, like: &str, times: Option<i64>) -> Result<(), SwitchboardError> {
        if magic::magic(like).is_none() {
            return Err(SwitchboardError::Refused(format!("the sandbox knows no {like}")));
        }
        self.change(method, |store| {
            let (account, _) = store.find(Table::PaymentMethods, method)?;
            let mut context = Context::internal(store, &account, "");
            payment_methods::mark(&mut context, method, |row| {
                row["as"] = json!(like);
                row["as_times"] = json!(times.filter(|times| *times > 0));
            });
            Some(Ok(json!({})))
        })
        .map(|_| ())
    }

    /// By the mandate's id, or its payment method's.
    pub fn revoke_mandate(&self, id: &str) -> Result<Value, SwitchboardError> {
        self.change(id, |store| mandates::revoke(store, id).map(Ok))
    }

    /// Books a movement that nothing explains: `{amount, fee, currency, type, source, description, created}`.
    pub fn plant_balance_transaction(&self, account: &str, wish: &Value) -> Result<Value, SwitchboardError> {
        self.change(account, |store| {
            store.get(Table::Accounts, account)?;
            Some(balance::plant(store, account, wish))
        })
    }

    /// Changes a movement's amount, fee, currency, source, type or days; its net follows.
    pub fn falsify_balance_transaction(&self, id: &str, change: &Value) -> Result<Value, SwitchboardError> {
        self.change(id, |store| balance::falsify(store, id, change).map(Ok))
    }

    pub fn hide_balance_transaction(&self, id: &str) -> Result<Value, SwitchboardError> {
        self.change(id, |store| balance::hide(store, id).map(Ok))
    }

    /// At most so many requests per account and second, else 429; `None` takes the limit away. Counters begin anew.
    pub fn limit_rate(&self, per_second: Option<u64>) {
        hold(&self.shared.pace).set(per_second);
    }

    /// `{per_second, admitted, refused, peak}`.
    pub fn rate(&self) -> Value {
        hold(&self.shared.pace).told()
    }

    /// Moves the business clock on, and lets everything happen whose time has come.
    pub fn advance(&self, seconds: i64) -> Result<(), SwitchboardError> {
        let offset = self.shared.read(Store::clock_offset);
        self.set_clock_offset(offset.saturating_add(seconds))
    }

    /// Lets everything happen whose time has come, where the clock was moved from outside.
    pub fn arrive(&self) {
        due::arrive(&self.shared);
    }
}
