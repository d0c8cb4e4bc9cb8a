//! The phrases of texts that each language fills in; a phrase that is missing does not compile.

use events::Language;

type Facts = fn(&str, &str, &str, &str) -> String;
type Optional = fn(&str, &str, Option<&str>, &str) -> String;

/// Texts in one language. In front of each stands who writes, behind it its reference.
pub struct TextWording {
    /// Title, balance, due day, link.
    pub invoice_published: Facts,
    /// Title, amount, what is left, link.
    pub payment_received: Optional,
    /// Title, amount, day of the next attempt, link.
    pub payment_failed: Optional,
    /// Code, minutes.
    pub code: fn(&str, i64) -> String,
    /// Portal.
    pub confirmed: fn(&str) -> String,
    pub stopped: &'static str,
    /// Contact, portal.
    pub help: fn(Option<&str>, &str) -> String,
    pub restarted: &'static str,
    /// Portal.
    pub nothing_to_restart: fn(&str) -> String,
}

impl TextWording {
    pub const fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &EN,
            Language::Fr => &FR,
            Language::Es => &ES,
        }
    }
}

const EN: TextWording = TextWording {
    invoice_published: |title, balance, due, url| {
        format!("{title}, {balance} due {due}. View and pay: {url} Reply STOP to opt out.")
    },
    payment_received: |title, amount, left, url| match left {
        Some(left) => format!("we received {amount} for {title}. Still to pay: {left}. {url} Reply STOP to opt out."),
        None => format!("we received {amount} for {title}. Thank you. {url} Reply STOP to opt out."),
    },
    payment_failed: |title, amount, again, url| match again {
        Some(day) => format!("autopay of {amount} for {title} failed. Next try: {day}. {url} Reply STOP to opt out."),
        None => format!("autopay of {amount} for {title} failed. Please pay: {url} Reply STOP to opt out."),
    },
    code: |code, minutes| {
        format!("your code is {code}. It is good for {minutes} minutes. If you did not ask for it, ignore this text.")
    },
    confirmed: |portal| {
        format!(
            "you will now get texts about your invoices and payments. Message frequency varies. Message and data rates may \
             apply. Reply HELP for help, STOP to opt out. Terms and privacy: {portal}/privacy"
        )
    },
    stopped: "you are unsubscribed and will receive no more texts. Reply START to receive them again.",
    help: |contact, portal| match contact {
        Some(contact) => format!(
            "texts about your invoices and payments. Questions: {contact} or {portal} Message and data rates may apply. Reply \
             STOP to opt out."
        ),
        None => format!(
            "texts about your invoices and payments. Questions: {portal} Message and data rates may apply. Reply STOP to opt \
             out."
        ),
    },
    restarted: "you will receive our texts again. Message frequency varies. Message and data rates may apply. Reply HELP for \
                help, STOP to opt out.",
    nothing_to_restart: |portal| format!("to receive our texts, sign in and agree to them: {portal}"),
};

const FR: TextWording = TextWording {
    invoice_published: |title, balance, due, url| {
        format!(
            "{title}, {balance} à payer au plus tard le {due}. Consulter et payer: {url} Répondez ARRET pour vous désabonner."
        )
    },
    payment_received: |title, amount, left, url| match left {
        Some(left) => {
            format!(
                "nous avons reçu {amount} pour {title}. Reste à payer: {left}. {url} Répondez ARRET pour vous désabonner."
            )
        }
        None => format!("nous avons reçu {amount} pour {title}. Merci. {url} Répondez ARRET pour vous désabonner."),
    },
    payment_failed: |title, amount, again, url| match again {
        Some(day) => format!(
            "le paiement automatique de {amount} pour {title} a échoué. Prochain essai: {day}. {url} Répondez ARRET pour vous \
             désabonner."
        ),
        None => format!(
            "le paiement automatique de {amount} pour {title} a échoué. Veuillez payer: {url} Répondez ARRET pour vous \
             désabonner."
        ),
    },
    code: |code, minutes| {
        format!(
            "votre code est {code}. Il est valable {minutes} minutes. Si vous ne l'avez pas demandé, ignorez ce message."
        )
    },
    confirmed: |portal| {
        format!(
            "vous recevrez désormais des textos sur vos factures et paiements. Fréquence variable. Des frais de messagerie et \
             de données peuvent s'appliquer. Répondez AIDE pour de l'aide, ARRET pour vous désabonner. Conditions et \
             confidentialité: {portal}/privacy"
        )
    },
    stopped: "vous êtes désabonné et ne recevrez plus de textos. Répondez START pour en recevoir de nouveau.",
    help: |contact, portal| match contact {
        Some(contact) => format!(
            "textos sur vos factures et paiements. Questions: {contact} ou {portal} Des frais de messagerie et de données \
             peuvent s'appliquer. Répondez ARRET pour vous désabonner."
        ),
        None => format!(
            "textos sur vos factures et paiements. Questions: {portal} Des frais de messagerie et de données peuvent \
             s'appliquer. Répondez ARRET pour vous désabonner."
        ),
    },
    restarted: "vous recevrez de nouveau nos textos. Fréquence variable. Des frais de messagerie et de données peuvent \
                s'appliquer. Répondez AIDE pour de l'aide, ARRET pour vous désabonner.",
    nothing_to_restart: |portal| format!("pour recevoir nos textos, connectez-vous et acceptez-les: {portal}"),
};

const ES: TextWording = TextWording {
    invoice_published: |title, balance, due, url| {
        format!("{title}, {balance} a pagar antes del {due} inclusive. Ver y pagar: {url} Responda ALTO para cancelar.")
    },
    payment_received: |title, amount, left, url| match left {
        Some(left) => {
            format!("recibimos {amount} por {title}. Queda por pagar: {left}. {url} Responda ALTO para cancelar.")
        }
        None => format!("recibimos {amount} por {title}. Gracias. {url} Responda ALTO para cancelar."),
    },
    payment_failed: |title, amount, again, url| match again {
        Some(day) => format!(
            "el pago automático de {amount} por {title} falló. Próximo intento: {day}. {url} Responda ALTO para cancelar."
        ),
        None => {
            format!("el pago automático de {amount} por {title} falló. Pague aquí: {url} Responda ALTO para cancelar.")
        }
    },
    code: |code, minutes| {
        format!("su código es {code}. Vale por {minutes} minutos. Si no lo pidió, ignore este mensaje.")
    },
    confirmed: |portal| {
        format!(
            "ahora recibirá mensajes sobre sus facturas y pagos. La frecuencia varía. Pueden aplicarse tarifas de mensajes y \
             datos. Responda AYUDA para ayuda, ALTO para cancelar. Términos y privacidad: {portal}/privacy"
        )
    },
    stopped: "su suscripción terminó y no recibirá más mensajes. Responda START para recibirlos de nuevo.",
    help: |contact, portal| match contact {
        Some(contact) => format!(
            "mensajes sobre sus facturas y pagos. Preguntas: {contact} o {portal} Pueden aplicarse tarifas de mensajes y \
             datos. Responda ALTO para cancelar."
        ),
        None => format!(
            "mensajes sobre sus facturas y pagos. Preguntas: {portal} Pueden aplicarse tarifas de mensajes y datos. Responda \
             ALTO para cancelar."
        ),
    },
    restarted: "recibirá de nuevo nuestros mensajes. La frecuencia varía. Pueden aplicarse tarifas de mensajes y datos. \
                Responda AYUDA para ayuda, ALTO para cancelar.",
    nothing_to_restart: |portal| format!("para recibir nuestros mensajes, inicie sesión y acéptelos: {portal}"),
};
