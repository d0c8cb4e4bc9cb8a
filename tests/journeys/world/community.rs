//! Two organizations side by side: who lives there, and what a manager or a resident does again and again.

use chrono::{Days, NaiveDate, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;

/// The organization that a journey is about.
pub const FIRST: &str = "\
Property,Unit,First name,Last name,E-mail,Language,Owner/Tenant
Maple Court,101,Ana,Ruiz,ana.ruiz@example.com,es,Owner
Maple Court,102,Benoit,Tremblay,benoit.tremblay@example.com,fr,Owner
Maple Court,103,Carol,Whitfield,carol.whitfield@example.com,en,Tenant
Maple Court,104,Dmitri,Novak,dmitri.novak@example.com,en,Owner
Maple Court,105,Elena,Castillo,elena.castillo@example.com,es,Owner
Maple Court,106,Frank,Osei,,en,Owner
Maple Court,107,Greta,Lindqvist,bounce.greta@example.com,en,Owner
Maple Court,108,Henry,Okafor,henry.okafor@example.com,en,Owner
Cedar Row,201,Ines,Gagnon,ines.gagnon@example.org,fr,Owner
Cedar Row,202,Jonas,Baptiste,jonas.baptiste@example.org,en,Owner
Cedar Row,203,Karin,Delgado,karin.delgado@example.org,es,Tenant
Cedar Row,204,Liam,Murphy,liam.murphy@example.org,en,Owner
";

/// The organization beside it.
pub const SECOND: &str = "\
Property,Unit,First name,Last name,E-mail,Language,Owner/Tenant
Harbor Point,1A,Maria,Silva,maria.silva@example.net,en,Owner
Harbor Point,1B,Noah,Petersen,noah.petersen@example.net,en,Owner
Harbor Point,1C,Olga,Ivanova,olga.ivanova@example.net,fr,Tenant
";

#[derive(Debug, Clone)]
pub struct Property {
    pub id: Uuid,
    pub name: String,
    pub currency: String,
}

#[derive(Debug, Clone)]
pub struct Resident {
    pub id: Uuid,
    pub unit: Uuid,
    pub property: Uuid,
    pub currency: String,
    pub first_name: String,
    /// Empty for who has none.
    pub email: String,
}

/// An organization with its manager's token and who lives there.
#[derive(Debug, Clone)]
pub struct Organization {
    pub id: Uuid,
    pub token: String,
    /// An OrganizationManager.
    pub manager: Client,
    pub stripe_account_id: Uuid,
    /// Stripe's id of the account.
    pub account: String,
    pub properties: Vec<Property>,
    pub residents: Vec<Resident>,
}

/// An id in a JSON field.
pub fn id(value: &Value) -> Uuid {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no id"))
}

/// A day well before an invoice is overdue.
pub fn in_two_weeks() -> NaiveDate {
    Utc::now().date_naive() + Days::new(14)
}

impl Organization {
    /// Who lives there is looked up; the rest is known.
    pub async fn find(id: Uuid, token: &str, base: &str) -> Self {
        let manager = Client::nobody(base).with_token(token);
        let mut found = Self {
            id,
            token: token.to_owned(),
            manager,
            stripe_account_id: Uuid::nil(),
            account: String::new(),
            properties: Vec::new(),
            residents: Vec::new(),
        };
        found.look_around().await;
        found
    }

    /// Reads properties and residents anew.
    pub async fn look_around(&mut self) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.properties = self
            .manager
            .list("/v1/properties")
            .await
            .iter()
            .map(|row| Property {
                id: self::id(&row["property_id"]),
                name: text(&row["name"]),
                currency: text(&row["currency"]),
            })
            .collect();
        self.residents = self
            .manager
            .list("/v1/residents")
            .await
            .iter()
            .filter(|row| row["homes"][0].is_object())
            .map(|row| {
                let property = self::id(&row["homes"][0]["property_id"]);
                let known = self.properties.iter().find(|one| one.id == property);
                Resident {
                    id: self::id(&row["resident_id"]),
                    unit: self::id(&row["homes"][0]["unit_id"]),
                    property,
                    currency: known.map(|one| one.currency.clone()).unwrap_or_default(),
                    first_name: text(&row["first_name"]),
                    email: text(&row["email"]),
                }
            })
            .collect();
    }

    /// The same organization where another process serves it.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { manager: Client::nobody(base).with_token(&self.token), ..self.clone() }
    }

    pub fn property(&self, name: &str) -> &Property {
        self.properties.iter().find(|property| property.name == name).expect("the property")
    }

    /// A resident by first name.
    pub fn resident(&self, first_name: &str) -> &Resident {
        self.residents.iter().find(|resident| resident.first_name == first_name).expect("the resident")
    }

    /// The body of a `DraftInvoice`.
    #[expect(clippy::unused_self, reason = "reads as what it is: this organization's draft")]
    pub fn draft_body(&self, resident: &Resident, amount: i64) -> Value {
        json!({
            "invoice_id": Uuid::now_v7(), "property_id": resident.property, "unit_id": resident.unit,
            "resident_id": resident.id, "title": "Monthly fee", "due_on": in_two_weeks(),
            "lines": [{ "description": "Common charges", "amount": { "amount": amount, "currency": resident.currency } }],
        })
    }

    /// Drafts an invoice.
    pub async fn draft(&self, resident: &Resident, amount: i64) -> Uuid {
        let body = self.draft_body(resident, amount);
        self.manager.command("DraftInvoice", &body).await;
        id(&body["invoice_id"])
    }

    /// Drafts and publishes an invoice, with or without an e-mail.
    pub async fn publish(&self, resident: &Resident, amount: i64, notify: bool) -> Uuid {
        let invoice = self.draft(resident, amount).await;
        self.manager.command("PublishInvoice", &json!({ "invoice_id": invoice, "notify": notify })).await;
        invoice
    }

    /// Makes a bearer token of a role.
    pub async fn token(&self, role: &str, property: Option<Uuid>) -> (Uuid, Client) {
        let body = json!({ "label": format!("a {role}"), "role": role, "property_id": property });
        let answer = self.manager.post("/v1/tokens", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let token = answer.body["token"].as_str().expect("a token");
        (id(&answer.body["token_id"]), self.manager.with_token(token))
    }

    /// Waits until an invoice is in this status.
    pub async fn until_status(&self, invoice: Uuid, status: &str) -> Value {
        self.manager.until(&format!("/v1/invoices/{invoice}"), |invoice| invoice["status"] == status).await
    }

    /// Waits until a payment is in this status.
    pub async fn until_payment(&self, payment: Uuid, status: &str) -> Value {
        self.manager.until(&format!("/v1/payments/{payment}"), |payment| payment["status"] == status).await
    }

    /// Waits until the only message of a kind about an invoice is in this status.
    pub async fn until_message(&self, invoice: Uuid, kind: &str, status: &str) -> Value {
        let path = format!("/v1/messages?invoice_id={invoice}&kind={kind}");
        let found = self.manager.until_list(&path, |list| list.len() == 1 && list[0]["status"] == status).await;
        found[0].clone()
    }
}
