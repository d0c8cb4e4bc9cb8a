//! `propty import`: a community from a spreadsheet export; good rows whole, bad rows named, a second time nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::ExitCode,
};

use chrono::{Days, NaiveDate};
use command_service::{Ask, Engine, Fault};
use domain::{
    Command,
    invoice::{DraftInvoice, PublishInvoice},
    organization::RegisterOrganization,
    property::AddProperty,
    resident::{Home, MoveResidentIn, RegisterResident},
    sms_consent::RefuseClaimedOptIn,
    unit::AddUnit,
};
use event_store::keyring::sha256;
use events::{
    Currency, EmailAddress, InvoiceId, Language, Money, OrganizationId, Phone, PropertyId, ResidentId, TimeZone,
    UnitId,
    address::PostalAddress,
    invoice::InvoiceLine,
    resident::Tenure,
    text::{Label, Line, Name, PersonName, Title},
};
use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;
use roster::{MinorDigits, Options, Roster, Row};
use uuid::Uuid;

use super::rebuild::style;
use host::Settings;

use crate::{
    cli::{Import, Place},
    failure::Failure,
    node::Node,
};

/// Rows at a time; the rows of one resident stay together.
const AT_ONCE: usize = 16;

/// Where a community goes, and what its rows do not say.
#[derive(Debug, Clone)]
pub struct Target {
    pub organization: OrganizationId,
    pub organization_name: Name,
    pub properties: BTreeMap<String, PropertyTerms>,
    pub fallback_property: String,
}

/// What a property needs beyond its name.
#[derive(Debug, Clone)]
pub struct PropertyTerms {
    pub time_zone: TimeZone,
    pub currency: Currency,
    pub contact: EmailAddress,
    pub address: PostalAddress,
}

/// A resident of the file with all their rows.
#[derive(Debug, Clone)]
pub struct Person {
    /// As [`identify`] leaves it; before, only good to tell one from another.
    pub id: ResidentId,
    /// What the person is known by in the file. `Debug` shows rows anyway.
    natural_key: String,
    pub rows: Vec<Placed>,
}

/// A row with the ids that follow from it.
#[derive(Debug, Clone)]
pub struct Placed {
    pub row: Row,
    pub property: PropertyId,
    pub currency: Currency,
    pub time_zone: TimeZone,
    pub unit: UnitId,
}

/// What was done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub changed: usize,
    pub unchanged: usize,
    /// Consents that the file claimed, refused and put on record.
    pub refused: usize,
}

impl Tally {
    const fn count(&mut self, changed: bool) {
        if changed {
            self.changed += 1;
        } else {
            self.unchanged += 1;
        }
    }
}

