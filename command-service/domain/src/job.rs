//! Bulk jobs: many drafts, or many publications, worked off in chunks and watched.

use chrono::NaiveDate;
use events::{
    InvoiceId, JobEvent, JobId, OrganizationId, PropertyId, Role,
    invoice::InvoiceLine,
    job::{DraftTarget, ItemResult, JobWork},
    text::{Paragraphs, Title},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision, Facts, Need, Scope, payment::PROCESS};

/// The items of one job: what its event takes stays below the megabyte that event stores elsewhere take at once.
const MOST: usize = 5_000;
const MANAGERS: &[Role] = &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager, Role::Operator];

/// Drafts the same invoice for many units, to be reviewed before publication.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftInvoices {
    pub job_id: JobId,
    pub property_id: PropertyId,
    pub title: Title,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Paragraphs>,
    pub lines: Vec<InvoiceLine>,
    #[serde(deserialize_with = "crate::day::day")]
    pub due_on: NaiveDate,
    #[schemars(length(min = 1, max = 5_000))]
    pub targets: Vec<DraftTarget>,
}

/// Publishes many drafts of a property; each is published or refused on its own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishInvoices {
    pub job_id: JobId,
    pub property_id: PropertyId,
    #[schemars(length(min = 1, max = 5_000))]
    pub invoices: Vec<InvoiceId>,
    #[serde(default = "yes")]
    pub notify: bool,
}

const fn yes() -> bool {
    true
}

/// Records what became of a chunk.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordJobProgress {
    pub job_id: JobId,
    /// How many items were done before this chunk.
    pub after: u32,
    pub results: Vec<ItemResult>,
}

refusals! {
    pub enum JobRefusal {
        NotFound = Missing, "there is no such job";
        NoSuchProperty = Invalid, "there is no such property";
        WrongSize = Invalid, "a job has 1 to 10,000 items";
        ItemTwice = Invalid, "an item appears twice";
        StartedOtherwise = Conflict, "a job with this id exists with other work; use a new id";
        OutOfStep = Conflict, "another worker has recorded this chunk";
    }
}

/// A job as decisions need it.
#[derive(Debug, Default)]
pub struct Job {
    pub work: Option<JobWork>,
    pub property: Option<PropertyId>,
    pub done: u32,
    refused: u32,
    pub completed: bool,
}

impl Aggregate for Job {
    type Event = JobEvent;
    type Refusal = JobRefusal;

    fn evolve(&mut self, event: &JobEvent) {
        match event {
            JobEvent::JobStarted { property_id, work } => {
                self.work = Some(work.clone());
                self.property = Some(*property_id);
            }
            JobEvent::JobProgressed { results, done, .. } => {
                self.done = *done;
                let refused = results.iter().filter(|result| result.refusal.is_some()).count();
                self.refused = self.refused.saturating_add(u32::try_from(refused).unwrap_or(u32::MAX));
            }
            JobEvent::JobCompleted { .. } => self.completed = true,
        }
    }

    fn scope(&self) -> Scope {
        self.property.map(Scope::property).unwrap_or_default()
    }
}

fn start(state: &Job, property_id: PropertyId, work: JobWork, items: &[Uuid], context: &Context) -> Decision<Job> {
    if context.facts.property.as_ref().is_none_or(|property| property.details.is_none()) {
        return Err(JobRefusal::NoSuchProperty);
    }
    match &state.work {
        Some(known) if *known == work && state.property == Some(property_id) => return Ok(vec![]),
        Some(_) => return Err(JobRefusal::StartedOtherwise),
        None => {}
    }
    if items.is_empty() || items.len() > MOST {
        return Err(JobRefusal::WrongSize);
    }
    let mut unique = items.to_vec();
    unique.sort_unstable();
    unique.dedup();
    if unique.len() != items.len() {
        return Err(JobRefusal::ItemTwice);
    }
    Ok(vec![JobEvent::JobStarted { property_id, work }])
}

