//! Residents' sessions, for authentication.

use chrono::{DateTime, Utc};
use events::{Recorded, SignInEvent};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{Column, FoldError, ReadModel};

/// Sign-in links and the sessions that they opened.
#[derive(Debug)]
pub struct Sessions;

/// A link that was asked for, and its session once opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionRow {
    pub sign_in_id: Uuid,
    pub organization_id: Uuid,
    pub resident_id: Uuid,
    pub requested_at: DateTime<Utc>,
    pub opened_at: Option<DateTime<Utc>>,
    pub expires_at: DateTime<Utc>,
    pub closed_at: Option<DateTime<Utc>>,
}

impl ReadModel for Sessions {
    type Row = SessionRow;
    const NAME: &'static str = "session";
    const VERSION: u32 = 1;
    const COLUMNS: &'static [Column] = &[
        ("sign_in_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("resident_id", "uuid not null"),
        ("requested_at", "timestamptz not null"),
        ("opened_at", "timestamptz"),
        ("expires_at", "timestamptz not null"),
        ("closed_at", "timestamptz"),
    ];
    const INDEXES: &'static [&'static str] = &["(sign_in_id)", "(resident_id, requested_at)"];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(event.event::<SignInEvent>()?.map(|_| event.stream_id).into_iter().collect())
    }

    fn fold(row: Option<SessionRow>, key: Uuid, event: &Recorded) -> Result<Option<SessionRow>, FoldError> {
        let Some(change) = event.event::<SignInEvent>()? else { return Ok(row) };
        let known = || row.clone().ok_or(FoldError::Unexpected("a session without its link"));
        Ok(Some(match change {
            SignInEvent::SignInLinkRequested { resident_id, expires_at } => SessionRow {
                sign_in_id: key,
                organization_id: event.organization.0,
                resident_id: resident_id.0,
                requested_at: event.recorded_at,
                opened_at: None,
                expires_at,
                closed_at: None,
            },
            SignInEvent::SessionOpened { expires_at, .. } => {
                SessionRow { opened_at: Some(event.recorded_at), expires_at, ..known()? }
            }
            SignInEvent::SessionClosed {} => SessionRow { closed_at: Some(event.recorded_at), ..known()? },
        }))
    }
}
