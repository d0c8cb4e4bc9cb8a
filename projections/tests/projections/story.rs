//! What happened in a small community: one property, three units, two residents, and events by the dozen.

use chrono::{DateTime, Utc};
use events::{
    AccessTokenEvent, AutopayEvent, CreditEvent, Currency, EmailAddress, EmailMessageEvent, Event, InvoiceEvent,
    InvoiceId, JobEvent, Language, MessageId, Money, OrganizationEvent, OrganizationId, PaymentEvent, PaymentId,
    PropertyEvent, PropertyId, Purpose, RefundId, ResidentEvent, ResidentId, Role, Sealed, SignInEvent,
    StripeAccountEvent, StripeAccountId, SuppressionEvent, TimeZone, UnitEvent, UnitId, WebhookEvent,
    address::PostalAddress,
    email::{BounceKind, EmailContent},
    invoice::{InvoiceLine, OfflineMethod, PaymentSource, ReversalReason},
    job::{ItemResult, JobWork},
    payment::{CardSummary, FrozenIntent, PaymentMethodKind},
    property::{FeeMode, FeePolicy},
    resident::Tenure,
    stripe_account::StripeAccountStatus,
    suppression::SuppressionCause,
    text::{Label, Line, Name, PersonName, Title},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, at, organization};

pub struct Story {
    pub organization: OrganizationId,
    pub property: Uuid,
    pub account: Uuid,
    /// Labelled `2`, `10` and `B`.
    pub units: [Uuid; 3],
    /// Zoë Álvarez in `2`, Ben Okafor in `10`.
    pub residents: [Uuid; 2],
}

pub fn cad(amount: i64) -> Money {
    Money::try_new(amount, Currency::CAD).expect("an amount")
}

pub fn name(first: &str, last: &str) -> PersonName {
    PersonName { first: Some(called(first)), last: called(last) }
}

fn called(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

pub fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("an address")
}

pub fn contact<T>(subject: Uuid, value: T) -> Sealed<T> {
    Sealed::new(subject, Purpose::Contact, value)
}

/// A card that autopay charges.
pub fn visa(id: &str, last4: &str) -> Value {
    json!({
        "payment_method": id, "customer": "cus_1", "kind": "Card",
        "card": { "brand": "visa", "last4": last4, "exp_month": 1, "exp_year": 2030, "funding": "credit" },
    })
}

/// The moment at which the community begins.
pub fn start() -> DateTime<Utc> {
    at("2026-01-05T15:00:00Z")
}

impl Story {
    pub async fn begin(world: &mut World) -> Self {
        let now = start();
        let story = Self {
            organization: organization(),
            property: Uuid::now_v7(),
            account: Uuid::now_v7(),
            units: [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()],
            residents: [Uuid::now_v7(), Uuid::now_v7()],
        };
        let own = story.organization;
        let registered = OrganizationEvent::OrganizationRegistered { name: called("Maple Homes") };
        world.add(own, own.0, now, registered).await;
        world
            .add(
                own,
                story.account,
                now,
                StripeAccountEvent::StripeConnectionRequested { name: called("Main"), country: "CA".into() },
            )
            .await;
        let created = StripeAccountEvent::StripeAccountCreated { account: "acct_1".into() };
        world.add(own, story.account, now, created).await;
        let active = StripeAccountEvent::StripeAccountStatusChanged { status: StripeAccountStatus::Active };
        world.add(own, story.account, now, active).await;
        world
            .add(
                own,
                story.property,
                now,
                PropertyEvent::PropertyAdded {
                    name: called("Rosewood"),
                    address: PostalAddress {
                        street: Line::parse("1 Rosewood Lane").expect("a street"),
                        city: called("Toronto"),
                        region: Line::parse("ON").expect("a region"),
                        postal_code: Line::parse("M5V 1A1").expect("a code"),
                        country: Line::parse("CA").expect("a country"),
                    },
                    time_zone: TimeZone::parse("America/Toronto").expect("a zone"),
                    currency: Currency::CAD,
                    contact: contact(story.property, address("office@example.com")),
                    sender: called("Rosewood"),
                    fees: FeePolicy::STANDARD,
                },
            )
            .await;
        let assigned = PropertyEvent::StripeAccountAssigned { stripe_account_id: StripeAccountId(story.account) };
        world.add(own, story.property, now, assigned).await;
        for (unit, label) in story.units.into_iter().zip(["2", "10", "B"]) {
            let label = Label::parse(label).expect("a label");
            world.add(own, unit, now, UnitEvent::UnitAdded { property_id: PropertyId(story.property), label }).await;
        }
        for (index, (first, last)) in [("Zoë", "Álvarez"), ("Ben", "Okafor")].into_iter().enumerate() {
            let resident = story.residents[index];
            world
                .add(
                    own,
                    resident,
                    now,
                    ResidentEvent::ResidentRegistered {
                        name: contact(resident, name(first, last)),
                        email: Some(contact(resident, address(&format!("resident{index}@example.com")))),
                        phone: None,
                        language: Language::En,
                    },
                )
                .await;
            story.moves_in(world, resident, story.units[index]).await;
        }
        story
    }

