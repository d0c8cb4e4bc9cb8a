//! Enrollments: list, detail, and a resident's own card.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::AutopayRow;
use crate::{
    query::{Page, Paging, Query, QueryError, Sort, Visibility, and, first, page, select, within},
    stream_event::{self, StreamEventRow},
};

/// An invoice that waits, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingView {
    pub invoice_id: Uuid,
    pub title: String,
    pub due_on: NaiveDate,
    pub balance: i64,
    pub currency: String,
}

/// An invoice about which the resident is asked, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldView {
    pub invoice_id: Uuid,
    pub title: String,
    pub due_on: NaiveDate,
    /// What was asked for.
    pub amount: i64,
    pub cap: i64,
    /// What would be charged now.
    pub balance: i64,
    pub currency: String,
    pub held_at: DateTime<Utc>,
}

/// A charge in flight and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeView {
    pub payment_id: Uuid,
    pub invoice_id: Uuid,
    pub title: Option<String>,
    pub due_on: NaiveDate,
    pub amount: i64,
    pub currency: String,
    pub attempt: u32,
    /// The payment's phase.
    pub phase: Option<String>,
    pub authorized_at: DateTime<Utc>,
}

/// An enrollment with what belongs to it at the moment of the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutopayView {
    #[serde(flatten)]
    pub autopay: AutopayRow,
    pub property_name: Option<String>,
    pub time_zone: Option<String>,
    /// Null when it was erased.
    pub resident_name: Option<String>,
    /// ISO 639-1.
    pub language: String,
    /// The resident lives there, and the property takes online payments at the moment.
    pub can_set_up: bool,
    /// The method can be charged in the account that the property uses now.
    pub chargeable: bool,
    /// In the order in which they will be charged. What was settled meanwhile waits no more.
    pub waiting_invoices: Vec<WaitingView>,
    pub held_invoices: Vec<HeldView>,
    pub charges: Vec<ChargeView>,
}

/// What the resident may ask for now.
#[expect(clippy::struct_excessive_bools, reason = "five buttons, each allowed or not, whatever the others are")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buttons {
    pub enable: bool,
    pub update: bool,
    pub reactivate: bool,
    pub cancel: bool,
    pub approve: bool,
}

impl AutopayView {
    /// The buttons that are allowed now.
    pub fn buttons(&self) -> Buttons {
        let enrolled = matches!(&*self.autopay.status, "Active" | "Paused");
        Buttons {
            enable: self.can_set_up && !enrolled,
            update: self.can_set_up && enrolled,
            reactivate: self.autopay.status == "Paused" && (self.can_set_up || !self.new_method_required()),
            cancel: enrolled || self.autopay.status == "SetupPending",
            approve: enrolled && !self.held_invoices.is_empty(),
        }
    }

    /// Whether a reactivation needs a new method.
    pub fn new_method_required(&self) -> bool {
        let paused = self.autopay.status == "Paused";
        paused && (self.autopay.new_method_required || !self.chargeable)
    }
}

/// A resident's card at one property, enrolled or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Card {
    /// ISO 639-1.
    pub language: String,
    /// Autopay could be set up now.
    pub can_set_up: bool,
    pub enrollment: Option<AutopayView>,
}

impl Card {
    /// The buttons that are allowed now.
    pub fn buttons(&self) -> Buttons {
        let unset = Buttons { enable: self.can_set_up, ..Buttons::default() };
        self.enrollment.as_ref().map_or(unset, AutopayView::buttons)
    }
}

/// Which enrollments are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    /// As in [`AutopayRow::status`].
    pub status: Option<String>,
    pub property: Option<Uuid>,
    pub resident: Option<Uuid>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortBy {
    #[default]
    ChangedAt,
    /// What is tried again soonest; enrollments without a next attempt are last.
    NextAttempt,
}

/// Whether the resident lives in the property, and its Stripe account takes money.
const CAN_SET_UP: &str = "coalesce(account.status = 'Active' and account.disconnected_at is null
    and resident.status = 'Active' and resident.erased_at is null
    and exists (select from json_array_elements_text(resident.property_ids) home
                where home = property.property_id::text), false)";

