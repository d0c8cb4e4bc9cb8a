//! Finds a message again that may have been handed over: after its key's time, sending is no way to find out.

use chrono::{DateTime, TimeDelta, Utc};
use processes::ports::{Outcome, OutgoingEmail};
use reqwest::header::AUTHORIZATION;
use serde::{Deserialize, de::DeserializeOwned};

use super::{AFTER_CONNECT_FAILURE, AFTER_RATE_LIMIT, ResendMail, one_line, refused, token};
use crate::http;

/// As many as Resend lists at once.
const PAGE: u32 = 100;
/// Beyond so many pages a person looks instead.
const PAGES: u32 = 200;
/// How far Resend's clock and ours may be apart.
const SKEW: TimeDelta = TimeDelta::minutes(10);

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    has_more: bool,
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    created_at: String,
}

#[derive(Deserialize)]
struct Shown {
    text: Option<String>,
}

/// RFC 3339, or as PostgreSQL writes it: Resend's documents show both.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let parsed =
        DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z"));
    parsed.ok().map(|moment| moment.to_utc())
}

impl ResendMail {
    /// Newest first, back to `since`: the same recipient, subject and text is the same message.
    pub(super) async fn look_up(&self, email: &OutgoingEmail, since: DateTime<Utc>) -> Outcome<Option<String>> {
        let subject = one_line(&email.subject);
        let mut after = String::new();
        for _ in 0..PAGES {
            let page: Page = match self.read(&format!("?limit={PAGE}{after}")).await {
                Ok(page) => page,
                Err(failure) => return failure,
            };
            for listed in &page.data {
                if moment(&listed.created_at).is_some_and(|created| created < since - SKEW) {
                    return Outcome::Done(None);
                }
                if listed.subject != subject || !listed.to.iter().any(|to| to.eq_ignore_ascii_case(&email.to)) {
                    continue;
                }
                match self.read::<Shown>(&format!("/{}", token(&listed.id))).await {
                    Ok(shown) if shown.text.as_deref() == Some(&email.text) => {
                        return Outcome::Done(Some(listed.id.clone()));
                    }
                    Ok(_) => {}
                    Err(failure) => return failure,
                }
            }
            match page.data.last().filter(|_| page.has_more) {
                Some(last) => after = format!("&after={}", token(&last.id)),
                None => return Outcome::Done(None),
            }
        }
        refused("too_many_emails", "the message may lie further back than was looked".to_owned())
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Outcome<Option<String>>> {
        let request = self.http.get(format!("{}{path}", self.emails)).header(AUTHORIZATION, self.authorization.clone());
        let again = |after, why| Err(Outcome::Retry { after, why });
        let answer = match http::send(request).await {
            Ok(answer) => answer,
            Err(lost) => return again(AFTER_CONNECT_FAILURE, lost.why()),
        };
        let why = format!("{} to a look at the e-mails", answer.status);
        match (answer.status, answer.body) {
            (200..=299, Ok(body)) => serde_json::from_slice(&body)
                .map_err(|_| refused("unreadable", "the e-mails cannot be read".to_owned())),
            (200..=299, Err(lost)) => again(AFTER_CONNECT_FAILURE, lost.why()),
            (429, _) => again(http::retry_after(&answer.headers).unwrap_or(AFTER_RATE_LIMIT), why),
            (status @ 400..=499, _) if status != 408 => Err(refused(&status.to_string(), why)),
            _ => again(AFTER_CONNECT_FAILURE, why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_a_moment_are_read() {
        let moment = |text| moment(text).map(|moment| moment.to_rfc3339());
        assert_eq!(moment("2023-04-03 22:13:42.674981+00").as_deref(), Some("2023-04-03T22:13:42.674981+00:00"));
        assert_eq!(moment("2023-04-03T22:13:42.674Z").as_deref(), Some("2023-04-03T22:13:42.674+00:00"));
        assert_eq!(moment("yesterday"), None);
    }
}
