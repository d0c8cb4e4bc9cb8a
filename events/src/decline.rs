//! What people are told of a charge that was refused: a few words in each language, the same on a screen and in a letter.

use crate::{Language, autopay::PauseReason};

/// One phrase in the order of [`Language::ALL`].
type Phrase = [&'static str; 3];

const CARD_DECLINED: Phrase = ["Card declined", "Carte refusée", "Tarjeta rechazada"];
const PAYMENT_DECLINED: Phrase = ["Payment declined", "Paiement refusé", "Pago rechazado"];
const CONFIRMATION: Phrase =
    ["Your bank asks you to confirm", "Votre banque demande une confirmation", "Su banco pide una confirmación"];
const NOT_AUTHORIZED: Phrase =
    ["Bank debit not authorized", "Débit bancaire non autorisé", "Débito bancario no autorizado"];
const DEBIT_DECLINED: Phrase = ["Bank debit declined", "Débit bancaire refusé", "Débito bancario rechazado"];
const DEBIT_RETURNED: Phrase = ["Bank debit returned", "Débit bancaire retourné", "Débito bancario devuelto"];
const WITHDRAWN: Phrase =
    ["Bank authorization withdrawn", "Autorisation bancaire retirée", "Autorización bancaria retirada"];
const REMOVED: Phrase = ["Payment method removed", "Mode de paiement supprimé", "Método de pago eliminado"];
const MOVED: Phrase = [
    "Your community receives its payments in another account now",
    "Votre communauté reçoit maintenant ses paiements dans un autre compte",
    "Su comunidad recibe ahora sus pagos en otra cuenta",
];

impl PauseReason {
    /// The reason in words: "Card declined".
    pub fn words(&self, language: Language) -> &'static str {
        let phrase = match self {
            Self::Declined { code } | Self::RetriesUsedUp { code } | Self::DeclinedForGood { code } => {
                known(code).unwrap_or(PAYMENT_DECLINED)
            }
            Self::Returned { code } => known(code).unwrap_or(DEBIT_RETURNED),
            Self::AuthenticationRequired => CONFIRMATION,
            Self::MandateRevoked => WITHDRAWN,
            Self::MethodDetached => REMOVED,
            Self::AccountChanged => MOVED,
        };
        let [english, french, spanish] = phrase;
        match language {
            Language::En => english,
            Language::Fr => french,
            Language::Es => spanish,
        }
    }
}

/// The words for Stripe's decline and failure codes, and for Nacha's return codes.
///
/// Lost, stolen and fraudulent are plain refusals: whoever reads it may be the one who should not know (Stripe asks for it).
/// That an owner died is not told in an e-mail either.
fn known(code: &str) -> Option<Phrase> {
    Some(match code {
        "call_issuer"
        | "card_declined"
        | "do_not_honor"
        | "do_not_try_again"
        | "fraudulent"
        | "generic_decline"
        | "highest_risk_level"
        | "lost_card"
        | "merchant_blacklist"
        | "new_account_information_available"
        | "no_action_taken"
        | "not_permitted"
        | "pickup_card"
        | "restricted_card"
        | "revocation_of_all_authorizations"
        | "revocation_of_authorization"
        | "security_violation"
        | "service_not_allowed"
        | "stolen_card"
        | "stop_payment_order"
        | "testmode_decline" => CARD_DECLINED,
        "insufficient_funds" | "R01" | "R09" => ["Insufficient funds", "Fonds insuffisants", "Fondos insuficientes"],
        "expired_card" => ["Card expired", "Carte expirée", "Tarjeta vencida"],
        "incorrect_cvc" | "invalid_cvc" => {
            ["Incorrect security code", "Code de sécurité incorrect", "Código de seguridad incorrecto"]
        }
        "incorrect_address"
        | "incorrect_number"
        | "incorrect_zip"
        | "invalid_expiry_month"
        | "invalid_expiry_year"
        | "invalid_number" => {
            ["Incorrect card details", "Renseignements de carte incorrects", "Datos de la tarjeta incorrectos"]
        }
        "card_not_supported" | "invalid_account" | "invalid_amount" | "transaction_not_allowed" => [
            "Payment not allowed with this card",
            "Paiement non permis avec cette carte",
            "Pago no permitido con esta tarjeta",
        ],
        "card_velocity_exceeded" | "withdrawal_count_limit_exceeded" => {
            ["Card limit reached", "Limite de la carte atteinte", "Límite de la tarjeta alcanzado"]
        }
        "currency_not_supported" | "invalid_currency" => {
            ["Currency not accepted", "Devise non acceptée", "Moneda no aceptada"]
        }
        "approve_with_id"
        | "could_not_process"
        | "duplicate_transaction"
        | "issuer_not_available"
        | "processing_error"
        | "reenter_transaction"
        | "try_again_later" => {
            ["Temporary problem at the bank", "Problème temporaire à la banque", "Problema temporal en el banco"]
        }
        "authentication_required"
        | "authentication_not_handled"
        | "mobile_device_authentication_required"
        | "offline_pin_required"
        | "online_or_offline_pin_required"
        | "payment_intent_authentication_failure" => CONFIRMATION,
        "account_closed" | "bank_account_closed" | "R02" => {
            ["Bank account closed", "Compte bancaire fermé", "Cuenta bancaria cerrada"]
        }
        "no_account" | "R03" => {
            ["Bank account not found", "Compte bancaire introuvable", "Cuenta bancaria no encontrada"]
        }
        "account_number_invalid"
        | "bank_account_invalid_details"
        | "incorrect_account_details"
        | "incorrect_account_holder_name"
        | "incorrect_account_holder_type"
        | "invalid_account_number"
        | "R04"
        | "R13"
        | "R17" => ["Incorrect bank details", "Coordonnées bancaires incorrectes", "Datos bancarios incorrectos"],
        "debit_not_authorized" | "R05" | "R10" | "R11" | "R29" | "R31" => NOT_AUTHORIZED,
        "R07" => WITHDRAWN,
        "payment_stopped" | "R08" => {
            ["Payment stopped at the bank", "Paiement bloqué à la banque", "Pago detenido en el banco"]
        }
        "account_frozen" | "bank_account_restricted" | "bank_account_unusable" | "R16" | "R20" => {
            ["Bank account does not allow debits", "Débits non permis sur ce compte", "La cuenta no permite débitos"]
        }
        "bank_ownership_changed" => [
            "Bank account moved to another bank",
            "Compte transféré à une autre banque",
            "Cuenta trasladada a otro banco",
        ],
        "declined" | "generic_could_not_process" | "recipient_deceased" | "refer_to_customer" => DEBIT_DECLINED,
        other if is_return_code(other) => DEBIT_DECLINED,
        _ => return None,
    })
}

