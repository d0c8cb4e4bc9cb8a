//! Properties with their address, contact and fees.

use chrono::NaiveDate;
use edge::Problem;
use events::property::{BillingPolicy, FeeMode, Rate as EventRate, SurchargeBan, SurchargePolicy};
use poem_openapi::Object;
use projections::{
    Paging,
    property::{self, Filter, PropertyRow},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::Asked,
    detail::{Detailed, Stream},
    instant::Instant,
    listing::{Listed, shown},
    operation::{self, Kind, MANAGERS_AND_RESIDENTS, Operation},
    reading::refused,
};

/// `GET /v1/properties`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/properties",
    tag: "Properties",
    summary: "List properties by name",
    roles: MANAGERS_AND_RESIDENTS,
    reach: "Managers see the properties in their scope, residents those they belong to.",
    filters: &[operation::Filter {
        name: "search",
        kind: Kind::Text,
        description: "Part of the name.",
        example: "harbor",
    }],
    sorts: &["name"],
    example: include_str!("examples/property.json"),
};

/// `GET /v1/properties/{id}`
pub const DETAIL: Operation = Operation {
    method: "GET",
    path: "/v1/properties/{id}",
    tag: "Properties",
    summary: "Show a property",
    roles: MANAGERS_AND_RESIDENTS,
    reach: "Managers see the properties in their scope, residents those they belong to.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/property.json"),
};

/// A postal address.
#[derive(Debug, Clone, Object)]
pub struct Address {
    pub street: String,
    pub city: String,
    pub region: String,
    pub postal_code: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

/// A price: a share of the charged amount plus a fixed part.
#[derive(Debug, Clone, Object)]
pub struct Rate {
    /// Hundredths of a percent: 340 is 3.4 %.
    pub basis_points: u32,
    /// Minor units.
    pub fixed: i64,
    /// Minor units; null means uncapped.
    pub cap: Option<i64>,
}

/// What online payments cost, and who bears it.
#[derive(Debug, Clone, Object)]
pub struct Fees {
    /// `PassToResident` or `Absorb`.
    pub mode: String,
    pub card: Rate,
    pub bank_debit: Rate,
}

/// When a property charges and reminds, in its own days and hours.
#[derive(Debug, Clone, Object)]
pub struct Billing {
    /// The hour of the due day at which autopay charges.
    pub charge_hour: u8,
    /// How many days before the due day a reminder goes out; null: none does.
    pub reminder_days: Option<u8>,
    /// Whether one reminder goes out once an invoice is overdue.
    pub remind_overdue: bool,
    /// How many days before a charge autopay announces it; null: it does not.
    pub autopay_notice_days: Option<u8>,
}

/// A time in which a region allows no surcharges.
#[derive(Debug, Clone, Object)]
pub struct Ban {
    /// As in the property's address.
    pub region: String,
    pub from: NaiveDate,
    /// The first day on which it is allowed again; null: not in sight.
    pub until: Option<NaiveDate>,
}

/// What may be charged on top at most. Debit and prepaid cards never bear a surcharge.
#[derive(Debug, Clone, Object)]
pub struct Surcharges {
    /// Hundredths of a percent of the amount; null: no cap.
    pub cap_basis_points: Option<u32>,
    pub forbidden: Vec<Ban>,
}

/// A property.
#[derive(Debug, Clone, Object)]
pub struct Property {
    pub property_id: Uuid,
    pub name: String,
    pub address: Address,
    /// An IANA name.
    pub time_zone: String,
    /// ISO 4217.
    pub currency: String,
    /// Where replies to e-mails go; null when it was erased.
    pub contact: Option<String>,
    /// The name that e-mails come from.
    pub sender: String,
    pub fees: Fees,
    pub billing: Billing,
    /// Null: as it comes, 3 % at most and none where the law forbids it.
    pub surcharges: Option<Surcharges>,
    /// The kinds of e-mail that are switched off.
    pub kinds_off: Vec<String>,
    /// Kinds of text that are sent.
    pub texts_on: Vec<String>,
    /// Absent: no online payments.
    pub stripe_account_id: Option<Uuid>,
    pub added_at: Instant,
    /// What `If-Match` expects.
    pub version: i64,
}

impl From<PropertyRow> for Property {
    fn from(row: PropertyRow) -> Self {
        let mode = match row.fees.mode {
            FeeMode::PassToResident => "PassToResident",
            FeeMode::Absorb => "Absorb",
        };
        Self {
            property_id: row.property_id,
            name: row.name,
            address: Address {
                street: row.street,
                city: row.city,
                region: row.region,
                postal_code: row.postal_code,
                country: row.country,
            },
            time_zone: row.time_zone,
            currency: row.currency,
            contact: row.contact,
            sender: row.sender,
            fees: Fees { mode: mode.to_owned(), card: row.fees.card.into(), bank_debit: row.fees.bank_debit.into() },
            billing: row.billing.into(),
            surcharges: row.surcharges.map(Surcharges::from),
            kinds_off: row.kinds_off,
            texts_on: row.texts_on,
            stripe_account_id: row.stripe_account_id,
            added_at: Instant(row.added_at),
            version: row.version,
        }
    }
}

impl From<BillingPolicy> for Billing {
    fn from(policy: BillingPolicy) -> Self {
        let BillingPolicy { charge_hour, reminder_days, remind_overdue, autopay_notice_days } = policy;
        Self { charge_hour, reminder_days, remind_overdue, autopay_notice_days }
    }
}

impl From<SurchargePolicy> for Surcharges {
    fn from(SurchargePolicy { cap_basis_points, forbidden }: SurchargePolicy) -> Self {
        let bans = forbidden.into_iter().map(|SurchargeBan { region, from, until }| Ban { region, from, until });
        Self { cap_basis_points, forbidden: bans.collect() }
    }
}

impl From<EventRate> for Rate {
    fn from(EventRate { basis_points, fixed, cap }: EventRate) -> Self {
        Self { basis_points, fixed, cap }
    }
}

impl Listed for Property {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &[
        "property_id",
        "name",
        "address.street",
        "address.city",
        "address.region",
        "address.postal_code",
        "address.country",
        "time_zone",
        "currency",
        "contact",
        "sender",
        "fees.mode",
        "stripe_account_id",
        "added_at",
        "version",
        "billing.charge_hour",
        "billing.reminder_days",
        "billing.remind_overdue",
        "billing.autopay_notice_days",
    ];

    async fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> Result<projections::Page<Self>, Problem> {
        let filter = Filter { visibility: asked.visibility, search: asked.parameters.value("search") };
        shown(property::list(connection, &filter, paging).await)
    }
}

impl Detailed for Property {
    const OPERATION: Operation = DETAIL;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        Ok(property::detail(connection, asked.visibility, id).await.map_err(refused)?.map(Self::from))
    }

    fn tag(&self) -> Option<(Stream, i64)> {
        Some((("property", self.property_id), self.version))
    }
}
