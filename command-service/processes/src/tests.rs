//! What follows from which event, and that it always follows in the same way.

use chrono::{DateTime, TimeDelta};
use domain::Command;
use events::{
    Event, InvoiceEvent, InvoiceId, Metadata, Money, OrganizationId, PaymentEvent, PaymentId, Recorded, Role, Sealed,
    email::BounceKind,
};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Step, processes};

const SUBJECT: Uuid = Uuid::from_u128(0x77);
const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(0x01));
const OTHER: Uuid = Uuid::from_u128(0x88);

fn recorded(stream: &str, payload: Value) -> Recorded {
    let event_type = payload.as_object().and_then(|event| event.keys().next()).cloned().expect("a name");
    Recorded {
        global_position: 9,
        organization: ORGANIZATION,
        position: 5,
        stream: stream.to_owned(),
        stream_id: SUBJECT,
        version: 3,
        event_type,
        recorded_at: DateTime::UNIX_EPOCH,
        metadata: Metadata {
            organization: ORGANIZATION,
            actor: "token:test".to_owned(),
            role: Role::OrganizationManager,
            correlation: Uuid::nil(),
            causation: None,
            command: "Test".to_owned(),
            command_id: Uuid::nil(),
            client_address: None,
        },
        payload,
    }
}

fn event<E: Event>(event: &E) -> Recorded {
    recorded(E::STREAM, serde_json::to_value(event).expect("an event"))
}

/// What every process does about an event: its name, what it asks for, and how long it waits first.
fn follows(event: &Recorded) -> Vec<(&'static str, Value, TimeDelta)> {
    let mut all = Vec::new();
    for process in processes() {
        let steps = (process.react)(event).expect("a reaction");
        assert_eq!((process.react)(event).expect("a reaction"), steps, "a reaction is pure");
        all.extend(steps.into_iter().map(|step| match step {
            Step::Effect { effect, after } => (process.name, serde_json::to_value(effect).expect("an effect"), after),
            Step::Command { name, body, otherwise } => {
                let otherwise = otherwise.map(|(name, body)| json!({ name: body }));
                (process.name, json!({ name: body, "otherwise": otherwise }), TimeDelta::zero())
            }
        }));
    }
    all
}

/// Of one process exactly this follows, at once.
fn leads_to(event: &Recorded, process: &'static str, step: &Value) {
    leads_to_all(event, process, &[(step.clone(), TimeDelta::zero())]);
}

fn leads_to_all(event: &Recorded, process: &str, steps: &[(Value, TimeDelta)]) {
    let follows: Vec<_> = follows(event)
        .into_iter()
        .filter(|(name, _, _)| *name == process)
        .map(|(_, step, after)| (step, after))
        .collect();
    assert_eq!(follows, steps, "{}", event.event_type);
}

fn money(amount: i64) -> Money {
    Money::try_new(amount, events::Currency::USD).expect("an amount")
}

fn command<C: Command>(command: &C) -> Value {
    json!({ C::NAME: command, "otherwise": null })
}

fn message_of(event: &Recorded) -> Value {
    json!(Uuid::new_v5(&ORGANIZATION.0, format!("email/{}", event.reference()).as_bytes()))
}

#[test]
fn the_names_that_keys_are_made_of_stay() {
    let names: Vec<_> = processes().iter().map(|process| process.name).collect();
    assert_eq!(
        names,
        [
            "payments",
            "letters",
            "bounces",
            "accounts",
            "jobs",
            "erasure",
            "autopay",
            "reminders",
            "credits",
            "texts",
            "webhooks"
        ]
    );
    assert_eq!(recorded("invoice", json!({ "X": {} })).reference(), format!("invoice/{SUBJECT}/3"));
}

