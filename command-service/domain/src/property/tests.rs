//! What properties accept, ignore and refuse.

use events::property::{FeeMode, Rate, SurchargeBan};

use super::{policies::EMAIL_KINDS, *};
use crate::testing::{
    fixtures::{ACCOUNT, PROPERTY, account, community, day, instant, property, with},
    from, given, state,
};

fn add() -> AddProperty {
    AddProperty {
        property_id: PROPERTY,
        name: from("Maple Court"),
        address: from(json!({
            "street": "12 Maple St", "city": "Springfield", "region": "NY", "postal_code": "10001", "country": "US"
        })),
        time_zone: from("America/New_York"),
        currency: Currency::USD,
        contact: from("office@example.org"),
        sender: None,
        fees: None,
    }
}

const PASSED: FeePolicy = FeePolicy { mode: FeeMode::PassToResident, ..FeePolicy::STANDARD };

fn assigned() -> PropertyEvent {
    PropertyEvent::StripeAccountAssigned { stripe_account_id: ACCOUNT }
}

#[test]
fn a_property_is_added_once() {
    given([]).accepts(add(), [property()]);
    for other in [
        AddProperty { name: from("Pine Court"), ..add() },
        AddProperty { currency: Currency::CAD, ..add() },
        AddProperty { time_zone: TimeZone::UTC, ..add() },
    ] {
        given([property()]).refuses(other, PropertyRefusal::AddedOtherwise);
    }
}

#[test]
fn details_change_and_zone_and_currency_stay() {
    let AddProperty { property_id, name, address, contact, .. } = add();
    let change = ChangePropertyDetails { property_id, name, address, contact, sender: from("Maple Court HOA") };
    let changed = PropertyEvent::PropertyDetailsChanged {
        name: change.name.clone(),
        address: change.address.clone(),
        contact: sealed(PROPERTY, change.contact.clone()),
        sender: change.sender.clone(),
    };
    given([property()]).accepts(change.clone(), [changed.clone()]);
    given([]).refuses(change, PropertyRefusal::NotFound);
    let details = state::<Property>([property(), changed]).details;
    assert!(details.is_some_and(|details| details.currency == Currency::USD && details.fees == FeePolicy::STANDARD));
}

#[test]
fn a_price_list_is_changed_within_bounds() {
    let change = |fees| ChangeFeePolicy { property_id: PROPERTY, fees };
    given([property()]).accepts(change(PASSED), [PropertyEvent::FeePolicyChanged { fees: PASSED }]);
    given([]).refuses(change(PASSED), PropertyRefusal::NotFound);
    let rate = |basis_points, fixed, cap| Rate { basis_points, fixed, cap };
    for (rate, why) in [
        (rate(2_001, 0, None), fees::RateError::BasisPoints),
        (rate(0, -1, None), fees::RateError::Fixed),
        (rate(0, 100_001, None), fees::RateError::Fixed),
        (rate(0, 0, Some(0)), fees::RateError::Cap),
    ] {
        let bad = FeePolicy { card: rate, ..PASSED };
        given([property()]).refuses(change(bad), PropertyRefusal::BadRate { why });
        let bad = FeePolicy { bank_debit: rate, ..PASSED };
        given([]).refuses(AddProperty { fees: Some(bad), ..add() }, PropertyRefusal::BadRate { why });
    }
}

#[test]
fn a_stripe_account_is_assigned_while_it_is_connected() {
    let assign = || AssignStripeAccount { property_id: PROPERTY, stripe_account_id: ACCOUNT };
    given([property()]).facts(community()).accepts(assign(), [assigned()]);
    given([]).facts(community()).refuses(assign(), PropertyRefusal::NotFound);
    given([property()]).refuses(assign(), PropertyRefusal::NoSuchStripeAccount);
    let nothing = Facts { stripe_account: Some(state([])), ..community() };
    given([property()]).facts(nothing).refuses(assign(), PropertyRefusal::NoSuchStripeAccount);
    let gone = with(account(), [events::StripeAccountEvent::StripeAccountDisconnected { at_provider: false }]);
    let gone = Facts { stripe_account: Some(state(gone)), ..community() };
    given([property()]).facts(gone).refuses(assign(), PropertyRefusal::StripeAccountGone);
}

#[test]
fn a_stripe_account_is_unassigned_once() {
    let unassign = UnassignStripeAccount { property_id: PROPERTY };
    let unassigned = PropertyEvent::StripeAccountUnassigned { stripe_account_id: ACCOUNT };
    given([property(), assigned()]).accepts(unassign.clone(), [unassigned]);
    given([property()]).ignores(unassign.clone());
    given([]).refuses(unassign, PropertyRefusal::NotFound);
}

#[test]
fn a_property_begins_with_the_standard_policies() {
    let details = state::<Property>([property()]).details.expect("details");
    assert_eq!(details.billing, BillingPolicy::STANDARD);
    assert_eq!(details.surcharges, SurchargePolicy::standard());
    assert!(EMAIL_KINDS.iter().all(|(kind, _)| details.sends(kind)));
    let terms = details.terms(instant("2026-03-01T04:59:59Z"));
    assert_eq!((terms.region, terms.today), ("NY", day("2026-02-28")), "the day at the property");
}

