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
    "a",
    "m",
    "envoyer",
    "enviar",
    "enviarme",
    "mandar",
    "mandarme",
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
    "desabonne",
    "desinscrire",
    "desinscris",
    "desinscription",
    "cessez",
    "cesser",
    "baja",
    "parar",
    "paren",
    "cancelar",
    "cancela",
    "cancele",
    "cancelen",
    "desuscribir",
    "desist",
    "cease",
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

/// Words that also stand in much that is no wish: they hold a short text only.
const WEAK: &[&str] = &["end", "fin", "alto", "annuler", "annulez", "terminar", "terminen", "salir", "pare"];
/// How many words a short text has at most.
const SHORT: usize = 6;

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
    "do not msg",
    "dont msg",
    "don t msg",
    "do not call",
    "dont call",
    "don t call",
    "do not send",
    "dont send",
    "don t send",
    "do not write",
    "dont write",
    "don t write",
    "never text",
    "never message",
    "never msg",
    "never contact",
    "never call",
    "never write",
    "no sms",
    "no msgs",
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
    "ne m ecris",
    "ne m envoyez",
    "ne m envoie",
    "n ecrivez plus",
    "n envoyez plus",
    "ne me contactez",
    "ne me texte",
    "ne me textes",
    "ne me textez",
    "pas de textos",
    "pas de messages",
    "qui est ce",
    "qui etes vous",
    "no mas",
    "no quiero",
    "no me envien",
    "no me envie",
    "no me envies",
    "no envien",
    "no envie",
    "no envies",
    "no me manden",
    "no me mande",
    "no me mandes",
    "no manden",
    "no mande",
    "no mandes",
    "no me contacten",
    "no me contacte",
    "no me contactes",
    "no me llamen",
    "no me llame",
    "no me llames",
    "dejen de",
    "deje de",
    "deja de",
    "dejenme",
    "dejeme",
    "dejame",
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
    "no me escriba",
    "no me escribas",
    "no escriban",
    "no escriba",
    "no escribas",
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
    let among = |list: &[&'static str]| list.iter().copied().find(|known| words.iter().any(|word| word == known));
    let weak = || among(WEAK).filter(|_| words.len() <= SHORT);
    match phrase.or_else(|| among(STRONG)).or_else(weak) {
        Some(word) => Read { reading: Reading::MayMeanStop, word: Some(word) },
        None => Read { reading: Reading::Other, word: None },
    }
}

/// A stop word that begins or ends the text, among nothing but courtesies: "please stop texting me".
fn politely_stopped(words: &[String]) -> Option<&'static str> {
    // Only words that mean nothing else beside a courtesy: "cancel it" may be about a booking.
    const PLAIN: &[&str] = &[
        "stop",
        "unsubscribe",
        "optout",
        "end",
        "arret",
        "arretez",
        "arreter",
        "annuler",
        "desabonner",
        "fin",
        "alto",
        "baja",
        "paren",
        "pare",
        "terminar",
        "salir",
    ];
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
