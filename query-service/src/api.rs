//! The operations as poem-openapi mounts them; what each admits and takes is in the table of operations.

use edge::{Authenticator, Caller};
use poem::{Endpoint, EndpointExt, Request, Response, Route, middleware::CookieJarManager};
use poem_openapi::{OpenApi, OpenApiService, param::Path};

use crate::{
    access_token::AccessToken,
    answer::{Detail, Listing},
    asked::Asked,
    dashboard::{self, Dashboard},
    detail::detail,
    invoice::{Invoice, InvoiceDetail},
    job::{Job, JobDetail, JobItem},
    listing::list,
    me::{self, Me},
    message::{Message, MessageDetail},
    payment::{Payment, PaymentDetail},
    property::Property,
    reading::Reading,
    resident::{Resident, ResidentDetail},
    state::QueryState,
    stripe_account::StripeAccount,
    suppression::Suppression,
    unit::Unit,
};

/// The query API.
#[derive(Debug, Clone)]
pub struct Api {
    state: QueryState,
}

/// The query API over this state.
pub fn api(state: QueryState) -> Api {
    Api { state }
}

/// All queries under `/v1`, with errors as problem details. It answers full paths: mount it with `nest_no_strip`.
pub fn routes(state: QueryState, authenticator: Authenticator) -> impl Endpoint<Output = Response> {
    let service = OpenApiService::new(api(state), "Propty", env!("CARGO_PKG_VERSION"));
    edge::guard::guard(Route::new().nest("/", service).data(authenticator).with(CookieJarManager::new()))
}

#[OpenApi]
impl Api {
    #[oai(path = "/v1/invoices", method = "get", operation_id = "invoices")]
    async fn invoices(&self, caller: Caller, request: &Request) -> poem::Result<Listing<Invoice>> {
        list(&self.state, &caller, request, None).await
    }

    #[oai(path = "/v1/invoices/:id", method = "get", operation_id = "invoice")]
    async fn invoice(&self, caller: Caller, request: &Request, id: Path<String>) -> poem::Result<Detail<InvoiceDetail>> {
        detail(&self.state, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/payments", method = "get", operation_id = "payments")]
    async fn payments(&self, caller: Caller, request: &Request) -> poem::Result<Listing<Payment>> {
        list(&self.state, &caller, request, None).await
    }

    #[oai(path = "/v1/payments/:id", method = "get", operation_id = "payment")]
    async fn payment(&self, caller: Caller, request: &Request, id: Path<String>) -> poem::Result<Detail<PaymentDetail>> {
        detail(&self.state, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/residents", method = "get", operation_id = "residents")]
    async fn residents(&self, caller: Caller, request: &Request) -> poem::Result<Listing<Resident>> {
        list(&self.state, &caller, request, None).await
    }

    #[oai(path = "/v1/residents/:id", method = "get", operation_id = "resident")]
    async fn resident(&self, caller: Caller, request: &Request, id: Path<String>) -> poem::Result<Detail<ResidentDetail>> {
        detail(&self.state, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/units", method = "get", operation_id = "units")]
    async fn units(&self, caller: Caller, request: &Request) -> poem::Result<Listing<Unit>> {
        list(&self.state, &caller, request, None).await
    }

    #[oai(path = "/v1/units/:id", method = "get", operation_id = "unit")]
    async fn unit(&self, caller: Caller, request: &Request, id: Path<String>) -> poem::Result<Detail<Unit>> {
        detail(&self.state, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/properties", method = "get", operation_id = "properties")]
    async fn properties(&self, caller: Caller, request: &Request) -> poem::Result<Listing<Property>> {
        list(&self.state, &caller, request, None).await
    }

    #[oai(path = "/v1/properties/:id", method = "get", operation_id = "property")]
    async fn property(&self, caller: Caller, request: &Request, id: Path<String>) -> poem::Result<Detail<Property>> {
        detail(&self.state, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/properties/:id/dashboard", method = "get", operation_id = "property_dashboard")]
    async fn property_dashboard(&self, caller: Caller, request: &Request, id: Path<String>) -> poem::Result<Detail<Dashboard>> {
        detail(&self.state, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/messages", method = "get", operation_id = "messages")]
    async fn messages(&self, caller: Caller, request: &Request) -> poem::Result<Listing<Message>> {
        list(&self.state, &caller, request, None).await
    }

    #[oai(path = "/v1/messages/:id", method = "get", operation_id = "message")]
    async fn message(&self, caller: Caller, request: &Request, id: Path<String>) -> poem::Result<Detail<MessageDetail>> {
        detail(&self.state, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/jobs", method = "get", operation_id = "jobs")]
    async fn jobs(&self, caller: Caller, request: &Request) -> poem::Result<Listing<Job>> {
        list(&self.state, &caller, request, None).await
    }

    #[oai(path = "/v1/jobs/:id", method = "get", operation_id = "job")]
    async fn job(&self, caller: Caller, request: &Request, id: Path<String>) -> poem::Result<Detail<JobDetail>> {
        detail(&self.state, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/jobs/:id/items", method = "get", operation_id = "job_items")]
    async fn job_items(&self, caller: Caller, request: &Request, id: Path<String>) -> poem::Result<Listing<JobItem>> {
        list(&self.state, &caller, request, Some(&id.0)).await
    }

    #[oai(path = "/v1/stripe-accounts", method = "get", operation_id = "stripe_accounts")]
    async fn stripe_accounts(&self, caller: Caller, request: &Request) -> poem::Result<Listing<StripeAccount>> {
        list(&self.state, &caller, request, None).await
    }

    #[oai(path = "/v1/stripe-accounts/:id", method = "get", operation_id = "stripe_account")]
    async fn stripe_account(&self, caller: Caller, request: &Request, id: Path<String>) -> poem::Result<Detail<StripeAccount>> {
        detail(&self.state, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/suppressions", method = "get", operation_id = "suppressions")]
    async fn suppressions(&self, caller: Caller, request: &Request) -> poem::Result<Listing<Suppression>> {
        list(&self.state, &caller, request, None).await
    }

    #[oai(path = "/v1/tokens", method = "get", operation_id = "tokens")]
    async fn tokens(&self, caller: Caller, request: &Request) -> poem::Result<Listing<AccessToken>> {
        list(&self.state, &caller, request, None).await
    }

    #[oai(path = "/v1/dashboard", method = "get", operation_id = "dashboard")]
    async fn dashboard(&self, caller: Caller, request: &Request) -> poem::Result<Detail<Dashboard>> {
        let asked = Asked::read(&self.state, &dashboard::ORGANIZATION, &caller, request, None)?;
        let mut reading = Reading::begin(&self.state, &caller, request).await?;
        let body = Dashboard::read(&asked, &mut reading.transaction, None).await?;
        Ok(Detail { body: Some(body), version: None, position: reading.as_of.as_of })
    }

    #[oai(path = "/v1/me", method = "get", operation_id = "me")]
    async fn me(&self, caller: Caller, request: &Request) -> poem::Result<Detail<Me>> {
        let asked = Asked::read(&self.state, &me::ME, &caller, request, None)?;
        let mut reading = Reading::begin(&self.state, &caller, request).await?;
        let body = Me::read(&caller, &asked, &mut reading.transaction).await?;
        Ok(Detail { body: Some(body), version: None, position: reading.as_of.as_of })
    }
}
