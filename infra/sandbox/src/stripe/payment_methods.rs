//! Payment methods: made from a test name or number, kept by a customer, taken away again.

use serde_json::{Value, json};

use super::context::Context;
use super::errors::StripeError;
use super::faces::face;
use super::lists;
use super::magic::{self, Behaviour, Magic};
use super::params::Params;
use crate::store::Table;

/// A payment method of the account and what it does.
#[derive(Debug)]
pub(crate) struct Method {
    pub object: Value,
    pub behaviour: Behaviour,
    /// What the sandbox knows beside the object: `verified`, `set_up`, `mandate`, `detached`, `as`, `as_times`.
    pub row: Value,
}

impl Method {
    pub fn id(&self) -> &str {
        self.object["id"].as_str().unwrap_or_default()
    }

    pub fn is(&self, mark: &str) -> bool {
        self.row[mark] == json!(true)
    }

    pub fn mandate(&self) -> Option<&str> {
        self.row["mandate"].as_str()
    }
}

/// Like Stripe, using a magic name makes a new payment method; an id finds one made before.
pub(crate) fn resolve(context: &mut Context<'_>, name: &str) -> Result<Method, StripeError> {
    if let Some(row) = context.get(Table::PaymentMethods, name) {
        return Ok(known(row));
    }
    let Some(found) = magic::magic(name) else {
        return Err(StripeError::missing("PaymentMethod", name, "payment_method"));
    };
    Ok(make(context, name, found, true))
}

fn known(row: Value) -> Method {
    let now = row["as"].as_str().or_else(|| row["magic"].as_str()).and_then(magic::magic);
    let behaviour = now.map_or(Behaviour::Succeeds, |magic| magic.behaviour);
    Method { object: row["object"].clone(), behaviour, row }
}

fn make(context: &mut Context<'_>, name: &str, found: Magic, verified: bool) -> Method {
    let id = context.store.new_id("pm_");
    let mut object = face(found.face);
    object["id"] = json!(id);
    object["object"] = json!("payment_method");
    object["created"] = json!(context.now());
    object["livemode"] = json!(false);
    object["metadata"] = json!({});
    let row = json!({"object": object, "magic": name, "verified": verified});
    context.put_row(Table::PaymentMethods, &id, row.clone());
    Method { object, behaviour: found.behaviour, row }
}

/// Takes note of something beside the object.
pub(crate) fn mark(context: &mut Context<'_>, id: &str, change: impl FnOnce(&mut Value)) {
    if let Some(mut row) = context.get(Table::PaymentMethods, id) {
        change(&mut row);
        context.put_row(Table::PaymentMethods, id, row);
    }
}

/// A behaviour that was set for some charges wears off.
pub(crate) fn used(context: &mut Context<'_>, method: &Method) {
    if let Some(times) = method.row["as_times"].as_i64() {
        mark(context, method.id(), |row| {
            row["as_times"] = if times > 1 { json!(times - 1) } else { Value::Null };
            if times <= 1 {
                row["as"] = Value::Null;
            }
        });
    }
}

/// `payment_method_data`, or the whole form of `POST /v1/payment_methods`.
pub(crate) fn from_data(context: &mut Context<'_>, data: &Value) -> Result<Method, StripeError> {
    let invalid = |message: &str, param: &str| StripeError::invalid(message).param(param);
    match data["type"].as_str() {
        Some("card") => {
            let card = &data["card"];
            if let Some(token) = card["token"].as_str() {
                return resolve(context, &token.replacen("tok_", "pm_card_", 1));
            }
            let name = magic::by_card_number(card["number"].as_str().unwrap_or_default()).ok_or_else(|| {
                StripeError::new(402, "card_error", "Your card number is incorrect.")
                    .code("incorrect_number")
                    .param("number")
            })?;
            let Some(found) = magic::magic(name) else { return Err(invalid("Unknown card.", "card")) };
            let mut method = make(context, name, found, true);
            for field in ["exp_month", "exp_year"] {
                if let Some(number) = card[field].as_str().and_then(|text| text.parse::<i64>().ok()) {
                    method.object["card"][field] = json!(number);
                }
            }
            save(context, &mut method);
            Ok(method)
        }
        Some("us_bank_account") => {
            let bank = &data["us_bank_account"];
            let name =
                magic::by_account_number(bank["account_number"].as_str().unwrap_or_default()).ok_or_else(|| {
                    invalid("The bank account number is not a test number.", "us_bank_account[account_number]")
                })?;
            let Some(found) = magic::magic(name) else {
                return Err(invalid("Unknown bank account.", "us_bank_account"));
            };
            // Typed numbers prove nothing; a log-in at the bank (Financial Connections) does.
            let linked = bank["financial_connections_account"].is_string();
            let mut method = make(context, name, found, linked);
            if let Some(kind) = bank["account_type"].as_str().filter(|kind| matches!(*kind, "checking" | "savings")) {
                method.object["us_bank_account"]["account_type"] = json!(kind);
            }
            save(context, &mut method);
            Ok(method)
        }
        _ => Err(invalid("The sandbox knows card and us_bank_account.", "type")),
    }
}

fn save(context: &mut Context<'_>, method: &mut Method) {
    method.row["object"] = method.object.clone();
    let id = method.id().to_owned();
    context.put_row(Table::PaymentMethods, &id, method.row.clone());
}