#[test]
fn a_payment_reserves_submits_and_books_or_gives_back() {
    let (invoice_id, payment_id) = (InvoiceId(OTHER), PaymentId(SUBJECT));
    let amount = money(10_000);
    let requested = event(&PaymentEvent::PaymentRequested { invoice_id, amount, autopay_id: None });
    let why = json!({ "NotReserved": { "why": "the invoice could not be claimed" } });
    leads_to(
        &requested,
        "payments",
        &json!({
            "ReservePayment": { "invoice_id": invoice_id, "payment_id": payment_id, "amount": amount, "whole": false },
            "otherwise": { "AbandonPayment": { "payment_id": payment_id, "reason": why } }
        }),
    );
    let reserved = event(&InvoiceEvent::PaymentReserved { payment_id: PaymentId(OTHER), amount });
    leads_to(&reserved, "payments", &json!({ "SubmitPayment": { "payment_id": OTHER } }));
    let submitted = PaymentEvent::PaymentSubmitted { intent: "pi_1".to_owned(), client_secret: Sealed::Erased };
    assert_eq!(
        follows(&event(&submitted)),
        [("payments", json!({ "WatchPayment": { "payment_id": SUBJECT } }), TimeDelta::minutes(1))]
    );
    let (charge, card, bank, autopay_id) = (None, None, None, None);
    let succeeded = PaymentEvent::PaymentSucceeded { invoice_id, amount, charge, card, bank, autopay_id };
    leads_to_all(
        &event(&succeeded),
        "payments",
        &[
            (command(&domain::invoice::ApplyPayment { invoice_id, payment_id, amount, autopay_id }), TimeDelta::zero()),
            (json!({ "ReadSettlement": { "payment_id": payment_id } }), TimeDelta::minutes(1)),
        ],
    );
    assert_eq!(follows(&event(&succeeded)).len(), 2, "nothing of autopay's");
}

#[test]
fn an_end_without_money_releases_the_claim_if_there_was_one() {
    for (reason, released) in [
        (json!("Requested"), "Canceled"),
        (json!("AtProvider"), "Canceled"),
        (json!("Expired"), "Expired"),
        (json!({ "NotReserved": { "why": "taken" } }), "Failed"),
        (json!({ "Rejected": { "code": "account_invalid" } }), "Failed"),
    ] {
        let canceled = |reserved| {
            let body = json!({ "invoice_id": OTHER, "reason": reason, "reserved": reserved });
            recorded("payment", json!({ "PaymentCanceled": body }))
        };
        let release = json!({ "invoice_id": OTHER, "payment_id": SUBJECT, "reason": released });
        leads_to(&canceled(true), "payments", &json!({ "ReleasePayment": release, "otherwise": null }));
        assert_eq!(follows(&canceled(false)), []);
    }
    let asked = recorded("payment", json!({ "PaymentCancellationRequested": { "reason": "Requested" } }));
    leads_to(&asked, "payments", &json!({ "CancelPayment": { "payment_id": SUBJECT } }));
}

#[test]
fn a_refund_is_submitted_and_leaves_the_invoice() {
    let requested = recorded("payment", json!({ "RefundRequested": { "refund_id": OTHER, "amount": money(100) } }));
    leads_to(&requested, "payments", &json!({ "SubmitRefund": { "payment_id": SUBJECT, "refund_id": OTHER } }));
    // What leaves the invoice, not what the resident gets: the fee was never on it.
    let invoice = Uuid::from_u128(0x99);
    let succeeded = recorded(
        "payment",
        json!({ "RefundSucceeded": {
            "refund_id": OTHER, "invoice_id": invoice, "amount": money(10_383), "reversed": money(10_000), "refund": "re_1"
        } }),
    );
    let reverse = json!({ "invoice_id": invoice, "payment_id": SUBJECT, "refund_id": OTHER, "amount": money(10_000) });
    leads_to(&succeeded, "payments", &json!({ "ReversePayment": reverse, "otherwise": null }));
}

#[test]
fn a_refund_that_came_back_is_on_the_invoice_again() {
    let returned = event(&PaymentEvent::RefundReturned {
        refund_id: events::RefundId(OTHER),
        invoice_id: InvoiceId(OTHER),
        amount: money(500),
        reversed: money(400),
        code: "lost_or_stolen_card".to_owned(),
    });
    let undo = json!({
        "invoice_id": OTHER, "payment_id": SUBJECT, "refund_id": OTHER, "amount": money(400)
    });
    leads_to(&returned, "payments", &json!({ "UndoRefund": undo, "otherwise": null }));
}