    pub async fn moves_in(&self, world: &mut World, resident: Uuid, unit: Uuid) {
        world
            .add(
                self.organization,
                resident,
                start(),
                ResidentEvent::ResidentMovedIn {
                    property_id: PropertyId(self.property),
                    unit_id: UnitId(unit),
                    tenure: Tenure::Owner,
                    on: start().date_naive(),
                },
            )
            .await;
    }

    /// A draft for the resident with this index.
    pub async fn drafts(&self, world: &mut World, who: usize, amount: i64, due_on: &str) -> Uuid {
        let id = Uuid::now_v7();
        world
            .add(
                self.organization,
                id,
                start(),
                InvoiceEvent::InvoiceDrafted {
                    property_id: PropertyId(self.property),
                    unit_id: UnitId(self.units[who]),
                    resident_id: ResidentId(self.residents[who]),
                    title: Title::parse("January fees").expect("a title"),
                    description: None,
                    lines: vec![InvoiceLine {
                        description: Title::parse("Fees").expect("a text"),
                        amount: cad(amount),
                    }],
                    total: cad(amount),
                    due_on: due_on.parse().expect("a date"),
                    time_zone: TimeZone::parse("America/Toronto").expect("a zone"),
                },
            )
            .await;
        id
    }

    pub async fn publishes(&self, world: &mut World, who: usize, amount: i64, due_on: &str) -> Uuid {
        let id = self.drafts(world, who, amount, due_on).await;
        let resident_id = ResidentId(self.residents[who]);
        world.add(self.organization, id, start(), InvoiceEvent::InvoicePublished { resident_id, notify: true }).await;
        id
    }

    pub async fn pays_by_hand(
        &self,
        world: &mut World,
        who: usize,
        invoice: Uuid,
        (amount, balance): (i64, i64),
        received_on: &str,
        when: DateTime<Utc>,
    ) -> Uuid {
        let payment = Uuid::now_v7();
        world
            .add(
                self.organization,
                invoice,
                when,
                InvoiceEvent::PaymentApplied {
                    payment_id: PaymentId(payment),
                    resident_id: ResidentId(self.residents[who]),
                    amount: cad(amount),
                    balance: cad(balance),
                    source: PaymentSource::Offline {
                        method: OfflineMethod::Check,
                        reference: Line::parse("No. 17").ok(),
                        received_on: received_on.parse().expect("a date"),
                    },
                },
            )
            .await;
        payment
    }

    pub async fn corrects(
        &self,
        world: &mut World,
        invoice: Uuid,
        payment: Uuid,
        (amount, balance): (i64, i64),
        when: DateTime<Utc>,
    ) {
        world
            .add(
                self.organization,
                invoice,
                when,
                InvoiceEvent::PaymentReversed {
                    payment_id: PaymentId(payment),
                    amount: cad(amount),
                    balance: cad(balance),
                    reason: ReversalReason::OfflineCorrection { note: Line::parse("bounced").expect("a note") },
                },
            )
            .await;
    }

    /// Up to the moment at which Stripe's form is open.
    pub async fn opens_form(&self, world: &mut World, who: usize, invoice: Uuid, amount: i64, fee: i64) -> Uuid {
        let (own, id, now) = (self.organization, Uuid::now_v7(), start());
        let resident = self.residents[who];
        world
            .add(
                own,
                id,
                now,
                PaymentEvent::PaymentQuoted {
                    invoice_id: InvoiceId(invoice),
                    property_id: PropertyId(self.property),
                    resident_id: ResidentId(resident),
                    stripe_account_id: StripeAccountId(self.account),
                    method: PaymentMethodKind::Card,
                    amount: cad(amount),
                    fee: cad(fee),
                    total: cad(amount + fee),
                    fees: FeePolicy::STANDARD,
                    mode: FeeMode::PassToResident,
                    expires_at: now,
                    confirmation_token: None,
                    funding: None,
                    waiver: None,
                    autopay_id: None,
                },
            )
            .await;
        let requested =
            PaymentEvent::PaymentRequested { invoice_id: InvoiceId(invoice), amount: cad(amount), autopay_id: None };
        world.add(own, id, now, requested).await;
        world
            .add(
                own,
                id,
                now,
                PaymentEvent::PaymentSubmitting {
                    request: FrozenIntent {
                        account: "acct_1".into(),
                        amount: amount + fee,
                        currency: "cad".into(),
                        idempotency_key: id.to_string(),
                        description: "January fees".into(),
                        kind: PaymentMethodKind::Card,
                        customer: None,
                        payment_method: None,
                        confirmation_token: None,
                    },
                },
            )
            .await;
        world
            .add(
                own,
                id,
                now,
                PaymentEvent::PaymentSubmitted {
                    intent: format!("pi_{id}"),
                    client_secret: Sealed::new(resident, Purpose::Finance, "pi_secret".to_owned()),
                },
            )
            .await;
        id
    }