pub async fn run(place: &Place, settings: Settings, args: &Import) -> Result<ExitCode, Failure> {
    let currency: Currency = args.currency.parse().map_err(|error| Failure::Told(format!("--currency: {error}")))?;
    let roster = read(&args.file, currency)?;
    let target = target(args, currency)?;
    println!(
        "{}: {} rows, {}, separated by {}",
        args.file.display(),
        roster.rows.len() + roster.rows_left_out(),
        roster.encoding.name(),
        roster.delimiter.name()
    );
    for column in &roster.columns {
        println!("  column {:?} is the {}", column.header, column.field.name());
    }
    for column in &roster.ignored {
        println!("  column {:?} is ignored", column.header);
    }
    for note in &roster.notes {
        println!("  note: {note}");
    }
    for row in &roster.rows {
        // Credits come with the ledger; until then they must at least not vanish in silence.
        if let Some(Ok(credit)) =
            row.opening_balance.filter(|balance| *balance < 0).map(|balance| Money::try_new(-balance, currency))
        {
            println!(
                "  note: line {}: the credit of {credit} is not brought in; take it off their next invoice",
                row.line
            );
        }
    }
    let claims = roster.rows.iter().filter(|row| row.claims_opt_in).count();
    if claims > 0 {
        println!("  note: {claims} rows claim a consent to texts; only residents themselves can agree, in the portal");
    }
    for problem in &roster.problems {
        println!("  bad row: {problem}");
    }
    let people = people(&roster, &target);
    let refused = !roster.problems.is_empty() && !args.skip_bad_rows;
    if args.dry_run || refused {
        let units: BTreeSet<_> = people.iter().flat_map(|person| person.rows.iter().map(|row| row.unit)).collect();
        println!("would bring in {} residents and {} units; nothing was changed", people.len(), units.len());
        if refused {
            println!("{} bad rows: mend them, or say --skip-bad-rows", roster.rows_left_out());
        }
        return Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    let node = Node::visit(place, settings).await?;
    let people = match identify(&node.engine, target.organization, people).await {
        Ok(people) => people,
        Err(failure) => {
            node.close().await;
            return Err(failure);
        }
    };
    let bar = ProgressBar::new(u64::try_from(people.len()).unwrap_or_default()).with_style(style());
    bar.set_message("residents");
    let result = bring_in(&node.engine, &target, &people, &|| bar.inc(1)).await;
    bar.finish();
    node.close().await;
    let tally = result?;
    println!("organization {}", target.organization);
    for name in target.properties.keys() {
        println!("property {} {name}", property_id(target.organization, name));
    }
    println!("{} things were changed, {} were so already", tally.changed, tally.unchanged);
    if tally.refused > 0 {
        println!("{} claims of a consent to texts were put on record as refused", tally.refused);
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads and parses the file.
pub fn read(path: &Path, currency: Currency) -> Result<Roster, Failure> {
    let bytes = std::fs::read(path).map_err(|source| Failure::File { path: path.display().to_string(), source })?;
    let digits = if currency.minor_digits() == 0 { MinorDigits::Zero } else { MinorDigits::Two };
    let options = Options { minor_digits: digits, ..Options::default() };
    roster::read(&bytes, &options).map_err(|problem| Failure::Told(format!("{}: {problem}", path.display())))
}

fn target(args: &Import, currency: Currency) -> Result<Target, Failure> {
    let told = |option: &str, error: &dyn std::fmt::Display| Failure::Told(format!("{option}: {error}"));
    let terms = PropertyTerms {
        time_zone: TimeZone::parse(&args.time_zone).map_err(|error| told("--time-zone", &error))?,
        currency,
        contact: EmailAddress::parse(&args.contact).map_err(|error| told("--contact", &error))?,
        address: unknown_address()?,
    };
    let organization_name =
        Name::parse(&args.organization_name).map_err(|error| told("--organization-name", &error))?;
    Name::parse(&args.property).map_err(|error| told("--property", &error))?;
    // Without an id, the name is the identity: importing again finds the same organization.
    let organization = args.organization.map_or_else(
        || OrganizationId(Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("propty/{organization_name}").as_bytes())),
        OrganizationId,
    );
    let roster = read(&args.file, currency)?;
    let mut properties = BTreeMap::new();
    for row in &roster.rows {
        properties.insert(row.property.clone().unwrap_or_else(|| args.property.clone()), terms.clone());
    }
    Ok(Target { organization, organization_name, properties, fallback_property: args.property.clone() })
}

/// A spreadsheet of residents does not say where the property stands; a manager fills it in later.
fn unknown_address() -> Result<PostalAddress, Failure> {
    let failed = |error: events::text::TextError| Failure::Told(error.to_string());
    Ok(PostalAddress {
        street: Line::parse("to be filled in").map_err(failed)?,
        city: Name::parse("to be filled in").map_err(failed)?,
        region: Line::parse("-").map_err(failed)?,
        postal_code: Line::parse("-").map_err(failed)?,
        country: Line::parse("US").map_err(failed)?,
    })
}

/// The property of this name, as an import makes it.
pub fn property_id(organization: OrganizationId, name: &str) -> PropertyId {
    PropertyId::derived(organization.0, &format!("property/{}", name.trim().to_lowercase()))
}

/// Groups the rows by resident. A person is their name and e-mail; without e-mail, their name in their unit.
pub fn people(roster: &Roster, target: &Target) -> Vec<Person> {
    let mut people: Vec<Person> = Vec::new();
    let mut known: BTreeMap<Uuid, usize> = BTreeMap::new();
    for row in &roster.rows {
        let name = row.property.clone().unwrap_or_else(|| target.fallback_property.clone());
        let Some(terms) = target.properties.get(&name) else { continue };
        let property = property_id(target.organization, &name);
        let unit = UnitId::derived(property.0, &format!("unit/{}", row.unit.trim().to_lowercase()));
        let who = format!("{}/{}", row.first_name.to_lowercase(), row.last_name.to_lowercase());
        let key = match &row.email {
            Some(email) => format!("{who}/{}", email.to_lowercase()),
            None => format!("{who}/{unit}"),
        };
        let digest = sha256(format!("{}/{key}", target.organization).as_bytes());
        let id = ResidentId::derived(target.organization.0, &format!("resident/{digest:02x?}"));
        let placed = Placed { row: row.clone(), property, currency: terms.currency, time_zone: terms.time_zone, unit };
        let index = *known.entry(id.0).or_insert(people.len());
        if index == people.len() {
            people.push(Person { id, natural_key: format!("import/resident/{key}"), rows: Vec::new() });
        }
        people[index].rows.push(placed);
    }
    people
}

/// Gives people their ids: by a keyed hash, so that an id, which goes into links, feeds and webhooks, does not reveal who it names
/// to someone who guesses names. Who was brought in before there was a key to it keeps the id of that time.
pub async fn identify(
    engine: &Engine,
    organization: OrganizationId,
    mut people: Vec<Person>,
) -> Result<Vec<Person>, Failure> {
    let streams: Vec<String> = people.iter().map(|person| format!("{organization}/{}", person.id)).collect();
    let known: Vec<String> = sqlx::query_scalar(
        "select aggregate_id from log.events
         where aggregate_type = 'resident' and stream_key = any($1) and sequence = 1",
    )
    .bind(streams)
    .fetch_all(engine.store().pool())
    .await?;
    let known: BTreeSet<String> = known.into_iter().collect();
    for person in people.iter_mut().filter(|person| !known.contains(&person.id.to_string())) {
        person.id = ResidentId(engine.store().keyring().digest(organization, &person.natural_key));
    }
    Ok(people)
}

/// Brings a community in. Every id follows from the file, so a second time changes nothing.
pub async fn bring_in(
    engine: &Engine,
    target: &Target,
    people: &[Person],
    step: &(dyn Fn() + Sync),
) -> Result<Tally, Failure> {
    let ask = Ask::operator(target.organization);
    let mut tally = Tally::default();
    let register = RegisterOrganization { name: target.organization_name.clone() };
    match engine.execute(register, &ask).await {
        Ok(answer) => tally.count(!answer.appended.events.is_empty()),
        // It was renamed since; the id tells that it is the one.
        Err(Fault::Refused { code: "RegisteredOtherwise", .. }) => tally.unchanged += 1,
        Err(fault) => return Err(fault.into()),
    }
    for (name, terms) in &target.properties {
        let add = AddProperty {
            property_id: property_id(target.organization, name),
            name: Name::parse(name).map_err(|error| Failure::Told(format!("property {name:?}: {error}")))?,
            address: terms.address.clone(),
            time_zone: terms.time_zone,
            currency: terms.currency,
            contact: terms.contact.clone(),
            sender: None,
            fees: None,
        };
        match engine.execute(add, &ask).await {
            Ok(answer) => tally.count(!answer.appended.events.is_empty()),
            Err(Fault::Refused { code: "AddedOtherwise", .. }) => tally.unchanged += 1,
            Err(fault) => return Err(fault.into()),
        }
    }
    let mut results = stream::iter(people)
        .map(|person| async {
            let done = bring_in_person(engine, &ask, person).await;
            step();
            done
        })
        .buffer_unordered(AT_ONCE);
    while let Some(done) = results.next().await {
        let Tally { changed, unchanged, refused } = done?;
        tally.changed += changed;
        tally.unchanged += unchanged;
        tally.refused += refused;
    }
    Ok(tally)
}

async fn execute<C: Command>(engine: &Engine, ask: &Ask, command: C, tally: &mut Tally) -> Result<(), Failure> {
    let answer = engine.execute(command, ask).await?;
    tally.count(!answer.appended.events.is_empty());
    Ok(())
}

async fn bring_in_person(engine: &Engine, ask: &Ask, person: &Person) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    for (index, placed) in person.rows.iter().enumerate() {
        let row = &placed.row;
        let told = |error: &dyn std::fmt::Display| Failure::Told(format!("line {}: {error}", row.line));
        let label = Label::parse(&row.unit).map_err(|error| told(&error))?;
        let unit = AddUnit { unit_id: placed.unit, property_id: placed.property, label };
        match engine.execute(unit, ask).await {
            Ok(answer) => tally.count(!answer.appended.events.is_empty()),
            // Relabelled by hand since the last import; the file does not undo that.
            Err(Fault::Refused { code: "AddedOtherwise", .. }) => tally.unchanged += 1,
            Err(fault) => return Err(fault.into()),
        }
        let today = placed.time_zone.day_of(engine.clock().now());
        let home = Home {
            property_id: placed.property,
            unit_id: placed.unit,
            tenure: match row.tenure {
                roster::Tenure::Owner => Tenure::Owner,
                roster::Tenure::Tenant => Tenure::Tenant,
                roster::Tenure::Occupant => Tenure::Occupant,
            },
            on: row.move_in.as_deref().and_then(|day| day.parse::<NaiveDate>().ok()).unwrap_or(today),
        };
        if index == 0 {
            let first = row.first_name.trim();
            let register = RegisterResident {
                resident_id: person.id,
                name: PersonName {
                    first: (!first.is_empty()).then(|| Name::parse(first)).transpose().map_err(|error| told(&error))?,
                    last: Name::parse(&row.last_name).map_err(|error| told(&error))?,
                },
                email: row.email.as_deref().map(EmailAddress::parse).transpose().map_err(|error| told(&error))?,
                phone: row.phone.as_deref().map(Line::parse).transpose().map_err(|error| told(&error))?,
                language: match row.language {
                    roster::Language::English => Language::En,
                    roster::Language::French => Language::Fr,
                    roster::Language::Spanish => Language::Es,
                },
                home,
            };
            match engine.execute(register, ask).await {
                Ok(answer) => tally.count(!answer.appended.events.is_empty()),
                // Corrected by hand since the last import; the file does not undo that.
                Err(Fault::Refused { code: "RegisteredOtherwise", .. }) => tally.unchanged += 1,
                Err(fault) => return Err(fault.into()),
            }
        } else {
            let known: domain::Resident = engine.state(ask.organization, person.id.0).await?;
            // Whoever moved out or was erased since the last import stays so.
            if known.erased || known.has_left(placed.unit) {
                tally.unchanged += 1;
                continue;
            }
            execute(engine, ask, MoveResidentIn { resident_id: person.id, home }, &mut tally).await?;
        }
        if row.claims_opt_in {
            refuse_claim(engine, ask, person.id, row, &mut tally).await?;
        }
        if let Some(balance) = row.opening_balance.filter(|balance| *balance > 0) {
            open_balance(engine, ask, person.id, placed, balance, today, &mut tally).await?;
        }
    }
    Ok(tally)
}

/// A consent that the file claims is put on record as refused. Without a number there is nothing that it could be about.
async fn refuse_claim(
    engine: &Engine,
    ask: &Ask,
    resident_id: ResidentId,
    row: &Row,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let Some(phone) = row.phone.as_deref().and_then(|phone| Phone::parse(phone).ok()) else { return Ok(()) };
    match engine.execute(RefuseClaimedOptIn { resident_id, phone }, ask).await {
        Ok(_) => tally.unchanged += 1,
        Err(Fault::Refused { code: "OnlyTheResident", .. }) => tally.refused += 1,
        Err(fault) => return Err(fault.into()),
    }
    Ok(())
}

/// What a resident owed before becomes an invoice, published without an e-mail.
async fn open_balance(
    engine: &Engine,
    ask: &Ask,
    resident_id: ResidentId,
    placed: &Placed,
    balance: i64,
    today: NaiveDate,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let told = |error: &dyn std::fmt::Display| Failure::Told(format!("line {}: {error}", placed.row.line));
    let invoice_id = InvoiceId::derived(resident_id.0, &format!("opening balance/{}", placed.unit));
    let title = Title::parse("Opening balance").map_err(|error| told(&error))?;
    let amount = Money::try_new(balance, placed.currency).map_err(|error| told(&error))?;
    let draft = DraftInvoice {
        invoice_id,
        property_id: placed.property,
        unit_id: placed.unit,
        resident_id,
        title: title.clone(),
        description: None,
        lines: vec![InvoiceLine { description: title, amount }],
        due_on: today + Days::new(30),
    };
    match engine.execute(draft, ask).await {
        Ok(answer) => tally.count(!answer.appended.events.is_empty()),
        // Brought in before: its due date is counted from that day.
        Err(Fault::Refused { code: "DraftedOtherwise", .. }) => {
            tally.unchanged += 1;
            return Ok(());
        }
        Err(fault) => return Err(fault.into()),
    }
    execute(engine, ask, PublishInvoice { invoice_id, notify: false }, tally).await
}
