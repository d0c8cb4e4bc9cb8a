//! E-mail through a real SMTP server, through one that is away for a while, and through one that never says whether it took it.

use std::{
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use uuid::Uuid;

use crate::world::{Options, PATIENCE, Process, World, link, port};

/// Reads the mailbox as a mail client would: headers decoded, parts decoded.
const READ: &str = "
import email, email.policy, glob, json, sys
letters = []
for path in sorted(glob.glob(sys.argv[1] + '/new/*') + glob.glob(sys.argv[1] + '/cur/*')):
    with open(path, 'rb') as file:
        letter = email.message_from_binary_file(file, policy=email.policy.default)
    letters.append({
        'headers': {name.lower(): str(value) for name, value in letter.items()},
        'from': str(letter['from'].addresses[0].addr_spec),
        'kind': letter.get_content_type(),
        'parts': {part.get_content_type(): part.get_content() for part in letter.walk() if not part.is_multipart()},
    })
print(json.dumps(letters))
";

/// A real mail server that keeps letters in a folder.
struct MailServer {
    process: Process,
    mailbox: PathBuf,
    port: u16,
}

impl MailServer {
    /// Installs the server from the package index into a folder; not started yet.
    fn install(folder: &Path) -> Self {
        let venv = folder.join("venv");
        must("python3", &["-m", "venv", &venv.display().to_string()]);
        let python = venv.join("bin/python").display().to_string();
        must(&python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "aiosmtpd==1.4.6"]);
        let (mailbox, port) = (folder.join("mailbox"), port());
        let mut command = Command::new(python);
        command.args(["-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{port}"), "-c", "aiosmtpd.handlers.Mailbox"]);
        command.arg(&mailbox).stdin(Stdio::null());
        Self { process: Process::new(command, folder.join("smtp.stderr")), mailbox, port }
    }

    async fn start(&self) {
        self.process.start();
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "no mail server: {}", self.process.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The letters to an address so far.
    fn letters(&self, to: &str) -> Vec<Value> {
        let output = Command::new("python3").args(["-c", READ]).arg(&self.mailbox).output().expect("python3 runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut letters: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
        letters.retain(|letter| letter["headers"]["to"] == to);
        letters
    }

    async fn until_letters(&self, to: &str, count: usize) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let letters = self.letters(to);
            if letters.len() >= count {
                return letters;
            }
            assert!(started.elapsed() < PATIENCE, "{to} has {} letters", letters.len());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Runs a program that must succeed.
fn must(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("this test needs python3 with venv and pip: {program}: {error}"));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "this test needs python3 with venv and pip: {program} {args:?}: {told}");
}

fn mailing(port: u16) -> Options {
    Options { serve_args: vec!["--mail".to_owned(), format!("smtp://127.0.0.1:{port}")], ..Options::default() }
}

