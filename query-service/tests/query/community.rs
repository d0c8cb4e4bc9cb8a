//! Two fictitious organizations: one with everything, one with a little.

use events::{
    EmailMessageEvent, InvoiceEvent, JobEvent, OrganizationEvent, PaymentEvent, PropertyEvent, ResidentEvent, Role,
    SignInEvent, StripeAccountEvent, SuppressionEvent, UnitEvent,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::World;

pub const ORGANIZATION: u128 = 0xa;
pub const OTHER: u128 = 0xb;
pub const HARBOR: u128 = 0x10;
pub const MEADOW: u128 = 0x11;
pub const UNIT: u128 = 0x20;
pub const LUCIA: u128 = 0x30;
pub const PAUL: u128 = 0x31;
pub const INVOICE: u128 = 0x100;
pub const DRAFT: u128 = 0x190;
pub const PAULS_INVOICE: u128 = 0x191;
pub const PAYMENT: u128 = 0x200;
pub const MESSAGE: u128 = 0x300;
pub const JOB: u128 = 0x400;
pub const ACCOUNT: u128 = 0x500;
pub const SUPPRESSION: u128 = 0x600;
pub const SIGN_IN: u128 = 0x700;
/// Lucía's published invoices.
pub const INVOICES: u128 = 13;

pub fn id(id: u128) -> String {
    Uuid::from_u128(id).to_string()
}

pub fn clear(subject: u128, purpose: &str, value: &Value) -> Value {
    json!({ "$clear": { "subject": id(subject), "purpose": purpose, "value": value } })
}

fn usd(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "USD" })
}

/// Fills the world; everything is projected.
pub async fn community() -> World {
    let world = World::new().await;
    for (organization, name) in [(ORGANIZATION, "Example Management"), (OTHER, "Other Management")] {
        world
            .append::<OrganizationEvent>(
                organization,
                organization,
                0,
                &[json!({ "OrganizationRegistered": { "name": name } })],
            )
            .await;
    }
    places(&world).await;
    people(&world).await;
    money(&world).await;
    rest(&world).await;
    tokens(&world).await;
    world.settle().await;
    world
}

async fn places(world: &World) {
    for (organization, property, name) in
        [(ORGANIZATION, HARBOR, "Harbor Point"), (ORGANIZATION, MEADOW, "Meadow Court"), (OTHER, 0x1f, "Other Place")]
    {
        let added = json!({ "PropertyAdded": {
            "name": name,
            "address": { "street": "100 Harbor Drive", "city": "Springfield", "region": "IL", "postal_code": "62701", "country": "US" },
            "time_zone": "America/Chicago", "currency": "USD",
            "contact": clear(property, "contact", &json!("office@example.com")), "sender": name,
            "fees": { "mode": "Absorb", "card": { "basis_points": 340, "fixed": 30 }, "bank_debit": { "basis_points": 100, "fixed": 0, "cap": 550 } },
        } });
        world.append::<PropertyEvent>(organization, property, 0, &[added]).await;
    }
    for (organization, unit, property, label) in [
        (ORGANIZATION, UNIT, HARBOR, "2"),
        (ORGANIZATION, UNIT + 1, HARBOR, "10"),
        (ORGANIZATION, UNIT + 2, MEADOW, "1"),
        (OTHER, 0x2f, 0x1f, "1"),
    ] {
        let added = json!({ "UnitAdded": { "property_id": id(property), "label": label } });
        world.append::<UnitEvent>(organization, unit, 0, &[added]).await;
    }
    let account = [
        json!({ "StripeConnectionRequested": { "name": "Harbor Point", "country": "US" } }),
        json!({ "StripeAccountCreated": { "account": "acct_example" } }),
        json!({ "StripeAccountStatusChanged": { "status": "Active" } }),
    ];
    world.append::<StripeAccountEvent>(ORGANIZATION, ACCOUNT, 0, &account).await;
    let assigned = json!({ "StripeAccountAssigned": { "stripe_account_id": id(ACCOUNT) } });
    world.append::<PropertyEvent>(ORGANIZATION, HARBOR, 1, &[assigned]).await;
}

async fn people(world: &World) {
    for (organization, resident, first, last, property, unit) in [
        (ORGANIZATION, LUCIA, "Lucía", "Muñoz", HARBOR, UNIT),
        (ORGANIZATION, PAUL, "Paul", "=Example", MEADOW, UNIT + 2),
        (OTHER, 0x3f, "Otto", "Other", 0x1f, 0x2f),
    ] {
        let events = [
            json!({ "ResidentRegistered": {
                "name": clear(resident, "contact", &json!({ "first": first, "last": last })),
                "email": clear(resident, "contact", &json!(format!("{}@example.com", first.to_lowercase().replace('í', "i")))),
                "language": "es",
            } }),
            json!({ "ResidentMovedIn": { "property_id": id(property), "unit_id": id(unit), "tenure": "Owner", "on": "2024-05-01" } }),
        ];
        world.append::<ResidentEvent>(organization, resident, 0, &events).await;
    }
    let session = [
        json!({ "SignInLinkRequested": { "resident_id": id(LUCIA), "expires_at": "2099-01-01T00:00:00Z" } }),
        json!({ "SessionOpened": { "resident_id": id(LUCIA), "expires_at": "2099-01-01T00:00:00Z" } }),
    ];
    world.append::<SignInEvent>(ORGANIZATION, SIGN_IN, 0, &session).await;
}

fn drafted(property: u128, unit: u128, resident: u128, title: &str, total: i64, due_on: &str) -> Value {
    json!({ "InvoiceDrafted": {
        "property_id": id(property), "unit_id": id(unit), "resident_id": id(resident), "title": title,
        "lines": [{ "description": "Assessment", "amount": usd(total) }], "total": usd(total),
        "due_on": due_on, "time_zone": "America/Chicago",
    } })
}