#[test]
fn what_is_only_known_leads_to_nothing() {
    for (stream, name, body) in [
        ("payment", "PaymentOutcomeUnknown", json!({ "cause": "TimedOut" })),
        ("payment", "PaymentDeclined", json!({ "code": "card_declined" })),
        ("payment", "PaymentProcessing", json!({})),
        ("payment", "PaymentActionRequired", json!({})),
        ("payment", "PaymentQuarantined", json!({ "expected": money(1), "seen_amount": 2, "seen_currency": "USD" })),
        ("payment", "RefundOutcomeUnknown", json!({ "refund_id": OTHER, "cause": "TimedOut" })),
        ("payment", "RefundFailed", json!({ "refund_id": OTHER, "amount": money(1), "code": "x" })),
        ("invoice", "InvoiceDiscarded", json!({})),
        ("email", "EmailAccepted", json!({ "provider_id": "x" })),
        ("email", "EmailDelivered", json!({})),
        ("email", "EmailFailed", json!({ "reason": "x" })),
        // Nothing is sent again by itself.
        ("email", "EmailOutcomeUnknown", json!({ "why": "timed out" })),
        ("stripe-account", "StripeAccountDisconnected", json!({ "at_provider": true })),
        ("job", "JobCompleted", json!({ "succeeded": 1, "refused": 0 })),
        ("sign-in", "SessionClosed", json!({})),
        ("comet", "CometSighted", json!({})),
    ] {
        assert_eq!(follows(&recorded(stream, json!({ name: body }))), [], "{name}");
    }
}

#[test]
fn a_letter_follows_from_its_cause_under_an_id_of_its_own() {
    let letter = |event: &Recorded, occasion: Value| {
        let body = json!({ "message_id": message_of(event), "occasion": occasion, "cause": event.reference() });
        leads_to(event, "letters", &json!({ "ComposeEmail": body }));
    };
    let published = recorded("invoice", json!({ "InvoicePublished": { "resident_id": OTHER, "notify": true } }));
    letter(&published, json!({ "InvoicePublished": { "invoice_id": SUBJECT } }));
    let applied = recorded(
        "invoice",
        json!({ "PaymentApplied": {
            "payment_id": OTHER, "resident_id": OTHER, "amount": money(5), "balance": money(0), "source": "Online"
        } }),
    );
    let receipt = json!({ "invoice_id": SUBJECT, "payment_id": OTHER, "amount": money(5), "balance": money(0) });
    letter(&applied, json!({ "PaymentReceived": receipt }));
    let asked = json!({ "resident_id": OTHER, "expires_at": "2026-01-01T00:00:00Z" });
    let asked = recorded("sign-in", json!({ "SignInLinkRequested": asked }));
    letter(&asked, json!({ "SignInLink": { "sign_in_id": SUBJECT, "resident_id": OTHER } }));

    let mut later = published.clone();
    later.version += 1;
    assert_ne!(message_of(&later), message_of(&published));
    assert_ne!(follows(&later), follows(&published), "another cause is another letter");
}

#[test]
fn a_message_is_sent_and_sent_again_as_another() {
    let requested = recorded(
        "email",
        json!({ "EmailRequested": {
            "resident_id": OTHER, "content": { "SignInLink": { "sign_in_id": OTHER } }, "language": "en",
            "fallback": false, "template": 1, "cause": "sign-in/1/1"
        } }),
    );
    leads_to(&requested, "letters", &json!({ "SendEmail": { "message_id": SUBJECT } }));
    let again = recorded("email", json!({ "EmailResendRequested": { "as_message": OTHER } }));
    let body = json!({ "message_id": OTHER, "occasion": { "Resend": { "of": SUBJECT } }, "cause": again.reference() });
    leads_to(&again, "letters", &json!({ "ComposeEmail": body }));
}

