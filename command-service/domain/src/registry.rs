//! Every command, once. What walks commands (HTTP, `OpenAPI`, schemas, the role table) is a visitor.

use crate::{
    Command, access, email, invoice, job, organization, payment, property, refund, resident, sign_in, stripe_account,
    suppression, unit,
};

/// Something that is done for each command type.
pub trait Visitor {
    fn command<C: Command>(&mut self);
}

/// Walks the commands; a new aggregate adds its lines here.
pub fn visit_commands(visitor: &mut impl Visitor) {
    visitor.command::<organization::RegisterOrganization>();
    visitor.command::<organization::RenameOrganization>();
    visitor.command::<property::AddProperty>();
    visitor.command::<property::ChangePropertyDetails>();
    visitor.command::<property::ChangeFeePolicy>();
    visitor.command::<property::AssignStripeAccount>();
    visitor.command::<property::UnassignStripeAccount>();
    visitor.command::<unit::AddUnit>();
    visitor.command::<unit::RelabelUnit>();
    visitor.command::<resident::RegisterResident>();
    visitor.command::<resident::RenameResident>();
    visitor.command::<resident::ChangeResidentEmail>();
    visitor.command::<resident::ChangeResidentPhone>();
    visitor.command::<resident::ChangeResidentLanguage>();
    visitor.command::<resident::ChangeResidentStatus>();
    visitor.command::<resident::MoveResidentIn>();
    visitor.command::<resident::MoveResidentOut>();
    visitor.command::<resident::EraseResident>();
    visitor.command::<invoice::DraftInvoice>();
    visitor.command::<invoice::EditInvoice>();
    visitor.command::<invoice::DiscardDraft>();
    visitor.command::<invoice::PublishInvoice>();
    visitor.command::<invoice::VoidInvoice>();
    visitor.command::<invoice::RecordOfflinePayment>();
    visitor.command::<invoice::CorrectOfflinePayment>();
    visitor.command::<invoice::ReservePayment>();
    visitor.command::<invoice::ReleasePayment>();
    visitor.command::<invoice::ApplyPayment>();
    visitor.command::<invoice::ReversePayment>();
    visitor.command::<payment::QuotePayment>();
    visitor.command::<payment::StartPayment>();
    visitor.command::<payment::CancelPayment>();
    visitor.command::<payment::AbandonPayment>();
    visitor.command::<payment::SubmitPayment>();
    visitor.command::<payment::RecordPaymentUnknown>();
    visitor.command::<payment::RecordIntent>();
    visitor.command::<refund::RefundPayment>();
    visitor.command::<refund::SubmitRefund>();
    visitor.command::<refund::RecordRefund>();
    visitor.command::<stripe_account::ConnectStripeAccount>();
    visitor.command::<stripe_account::ReconnectStripeAccount>();
    visitor.command::<stripe_account::DisconnectStripeAccount>();
    visitor.command::<stripe_account::RecordStripeAccount>();
    visitor.command::<email::RequestEmail>();
    visitor.command::<email::SuppressEmail>();
    visitor.command::<email::SubmitEmail>();
    visitor.command::<email::RecordEmail>();
    visitor.command::<email::ResendEmail>();
    visitor.command::<suppression::SuppressAddress>();
    visitor.command::<suppression::LiftSuppression>();
    visitor.command::<access::IssueAccessToken>();
    visitor.command::<access::RevokeAccessToken>();
    visitor.command::<sign_in::RequestSignInLink>();
    visitor.command::<sign_in::OpenSession>();
    visitor.command::<sign_in::CloseSession>();
    visitor.command::<job::DraftInvoices>();
    visitor.command::<job::PublishInvoices>();
    visitor.command::<job::RecordJobProgress>();
}