async fn money(world: &World) {
    let published = |resident| json!({ "InvoicePublished": { "resident_id": id(resident), "notify": true } });
    for number in 0..INVOICES {
        // Dates and totals repeat, so that ties have to be broken.
        let total = 10_000 + i64::try_from(number % 3).expect("small") * 500;
        let due_on = if number % 4 == 0 { "2020-01-31" } else { "2098-02-28" };
        let draft = drafted(HARBOR, UNIT, LUCIA, &format!("Assessment {number}"), total, due_on);
        world.append::<InvoiceEvent>(ORGANIZATION, INVOICE + number, 0, &[draft, published(LUCIA)]).await;
    }
    let by_hand = json!({ "PaymentApplied": {
        "payment_id": id(PAYMENT + 1), "resident_id": id(LUCIA), "amount": usd(4000), "balance": usd(6500),
        "source": { "Offline": { "method": "Check", "reference": "1001", "received_on": "2026-01-05" } },
    } });
    world.append::<InvoiceEvent>(ORGANIZATION, INVOICE + 1, 2, &[by_hand]).await;
    world
        .append::<InvoiceEvent>(ORGANIZATION, DRAFT, 0, &[drafted(HARBOR, UNIT, LUCIA, "Draft", 700, "2098-01-01")])
        .await;
    let pauls = drafted(MEADOW, UNIT + 2, PAUL, "Paul's, \"quoted\"", 900, "2098-01-01");
    world.append::<InvoiceEvent>(ORGANIZATION, PAULS_INVOICE, 0, &[pauls, published(PAUL)]).await;
    let theirs = drafted(0x1f, 0x2f, 0x3f, "Theirs", 900, "2098-01-01");
    world.append::<InvoiceEvent>(OTHER, 0x1ff, 0, &[theirs, published(0x3f)]).await;
    let payment = [
        json!({ "PaymentQuoted": {
            "invoice_id": id(INVOICE), "property_id": id(HARBOR), "resident_id": id(LUCIA), "stripe_account_id": id(ACCOUNT),
            "method": "Card", "amount": usd(5000), "fee": usd(0), "total": usd(5000),
            "fees": { "mode": "Absorb", "card": { "basis_points": 340, "fixed": 30 }, "bank_debit": { "basis_points": 100, "fixed": 0, "cap": 550 } },
            "mode": "Absorb", "expires_at": "2026-01-05T16:00:00Z",
        } }),
        json!({ "PaymentRequested": { "invoice_id": id(INVOICE), "amount": usd(5000) } }),
        json!({ "PaymentSubmitted": { "intent": "pi_example", "client_secret": clear(LUCIA, "finance", &json!("pi_example_secret")) } }),
    ];
    world.append::<PaymentEvent>(ORGANIZATION, PAYMENT, 0, &payment).await;
}

async fn rest(world: &World) {
    let message = [
        json!({ "EmailRequested": {
            "resident_id": id(LUCIA), "property_id": id(HARBOR), "language": "es", "fallback": false, "template": 1,
            "content": { "InvoicePublished": { "invoice_id": id(INVOICE), "title": "Assessment 0", "total": usd(10_000), "due_on": "2020-01-31" } },
            "cause": format!("invoice/{}/2", id(INVOICE)),
        } }),
        json!({ "EmailSubmitting": {
            "provider": "resend", "idempotency_key": "k", "address": clear(LUCIA, "contact", &json!("lucia@example.com")),
            "message": clear(LUCIA, "message", &json!({})),
        } }),
        json!({ "EmailAccepted": { "provider_id": "re_1" } }),
        json!({ "EmailDelivered": {} }),
    ];
    world.append::<EmailMessageEvent>(ORGANIZATION, MESSAGE, 0, &message).await;
    let suppressed = json!({ "AddressSuppressed": {
        "address": clear(LUCIA, "contact", &json!("old@example.com")), "resident_id": id(LUCIA), "message_id": id(MESSAGE), "cause": "HardBounce",
    } });
    world.append::<SuppressionEvent>(ORGANIZATION, SUPPRESSION, 0, &[suppressed]).await;
    let job = [
        json!({ "JobStarted": { "property_id": id(HARBOR), "work": { "PublishInvoices": { "invoices": [id(INVOICE), id(INVOICE + 1)], "notify": true } } } }),
        json!({ "JobProgressed": { "results": [{ "item": id(INVOICE) }, { "item": id(INVOICE + 1), "refusal": "it is void" }], "done": 2, "total": 2 } }),
        json!({ "JobCompleted": { "succeeded": 1, "refused": 1 } }),
    ];
    world.append::<JobEvent>(ORGANIZATION, JOB, 0, &job).await;
}

async fn tokens(world: &World) {
    world.token(ORGANIZATION, 0x801, "manager", Role::OrganizationManager, None).await;
    world.token(ORGANIZATION, 0x802, "admin", Role::PropertyAdmin, Some(HARBOR)).await;
    world.token(ORGANIZATION, 0x803, "harbor", Role::PropertyManager, Some(HARBOR)).await;
    world.token(ORGANIZATION, 0x804, "meadow", Role::PropertyManager, Some(MEADOW)).await;
    world.token(ORGANIZATION, 0x805, "auditor", Role::ComplianceAuditor, None).await;
    world.token(ORGANIZATION, 0x806, "integrator", Role::Integrator, None).await;
    world.token(OTHER, 0x807, "stranger", Role::OrganizationManager, None).await;
}