#[test]
fn only_a_final_bounce_or_a_complaint_suppresses() {
    let suppressed = |cause: &str| json!({ "SuppressAddress": { "message_id": SUBJECT, "cause": cause } });
    let bounced = |kind: BounceKind| {
        let body = json!({ "kind": kind, "reason": "General", "address": Sealed::<String>::Erased });
        recorded("email", json!({ "EmailBounced": body }))
    };
    leads_to(&bounced(BounceKind::Permanent), "bounces", &suppressed("HardBounce"));
    assert_eq!(follows(&bounced(BounceKind::Transient)), []);
    assert_eq!(follows(&bounced(BounceKind::Undetermined)), []);
    let complained = recorded("email", json!({ "EmailComplained": { "address": Sealed::<String>::Erased } }));
    leads_to(&complained, "bounces", &suppressed("Complaint"));
}

#[test]
fn what_becomes_payable_has_its_timers() {
    let charge = json!({ "ChargeWhenDue": { "invoice_id": SUBJECT } });
    let timers = ["RemindBeforeDue", "RemindOverdue", "AnnounceCharge"]
        .map(|timer| (json!({ timer: { "invoice_id": SUBJECT } }), TimeDelta::zero()));
    let published = recorded("invoice", json!({ "InvoicePublished": { "resident_id": OTHER, "notify": false } }));
    let edited = recorded(
        "invoice",
        json!({ "InvoiceEdited": {
            "title": "Fee", "lines": [{ "description": "Fee", "amount": money(1) }], "total": money(1), "due_on": "2026-12-01"
        } }),
    );
    for event in [published, edited] {
        leads_to(&event, "autopay", &charge);
        leads_to_all(&event, "reminders", &timers);
        leads_to_all(&event, "letters", &[]);
    }
    let billing = json!({ "BillingPolicyChanged": { "billing": { "charge_hour": 9, "remind_overdue": false } } });
    let moved = recorded("property", billing);
    assert_eq!(
        follows(&moved),
        [("reminders", json!({ "MoveTimers": { "property_id": SUBJECT } }), TimeDelta::zero())]
    );
    let voided = recorded("invoice", json!({ "InvoiceVoided": { "reason": "Billed twice" } }));
    leads_to(&voided, "autopay", &json!({ "ReleaseFromAutopay": { "invoice_id": SUBJECT } }));
}

#[test]
fn a_charge_by_autopay_is_reserved_whole_and_settles_or_fails_its_enrollment() {
    let autopay = Uuid::from_u128(0x99);
    let requested = recorded(
        "payment",
        json!({ "PaymentRequested": { "invoice_id": OTHER, "amount": money(5), "autopay_id": autopay } }),
    );
    let (_, step, _) = follows(&requested).pop().expect("a step");
    assert_eq!(step["ReservePayment"]["whole"], true);
    let succeeded = recorded(
        "payment",
        json!({ "PaymentSucceeded": { "invoice_id": OTHER, "amount": money(5), "autopay_id": autopay } }),
    );
    let settle = json!({ "autopay_id": autopay, "payment_id": SUBJECT });
    leads_to(&succeeded, "autopay", &json!({ "SettleCharge": settle, "otherwise": null }));
    let declined = recorded(
        "payment",
        json!({ "PaymentDeclined": { "code": "card_declined", "decline_code": "lost_card", "autopay_id": autopay } }),
    );
    let (_, step, _) = follows(&declined).pop().expect("a step");
    assert_eq!(
        (&step["FailCharge"]["autopay_id"], &step["FailCharge"]["decline_code"]),
        (&json!(autopay), &json!("lost_card"))
    );
    let canceled = |reason: Value| {
        let body = json!({ "invoice_id": OTHER, "reason": reason, "reserved": true, "autopay_id": autopay });
        recorded("payment", json!({ "PaymentCanceled": body }))
    };
    // The enrollment knows of the decline already.
    leads_to_all(&canceled(json!({ "Declined": { "code": "card_declined" } })), "autopay", &[]);
    let withdraw = json!({ "WithdrawCharge": { "autopay_id": autopay, "payment_id": SUBJECT }, "otherwise": null });
    leads_to(&canceled(json!({ "NotReserved": { "why": "paid" } })), "autopay", &withdraw);
    // Somebody's own payment is nothing to autopay.
    let own = recorded("payment", json!({ "PaymentDeclined": { "code": "card_declined" } }));
    assert_eq!(follows(&own), []);
}

