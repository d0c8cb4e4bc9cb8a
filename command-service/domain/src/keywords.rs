//! What a text from a telephone says: stop, help, start, something that may mean stop, or something else.
//!
//! 47 CFR 64.1200(a)(10) makes stop, quit, end, revoke, opt out, cancel and unsubscribe valid by themselves, and any other reasonable
//! wording too: so the words count in whatever writing, and what only may be meant so is held for a person.

use events::sms_consent::Reading;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// How a text was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    pub reading: Reading,
    /// The word that decided, as the tables have it.
    pub word: Option<&'static str>,
}

/// These end texts when they are all that was said. Written without blanks, accents and punctuation.
pub const STOP: &[&str] = &[
    // English
    "stop",
    "stopp",
    "stopall",
    "unsubscribe",
    "unsub",
    "end",
    "quit",
    "cancel",
    "revoke",
    "optout",
    "stops",
    "stopped",
    "remove",
    "unsuscribe",
    // French
    "arret",
    "arrets",
    "arreter",
    "arretez",
    "arrete",
    "desabonner",
    "desabonnement",
    "desinscrire",
    "desinscription",
    "annuler",
    "fin",
    "retrait",
    "cesser",
    "cessez",
    "stopper",
    // Spanish
    "alto",
    "baja",
    "parar",
    "pare",
    "paren",
    "para",
    "cancelar",
    "terminar",
    "detener",
    "detenga",
    "basta",
    "dardebaja",
    "darsedebaja",
    "darmedebaja",
    "bajar",
    "salir",
    "desuscribir",
    "nomas",
];

/// These ask for help when they are all that was said.
pub const HELP: &[&str] = &["help", "info", "aide", "aidez", "aidezmoi", "ayuda", "ayudame", "helpme", "auxilio"];

/// These bring back what a word had ended. "Yes" is none of them: it answers something else too often.
pub const START: &[&str] = &[
    "start",
    "unstop",
    "restart",
    "resume",
    "optin",
    "subscribe",
    "commencer",
    "demarrer",
    "reprendre",
    "recommencer",
    "debut",
    "sabonner",
    "empezar",
    "iniciar",
    "comenzar",
    "reanudar",
    "reiniciar",
    "inicio",
    "suscribir",
];

/// What may stand around a stop word without changing what it says.
const FILLERS: &[&str] = &[
    "please",
    "pls",
    "plz",
    "now",
    "it",
    "this",
    "all",
    "the",
    "these",
    "those",
    "thanks",
    "thank",
    "you",
    "just",
    "text",
    "texts",
    "texting",
    "message",
    "messages",
    "messaging",
    "msg",
    "msgs",
    "sms",
    "me",
    "from",
    "to",
    "sending",
    "immediately",
    "sil",
    "s",
    "il",
    "vous",
    "plait",
    "svp",
    "merci",
    "les",
    "des",
    "de",
    "ces",
    "mes",
    "textos",
    "texto",
    "por",
    "favor",
    "gracias",
    "los",
    "mensajes",
    "mensaje",
    "ya",
    "ahora",
    "d",
];

/// Words that hold a longer text for a person, wherever they stand.
const STRONG: &[&str] = &[
    "stop",
    "stopp",
    "stopall",
    "stopped",
    "stopping",
    "stoped",
    "stahp",
    "stp",
    "unsubscribe",
    "unsub",
    "unsuscribe",
    "optout",
    "quit",
    "cancel",
    "revoke",
    "remove",
    "arret",
    "arrets",
    "arreter",
    "arretez",
    "arrete",
    "stopper",
    "desabonner",
    "desabonnement",
    "desabonnez",
    "desinscrire",
    "desinscription",
    "cessez",
    "cesser",
    "baja",
    "parar",
    "paren",
    "cancelar",
    "desuscribir",
    "basta",
    "detener",
    "detenga",
    "spam",
    "harassment",
    "harassing",
    "lawyer",
    "tcpa",
    "fcc",
    "sue",
    "avocat",
    "abogado",
    "harcelement",
    "acoso",
];

