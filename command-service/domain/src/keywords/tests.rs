//! Every word, its writings, and what only looks like one.

use super::*;

fn reading(body: &str) -> Reading {
    read(body).reading
}

/// The ways in which thumbs write one word.
fn writings(word: &str) -> Vec<String> {
    let upper = word.to_uppercase();
    let mut title = word.to_owned();
    if let Some(first) = title.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    let spaced: String = word.chars().flat_map(|letter| [letter, ' ']).collect();
    let dotted: String = word.chars().flat_map(|letter| [letter, '.']).collect();
    let hidden: String = word.chars().flat_map(|letter| [letter, '\u{200b}']).collect();
    let wide: String =
        word.chars().map(|letter| char::from_u32(u32::from(letter) + 0xfee0).unwrap_or(letter)).collect();
    vec![
        word.to_owned(),
        upper.clone(),
        title.clone(),
        format!(" {word}. "),
        format!("\t{upper}!!!\r\n"),
        format!("\"{title}\""),
        format!("«{word}»"),
        format!("{upper} \u{1f620}"),
        format!("-{word}-"),
        spaced,
        dotted,
        hidden,
        wide,
        format!("¡{upper}!"),
        format!("\u{feff}{word}\u{200f}"),
        format!("#{word}"),
        format!("({word})…"),
    ]
}

#[test]
fn every_word_counts_in_every_writing() {
    for (list, wanted) in [(STOP, Reading::Stop), (HELP, Reading::Help), (START, Reading::Start)] {
        for word in list {
            for text in writings(word) {
                assert_eq!(reading(&text), wanted, "{text:?}");
            }
        }
    }
}

#[test]
fn no_word_is_in_two_lists_or_written_in_a_way_that_never_matches() {
    let all: Vec<_> = [STOP, HELP, START].concat();
    for word in &all {
        assert_eq!(words(word).concat(), *word);
        assert_eq!(all.iter().filter(|other| *other == word).count(), 1, "{word}");
    }
    for phrase in PHRASES {
        assert_eq!(words(phrase).join(" "), *phrase);
        assert_ne!(reading(phrase), Reading::Other, "{phrase}");
    }
    for weak in WEAK {
        assert_eq!(reading(&format!("xyz {weak} xyz")), Reading::MayMeanStop, "{weak}");
        assert_eq!(reading(&format!("{weak} of what we do in the yard each month")), Reading::Other, "{weak}");
    }
    for strong in STRONG {
        assert_eq!(reading(&format!("xyz {strong} xyz")), Reading::MayMeanStop, "{strong}");
    }
}

#[test]
fn the_words_of_the_law_and_their_relatives_end_texts() {
    for text in [
        " stop. ",
        "Stop",
        "STOP",
        "sToP",
        "stop!",
        "S T O P",
        "ARRÊT",
        "Arrêt.",
        "arret",
        "ARRE\u{302}T",
        "alto",
        "ALTO",
        "¡Alto!",
        "Baja",
        "opt out",
        "Opt-Out",
        "OPT OUT",
        "opt  out",
        "optout",
        "opt/out",
        "unsubscribe",
        "Unsubscribe.",
        "cancel",
        "CANCEL",
        "end",
        "quit",
        "revoke",
        "stopall",
        "stop all",
        "STOP ALL",
        "désabonner",
        "Désabonnement",
        "arrêter",
        "Arrêtez!",
        "cancelar",
        "dar de baja",
        "darse de baja",
        "no más",
        "ＳＴＯＰ",
        "𝐒𝐓𝐎𝐏",
        "st\u{200d}op",
        "stop\n",
        "stop \u{1f6d1}",
        "\u{1f6d1} stop \u{1f6d1}",
        "please stop",
        "Stop please",
        "stop texting me",
        "STOP TEXTING ME NOW",
        "please stop texting me",
        "stop sending me messages",
        "stop the texts",
        "stop stop stop",
        "STOP, thank you",
        "arrêtez les textos s'il vous plaît",
        "Arrêtez svp",
        "stop merci",
        "baja por favor",
        "ALTO por favor, gracias",
        "unsubscribe me please",
        "stop it",
        "please end",
        "END texts",
        "end all texts please",
        "fin svp",
        "Fin, merci.",
        "annuler les textos",
        "Annuler s'il vous plaît",
        "ALTO a los mensajes",
        "alto por favor",
        "pare de enviar mensajes",
        "terminar los mensajes",
        "salir, gracias",
        "arrêtez de m'envoyer des textos",
    ] {
        assert_eq!(reading(text), Reading::Stop, "{text:?}");
    }
}

