//! Stripe's test cards and bank accounts, by name and by number, and what each of them does.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decline {
    pub code: &'static str,
    /// Stripe's decline code; banks have none.
    pub reason: Option<&'static str>,
    pub advice_code: Option<&'static str>,
    pub network_code: &'static str,
    pub message: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    Succeeds,
    Declines(Decline),
    /// Lets itself be kept, then declines every charge.
    DeclinesCharges(Decline),
    Authenticates,
    /// Asks while it is being kept, and off the session only if it never was.
    AuthenticatesOnSetup,
    RefundPends,
    RefundFails,
    /// Pays, and the holder disputes at once.
    Disputes(&'static str),
    Debits(Debit),
}

/// What becomes of a bank debit when its days have passed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Debit {
    Settles,
    Fails(Decline),
    /// Settles, and is returned some days later.
    Returns(&'static str),
    Stays,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Card {
    pub brand: &'static str,
    pub last4: &'static str,
    pub funding: &'static str,
    pub country: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Face {
    Card(Card),
    Bank { last4: &'static str },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Magic {
    pub face: Face,
    pub behaviour: Behaviour,
}

const fn card(brand: &'static str, last4: &'static str, funding: &'static str, behaviour: Behaviour) -> Magic {
    Magic { face: Face::Card(Card { brand, last4, funding, country: "US" }), behaviour }
}

const fn refusal(
    code: &'static str,
    reason: &'static str,
    advice: &'static str,
    network_code: &'static str,
    message: &'static str,
) -> Decline {
    Decline { code, reason: Some(reason), advice_code: Some(advice), network_code, message }
}

const fn declined(last4: &'static str, decline: Decline) -> Magic {
    card("visa", last4, "credit", Behaviour::Declines(decline))
}

const fn bank(last4: &'static str, debit: Debit) -> Magic {
    Magic { face: Face::Bank { last4 }, behaviour: Behaviour::Debits(debit) }
}

const fn returned(code: &'static str, network_code: &'static str, message: &'static str) -> Decline {
    Decline { code, reason: None, advice_code: None, network_code, message }
}

const REFUSED: &str = "Your card was declined.";
const AGAIN: &str = "try_again_later";
const NEVER: &str = "do_not_try_again";

pub(crate) const AUTHENTICATION_REQUIRED: Decline = refusal(
    "authentication_required",
    "authentication_required",
    AGAIN,
    "1A",
    "Your card was declined. This transaction requires authentication.",
);
pub(crate) const AUTHENTICATION_FAILED: Decline = Decline {
    code: "payment_intent_authentication_failure",
    message: "The provided PaymentMethod has failed authentication.",
    ..AUTHENTICATION_REQUIRED
};
pub(crate) const GENERIC: Decline = refusal("card_declined", "generic_decline", AGAIN, "01", REFUSED);
pub(crate) const BANK_EMPTY: Decline =
    returned("insufficient_funds", "R01", "The customer's account has insufficient funds to cover this payment.");
const BANK_CLOSED: Decline = returned("account_closed", "R02", "The customer's bank account has been closed.");
const BANK_NONE: Decline = returned("no_account", "R03", "The customer's bank account could not be located.");
const BANK_FORBIDS: Decline =
    returned("debit_not_authorized", "R29", "The customer has notified their bank that this payment was unauthorized.");
const BANK_CURRENCY: Decline =
    returned("invalid_currency", "", "The bank was unable to process this transaction because of its currency.");

/// What a bank answers in the given word: Stripe's failure code or Nacha's return code.
pub(crate) fn bank_refusal(word: &str) -> Option<Decline> {
    [BANK_EMPTY, BANK_CLOSED, BANK_NONE, BANK_FORBIDS, BANK_CURRENCY]
        .into_iter()
        .find(|decline| decline.code == word || (!word.is_empty() && decline.network_code == word))
}

/// Codes after which Nacha allows no further debit from the same authorization.
pub(crate) fn ends_mandate(code: &str) -> bool {
    matches!(code, "account_closed" | "no_account" | "debit_not_authorized" | "incorrect_account_details")
}

pub(crate) fn magic(name: &str) -> Option<Magic> {
    let name = name
        .strip_prefix("pm_card_visa_charge")
        .map_or_else(|| name.to_owned(), |rest| format!("pm_card_charge{rest}"));
    Some(match name.as_str() {
        "pm_card_visa" => card("visa", "4242", "credit", Behaviour::Succeeds),
        "pm_card_visa_debit" => card("visa", "5556", "debit", Behaviour::Succeeds),
        "pm_card_mastercard" => card("mastercard", "4444", "credit", Behaviour::Succeeds),
        "pm_card_mastercard_debit" => card("mastercard", "3222", "debit", Behaviour::Succeeds),
        "pm_card_mastercard_prepaid" => card("mastercard", "5100", "prepaid", Behaviour::Succeeds),
        "pm_card_amex" => card("amex", "8431", "credit", Behaviour::Succeeds),
        "pm_card_discover" => card("discover", "1117", "credit", Behaviour::Succeeds),
        "pm_card_ca" => Magic {
            face: Face::Card(Card { brand: "visa", last4: "0000", funding: "credit", country: "CA" }),
            behaviour: Behaviour::Succeeds,
        },
        "pm_card_refundFail" => card("visa", "5126", "credit", Behaviour::RefundFails),
        "pm_card_pendingRefund" => card("visa", "7726", "credit", Behaviour::RefundPends),
        "pm_card_authenticationRequired" => card("visa", "3184", "credit", Behaviour::Authenticates),
        "pm_card_authenticationRequiredOnSetup" => card("visa", "3155", "credit", Behaviour::AuthenticatesOnSetup),
        "pm_card_chargeCustomerFail" => card("visa", "0341", "credit", Behaviour::DeclinesCharges(GENERIC)),
        "pm_card_createDispute" => card("visa", "0259", "credit", Behaviour::Disputes("fraudulent")),
        "pm_card_createDisputeProductNotReceived" => {
            card("visa", "2685", "credit", Behaviour::Disputes("product_not_received"))
        }
        "pm_card_chargeDeclined" => declined("0002", GENERIC),
        "pm_card_chargeDeclinedInsufficientFunds" => declined(
            "9995",
            refusal("card_declined", "insufficient_funds", AGAIN, "51", "Your card has insufficient funds."),
        ),
        "pm_card_chargeDeclinedExpiredCard" => declined(
            "0069",
            refusal("expired_card", "expired_card", "confirm_card_data", "54", "Your card has expired."),
        ),
        "pm_card_chargeDeclinedIncorrectCvc" => declined(
            "0127",
            refusal(
                "incorrect_cvc",
                "incorrect_cvc",
                "confirm_card_data",
                "82",
                "Your card's security code is incorrect.",
            ),
        ),
        "pm_card_chargeDeclinedLostCard" => {
            declined("9987", refusal("card_declined", "lost_card", NEVER, "41", REFUSED))
        }
        "pm_card_chargeDeclinedStolenCard" => {
            declined("9979", refusal("card_declined", "stolen_card", NEVER, "43", REFUSED))
        }
        "pm_card_chargeDeclinedFraudulent" | "pm_card_radarBlock" => {
            declined("0019", refusal("card_declined", "fraudulent", NEVER, "59", REFUSED))
        }
        "pm_card_chargeDeclinedVelocityLimitExceeded" => declined(
            "6975",
            refusal("card_declined", "card_velocity_exceeded", AGAIN, "61", "Your card is over its limit."),
        ),
        "pm_card_chargeDeclinedProcessingError" => declined(
            "0119",
            refusal(
                "processing_error",
                "processing_error",
                AGAIN,
                "96",
                "An error occurred while processing your card. Try again in a little bit.",
            ),
        ),
        "pm_usBankAccount_success" | "pm_usBankAccount" => bank("6789", Debit::Settles),
        "pm_usBankAccount_insufficientFunds" => bank("2227", Debit::Fails(BANK_EMPTY)),
        "pm_usBankAccount_accountClosed" => bank("1113", Debit::Fails(BANK_CLOSED)),
        "pm_usBankAccount_noAccount" => bank("1116", Debit::Fails(BANK_NONE)),
        "pm_usBankAccount_debitNotAuthorized" => bank("3335", Debit::Fails(BANK_FORBIDS)),
        "pm_usBankAccount_invalidCurrency" => bank("4440", Debit::Fails(BANK_CURRENCY)),
        "pm_usBankAccount_dispute" => bank("5559", Debit::Returns("debit_not_authorized")),
        // The sandbox's own: a return for want of money, which Stripe has no test account for.
        "pm_usBankAccount_returnedInsufficientFunds" => bank("2228", Debit::Returns("insufficient_funds")),
        "pm_usBankAccount_processing" => bank("0009", Debit::Stays),
        _ => return None,
    })
}

/// Stripe's test numbers, as a person types them into a form.
pub(crate) fn by_card_number(number: &str) -> Option<&'static str> {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    Some(match digits.as_str() {
        "4242424242424242" => "pm_card_visa",
        "4000056655665556" => "pm_card_visa_debit",
        "5555555555554444" => "pm_card_mastercard",
        "2223003122003222" | "5200828282828210" => "pm_card_mastercard_debit",
        "5105105105105100" => "pm_card_mastercard_prepaid",
        "371449635398431" | "378282246310005" => "pm_card_amex",
        "6011111111111117" => "pm_card_discover",
        "4000001240000000" => "pm_card_ca",
        "4000000000005126" => "pm_card_refundFail",
        "4000000000007726" => "pm_card_pendingRefund",
        "4000002760003184" => "pm_card_authenticationRequired",
        "4000002500003155" => "pm_card_authenticationRequiredOnSetup",
        "4000000000000341" => "pm_card_chargeCustomerFail",
        "4000000000000259" => "pm_card_createDispute",
        "4000000000002685" => "pm_card_createDisputeProductNotReceived",
        "4000000000000002" => "pm_card_chargeDeclined",
        "4000000000009995" => "pm_card_chargeDeclinedInsufficientFunds",
        "4000000000000069" => "pm_card_chargeDeclinedExpiredCard",
        "4000000000000127" => "pm_card_chargeDeclinedIncorrectCvc",
        "4000000000009987" => "pm_card_chargeDeclinedLostCard",
        "4000000000009979" => "pm_card_chargeDeclinedStolenCard",
        "4100000000000019" => "pm_card_radarBlock",
        "4000000000006975" => "pm_card_chargeDeclinedVelocityLimitExceeded",
        "4000000000000119" => "pm_card_chargeDeclinedProcessingError",
        _ => return None,
    })
}

pub(crate) fn by_account_number(number: &str) -> Option<&'static str> {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    Some(match digits.as_str() {
        "000123456789" => "pm_usBankAccount_success",
        "000222222227" => "pm_usBankAccount_insufficientFunds",
        "000111111113" => "pm_usBankAccount_accountClosed",
        "000111111116" => "pm_usBankAccount_noAccount",
        "000333333335" => "pm_usBankAccount_debitNotAuthorized",
        "000444444440" => "pm_usBankAccount_invalidCurrency",
        "000555555559" => "pm_usBankAccount_dispute",
        "000222222228" => "pm_usBankAccount_returnedInsufficientFunds",
        "000000000009" => "pm_usBankAccount_processing",
        _ => return None,
    })
}
