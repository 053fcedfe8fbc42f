//! What was measured, as data: each row's figures, and its goals with whether they were reached.

use super::machine::Machine;
use super::plan::{Plan, Row};
use serde::Serialize;

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version that was measured.
    pub hookwheel: &'static str,
    /// When it began, in UTC.
    pub at: String,
    /// What it ran on.
    pub machine: Machine,
    /// How much was measured.
    pub plan: Plan,
    /// What came of it, in the order in which it was measured.
    pub rows: Vec<RowReport>,
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct RowReport {
    /// Which one.
    pub row: Row,
    /// What was seen.
    pub figures: Vec<Figure>,
    /// What it had to reach.
    pub goals: Vec<Goal>,
}

/// A figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What it is of.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// Its unit, for people and programs; empty for a ratio.
    pub unit: &'static str,
}

/// What a figure had to reach.
#[derive(Clone, Debug, Serialize)]
pub struct Goal {
    /// What it is of.
    pub name: &'static str,
    /// The figure.
    pub value: f64,
    /// Its unit; empty for a ratio.
    pub unit: &'static str,
    /// The bound.
    pub bound: Bound,
    /// Whether the figure is within it.
    pub reached: bool,
}

/// Where a goal lies.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This much or more.
    AtLeast(f64),
    /// This much or less.
    AtMost(f64),
}

impl RowReport {
    /// A row without figures.
    pub(super) fn new(row: Row) -> Self {
        Self { row, figures: Vec::new(), goals: Vec::new() }
    }

    /// Adds a figure.
    #[must_use]
    pub(super) fn figure(
        mut self,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) -> Self {
        self.figures.push(Figure { name: name.into(), value, unit });
        self
    }

    /// Adds a goal.
    #[must_use]
    pub(super) fn goal(
        mut self,
        name: &'static str,
        value: f64,
        unit: &'static str,
        bound: Bound,
    ) -> Self {
        let reached = match bound {
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => value <= most,
        };
        self.goals.push(Goal { name, value, unit, bound, reached });
        self
    }
}
