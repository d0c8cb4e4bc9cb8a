//! Maple Court: one property, one unit, one resident, one invoice of 100.00, one payment of it.

use chrono::{DateTime, NaiveDate, Utc};
use events::{
    AutopayId, CreditId, Currency, InvoiceEvent, InvoiceId, Language, Money, PaymentEvent, PaymentId, PropertyEvent,
    PropertyId, Purpose, RefundId, ResidentEvent, ResidentId, Sealed, StripeAccountEvent, StripeAccountId, TimeZone,
    UnitEvent, UnitId,
    invoice::InvoiceLine,
    payment::{FrozenIntent, PaymentMethodKind},
    property::{FeeMode, FeePolicy, SurchargePolicy},
    resident::Tenure,
    stripe_account::StripeAccountStatus,
};
use serde_json::json;
use uuid::Uuid;

use super::{from, noon, state};
use crate::{Facts, Payment};

pub const PROPERTY: PropertyId = PropertyId(Uuid::from_u128(0x10));
pub const UNIT: UnitId = UnitId(Uuid::from_u128(0x20));
pub const RESIDENT: ResidentId = ResidentId(Uuid::from_u128(0x30));
pub const INVOICE: InvoiceId = InvoiceId(Uuid::from_u128(0x40));
pub const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(0x50));
pub const OTHER_PAYMENT: PaymentId = PaymentId(Uuid::from_u128(0x51));
pub const REFUND: RefundId = RefundId(Uuid::from_u128(0x60));
pub const OTHER_REFUND: RefundId = RefundId(Uuid::from_u128(0x61));
pub const AUTOPAY: AutopayId = AutopayId(Uuid::from_u128(0x80));
pub const ACCOUNT: StripeAccountId = StripeAccountId(Uuid::from_u128(0x70));

pub fn money(amount: i64, currency: Currency) -> Money {
    Money::try_new(amount, currency).expect("test amounts are small")
}

pub fn usd(amount: i64) -> Money {
    money(amount, Currency::USD)
}

pub fn day(text: &str) -> NaiveDate {
    text.parse().expect("test days are valid")
}

pub fn instant(text: &str) -> DateTime<Utc> {
    text.parse().expect("test instants are valid")
}

pub fn zone(name: &str) -> TimeZone {
    TimeZone::parse(name).expect("test zones exist")
}

pub fn line(amount: Money) -> InvoiceLine {
    InvoiceLine { description: from("Condo fee"), amount }
}

pub fn property_in(time_zone: &str, currency: Currency) -> PropertyEvent {
    PropertyEvent::PropertyAdded {
        name: from("Maple Court"),
        address: from(json!({
            "street": "12 Maple St", "city": "Springfield", "region": "NY", "postal_code": "10001", "country": "US"
        })),
        time_zone: zone(time_zone),
        currency,
        contact: Sealed::new(PROPERTY.0, Purpose::Contact, from("office@example.org")),
        sender: from("Maple Court"),
        fees: FeePolicy::STANDARD,
    }
}

pub fn property() -> PropertyEvent {
    property_in("America/New_York", Currency::USD)
}

pub fn unit() -> UnitEvent {
    UnitEvent::UnitAdded { property_id: PROPERTY, label: from("4B") }
}

pub fn resident() -> Vec<ResidentEvent> {
    vec![
        ResidentEvent::ResidentRegistered {
            name: Sealed::new(RESIDENT.0, Purpose::Contact, from(json!({ "first": "Ana", "last": "Ruiz" }))),
            email: Some(Sealed::new(RESIDENT.0, Purpose::Contact, from("ana@example.com"))),
            phone: None,
            language: Language::Es,
        },
        ResidentEvent::ResidentMovedIn {
            property_id: PROPERTY,
            unit_id: UNIT,
            tenure: Tenure::Owner,
            on: day("2026-01-01"),
        },
    ]
}

/// The credit of the resident at the property.
pub fn credit() -> CreditId {
    crate::credit::credit_id(PROPERTY, RESIDENT)
}

/// Fees passed on, as much as the price list says.
pub fn passing() -> Vec<PropertyEvent> {
    let fees = FeePolicy { mode: FeeMode::PassToResident, ..FeePolicy::STANDARD };
    let surcharges = SurchargePolicy { cap_basis_points: None, forbidden: vec![] };
    vec![
        property(),
        PropertyEvent::StripeAccountAssigned { stripe_account_id: ACCOUNT },
        PropertyEvent::FeePolicyChanged { fees },
        PropertyEvent::SurchargePolicyChanged { surcharges },
    ]
}

