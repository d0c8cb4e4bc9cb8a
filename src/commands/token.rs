//! `propty token`: a bearer token for whoever has the shell.

use std::process::ExitCode;

use chrono::TimeDelta;
use command_service::{
    Ask,
    http::{Grant, issue_token},
};
use events::{OrganizationId, PropertyId, text::Name, webhook::TypeName};
use public_events::Selection;
use uuid::Uuid;

use host::Settings;

use crate::{
    cli::{Place, Token},
    failure::Failure,
    node::Node,
};

pub async fn run(place: &Place, settings: Settings, args: &Token) -> Result<ExitCode, Failure> {
    let node = Node::visit(place, settings).await?;
    let result = make(&node, args).await;
    node.close().await;
    println!("{}", result?);
    Ok(ExitCode::SUCCESS)
}

async fn make(node: &Node, args: &Token) -> Result<String, Failure> {
    let organization = match args.organization {
        Some(id) => OrganizationId(id),
        None => only_organization(node).await?,
    };
    let label = Name::parse(&args.label).map_err(|error| Failure::Told(format!("--label: {error}")))?;
    let expires_at = TimeDelta::try_days(args.days)
        .and_then(|days| node.clock.now().checked_add_signed(days))
        .ok_or_else(|| Failure::Told("--days is out of range".to_owned()))?;
    let mut types = Vec::with_capacity(args.types.len());
    for name in &args.types {
        let told = |error: &dyn std::fmt::Display| Failure::Told(format!("--types: {error}"));
        Selection::parse(name).map_err(|error| told(&error))?;
        types.push(TypeName::parse(name).map_err(|error| told(&error))?);
    }
    let property_id = args.property.map(PropertyId);
    let grant = Grant { label, role: args.role, property_id, types, expires_at: Some(expires_at) };
    let (_, token, _) = issue_token(&node.engine, &Ask::operator(organization), grant).await?;
    Ok(token.secret)
}

/// The organization, where there is but one.
pub async fn only_organization(node: &Node) -> Result<OrganizationId, Failure> {
    let found: Vec<(Uuid, String)> = sqlx::query_as(
        "select organization_id, payload #>> '{OrganizationRegistered,name}' from log.events
         where event_type = 'OrganizationRegistered' order by recorded_at",
    )
    .fetch_all(node.store.pool())
    .await?;
    match found.as_slice() {
        [] => Err(Failure::Told("there is no organization yet; `propty import` makes one".to_owned())),
        [(id, _)] => Ok(OrganizationId(*id)),
        several => {
            let list: Vec<String> = several.iter().map(|(id, name)| format!("\n  {id}  {name}")).collect();
            Err(Failure::Told(format!(
                "there are several organizations; name one with --organization:{}",
                list.concat()
            )))
        }
    }
}
