//! Signatures in every form that is accepted and refused, and what is read of webhooks.

use super::*;

/// The worked example of Twilio's security guide.
const TOKEN: &str = "12345";
const ADDRESS: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
const BODY: &[u8] =
    b"Digits=1234&To=%2B18005551212&From=%2B14158675309&Caller=%2B14158675309&CallSid=CA1234567890ABCDE";
const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=UTF-8");

fn example() -> Received<'static> {
    Received { address: ADDRESS, content_type: FORM, signature: Some(SIGNATURE), body: BODY }
}

fn sign(token: &str, address: &str, parameters: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    STANDARD.encode(hmac::sign(&key, format!("{address}{parameters}").as_bytes()))
}

fn check(received: &Received<'_>) -> Result<(), SignatureProblem> {
    verify(received, &[Secret::from("old"), Secret::from(TOKEN)])
}

#[test]
fn the_known_answer_of_twilio_is_accepted() {
    assert_eq!(check(&example()), Ok(()));
    // Whatever order the parameters arrive in.
    let body = b"CallSid=CA1234567890ABCDE&From=%2B14158675309&To=%2B18005551212&Digits=1234&Caller=%2B14158675309";
    assert_eq!(check(&Received { body, ..example() }), Ok(()));
}

#[test]
fn anything_else_is_refused() {
    let forged = sign("wrong", ADDRESS, &sorted(BODY));
    for (received, expected) in [
        (Received { signature: None, ..example() }, SignatureProblem::Missing),
        (Received { signature: Some(""), ..example() }, SignatureProblem::Mismatch),
        (Received { signature: Some("***"), ..example() }, SignatureProblem::Malformed),
        (Received { signature: Some(&forged), ..example() }, SignatureProblem::Mismatch),
        (Received { body: b"Digits=1235", ..example() }, SignatureProblem::Mismatch),
        (Received { address: "https://mycompany.com/myapp.php?foo=1&bar=3", ..example() }, SignatureProblem::Mismatch),
        (Received { address: "http://mycompany.com/myapp.php?foo=1&bar=2", ..example() }, SignatureProblem::Mismatch),
        (Received { address: "mycompany.com", ..example() }, SignatureProblem::Malformed),
        (Received { content_type: Some("application/json"), ..example() }, SignatureProblem::Malformed),
        (Received { content_type: None, ..example() }, SignatureProblem::Malformed),
    ] {
        assert_eq!(check(&received), Err(expected));
    }
    assert_eq!(verify(&example(), &[]), Err(SignatureProblem::Mismatch));
    let empty = sign("", ADDRESS, &sorted(BODY));
    assert_eq!(
        verify(&Received { signature: Some(&empty), ..example() }, &[Secret::from("")]),
        Err(SignatureProblem::Mismatch)
    );
}

#[test]
fn unknown_parameters_are_signed_like_any_other() {
    let body = [BODY, b"&Zodiac=caf%C3%A9+%26&ApiVersion=2027-01-01&Empty="].concat();
    let signature = sign(TOKEN, ADDRESS, &sorted(&body));
    let received = Received { body: &body, signature: Some(&signature), ..example() };
    assert_eq!(check(&received), Ok(()));
    let plain = "ApiVersion2027-01-01CallSidCA1234567890ABCDECaller+14158675309Digits1234EmptyFrom+14158675309To+18005551212\
                 Zodiaccafé &";
    assert_eq!(sign(TOKEN, ADDRESS, plain), signature);
    assert_eq!(check(&Received { signature: Some(SIGNATURE), ..received }), Err(SignatureProblem::Mismatch));
}

#[test]
fn a_name_that_comes_twice_counts_each_value_once() {
    let body = b"Media=b&Media=a&Media=b";
    let signature = sign(TOKEN, ADDRESS, "MediaaMediab");
    assert_eq!(check(&Received { body, signature: Some(&signature), ..example() }), Ok(()));
}

#[test]
fn the_port_may_be_there_or_not_on_either_side() {
    let forms = [
        ["https://hoa.example.org/x?a=1", "https://hoa.example.org:443/x?a=1"],
        ["http://hoa.example.org/x", "http://hoa.example.org:80/x"],
        ["https://hoa.example.org:8443/x", "https://hoa.example.org/x"],
        ["https://[2001:db8::1]:8443/x", "https://[2001:db8::1]/x"],
        ["https://hoa.example.org:443?a=1", "https://hoa.example.org?a=1"],
    ];
    for [one, other] in forms {
        for (ours, theirs) in [(one, one), (one, other), (other, other)] {
            let signature = sign(TOKEN, theirs, &sorted(BODY));
            assert_eq!(
                check(&Received { address: ours, signature: Some(&signature), ..example() }),
                Ok(()),
                "{ours} {theirs}"
            );
        }
        // Another port than ours is another server.
        let signature = sign(TOKEN, "https://hoa.example.org:9999/x", &sorted(BODY));
        let received = Received { address: one, signature: Some(&signature), ..example() };
        assert_eq!(check(&received), Err(SignatureProblem::Mismatch));
    }
}

#[test]
fn a_json_body_is_bound_by_its_hash_in_the_signed_address() {
    let body = br#"{"MessageSid":"SM1"}"#;
    for (hash, expected) in [(hash(body), Ok(())), (hash(b"{ }"), Err(SignatureProblem::Mismatch))] {
        let address = format!("https://hoa.example.org/webhooks?bodySHA256={hash}");
        let signature = sign(TOKEN, &address, "");
        let received =
            Received { address: &address, content_type: Some("application/json"), signature: Some(&signature), body };
        assert_eq!(check(&received), expected);
        assert_eq!(check(&Received { body: b"{}", ..received }), Err(SignatureProblem::Mismatch));
    }
}