#[test]
fn hours_and_reminders_change_within_bounds() {
    let standard = BillingPolicy::STANDARD;
    let change = |billing| ChangeBillingPolicy { property_id: PROPERTY, billing };
    let billing =
        BillingPolicy { charge_hour: 23, reminder_days: None, remind_overdue: false, autopay_notice_days: Some(10) };
    let changed = PropertyEvent::BillingPolicyChanged { billing };
    given([property()]).accepts(change(billing), [changed.clone()]);
    given([property()]).ignores(change(standard));
    given([property(), changed]).accepts(change(standard), [PropertyEvent::BillingPolicyChanged { billing: standard }]);
    given([]).refuses(change(billing), PropertyRefusal::NotFound);
    for bad in [
        BillingPolicy { charge_hour: 24, ..standard },
        BillingPolicy { reminder_days: Some(0), ..standard },
        BillingPolicy { reminder_days: Some(61), ..standard },
        BillingPolicy { autopay_notice_days: Some(0), ..standard },
        BillingPolicy { autopay_notice_days: Some(61), ..standard },
    ] {
        given([property()]).refuses(change(bad), PropertyRefusal::BadBilling);
    }
}

#[test]
fn limits_to_surcharges_change_within_bounds() {
    let change = |surcharges| ChangeSurchargePolicy { property_id: PROPERTY, surcharges };
    let ban = SurchargeBan { region: "NY".into(), from: day("2026-01-01"), until: None };
    let surcharges = SurchargePolicy { cap_basis_points: Some(200), forbidden: vec![ban] };
    let changed = PropertyEvent::SurchargePolicyChanged { surcharges: surcharges.clone() };
    given([property()]).accepts(change(surcharges.clone()), [changed]);
    given([property()]).ignores(change(SurchargePolicy::standard()));
    given([]).refuses(change(surcharges.clone()), PropertyRefusal::NotFound);
    let bad = SurchargePolicy { cap_basis_points: Some(2_001), ..surcharges };
    given([property()]).refuses(change(bad), PropertyRefusal::BadSurcharges { why: fees::RateError::BasisPoints });
}

#[test]
fn an_email_kind_is_switched_off_and_on_again_unless_it_is_needed() {
    let switch = |kind: &str, on| SwitchEmailKind { property_id: PROPERTY, kind: from(kind), on };
    let switched = |kind: &str, on| PropertyEvent::EmailKindSwitched { kind: kind.into(), on };
    given([property()]).accepts(switch("payment-reminder", false), [switched("payment-reminder", false)]);
    given([property()]).ignores(switch("payment-reminder", true));
    let off = [property(), switched("payment-reminder", false)];
    assert!(state::<Property>(off.clone()).details.is_some_and(|details| !details.sends("payment-reminder")));
    given(off).accepts(switch("payment-reminder", true), [switched("payment-reminder", true)]);
    for needed in ["sign-in-link", "autopay-failed", "autopay-held"] {
        given([property()]).refuses(switch(needed, false), PropertyRefusal::EmailKindNeeded);
        given([property()]).ignores(switch(needed, true));
    }
    given([property()]).refuses(switch("newsletter", false), PropertyRefusal::NoSuchEmailKind);
    given([]).refuses(switch("payment-reminder", false), PropertyRefusal::NotFound);
}

#[test]
fn every_kind_of_email_is_known_here() {
    let schema = schemars::schema_for!(events::email::EmailContent).to_value();
    let variants = schema["oneOf"].as_array().into_iter().flatten();
    let kebab = |name: &str| {
        name.chars().fold(String::new(), |mut text, c| {
            if c.is_ascii_uppercase() && !text.is_empty() {
                text.push('-');
            }
            text.push(c.to_ascii_lowercase());
            text
        })
    };
    let names: BTreeSet<_> = variants
        .filter_map(|variant| variant["properties"].as_object())
        .flat_map(|fields| fields.keys().map(|name| kebab(name)))
        .collect();
    let known: BTreeSet<_> = EMAIL_KINDS.iter().map(|(kind, _)| (*kind).to_owned()).collect();
    assert_eq!(names, known);
}

#[test]
fn texts_are_off_until_a_property_switches_a_kind_on() {
    let switch = |kind: &str, on| SwitchTextKind { property_id: PROPERTY, kind: from(kind), on };
    let switched = |on| PropertyEvent::TextKindSwitched { kind: "invoice-published".into(), on };
    given([property()]).accepts(switch("invoice-published", true), [switched(true)]);
    given([property(), switched(true)]).accepts(switch("invoice-published", false), [switched(false)]);
    given([property()]).ignores(switch("invoice-published", false));
    given([property()]).refuses(switch("consent-code", true), PropertyRefusal::NoSuchTextKind);
    given([]).refuses(switch("invoice-published", true), PropertyRefusal::NotFound);
    let details = state::<Property>([property()]).details.expect("added");
    assert!(!details.texts("payment-received") && details.texts("consent-code"), "codes are no property's to withhold");
}