    pub async fn succeeds(&self, world: &mut World, who: usize, invoice: Uuid, payment: Uuid, amounts: (i64, i64)) {
        let (own, now) = (self.organization, start());
        world
            .add(
                own,
                payment,
                now,
                PaymentEvent::PaymentSucceeded {
                    invoice_id: InvoiceId(invoice),
                    amount: cad(amounts.0),
                    charge: Some("ch_1".into()),
                    card: Some(CardSummary {
                        brand: "visa".into(),
                        last4: "4242".into(),
                        exp_month: 1,
                        exp_year: 2030,
                        funding: "credit".into(),
                    }),
                    bank: None,
                    autopay_id: None,
                },
            )
            .await;
        self.applies(world, who, invoice, payment, amounts, now).await;
    }

    /// An online payment reaches its invoice.
    pub async fn applies(
        &self,
        world: &mut World,
        who: usize,
        invoice: Uuid,
        payment: Uuid,
        (amount, balance): (i64, i64),
        when: DateTime<Utc>,
    ) {
        world
            .add(
                self.organization,
                invoice,
                when,
                InvoiceEvent::PaymentApplied {
                    payment_id: PaymentId(payment),
                    resident_id: ResidentId(self.residents[who]),
                    amount: cad(amount),
                    balance: cad(balance),
                    source: PaymentSource::Online,
                },
            )
            .await;
    }

    pub async fn refunds(
        &self,
        world: &mut World,
        invoice: Uuid,
        payment: Uuid,
        amount: i64,
        reversed: i64,
        balance: i64,
    ) {
        let (own, now, refund_id) = (self.organization, start(), RefundId(Uuid::now_v7()));
        let requested = PaymentEvent::RefundRequested { refund_id, amount: cad(amount), note: None };
        world.add(own, payment, now, requested).await;
        world
            .add(
                own,
                payment,
                now,
                PaymentEvent::RefundSucceeded {
                    refund_id,
                    invoice_id: InvoiceId(invoice),
                    amount: cad(amount),
                    reversed: cad(reversed),
                    refund: "re_1".into(),
                },
            )
            .await;
        world
            .add(
                own,
                invoice,
                now,
                InvoiceEvent::PaymentReversed {
                    payment_id: PaymentId(payment),
                    amount: cad(reversed),
                    balance: cad(balance),
                    reason: ReversalReason::Refund { refund_id },
                },
            )
            .await;
    }

    pub async fn writes(&self, world: &mut World, who: usize, invoice: Uuid) -> Uuid {
        let id = Uuid::now_v7();
        let resident = self.residents[who];
        world
            .add(
                self.organization,
                id,
                start(),
                EmailMessageEvent::EmailRequested {
                    resident_id: ResidentId(resident),
                    property_id: Some(PropertyId(self.property)),
                    content: EmailContent::InvoicePublished {
                        invoice_id: InvoiceId(invoice),
                        title: Title::parse("January fees").expect("a title"),
                        total: cad(1),
                        due_on: start().date_naive(),
                    },
                    language: Language::En,
                    fallback: false,
                    template: 1,
                    cause: format!("invoice/{invoice}/2"),
                    resend_of: None,
                },
            )
            .await;
        world
            .add(
                self.organization,
                id,
                start(),
                EmailMessageEvent::EmailSubmitting {
                    provider: "smtp".into(),
                    idempotency_key: id.to_string(),
                    address: contact(resident, address("resident@example.com")),
                    message: Sealed::new(resident, Purpose::Message, serde_json::json!({ "subject": "January fees" })),
                },
            )
            .await;
        id
    }