#[test]
fn a_failed_charge_is_told_and_tried_again_at_its_time() {
    let failed = |retry: Value| {
        recorded(
            "autopay",
            json!({ "ChargeFailed": {
                "payment_id": OTHER, "invoice_id": OTHER, "due_on": "2026-12-01", "amount": money(5),
                "reason": { "Declined": { "code": "insufficient_funds" } }, "retry": retry, "retries_left": 2
            } }),
        )
    };
    let event = failed(json!({ "attempt": 1, "at": "1970-01-02T00:00:00Z" }));
    let again = json!({ "RetryCharge": { "autopay_id": SUBJECT, "invoice_id": OTHER, "attempt": 1 } });
    leads_to_all(&event, "autopay", &[(again, TimeDelta::days(1))]);
    leads_to(
        &event,
        "letters",
        &json!({ "ComposeEmail": { "message_id": message_of(&event), "cause": event.reference(), "occasion": {
            "AutopayFailed": {
                "invoice_id": OTHER, "amount": money(5), "reason": { "Declined": { "code": "insufficient_funds" } },
                "retry_at": "1970-01-02T00:00:00Z", "retries_left": 2
            }
        } } }),
    );
    leads_to_all(&failed(Value::Null), "autopay", &[]);
}

#[test]
fn after_a_pause_what_waited_is_charged_in_its_order() {
    let (first, second) = (Uuid::from_u128(0x11), Uuid::from_u128(0x22));
    let resumed = json!({ "because": "Reactivated", "waiting": [second, first] });
    let charge =
        |invoice: Uuid, after| (json!({ "ChargeWhenDue": { "invoice_id": invoice } }), TimeDelta::seconds(after));
    leads_to_all(
        &recorded("autopay", json!({ "AutopayResumed": resumed })),
        "autopay",
        &[charge(second, 0), charge(first, 5)],
    );
}

#[test]
fn money_that_the_bank_took_back_leaves_the_invoice_and_comes_back_when_the_dispute_is_won() {
    let disputed = |returned: bool| {
        recorded(
            "payment",
            json!({ "PaymentDisputed": {
                "dispute": "du_1", "invoice_id": OTHER, "property_id": OTHER, "stripe_account_id": OTHER,
                "amount": money(103), "reversed": money(100), "reason": "insufficient_funds", "returned": returned,
                "autopay_id": OTHER
            } }),
        )
    };
    let reverse = |returned: bool| {
        json!({ "ReverseDisputed": {
            "invoice_id": OTHER, "payment_id": SUBJECT, "dispute": "du_1", "amount": money(100), "returned": returned,
            "code": "insufficient_funds"
        }, "otherwise": null })
    };
    for returned in [true, false] {
        leads_to(&disputed(returned), "payments", &reverse(returned));
    }
    let back = json!({ "autopay_id": OTHER, "payment_id": SUBJECT, "code": "insufficient_funds" });
    leads_to(&disputed(true), "autopay", &json!({ "ReturnCharge": back, "otherwise": null }));
    leads_to_all(&disputed(false), "autopay", &[]);
    let closed = |won: bool| {
        let body =
            json!({ "dispute": "du_1", "invoice_id": OTHER, "won": won, "amount": money(103), "reversed": money(100) });
        recorded("payment", json!({ "PaymentDisputeClosed": body }))
    };
    let reinstate = json!({ "invoice_id": OTHER, "payment_id": SUBJECT, "dispute": "du_1", "amount": money(100) });
    leads_to(&closed(true), "payments", &json!({ "ReinstatePayment": reinstate, "otherwise": null }));
    assert_eq!(follows(&closed(false)), []);
}