fn noticed(path: &str, body: &str) -> Result<TwilioNotice, Unreadable> {
    parse(&envelope(path, FORM, body.as_bytes()))
}

#[test]
fn a_callback_names_our_text_by_its_address() {
    let (organization, text) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let address = status_callback("https://hoa.example.org", organization, text);
    let path = address.strip_prefix("https://hoa.example.org").expect("a path");
    let body = "SmsSid=SM1&MessageSid=SM1&SmsStatus=undelivered&MessageStatus=undelivered&ErrorCode=30005&New=1";
    let expected = StatusNotice {
        sid: "SM1".to_owned(),
        status: TextStatus::Undelivered,
        word: "undelivered".to_owned(),
        error: Some(30005),
        organization: Some(organization),
        text: Some(text),
    };
    assert_eq!(noticed(path, body), Ok(TwilioNotice::Status(expected)));
    // A word of later times; an address that was not ours.
    let odd = noticed("/webhooks/twilio/status?text=x", "SmsSid=SM1&SmsStatus=teleported&ErrorCode=0");
    let expected = StatusNotice {
        sid: "SM1".to_owned(),
        status: TextStatus::Unrecognized,
        word: "teleported".to_owned(),
        error: None,
        organization: None,
        text: None,
    };
    assert_eq!(odd, Ok(TwilioNotice::Status(expected)));
}

#[test]
fn the_same_message_and_status_is_the_same_webhook() {
    let id = |path: &str, body: &str| identity(&envelope(path, FORM, body.as_bytes()));
    let sent = id(STATUS_PATH, "MessageSid=SM1&MessageStatus=sent");
    assert_eq!(sent.as_deref(), Some("status/SM1/sent"));
    assert_eq!(id(STATUS_PATH, "MessageStatus=sent&MessageSid=SM1&More=1"), sent);
    assert_ne!(id(STATUS_PATH, "MessageSid=SM1&MessageStatus=delivered"), sent);
    assert_eq!(id(INBOUND_PATH, "MessageSid=SM2&From=%2B15555550100&Body=STOP").as_deref(), Some("inbound/SM2"));
    assert_eq!(id(INBOUND_PATH, "Body=STOP"), None);
}

#[test]
fn who_answered_is_told_by_the_provider_or_by_its_own_words() {
    let answered =
        |rest: &str| match noticed(INBOUND_PATH, &format!("MessageSid=SM1&From=%2B15555550100&To=%2B1&{rest}")) {
            Ok(TwilioNotice::Inbound(notice)) => notice.answered,
            other => panic!("{other:?}"),
        };
    assert_eq!(answered("Body=Arr%C3%AAt&OptOutType=STOP"), Some(Answered::Stop));
    assert_eq!(answered("Body=STOP&OptOutType=LATER"), None);
    for word in ["stop", " Stop ", "UNSUBSCRIBE", "end", "quit", "stopall", "revoke", "optout", "cancel"] {
        assert_eq!(answered(&format!("Body={}", word.replace(' ', "+"))), Some(Answered::Stop), "{word}");
    }
    assert_eq!(answered("Body=info"), Some(Answered::Help));
    assert_eq!(answered("Body=unstop"), Some(Answered::Start));
    // These we have to answer ourselves.
    for body in ["Body=opt+out", "Body=Arr%C3%AAt", "Body=alto", "Body=stop+it", "Body="] {
        assert_eq!(answered(body), None, "{body}");
    }
}

#[test]
fn what_no_text_of_the_database_can_hold_is_left_out_and_the_rest_is_read() {
    let form = noticed(INBOUND_PATH, "MessageSid=SM%001&From=%2B15555550100&To=%00&Body=who+is%00+this%00");
    let json = br#"{"MessageSid":"SM1","From":"+15555550100","To":"\u0000","Body":"who is\u0000 this\u0000"}"#;
    let json = parse(&envelope(INBOUND_PATH, Some("application/json"), json));
    for read in [form, json] {
        let Ok(TwilioNotice::Inbound(notice)) = read else { panic!("{read:?}") };
        assert_eq!((notice.sid.as_str(), notice.body.as_str(), notice.to.as_str()), ("SM1", "who is this", ""));
    }
}

#[test]
fn json_is_read_like_a_form_and_nonsense_is_not() {
    let json = envelope(
        STATUS_PATH,
        Some("application/json"),
        br#"{"MessageSid":"SM1","MessageStatus":"sent","ErrorCode":30003,"x":[]}"#,
    );
    assert!(matches!(parse(&json), Ok(TwilioNotice::Status(notice)) if notice.error == Some(30003)));
    assert_eq!(parse(&envelope(STATUS_PATH, None, b"[]")), Err(Unreadable::Body));
    assert_eq!(parse(b"MessageSid=SM1"), Err(Unreadable::Envelope));
    assert_eq!(noticed(STATUS_PATH, "MessageSid=SM1"), Err(Unreadable::Missing("MessageStatus")));
    assert_eq!(noticed(INBOUND_PATH, "MessageSid=SM1"), Err(Unreadable::Missing("From")));
}

#[test]
fn debug_shows_nobody() {
    let notice = noticed(INBOUND_PATH, "MessageSid=SM1&From=%2B15555550100&Body=secret").expect("a notice");
    let shown = format!("{notice:?} {:?}", example());
    assert!(!shown.contains("5555550100") && !shown.contains("secret") && !shown.contains("1234"), "{shown}");
}
