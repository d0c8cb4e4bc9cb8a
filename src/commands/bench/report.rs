//! What was measured: a table for people and JSON for programs.

use std::fmt;

use serde::Serialize;
use sqlx::PgPool;

use super::{
    driver::median,
    machine::{Database, Machine},
};
use crate::failure::Failure;

/// All figures of one run, with what they depend on.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: Machine,
    versions: Versions,
    settings: Database,
    /// The share of the full size, in percent. Below 100 the figures only prove that measuring works.
    percent: u32,
    figures: Vec<Figure>,
}

#[derive(Debug, Serialize)]
struct Versions {
    propty: &'static str,
    postgresql: String,
    /// `false`: a build without optimisations, whose figures mean nothing.
    release_build: bool,
}

/// One figure: a median, and what it is compared with.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    name: String,
    unit: &'static str,
    value: f64,
    runs: Vec<f64>,
    baseline: Option<Baseline>,
    /// `value` ÷ the baseline's.
    ratio: Option<f64>,
    target: Option<Target>,
}

#[derive(Debug, Clone, Serialize)]
struct Baseline {
    name: String,
    value: f64,
    runs: Vec<f64>,
}

/// What the figure should be, and whether it is; nothing fails when it is not.
#[derive(Debug, Clone, Serialize)]
struct Target {
    wanted: String,
    met: bool,
}

impl Figure {
    pub fn new(name: impl Into<String>, unit: &'static str, runs: Vec<f64>) -> Self {
        Self { name: name.into(), unit, value: median(&runs), runs, baseline: None, ratio: None, target: None }
    }

    /// Compares with what was measured in turn with it.
    #[must_use]
    pub fn against(mut self, name: impl Into<String>, runs: Vec<f64>) -> Self {
        let value = median(&runs);
        self.ratio = (value > 0.0).then_some(self.value / value);
        self.baseline = Some(Baseline { name: name.into(), value, runs });
        self
    }

    #[must_use]
    pub fn at_least(mut self, wanted: f64) -> Self {
        self.target = Some(Target { wanted: format!("≥ {}", number(wanted)), met: self.value >= wanted });
        self
    }

    #[must_use]
    pub fn below(mut self, wanted: f64) -> Self {
        self.target = Some(Target { wanted: format!("< {}", number(wanted)), met: self.value < wanted });
        self
    }

    /// As a multiple of the baseline.
    #[must_use]
    pub fn ratio_at_least(mut self, wanted: f64) -> Self {
        let met = self.ratio.is_some_and(|ratio| ratio >= wanted);
        self.target = Some(Target { wanted: format!("≥ {wanted} ×"), met });
        self
    }
}

impl Report {
    pub async fn new(pool: &PgPool, percent: u32) -> Result<Self, Failure> {
        let (postgresql, settings) = Database::read(pool).await?;
        Ok(Self {
            machine: Machine::read(),
            versions: Versions {
                propty: env!("CARGO_PKG_VERSION"),
                postgresql,
                release_build: !cfg!(debug_assertions),
            },
            settings,
            percent,
            figures: Vec::new(),
        })
    }

    #[must_use]
    pub fn with(mut self, figures: Vec<Figure>) -> Self {
        self.figures = figures;
        self
    }

    pub fn json(&self) -> Result<String, Failure> {
        serde_json::to_string_pretty(self).map_err(|error| Failure::Told(error.to_string()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, versions, settings, percent, figures } = self;
        writeln!(f, "{machine}")?;
        writeln!(f, "propty {}, PostgreSQL {}, {settings}", versions.propty, versions.postgresql)?;
        if !versions.release_build {
            writeln!(f, "NOT a release build: the figures mean nothing")?;
        }
        if *percent < 100 {
            writeln!(f, "{percent} % of the full size: the figures mean little")?;
        }
        writeln!(f, "\n| figure | value | baseline | ratio | target |\n| --- | ---: | ---: | ---: | --- |")?;
        for figure in figures {
            let baseline = figure
                .baseline
                .as_ref()
                .map_or_else(String::new, |baseline| format!("{} ({})", number(baseline.value), baseline.name));
            let ratio = figure.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2} ×"));
            let target = figure.target.as_ref().map_or_else(String::new, |target| {
                format!("{} {}", target.wanted, if target.met { "met" } else { "**missed**" })
            });
            let value = number(figure.value);
            writeln!(f, "| {} | {value} {} | {baseline} | {ratio} | {target} |", figure.name, figure.unit)?;
        }
        Ok(())
    }
}

/// Three digits are what a benchmark can tell; thousands are set apart.
fn number(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.2}");
    }
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(number(1.234), "1.23");
        assert_eq!(number(12.34), "12.3");
        assert_eq!(number(999.6), "1,000");
        assert_eq!(number(1_234_567.0), "1,234,567");
    }

    #[test]
    fn a_figure_says_whether_its_target_is_met() {
        let figure = Figure::new("speed", "commands/s", vec![1.0, 3.0, 2.0]).against("other", vec![1.0]);
        assert_eq!(figure.ratio.map(|ratio| ratio.total_cmp(&2.0)), Some(std::cmp::Ordering::Equal));
        assert!(figure.clone().ratio_at_least(1.5).target.is_some_and(|target| target.met));
        assert!(figure.clone().below(2.0).target.is_some_and(|target| !target.met));
        assert!(figure.at_least(2.0).target.is_some_and(|target| target.met));
    }
}