#[test]
fn an_overpayment_becomes_credit_and_credit_reaches_an_invoice_or_comes_back() {
    let over = json!({
        "number": 1, "credit_id": OTHER, "resident_id": OTHER, "property_id": OTHER, "payment_id": OTHER, "amount": money(7),
        "balance": money(0)
    });
    let add = json!({
        "credit_id": OTHER, "property_id": OTHER, "resident_id": OTHER, "invoice_id": SUBJECT, "payment_id": OTHER, "number": 1,
        "amount": money(7)
    });
    leads_to(
        &recorded("invoice", json!({ "OverpaymentCredited": over })),
        "credits",
        &json!({ "AddCredit": add, "otherwise": null }),
    );
    let spent = json!({ "number": 3, "invoice_id": OTHER, "asked": money(9), "amount": money(7), "balance": money(0) });
    let apply = json!({ "invoice_id": OTHER, "credit_id": SUBJECT, "number": 3, "amount": money(7) });
    let back = json!({ "ReturnCredit": { "credit_id": SUBJECT, "number": 3 } });
    leads_to(
        &recorded("credit", json!({ "CreditSpent": spent })),
        "credits",
        &json!({ "ApplyCredit": apply, "otherwise": back }),
    );
}

#[test]
fn credit_is_looked_for_when_an_invoice_can_use_it_and_an_invoice_when_credit_comes() {
    let spend = json!({ "SpendCredit": { "invoice_id": SUBJECT } });
    let applied = |balance| {
        let (payment_id, resident_id) = (PaymentId(OTHER), events::ResidentId(OTHER));
        let source = events::invoice::PaymentSource::Online;
        event(&InvoiceEvent::PaymentApplied {
            payment_id,
            resident_id,
            amount: money(5),
            balance: money(balance),
            source,
        })
    };
    let published = InvoiceEvent::InvoicePublished { resident_id: events::ResidentId(OTHER), notify: true };
    let released =
        InvoiceEvent::PaymentReleased { payment_id: PaymentId(OTHER), reason: events::invoice::ReleaseReason::Expired };
    for free in [event(&published), event(&released), applied(7)] {
        leads_to(&free, "credits", &spend);
    }
    leads_to_all(&applied(0), "credits", &[]);
    let added = json!({
        "property_id": OTHER, "resident_id": OTHER, "amount": money(7), "balance": money(7),
        "source": { "Granted": { "grant_id": OTHER, "note": "The pool was closed" } },
    });
    let of = json!({ "SpendCreditOf": { "property_id": OTHER, "resident_id": OTHER } });
    leads_to(&recorded("credit", json!({ "CreditAdded": added })), "credits", &of);
}

#[test]
fn an_account_is_opened_and_read_again() {
    let asked =
        recorded("stripe-account", json!({ "StripeConnectionRequested": { "name": "Maple", "country": "US" } }));
    leads_to(&asked, "accounts", &json!({ "OpenStripeAccount": { "stripe_account_id": SUBJECT } }));
    let again = recorded("stripe-account", json!({ "StripeReconnectionRequested": {} }));
    leads_to(&again, "accounts", &json!({ "ReadStripeAccount": { "stripe_account_id": SUBJECT } }));
}

#[test]
fn a_job_goes_on_from_where_it_is_until_its_end() {
    let work = json!({ "PublishInvoices": { "invoices": [OTHER], "notify": false } });
    let started = recorded("job", json!({ "JobStarted": { "property_id": OTHER, "work": work } }));
    leads_to(&started, "jobs", &json!({ "RunJob": { "job_id": SUBJECT, "after": 0 } }));
    let progressed =
        |done: u32| recorded("job", json!({ "JobProgressed": { "results": [], "done": done, "total": 250 } }));
    leads_to(&progressed(100), "jobs", &json!({ "RunJob": { "job_id": SUBJECT, "after": 100 } }));
    assert_eq!(follows(&progressed(250)), []);
}

#[test]
fn an_erasure_destroys_the_keys_that_it_names() {
    let body = json!({ "purposes": ["contact", "message"], "retained": [] });
    let erased = recorded("resident", json!({ "ResidentErased": body }));
    let destroy = json!({ "resident_id": SUBJECT, "purposes": ["contact", "message"] });
    leads_to(&erased, "erasure", &json!({ "DestroyKeys": destroy }));
}

