//! Residents leave their invoices to autopay.

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::{Story, paying::money};
use crate::{
    commands::demo::{cast::Part, payer::Doors, told},
    failure::Failure,
};

impl Story {
    pub(super) async fn enroll(&mut self, doors: &Doors) -> Result<(), Failure> {
        println!("\n── Residents set up autopay");
        let set_up: Vec<_> = stream::iter(self.cast.enrolled.clone())
            .map(|(household, part)| async move {
                let resident = doors.sign_in(&household).await?;
                let set_up = doors.set_up(&resident, &household, "EnableAutopay", part.means()).await?;
                let mut cap = String::new();
                if part == Part::AboveCap {
                    let most = household.invoice["balance"]["amount"].as_i64().unwrap_or_default() - 2_500;
                    let command = json!({
                        "property_id": household.property, "resident_id": household.resident,
                        "cap": { "amount": most, "currency": household.currency() }
                    });
                    resident.command("SetAutopayCap", &command).await?;
                    cap = format!(", asks first above {}", money(most));
                }
                println!("  {} → Active{cap}", set_up.method);
                Ok::<_, Failure>((household.resident, part, set_up))
            })
            .buffer_unordered(6)
            .try_collect()
            .await?;
        self.calendar.quiet().await?;
        for (resident, part, set_up) in set_up {
            // What the bank will say can be told to the sandbox only, once Stripe has named the card.
            let behaviour = match part {
                Part::SecondRetryWorks => Some(("pm_card_chargeDeclinedInsufficientFunds", Some(2))),
                Part::NewCard => Some(("pm_card_chargeDeclinedLostCard", None)),
                _ => None,
            };
            if let Some((like, times)) = behaviour {
                let method = self.method_of(&set_up.intent);
                self.stage.switchboard.behave(&method, like, times).map_err(told)?;
            }
            self.set_up.insert(resident, set_up);
        }
        let active = doors.manager.list("/v1/autopay?status=Active").await?;
        self.expect("everybody who set autopay up is active", active.len() == self.cast.enrolled.len());
        self.catch_up(&doors.manager).await
    }

    /// The card or bank account that a set-up kept: Stripe's `pm_…`.
    fn method_of(&self, intent: &str) -> String {
        let all = self.stage.switchboard.objects("setup_intents").unwrap_or_default();
        let kept = all.iter().map(|held| &held["object"]).find(|kept| kept["id"] == intent);
        kept.and_then(|kept| kept["payment_method"].as_str()).unwrap_or_default().to_owned()
    }
}