/// Nacha's form: `R` and two digits.
fn is_return_code(code: &str) -> bool {
    matches!(code.as_bytes(), [b'R', tens, ones] if tens.is_ascii_digit() && ones.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declined(code: &str) -> PauseReason {
        PauseReason::Declined { code: code.to_owned() }
    }

    #[test]
    fn a_reason_has_words_in_every_language() {
        let table = [
            (declined("generic_decline"), CARD_DECLINED),
            (declined("insufficient_funds"), ["Insufficient funds", "Fonds insuffisants", "Fondos insuficientes"]),
            (PauseReason::RetriesUsedUp { code: "card_declined".into() }, CARD_DECLINED),
            (
                PauseReason::DeclinedForGood { code: "expired_card".into() },
                ["Card expired", "Carte expirée", "Tarjeta vencida"],
            ),
            (PauseReason::AuthenticationRequired, CONFIRMATION),
            (declined("authentication_required"), CONFIRMATION),
            (PauseReason::Returned { code: "debit_not_authorized".into() }, NOT_AUTHORIZED),
            (PauseReason::MandateRevoked, WITHDRAWN),
            (PauseReason::MethodDetached, REMOVED),
            (PauseReason::AccountChanged, MOVED),
        ];
        for (reason, phrase) in table {
            assert_eq!(Language::ALL.map(|language| reason.words(language)), phrase);
        }
    }

    #[test]
    fn a_lost_stolen_or_suspected_card_is_simply_declined() {
        for code in ["lost_card", "stolen_card", "pickup_card", "fraudulent", "merchant_blacklist"] {
            let reason = PauseReason::DeclinedForGood { code: code.into() };
            assert_eq!(reason.words(Language::En), "Card declined", "{code}");
        }
    }

    #[test]
    fn a_code_of_tomorrow_is_still_told_in_words() {
        for code in ["", "no_such_code", "R", "R1", "Rxx", "r01"] {
            assert_eq!(declined(code).words(Language::En), "Payment declined", "{code}");
            assert_eq!(PauseReason::Returned { code: code.into() }.words(Language::Es), "Débito bancario devuelto");
        }
        assert_eq!(declined("R99").words(Language::Fr), "Débit bancaire refusé");
    }

    #[test]
    fn a_return_code_and_stripes_word_for_it_say_the_same() {
        for (network, word) in [
            ("R01", "insufficient_funds"),
            ("R02", "account_closed"),
            ("R03", "no_account"),
            ("R04", "incorrect_account_details"),
            ("R29", "debit_not_authorized"),
            ("R16", "bank_account_restricted"),
        ] {
            for language in Language::ALL {
                assert_eq!(declined(network).words(language), declined(word).words(language), "{network}");
            }
        }
    }
}
