//! What a day brought, told shortly: what autopay did, and which e-mails went out.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, Utc};
use serde_json::Value;

use super::Story;
use crate::{
    commands::demo::{cast::Household, client::Client},
    failure::Failure,
};

impl Story {
    /// Goes on to an hour of a day before or after the due day, and tells what happened until then.
    pub(super) async fn day(
        &mut self,
        manager: &Client,
        from_due: i64,
        hour: u8,
        headline: &str,
    ) -> Result<(), Failure> {
        let count = Days::new(from_due.unsigned_abs());
        let day = if from_due < 0 { self.due - count } else { self.due + count };
        self.calendar.go_to(day, hour).await?;
        println!("\n── {} · {headline}", self.calendar.told());
        self.news(manager).await
    }

    /// Waits until nothing is left to do, and tells what happened.
    pub(super) async fn news(&mut self, manager: &Client) -> Result<(), Failure> {
        self.calendar.quiet().await?;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut last = self.told_until;
        for household in self.cast.enrolled.iter().map(|(household, _)| household) {
            let autopay = self.autopay(manager, household).await?;
            for event in autopay["history"].as_array().into_iter().flatten() {
                let position = event["position"].as_i64().unwrap_or_default();
                if position <= self.told_until {
                    continue;
                }
                last = last.max(position);
                let name = event["event"].as_str().unwrap_or_default();
                if matches!(name, "ChargeAuthorized" | "ChargeSucceeded") {
                    *counts.entry(name.to_owned()).or_default() += 1;
                } else if let Some(sentence) = self.sentence(name, &event["facts"]) {
                    let who = autopay["resident_name"].as_str().unwrap_or("somebody");
                    println!("  {who}: {sentence}");
                }
            }
        }
        self.told_until = last;
        for (name, count) in counts {
            println!("  {name} × {count}");
        }
        let mails = mails(manager).await?;
        let new: Vec<String> = mails
            .iter()
            .filter_map(|(kind, count)| {
                let more = count - self.mails.get(kind).unwrap_or(&0);
                (more > 0 && kind != "sign-in-link").then(|| format!("{more} {kind}"))
            })
            .collect();
        if !new.is_empty() {
            println!("  e-mails: {}", new.join(", "));
        }
        self.mails = mails;
        Ok(())
    }

    /// Takes what happened so far as known.
    pub(super) async fn catch_up(&mut self, manager: &Client) -> Result<(), Failure> {
        for household in self.cast.enrolled.iter().map(|(household, _)| household) {
            let autopay = self.autopay(manager, household).await?;
            let positions = autopay["history"].as_array().into_iter().flatten();
            let last = positions.filter_map(|event| event["position"].as_i64()).max().unwrap_or_default();
            self.told_until = self.told_until.max(last);
        }
        self.mails = mails(manager).await?;
        Ok(())
    }

    /// An enrollment with its history, as a manager sees it.
    pub(super) async fn autopay(&self, manager: &Client, household: &Household) -> Result<Value, Failure> {
        match self.set_up.get(&household.resident) {
            Some(set_up) => manager.get(&format!("/v1/autopay/{}", set_up.autopay_id)).await,
            None => Ok(Value::Null),
        }
    }

    fn sentence(&self, event: &str, facts: &Value) -> Option<String> {
        let why = reason(&facts["reason"]);
        Some(match event {
            "ChargeFailed" => {
                let again = facts["retry"]["at"].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
                let day = again.map(|at| self.calendar.zone.day_of(at).format("%a %-d %b").to_string());
                let then = day.map_or_else(|| "not tried again".to_owned(), |day| format!("again on {day}"));
                format!("the charge failed, {why}; {then}")
            }
            "AutopayPaused" if facts["new_method_required"] == true => {
                format!("autopay is paused ({why}) until a new method comes")
            }
            "AutopayPaused" => format!("autopay is paused ({why})"),
            "AutopayResumed" => format!("autopay goes on ({})", facts["because"].as_str().unwrap_or_default()),
            "AutopayActivated" => "a new method serves autopay".to_owned(),
            "AutopayCancelled" => "autopay is cancelled".to_owned(),
            "ChargeHeld" => "the charge is above the cap; the resident is asked".to_owned(),
            "ChargeApproved" => "the resident says yes".to_owned(),
            _ => return None,
        })
    }
}

/// How many e-mails of each kind there are.
async fn mails(manager: &Client) -> Result<BTreeMap<String, usize>, Failure> {
    let mut counts = BTreeMap::new();
    for message in manager.list("/v1/messages").await? {
        *counts.entry(message["kind"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    Ok(counts)
}

/// `Declined insufficient_funds`.
fn reason(reason: &Value) -> String {
    match reason {
        Value::String(name) => name.clone(),
        Value::Object(fields) => {
            let (name, inner) = fields.iter().next().map_or(("", &Value::Null), |(name, inner)| (name.as_str(), inner));
            format!("{name} {}", inner["code"].as_str().unwrap_or_default()).trim_end().to_owned()
        }
        _ => "for an unknown reason".to_owned(),
    }
}
