//! What the SMTP adapter makes of a server that accepts, refuses, falls silent or hangs up at each step.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use events::payment::UnknownCause;
use integrations::{Secret, SmtpMail, SmtpSettings};
use processes::ports::{Mail, MailPromise, Outcome, OutgoingEmail};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::resend::email;

/// What the server does instead of agreeing.
#[derive(Debug, Clone, Copy)]
enum Twist {
    None,
    /// A reply in place of the good one, to the step that begins so; `.` is the end of the message, `GREETING` the start.
    Says(&'static str, &'static str),
    HangsUp(&'static str),
    FallsSilent(&'static str),
}

impl Twist {
    const fn step(self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Says(step, _) | Self::HangsUp(step) | Self::FallsSilent(step) => step,
        }
    }
}

struct Server {
    url: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(twist: Twist) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("smtp://{}", listener.local_addr().expect("an address"));
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                log.lock().unwrap_or_else(PoisonError::into_inner).push("CONNECT".to_owned());
                tokio::spawn(serve(stream, twist, Arc::clone(&log)));
            }
        });
        Self { url, lines }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, start: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(start)).count()
    }
}

async fn serve(stream: TcpStream, twist: Twist, log: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut line, mut in_message) = ("GREETING".to_owned(), false);
    loop {
        let good = match line.as_str() {
            "GREETING" => "220 ready",
            "." if in_message => "250 queued",
            "DATA" => "354 go on",
            line if line.starts_with("EHLO") => "250-here\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
            line if line.starts_with("AUTH") => "235 welcome",
            _ => "250 fine",
        };
        let silent = in_message && line != ".";
        if !silent {
            let at_step = line.starts_with(twist.step()) && (line != "." || in_message);
            let reply = match twist {
                Twist::Says(_, reply) if at_step => reply,
                Twist::HangsUp(_) if at_step => return Ok(()),
                Twist::FallsSilent(_) if at_step => {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    return Ok(());
                }
                _ => good,
            };
            in_message = line == "DATA" && reply.starts_with("354");
            stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        }
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        log.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
    }
}

fn mail(url: &str) -> SmtpMail {
    crate::install_tls();
    let settings = SmtpSettings {
        url: Secret::from(url),
        connect_timeout: Duration::from_millis(400),
        timeout: Duration::from_millis(400),
    };
    SmtpMail::try_new(&settings).expect("settings are good")
}

async fn send(twist: Twist) -> Outcome<Option<String>> {
    let server = Server::start(twist).await;
    mail(&server.url).send(&email(), "email:5").await
}

#[tokio::test]
async fn a_message_is_handed_over_and_the_connection_used_again() {
    let server = Server::start(Twist::None).await;
    let smtp = mail(&server.url);
    let tricky = OutgoingEmail { text: "one\n.\nMAIL FROM:<evil@example.org>\r\n.\r\ntwo".to_owned(), ..email() };
    assert_eq!(smtp.send(&tricky, "email:5").await, Outcome::Done(None));
    assert_eq!(smtp.send(&email(), "email:6").await, Outcome::Done(None));
    assert_eq!((server.count("CONNECT"), server.count("DATA"), server.count("NOOP")), (1, 2, 1));
    let lines = server.lines();
    for line in [
        "MAIL FROM:<hoa@example.com>",
        "RCPT TO:<ada@example.org>",
        "X-Message-Ref: 00000000-0000-0000-0000-000000000005",
    ] {
        assert_eq!(lines.iter().filter(|seen| seen.as_str() == line).count(), 2, "{line} in {lines:?}");
    }
    assert!(!lines.iter().any(|line| line.starts_with("Bcc")), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.as_str() == "..").count(), 2, "dots are doubled: {lines:?}");
    assert_eq!((smtp.name(), smtp.promise()), ("smtp", MailPromise::AtMostOnce));
}