/// Sequences of words that hold a text for a person, wherever they stand.
const PHRASES: &[&str] = &[
    "opt out",
    "opt me out",
    "opting out",
    "do not text",
    "dont text",
    "don t text",
    "do not contact",
    "dont contact",
    "don t contact",
    "do not message",
    "dont message",
    "don t message",
    "no more",
    "not interested",
    "leave me alone",
    "take me off",
    "remove me",
    "wrong number",
    "wrong person",
    "who is this",
    "not my number",
    "dont want",
    "don t want",
    "do not want",
    "no longer want",
    "lose my number",
    "no texts",
    "no text",
    "no messages",
    "shut up",
    "go away",
    "fed up",
    "delete my number",
    "block",
    "ne plus",
    "plus de messages",
    "plus de message",
    "plus de textos",
    "plus de texto",
    "plus recevoir",
    "laissez moi",
    "laisse moi tranquille",
    "mauvais numero",
    "faux numero",
    "pas interesse",
    "enlevez moi",
    "retirez moi",
    "supprimez mon",
    "ne veux pas",
    "ne m ecrivez",
    "ne me textez",
    "pas de textos",
    "pas de messages",
    "qui est ce",
    "qui etes vous",
    "no mas",
    "no quiero",
    "no me envien",
    "no me envie",
    "no envien",
    "no envie",
    "no me manden",
    "no manden",
    "dejen de",
    "deje de",
    "dejar de recibir",
    "no deseo",
    "numero equivocado",
    "quien es",
    "no me molesten",
    "no molesten",
    "dar de baja",
    "darme de baja",
    "de baja",
    "quitenme",
    "borren mi",
    "no me escriban",
    "no me interesa",
];

/// Reads a text.
pub fn read(body: &str) -> Read {
    let words = words(body);
    let joined = words.concat();
    let exact = |list: &[&'static str]| list.iter().copied().find(|word| *word == joined);
    for (list, reading) in [(STOP, Reading::Stop), (HELP, Reading::Help), (START, Reading::Start)] {
        if let Some(word) = exact(list) {
            return Read { reading, word: Some(word) };
        }
    }
    if let Some(word) = politely_stopped(&words) {
        return Read { reading: Reading::Stop, word: Some(word) };
    }
    let sentence = format!(" {} ", words.join(" "));
    let phrase = PHRASES.iter().copied().find(|phrase| sentence.contains(&format!(" {phrase} ")));
    let strong = || STRONG.iter().copied().find(|strong| words.iter().any(|word| word == strong));
    match phrase.or_else(strong) {
        Some(word) => Read { reading: Reading::MayMeanStop, word: Some(word) },
        None => Read { reading: Reading::Other, word: None },
    }
}

/// A stop word that begins or ends the text, among nothing but courtesies: "please stop texting me".
fn politely_stopped(words: &[String]) -> Option<&'static str> {
    // Only words that mean nothing else beside a courtesy: "end of the message" is no wish.
    const PLAIN: &[&str] =
        &["stop", "unsubscribe", "optout", "arret", "arretez", "arreter", "alto", "baja", "paren", "desabonner"];
    let plain = |word: &String| PLAIN.iter().copied().find(|known| known == word);
    let (found, others): (Vec<_>, Vec<_>) = words.iter().partition(|word| plain(word).is_some());
    let courteous = others.iter().all(|word| FILLERS.contains(&word.as_str()));
    let at_an_end = words.first().and_then(plain).or_else(|| words.last().and_then(plain));
    let asked = at_an_end.or_else(|| found.first().and_then(|word| plain(word)));
    asked.filter(|_| courteous && words.len() <= 8)
}

/// The words in lower case without accents; whatever is neither letter nor digit only separates.
fn words(body: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    // Compatibility forms: full-width and mathematical letters are letters.
    for letter in body.nfkd().filter(|letter| !is_combining_mark(*letter) && !is_invisible(*letter)) {
        match letter {
            'œ' | 'Œ' => push(&mut words, "oe"),
            'æ' | 'Æ' => push(&mut words, "ae"),
            letter if letter.is_alphanumeric() => {
                letter.to_lowercase().for_each(|lower| push(&mut words, lower.encode_utf8(&mut [0; 4])));
            }
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn push(words: &mut [String], text: &str) {
    if let Some(word) = words.last_mut() {
        word.push_str(text);
    }
}

/// Joiners, direction marks and variation selectors that keyboards put between letters.
const fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}')
}

#[cfg(test)]
mod tests;
