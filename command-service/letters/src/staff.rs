//! Letters to those who look after the organization's machinery; they are no residents, and see no portal.

use askama::Template;
use chrono::NaiveDate;

use crate::{
    RenderError, Rendered, date,
    layout::one_line,
    notice::{Notice, NoticeHtml, NoticeText},
    page::{Envelope, Fact, Frame, Paper, finished, web_address},
};

pub fn webhook_disabled(
    paper: Paper<'_>,
    host: &str,
    description: Option<&str>,
    failing_since: Option<NaiveDate>,
    webhook_url: &str,
) -> Result<Rendered, RenderError> {
    let phrases = &paper.words.webhook;
    let host = one_line(host);
    let intro = failing_since
        .map_or_else(|| phrases.intro_gone.to_owned(), |day| (phrases.intro_failing)(&date(day, paper.language)));
    let envelope = Envelope {
        resident: paper.head.organization,
        subject: (phrases.subject)(&host),
        preheader: intro.clone(),
        action: phrases.view,
        link: web_address(webhook_url, "link to the webhook")?,
    };
    let mut facts = vec![Fact::strong(phrases.receiver, host)];
    facts.extend(description.map(|text| Fact::plain(phrases.description, one_line(text))));
    let letter = Notice { intro, facts, after: vec![phrases.kept.to_owned(), phrases.mend.to_owned()], second: None };
    let mut frame = Frame::try_new(paper.words, paper.head, envelope)?;
    frame.because = (phrases.because)(&frame.organization);
    frame.portal_url = None;
    let html = NoticeHtml { frame: &frame, letter: &letter }.render()?;
    let text = NoticeText { frame: &frame, letter: &letter }.render()?;
    Ok(finished(frame, html, &text))
}

#[cfg(test)]
mod tests {
    use events::Language;

    use crate::{Letter, Letterhead, render};

    #[test]
    fn whoever_looks_after_a_webhook_is_told_why_it_stopped_and_what_to_do() {
        let head = Letterhead {
            organization: "Evergreen",
            sender: "Evergreen",
            property: None,
            property_address: None,
            contact: None,
            portal_url: "https://propty.example.org",
        };
        let since = chrono::NaiveDate::from_ymd_opt(2026, 3, 1);
        for (language, failing, gone, mend) in [
            (Language::En, "accepted nothing since March 1, 2026", "it is gone (410)", "send it a test event"),
            (Language::Fr, "n’a rien accepté depuis le 1er mars 2026", "n’existe plus (410)", "un événement d’essai"),
            (
                Language::Es,
                "no ha aceptado nada desde el 1 de marzo de 2026",
                "ya no existe (410)",
                "un evento de prueba",
            ),
        ] {
            for (failing_since, why) in [(since, failing), (None, gone)] {
                let letter = Letter::WebhookDisabled {
                    host: "hooks.example.com",
                    description: Some("<b>Accounting</b>"),
                    failing_since,
                    webhook_url: "https://propty.example.org/v1/webhooks/1".to_owned(),
                };
                let rendered = render(&letter, &head, language).expect("a letter");
                assert!(rendered.subject.contains("hooks.example.com"), "{}", rendered.subject);
                for text in [rendered.text.replace('\n', " "), rendered.html.clone()] {
                    for expected in [why, mend, "hooks.example.com", "https://propty.example.org/v1/webhooks/1"] {
                        assert!(text.contains(expected), "{expected} is missing in {text}");
                    }
                }
                assert!(!rendered.html.contains("<b>Accounting"), "what people typed is escaped");
                assert!(!rendered.text.to_lowercase().contains("portal"), "{}", rendered.text);
            }
        }
    }
}