    /// A message that bounces, late reports included, and the address's suppression.
    pub async fn bounces(&self, world: &mut World, who: usize, message: Uuid) -> Uuid {
        let (own, now, resident) = (self.organization, start(), self.residents[who]);
        let address = contact(resident, address("resident@example.com"));
        for event in [
            EmailMessageEvent::EmailBounced {
                kind: BounceKind::Permanent,
                reason: "no mailbox resident@example.com".into(),
                address: address.clone(),
            },
            EmailMessageEvent::EmailAccepted { provider_id: Some("m1".into()) },
            EmailMessageEvent::EmailOpened {},
        ] {
            world.add(own, message, now, event).await;
        }
        let id = Uuid::now_v7();
        world
            .add(
                own,
                id,
                now,
                SuppressionEvent::AddressSuppressed {
                    address,
                    resident_id: ResidentId(resident),
                    message_id: MessageId(message),
                    cause: SuppressionCause::HardBounce,
                },
            )
            .await;
        id
    }

    pub async fn runs_job(&self, world: &mut World, invoices: &[Uuid]) -> Uuid {
        let id = Uuid::now_v7();
        let total = u32::try_from(invoices.len()).expect("a few");
        let work =
            JobWork::PublishInvoices { invoices: invoices.iter().copied().map(InvoiceId).collect(), notify: true };
        let started = JobEvent::JobStarted { property_id: PropertyId(self.property), work };
        world.add(self.organization, id, start(), started).await;
        let results = invoices
            .iter()
            .enumerate()
            .map(|(index, item)| ItemResult {
                item: *item,
                refusal: (index == 0).then(|| "it is published".to_owned()),
            })
            .collect();
        let progressed = JobEvent::JobProgressed { results, done: total, total };
        world.add(self.organization, id, start(), progressed).await;
        let completed = JobEvent::JobCompleted { succeeded: total - 1, refused: 1 };
        world.add(self.organization, id, start(), completed).await;
        id
    }

    /// Events are sent to an address, until its receiver is gone.
    pub async fn is_sent(&self, world: &mut World) {
        let id = Uuid::now_v7();
        for event in [
            json!({ "WebhookRegistered": {
                "url": "https://hooks.example.com/propty", "types": ["invoice.*"], "language": "en",
                "notice": contact(id, address("ops@example.com")), "secret_id": Uuid::now_v7(),
            } }),
            json!({ "WebhookChanged": { "types": [] } }),
            json!({ "WebhookSecretRotated": { "secret_id": Uuid::now_v7(), "former_until": start() } }),
            json!({ "WebhookDisabled": { "because": "Gone" } }),
        ] {
            let event: WebhookEvent = serde_json::from_value(event).expect("an event");
            world.add(self.organization, id, start(), event).await;
        }
    }

    pub async fn signs_in(&self, world: &mut World, who: usize) {
        let (own, now, resident_id) = (self.organization, start(), ResidentId(self.residents[who]));
        let id = Uuid::now_v7();
        world.add(own, id, now, SignInEvent::SignInLinkRequested { resident_id, expires_at: now }).await;
        world.add(own, id, now, SignInEvent::SessionOpened { resident_id, expires_at: now }).await;
        world
            .add(
                own,
                Uuid::now_v7(),
                now,
                AccessTokenEvent::AccessTokenIssued {
                    hash: "aGFzaA==".into(),
                    label: called("Front desk"),
                    role: Role::PropertyManager,
                    property_id: Some(PropertyId(self.property)),
                    types: vec![],
                    expires_at: now,
                },
            )
            .await;
    }

    /// An event given as JSON, to any stream of the organization.
    pub async fn tell<E: Event>(&self, world: &mut World, id: Uuid, when: DateTime<Utc>, event: Value) {
        let event: E = serde_json::from_value(event.clone()).unwrap_or_else(|error| panic!("{error}: {event}"));
        world.add(self.organization, id, when, event).await;
    }

    /// Autopay with a Visa, and another set-up under way.
    pub async fn enrolls(&self, world: &mut World, who: usize) -> Uuid {
        let resident = self.residents[who];
        let id = Uuid::new_v5(&resident, format!("autopay/{}", self.property).as_bytes());
        for (number, purpose) in [(1_u128, "Enable"), (2, "Update")] {
            let setup = Uuid::from_u128(number);
            let requested = json!({ "AutopaySetupRequested": {
                "setup_id": setup, "property_id": self.property, "resident_id": resident,
                "stripe_account_id": self.account, "kind": "Card", "purpose": purpose,
            } });
            self.tell::<AutopayEvent>(world, id, start(), requested).await;
            let submitted = json!({ "AutopaySetupSubmitted": {
                "setup_id": setup, "setup_intent": "seti_1", "customer": "cus_1", "account": "acct_1",
                "client_secret": Sealed::new(resident, Purpose::Finance, format!("seti_secret_{number}")),
            } });
            self.tell::<AutopayEvent>(world, id, start(), submitted).await;
            if number == 1 {
                let activated = json!({ "AutopayActivated": { "setup_id": setup, "method": visa("pm_1", "4242") } });
                self.tell::<AutopayEvent>(world, id, start(), activated).await;
            }
        }
        id
    }