/// Connected, and taking payments.
pub fn account() -> Vec<StripeAccountEvent> {
    vec![
        StripeAccountEvent::StripeConnectionRequested { name: from("Maple Court"), country: "US".into() },
        StripeAccountEvent::StripeAccountCreated { account: "acct_1".into() },
        StripeAccountEvent::StripeAccountStatusChanged { status: StripeAccountStatus::Active },
    ]
}

/// The community, before any invoice.
pub fn community() -> Facts {
    community_of(property())
}

pub fn community_of(property: PropertyEvent) -> Facts {
    let assigned = PropertyEvent::StripeAccountAssigned { stripe_account_id: ACCOUNT };
    Facts {
        property: Some(state([property, assigned])),
        unit: Some(state([unit()])),
        resident: Some(state(resident())),
        stripe_account: Some(state(account())),
        ..Facts::default()
    }
}

/// The community, with these events of the invoice.
pub fn billed(invoice: impl IntoIterator<Item = InvoiceEvent>) -> Facts {
    Facts { invoice: Some(state(invoice)), ..community() }
}

pub fn drafted_of(total: Money, due_on: &str, time_zone: &str) -> InvoiceEvent {
    InvoiceEvent::InvoiceDrafted {
        property_id: PROPERTY,
        unit_id: UNIT,
        resident_id: RESIDENT,
        title: from("March"),
        description: None,
        lines: vec![line(total)],
        total,
        due_on: day(due_on),
        time_zone: zone(time_zone),
    }
}

/// 100.00 USD, due on 31 March in New York.
pub fn drafted() -> InvoiceEvent {
    drafted_of(usd(10_000), "2026-03-31", "America/New_York")
}

pub fn published() -> Vec<InvoiceEvent> {
    vec![drafted(), InvoiceEvent::InvoicePublished { resident_id: RESIDENT, notify: true }]
}

/// An invoice of which this much of a payment became the resident's credit.
pub fn overpaid(payment_id: PaymentId, excess: i64) -> Vec<InvoiceEvent> {
    let overpayment = InvoiceEvent::OverpaymentCredited {
        number: 1,
        credit_id: credit(),
        resident_id: RESIDENT,
        property_id: PROPERTY,
        payment_id,
        amount: usd(excess),
        balance: usd(0),
    };
    with(published(), [overpayment])
}

pub fn reserved() -> InvoiceEvent {
    InvoiceEvent::PaymentReserved { payment_id: PAYMENT, amount: usd(10_000) }
}

/// 100.00 for the invoice, 3.83 of fee on top, whatever the card: as prices were before cards were looked at.
pub fn quoted() -> PaymentEvent {
    PaymentEvent::PaymentQuoted {
        invoice_id: INVOICE,
        property_id: PROPERTY,
        resident_id: RESIDENT,
        stripe_account_id: ACCOUNT,
        method: PaymentMethodKind::Card,
        amount: usd(10_000),
        fee: usd(383),
        total: usd(10_383),
        fees: FeePolicy { mode: FeeMode::PassToResident, ..FeePolicy::STANDARD },
        mode: FeeMode::PassToResident,
        expires_at: noon() + chrono::TimeDelta::minutes(30),
        confirmation_token: None,
        funding: None,
        waiver: None,
        autopay_id: None,
    }
}

pub fn requested() -> Vec<PaymentEvent> {
    vec![quoted(), PaymentEvent::PaymentRequested { invoice_id: INVOICE, amount: usd(10_000), autopay_id: None }]
}

/// The intent is committed, the answer has not come.
pub fn submitting() -> Vec<PaymentEvent> {
    let request = FrozenIntent {
        account: "acct_1".into(),
        amount: 10_383,
        currency: "usd".into(),
        idempotency_key: Payment::idempotency_key(INVOICE, PAYMENT),
        description: format!("Invoice {INVOICE}"),
        kind: PaymentMethodKind::Card,
        customer: None,
        payment_method: None,
        confirmation_token: None,
    };
    with(requested(), [PaymentEvent::PaymentSubmitting { request }])
}

pub fn bound() -> PaymentEvent {
    PaymentEvent::PaymentSubmitted {
        intent: "pi_1".into(),
        client_secret: Sealed::new(RESIDENT.0, Purpose::Finance, "pi_1_secret".into()),
    }
}

pub fn submitted() -> Vec<PaymentEvent> {
    with(submitting(), [bound()])
}

pub fn success() -> PaymentEvent {
    PaymentEvent::PaymentSucceeded {
        invoice_id: INVOICE,
        amount: usd(10_000),
        charge: Some("ch_1".into()),
        card: None,
        bank: None,
        autopay_id: None,
    }
}

pub fn succeeded() -> Vec<PaymentEvent> {
    with(submitted(), [success()])
}

/// A story, continued.
pub fn with<E>(mut events: Vec<E>, more: impl IntoIterator<Item = E>) -> Vec<E> {
    events.extend(more);
    events
}
