//! Two fictitious organizations: one with everything, one with a little.

use events::{
    AutopayEvent, CreditEvent, EmailMessageEvent, InvoiceEvent, JobEvent, OrganizationEvent, PaymentEvent,
    PropertyEvent, ResidentEvent, Role, SignInEvent, SmsConsentEvent, StripeAccountEvent, SuppressionEvent,
    TextMessageEvent, UnitEvent, WebhookEvent,
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
pub const TEXT: u128 = 0xb00;
pub const INBOUND: u128 = 0xb01;
pub const NUMBER_KEY: u128 = 0xb02;
pub const WEBHOOK: u128 = 0xc00;
/// Lucía's at Harbor Point.
pub const AUTOPAY: u128 = 0x900;
pub const CREDIT: u128 = 0xa00;
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
    enrollments(&world).await;
    credits(&world).await;
    rest(&world).await;
    texts(&world).await;
    tokens(&world).await;
    world.settle().await;
    world.sign().await;
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
    treasury(world).await;
}

/// Payouts, a comparison with Stripe, policies.
async fn treasury(world: &World) {
    let account = [
        json!({ "PayoutRecorded": { "payout": "po_one", "amount": usd(9000), "status": "Paid", "arrives_on": "2026-01-09" } }),
        json!({ "PayoutRecorded": { "payout": "po_two", "amount": usd(7000), "status": "Failed", "arrives_on": "2026-01-09", "failure": "account_closed" } }),
        json!({ "AccountReconciled": {
            "from": "2026-01-04T00:00:00Z", "until": "2026-01-05T00:00:00Z", "compared": 7,
            "differences": [{ "kind": "Fee", "reference": "txn_example", "booked": usd(383), "seen": usd(384) }],
        } }),
    ];
    world.append::<StripeAccountEvent>(ORGANIZATION, ACCOUNT, 3, &account).await;
    let policies = [
        json!({ "SurchargePolicyChanged": { "surcharges": { "cap_basis_points": 240, "forbidden": [{ "region": "QC", "from": "2022-10-06" }] } } }),
        json!({ "EmailKindSwitched": { "kind": "autopay-notice", "on": false } }),
    ];
    world.append::<PropertyEvent>(ORGANIZATION, HARBOR, 2, &policies).await;
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

fn setup(number: u128, property: u128, resident: u128, kind: &str, purpose: &str) -> [Value; 2] {
    [
        json!({ "AutopaySetupRequested": {
            "setup_id": id(number), "property_id": id(property), "resident_id": id(resident),
            "stripe_account_id": id(ACCOUNT), "kind": kind, "purpose": purpose,
        } }),
        json!({ "AutopaySetupSubmitted": {
            "setup_id": id(number), "setup_intent": "seti_example", "customer": "cus_example", "account": "acct_example",
            "client_secret": clear(resident, "finance", &json!("seti_example_secret")),
        } }),
    ]
}

/// Lucía's is paused, asks about an invoice, and is about to get another card; Paul's is fine.
async fn enrollments(world: &World) {
    let mut events = setup(0x950, HARBOR, LUCIA, "Card", "Enable").to_vec();
    let card = json!({
        "payment_method": "pm_example", "customer": "cus_example", "kind": "Card",
        "card": { "brand": "visa", "last4": "4242", "exp_month": 1, "exp_year": 2030, "funding": "credit" },
    });
    events.push(json!({ "AutopayActivated": { "setup_id": id(0x950), "method": card } }));
    events.push(json!({ "AutopayCapChanged": { "cap": usd(10_200) } }));
    events.push(json!({ "ChargeHeld": { "invoice_id": id(INVOICE + 4), "due_on": "2020-01-31", "amount": usd(10_500), "cap": usd(10_200) } }));
    for (payment, invoice) in [(PAYMENT + 5, INVOICE + 8), (PAYMENT + 6, INVOICE + 12)] {
        events.push(json!({ "ChargeAuthorized": {
            "payment_id": id(payment), "invoice_id": id(invoice), "due_on": "2020-01-31", "amount": usd(10_000),
            "customer": "cus_example", "payment_method": "pm_example", "attempt": 0,
        } }));
    }
    let reason = json!({ "Declined": { "code": "lost_card" } });
    events.push(json!({ "ChargeFailed": {
        "payment_id": id(PAYMENT + 6), "invoice_id": id(INVOICE + 12), "due_on": "2020-01-31", "amount": usd(10_000),
        "reason": reason, "retry": { "attempt": 1, "at": "2026-01-06T15:04:05Z" }, "retries_left": 3,
    } }));
    events.push(json!({ "AutopayPaused": { "reason": reason, "new_method_required": false } }));
    events.push(json!({ "ChargeDeferred": { "invoice_id": id(INVOICE + 3), "due_on": "2098-02-28" } }));
    events.extend(setup(0x951, HARBOR, LUCIA, "Card", "Update"));
    world.append::<AutopayEvent>(ORGANIZATION, AUTOPAY, 0, &events).await;
    let mut events = setup(0x952, MEADOW, PAUL, "BankDebit", "Enable").to_vec();
    let bank = json!({
        "payment_method": "pm_other", "customer": "cus_other", "kind": "BankDebit",
        "bank": { "bank_name": "Example Bank", "last4": "6789" },
    });
    events.push(json!({ "AutopayActivated": { "setup_id": id(0x952), "method": bank } }));
    world.append::<AutopayEvent>(ORGANIZATION, AUTOPAY + 1, 0, &events).await;
}

async fn credits(world: &World) {
    for (number, property, resident) in [(0, HARBOR, LUCIA), (1, MEADOW, PAUL)] {
        let credit = [
            json!({ "CreditAdded": {
                "property_id": id(property), "resident_id": id(resident), "amount": usd(2500), "balance": usd(2500),
                "source": { "Granted": { "grant_id": id(0xa50 + number), "note": "The pool was closed" } },
            } }),
            json!({ "CreditSpent": { "number": 1, "invoice_id": id(INVOICE + 2), "asked": usd(2000), "amount": usd(2000), "balance": usd(500) } }),
        ];
        world.append::<CreditEvent>(ORGANIZATION, CREDIT + number, 0, &credit).await;
    }
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
    let webhook = [json!({ "WebhookRegistered": {
        "url": "https://hooks.example.com/propty", "types": ["invoice.*"],
        "notice": clear(WEBHOOK, "contact", &json!("ops@example.com")), "language": "en", "secret_id": id(WEBHOOK + 1),
    } })];
    world.append::<WebhookEvent>(ORGANIZATION, WEBHOOK, 0, &webhook).await;
    // What the courier would have written, twice.
    for attempt in [1, 2] {
        sqlx::query(
            "insert into engine.webhook_attempts (attempt_id, organization_id, webhook_id, message_id, position, event_type,
                 attempt, at, outcome, status, duration_ms)
             values (gen_random_uuid(), $1, $2, 'msg_1', 7, 'org.propty.invoice.published.v1', $3, '2026-01-05T15:00:00Z',
                 'failed', 503, 12)",
        )
        .bind(Uuid::from_u128(ORGANIZATION))
        .bind(Uuid::from_u128(WEBHOOK))
        .bind(attempt)
        .execute(&world.database.engine)
        .await
        .expect("an attempt");
    }
}