    /// A charge by autopay: quoted, requested, authorized.
    pub async fn charges(&self, world: &mut World, who: usize, autopay: Uuid, invoice: Uuid, amount: i64) -> Uuid {
        let payment = Uuid::now_v7();
        let quoted = json!({ "PaymentQuoted": {
            "invoice_id": invoice, "property_id": self.property, "resident_id": self.residents[who],
            "stripe_account_id": self.account, "method": "Card", "amount": cad(amount), "fee": cad(0), "total": cad(amount),
            "fees": FeePolicy::STANDARD, "mode": "Absorb", "expires_at": start(), "autopay_id": autopay,
        } });
        self.tell::<PaymentEvent>(world, payment, start(), quoted).await;
        let requested =
            json!({ "PaymentRequested": { "invoice_id": invoice, "amount": cad(amount), "autopay_id": autopay } });
        self.tell::<PaymentEvent>(world, payment, start(), requested).await;
        let authorized = json!({ "ChargeAuthorized": {
            "payment_id": payment, "invoice_id": invoice, "due_on": "2026-01-31", "amount": cad(amount),
            "customer": "cus_1", "payment_method": "pm_1", "attempt": 0,
        } });
        self.tell::<AutopayEvent>(world, autopay, start(), authorized).await;
        payment
    }

    /// A resident's credit from a manager's word.
    pub async fn grants(&self, world: &mut World, who: usize, amount: i64) -> Uuid {
        let resident = self.residents[who];
        let id = Uuid::new_v5(&resident, format!("credit/{}", self.property).as_bytes());
        let added = json!({ "CreditAdded": {
            "property_id": self.property, "resident_id": resident, "amount": cad(amount), "balance": cad(amount),
            "source": { "Granted": { "grant_id": Uuid::now_v7(), "note": "pool closed" } },
        } });
        self.tell::<CreditEvent>(world, id, start(), added).await;
        id
    }

    /// Stripe's word on a payout.
    pub async fn pays_out(&self, world: &mut World, payout: &str, amount: i64, status: &str, arrives_on: &str) {
        let recorded = json!({ "PayoutRecorded": {
            "payout": payout, "amount": cad(amount), "status": status, "arrives_on": arrives_on,
        } });
        self.tell::<StripeAccountEvent>(world, self.account, start(), recorded).await;
    }

    /// The keys of what a resident may have erased are destroyed, and the event says so.
    pub async fn erases(&self, world: &mut World, who: usize) {
        let resident = self.residents[who];
        let purposes = vec![Purpose::Contact, Purpose::Message];
        world.store.keyring().destroy(self.organization, resident, &purposes).await.expect("destroyed keys");
        let erased = ResidentEvent::ResidentErased { purposes, retained: vec![] };
        world.add(self.organization, resident, start(), erased).await;
    }

    /// Some of everything; returns an invoice that was paid online, the payment and its message.
    pub async fn goes_on(&self, world: &mut World) -> (Uuid, Uuid, Uuid) {
        let paid = self.publishes(world, 0, 22_500, "2026-01-31").await;
        let message = self.writes(world, 0, paid).await;
        let payment = self.opens_form(world, 0, paid, 22_500, 823).await;
        self.succeeds(world, 0, paid, payment, (22_500, 0)).await;
        self.refunds(world, paid, payment, 1_000, 1_000, 1_000).await;
        self.bounces(world, 0, message).await;
        let open = self.publishes(world, 1, 30_000, "2026-01-31").await;
        let check = self.pays_by_hand(world, 1, open, (10_000, 20_000), "2026-01-05", start()).await;
        self.corrects(world, open, check, (10_000, 30_000), start()).await;
        self.opens_form(world, 1, open, 30_000, 0).await;
        let draft = self.drafts(world, 1, 5_000, "2026-02-28").await;
        self.runs_job(world, &[draft, open]).await;
        self.signs_in(world, 1).await;
        let autopay = self.enrolls(world, 0).await;
        let due = self.publishes(world, 0, 700, "2026-01-31").await;
        self.charges(world, 0, autopay, due, 700).await;
        self.texts(world, 0, due).await;
        self.grants(world, 1, 2_500).await;
        self.is_sent(world).await;
        self.pays_out(world, "po_1", 20_000, "Pending", "2026-01-09").await;
        (paid, payment, message)
    }
}
