//! The operations as poem-openapi mounts them; what each admits and takes is in the table of operations.

use edge::{Authenticator, Caller};
use poem::{Endpoint, EndpointExt, Request, Response, Route, middleware::CookieJarManager, web::Data};
use poem_openapi::{OpenApi, OpenApiService, param::Path};

use crate::{
    access_token::AccessToken,
    answer::{Detail, Listing},
    asked::Asked,
    audit::{self, AuditDocument},
    autopay::AutopayDetail,
    autopay_card::AutopayCard,
    autopay_run::{self, AutopayRun},
    autopay_shape::Autopay,
    credit::Credit,
    dashboard::{self, Dashboard},
    detail::detail,
    event::{self, EventAnswer, EventsAnswer, Snapshot, StreamAnswer, contract},
    inbound_text::InboundText,
    invoice::{Invoice, InvoiceDetail},
    job::{Job, JobDetail, JobItem},
    ledger,
    ledger_export::Document,
    listing::list,
    me::{self, Me},
    message::{Message, MessageDetail},
    payment_shape::{Payment, PaymentDetail},
    payout::Payout,
    property::Property,
    reading::Reading,
    resident::{Resident, ResidentDetail},
    sms_consent::{SmsConsent, SmsConsentDetail},
    state::QueryState,
    stripe_account::{StripeAccount, StripeAccountDetail},
    suppression::Suppression,
    text_message::{Text, TextDetail},
    transparency,
    transparency_shape::{ConsistencyProof, InclusionProof, LogCheckpoint, LogKeys},
    unit::Unit,
    webhook::{Webhook, WebhookAttempt},
};

/// The query API; its state arrives with each request, so that it can be described without a database.
#[derive(Debug, Clone, Copy)]
pub struct Api;

/// The documents of the events' contract, for everyone: `/schemas/public/…`, `/asyncapi.json`.
pub fn contract_routes(public_url: &str) -> impl Endpoint<Output = Response> + 'static {
    let public_url = public_url.to_owned();
    edge::guard::guard(poem::endpoint::make_sync(move |request| {
        let path = request.uri().path();
        let name = path.strip_prefix("/schemas/").unwrap_or_else(|| path.trim_start_matches('/'));
        contract(name, &public_url)
            .map(|text| {
                Response::builder()
                    .content_type("application/json")
                    .header("Cache-Control", "public, max-age=300")
                    .header("Access-Control-Allow-Origin", "*")
                    .body(text)
            })
            .ok_or_else(|| poem::Error::from(edge::Problem::missing("there is no such document")))
    }))
}

/// All queries under `/v1`, with errors as problem details. It answers full paths: mount it with `nest_no_strip`.
pub fn routes(state: QueryState, authenticator: Authenticator) -> impl Endpoint<Output = Response> {
    let service = OpenApiService::new(Api, "Propty", env!("CARGO_PKG_VERSION"));
    edge::guard::guard(Route::new().nest("/", service).data(state).data(authenticator).with(CookieJarManager::new()))
}