#[tokio::test]
async fn a_permanent_no_is_a_refusal_wherever_it_comes() {
    for step in ["MAIL", "RCPT", "DATA", "."] {
        let outcome = send(Twist::Says(step, "550 no ada@example.org here")).await;
        let Outcome::Refused(refused) = &outcome else { panic!("{step}: {outcome:?}") };
        assert_eq!((refused.code.as_str(), refused.why.contains('@')), ("550", false));
    }
}

#[tokio::test]
async fn a_passing_no_is_tried_again_wherever_it_comes() {
    for step in ["MAIL", "RCPT", "DATA", "."] {
        let outcome = send(Twist::Says(step, "451 later")).await;
        assert!(matches!(outcome, Outcome::Retry { .. }), "{step}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_failure_before_the_message_sent_nothing() {
    for step in ["GREETING", "EHLO", "MAIL", "RCPT", "DATA"] {
        for twist in [Twist::HangsUp(step), Twist::FallsSilent(step), Twist::Says(step, "gibberish")] {
            let outcome = send(twist).await;
            assert!(matches!(outcome, Outcome::Retry { .. }), "{twist:?}: {outcome:?}");
        }
    }
    let refused = mail("smtp://127.0.0.1:1").send(&email(), "email:5").await;
    assert!(matches!(refused, Outcome::Retry { .. }), "{refused:?}");
    let busy = send(Twist::Says("GREETING", "554 no service")).await;
    assert!(matches!(busy, Outcome::Retry { .. }), "{busy:?}");
}

#[tokio::test]
async fn an_invitation_that_is_none_sends_no_message() {
    let server = Server::start(Twist::Says("DATA", "250 sure")).await;
    let outcome = mail(&server.url).send(&email(), "email:5").await;
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    assert_eq!(server.count("Subject:"), 0);
}

#[tokio::test]
async fn a_failure_after_the_message_is_unknown() {
    for (twist, expected) in [
        (Twist::HangsUp("."), UnknownCause::TimedOut),
        (Twist::FallsSilent("."), UnknownCause::TimedOut),
        (Twist::Says(".", "gibberish"), UnknownCause::TimedOut),
        (Twist::Says(".", "354 go on"), UnknownCause::Undecodable),
    ] {
        let outcome = send(twist).await;
        assert!(matches!(outcome, Outcome::Unknown { cause, .. } if cause == expected), "{twist:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn credentials_are_used_and_a_refused_sign_in_waits_for_repair() {
    let server = Server::start(Twist::None).await;
    let outcome = mail(&server.url.replace("smtp://", "smtp://relay:p%40ss@")).send(&email(), "email:5").await;
    assert_eq!((outcome, server.count("AUTH PLAIN")), (Outcome::Done(None), 1));
    let server = Server::start(Twist::Says("AUTH", "535 wrong")).await;
    let outcome = mail(&server.url.replace("smtp://", "smtp://relay:hush@")).send(&email(), "email:5").await;
    assert!(
        matches!(&outcome, Outcome::Retry { why, .. } if why.contains("535") && !why.contains("hush")),
        "{outcome:?}"
    );
    assert_eq!(server.count("MAIL"), 0);
    let outcome = send(Twist::Says("MAIL", "530 sign in first")).await;
    assert!(matches!(&outcome, Outcome::Retry { why, .. } if why.contains("530")), "{outcome:?}");
}

#[tokio::test]
async fn nothing_is_said_to_a_server_without_the_starttls_that_was_asked_for() {
    let server = Server::start(Twist::None).await;
    let outcome = mail(&server.url.replace("smtp://", "smtp+starttls://relay:hush@")).send(&email(), "email:5").await;
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    assert_eq!((server.count("AUTH"), server.count("MAIL")), (0, 0));
}

#[tokio::test]
async fn a_connection_that_went_stale_is_replaced() {
    let server = Server::start(Twist::HangsUp("NOOP")).await;
    let smtp = mail(&server.url);
    assert_eq!(smtp.send(&email(), "email:5").await, Outcome::Done(None));
    assert_eq!(smtp.send(&email(), "email:6").await, Outcome::Done(None));
    assert_eq!(server.count("CONNECT"), 2);
}
