//! E-mail through any SMTP server, step by step, so that a failure's place tells whether the server may have the message.

mod failure;
mod message;

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use events::payment::UnknownCause;
use lettre::{
    Message,
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail as MailFrom, Rcpt},
        extension::ClientId,
        response::{Response, Severity},
    },
};
use percent_encoding::percent_decode_str;
use processes::ports::{Mail, MailPromise, Outcome, OutgoingEmail, Refused};
use reqwest::Url;
use tokio::time::timeout;

use self::failure::Failure;
use crate::{Secret, SettingsError};

/// Idle connections kept, and for how long; servers commonly hang up after a minute or more.
const MOST_IDLE: usize = 8;
const LONGEST_IDLE: Duration = Duration::from_secs(30);

const AFTER_CONNECT_FAILURE: Duration = Duration::from_secs(10);
/// Greylisting wants minutes; a busy server wants less.
const AFTER_REPLY: Duration = Duration::from_secs(60);

/// Refusals of the sender's settings (RFC 4954: sign in first, or encrypt first), not of the message: it waits for repair.
const NEEDS_SETTINGS: [&str; 4] = ["530", "534", "535", "538"];

/// Where the SMTP server is and how long it may take.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// `smtp://[user:password@]host[:25]` without TLS, `smtp+starttls://…[:587]` with STARTTLS required,
    /// `smtps://…[:465]` with TLS from the start.
    pub url: Secret,
    /// For reaching the server, TLS and signing in.
    pub connect_timeout: Duration,
    /// For each command, and for the message.
    pub timeout: Duration,
}

enum Tls {
    Never,
    /// STARTTLS, or no mail at all.
    Upgraded(TlsParameters),
    Implicit(TlsParameters),
}

/// One SMTP server.
pub struct SmtpMail {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    connect_timeout: Duration,
    timeout: Duration,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl fmt::Debug for SmtpMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMail").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl SmtpMail {
    /// Opens no connection yet.
    pub fn try_new(settings: &SmtpSettings) -> Result<Self, SettingsError> {
        // Never the address itself: it may hold a password.
        let refuse = |why| SettingsError::Address("smtp://…".to_owned(), why);
        let url = Url::parse(settings.url.expose()).map_err(|_| refuse("not a URL"))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| refuse("no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("only scheme, user, password, host and port"));
        }
        let parameters = || TlsParameters::new(host.clone()).map_err(SettingsError::Tls);
        let (tls, port) = match url.scheme() {
            "smtp" => (Tls::Never, 25),
            "smtp+starttls" => (Tls::Upgraded(parameters()?), 587),
            "smtps" => (Tls::Implicit(parameters()?), 465),
            _ => return Err(refuse("the scheme is none of smtp, smtp+starttls, smtps")),
        };
        let plain = |text: &str| percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned);
        let user = plain(url.username()).map_err(|_| SettingsError::Credential("user"))?;
        let password = plain(url.password().unwrap_or_default()).map_err(|_| SettingsError::Credential("password"))?;
        Ok(Self {
            host,
            port: url.port().unwrap_or(port),
            tls,
            credentials: (!user.is_empty()).then(|| Credentials::new(user, password)),
            connect_timeout: settings.connect_timeout,
            timeout: settings.timeout,
            idle: Mutex::default(),
        })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(AsyncSmtpConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that just answered, or a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, Failure> {
        loop {
            let Some((mut connection, since)) = self.idle().pop() else { break };
            if since.elapsed() < LONGEST_IDLE && timeout(self.timeout, connection.test_connected()).await == Ok(true) {
                return Ok(connection);
            }
        }
        timeout(self.connect_timeout, self.connect()).await.map_err(|_| Failure::TimedOut)?.map_err(|e| Failure::of(&e))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let name = ClientId::default();
        let wrapper = match &self.tls {
            Tls::Implicit(parameters) => Some(parameters.clone()),
            Tls::Never | Tls::Upgraded(_) => None,
        };
        let server = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(self.connect_timeout), &name, wrapper, None).await?;
        if let Tls::Upgraded(parameters) = &self.tls {
            connection.starttls(parameters.clone(), &name).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await?;
        }
        Ok(connection)
    }

    async fn step(
        &self,
        answer: impl Future<Output = Result<Response, Error>>,
        expected: impl Fn(&Response) -> bool,
    ) -> Result<(), Failure> {
        let response =
            timeout(self.timeout, answer).await.map_err(|_| Failure::TimedOut)?.map_err(|e| Failure::of(&e))?;
        if expected(&response) { Ok(()) } else { Err(Failure::Odd(format!("unexpected reply {}", response.code()))) }
    }

    /// Everything up to the server's invitation to send the message. A server has no message before it has its last line.
    async fn open(&self, connection: &mut AsyncSmtpConnection, message: &Message) -> Result<(), Failure> {
        let envelope = message.envelope();
        let done = |response: &Response| response.code().severity == Severity::PositiveCompletion;
        self.step(connection.command(MailFrom::new(envelope.from().cloned(), vec![])), done).await?;
        for recipient in envelope.to() {
            self.step(connection.command(Rcpt::new(recipient.clone(), vec![])), done).await?;
        }
        // Anything but 354 would turn the message's lines into commands.
        self.step(connection.command(Data), |response| response.has_code(354)).await
    }
}