#[OpenApi]
impl Api {
    #[oai(path = "/v1/invoices", method = "get", operation_id = "invoices")]
    async fn invoices(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<Invoice>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/invoices/:id", method = "get", operation_id = "invoice")]
    async fn invoice(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Detail<InvoiceDetail>> {
        detail(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/payments", method = "get", operation_id = "payments")]
    async fn payments(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<Payment>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/payments/:id", method = "get", operation_id = "payment")]
    async fn payment(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Detail<PaymentDetail>> {
        detail(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/autopay", method = "get", operation_id = "autopays")]
    async fn autopays(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<Autopay>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/autopay/:id", method = "get", operation_id = "autopay")]
    async fn autopay(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Detail<AutopayDetail>> {
        detail(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/properties/:id/autopay", method = "get", operation_id = "own_autopay")]
    async fn own_autopay(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Detail<AutopayCard>> {
        detail(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/credits", method = "get", operation_id = "credits")]
    async fn credits(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<Credit>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/payouts", method = "get", operation_id = "payouts")]
    async fn payouts(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<Payout>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/autopay/run", method = "get", operation_id = "autopay_run")]
    async fn autopay_run(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Detail<AutopayRun>> {
        let asked = Asked::read(state.0, &autopay_run::RUN, &caller, request, None)?;
        let mut reading = Reading::begin(state.0, &caller, request).await?;
        let body = AutopayRun::read(&asked, &mut reading.transaction).await?;
        Ok(Detail { body: Some(body), version: None, position: reading.as_of.as_of })
    }

    #[oai(path = "/v1/residents", method = "get", operation_id = "residents")]
    async fn residents(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<Resident>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/residents/:id", method = "get", operation_id = "resident")]
    async fn resident(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Detail<ResidentDetail>> {
        detail(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/units", method = "get", operation_id = "units")]
    async fn units(&self, state: Data<&QueryState>, caller: Caller, request: &Request) -> poem::Result<Listing<Unit>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/units/:id", method = "get", operation_id = "unit")]
    async fn unit(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Detail<Unit>> {
        detail(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/properties", method = "get", operation_id = "properties")]
    async fn properties(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<Property>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/properties/:id", method = "get", operation_id = "property")]
    async fn property(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Detail<Property>> {
        detail(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/properties/:id/dashboard", method = "get", operation_id = "property_dashboard")]
    async fn property_dashboard(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Detail<Dashboard>> {
        detail(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/audit/numbers/:number", method = "get", operation_id = "audit_number")]
    async fn audit_number(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        number: Path<String>,
    ) -> poem::Result<AuditDocument> {
        audit::number(state.0, &caller, request, &number.0).await
    }

    #[oai(path = "/v1/audit/residents/:id", method = "get", operation_id = "audit_resident")]
    async fn audit_resident(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<AuditDocument> {
        audit::resident(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/audit/properties/:id", method = "get", operation_id = "audit_property")]
    async fn audit_property(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<AuditDocument> {
        audit::property(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/audit/control", method = "get", operation_id = "audit_control")]
    async fn audit_control(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<AuditDocument> {
        audit::control(state.0, &caller, request).await
    }

    #[oai(path = "/v1/texts", method = "get", operation_id = "texts")]
    async fn texts(&self, state: Data<&QueryState>, caller: Caller, request: &Request) -> poem::Result<Listing<Text>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/texts/:id", method = "get", operation_id = "text")]
    async fn text(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Detail<TextDetail>> {
        detail(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/inbound-texts", method = "get", operation_id = "inbound_texts")]
    async fn inbound_texts(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<InboundText>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/sms-consents", method = "get", operation_id = "sms_consents")]
    async fn sms_consents(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<SmsConsent>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/residents/:id/sms-consent", method = "get", operation_id = "sms_consent")]
    async fn sms_consent(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Detail<SmsConsentDetail>> {
        detail(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/messages", method = "get", operation_id = "messages")]
    async fn messages(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<Message>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/messages/:id", method = "get", operation_id = "message")]
    async fn message(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Detail<MessageDetail>> {
        detail(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/jobs", method = "get", operation_id = "jobs")]
    async fn jobs(&self, state: Data<&QueryState>, caller: Caller, request: &Request) -> poem::Result<Listing<Job>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/jobs/:id", method = "get", operation_id = "job")]
    async fn job(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Detail<JobDetail>> {
        detail(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/jobs/:id/items", method = "get", operation_id = "job_items")]
    async fn job_items(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Listing<JobItem>> {
        list(state.0, &caller, request, Some(&id.0)).await
    }

    #[oai(path = "/v1/webhooks", method = "get", operation_id = "webhooks")]
    async fn webhooks(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<Webhook>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/webhooks/:id", method = "get", operation_id = "webhook")]
    async fn webhook(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Detail<Webhook>> {
        detail(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/webhooks/:id/deliveries", method = "get", operation_id = "webhook_deliveries")]
    async fn webhook_deliveries(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Listing<WebhookAttempt>> {
        list(state.0, &caller, request, Some(&id.0)).await
    }

    #[oai(path = "/v1/stripe-accounts", method = "get", operation_id = "stripe_accounts")]
    async fn stripe_accounts(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<StripeAccount>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/stripe-accounts/:id", method = "get", operation_id = "stripe_account")]
    async fn stripe_account(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        id: Path<String>,
    ) -> poem::Result<Detail<StripeAccountDetail>> {
        detail(state.0, &caller, request, &id.0).await
    }

    #[oai(path = "/v1/suppressions", method = "get", operation_id = "suppressions")]
    async fn suppressions(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<Suppression>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/tokens", method = "get", operation_id = "tokens")]
    async fn tokens(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<AccessToken>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/dashboard", method = "get", operation_id = "dashboard")]
    async fn dashboard(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Detail<Dashboard>> {
        let asked = Asked::read(state.0, &dashboard::ORGANIZATION, &caller, request, None)?;
        let mut reading = Reading::begin(state.0, &caller, request).await?;
        let body = Dashboard::read(&asked, &mut reading.transaction, None).await?;
        Ok(Detail { body: Some(body), version: None, position: reading.as_of.as_of })
    }

    #[oai(path = "/v1/ledger/entries", method = "get", operation_id = "ledger_entries")]
    async fn ledger_entries(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<ledger::Entry>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/ledger/balances", method = "get", operation_id = "ledger_balances")]
    async fn ledger_balances(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<ledger::Balance>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/ledger/export", method = "get", operation_id = "ledger_export")]
    async fn ledger_export(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Document> {
        ledger::export(state.0, &caller, request).await
    }

    #[oai(path = "/v1/events", method = "get", operation_id = "events")]
    async fn events(&self, state: Data<&QueryState>, caller: Caller, request: &Request) -> poem::Result<EventsAnswer> {
        event::page(state.0, &caller, request).await
    }

    #[oai(path = "/v1/events/stream", method = "get", operation_id = "event_stream")]
    async fn event_stream(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<StreamAnswer> {
        event::stream(state.0, &caller, request).await
    }

    #[oai(path = "/v1/events/snapshot", method = "get", operation_id = "event_snapshot")]
    async fn event_snapshot(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Detail<Snapshot>> {
        event::snapshot(state.0, &caller, request).await
    }

    #[oai(path = "/v1/events/:position", method = "get", operation_id = "event")]
    async fn event(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
        position: Path<String>,
    ) -> poem::Result<EventAnswer> {
        event::one(state.0, &caller, request, &position.0).await
    }

    #[oai(path = "/v1/log/checkpoint", method = "get", operation_id = "log_checkpoint")]
    async fn log_checkpoint(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Detail<LogCheckpoint>> {
        transparency::checkpoint(state.0, &caller, request).await
    }

    #[oai(path = "/v1/log/checkpoints", method = "get", operation_id = "log_checkpoints")]
    async fn log_checkpoints(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Listing<LogCheckpoint>> {
        list(state.0, &caller, request, None).await
    }

    #[oai(path = "/v1/log/proofs/inclusion", method = "get", operation_id = "log_inclusion")]
    async fn log_inclusion(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Detail<InclusionProof>> {
        transparency::inclusion(state.0, &caller, request).await
    }

    #[oai(path = "/v1/log/proofs/consistency", method = "get", operation_id = "log_consistency")]
    async fn log_consistency(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Detail<ConsistencyProof>> {
        transparency::consistency(state.0, &caller, request).await
    }

    #[oai(path = "/v1/log/keys", method = "get", operation_id = "log_keys")]
    async fn log_keys(
        &self,
        state: Data<&QueryState>,
        caller: Caller,
        request: &Request,
    ) -> poem::Result<Detail<LogKeys>> {
        transparency::keys(state.0, &caller, request).await
    }

    #[oai(path = "/v1/me", method = "get", operation_id = "me")]
    async fn me(&self, state: Data<&QueryState>, caller: Caller, request: &Request) -> poem::Result<Detail<Me>> {
        let asked = Asked::read(state.0, &me::ME, &caller, request, None)?;
        let mut reading = Reading::begin(state.0, &caller, request).await?;
        let body = Me::read(&caller, &asked, &mut reading.transaction).await?;
        Ok(Detail { body: Some(body), version: None, position: reading.as_of.as_of })
    }
}
