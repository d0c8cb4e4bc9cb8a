//! A property: where it stands, how it bills, who answers for it.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Currency, EmailAddress, Sealed, StripeAccountId, TimeZone, address::PostalAddress, text::Name};

/// Who bears the processing fee of an online payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FeeMode {
    /// Charged on top, shown before paying.
    PassToResident,
    /// Borne by the property.
    Absorb,
}

/// A price: a share of the charged amount plus a fixed part, with an optional cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Hundredths of a percent: 340 is 3.4 %.
    #[schemars(range(max = 2000))]
    pub basis_points: u32,
    /// Minor units.
    #[schemars(range(min = 0, max = 100_000))]
    pub fixed: i64,
    /// Minor units; absent means uncapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<i64>,
}

/// When a property charges and reminds. Days and hours are the property's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BillingPolicy {
    /// The hour of the due day at which autopay charges.
    #[schemars(range(max = 23))]
    pub charge_hour: u8,
    /// How many days before the due day a reminder goes out; absent: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60))]
    pub reminder_days: Option<u8>,
    /// Whether one reminder goes out once an invoice is overdue.
    pub remind_overdue: bool,
    /// How many days before a charge autopay announces it; absent: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60))]
    pub autopay_notice_days: Option<u8>,
}

impl BillingPolicy {
    /// Charged at midnight when the due day begins; reminded three days before and once overdue; announced two days before.
    pub const STANDARD: Self =
        Self { charge_hour: 0, reminder_days: Some(3), remind_overdue: true, autopay_notice_days: Some(2) };
}

/// What the law and the card networks allow to charge on top. Debit and prepaid cards never bear a surcharge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SurchargePolicy {
    /// The most that a card may bear, in hundredths of a percent of the amount; absent: no cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 2000))]
    pub cap_basis_points: Option<u32>,
    /// Days from which, and before which, no surcharge is allowed where the property stands.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub forbidden: Vec<SurchargeBan>,
}

impl SurchargePolicy {
    /// No cap, so that a property receives what it billed; whoever passes fees on under Visa's rules sets 300. Regions whose laws forbid
    /// surcharges, each since the card networks have allowed any in its country.
    pub fn standard() -> Self {
        let ban = |region: &str, from: Option<NaiveDate>| {
            let from = from.unwrap_or_default();
            SurchargeBan { region: region.to_owned(), from, until: None }
        };
        let united_states = NaiveDate::from_ymd_opt(2013, 1, 27);
        let canada = NaiveDate::from_ymd_opt(2022, 10, 6);
        Self {
            cap_basis_points: None,
            forbidden: ["CT", "MA", "ME", "PR"]
                .into_iter()
                .map(|region| ban(region, united_states))
                .chain([ban("QC", canada)])
                .collect(),
        }
    }
}

/// A time in which a region allows no surcharges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SurchargeBan {
    /// The region of the property's address, `CT`.
    pub region: String,
    pub from: NaiveDate,
    /// The first day on which it is allowed again; absent: not in sight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<NaiveDate>,
}

/// A property's price list and who pays it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeePolicy {
    pub mode: FeeMode,
    pub card: Rate,
    pub bank_debit: Rate,
}

impl FeePolicy {
    /// Card 3.4 % + 0.30, bank debit 1 % capped at 5.50, absorbed by the property.
    pub const STANDARD: Self = Self {
        mode: FeeMode::Absorb,
        card: Rate { basis_points: 340, fixed: 30, cap: None },
        bank_debit: Rate { basis_points: 100, fixed: 0, cap: Some(550) },
    };
}

events! {
    /// The life of a property.
    pub enum PropertyEvent of "property" {
        /// The organization took on a property.
        PropertyAdded = 1 {
            name: Name,
            address: PostalAddress,
            time_zone: TimeZone,
            currency: Currency,
            /// Replies to e-mails go here.
            contact: Sealed<EmailAddress>,
            /// The name that e-mails come from.
            sender: Name,
            fees: FeePolicy,
        },
        /// Name, address, contact or sender changed. Zone and currency never change: amounts and due dates rest on them.
        PropertyDetailsChanged = 1 { name: Name, address: PostalAddress, contact: Sealed<EmailAddress>, sender: Name },
        /// Another price list or fee mode holds for quotes from now on.
        FeePolicyChanged = 1 { fees: FeePolicy },
        /// Other hours and reminders hold from now on.
        BillingPolicyChanged = 1 { billing: BillingPolicy },
        /// Other limits to surcharges hold for quotes from now on.
        SurchargePolicyChanged = 1 { surcharges: SurchargePolicy },
        /// A kind of e-mail was switched on or off.
        EmailKindSwitched = 1 { kind: String, on: bool },
        /// A kind of text was switched on or off. Texts are off until they are switched on.
        TextKindSwitched = 1 { kind: String, on: bool },
        /// Online payments of this property go to this Stripe account from now on.
        StripeAccountAssigned = 1 { stripe_account_id: StripeAccountId },
        /// The property takes no online payments any more.
        StripeAccountUnassigned = 1 { stripe_account_id: StripeAccountId },
    }
}