impl Command for DraftInvoices {
    type Aggregate = Job;
    const NAME: &'static str = "DraftInvoices";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.job_id.0
    }

    fn scope(&self, _: &Job) -> Scope {
        Scope::property(self.property_id)
    }

    fn needs(&self, _: &Job, _: &Facts) -> Vec<Need> {
        vec![Need::Property(self.property_id)]
    }

    fn decide(self, state: &Job, context: &Context) -> Decision<Job> {
        let items: Vec<_> = self.targets.iter().map(|target| target.invoice_id.0).collect();
        let work = JobWork::DraftInvoices {
            property_id: self.property_id,
            title: self.title,
            description: self.description,
            lines: self.lines,
            due_on: self.due_on,
            targets: self.targets,
        };
        start(state, self.property_id, work, &items, context)
    }

    fn example() -> Value {
        json!({
            "job_id": "01935c2e-0000-7000-8000-000000000a01",
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "title": "Monthly fee, January 2027",
            "lines": [{ "description": "Condo fee", "amount": { "amount": 42_500, "currency": "CAD" } }],
            "due_on": "2027-01-15",
            "targets": [{
                "invoice_id": "01935c2e-0000-7000-8000-000000000303",
                "unit_id": "01935c2e-0000-7000-8000-000000000101",
                "resident_id": "01935c2e-0000-7000-8000-000000000201"
            }]
        })
    }
}

impl Command for PublishInvoices {
    type Aggregate = Job;
    const NAME: &'static str = "PublishInvoices";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.job_id.0
    }

    fn scope(&self, _: &Job) -> Scope {
        Scope::property(self.property_id)
    }

    fn needs(&self, _: &Job, _: &Facts) -> Vec<Need> {
        vec![Need::Property(self.property_id)]
    }

    fn decide(self, state: &Job, context: &Context) -> Decision<Job> {
        let items: Vec<_> = self.invoices.iter().map(|invoice| invoice.0).collect();
        let work = JobWork::PublishInvoices { invoices: self.invoices, notify: self.notify };
        start(state, self.property_id, work, &items, context)
    }

    fn example() -> Value {
        json!({
            "job_id": "01935c2e-0000-7000-8000-000000000a02",
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "invoices": ["01935c2e-0000-7000-8000-000000000303"],
            "notify": true
        })
    }
}

