//! Languages and tenures as people write them in English, French and Spanish.

use crate::cell::fold;
use crate::problem::Fault;
use crate::row::{Language, Tenure};

/// A name of the language in any of the three, a code of two or three letters, or a locale such as `fr-CA`.
pub(crate) fn language(value: &str) -> Result<Language, Fault> {
    let code = value
        .split_once(['-', '_'])
        .filter(|(code, region)| code.len() == 2 && region.len() <= 4)
        .map_or(value, |(code, _)| code);
    match fold(code).as_str() {
        "en" | "eng" | "english" | "anglais" | "anglaise" | "ang" | "ingles" | "ing" => Ok(Language::English),
        "fr" | "fra" | "fre" | "french" | "francais" | "francaise" | "frances" => Ok(Language::French),
        "es" | "esp" | "spa" | "sp" | "spanish" | "espanol" | "espagnol" | "espagnole" | "castellano" => {
            Ok(Language::Spanish)
        }
        _ => Err(Fault::NotALanguage),
    }
}

/// Whether a cell says that somebody agreed. Whatever is no denial is a claim: a date, an initial, a tick.
pub(crate) fn claims(value: &str) -> bool {
    let denied = matches!(
        fold(value).as_str(),
        "" | "0"
            | "n"
            | "no"
            | "non"
            | "false"
            | "faux"
            | "falso"
            | "off"
            | "none"
            | "never"
            | "jamais"
            | "nunca"
            | "na"
            | "nd"
            | "aucun"
            | "ninguno"
            | "optout"
            | "optedout"
            | "notoptedin"
            | "unsubscribed"
            | "declined"
            | "refused"
            | "refuse"
            | "refuses"
            | "rechazado"
            | "unknown"
            | "inconnu"
            | "desconocido"
    );
    !denied
}

pub(crate) fn tenure(value: &str) -> Result<Tenure, Fault> {
    match fold(value).as_str() {
        "owner"
        | "coowner"
        | "homeowner"
        | "owneroccupant"
        | "owneroccupied"
        | "owneroccupier"
        | "landlord"
        | "proprietaire"
        | "coproprietaire"
        | "proprietaireoccupant"
        | "proprio"
        | "propietario"
        | "propietaria"
        | "copropietario"
        | "copropietaria"
        | "dueno"
        | "duena" => Ok(Tenure::Owner),
        "tenant" | "renter" | "lessee" | "rental" | "locataire" | "inquilino" | "inquilina" | "arrendatario"
        | "arrendataria" => Ok(Tenure::Tenant),
        "occupant" | "occupier" | "resident" | "residente" | "residenta" | "occupante" | "ocupante"
        | "familymember" => Ok(Tenure::Occupant),
        _ => Err(Fault::NotATenure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_understood_in_all_three() {
        for (words, language_) in [
            (["en", "ENG", "English", "anglais", "inglés", "en-US"], Language::English),
            (["fr", "FRA", "français", "French", "francés", "fr_CA"], Language::French),
            (["es", "spa", "Español", "espagnol", "castellano", "es-419"], Language::Spanish),
        ] {
            for word in words {
                assert_eq!(language(word), Ok(language_), "{word}");
            }
        }
        for word in ["de", "E", "english french", "1"] {
            assert_eq!(language(word), Err(Fault::NotALanguage), "{word}");
        }
    }

    #[test]
    fn tenures_are_understood_in_all_three() {
        for (words, tenure_) in [
            (["Owner", "PROPRIÉTAIRE", "Dueña", "co-owner"], Tenure::Owner),
            (["tenant", "Renter", "locataire", "Inquilino"], Tenure::Tenant),
            (["Occupant", "résident", "ocupante", "Residente"], Tenure::Occupant),
        ] {
            for word in words {
                assert_eq!(tenure(word), Ok(tenure_), "{word}");
            }
        }
        assert_eq!(tenure("Active"), Err(Fault::NotATenure));
    }
}
