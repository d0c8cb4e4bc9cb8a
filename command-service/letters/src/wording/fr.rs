//! French, neutral for Québec: a no-break space before the colon and within « », no space-dependent `;`, `!` or `?`.

use super::{AutopayWording, InvoiceWording, PaymentWording, ReminderWording, SignInWording, WebhookWording, Wording};

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
        bank: "Banque",
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
        unasked: "Si vous n’avez pas demandé ce lien, vous pouvez ignorer ce courriel. Ne le transférez à personne, \
                  car quiconque possède le lien peut se connecter en votre nom.",
        sign_in: "Se connecter",
    },
    reminder: ReminderWording {
        subject: |title, balance, due| format!("Rappel\u{a0}: {title}, {balance} à payer au plus tard le {due}"),
        subject_overdue: |title, balance, due| {
            format!("Échéance dépassée\u{a0}: {title}, {balance} à payer depuis le {due}")
        },
        subject_settled: |title| format!("{title}\u{a0}: facture déjà réglée, rien à payer"),
        intro: "Nous vous rappelons amicalement que la facture suivante arrive bientôt à échéance.",
        intro_overdue: |due| {
            format!("La facture suivante était à payer au plus tard le {due} et n’est pas encore entièrement réglée.")
        },
        thanks: "Si vous avez payé entre-temps, nous vous en remercions et vous pouvez ignorer ce rappel.",
    },
    autopay: AutopayWording {
        manage: "Gérer le paiement automatique",
        ahead_subject: |amount, day, title| format!("Paiement automatique le {day}\u{a0}: {amount} – {title}"),
        ahead_intro: |day| {
            format!("Le paiement automatique réglera cette facture pour vous le {day}. Vous n’avez rien à faire.")
        },
        to_charge: "Total à prélever",
        charge_on: "Date du prélèvement",
        open_balance: "Nous prélevons le solde à payer ce jour-là. Ce que vous aurez payé avant ne sera pas prélevé.",
        change: |day| {
            format!(
                "Pour changer de mode de paiement ou annuler le paiement automatique, utilisez le lien ci-dessous avant \
                 le {day}."
            )
        },
        held_subject: |amount, title| format!("Votre approbation est requise\u{a0}: {amount} – {title}"),
        held_intro: "Cette facture dépasse le plafond que vous avez fixé pour le paiement automatique. Nous vous \
                     demandons donc d’abord votre accord. Rien n’est prélevé sans votre approbation.",
        cap: "Plafond du paiement automatique",
        held_options: "Vous pouvez approuver ce prélèvement ou payer la facture autrement. Les frais de traitement, \
                       s’il y en a, s’ajoutent au montant. Sans action de votre part, la facture reste impayée.",
        approve: "Vérifier et approuver",
        change_cap: "Modifier le plafond",
        charged_subject: |amount, title| format!("Paiement automatique effectué\u{a0}: {amount} – {title}"),
        charged_intro: "Merci. Nous avons bien reçu votre paiement automatique.",
        charged_on: "Prélevé le",
        failed_subject: |amount, title| format!("Échec du paiement automatique\u{a0}: {amount} – {title}"),
        ended_subject: |title| format!("Action requise\u{a0}: échec du paiement automatique – {title}"),
        failed_intro: "Le paiement automatique de cette facture a échoué.",
        returned_intro: "Votre banque a retourné le débit automatique de cette facture, qui est donc de nouveau à \
                         payer.",
        reason: "Motif",
        next: "Prochaine tentative",
        left: "Tentatives restantes",
        again: |day| {
            format!(
                "Nous réessaierons le {day}. Vous n’avez rien à faire si votre mode de paiement fonctionne d’ici là. Si \
                 vous préférez ne pas attendre, payez maintenant ou mettez à jour votre mode de paiement."
            )
        },
        waits: "Nous réessaierons lorsque le paiement automatique sera de nouveau actif. Si vous préférez ne pas \
                attendre, payez maintenant ou mettez à jour votre mode de paiement.",
        confirm: "Nous ne réessaierons pas, car votre banque souhaite que vous confirmiez vous-même ce paiement. \
                  Veuillez payer au moyen du lien ci-dessous et confirmer le paiement lorsque votre banque vous le \
                  demandera.",
        ended: "Nous ne réessaierons pas. Veuillez payer cette facture vous-même, puis réactiver le paiement \
                automatique avec un mode de paiement nouveau ou mis à jour.",
        alone: "Nous ne réessaierons pas. Veuillez payer cette facture vous-même.",
        paused: "Le paiement automatique est en pause. Tant qu’il n’est pas réactivé, vos autres factures ne \
                 sont pas prélevées automatiquement.",
        paused_until_paid: "Le paiement automatique est en pause jusqu’au paiement de cette facture. D’ici là, vos \
                            autres factures ne sont pas prélevées automatiquement.",
        paused_subject: "Action requise\u{a0}: le paiement automatique est en pause",
        paused_intro: "Le paiement automatique est en pause, car votre mode de paiement ne peut plus être utilisé.",
        paused_waits: "Veuillez configurer un nouveau mode de paiement. D’ici là, rien n’est prélevé automatiquement. Les \
                       factures qui arrivent à échéance entre-temps sont prélevées dès que le paiement automatique est \
                       de nouveau actif.",
        paused_by_hand: "Si vous préférez ne pas attendre, payez vos factures vous-même dans le portail des résidents. Ce \
                         que vous payez vous-même n’est pas prélevé de nouveau.",
        set_up: "Configurer un nouveau mode de paiement",
        pay_now: "Payer maintenant",
        update: "Mettre à jour le mode de paiement",
        reactivate: "Réactiver le paiement automatique",
    },
    webhook: WebhookWording {
        subject: |host| format!("Action requise : votre webhook vers {host} est désactivé"),
        intro_gone: "Votre webhook est désactivé, car son destinataire a répondu qu’il n’existe plus (410).",
        intro_failing: |day| {
            format!("Votre webhook est désactivé, car son destinataire n’a rien accepté depuis le {day}.")
        },
        receiver: "Destinataire",
        description: "Description",
        kept: "Rien n’est perdu : les événements sont conservés et seront envoyés dans leur ordre dès que le webhook sera réactivé.",
        mend: "Veuillez réparer le destinataire, lui envoyer un événement d’essai, puis réactiver le webhook.",
        view: "Voir les tentatives",
        because: |organization| {
            format!("Vous recevez ce courriel parce que votre adresse est le contact d’un webhook de {organization}.")
        },
    },
};