#[async_trait]
impl Mail for SmtpMail {
    fn name(&self) -> &'static str {
        "smtp"
    }

    fn promise(&self) -> MailPromise {
        MailPromise::AtMostOnce
    }

    /// SMTP knows no idempotency key; the same `Message-ID` lets a recipient's server recognise a repeat.
    async fn send(&self, email: &OutgoingEmail, _idempotency_key: &str) -> Outcome<Option<String>> {
        let message = match message::build(email) {
            Ok(message) => message,
            Err(refused) => return Outcome::Refused(refused),
        };
        let bytes = message.formatted();
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            // A refused sign-in is a fault of the configuration, not of this message: it waits until someone repairs it.
            Err(failure) => {
                let replied = matches!(failure, Failure::Reply { .. });
                let after = if replied { AFTER_REPLY } else { AFTER_CONNECT_FAILURE };
                return Outcome::Retry { after, why: failure.why("connecting") };
            }
        };
        if let Err(failure) = self.open(&mut connection, &message).await {
            hang_up(connection);
            return match failure {
                Failure::Reply { permanent: true, code } if !NEEDS_SETTINGS.contains(&code.as_str()) => {
                    refused(code, "the envelope was refused")
                }
                failure => Outcome::Retry { after: AFTER_REPLY, why: failure.why("opening the message") },
            };
        }
        let done = |response: &Response| response.code().severity == Severity::PositiveCompletion;
        let failure = match self.step(connection.message(&bytes), done).await {
            Ok(()) => {
                tracing::debug!(message.id = %email.reference, "smtp accepted");
                let mut idle = self.idle();
                if idle.len() < MOST_IDLE {
                    idle.push((connection, Instant::now()));
                }
                return Outcome::Done(None);
            }
            Err(failure) => failure,
        };
        hang_up(connection);
        let why = failure.why("sending the message");
        match failure {
            Failure::Reply { permanent: true, code } => refused(code, "the message was refused"),
            // RFC 5321, 4.2.5: after a negative reply to the message the server must not deliver it.
            Failure::Reply { permanent: false, .. } => Outcome::Retry { after: AFTER_REPLY, why },
            Failure::Odd(_) => Outcome::Unknown { cause: UnknownCause::Undecodable, why },
            Failure::TimedOut | Failure::Broken(_) => Outcome::Unknown { cause: UnknownCause::TimedOut, why },
        }
    }
}

fn refused<T>(code: String, why: &str) -> Outcome<T> {
    Outcome::Refused(Refused { code, why: why.to_owned() })
}

/// Says goodbye in the background: a server that does not answer must not hold the caller up.
fn hang_up(mut connection: AsyncSmtpConnection) {
    tokio::spawn(async move { timeout(Duration::from_secs(5), connection.abort()).await });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(url: &str) -> Result<SmtpMail, SettingsError> {
        let second = Duration::from_secs(1);
        SmtpMail::try_new(&SmtpSettings { url: url.into(), connect_timeout: second, timeout: second })
    }

    #[test]
    fn addresses_give_host_port_and_tls() -> Result<(), SettingsError> {
        let plain = mail("smtp://127.0.0.1:1025")?;
        assert_eq!((plain.host.as_str(), plain.port, plain.credentials.is_none()), ("127.0.0.1", 1025, true));
        let starttls = mail("smtp+starttls://relay%40example.com:p%3Aw@mail.example.com")?;
        assert_eq!(starttls.port, 587);
        assert!(matches!(starttls.tls, Tls::Upgraded(_)));
        assert_eq!(starttls.credentials, Some(Credentials::new("relay@example.com".to_owned(), "p:w".to_owned())));
        let implicit = mail("smtps://mail.example.com/")?;
        assert_eq!(implicit.port, 465);
        assert!(matches!(implicit.tls, Tls::Implicit(_)));
        assert_eq!(mail("smtp://[::1]:25")?.host, "::1");
        Ok(())
    }

    #[test]
    fn other_addresses_are_refused_without_quoting_them() {
        for url in [
            "",
            "mail.example.com",
            "http://mail.example.com",
            "smtp://",
            "smtp://u:hush@h/path",
            "smtp://u:hush@h?tls=no",
        ] {
            let problem = mail(url).err().map(|problem| format!("{problem} {problem:?}"));
            assert!(problem.is_some_and(|problem| !problem.contains("hush")), "{url}");
        }
    }

    #[test]
    fn debug_shows_no_credentials() {
        let shown = mail("smtp://relay:hush@mail.example.com").map(|mail| format!("{mail:?}"));
        assert!(shown.is_ok_and(|shown| shown.contains("mail.example.com") && !shown.contains("hush")));
    }
}
