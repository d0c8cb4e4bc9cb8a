//! Who plays which part: residents with a mailbox of their own and one open invoice.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::browser::Means;
use crate::commands::import::Person;

/// At most so many residents pay by hand in each of the two ways of bearing fees.
const PAYERS: usize = 12;

/// A resident and what they owe.
#[derive(Debug, Clone)]
pub struct Household {
    pub email: String,
    pub resident: String,
    pub property: String,
    pub invoice: Value,
    /// The property lets its residents bear the fee.
    pub bears_fee: bool,
}

impl Household {
    pub fn invoice_id(&self) -> &str {
        self.invoice["invoice_id"].as_str().unwrap_or_default()
    }

    pub fn currency(&self) -> &str {
        self.invoice["balance"]["currency"].as_str().unwrap_or_default()
    }

    /// Banks are debited in US dollars only.
    fn has_bank(&self) -> bool {
        self.currency() == "USD"
    }
}

/// How a resident pays by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    CreditCard,
    DebitCard,
    BankDebit,
    /// A part now, the rest another day.
    Part,
    /// The first card is declined, the second goes through.
    DeclinedFirst,
}

/// What autopay meets with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Charged,
    DebitCard,
    /// Declined, and three more times.
    UsesUpRetries,
    /// Declined twice, then it works.
    SecondRetryWorks,
    /// Declined for good; a new card comes.
    NewCard,
    /// Above the cap: asked first.
    AboveCap,
    /// Brings a check the day before.
    BringsCheck,
    BankSettles,
    /// The bank takes it back after it had succeeded.
    BankReturns,
    /// Cancels while the charge is on its way.
    CancelsInFlight,
}

/// In the order in which a small community fills them.
const PARTS: [Part; 12] = [
    Part::Charged,
    Part::UsesUpRetries,
    Part::BankReturns,
    Part::SecondRetryWorks,
    Part::CancelsInFlight,
    Part::AboveCap,
    Part::BringsCheck,
    Part::BankSettles,
    Part::NewCard,
    Part::DebitCard,
    Part::Charged,
    Part::Charged,
];

impl Part {
    pub const fn means(self) -> Means {
        match self {
            Self::Charged | Self::SecondRetryWorks | Self::NewCard | Self::AboveCap | Self::BringsCheck => {
                Means::CREDIT
            }
            Self::DebitCard => Means::DEBIT,
            Self::UsesUpRetries => Means::KEPT_THEN_DECLINED,
            Self::BankSettles | Self::CancelsInFlight => Means::BANK,
            Self::BankReturns => Means::BANK_RETURNED,
        }
    }

    /// Whose autopay it is.
    pub const fn told(self) -> &'static str {
        match self {
            Self::Charged => "a good credit card",
            Self::DebitCard => "a good debit card",
            Self::UsesUpRetries => "a card that is always declined",
            Self::SecondRetryWorks => "a card that works at the second retry",
            Self::NewCard => "a lost card",
            Self::AboveCap => "a charge above the cap",
            Self::BringsCheck => "a check the day before",
            Self::BankSettles => "a bank debit",
            Self::BankReturns => "a bank debit that comes back",
            Self::CancelsInFlight => "a cancel while the charge is on its way",
        }
    }

    /// How often autopay gets the money.
    pub const fn charges(self) -> usize {
        match self {
            Self::UsesUpRetries | Self::BringsCheck => 0,
            _ => 1,
        }
    }

    /// How often it does not, or has to give it back.
    pub const fn failures(self) -> usize {
        match self {
            Self::UsesUpRetries => 4,
            Self::SecondRetryWorks => 2,
            Self::NewCard | Self::BankReturns => 1,
            _ => 0,
        }
    }
}

/// Everybody who does something.
#[derive(Debug, Default)]
pub struct Cast {
    pub payers: Vec<(Household, Manner)>,
    pub enrolled: Vec<(Household, Part)>,
}

impl Cast {
    /// Chooses among the residents; half of them at most leave the matter to autopay.
    pub fn choose(people: &[Person], open: &[Value], bearing: &str) -> Self {
        let mut owed: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for invoice in open {
            owed.entry(invoice["resident_id"].as_str().unwrap_or_default()).or_default().push(invoice);
        }
        let mut mailboxes: BTreeMap<String, usize> = BTreeMap::new();
        for email in people.iter().filter_map(mailbox) {
            *mailboxes.entry(email).or_default() += 1;
        }
        let mut groups: [VecDeque<Household>; 2] = Default::default();
        let mut households: Vec<Household> = people
            .iter()
            .filter_map(|person| {
                let email = mailbox(person).filter(|email| mailboxes.get(email) == Some(&1))?;
                let resident = person.id.to_string();
                let [invoice] = owed.get(resident.as_str())?.as_slice() else { return None };
                let property = invoice["property_id"].as_str()?.to_owned();
                let bears_fee = property == bearing;
                Some(Household { email, resident, property, invoice: (*invoice).clone(), bears_fee })
            })
            .collect();
        households.sort_by(|one, other| one.email.cmp(&other.email));
        let count = households.len();
        for household in households {
            groups[usize::from(!household.bears_fee)].push_back(household);
        }
        let mut cast = Self::default();
        for (number, part) in PARTS.into_iter().take(count.div_ceil(2)).enumerate() {
            let bank = matches!(part.means(), Means::Bank(_));
            let wished = if bank { 0 } else { number % 2 };
            let found = [wished, 1 - wished].into_iter().find_map(|group| {
                let fits = groups[group].iter().position(|household| !bank || household.has_bank())?;
                groups[group].remove(fits)
            });
            cast.enrolled.extend(found.map(|household| (household, part)));
        }
        for group in groups {
            let payers = group.into_iter().take(PAYERS).enumerate();
            cast.payers.extend(payers.map(|(number, household)| {
                let manner = match number % 6 {
                    1 => Manner::DebitCard,
                    2 if household.has_bank() && household.bears_fee => Manner::BankDebit,
                    3 => Manner::DeclinedFirst,
                    4 => Manner::Part,
                    _ => Manner::CreditCard,
                };
                (household, manner)
            }));
        }
        cast
    }

    /// Those with a part.
    pub fn with(&self, part: Part) -> impl Iterator<Item = &Household> {
        self.enrolled.iter().filter(move |(_, played)| *played == part).map(|(household, _)| household)
    }
}

fn mailbox(person: &Person) -> Option<String> {
    Some(person.rows.first()?.row.email.clone()?.to_lowercase())
}
