//! The accounts of the ledger, and entries that balance.

use std::fmt;

use chrono::NaiveDate;
use events::{Currency, Money, ResidentId, invoice::OfflineMethod};
use uuid::Uuid;

use crate::model::FoldError;

/// An account. Debits are positive: what we own and what we spend; credits are negative: what we owe and what we earn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// What a resident owes on published invoices.
    Receivable(ResidentId),
    /// Taken by Stripe, not yet ours to have paid out.
    StripePending,
    /// Ours to have paid out, from the day that Stripe names.
    StripeAvailable,
    /// On its way to the bank.
    StripeInTransit,
    Bank,
    /// Cash, checks and transfers that managers recorded; when they go to the bank is not known.
    Undeposited(OfflineMethod),
    /// Taken back by a payer's bank until the dispute is decided.
    Disputed,
    /// What the outcome of a dispute decides for invoices: the other side of money that is both disputed and due again.
    DisputedInvoices,
    /// What a resident has in credit and has not spent.
    Credit(ResidentId),
    /// Credit that was set aside for an invoice which has not taken it yet.
    CreditSetAside,
    /// Money that moved at Stripe and that its invoice does not show yet: nothing, but for moments.
    Unapplied,
    /// Charged on top for Stripe's fee, until Stripe says what it keeps.
    FeesHeld,
    Assessments,
    /// Stripe's fees that residents bore.
    FeesPassedOn,
    /// Charged on top less what Stripe kept and what was given back; a loss is a debit.
    FeeDifference,
    /// What Stripe kept.
    StripeFees,
    WriteOffs,
    /// Credit that managers granted.
    CreditsGranted,
    /// Where one currency became another.
    Conversion,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receivable(resident) => write!(f, "Assets:Receivable:{resident}"),
            Self::StripePending => f.write_str("Assets:Stripe:Pending"),
            Self::StripeAvailable => f.write_str("Assets:Stripe:Available"),
            Self::StripeInTransit => f.write_str("Assets:Stripe:InTransit"),
            Self::Bank => f.write_str("Assets:Bank"),
            Self::Undeposited(OfflineMethod::Cash) => f.write_str("Assets:Undeposited:Cash"),
            Self::Undeposited(OfflineMethod::Check) => f.write_str("Assets:Undeposited:Checks"),
            Self::Undeposited(OfflineMethod::Other) => f.write_str("Assets:Undeposited:Other"),
            Self::Disputed => f.write_str("Assets:Disputed"),
            Self::DisputedInvoices => f.write_str("Liabilities:Disputed"),
            Self::Credit(resident) => write!(f, "Liabilities:Credit:{resident}"),
            Self::CreditSetAside => f.write_str("Liabilities:CreditSetAside"),
            Self::Unapplied => f.write_str("Liabilities:Unapplied"),
            Self::FeesHeld => f.write_str("Liabilities:FeesHeld"),
            Self::Assessments => f.write_str("Income:Assessments"),
            Self::FeesPassedOn => f.write_str("Income:Fees"),
            Self::FeeDifference => f.write_str("Income:FeeDifference"),
            Self::StripeFees => f.write_str("Expenses:Fees:Stripe"),
            Self::WriteOffs => f.write_str("Expenses:Write-offs"),
            Self::CreditsGranted => f.write_str("Expenses:Credits"),
            Self::Conversion => f.write_str("Equity:Conversion"),
        }
    }
}

/// A debit or, below zero, a credit of one account, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    pub account: String,
    pub amount: i64,
    pub currency: Currency,
}

/// Postings that are being gathered.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft(Vec<Posting>);

impl Draft {
    /// Debits the account; a negative amount credits it.
    pub fn debit(mut self, account: Account, amount: i64, currency: Currency) -> Self {
        let account = account.to_string();
        match self.0.iter_mut().find(|known| known.account == account && known.currency == currency) {
            Some(known) => known.amount += amount,
            None => self.0.push(Posting { account, amount, currency }),
        }
        self
    }

    pub fn credit(self, account: Account, amount: i64, currency: Currency) -> Self {
        self.debit(account, -amount, currency)
    }

    /// Moves an amount from one account to another.
    pub fn transfer(from: Account, to: Account, amount: Money) -> Self {
        let (amount, currency) = (amount.amount(), amount.currency());
        Self::default().debit(to, amount, currency).credit(from, amount, currency)
    }

    /// What was gathered, without zeros; refused unless it balances in each currency.
    pub fn balanced(mut self) -> Result<Vec<Posting>, FoldError> {
        self.0.retain(|posting| posting.amount != 0);
        if balances(&self.0) {
            Ok(self.0)
        } else {
            Err(FoldError::Unexpected("an entry of the ledger does not balance"))
        }
    }
}

/// Whether debits and credits are the same in each currency.
pub fn balances(postings: &[Posting]) -> bool {
    postings.iter().all(|one| {
        let same = postings.iter().filter(|other| other.currency == one.currency);
        same.map(|other| i128::from(other.amount)).sum::<i128>() == 0
    })
}

/// Whom and what an entry concerns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct About {
    /// Absent for payouts of an account that several properties share.
    pub property: Option<Uuid>,
    pub unit: Option<Uuid>,
    pub resident: Option<Uuid>,
    pub invoice: Option<Uuid>,
    pub payment: Option<Uuid>,
    pub stripe_account: Option<Uuid>,
}

/// One fact in double entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The event's name, or `FundsAvailable`.
    pub kind: String,
    /// The property's local day on which it counts.
    pub day: NaiveDate,
    pub about: About,
    pub postings: Vec<Posting>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_does_not_balance_is_refused() {
        let usd = Currency::USD;
        let one_sided = Draft::default().debit(Account::Bank, 5, usd).credit(Account::StripeAvailable, 4, usd);
        assert!(one_sided.balanced().is_err());
        let mixed = Draft::default().debit(Account::Bank, 5, usd).credit(Account::StripeAvailable, 5, Currency::EUR);
        assert!(mixed.balanced().is_err());
        let good = Draft::default().debit(Account::Bank, 5, usd).credit(Account::StripeAvailable, 5, usd);
        assert_eq!(good.balanced().map(|postings| postings.len()).ok(), Some(2));
    }
}
