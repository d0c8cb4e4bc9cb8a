//! Which types a reader wants.

use crate::{Declared, types};

/// Some types, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Absent: all of them.
    wanted: Option<Vec<&'static Declared>>,
}

/// A name that stands for no type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no type {0}; docs/events.md lists them")]
pub struct UnknownType(pub String);

impl Selection {
    /// Reads names between commas: `org.propty.invoice.published.v1`, `invoice.published` in every version, or `invoice.*`.
    pub fn parse(text: &str) -> Result<Self, UnknownType> {
        let mut wanted: Vec<&'static Declared> = Vec::new();
        for name in text.split(',').map(str::trim) {
            let family = name.strip_suffix(".*");
            let mut found = types().map(|(_, declared)| declared).filter(|declared| {
                name == declared.kind
                    || name == declared.name
                    || family.is_some_and(|family| {
                        declared.name.strip_prefix(family).is_some_and(|rest| rest.starts_with('.'))
                    })
            });
            let first = found.next().ok_or_else(|| UnknownType(name.to_owned()))?;
            wanted.push(first);
            wanted.extend(found);
        }
        Ok(Self { wanted: Some(wanted) })
    }

    /// What was named once: names that stand for no type (any more) take nothing, and no name at all takes everything.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = names.into_iter().peekable();
        if names.peek().is_none() {
            return Self::default();
        }
        let known = names.filter_map(|name| Self::parse(name).ok()?.wanted);
        Self { wanted: Some(known.flatten().collect()) }
    }

    /// What both take.
    #[must_use]
    pub fn within(self, bounds: &Self) -> Self {
        let Some(allowed) = &bounds.wanted else { return self };
        let wanted = match self.wanted {
            Some(wanted) => wanted.into_iter().filter(|declared| bounds.takes(declared)).collect(),
            None => allowed.clone(),
        };
        Self { wanted: Some(wanted) }
    }

    pub fn takes(&self, declared: &Declared) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|one| one.kind == declared.kind))
    }

    /// Whether nothing is left out.
    pub const fn is_everything(&self) -> bool {
        self.wanted.is_none()
    }

    /// The names of the stored events that can be told as a wanted type.
    pub fn stored(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = match &self.wanted {
            Some(wanted) => wanted.iter().map(|declared| declared.from).collect(),
            None => types().map(|(_, declared)| declared.from).collect(),
        };
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_in_full_in_short_or_by_family() {
        let full = Selection::parse("org.propty.invoice.published.v1").expect("a type");
        assert_eq!(full, Selection::parse("invoice.published").expect("a type"));
        assert_eq!(full.stored(), ["InvoicePublished"]);
        let family = Selection::parse("unit.*, job.started").expect("types");
        assert_eq!(family.stored(), ["JobStarted", "UnitAdded", "UnitRelabelled"]);
        assert!(Selection::default().stored().len() > 40);
    }

    #[test]
    fn who_is_bound_to_some_types_gets_no_others() {
        let selection = |names| Selection::parse(names).expect("types");
        let bounds = selection("unit.*,job.started");
        assert_eq!(selection("unit.added,invoice.*").within(&bounds), selection("unit.added"));
        assert_eq!(Selection::default().within(&bounds), bounds);
        assert_eq!(selection("invoice.*").within(&bounds).stored(), Vec::<&str>::new());
        assert_eq!(selection("invoice.*").within(&Selection::default()), selection("invoice.*"));
    }

    #[test]
    fn names_that_stand_for_nothing_any_more_take_nothing() {
        assert_eq!(Selection::named([]), Selection::default());
        assert_eq!(Selection::named(["unit.*", "gone.for.good"]).stored(), ["UnitAdded", "UnitRelabelled"]);
        assert!(Selection::named(["gone.for.good"]).stored().is_empty());
    }

    #[test]
    fn what_is_no_type_is_told_by_name() {
        for text in [
            "",
            "invoice",
            "invoice.",
            "*",
            "InvoicePublished",
            "org.propty.invoice.published.v9",
            "invoice.published,",
        ] {
            let unknown = Selection::parse(text).expect_err(text);
            assert!(text.contains(&unknown.0), "{text}: {unknown:?}");
        }
    }
}
