//! Bytes into text: UTF-8 or Windows-1252, and a clear word about everything else.

use std::borrow::Cow;

use encoding_rs::WINDOWS_1252;

use crate::MAX_BYTES;
use crate::problem::FileProblem;

/// What the file's bytes were read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Windows1252,
}

impl Encoding {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Windows1252 => "Windows-1252",
        }
    }
}

pub(crate) fn decode(bytes: &[u8]) -> Result<(Cow<'_, str>, Encoding), FileProblem> {
    if bytes.len() > MAX_BYTES {
        return Err(FileProblem::TooLarge { bytes: bytes.len() });
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\xD0\xCF\x11\xE0") {
        return Err(FileProblem::Workbook);
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(FileProblem::Utf16);
    }
    if bytes.contains(&0) {
        let at = bytes.iter().take_while(|byte| **byte != 0).count();
        // Latin text in UTF-16 without a mark has a NUL beside every letter.
        let start = &bytes[..bytes.len().min(1024)];
        let pairs = start.chunks(2).filter(|pair| pair.contains(&0)).count();
        return Err(if pairs * 4 >= start.len() {
            FileProblem::Utf16
        } else {
            FileProblem::NulByte { line: line_of(bytes, at) }
        });
    }
    let (body, marked) = match bytes.strip_prefix(b"\xEF\xBB\xBF") {
        Some(body) => (body, true),
        None => (bytes, false),
    };
    match std::str::from_utf8(body) {
        Ok(text) => Ok((Cow::Borrowed(text), Encoding::Utf8)),
        Err(error) if marked || mostly_utf8(body) => {
            Err(FileProblem::DamagedUtf8 { line: line_of(body, error.valid_up_to()) })
        }
        Err(_) => Ok((WINDOWS_1252.decode_without_bom_handling(body).0, Encoding::Windows1252)),
    }
}

/// A UTF-8 file with one bad byte, read as Windows-1252, would turn every accent into two wrong letters without a word.
fn mostly_utf8(bytes: &[u8]) -> bool {
    let (mut letters, mut damaged) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        letters += chunk.valid().chars().filter(|letter| !letter.is_ascii()).count();
        damaged += usize::from(!chunk.invalid().is_empty());
    }
    letters > damaged
}

fn line_of(bytes: &[u8], at: usize) -> u64 {
    crate::table::newlines(&bytes[..at]) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_with_and_without_a_mark_reads_the_same() {
        assert_eq!(decode("é".as_bytes()), Ok((Cow::Borrowed("é"), Encoding::Utf8)));
        assert_eq!(decode(b"\xEF\xBB\xBF\xC3\xA9"), Ok((Cow::Borrowed("é"), Encoding::Utf8)));
    }

    #[test]
    fn single_bytes_with_accents_are_windows_1252() {
        assert_eq!(decode(b"Unit\xE9;\x80 \x8Cuvre"), Ok((Cow::Borrowed("Unité;€ Œuvre"), Encoding::Windows1252)));
    }

    #[test]
    fn utf16_workbooks_nul_bytes_and_damage_are_told_apart() {
        assert_eq!(decode(b"\xFF\xFEU\0n\0"), Err(FileProblem::Utf16));
        assert_eq!(decode(b"U\0n\0i\0t\0"), Err(FileProblem::Utf16));
        assert_eq!(decode(b"PK\x03\x04rest"), Err(FileProblem::Workbook));
        assert_eq!(decode(b"unit,name\n1,Ada\r\n2,B\0b"), Err(FileProblem::NulByte { line: 3 }));
        assert_eq!(decode(b"\xEF\xBB\xBFname\nb\xE9"), Err(FileProblem::DamagedUtf8 { line: 2 }));
        assert_eq!(
            decode("é à\nü \u{e9}".as_bytes().iter().copied().chain([0xE9]).collect::<Vec<_>>().as_slice()),
            Err(FileProblem::DamagedUtf8 { line: 2 })
        );
        assert_eq!(decode(&vec![b'a'; MAX_BYTES + 1]), Err(FileProblem::TooLarge { bytes: MAX_BYTES + 1 }));
    }
}
