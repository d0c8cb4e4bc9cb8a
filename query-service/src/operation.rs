//! What the query API offers, to whom, and with which parameters: one table for handlers, documentation and tests.

use events::Role;

/// What a parameter's value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Id,
    /// Free text of at most 200 characters.
    Text,
    Date,
    Time,
    Flag,
    /// A whole number from 0.
    Number,
    /// A whole number from 0, or `head`.
    Cursor,
    /// Types of public events, separated by commas.
    Types,
    /// A kind of aggregate, or one by its id: `invoice`, `invoice/…`.
    Aggregate,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// A parameter that narrows a list.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    pub name: &'static str,
    pub kind: Kind,
    pub description: &'static str,
    pub example: &'static str,
}

/// One query.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    pub tag: &'static str,
    pub summary: &'static str,
    pub roles: &'static [Role],
    /// Whose data each admitted role gets, in words.
    pub reach: &'static str,
    pub filters: &'static [Filter],
    /// The orders of a list, `-` in front for the largest first; the first is the default. Empty for what is no list.
    pub sorts: &'static [&'static str],
    /// A fictitious answer as JSON; of a list, one item. Empty for what is no JSON.
    pub example: &'static str,
}

impl Operation {
    /// Whether it answers with pages.
    pub const fn is_list(&self) -> bool {
        !self.sorts.is_empty()
    }

    /// Whether it answers with events, which know no conditions and no read models.
    pub fn is_feed(&self) -> bool {
        self.tag == "Events"
    }

    /// Whether it answers with a text that is no JSON.
    pub const fn is_document(&self) -> bool {
        self.example.is_empty()
    }
}

/// Only these rows' property.
pub(crate) const PROPERTY: Filter = Filter {
    name: "property_id",
    kind: Kind::Id,
    description: "Only this property.",
    example: "01980a3c-5b1e-7c52-9d7e-0c2f6d1b7a02",
};
/// Only these rows' unit.
pub(crate) const UNIT: Filter = Filter {
    name: "unit_id",
    kind: Kind::Id,
    description: "Only this unit.",
    example: "01980a3c-5b1e-7c52-9d7e-0c2f6d1b7a03",
};
/// Only these rows' resident.
pub(crate) const RESIDENT: Filter = Filter {
    name: "resident_id",
    kind: Kind::Id,
    description: "Only this resident.",
    example: "01980a3c-5b1e-7c52-9d7e-0c2f6d1b7a04",
};
/// Only what belongs to this invoice.
pub(crate) const INVOICE: Filter = Filter {
    name: "invoice_id",
    kind: Kind::Id,
    description: "Only this invoice.",
    example: "01980a3c-5b1e-7c52-9d7e-0c2f6d1b7a01",
};

/// All of the organization's managers, and none else.
pub const ORGANIZATION_MANAGERS: &[Role] = &[Role::OrganizationManager];
/// Those who look after an organization's or a property's Stripe account.
pub const ADMINS: &[Role] = &[Role::OrganizationManager, Role::PropertyAdmin];
/// Managers of an organization or a property.
pub const MANAGERS: &[Role] = &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager];
/// Managers, and services that read what happened.
pub const READERS_OF_EVENTS: &[Role] =
    &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager, Role::Integrator];
/// Managers, and residents for their own.
pub const MANAGERS_AND_RESIDENTS: &[Role] =
    &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager, Role::Resident];
/// Managers, residents for their own, and auditors.
pub const READERS_OF_MESSAGES: &[Role] =
    &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager, Role::Resident, Role::ComplianceAuditor];

/// Managers and auditors.
pub const READERS_OF_TEXTS: &[Role] =
    &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager, Role::ComplianceAuditor];

/// Every query; `docs/authorization.md` is generated from it.
pub const OPERATIONS: &[Operation] = &[
    crate::invoice::LIST,
    crate::invoice::DETAIL,
    crate::payment::LIST,
    crate::payment::DETAIL,
    crate::autopay::LIST,
    crate::autopay::DETAIL,
    crate::autopay_card::OWN,
    crate::autopay_run::RUN,
    crate::credit::LIST,
    crate::resident::LIST,
    crate::resident::DETAIL,
    crate::unit::LIST,
    crate::unit::DETAIL,
    crate::property::LIST,
    crate::property::DETAIL,
    crate::dashboard::PROPERTY,
    crate::dashboard::ORGANIZATION,
    crate::ledger::ENTRIES,
    crate::ledger::BALANCES,
    crate::ledger::EXPORT,
    crate::message::LIST,
    crate::message::DETAIL,
    crate::text_message::LIST,
    crate::text_message::DETAIL,
    crate::inbound_text::LIST,
    crate::sms_consent::LIST,
    crate::sms_consent::DETAIL,
    crate::audit::NUMBER,
    crate::audit::RESIDENT,
    crate::audit::PROPERTY,
    crate::audit::CONTROL,
    crate::job::LIST,
    crate::job::DETAIL,
    crate::job::ITEMS,
    crate::stripe_account::LIST,
    crate::stripe_account::DETAIL,
    crate::payout::LIST,
    crate::suppression::LIST,
    crate::access_token::LIST,
    crate::webhook::LIST,
    crate::webhook::DETAIL,
    crate::webhook::DELIVERIES,
    crate::event::PAGE,
    crate::event::SNAPSHOT,
    crate::transparency::CHECKPOINT,
    crate::transparency::CHECKPOINTS,
    crate::transparency::INCLUSION,
    crate::transparency::CONSISTENCY,
    crate::transparency::KEYS,
    crate::me::ME,
];

/// Queries that have no end, or whose place is a position.
pub const FEED: &[Operation] = &[crate::event::STREAM, crate::event::ONE];

/// Markdown: each query and the roles that it admits.
pub fn authorization_table() -> String {
    let mut rows = vec![
        format!("| query | {} | reach |", Role::PEOPLE.map(Role::name).join(" | ")),
        format!("|---|{}---|", "---|".repeat(Role::PEOPLE.len())),
    ];
    for Operation { method, path, roles, reach, .. } in OPERATIONS.iter().chain(FEED) {
        let marks = Role::PEOPLE.map(|role| if roles.contains(&role) { "yes" } else { "no" });
        rows.push(format!("| `{method} {path}` | {} | {reach} |", marks.join(" | ")));
    }
    rows.join("\n") + "\n"
}