/// What every letter has; its text.
fn assert_letter(letter: &Value, sender: &str, message: &Value) -> String {
    let header = |name: &str| letter["headers"][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(header("x-message-ref"), message["message_id"].as_str().unwrap_or_default(), "{letter}");
    assert_eq!(letter["from"], "noreply@propty.example", "{letter}");
    assert!(header("from").starts_with(sender), "{letter}");
    assert_eq!(header("x-mailfrom"), "noreply@propty.example", "{letter}");
    assert_eq!(letter["kind"], "multipart/alternative", "{letter}");
    assert!(header("message-id").contains(&header("x-message-ref")) && !header("date").is_empty(), "{letter}");
    let part = |kind: &str| letter["parts"][kind].as_str().unwrap_or_default().to_owned();
    assert!(part("text/html").contains("<html") && !part("text/plain").contains('<'), "{letter}");
    part("text/plain")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_smtp_server_gets_each_letter_once_in_the_residents_language() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = MailServer::install(folder.path());
    server.start().await;
    let world = World::start(mailing(server.port)).await;
    let first = &world.first;
    let mut invoices = Vec::new();
    for (name, email, words) in [
        ("Ana", "ana.ruiz@example.com", ["Tiene una nueva factura", "Fecha de vencimiento"]),
        ("Benoit", "benoit.tremblay@example.com", ["facture", "échéance"]),
        ("Carol", "carol.whitfield@example.com", ["invoice", "Due"]),
    ] {
        let invoice = first.publish(first.resident(name), 42_500, true).await;
        let message = first.until_message(invoice, "invoice-published", "Sent").await;
        assert_eq!(message["provider"], "smtp", "{message}");
        let letters = server.until_letters(email, 1).await;
        assert_eq!(letters.len(), 1, "{letters:?}");
        let text = assert_letter(&letters[0], "Maple Court", &message);
        assert_eq!(letters[0]["headers"]["reply-to"], "manager@example.org", "{}", letters[0]);
        for word in words {
            assert!(text.to_lowercase().contains(&word.to_lowercase()), "{word} is not in: {text}");
        }
        invoices.push(invoice);
    }

    // Ana signs in by the link in her letter, pays, and gets her receipt.
    let visitor = world.visitor();
    let asked = visitor.post("/v1/sign-in-links", &json!({ "email": "ana.ruiz@example.com" })).await;
    assert_eq!(asked.status, 202);
    let letters = server.until_letters("ana.ruiz@example.com", 2).await;
    let message = first.manager.until_list("/v1/messages?kind=sign-in-link", |list| !list.is_empty()).await[0].clone();
    let letter = letters.iter().find(|letter| letter["headers"]["x-message-ref"] == message["message_id"]);
    let text = assert_letter(letter.expect("the sign-in letter"), "Evergreen Communities", &message);
    assert!(text.contains("Use el siguiente enlace"), "{text}");
    let link = link(&json!({ "text": text })).expect("a link");
    let ana = visitor.open_session(&link).await.expect("a session");
    assert!(visitor.open_session(&link).await.is_none(), "a link works once");
    world.pay(&ana, invoices[0], None).await;
    let message = first.until_message(invoices[0], "payment-received", "Sent").await;
    let letters = server.until_letters("ana.ruiz@example.com", 3).await;
    let letter = letters.iter().find(|letter| letter["headers"]["x-message-ref"] == message["message_id"]);
    let text = assert_letter(letter.expect("the receipt"), "Maple Court", &message);
    assert!(text.contains("Hemos recibido su pago") && text.contains("4242"), "{text}");

    // The server is away; the letter waits, and goes out once when it is back.
    server.process.kill9();
    let invoice = first.publish(first.resident("Dmitri"), 10_000, true).await;
    let waits = "select count(*) from engine.outbox where state = 'ready' and name = 'SendEmail' and last_error like '%connecting%'";
    let started = Instant::now();
    while world.count(waits).await == 0 {
        assert!(started.elapsed() < PATIENCE, "nothing waits for the server");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let waiting = first.until_message(invoice, "invoice-published", "Sending").await;
    server.start().await;
    first.until_message(invoice, "invoice-published", "Sent").await;
    world.settle().await;
    let letters = server.letters("dmitri.novak@example.com");
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0]["headers"]["x-message-ref"], waiting["message_id"]);
    assert_eq!(server.letters("ana.ruiz@example.com").len(), 3, "nothing came twice");
    world.assert_invariants().await;
}

