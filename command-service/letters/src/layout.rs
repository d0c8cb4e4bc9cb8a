//! Plain lines for mail: foreign text made harmless, long paragraphs wrapped.

/// The width that mail readers show without breaking lines themselves.
const WIDTH: usize = 72;

/// One line without line breaks, control characters or marks that turn the reading direction around.
pub fn one_line(text: &str) -> String {
    let text: String = text.chars().filter(|c| !turns_direction(*c)).map(|c| if breaks(c) { ' ' } else { c }).collect();
    text.trim().to_owned()
}

/// The lines of a description, each made harmless, without blank lines at either end.
pub fn lines(text: &str) -> Vec<String> {
    text.trim().lines().map(one_line).collect()
}

/// Breaks lines at spaces where they exceed 72 columns, keeps their indentation, and lets no two blank lines meet.
///
/// Only U+0020 is a place to break: French punctuation and amounts hold together by their no-break spaces, and an address
/// longer than a line stays whole.
pub fn wrapped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut blank = true;
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() {
            if !blank {
                out.push('\n');
            }
            blank = true;
            continue;
        }
        blank = false;
        wrap_line(line, &mut out);
    }
    let end = out.trim_end().len();
    out.truncate(end);
    out.push('\n');
    out
}

fn wrap_line(line: &str, out: &mut String) {
    let words = line.trim_start_matches(' ');
    let indent = &line[..line.len() - words.len()];
    let mut column = 0;
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.push_str(indent);
            column = indent.len();
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

/// U+2028 and U+2029 separate lines without being control characters.
fn breaks(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Overrides and isolates could make an amount or an address read backwards.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_break_at_spaces_and_keep_their_indentation() {
        let text = wrapped(&format!("  {}\n\n\n\nend\n\n", "word ".repeat(20)));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(text.lines().take(2).all(|line| line.starts_with("  word")));
        assert!(text.ends_with("word\n\nend\n"));
    }

    #[test]
    fn an_address_and_a_no_break_space_are_never_broken() {
        let address = format!("https://example.com/{}", "a".repeat(100));
        assert_eq!(wrapped(&address), format!("{address}\n"));
        let amount = format!("{} 1\u{202f}234,56\u{a0}$\u{a0}US", "x".repeat(65));
        assert_eq!(wrapped(&amount).lines().nth(1), Some("1\u{202f}234,56\u{a0}$\u{a0}US"));
    }

    #[test]
    fn foreign_text_becomes_one_harmless_line() {
        assert_eq!(one_line(" a\r\nBcc: b\u{2028}c\u{202e}d\0 "), "a  Bcc: b cd");
        assert_eq!(lines("\n one\r\n\n two\n"), ["one", "", "two"]);
    }
}
