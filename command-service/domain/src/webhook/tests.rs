//! Webhooks: each command accepted, repeated, refused.

use super::*;
use crate::testing::{
    fixtures::{PROPERTY, community},
    from, given, noon, state,
};

const WEBHOOK: WebhookId = WebhookId(Uuid::from_u128(0x901));
const FIRST: SecretId = SecretId(Uuid::from_u128(1));
const SECOND: SecretId = SecretId(Uuid::from_u128(2));

fn register() -> RegisterWebhook {
    RegisterWebhook {
        webhook_id: WEBHOOK,
        url: from("https://hooks.example.com/propty"),
        description: None,
        types: vec![from("invoice.*")],
        property_id: None,
        notice_email: from("ops@example.com"),
        language: Language::En,
        secret_id: FIRST,
        from: None,
    }
}

fn registered() -> WebhookEvent {
    WebhookEvent::WebhookRegistered {
        url: from("https://hooks.example.com/propty"),
        description: None,
        types: vec![from("invoice.*")],
        property_id: None,
        notice: notice(WEBHOOK, from("ops@example.com")),
        language: Language::En,
        secret_id: FIRST,
        from: None,
    }
}

fn disabled(because: DisabledBecause) -> WebhookEvent {
    WebhookEvent::WebhookDisabled { because }
}

fn change() -> ChangeWebhook {
    ChangeWebhook { webhook_id: WEBHOOK, url: None, description: None, types: None, notice_email: None, language: None }
}

#[test]
fn a_webhook_is_registered_once_under_its_id() {
    given([]).accepts(register(), [registered()]);
    given([registered()]).refuses(RegisterWebhook { secret_id: SECOND, ..register() }, WebhookRefusal::IdTaken);
    given([registered(), WebhookEvent::WebhookRemoved {}]).refuses(register(), WebhookRefusal::IdTaken);
}

#[test]
fn a_webhook_of_a_property_needs_the_property() {
    let of_property = || RegisterWebhook { property_id: Some(PROPERTY), ..register() };
    let WebhookEvent::WebhookRegistered { url, description, types, notice, language, secret_id, from, .. } =
        registered()
    else {
        unreachable!("as written above");
    };
    let property_id = Some(PROPERTY);
    let event =
        WebhookEvent::WebhookRegistered { url, description, types, property_id, notice, language, secret_id, from };
    given([]).facts(community()).accepts(of_property(), [event]);
    given([]).refuses(of_property(), WebhookRefusal::NoSuchProperty);
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let types = vec![from("invoice.*"); MOST_TYPES + 1];
    given([]).refuses(RegisterWebhook { types, ..register() }, WebhookRefusal::TooManyTypes);
    given([]).refuses(RegisterWebhook { from: Some(0), ..register() }, WebhookRefusal::BadPosition);
}

#[test]
fn only_what_differs_is_changed() {
    let url: TargetUrl = from("https://hooks.example.com/other");
    let changed = WebhookEvent::WebhookChanged {
        url: Some(url.clone()),
        description: None,
        types: None,
        notice: None,
        language: None,
    };
    given([registered()]).accepts(
        ChangeWebhook { url: Some(url.clone()), types: Some(vec![from("invoice.*")]), ..change() },
        [changed.clone()],
    );
    given([registered()]).ignores(change());
    given([]).refuses(change(), WebhookRefusal::NotFound);
    let after: Webhook = state([registered(), changed]);
    let target = after.target.expect("a target");
    assert_eq!((target.url, target.types), (url, vec![from("invoice.*")]));
}