pub(crate) fn create(context: &mut Context<'_>, params: &Params) -> Result<Value, StripeError> {
    let known =
        ["_stripe_account", "key", "type", "card", "us_bank_account", "billing_details", "metadata", "allow_redisplay"];
    params.allow(&known)?;
    from_data(context, &params.0).map(|method| method.object)
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    context
        .get(Table::PaymentMethods, id)
        .map(|row| row["object"].clone())
        .ok_or_else(|| StripeError::not_found("PaymentMethod", id, "payment_method"))
}

pub(crate) fn list(context: &Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[&lists::CURSOR[..], &["customer", "type"]].concat())?;
    let customer = params.required("customer")?;
    let kind = params.text("type");
    let objects = context
        .store
        .of(Table::PaymentMethods, context.account)
        .map(|(_, row)| &row["object"])
        .filter(|object| object["customer"] == json!(customer))
        .filter(|object| kind.is_none_or(|kind| object["type"] == json!(kind)))
        .cloned();
    lists::page(params, "/v1/payment_methods", objects)
}

pub(crate) fn attach(context: &mut Context<'_>, id: &str, params: &Params) -> Result<Value, StripeError> {
    params.allow(&["customer"])?;
    let customer = params.required("customer")?.to_owned();
    if context.get(Table::Customers, &customer).is_none() {
        return Err(StripeError::missing("customer", &customer, "customer"));
    }
    let method = resolve(context, id)?;
    admissible(&method, Some(&customer))?;
    if let Behaviour::Declines(decline) = method.behaviour {
        return Err(StripeError::new(402, "card_error", decline.message)
            .code(decline.code)
            .with("decline_code", json!(decline.reason))
            .executed());
    }
    Ok(keep(context, &method, &customer))
}

/// Gives the method to the customer.
pub(crate) fn keep(context: &mut Context<'_>, method: &Method, customer: &str) -> Value {
    let mut object = method.object.clone();
    object["customer"] = json!(customer);
    mark(context, method.id(), |row| row["object"] = object.clone());
    if method.object["customer"] != object["customer"] {
        context.emit("payment_method.attached", &object);
    }
    object
}

pub(crate) fn detach(context: &mut Context<'_>, id: &str, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[])?;
    let object = retrieve(context, id)?;
    if object["customer"].is_null() {
        return Err(StripeError::invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
        )
        .executed());
    }
    Ok(release(context, object))
}

pub(crate) fn release(context: &mut Context<'_>, mut object: Value) -> Value {
    let before = object["customer"].take();
    let id = object["id"].as_str().unwrap_or_default().to_owned();
    mark(context, &id, |row| {
        row["object"] = object.clone();
        row["detached"] = json!(true);
    });
    context.emit_changed("payment_method.detached", &object, &json!({"customer": before}));
    object
}

/// Refuses a method that was taken away or belongs to somebody else.
pub(crate) fn admissible(method: &Method, customer: Option<&str>) -> Result<(), StripeError> {
    if method.is("detached") {
        return Err(StripeError::invalid(
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared \
             with a connected account without Customer attachment, or was detached from a Customer. It may not be \
             used again. To use a PaymentMethod multiple times, you must attach it to a Customer first.",
        )
        .code("payment_method_unexpected_state")
        .param("payment_method"));
    }
    let owner = method.object["customer"].as_str();
    if owner.is_some() && owner != customer {
        let id = method.id();
        return Err(StripeError::invalid(format!(
            "The customer does not have a payment method with the ID {id}. The payment method must be attached to the \
             customer."
        ))
        .param("payment_method"));
    }
    Ok(())
}

/// What a confirmation names: a payment method, its data, a confirmation token, or what the intent already carries.
pub(crate) fn named(context: &mut Context<'_>, intent: &Value, params: &Params) -> Result<Option<Method>, StripeError> {
    let method = if let Some(name) = params.text("payment_method") {
        resolve(context, name)?
    } else if let Some(data) = params.nested("payment_method_data") {
        from_data(context, data)?
    } else if let Some(token) = params.text("confirmation_token") {
        let name = super::confirmation_tokens::admitted(context, token)?;
        resolve(context, &name)?
    } else {
        match intent["payment_method"].as_str() {
            Some(name) => resolve(context, name)?,
            None => return Ok(None),
        }
    };
    admissible(&method, intent["customer"].as_str())?;
    let kind = &method.object["type"];
    if intent["payment_method_types"].as_array().is_some_and(|types| !types.contains(kind)) {
        return Err(StripeError::invalid(format!(
            "The PaymentMethod provided ({}) is not allowed for this intent.",
            kind.as_str().unwrap_or_default()
        ))
        .code("payment_intent_incompatible_payment_method")
        .param("payment_method"));
    }
    Ok(Some(method))
}

pub(crate) fn is_bank(object: &Value) -> bool {
    object["type"] == json!("us_bank_account")
}

/// The types an intent admits: those asked for, else all that the sandbox knows.
pub(crate) fn types(params: &Params) -> Result<(Value, Value), StripeError> {
    let all = json!(["card", "us_bank_account"]);
    let Some(asked) = params.0.get("allowed_payment_method_types") else { return Ok((Value::Null, all)) };
    let known = |kind: &Value| all.as_array().is_some_and(|all| all.contains(kind));
    match asked.as_array() {
        Some(kinds) if !kinds.is_empty() && kinds.iter().all(known) => Ok((asked.clone(), asked.clone())),
        _ => {
            Err(StripeError::invalid("The sandbox knows card and us_bank_account.")
                .param("allowed_payment_method_types"))
        }
    }
}