#[test]
fn whoever_leaves_has_autopay_ended() {
    let end = json!({ "EndAutopay": { "resident_id": SUBJECT } });
    let gone = [
        json!({ "ResidentMovedOut": { "property_id": OTHER, "unit_id": OTHER, "on": "2026-12-31" } }),
        json!({ "ResidentStatusChanged": { "status": "Inactive" } }),
        json!({ "ResidentErased": { "purposes": [], "retained": [] } }),
    ];
    for event in gone {
        leads_to(&recorded("resident", event), "autopay", &end);
    }
    leads_to_all(&recorded("resident", json!({ "ResidentStatusChanged": { "status": "Active" } })), "autopay", &[]);
}

/// A text's id follows from its cause.
fn text_of(event: &Recorded) -> Value {
    json!(Uuid::new_v5(&ORGANIZATION.0, format!("text/{}", event.reference()).as_bytes()))
}

fn composes(event: &Recorded, occasion: &Value) {
    let step =
        json!({ "ComposeText": { "text_id": text_of(event), "occasion": occasion, "cause": event.reference() } });
    leads_to(event, "texts", &step);
}

#[test]
fn what_residents_are_told_by_text_is_one_text_per_cause() {
    let amount = money(10_000);
    let published = recorded("invoice", json!({ "InvoicePublished": { "resident_id": OTHER, "notify": true } }));
    composes(&published, &json!({ "InvoicePublished": { "invoice_id": SUBJECT } }));
    let quiet = recorded("invoice", json!({ "InvoicePublished": { "resident_id": OTHER, "notify": false } }));
    leads_to_all(&quiet, "texts", &[]);
    let applied = event(&InvoiceEvent::PaymentApplied {
        payment_id: events::PaymentId(OTHER),
        resident_id: events::ResidentId(OTHER),
        amount,
        balance: amount,
        source: events::invoice::PaymentSource::Online,
    });
    let receipt = json!({ "invoice_id": SUBJECT, "payment_id": OTHER, "amount": amount, "balance": amount });
    composes(&applied, &json!({ "PaymentReceived": receipt }));
}

#[test]
fn codes_and_answers_follow_from_the_consent() {
    let key = Uuid::from_u128(0x99);
    let issued =
        json!({ "resident_id": OTHER, "number_key": key, "challenge": 2, "expires_at": "2026-03-01T12:10:00Z" });
    let issued = recorded("sms-consent", json!({ "CodeIssued": issued }));
    composes(&issued, &json!({ "ConsentCode": { "resident_id": OTHER, "challenge": 2 } }));
    let received = |reply: Value| {
        let number = json!({ "$erased": true });
        recorded(
            "sms-consent",
            json!({ "InboundReceived": {
                "resident_id": OTHER, "inbound_id": key, "number": number, "number_key": key, "body": number,
                "reading": "Stop", "provider_id": "SM1", "answered_by_provider": false, "reply": reply,
                "received_at": "2026-03-01T12:00:00Z",
            } }),
        )
    };
    let answered = received(json!("Stopped"));
    composes(&answered, &json!({ "KeywordReply": { "resident_id": OTHER, "inbound_id": key, "reply": "Stopped" } }));
    leads_to_all(&received(Value::Null), "texts", &[]);
}

#[test]
fn whatever_ends_a_residents_standing_has_their_consent_looked_at() {
    let review = command(&domain::sms_consent::ReviewSmsConsent { resident_id: events::ResidentId(SUBJECT) });
    for change in [
        json!({ "ResidentPhoneChanged": {} }),
        json!({ "ResidentStatusChanged": { "status": "Inactive" } }),
        json!({ "ResidentMovedOut": { "property_id": OTHER, "unit_id": OTHER, "on": "2026-12-31" } }),
        json!({ "ResidentErased": { "purposes": [], "retained": [] } }),
    ] {
        leads_to(&recorded("resident", change), "texts", &review);
    }
    let language = json!({ "ResidentLanguageChanged": { "language": "fr" } });
    leads_to_all(&recorded("resident", language), "texts", &[]);
}

