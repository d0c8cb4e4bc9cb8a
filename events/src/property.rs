//! A property: where it stands, how it bills, who answers for it.

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
        /// Online payments of this property go to this Stripe account from now on.
        StripeAccountAssigned = 1 { stripe_account_id: StripeAccountId },
        /// The property takes no online payments any more.
        StripeAccountUnassigned = 1 { stripe_account_id: StripeAccountId },
    }
}
