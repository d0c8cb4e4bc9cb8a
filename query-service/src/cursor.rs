//! Cursors: where a list goes on, opaque to the caller, and void once history was restored.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use edge::Problem;
use projections::Cursor;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What the caller carries from page to page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    /// The fingerprint of the question: operation, sort and filters.
    q: u64,
    at: Cursor,
}

/// Writes a cursor for the answer.
pub fn encode(question: u64, at: Cursor) -> String {
    // A struct of numbers and texts always has a JSON form.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&Token { q: question, at }).unwrap_or_default())
}

/// Reads a cursor of this history and this question.
pub fn decode(text: &str, question: u64, incarnation: i32) -> Result<Cursor, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let token: Option<Token> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let token = token.ok_or_else(|| refused("`cursor` is not one that a list has given; start without it"))?;
    if token.at.incarnation != incarnation {
        return Err(gone());
    }
    if token.q != question {
        return Err(mismatch());
    }
    Ok(token.at)
}

/// The history that a cursor belongs to was replaced.
pub fn gone() -> Problem {
    Problem::gone("cursor-gone", "the cursor is from before a restore; start the list again without it")
}

/// A cursor that another list, sort or filter has given.
pub fn mismatch() -> Problem {
    refused("`cursor` belongs to another list, sort or filter; send the same ones again, or start without it")
}

fn refused(detail: &str) -> Problem {
    Problem::invalid("invalid-parameter", detail).with("parameter", json!("cursor"))
}

/// FNV-1a, which stays the same over versions and machines.
pub fn fingerprint<'a>(parts: impl Iterator<Item = &'a str>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.flat_map(|part| part.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn cursor() -> Cursor {
        Cursor { sort: "due_on".into(), value: "2026-01-31".into(), id: Uuid::nil(), incarnation: 1 }
    }

    #[test]
    fn a_cursor_survives_the_journey() -> Result<(), Problem> {
        assert_eq!(decode(&encode(7, cursor()), 7, 1)?, cursor());
        Ok(())
    }

    #[test]
    fn a_cursor_of_another_incarnation_is_gone() {
        assert_eq!(decode(&encode(7, cursor()), 7, 2).expect_err("another history").status(), 410);
        assert_eq!(decode(&encode(7, cursor()), 8, 2).expect_err("another history").status(), 410);
    }

    #[test]
    fn a_cursor_of_another_question_is_refused() {
        assert_eq!(decode(&encode(7, cursor()), 8, 1).expect_err("another question").status(), 422);
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "x", "e30", "%00", "eyJpIjoxfQ", "😀"] {
            assert_eq!(decode(text, 7, 1).expect_err(text).status(), 422);
        }
    }

    #[test]
    fn fingerprints_tell_where_a_part_ends() {
        assert_ne!(fingerprint(["ab", "c"].into_iter()), fingerprint(["a", "bc"].into_iter()));
    }
}