#[test]
fn what_cannot_be_read_is_an_error_of_the_processes_that_it_concerns() {
    let strange = recorded("invoice", json!({ "InvoiceExploded": {} }));
    let failing: Vec<_> =
        processes().iter().filter(|process| (process.react)(&strange).is_err()).map(|process| process.name).collect();
    assert_eq!(failing, ["payments", "letters", "autopay", "reminders", "credits", "texts"]);
}

/// Keys are kept for good, so the words that stand in outbox rows must be understood for good.
#[test]
fn rows_already_written_are_understood() {
    for (body, name) in [
        (json!({ "SubmitPayment": { "payment_id": SUBJECT } }), "SubmitPayment"),
        (json!({ "WatchPayment": { "payment_id": SUBJECT } }), "WatchPayment"),
        (json!({ "CancelPayment": { "payment_id": SUBJECT } }), "CancelPayment"),
        (json!({ "SubmitRefund": { "payment_id": SUBJECT, "refund_id": OTHER } }), "SubmitRefund"),
        (json!({ "ReadConfirmationToken": { "payment_id": SUBJECT } }), "ReadConfirmationToken"),
        (json!({ "ReadSettlement": { "payment_id": SUBJECT } }), "ReadSettlement"),
        (json!({ "SetUpAutopay": { "autopay_id": SUBJECT, "setup_id": OTHER } }), "SetUpAutopay"),
        (json!({ "WatchSetup": { "autopay_id": SUBJECT, "setup_id": OTHER } }), "WatchSetup"),
        (json!({ "DetachMethod": { "autopay_id": SUBJECT, "payment_method": "pm_1" } }), "DetachMethod"),
        (json!({ "ChargeWhenDue": { "invoice_id": SUBJECT } }), "ChargeWhenDue"),
        (json!({ "RetryCharge": { "autopay_id": SUBJECT, "invoice_id": OTHER, "attempt": 2 } }), "RetryCharge"),
        (json!({ "ReleaseFromAutopay": { "invoice_id": SUBJECT } }), "ReleaseFromAutopay"),
        (json!({ "SpendCredit": { "invoice_id": SUBJECT } }), "SpendCredit"),
        (json!({ "SpendCreditOf": { "property_id": SUBJECT, "resident_id": OTHER } }), "SpendCreditOf"),
        (json!({ "RemindBeforeDue": { "invoice_id": SUBJECT } }), "RemindBeforeDue"),
        (json!({ "RemindOverdue": { "invoice_id": SUBJECT } }), "RemindOverdue"),
        (json!({ "AnnounceCharge": { "invoice_id": SUBJECT } }), "AnnounceCharge"),
        (json!({ "ReconcileAccount": { "stripe_account_id": SUBJECT } }), "ReconcileAccount"),
        (json!({ "OpenStripeAccount": { "stripe_account_id": SUBJECT } }), "OpenStripeAccount"),
        (json!({ "ReadStripeAccount": { "stripe_account_id": SUBJECT } }), "ReadStripeAccount"),
        (json!({ "SendEmail": { "message_id": SUBJECT } }), "SendEmail"),
        (json!({ "SuppressAddress": { "message_id": SUBJECT, "cause": "HardBounce" } }), "SuppressAddress"),
        (json!({ "RunJob": { "job_id": SUBJECT, "after": 7 } }), "RunJob"),
        (json!({ "DestroyKeys": { "resident_id": SUBJECT, "purposes": ["contact"] } }), "DestroyKeys"),
        (
            json!({ "ComposeEmail": {
                "message_id": SUBJECT, "occasion": { "Resend": { "of": OTHER } }, "cause": "email/1/1"
            } }),
            "ComposeEmail",
        ),
    ] {
        let effect: crate::Effect = serde_json::from_value(body.clone()).expect("a known effect");
        assert_eq!((effect.name(), written(&effect)), (name, body));
    }
}

fn written(effect: &impl Serialize) -> Value {
    serde_json::to_value(effect).expect("an effect")
}
