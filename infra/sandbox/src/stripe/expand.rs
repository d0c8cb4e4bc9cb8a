//! `expand[]`: ids replaced by the objects they name.

use serde_json::Value;

use super::balance;
use super::context::Context;
use super::errors::StripeError;
use super::params::Params;
use crate::store::Table;

const MAX_DEPTH: usize = 4;

fn table(id: &str) -> Option<Table> {
    Some(match id.split_once('_')?.0 {
        "ch" | "py" => Table::Charges,
        "cus" => Table::Customers,
        "du" => Table::Disputes,
        "mandate" => Table::Mandates,
        "pi" => Table::PaymentIntents,
        "pm" => Table::PaymentMethods,
        "po" => Table::Payouts,
        "re" => Table::Refunds,
        "seti" => Table::SetupIntents,
        "txn" => Table::BalanceTransactions,
        _ => return None,
    })
}

pub(crate) fn apply(context: &Context<'_>, params: &Params, answer: &mut Value) -> Result<(), StripeError> {
    let Some(wanted) = params.0.get("expand") else {
        return Ok(());
    };
    let paths = wanted.as_array().ok_or_else(|| StripeError::invalid("Invalid array").param("expand"))?;
    for path in paths.iter().filter_map(Value::as_str) {
        let steps: Vec<&str> = path.split('.').collect();
        if steps.len() > MAX_DEPTH {
            return Err(StripeError::invalid("You cannot expand more than 4 levels of a property").param("expand"));
        }
        if !walk(context, answer, &steps) {
            return Err(StripeError::invalid(format!("This property cannot be expanded ({path}).")).param("expand"));
        }
    }
    Ok(())
}

fn walk(context: &Context<'_>, node: &mut Value, steps: &[&str]) -> bool {
    if let Value::Array(items) = node {
        return items.iter_mut().all(|item| walk(context, item, steps));
    }
    let Some((first, rest)) = steps.split_first() else {
        return true;
    };
    let Some(child) = node.get_mut(*first) else {
        return false;
    };
    if let Some(id) = child.as_str() {
        let Some(table) = table(id) else { return false };
        let Some(found) = context.get(table, id) else {
            return true;
        };
        *child = match table {
            Table::PaymentMethods => found["object"].clone(),
            Table::BalanceTransactions => balance::shown(found, context.now()),
            _ => found,
        };
    }
    child.is_null() || walk(context, child, rest)
}
