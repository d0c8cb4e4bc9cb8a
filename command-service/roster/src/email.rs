//! One e-mail address, checked as far as a sender can rely on: plain ASCII, one @, a domain with a dot.

use crate::MAX_EMAIL;
use crate::problem::Fault;

pub(crate) fn parse(value: &str) -> Result<String, Fault> {
    if value.chars().count() > MAX_EMAIL {
        return Err(Fault::TooLong { limit: MAX_EMAIL });
    }
    if let Some(because) = because(value) {
        return Err(Fault::NotAnEmail { because });
    }
    let (local, domain) = value.rsplit_once('@').unwrap_or((value, ""));
    Ok(format!("{local}@{}", domain.to_ascii_lowercase()))
}

fn because(value: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    let dots = |part: &str| part.starts_with('.') || part.ends_with('.') || part.contains("..");
    match value.matches('@').count() {
        0 => return Some("it has no @"),
        1 => {}
        _ => return Some("it has more than one @; only one address fits here"),
    }
    let (local, domain) = value.split_once('@')?;
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let top = domain.rsplit('.').next().unwrap_or_default();
    if value.contains(' ') {
        Some("it has a blank in it")
    } else if !value.is_ascii() {
        Some("it has accented or other letters that mail systems refuse")
    } else if local.is_empty() {
        Some("nothing stands before the @")
    } else if local.len() > 64 || dots(local) || !local.bytes().all(plain) {
        Some("the part before the @ is not possible")
    } else if domain.is_empty() {
        Some("nothing stands after the @")
    } else if !domain.contains('.') {
        Some("the part after the @ has no dot, as in example.com")
    } else if !domain.split('.').all(label) || top.len() < 2 || top.bytes().all(|byte| byte.is_ascii_digit()) {
        Some("the part after the @ is not possible")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_addresses_pass_with_the_domain_in_lower_case() {
        assert_eq!(parse("Zoe.O'Neil+hoa@Mail.Example.COM").as_deref(), Ok("Zoe.O'Neil+hoa@mail.example.com"));
    }

    #[test]
    fn bad_addresses_are_refused_with_a_reason() {
        for (value, part) in [
            ("zoe", "no @"),
            ("zoe@", "after the @"),
            ("@example.com", "before the @"),
            ("zoe@example", "no dot"),
            ("zoe@example..com", "after the @"),
            ("zoe@-a.com", "after the @"),
            ("zoe@1.2.3.4", "after the @"),
            (".zoe@example.com", "before the @"),
            ("zoe k@example.com", "blank"),
            ("zoé@example.com", "accented"),
            ("a@example.com;b@example.com", "more than one"),
            ("Zoe<zoe@example.com>", "before the @"),
        ] {
            let fault = parse(value).expect_err(value).to_string();
            assert!(fault.contains(part), "{value}: {fault}");
        }
        assert_eq!(parse(&format!("a@{}.com", "b".repeat(260))), Err(Fault::TooLong { limit: 254 }));
    }
}