/// A list's path, of the parent that has items where it needs one.
pub fn listed(path: &str) -> String {
    path.replace("{id}", &id(if path.starts_with("/v1/webhooks/") { WEBHOOK } else { JOB }))
}

/// The id of a resident's consent.
pub fn consent(resident: u128) -> u128 {
    Uuid::new_v5(&Uuid::from_u128(resident), b"sms-consent").as_u128()
}

/// Lucía agreed to texts, was told of an invoice, and asked who it was.
async fn texts(world: &World) {
    let evidence = json!({
        "actor": format!("session:{}", id(SIGN_IN)), "role": "Resident",
        "session": { "session_id": id(SIGN_IN), "method": "EmailLink", "opened_at": "2026-01-05T15:00:00Z" },
        "address": clear(LUCIA, "consent", &json!("203.0.113.7")), "user_agent": clear(LUCIA, "consent", &json!("Browser/1")),
        "at": "2026-01-05T15:00:00Z", "zone": "America/Chicago", "locale": "es",
    });
    let disclosure = json!({
        "shown_id": id(0xb03), "property_id": id(HARBOR), "language": "es", "version": "standard-1",
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "text": "Acepto que me escriban.",
    });
    let number = || clear(LUCIA, "consent", &json!("+13125550143"));
    let (checkbox, resident, key) = (json!({ "before": false, "after": true }), id(LUCIA), id(NUMBER_KEY));
    let consented = [
        json!({ "DisclosureShown": { "resident_id": resident, "disclosure": disclosure, "evidence": evidence } }),
        json!({ "ConsentRequested": {
            "resident_id": resident, "number": number(), "number_key": key, "disclosure": disclosure, "checkbox": checkbox,
            "scope": "All", "source": "Portal", "phone_revision": 0, "evidence": evidence,
        } }),
        json!({ "CodeIssued": { "resident_id": resident, "number_key": key, "challenge": 1, "expires_at": "2026-01-05T15:10:00Z" } }),
        json!({ "ConsentGranted": {
            "resident_id": resident, "number": number(), "number_key": key, "challenge": 1, "disclosure": disclosure,
            "checkbox": checkbox, "scope": "All", "source": "Portal", "phone_revision": 0, "evidence": evidence,
        } }),
        json!({ "TextAuthorized": {
            "text_id": id(TEXT), "class": "Programme", "number_key": key, "consent": 4, "expires_at": "2026-01-05T16:00:30Z",
        } }),
        json!({ "InboundReceived": {
            "resident_id": resident, "inbound_id": id(INBOUND), "number": number(), "number_key": key,
            "body": clear(LUCIA, "consent", &json!("quién es?")), "reading": "MayMeanStop", "provider_id": "SM2",
            "answered_by_provider": false, "received_at": "2026-01-05T16:05:00Z",
        } }),
        json!({ "SendsPaused": { "inbound_id": id(INBOUND) } }),
        json!({ "OptInRefused": {
            "resident_id": resident, "number": number(), "number_key": key, "why": "NotTheResident", "evidence": evidence,
        } }),
    ];
    world.append::<SmsConsentEvent>(ORGANIZATION, consent(LUCIA), 0, &consented).await;
    let told = [
        json!({ "TextRequested": {
            "resident_id": resident, "property_id": id(HARBOR), "language": "es", "fallback": false, "template": 1,
            "content": { "InvoicePublished": { "invoice_id": id(INVOICE), "title": "Assessment 0", "total": usd(10_000), "due_on": "2020-01-31" } },
            "cause": format!("invoice/{}/2", id(INVOICE)),
        } }),
        json!({ "TextSending": {
            "number": number(), "number_key": key, "body": clear(LUCIA, "message", &json!("Nueva factura")),
            "authority": format!("sms-consent/{}/5", id(consent(LUCIA))),
            "grounds": {
                "consent": format!("sms-consent/{}/4", id(consent(LUCIA))), "policy": "us-1", "zone": "America/Chicago",
                "local_time": "2026-01-05T10:00:00-06:00",
            },
            "encoding": "Gsm7", "segments": 1, "reference": "Q7F2", "provider": "twilio",
        } }),
        json!({ "TextAccepted": { "provider_id": "SM1" } }),
        json!({ "TextDelivered": {} }),
        json!({ "TextSent": {} }),
    ];
    world.append::<TextMessageEvent>(ORGANIZATION, TEXT, 0, &told).await;
}

async fn tokens(world: &World) {
    world.token(ORGANIZATION, 0x801, "manager", Role::OrganizationManager, None).await;
    world.token(ORGANIZATION, 0x802, "admin", Role::PropertyAdmin, Some(HARBOR)).await;
    world.token(ORGANIZATION, 0x803, "harbor", Role::PropertyManager, Some(HARBOR)).await;
    world.token(ORGANIZATION, 0x804, "meadow", Role::PropertyManager, Some(MEADOW)).await;
    world.token(ORGANIZATION, 0x805, "auditor", Role::ComplianceAuditor, None).await;
    world.token(ORGANIZATION, 0x806, "integrator", Role::Integrator, None).await;
    world.token_for(ORGANIZATION, 0x808, "accounting", &["invoice.*", "unit.added"]).await;
    world.token(OTHER, 0x807, "stranger", Role::OrganizationManager, None).await;
}
