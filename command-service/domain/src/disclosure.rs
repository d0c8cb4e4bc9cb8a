//! What residents read before they agree to texts: the text that comes with the product, or an organization's own, by version.

use std::fmt::Write;

use events::{
    DisclosureEvent, Language, OrganizationId, PropertyId, Role, ShownId,
    disclosure::{DisclosureTexts, ShownDisclosure},
    text::Name,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision};

/// The version of the texts below. Changing a word of them means another version: what was shown under this one stays so.
const STANDARD_VERSION: &str = "standard-1";

const STANDARD_EN: &str = "By ticking the box and saving my number I agree that {organization} sends me automated text messages about my home \
and my account at {property}: invoices, payments, requests and notices. How many depends on what happens there. Message and data rates may apply. \
I can reply STOP at any time to end them, and HELP for help. My agreement is no condition of any purchase or service. \
My number is not passed on to others for their own purposes; the privacy notice is in the portal.";

const STANDARD_FR: &str = "En cochant la case et en enregistrant mon numéro, j'accepte que {organization} m'envoie des messages texte automatisés au \
sujet de mon logement et de mon compte à {property} : factures, paiements, demandes et avis. Leur nombre dépend de ce qui s'y passe. Des frais de \
messagerie et de données peuvent s'appliquer. Je peux répondre ARRET ou STOP à tout moment pour y mettre fin, et AIDE ou HELP pour obtenir de \
l'aide. Mon accord n'est la condition d'aucun achat ni service. Mon numéro n'est pas transmis à d'autres pour leurs propres fins ; l'avis de \
confidentialité se trouve dans le portail.";

const STANDARD_ES: &str = "Al marcar la casilla y guardar mi número, acepto que {organization} me envíe mensajes de texto automatizados sobre mi \
vivienda y mi cuenta en {property}: facturas, pagos, solicitudes y avisos. Su número depende de lo que allí ocurra. Pueden aplicarse tarifas de \
mensajes y datos. Puedo responder ALTO o STOP en cualquier momento para dejar de recibirlos, y AYUDA o HELP para obtener ayuda. Mi acuerdo no es \
condición de ninguna compra ni servicio. Mi número no se cede a terceros para sus propios fines; el aviso de privacidad está en el portal.";

/// Puts an organization's own disclosure in place of the one before. Whoever agreed to an earlier one is not asked again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishDisclosure {
    /// `{organization}` and `{property}` stand for the names; each text has to say how to stop: STOP, and where to get help: HELP.
    pub texts: DisclosureTexts,
}

