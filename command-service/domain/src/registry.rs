//! Every command, once. What walks commands (HTTP, `OpenAPI`, schemas, the role table) is a visitor.

use crate::{
    Command, access_token, autopay, credit, disclosure, email, inbound_text, invoice, job, organization, payment,
    property, refund, resident, sign_in, sms_consent, stripe_account, suppression, text_message, unit, webhook,
};

/// Something that is done for each command type.
pub trait Visitor {
    fn command<C: Command>(&mut self);
}

/// Walks the commands; a new aggregate adds its lines here.
pub fn visit_commands(visitor: &mut impl Visitor) {
    visitor.command::<organization::RegisterOrganization>();
    visitor.command::<organization::RenameOrganization>();
    visitor.command::<organization::ResumeTask>();
    visitor.command::<organization::DropTask>();
    visitor.command::<property::AddProperty>();
    visitor.command::<property::ChangePropertyDetails>();
    visitor.command::<property::ChangeFeePolicy>();
    visitor.command::<property::ChangeBillingPolicy>();
    visitor.command::<property::ChangeSurchargePolicy>();
    visitor.command::<property::SwitchEmailKind>();
    visitor.command::<property::SwitchTextKind>();
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
    visitor.command::<resident::EndRetention>();
    visitor.command::<invoice::DraftInvoice>();
    visitor.command::<invoice::EditInvoice>();
    visitor.command::<invoice::DiscardDraft>();
    visitor.command::<invoice::PublishInvoice>();
    visitor.command::<invoice::VoidInvoice>();
    visitor.command::<invoice::RecordOfflinePayment>();
    visitor.command::<invoice::CorrectOfflinePayment>();
    visitor.command::<invoice::WriteOffInvoice>();
    visitor.command::<invoice::ReservePayment>();
    visitor.command::<invoice::ReleasePayment>();
    visitor.command::<invoice::ApplyPayment>();
    visitor.command::<invoice::ReversePayment>();
    visitor.command::<invoice::ReverseDisputed>();
    visitor.command::<invoice::ReinstatePayment>();
    visitor.command::<invoice::UndoRefund>();
    visitor.command::<invoice::ApplyCredit>();
    visitor.command::<credit::GrantCredit>();
    visitor.command::<credit::AddCredit>();
    visitor.command::<credit::SpendCredit>();
    visitor.command::<credit::ReturnCredit>();
    visitor.command::<payment::QuotePayment>();
    visitor.command::<payment::RecordPreview>();
    visitor.command::<payment::FailPreview>();
    visitor.command::<payment::StartAutopayPayment>();
    visitor.command::<payment::StartPayment>();
    visitor.command::<payment::CancelPayment>();
    visitor.command::<payment::AbandonPayment>();
    visitor.command::<payment::ResolvePayment>();
    visitor.command::<payment::SubmitPayment>();
    visitor.command::<payment::RecordPaymentUnknown>();
    visitor.command::<payment::RecordIntent>();
    visitor.command::<payment::RecordDispute>();
    visitor.command::<refund::RefundPayment>();
    visitor.command::<refund::SubmitRefund>();
    visitor.command::<refund::RecordRefund>();
    visitor.command::<refund::RecordOutsideRefund>();
    visitor.command::<autopay::EnableAutopay>();
    visitor.command::<autopay::UpdateAutopayMethod>();
    visitor.command::<autopay::ReactivateAutopay>();
    visitor.command::<autopay::CancelAutopay>();
    visitor.command::<autopay::SetAutopayCap>();
    visitor.command::<autopay::ApproveCharge>();
    visitor.command::<autopay::RecordSetup>();
    visitor.command::<autopay::FailSetup>();
    visitor.command::<autopay::DeferCharge>();
    visitor.command::<autopay::HoldCharge>();
    visitor.command::<autopay::AuthorizeCharge>();
    visitor.command::<autopay::SettleCharge>();
    visitor.command::<autopay::FailCharge>();
    visitor.command::<autopay::WithdrawCharge>();
    visitor.command::<autopay::ReturnCharge>();
    visitor.command::<autopay::RevokeMandate>();
    visitor.command::<autopay::LoseMethod>();
    visitor.command::<autopay::RefreshMethod>();
    visitor.command::<autopay::ReleaseInvoice>();
    visitor.command::<stripe_account::ConnectStripeAccount>();
    visitor.command::<stripe_account::ReconnectStripeAccount>();
    visitor.command::<stripe_account::DisconnectStripeAccount>();
    visitor.command::<stripe_account::RecordStripeAccount>();
    visitor.command::<stripe_account::RecordPayout>();
    visitor.command::<stripe_account::RecordReconciliation>();
    visitor.command::<email::RequestEmail>();
    visitor.command::<email::SuppressEmail>();
    visitor.command::<email::SubmitEmail>();
    visitor.command::<email::RecordEmail>();
    visitor.command::<email::ResendEmail>();
    visitor.command::<suppression::SuppressAddress>();
    visitor.command::<suppression::LiftSuppression>();
    visitor.command::<disclosure::PublishDisclosure>();
    visitor.command::<sms_consent::ShowDisclosure>();
    visitor.command::<sms_consent::RecordSmsConsent>();
    visitor.command::<sms_consent::RefuseClaimedOptIn>();
    visitor.command::<sms_consent::RequestSmsCode>();
    visitor.command::<sms_consent::ConfirmSmsConsent>();
    visitor.command::<sms_consent::RevokeSmsConsent>();
    visitor.command::<sms_consent::RecordVerbalOptOut>();
    visitor.command::<sms_consent::ReportNumberReassigned>();
    visitor.command::<sms_consent::RecordInboundText>();
    visitor.command::<sms_consent::DecideHeldText>();
    visitor.command::<sms_consent::RecordProviderBlock>();
    visitor.command::<sms_consent::RecordUndeliverable>();
    visitor.command::<sms_consent::ReviewSmsConsent>();
    visitor.command::<sms_consent::AuthorizeText>();
    visitor.command::<inbound_text::KeepUnknownText>();
    visitor.command::<text_message::RequestText>();
    visitor.command::<text_message::SuppressText>();
    visitor.command::<text_message::DeferText>();
    visitor.command::<text_message::SubmitText>();
    visitor.command::<text_message::RecordText>();
    visitor.command::<text_message::DecideTextOutcome>();
    visitor.command::<access_token::IssueAccessToken>();
    visitor.command::<access_token::RevokeAccessToken>();
    visitor.command::<sign_in::RequestSignInLink>();
    visitor.command::<sign_in::OpenSession>();
    visitor.command::<sign_in::CloseSession>();
    visitor.command::<job::DraftInvoices>();
    visitor.command::<job::PublishInvoices>();
    visitor.command::<job::RecordJobProgress>();
    visitor.command::<webhook::RegisterWebhook>();
    visitor.command::<webhook::ChangeWebhook>();
    visitor.command::<webhook::RotateWebhookSecret>();
    visitor.command::<webhook::EnableWebhook>();
    visitor.command::<webhook::DisableWebhook>();
    visitor.command::<webhook::SuspendWebhook>();
    visitor.command::<webhook::ReplayWebhook>();
    visitor.command::<webhook::SendTestWebhook>();
    visitor.command::<webhook::RemoveWebhook>();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use events::Role;
    use serde_json::Value;

    use super::*;

    /// Walks everything and keeps what is wrong.
    #[derive(Default)]
    struct Audit {
        names: BTreeSet<&'static str>,
        faults: Vec<String>,
    }

    impl Audit {
        fn expect(&mut self, holds: bool, what: impl Into<String>) {
            if !holds {
                self.faults.push(what.into());
            }
        }
    }

    impl Visitor for Audit {
        fn command<C: Command>(&mut self) {
            let name = C::NAME;
            let fresh = self.names.insert(name);
            self.expect(fresh, format!("{name} is there twice"));
            let type_name = std::any::type_name::<C>();
            self.expect(type_name.ends_with(&format!("::{name}")), format!("{name} is the name of {type_name}"));

            let schema = schemars::schema_for!(C).to_value();
            let described = schema.get("description").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
            self.expect(described, format!("{name} has no description"));
            let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
            self.expect(closed, format!("{name} takes unknown fields"));
            let fields = schema.get("properties").and_then(Value::as_object);
            self.expect(fields.is_some_and(|fields| !fields.is_empty()), format!("{name} has no fields"));
            for (field, schema) in fields.into_iter().flatten() {
                let typed = ["type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"]
                    .iter()
                    .any(|word| schema.get(word).is_some());
                // Only a rendered message may be anything.
                let free = (name, field.as_str()) == ("SubmitEmail", "message");
                self.expect(typed || free, format!("{name}.{field} has no type"));
            }

            let roles: BTreeSet<_> = C::ROLES.iter().collect();
            self.expect(!roles.is_empty() && roles.len() == C::ROLES.len(), format!("{name} has odd roles"));
            for reader in [Role::ComplianceAuditor, Role::Integrator] {
                self.expect(!roles.contains(&reader), format!("{name} is open to {}, who only reads", reader.name()));
            }
            // A secret is made at the edge: nobody sends such a body.
            let sent = !["IssueAccessToken", "RegisterWebhook", "RotateWebhookSecret"].contains(&name)
                && roles.iter().any(|role| !is_machine(**role));
            match serde_json::from_value::<C>(C::example()) {
                Ok(command) => {
                    let kept = serde_json::to_value(command).is_ok_and(|again| covers(&again, &C::example()));
                    self.expect(kept, format!("{name}'s example loses something on the way"));
                    self.expect(sent, format!("{name} has an example that nobody may send"));
                }
                Err(why) => self.expect(!sent, format!("{name}'s example is none: {why}")),
            }
        }
    }

    /// Reached by neither tokens nor sessions nor the shell.
    const fn is_machine(role: Role) -> bool {
        matches!(role, Role::Process | Role::Provider)
    }

    /// Whether everything in `part` is in `whole`; defaults may have been added.
    fn covers(whole: &Value, part: &Value) -> bool {
        match (whole, part) {
            (Value::Object(whole), Value::Object(part)) => {
                part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| covers(whole, part)))
            }
            (whole, part) => whole == part,
        }
    }

    #[test]
    fn every_command_is_named_described_and_exemplified() {
        let mut audit = Audit::default();
        visit_commands(&mut audit);
        assert!(audit.faults.is_empty(), "{:#?}", audit.faults);
        assert!(audit.names.len() > 50, "{}", audit.names.len());
    }
}