/// A server of a few lines, which takes messages and, while silent, never says so.
struct Taciturn {
    port: u16,
    silent: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Taciturn {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (silent, taken) = (Arc::new(AtomicBool::new(true)), Arc::<Mutex<Vec<String>>>::default());
        let (hush, kept) = (silent.clone(), taken.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (hush, kept) = (hush.clone(), kept.clone());
                tokio::spawn(async move {
                    let (read, mut write) = stream.into_split();
                    let mut lines = BufReader::new(read).lines();
                    write.write_all(b"220 taciturn\r\n").await?;
                    while let Some(line) = lines.next_line().await? {
                        let answer = match line.split(' ').next().unwrap_or_default().to_uppercase().as_str() {
                            "DATA" => {
                                write.write_all(b"354 go on\r\n").await?;
                                let mut message = String::new();
                                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                                    message.push_str(&line);
                                    message.push('\n');
                                }
                                kept.lock().expect("a list").push(message);
                                if hush.load(Ordering::Relaxed) {
                                    std::future::pending::<()>().await;
                                }
                                "250 taken\r\n"
                            }
                            "QUIT" => "221 bye\r\n",
                            _ => "250 yes\r\n",
                        };
                        write.write_all(answer.as_bytes()).await?;
                    }
                    Ok::<_, std::io::Error>(())
                });
            }
        });
        Self { port, silent, taken }
    }

    fn count(&self) -> usize {
        self.taken.lock().expect("a list").len()
    }

    async fn until(&self, count: usize) {
        let started = Instant::now();
        while self.count() < count {
            assert!(started.elapsed() < PATIENCE, "{} messages were taken", self.count());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn reference(message: &str) -> &str {
    message.lines().find_map(|line| line.strip_prefix("X-Message-Ref: ")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_whose_answer_was_lost_is_left_to_a_person_and_never_sent_twice() {
    let server = Taciturn::start().await;
    let world = World::start(mailing(server.port)).await;
    let first = &world.first;
    let invoice = first.publish(first.resident("Ana"), 42_500, true).await;
    let other = first.publish(first.resident("Benoit"), 42_500, true).await;
    server.until(2).await;
    // The server has the messages; whether it took them, nobody will ever know.
    world.kill9();
    world.restart().await;
    let message = first.until_message(invoice, "invoice-published", "Unresolved").await;
    first.until_message(other, "invoice-published", "Unresolved").await;
    let id = message["message_id"].as_str().expect("an id").to_owned();
    assert_eq!(first.manager.list("/v1/messages?status=Unresolved").await.len(), 2);
    let list = async || String::from_utf8_lossy(&world.propty(&["outbox"]).await.stdout).into_owned();
    let told = list().await;
    for word in ["unresolved", "SendEmail", "the provider's answer was lost"] {
        assert_eq!(told.matches(word).count(), 2, "{word} in {told}");
    }
    assert_eq!(server.count(), 2, "something was sent twice");

    // Trying a row again does not send what may have been sent; nor does dropping it.
    let keys: Vec<&str> = told.lines().filter(|line| line.contains("/letters/")).map(str::trim).collect();
    for (action, key) in ["retry", "drop"].into_iter().zip(keys) {
        let done = world.propty(&["outbox", action, key]).await;
        assert!(done.status.success(), "{action} {key}: {}", String::from_utf8_lossy(&done.stderr));
    }
    world.settle().await;
    assert_eq!(list().await, "nothing is unresolved\n");
    assert_eq!(server.count(), 2, "a retry sent it twice");

    // A manager decides: a new message, with a reference of its own.
    server.silent.store(false, Ordering::Relaxed);
    let again = Uuid::now_v7();
    first.manager.command("ResendEmail", &json!({ "message_id": id, "as_message": again })).await;
    let sent = first.manager.until(&format!("/v1/messages/{again}"), |message| message["status"] == "Sent").await;
    assert_eq!(sent["resend_of"], json!(id), "{sent}");
    let earlier = first.manager.get(&format!("/v1/messages/{id}")).await;
    assert_eq!((&earlier["status"], &earlier["resent_as"]), (&json!("Unresolved"), &json!(again)), "{earlier}");
    let taken = server.taken.lock().expect("a list").clone();
    let references: std::collections::BTreeSet<&str> = taken.iter().map(|message| reference(message)).collect();
    assert_eq!((taken.len(), references.len()), (3, 3), "{references:?}");
    assert_eq!(reference(&taken[2]), again.to_string());
    world.assert_invariants().await;
}