#[test]
fn what_may_mean_stop_is_held_for_a_person() {
    for text in [
        "I want you to stop",
        "can you stop sending these to my work phone",
        "stopp contacting my wife",
        "don't text me",
        "Don’t text this number",
        "DO NOT TEXT ME AGAIN",
        "dont contact me",
        "no more texts",
        "No more!!",
        "remove me from your list",
        "take me off this list",
        "wrong number",
        "Wrong number, sorry",
        "who is this?",
        "not interested",
        "leave me alone",
        "lose my number",
        "I never signed up, unsubscribe",
        "please opt me out of these",
        "how do I opt out?",
        "How do I stop these messages?",
        "cancel my subscription to this",
        "I'll sue you",
        "my lawyer will hear about this",
        "this is spam",
        "ne m'écrivez plus jamais, je ne veux pas",
        "je ne veux plus recevoir de messages",
        "plus de textos",
        "mauvais numéro",
        "laissez-moi tranquille",
        "retirez-moi de la liste",
        "arrêtez de m'écrire à cette heure",
        "no quiero más mensajes",
        "no me envíen mensajes",
        "número equivocado",
        "dejen de escribirme",
        "quiero darme de baja",
        "¿quién es?",
        "no me interesa",
        "Stop by the office tomorrow",
        "we need to cancel the pool booking",
        "the bus stop is broken",
        "STOP sign at gate 3 is missing",
        "Alto. No me escribas",
        "no me mandes mensajes",
        "no me envíes nada",
        "deja de escribirme",
        "Déjame en paz",
        "je me désabonne",
        "je me désinscris de votre liste d'envoi",
        "ne m'envoyez pas de sms",
        "never text me again",
        "do not call or text",
        "dont msg me",
        "Don't write to me at this number any longer please",
        "cease and desist",
        "end of story",
        "put an end to this",
        "quiero salir de la lista",
        "fin des messages inutiles",
    ] {
        assert_eq!(reading(text), Reading::MayMeanStop, "{text:?}");
    }
}

#[test]
fn help_is_help_and_nothing_else() {
    for text in ["HELP", "help?", " Help! ", "aide", "AIDE", "Ayuda", "¡ayuda!", "info", "h e l p", "help me"] {
        assert_eq!(reading(text), Reading::Help, "{text:?}");
    }
    for text in
        ["help, the lift is stuck", "information", "helpful", "can you help me with the invoice", "aidez la voisine"]
    {
        assert_eq!(reading(text), Reading::Other, "{text:?}");
    }
}

#[test]
fn only_plain_words_start_again() {
    for text in ["START", "start.", "Unstop", "UNSTOP", "opt in", "Opt-In", "commencer", "empezar", "Reanudar"] {
        assert_eq!(reading(text), Reading::Start, "{text:?}");
    }
    for text in [
        "YES",
        "yes",
        "Y",
        "ok",
        "OK",
        "sí",
        "si",
        "oui",
        "yes please",
        "start the engine",
        "When does the work start?",
        "continue",
        "1",
        "👍",
        "I agree",
        "sure",
        "d'accord",
        "de acuerdo",
        "alta",
    ] {
        assert_eq!(reading(text), Reading::Other, "{text:?}");
    }
}

#[test]
fn near_words_change_nothing() {
    for text in [
        "",
        " ",
        "?",
        "...",
        "\u{1f620}",
        "weekend",
        "ended",
        "The end of the month is fine",
        "ending",
        "endless",
        "I will send it",
        "stopwatch",
        "nonstop",
        "pit-stop.",
        "Altos",
        "altogether",
        "the alto sings",
        "bajas",
        "trabaja",
        "trabajar",
        "quite",
        "quits",
        "quit3",
        "cancelled",
        "cancellation",
        "final",
        "enfin",
        "finish",
        "revoked my pass",
        "stoplight",
        "topstop",
        "stopover",
        "st0p",
        "sotp",
        "optoutt",
        "opt",
        "out",
        "in",
        "paid",
        "thanks",
        "merci",
        "gracias",
        "Thank you so much",
        "invoice 1204 paid",
        "the elevator on floor 3 is out",
        "hola",
        "bonjour",
        "llamame",
        "paraguas",
        "for the",
        "see you at 5",
        "basket",
        "remover",
        "arretons",
        "annulation",
        "1",
        "0",
        "stopstop",
        "СТОП",
    ] {
        let found = reading(text);
        assert!(!matches!(found, Reading::Stop | Reading::Start | Reading::Help), "{text:?} is {found:?}");
    }
}

#[test]
fn an_endless_text_is_read_in_one_go() {
    let text = "please ".repeat(100_000) + "stop";
    assert_eq!(reading(&text), Reading::MayMeanStop);
}