impl Command for RecordJobProgress {
    type Aggregate = Job;
    const NAME: &'static str = "RecordJobProgress";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.job_id.0
    }

    fn decide(self, state: &Job, _: &Context) -> Decision<Job> {
        let work = state.work.as_ref().ok_or(JobRefusal::NotFound)?;
        let total = u32::try_from(work.len()).unwrap_or(u32::MAX);
        if state.completed || self.after < state.done {
            return Ok(vec![]);
        }
        let chunk = u32::try_from(self.results.len()).unwrap_or(u32::MAX);
        if self.after > state.done || chunk == 0 || chunk > total.saturating_sub(state.done) {
            return Err(JobRefusal::OutOfStep);
        }
        let done = state.done + chunk;
        let refused = self.results.iter().filter(|result| result.refusal.is_some()).count();
        let refused = state.refused.saturating_add(u32::try_from(refused).unwrap_or(u32::MAX));
        let mut events = vec![JobEvent::JobProgressed { results: self.results, done, total }];
        if done == total {
            events.push(JobEvent::JobCompleted { succeeded: total.saturating_sub(refused), refused });
        }
        Ok(events)
    }

    fn example() -> Value {
        Value::Null
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        fixtures::{INVOICE, PROPERTY, RESIDENT, UNIT, community, day, line, usd, with},
        from, given, state,
    };

    const JOB: JobId = JobId(Uuid::from_u128(0xc0));

    fn invoices(count: u128) -> Vec<InvoiceId> {
        (1..=count).map(|id| InvoiceId(Uuid::from_u128(id))).collect()
    }

    fn publish(invoices: Vec<InvoiceId>) -> PublishInvoices {
        PublishInvoices { job_id: JOB, property_id: PROPERTY, invoices, notify: true }
    }

    fn started(invoices: Vec<InvoiceId>) -> JobEvent {
        JobEvent::JobStarted { property_id: PROPERTY, work: JobWork::PublishInvoices { invoices, notify: true } }
    }

    fn result(refusal: Option<&str>) -> ItemResult {
        ItemResult { item: INVOICE.0, refusal: refusal.map(Into::into) }
    }

    fn progress(after: u32, results: Vec<ItemResult>) -> RecordJobProgress {
        RecordJobProgress { job_id: JOB, after, results }
    }

    fn progressed(results: Vec<ItemResult>, done: u32) -> JobEvent {
        JobEvent::JobProgressed { results, done, total: 3 }
    }

    #[test]
    fn a_publication_of_many_starts_once() {
        given([]).facts(community()).accepts(publish(invoices(3)), [started(invoices(3))]);
        given([started(invoices(3))]).facts(community()).refuses(publish(invoices(2)), JobRefusal::StartedOtherwise);
        let elsewhere = PublishInvoices { property_id: PropertyId(Uuid::from_u128(9)), ..publish(invoices(3)) };
        given([started(invoices(3))]).facts(community()).refuses(elsewhere, JobRefusal::StartedOtherwise);
        given([]).refuses(publish(invoices(3)), JobRefusal::NoSuchProperty);
        assert_eq!(state::<Job>([started(invoices(3))]).scope(), Scope::property(PROPERTY));
    }

    #[test]
    fn a_drafting_of_many_starts_once() {
        let target = DraftTarget { invoice_id: INVOICE, unit_id: UNIT, resident_id: RESIDENT };
        let draft = DraftInvoices {
            job_id: JOB,
            property_id: PROPERTY,
            title: from("March"),
            description: None,
            lines: vec![line(usd(10_000))],
            due_on: day("2026-03-31"),
            targets: vec![target],
        };
        let work = JobWork::DraftInvoices {
            property_id: PROPERTY,
            title: from("March"),
            description: None,
            lines: vec![line(usd(10_000))],
            due_on: day("2026-03-31"),
            targets: vec![target],
        };
        let twice = DraftInvoices { targets: vec![target, target], ..draft.clone() };
        given([]).facts(community()).refuses(twice, JobRefusal::ItemTwice);
        given([]).facts(community()).accepts(draft, [JobEvent::JobStarted { property_id: PROPERTY, work }]);
    }

    #[test]
    fn a_job_has_one_to_five_thousand_items_each_once() {
        for bad in [invoices(0), invoices(5_001)] {
            given([]).facts(community()).refuses(publish(bad), JobRefusal::WrongSize);
        }
        given([]).facts(community()).refuses(publish(vec![INVOICE, INVOICE]), JobRefusal::ItemTwice);
        given([]).facts(community()).accepts(publish(invoices(5_000)), [started(invoices(5_000))]);
    }

    /// Event stores elsewhere take a megabyte at once.
    #[test]
    fn the_event_of_the_largest_job_stays_below_a_megabyte() {
        let target = DraftTarget { invoice_id: INVOICE, unit_id: UNIT, resident_id: RESIDENT };
        let work = JobWork::DraftInvoices {
            property_id: PROPERTY,
            title: from("March"),
            description: Some(from("\u{e9}".repeat(2000))),
            lines: vec![line(usd(10_000)); 100],
            due_on: day("2026-03-31"),
            targets: vec![target; MOST],
        };
        let event = serde_json::to_vec(&JobEvent::JobStarted { property_id: PROPERTY, work }).expect("JSON");
        assert!(event.len() < 1 << 20, "{} bytes", event.len());
    }

    #[test]
    fn chunks_are_recorded_in_step_until_all_is_done() {
        let first = vec![result(None), result(Some("voided"))];
        let story = vec![started(invoices(3))];
        given(story.clone()).accepts(progress(0, first.clone()), [progressed(first.clone(), 2)]);
        let story = with(story, [progressed(first.clone(), 2)]);
        let last = vec![result(None)];
        let completed = JobEvent::JobCompleted { succeeded: 2, refused: 1 };
        given(story.clone()).accepts(progress(2, last.clone()), [progressed(last.clone(), 3), completed.clone()]);
        given(story.clone()).ignores(progress(0, first.clone()));
        given(story.clone()).refuses(progress(3, last.clone()), JobRefusal::OutOfStep);
        given(story.clone()).refuses(progress(2, vec![]), JobRefusal::OutOfStep);
        given(story.clone()).refuses(progress(2, first.clone()), JobRefusal::OutOfStep);
        given([]).refuses(progress(0, first.clone()), JobRefusal::NotFound);
        given(with(story, [progressed(last, 3), completed])).ignores(progress(3, first));
    }
}
