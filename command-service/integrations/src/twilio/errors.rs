//! What Twilio's error codes ask for (<https://www.twilio.com/docs/api/errors>).

use processes::ports::TextProblem;

/// What a code asks for, whether it came as an answer or in a callback.
pub const fn problem(code: u32) -> TextProblem {
    match code {
        21610 => TextProblem::Blocked,
        // Unreachable handset; unknown error of a carrier.
        30003 | 30008 => TextProblem::Passing,
        // Unknown, landline or unreachable carrier, invalid; not a mobile number.
        30005 | 30006 | 21211 | 21614 => TextProblem::Undeliverable,
        30007 => TextProblem::Filtered,
        30034 => TextProblem::SenderHalted,
        // Queue overflow, queue of the sender full, a carrier's rate or daily limit, too many requests.
        30001 | 21611 | 30022 | 20429 => TextProblem::BackOff,
        30036 => TextProblem::Expired,
        _ => TextProblem::Other,
    }
}

/// Whether a code says that we may not call at all, as wrong credentials do.
pub(super) const fn is_about_access(code: u32) -> bool {
    matches!(code, 20003..=20008 | 20403)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ask_for_what_the_providers_table_says() {
        for (codes, expected) in [
            (&[21610][..], TextProblem::Blocked),
            (&[30003, 30008], TextProblem::Passing),
            (&[30005, 30006, 21211], TextProblem::Undeliverable),
            (&[30007], TextProblem::Filtered),
            (&[30034], TextProblem::SenderHalted),
            (&[30001, 21611, 30022, 20429], TextProblem::BackOff),
            (&[30036], TextProblem::Expired),
            (&[0, 21612, 30004, u32::MAX], TextProblem::Other),
        ] {
            assert!(codes.iter().all(|code| problem(*code) == expected), "{codes:?}");
        }
    }
}