#[test]
fn a_former_secret_signs_until_its_time_is_over_and_no_longer() {
    let rotate = |secret_id, overlap_hours| RotateWebhookSecret { webhook_id: WEBHOOK, secret_id, overlap_hours };
    let rotated = |hours| WebhookEvent::WebhookSecretRotated {
        secret_id: SECOND,
        former_until: noon() + TimeDelta::hours(hours),
    };
    given([registered()]).accepts(rotate(SECOND, None), [rotated(24)]);
    given([registered()]).accepts(rotate(SECOND, Some(0)), [rotated(0)]);
    given([registered()]).refuses(rotate(SECOND, Some(169)), WebhookRefusal::OverlapOutOfRange);
    given([]).refuses(rotate(SECOND, None), WebhookRefusal::NotFound);
    let after: Webhook = state([registered(), rotated(24)]);
    assert_eq!(after.secrets(noon()), [SECOND, FIRST]);
    assert_eq!(after.secrets(noon() + TimeDelta::hours(24)), [SECOND]);
    let at_once: Webhook = state([registered(), rotated(0)]);
    assert_eq!(at_once.secrets(noon()), [SECOND]);
}

#[test]
fn what_disabled_it_first_is_what_is_told() {
    let gone = || SuspendWebhook { webhook_id: WEBHOOK, because: DisabledBecause::Gone };
    given([registered()]).accepts(gone(), [disabled(DisabledBecause::Gone)]);
    given([registered()]).accepts(DisableWebhook { webhook_id: WEBHOOK }, [disabled(DisabledBecause::ByHand)]);
    given([registered(), disabled(DisabledBecause::ByHand)]).ignores(gone());
    given([]).refuses(DisableWebhook { webhook_id: WEBHOOK }, WebhookRefusal::NotFound);
    given([]).refuses(gone(), WebhookRefusal::NotFound);
}

#[test]
fn another_address_and_enabling_begin_anew_and_other_changes_do_not() {
    let changed =
        |url, description| WebhookEvent::WebhookChanged { url, description, types: None, notice: None, language: None };
    let since = |events: Vec<WebhookEvent>| state::<Webhook>(events).since;
    assert_eq!(since(vec![registered()]), 1);
    assert_eq!(since(vec![registered(), changed(None, Some(from("Accounting")))]), 1);
    assert_eq!(since(vec![registered(), changed(Some(from("https://hooks.example.com/other")), None)]), 2);
    assert_eq!(since(vec![registered(), disabled(DisabledBecause::Gone)]), 1);
    assert_eq!(since(vec![registered(), disabled(DisabledBecause::Gone), WebhookEvent::WebhookEnabled {}]), 3);
}

#[test]
fn a_disabled_one_can_be_enabled_tested_and_replayed_and_a_removed_one_cannot() {
    let off = || vec![registered(), disabled(DisabledBecause::Gone)];
    given(off()).accepts(EnableWebhook { webhook_id: WEBHOOK }, [WebhookEvent::WebhookEnabled {}]);
    given([registered()]).ignores(EnableWebhook { webhook_id: WEBHOOK });
    given(off()).when(SendTestWebhook { webhook_id: WEBHOOK }).then([WebhookEvent::WebhookTestRequested {}]);
    let replay = |from| ReplayWebhook { webhook_id: WEBHOOK, from };
    given(off()).when(replay(1)).then([WebhookEvent::WebhookReplayRequested { from: 1 }]);
    given(off()).refuses(replay(0), WebhookRefusal::BadPosition);
    given(off()).accepts(RemoveWebhook { webhook_id: WEBHOOK }, [WebhookEvent::WebhookRemoved {}]);
    let gone = || vec![registered(), WebhookEvent::WebhookRemoved {}];
    given(gone()).refuses(EnableWebhook { webhook_id: WEBHOOK }, WebhookRefusal::NotFound);
    given(gone()).refuses(SendTestWebhook { webhook_id: WEBHOOK }, WebhookRefusal::NotFound);
    given(gone()).refuses(replay(1), WebhookRefusal::NotFound);
    given([]).refuses(RemoveWebhook { webhook_id: WEBHOOK }, WebhookRefusal::NotFound);
    assert_eq!(state::<Webhook>(gone()).secrets(noon()), []);
}