fn visible(visibility: Visibility) -> Query {
    let mut query = select(&format!(
        "select autopay.*, coalesce(autopay.next_attempt_at, 'infinity') as next_attempt,
                property.name as property_name, property.time_zone,
                nullif(concat_ws(' ', resident.first_name, resident.last_name), '') as resident_name,
                coalesce(resident.language, 'en') as language,
                {CAN_SET_UP} as can_set_up,
                coalesce(autopay.stripe_account_id = property.stripe_account_id, false) as chargeable, waiting.waiting_invoices, held.held_invoices, flying.charges
         from read.autopay autopay
         left join read.property property on property.property_id = autopay.property_id
         left join read.resident resident on resident.resident_id = autopay.resident_id
         left join read.stripe_account account on account.stripe_account_id = property.stripe_account_id
         cross join lateral (
             select coalesce(json_agg(json_build_object(
                        'invoice_id', invoice.invoice_id, 'title', invoice.title, 'due_on', invoice.due_on,
                        'balance', invoice.balance, 'currency', invoice.currency)
                        order by invoice.due_on, invoice.invoice_id), '[]') as waiting_invoices
             from json_array_elements(autopay.waiting) item
             join read.invoice invoice on invoice.invoice_id = (item->>'invoice_id')::uuid
             where invoice.phase = 'Published' and invoice.balance > 0) waiting
         cross join lateral (
             select coalesce(json_agg(json_build_object(
                        'invoice_id', invoice.invoice_id, 'title', invoice.title, 'due_on', invoice.due_on,
                        'amount', (item->>'amount')::bigint, 'cap', (item->>'cap')::bigint, 'balance', invoice.balance,
                        'currency', invoice.currency, 'held_at', item->>'held_at')
                        order by invoice.due_on, invoice.invoice_id), '[]') as held_invoices
             from json_array_elements(autopay.held) item
             join read.invoice invoice on invoice.invoice_id = (item->>'invoice_id')::uuid
             where invoice.phase = 'Published' and invoice.balance > 0) held
         cross join lateral (
             select coalesce(json_agg(json_build_object(
                        'payment_id', item->>'payment_id', 'invoice_id', item->>'invoice_id', 'title', invoice.title,
                        'due_on', item->>'due_on', 'amount', (item->>'amount')::bigint, 'currency', item->>'currency',
                        'attempt', (item->>'attempt')::integer, 'phase', payment.phase,
                        'authorized_at', item->>'authorized_at')
                        order by item->>'authorized_at', item->>'payment_id'), '[]') as charges
             from json_array_elements(autopay.in_flight) item
             left join read.invoice invoice on invoice.invoice_id = (item->>'invoice_id')::uuid
             left join read.payment payment on payment.row_id = (item->>'payment_id')::uuid) flying
         where true"
    ));
    within(&mut query, "autopay.property_id", "autopay.resident_id", visibility);
    query
}

fn shown(mut view: AutopayView, secret_for: Option<Uuid>) -> AutopayView {
    let row = &mut view.autopay;
    row.client_secret = row.client_secret.take().filter(|_| secret_for == Some(row.resident_id));
    view
}

/// A page of enrollments.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    sort: SortBy,
    descending: bool,
    paging: &Paging,
) -> Result<Page<AutopayView>, QueryError> {
    let mut query = visible(filter.visibility);
    and(&mut query, "autopay.status = ", filter.status.clone());
    and(&mut query, "autopay.property_id = ", filter.property);
    and(&mut query, "autopay.resident_id = ", filter.resident);
    let sort = match sort {
        SortBy::ChangedAt => Sort::instant("changed_at", "autopay_id"),
        SortBy::NextAttempt => Sort::instant("next_attempt", "autopay_id"),
    };
    let found: Page<AutopayView> = page(connection, query, &sort.directed(descending), paging).await?;
    Ok(found.map(|view| shown(view, None)))
}

/// One enrollment. Its resident, and nobody else, gets the client secret.
pub async fn detail(
    connection: &mut PgConnection,
    visibility: Visibility,
    id: Uuid,
) -> Result<Option<AutopayView>, QueryError> {
    let mut query = visible(visibility);
    and(&mut query, "autopay.autopay_id = ", Some(id));
    Ok(first(connection, query).await?.map(|view| shown(view, visibility.resident)))
}

/// Every event of an enrollment in the order of the log.
pub async fn history(connection: &mut PgConnection, id: Uuid) -> Result<Vec<StreamEventRow>, QueryError> {
    stream_event::of_streams(connection, &[id]).await
}

/// The card of one resident at one property; absent for a resident or property that is not there.
pub async fn card(connection: &mut PgConnection, resident: Uuid, property: Uuid) -> Result<Option<Card>, QueryError> {
    let mut query = visible(Visibility { property: Some(property), resident: Some(resident) });
    // A property has one stream per resident; were there ever more, the latest one is meant.
    query.push(" order by autopay.changed_at desc");
    let enrollment = first(connection, query).await?.map(|view| shown(view, Some(resident)));
    let mut query = select(&format!(
        "select resident.language, {CAN_SET_UP} as can_set_up
         from read.resident resident, read.property property
         left join read.stripe_account account on account.stripe_account_id = property.stripe_account_id
         where true"
    ));
    and(&mut query, "resident.resident_id = ", Some(resident));
    and(&mut query, "property.property_id = ", Some(property));
    let found: Option<Setting> = first(connection, query).await?;
    Ok(found.map(|Setting { language, can_set_up }| Card { language, can_set_up, enrollment }))
}

#[derive(Deserialize)]
struct Setting {
    language: String,
    can_set_up: bool,
}
