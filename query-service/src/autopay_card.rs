//! The Autopay card that a resident sees at one property, enrolled or not, with its texts.

use edge::Problem;
use events::{Language, Role};
use poem_openapi::Object;
use projections::{autopay, property};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::Asked,
    autopay::AutopayDetail,
    autopay_shape::{Buttons, Reason, badge},
    detail::{Detailed, Stream},
    operation::Operation,
    reading::refused,
};

/// `GET /v1/properties/{id}/autopay`
pub const OWN: Operation = Operation {
    method: "GET",
    path: "/v1/properties/{id}/autopay",
    tag: "Autopay",
    summary: "Show the caller's own Autopay card at a property",
    roles: &[Role::Resident],
    reach: "Residents see their own card at each property that they belong to, enrolled or not.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/autopay_card.json"),
};

/// The card's texts in the resident's language.
#[derive(Debug, Clone, Object)]
pub struct AutopayTexts {
    /// While nothing is set up.
    pub unset: String,
    /// The button that sets it up.
    pub enable: String,
    pub panel_title: String,
    pub panel_text: String,
    /// After a set-up that succeeded, beside a green check.
    pub enabled: String,
    /// The badge in words.
    pub badge: Option<String>,
    /// Why it is paused.
    pub reason: Option<String>,
    pub update: String,
    pub reactivate: String,
    pub cancel: String,
    pub approve: String,
}

/// Autopay of the caller at one property.
#[derive(Debug, Clone, Object)]
pub struct AutopayCard {
    pub property_id: Uuid,
    /// ISO 639-1; the resident's own.
    pub language: String,
    /// `None`, `SetupPending`, `Active`, `Paused` or `Cancelled`.
    pub status: String,
    /// `Active`, `Paused`, `Setup Pending` or `Cancelled`; null when nothing is set up.
    pub badge: Option<String>,
    /// What may be asked for now.
    pub buttons: Buttons,
    pub texts: AutopayTexts,
    /// Null as long as nobody ever set anything up.
    pub enrollment: Option<AutopayDetail>,
}

/// The phrases of one language.
struct Phrases {
    unset: &'static str,
    enable: &'static str,
    panel_text: &'static str,
    enabled: &'static str,
    setup_pending: &'static str,
    active: &'static str,
    paused: &'static str,
    cancelled: &'static str,
    update: &'static str,
    reactivate: &'static str,
    cancel: &'static str,
    approve: &'static str,
}

const ENGLISH: Phrases = Phrases {
    unset: "Set up automatic payments so you never miss a due date.",
    enable: "Set Up Autopay",
    panel_text: "Your card will be automatically charged when invoices are due.",
    enabled: "Autopay Enabled",
    setup_pending: "Setup Pending",
    active: "Active",
    paused: "Paused",
    cancelled: "Cancelled",
    update: "Update Card",
    reactivate: "Reactivate Autopay",
    cancel: "Cancel Autopay",
    approve: "Approve Payment",
};

const FRENCH: Phrases = Phrases {
    unset: "Configurez les paiements automatiques pour ne jamais manquer une échéance.",
    enable: "Configurer le paiement automatique",
    panel_text: "Votre carte sera débitée automatiquement à l’échéance des factures.",
    enabled: "Paiement automatique activé",
    setup_pending: "Configuration en cours",
    active: "Actif",
    paused: "En pause",
    cancelled: "Annulé",
    update: "Mettre à jour la carte",
    reactivate: "Réactiver le paiement automatique",
    cancel: "Annuler le paiement automatique",
    approve: "Approuver le paiement",
};

const SPANISH: Phrases = Phrases {
    unset: "Configure los pagos automáticos para que nunca se le pase un vencimiento.",
    enable: "Configurar el pago automático",
    panel_text: "Se hará el cargo a su tarjeta automáticamente cuando venzan las facturas.",
    enabled: "Pago automático activado",
    setup_pending: "Configuración pendiente",
    active: "Activo",
    paused: "En pausa",
    cancelled: "Cancelado",
    update: "Actualizar la tarjeta",
    reactivate: "Reactivar el pago automático",
    cancel: "Cancelar el pago automático",
    approve: "Aprobar el pago",
};

impl AutopayTexts {
    fn of(language: Language, status: &str, reason: Option<&str>) -> Self {
        let phrases = match language {
            Language::En => ENGLISH,
            Language::Fr => FRENCH,
            Language::Es => SPANISH,
        };
        let badge = match status {
            "SetupPending" => Some(phrases.setup_pending),
            "Active" => Some(phrases.active),
            "Paused" => Some(phrases.paused),
            "Cancelled" => Some(phrases.cancelled),
            _ => None,
        };
        Self {
            unset: phrases.unset.to_owned(),
            enable: phrases.enable.to_owned(),
            panel_title: phrases.enable.to_owned(),
            panel_text: phrases.panel_text.to_owned(),
            enabled: phrases.enabled.to_owned(),
            badge: badge.map(str::to_owned),
            reason: reason.map(str::to_owned),
            update: phrases.update.to_owned(),
            reactivate: phrases.reactivate.to_owned(),
            cancel: phrases.cancel.to_owned(),
            approve: phrases.approve.to_owned(),
        }
    }
}

impl Detailed for AutopayCard {
    const OPERATION: Operation = OWN;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        let Some(resident) = asked.visibility.resident else { return Ok(None) };
        if property::detail(connection, asked.visibility, id).await.map_err(refused)?.is_none() {
            return Ok(None);
        }
        let Some(card) = autopay::card(connection, resident, id).await.map_err(refused)? else { return Ok(None) };
        let buttons = card.buttons().into();
        let enrollment = match card.enrollment {
            Some(view) => Some(AutopayDetail::of(view, asked.role, connection).await?),
            None => None,
        };
        let shown = enrollment.as_ref().map(|enrollment| &enrollment.autopay);
        let status = shown.map_or("None", |autopay| &autopay.status).to_owned();
        let spoken = language(&card.language);
        let reason = shown.and_then(|autopay| autopay.reason.as_ref()).map(|reason| words_in(reason, spoken));
        Ok(Some(Self {
            property_id: id,
            texts: AutopayTexts::of(spoken, &status, reason),
            language: card.language,
            badge: badge(&status).map(str::to_owned),
            status,
            buttons,
            enrollment,
        }))
    }

    /// It follows from several streams, and there is a card where there is no enrollment.
    fn tag(&self) -> Option<(Stream, i64)> {
        None
    }
}

/// The words of a reason in one language.
fn words_in(reason: &Reason, language: Language) -> &str {
    match language {
        Language::En => &reason.words.en,
        Language::Fr => &reason.words.fr,
        Language::Es => &reason.words.es,
    }
}

/// The language of this code; English where it is unknown.
fn language(code: &str) -> Language {
    serde_json::from_value(Value::String(code.to_owned())).unwrap_or_default()
}
