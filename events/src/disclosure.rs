//! What a resident reads before agreeing to texts: an organization's own words, version by version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Language, PropertyId, ShownId, text::Paragraphs};

/// One document in the languages that residents read. `{organization}` and `{property}` stand for their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisclosureTexts {
    pub en: Paragraphs,
    pub fr: Paragraphs,
    pub es: Paragraphs,
}

impl DisclosureTexts {
    pub const fn of(&self, language: Language) -> &Paragraphs {
        match language {
            Language::En => &self.en,
            Language::Fr => &self.fr,
            Language::Es => &self.es,
        }
    }
}

/// A disclosure exactly as one person saw it, names filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShownDisclosure {
    pub shown_id: ShownId,
    pub property_id: PropertyId,
    pub language: Language,
    /// `standard-1` for the text that comes with the product, else the number of the organization's own.
    pub version: String,
    /// Of the text below, in lower-case hexadecimal digits.
    pub sha256: String,
    pub text: String,
}

events! {
    /// The life of an organization's disclosure.
    pub enum DisclosureEvent of "disclosure" {
        /// Residents who are asked from now on read this text. What others saw before stays what they saw.
        DisclosurePublished = 1 {
            /// From 1.
            number: u32,
            texts: DisclosureTexts,
        },
    }
}
