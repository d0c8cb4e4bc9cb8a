//! Typed reading of a form's tree, with Stripe's own refusals.

use serde_json::{Map, Value, json};

use super::errors::StripeError;

const METADATA_KEYS: usize = 50;
const METADATA_KEY_CHARACTERS: usize = 40;
const METADATA_VALUE_CHARACTERS: usize = 500;

#[derive(Clone, Debug)]
pub(crate) struct Params(pub Value);

impl Params {
    /// Stripe refuses what it does not know, which finds misspelt parameters.
    pub fn allow(&self, known: &[&str]) -> Result<(), StripeError> {
        let unknown = self
            .0
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
            .find(|name| *name != "expand" && !known.contains(&name.as_str()));
        match unknown {
            Some(name) => Err(StripeError::invalid(format!("Received unknown parameter: {name}"))
                .code("parameter_unknown")
                .param(name)),
            None => Ok(()),
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    pub fn required(&self, name: &str) -> Result<&str, StripeError> {
        self.text(name).ok_or_else(|| {
            StripeError::invalid(format!("Missing required param: {name}.")).code("parameter_missing").param(name)
        })
    }

    pub fn integer(&self, name: &str) -> Result<Option<i64>, StripeError> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let parsed = value.as_str().and_then(|text| text.parse::<i64>().ok());
        parsed.map(Some).ok_or_else(|| {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            StripeError::invalid(format!("Invalid integer: {shown}")).code("parameter_invalid_integer").param(name)
        })
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), Some("true" | "1"))
    }

    pub fn nested(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| value.is_object())
    }

    pub fn text_or_null(&self, name: &str) -> Value {
        self.text(name).map_or(Value::Null, |text| json!(text))
    }

    /// The metadata after merging these parameters over `old`: an empty value removes a key.
    pub fn metadata(&self, old: &Value) -> Result<Value, StripeError> {
        let mut merged = old.as_object().cloned().unwrap_or_default();
        match self.0.get("metadata") {
            None => return Ok(Value::Object(merged)),
            Some(Value::String(text)) if text.is_empty() => return Ok(json!({})),
            Some(Value::Object(given)) => {
                for (key, value) in given {
                    let Some(value) = value.as_str() else {
                        return Err(
                            StripeError::invalid("Metadata values must be strings").param(&format!("metadata[{key}]"))
                        );
                    };
                    if key.chars().count() > METADATA_KEY_CHARACTERS
                        || value.chars().count() > METADATA_VALUE_CHARACTERS
                    {
                        return Err(StripeError::invalid(format!(
                            "Metadata can have keys up to {METADATA_KEY_CHARACTERS} and values up to \
                             {METADATA_VALUE_CHARACTERS} characters: {key}"
                        ))
                        .param(&format!("metadata[{key}]")));
                    }
                    if value.is_empty() {
                        merged.remove(key);
                    } else {
                        merged.insert(key.clone(), json!(value));
                    }
                }
            }
            Some(_) => return Err(StripeError::invalid("Invalid object").param("metadata")),
        }
        if merged.len() > METADATA_KEYS {
            return Err(
                StripeError::invalid(format!("Metadata can have at most {METADATA_KEYS} keys")).param("metadata")
            );
        }
        Ok(Value::Object(merged))
    }
}
