//! Which kinds of letters exist, in which languages, and in which version of their text.

use events::Language;

/// The version of a kind's templates and wording, 0 for a kind that has none.
///
/// It is recorded with each message: raise it whenever the rendered text of the kind changes.
pub const fn template_version(kind: &str) -> u32 {
    match kind.as_bytes() {
        b"invoice-published" | b"payment-received" | b"sign-in-link" | b"payment-reminder" | b"autopay-notice"
        | b"autopay-held" | b"autopay-charged" | b"autopay-failed" | b"autopay-paused" | b"webhook-disabled" => 1,
        _ => 0,
    }
}

/// The languages that a kind is written in; none for an unknown kind.
pub fn languages(kind: &str) -> &'static [Language] {
    if template_version(kind) == 0 { &[] } else { &Language::ALL }
}

/// The language to write in, and whether English stands in for the wanted one (to be recorded, PRODUCT P17).
pub fn choose(kind: &str, wanted: Language) -> (Language, bool) {
    choose_among(languages(kind), wanted)
}

fn choose_among(written: &[Language], wanted: Language) -> (Language, bool) {
    if written.contains(&wanted) { (wanted, false) } else { (Language::En, wanted != Language::En) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_written_in_every_language() {
        for kind in [
            "invoice-published",
            "payment-received",
            "sign-in-link",
            "payment-reminder",
            "autopay-notice",
            "autopay-held",
            "autopay-charged",
            "autopay-failed",
            "autopay-paused",
            "webhook-disabled",
        ] {
            assert_ne!(template_version(kind), 0);
            for language in Language::ALL {
                assert_eq!(choose(kind, language), (language, false));
            }
        }
    }

    #[test]
    fn english_stands_in_for_a_language_without_a_template() {
        assert_eq!(choose_among(&[Language::En], Language::Fr), (Language::En, true));
        assert_eq!(choose_among(&[Language::En], Language::En), (Language::En, false));
        assert_eq!(choose("no-such-kind", Language::Es), (Language::En, true));
        assert_eq!(template_version("no-such-kind"), 0);
    }
}
