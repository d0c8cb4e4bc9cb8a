//! French, neutral for Québec: a no-break space before the colon and within « », no space-dependent `;`, `!` or `?`.

use super::{InvoiceWording, PaymentWording, SignInWording, Wording};

pub const WORDING: Wording = Wording {
    tag: "fr",
    colon: "\u{a0}:",
    greeting: |name| format!("Bonjour {name},"),
    closing: "Cordialement,",
    link_fallback: "Si le bouton ne fonctionne pas, ouvrez ce lien\u{a0}:",
    questions: |contact| format!("Pour toute question, répondez à ce courriel ou écrivez à {contact}."),
    no_replies: "Veuillez ne pas répondre à ce courriel, car cette boîte de réception n’est pas consultée.",
    portal: "Portail des résidents",
    because: |community| {
        format!(
            "Vous recevez ce courriel parce que votre adresse figure dans les dossiers de la communauté \
             «\u{a0}{community}\u{a0}»."
        )
    },
    invoice: InvoiceWording {
        subject: |title, balance, due| format!("{title}\u{a0}: {balance} à payer au plus tard le {due}"),
        subject_settled: |title| format!("{title}\u{a0}: nouvelle facture, rien à payer"),
        intro: "Vous avez une nouvelle facture. En voici les détails.",
        settled: "Cette facture est déjà entièrement réglée. Vous n’avez rien à faire.",
        unit: "Unité",
        due_on: "Date d’échéance",
        item: "Description",
        amount: "Montant",
        total: "Total",
        balance: "Solde à payer",
        pay: "Consulter et payer",
        view: "Consulter la facture",
    },
    payment: PaymentWording {
        subject: |amount, title| format!("Paiement reçu\u{a0}: {amount} – {title}"),
        intro: "Merci. Nous avons bien reçu votre paiement.",
        settled: "Cette facture est maintenant entièrement réglée.",
        remaining: |balance| format!("Il reste un solde de {balance} à payer sur cette facture."),
        invoice: "Facture",
        unit: "Unité",
        amount: "Montant",
        fee: "Frais de traitement",
        charged: "Total payé",
        method: "Mode de paiement",
        card: "Carte",
        online: "Paiement en ligne",
        cash: "Espèces",
        check: "Chèque",
        other: "Autre",
        received_on: "Reçu le",
        balance: "Solde restant",
        receipt: "Ce courriel vous sert de reçu. Nous vous invitons à le conserver.",
        view: "Consulter la facture",
    },
    sign_in: SignInWording {
        subject: |organization| format!("Votre lien de connexion – {organization}"),
        intro: "Utilisez le lien ci-dessous pour vous connecter au portail des résidents.",
        expiry: |minutes| match minutes {
            0 | 1 => format!("Il ne fonctionne qu’une seule fois et expire dans {minutes}\u{a0}minute."),
            _ => format!("Il ne fonctionne qu’une seule fois et expire dans {minutes}\u{a0}minutes."),
        },
        unasked: "Si vous n’avez pas demandé ce lien, vous pouvez ignorer ce courriel. Ne le transférez à personne, car \
                  quiconque possède le lien peut se connecter en votre nom.",
        sign_in: "Se connecter",
    },
};