refusals! {
    pub enum DisclosureRefusal {
        NoSender { language: &'static str } = Invalid, "the text in {language} has to name {{organization}}: people must know who writes";
        NoWayOut { language: &'static str } = Invalid, "the text in {language} has to name STOP and HELP";
        UnknownPlaceholder { language: &'static str } = Invalid, "the text in {language} has braces that are neither {{organization}} nor {{property}}";
    }
}

/// What residents are shown.
#[derive(Debug, Default)]
pub struct Disclosure {
    published: Option<(u32, DisclosureTexts)>,
}

impl Disclosure {
    /// There is one per organization.
    pub fn id(organization: OrganizationId) -> Uuid {
        Uuid::new_v5(&organization.0, b"disclosure")
    }

    /// Exactly what a person sees.
    pub fn shown(
        &self,
        shown_id: ShownId,
        property_id: PropertyId,
        language: Language,
        organization: &Name,
        property: &Name,
    ) -> ShownDisclosure {
        let (version, template) = match &self.published {
            Some((number, texts)) => (number.to_string(), texts.of(language).as_str()),
            None => (STANDARD_VERSION.to_owned(), standard(language)),
        };
        let text = fill(template, organization.as_str(), property.as_str());
        let sha256 = hex(&Sha256::digest(text.as_bytes()));
        ShownDisclosure { shown_id, property_id, language, version, sha256, text }
    }
}

const fn standard(language: Language) -> &'static str {
    match language {
        Language::En => STANDARD_EN,
        Language::Fr => STANDARD_FR,
        Language::Es => STANDARD_ES,
    }
}

/// In one pass, so that braces in a name stay what they are.
fn fill(template: &str, organization: &str, property: &str) -> String {
    let mut text = String::with_capacity(template.len() + organization.len() + property.len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let placeholders = [("{organization}", organization), ("{property}", property)];
        if let Some((placeholder, name)) =
            placeholders.into_iter().find(|(placeholder, _)| from.starts_with(placeholder))
        {
            text.push_str(name);
            rest = &from[placeholder.len()..];
        } else {
            text.push('{');
            rest = &from[1..];
        }
    }
    text + rest
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn check(language: Language, text: &str) -> Result<(), DisclosureRefusal> {
    let language = language.code();
    if !text.contains("{organization}") {
        return Err(DisclosureRefusal::NoSender { language });
    }
    if fill(text, "", "").contains(['{', '}']) {
        return Err(DisclosureRefusal::UnknownPlaceholder { language });
    }
    if text.contains("STOP") && text.contains("HELP") { Ok(()) } else { Err(DisclosureRefusal::NoWayOut { language }) }
}

impl Aggregate for Disclosure {
    type Event = DisclosureEvent;
    type Refusal = DisclosureRefusal;

    fn evolve(&mut self, event: &DisclosureEvent) {
        match event.clone() {
            DisclosureEvent::DisclosurePublished { number, texts } => self.published = Some((number, texts)),
        }
    }
}

impl Command for PublishDisclosure {
    type Aggregate = Disclosure;
    const NAME: &'static str = "PublishDisclosure";
    const ROLES: &'static [Role] = &[Role::OrganizationManager];

    fn stream(&self, organization: OrganizationId) -> Uuid {
        Disclosure::id(organization)
    }

    fn decide(self, state: &Disclosure, _: &Context) -> Decision<Disclosure> {
        for language in Language::ALL {
            check(language, self.texts.of(language).as_str())?;
        }
        let number = match &state.published {
            Some((_, texts)) if *texts == self.texts => return Ok(vec![]),
            Some((number, _)) => number.saturating_add(1),
            None => 1,
        };
        Ok(vec![DisclosureEvent::DisclosurePublished { number, texts: self.texts }])
    }

    fn example() -> Value {
        json!({ "texts": {
            "en": "I agree that {organization} texts me about {property}. Rates may apply. Reply STOP to end, HELP for help.",
            "fr": "J'accepte que {organization} m'envoie des textos sur {property}. Des frais peuvent s'appliquer. STOP pour arrêter, HELP pour de l'aide.",
            "es": "Acepto que {organization} me envíe mensajes sobre {property}. Pueden aplicarse tarifas. STOP para terminar, HELP para ayuda."
        } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fixtures::PROPERTY, from, given, state};

    const SHOWN: ShownId = ShownId(Uuid::from_u128(0x77));

    fn texts(word: &str) -> DisclosureTexts {
        let text = format!("{{organization}} texts you about {{property}}. {word} STOP, HELP.");
        from(json!({ "en": text, "fr": text, "es": text }))
    }

    fn published(number: u32, word: &str) -> DisclosureEvent {
        DisclosureEvent::DisclosurePublished { number, texts: texts(word) }
    }

    fn shown(disclosure: &Disclosure, organization: &str) -> ShownDisclosure {
        disclosure.shown(SHOWN, PROPERTY, Language::Fr, &from(organization), &from("Maple Court"))
    }

    #[test]
    fn each_other_text_is_another_version() {
        let publish = |word| PublishDisclosure { texts: texts(word) };
        given([]).accepts(publish("A"), [published(1, "A")]);
        given([published(1, "A")]).accepts(publish("B"), [published(2, "B")]);
    }

    #[test]
    fn a_text_says_who_writes_and_how_it_ends() {
        let refused = |text: &str, refusal| {
            let texts = DisclosureTexts { fr: from(text), ..texts("A") };
            given([]).refuses(PublishDisclosure { texts }, refusal);
        };
        refused("STOP, HELP", DisclosureRefusal::NoSender { language: "fr" });
        refused("{organization} STOP", DisclosureRefusal::NoWayOut { language: "fr" });
        refused("{organization} {phone} STOP HELP", DisclosureRefusal::UnknownPlaceholder { language: "fr" });
    }

    #[test]
    fn the_text_that_comes_with_the_product_passes_its_own_check() {
        for language in Language::ALL {
            assert_eq!(check(language, standard(language)), Ok(()), "{language:?}");
            assert!(standard(language).contains("{property}"));
        }
        assert_eq!(shown(&Disclosure::default(), "Evergreen").version, "standard-1");
    }

    #[test]
    fn what_is_shown_has_the_names_and_its_own_hash() {
        let known = shown(&state([published(3, "A")]), "Evergreen");
        assert_eq!(known.text, "Evergreen texts you about Maple Court. A STOP, HELP.");
        // `printf '%s' 'Evergreen texts you about Maple Court. A STOP, HELP.' | sha256sum`
        assert_eq!(known.sha256, "cdc61a6650901880dc07ad08b93830c17a409f899304f89d91fcad2fc6b06cf4");
        assert_eq!((known.version.as_str(), known.language), ("3", Language::Fr));
        let odd = shown(&state([published(3, "A")]), "{property}");
        assert!(odd.text.starts_with("{property} texts you about Maple Court"), "a name is no template");
        assert_eq!(hex(&Sha256::digest(b"")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
