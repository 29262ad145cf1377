//! The table of plans: the compiled-in default and the operator's file over it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{Amount, Limit, Limits, Override};

/// The name of a plan (`free`, `pro`, …). What it allows is in the [`Table`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Plan(pub String);

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Plan {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// The name of an add-on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AddOn(pub String);

/// What a plan is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanDef {
    /// What pages call it.
    pub title: String,
    /// One sentence.
    pub about: String,
    /// Whether the price table shows it.
    pub listed: bool,
    /// US cents a month; 0 is free.
    pub price_cents: u32,
    /// What it allows.
    pub limits: Limits,
}

/// What an add-on is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddOnDef {
    /// What pages call it.
    pub title: String,
    /// One sentence.
    pub about: String,
    /// US cents a month, each.
    pub price_cents: u32,
    /// What each adds to the plan's limits.
    #[serde(default)]
    pub adds: BTreeMap<Limit, u64>,
}

/// All plans and add-ons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    plans: BTreeMap<Plan, PlanDef>,
    add_ons: BTreeMap<AddOn, AddOnDef>,
}

/// Why a `plans.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It is not TOML of the right shape; the text names line and key.
    #[error("plans.toml: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A plan that is new lacks a key.
    #[error("plans.toml: the plan {plan} needs {key}")]
    Missing {
        /// The plan.
        plan: Plan,
        /// The key.
        key: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    plans: BTreeMap<Plan, PlanPatch>,
    #[serde(default)]
    add_ons: BTreeMap<AddOn, AddOnDef>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanPatch {
    title: Option<String>,
    about: Option<String>,
    listed: Option<bool>,
    price_cents: Option<u32>,
    #[serde(default)]
    limits: BTreeMap<Limit, Amount>,
}

impl Table {
    /// The table compiled in.
    pub fn compiled_in() -> Result<Self, TableError> {
        let empty = Self { plans: BTreeMap::new(), add_ons: BTreeMap::new() };
        empty.overlaid(include_str!("plans.toml"))
    }

    /// The compiled-in table with an operator's `plans.toml` over it.
    pub fn with_file(text: &str) -> Result<Self, TableError> {
        Self::compiled_in()?.overlaid(text)
    }

    fn overlaid(mut self, text: &str) -> Result<Self, TableError> {
        let file: File = toml::from_str(text)?;
        for (name, patch) in file.plans {
            let merged = match self.plans.remove(&name) {
                Some(known) => patch.over(known),
                None => patch.into_new(&name)?,
            };
            self.plans.insert(name, merged);
        }
        self.add_ons.extend(file.add_ons);
        Ok(self)
    }

    /// The plan of this name.
    pub fn plan(&self, plan: &Plan) -> Option<&PlanDef> {
        self.plans.get(plan)
    }

    /// All plans, by name.
    pub fn plans(&self) -> impl Iterator<Item = (&Plan, &PlanDef)> {
        self.plans.iter()
    }

    /// The plans of the price table, the cheapest first.
    pub fn listed(&self) -> Vec<(&Plan, &PlanDef)> {
        let mut listed: Vec<_> = self.plans.iter().filter(|(_, def)| def.listed).collect();
        listed.sort_by_key(|(_, def)| def.price_cents);
        listed
    }

    /// All add-ons, by name.
    pub fn add_ons(&self) -> impl Iterator<Item = (&AddOn, &AddOnDef)> {
        self.add_ons.iter()
    }

    /// What an account on `plan` may use, with its add-ons (name and how many) and its own overrides. A plan the
    /// table does not know allows nothing.
    pub fn limits(&self, plan: &Plan, add_ons: &BTreeMap<AddOn, u64>, over: &Override) -> Limits {
        let mut limits = self.plans.get(plan).map(|def| def.limits.clone()).unwrap_or_default();
        for (name, count) in add_ons {
            let Some(def) = self.add_ons.get(name) else { continue };
            for (limit, adds) in &def.adds {
                if let Amount::AtMost(n) = limits.get(*limit) {
                    let more = n.saturating_add(adds.saturating_mul(*count));
                    limits = limits.with(*limit, Amount::AtMost(more));
                }
            }
        }
        limits.overridden(over)
    }
}

impl PlanPatch {
    fn over(self, known: PlanDef) -> PlanDef {
        let mut limits = known.limits;
        limits.0.extend(self.limits);
        PlanDef {
            title: self.title.unwrap_or(known.title),
            about: self.about.unwrap_or(known.about),
            listed: self.listed.unwrap_or(known.listed),
            price_cents: self.price_cents.unwrap_or(known.price_cents),
            limits,
        }
    }

    fn into_new(self, plan: &Plan) -> Result<PlanDef, TableError> {
        let missing = |key| TableError::Missing { plan: plan.clone(), key };
        Ok(PlanDef {
            title: self.title.ok_or_else(|| missing("title"))?,
            about: self.about.ok_or_else(|| missing("about"))?,
            listed: self.listed.unwrap_or(true),
            price_cents: self.price_cents.ok_or_else(|| missing("price_cents"))?,
            limits: Limits(self.limits),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn limits(plan: &str) -> Limits {
        Table::compiled_in().unwrap().limits(&Plan::from(plan), &BTreeMap::new(), &Override::default())
    }

    #[test]
    fn free_and_pro_are_what_the_roadmap_says() {
        let free = limits("free");
        assert_eq!(free.get(Limit::Networks), Amount::AtMost(5));
        assert_eq!(free.get(Limit::Devices), Amount::AtMost(5));
        assert_eq!(free.get(Limit::HistoryDays), Amount::AtMost(30));
        assert_eq!(free.get(Limit::PictureBytes).words(Limit::PictureBytes.unit()), "50 MB");
        assert_eq!(free.get(Limit::DedicatedBouncers), Amount::AtMost(0));
        let pro = limits("pro");
        assert_eq!(pro.get(Limit::Networks), Amount::AtMost(50));
        assert_eq!(pro.get(Limit::HistoryDays), Amount::Unlimited);
        assert_eq!(pro.get(Limit::PictureBytes).words(Limit::PictureBytes.unit()), "1 GB");
        assert_eq!(Table::compiled_in().unwrap().plan(&"pro".into()).unwrap().price_cents, 500);
    }

    #[test]
    fn an_installation_of_ones_own_has_no_limits() {
        assert_eq!(limits("own"), Limits::unlimited());
    }

    #[test]
    fn a_file_changes_only_the_keys_it_names() {
        let table = Table::with_file("[plans.free.limits]\nnetworks = 7\n").unwrap();
        let free = table.plan(&"free".into()).unwrap();
        assert_eq!(free.limits.get(Limit::Networks), Amount::AtMost(7));
        assert_eq!(free.limits.get(Limit::Devices), Amount::AtMost(5));
        assert_eq!(free.title, "Free");
    }

    #[test]
    fn a_misspelt_limit_is_an_error_that_names_it() {
        let error = Table::with_file("[plans.free.limits]\nnetwroks = 7\n").unwrap_err().to_string();
        assert!(error.contains("netwroks"), "{error}");
        let error = Table::with_file("[plans.free.limits]\nnetworks = \"lots\"\n").unwrap_err().to_string();
        assert!(error.contains("unlimited"), "{error}");
    }

    #[test]
    fn a_new_plan_must_say_what_it_is() {
        let error = Table::with_file("[plans.club.limits]\nnetworks = 7\n").unwrap_err().to_string();
        assert_eq!(error, "plans.toml: the plan club needs title");
    }

    #[test]
    fn an_add_on_raises_the_limit_for_each_one_bought() {
        let table = Table::compiled_in().unwrap();
        let bought = BTreeMap::from([(AddOn("bot".to_owned()), 3)]);
        let limits = table.limits(&"free".into(), &bought, &Override::default());
        assert_eq!(limits.get(Limit::Bots), Amount::AtMost(4));
    }

    #[test]
    fn the_price_table_is_sorted_by_price() {
        let table = Table::compiled_in().unwrap();
        let names: Vec<_> = table.listed().into_iter().map(|(plan, _)| plan.0.as_str()).collect();
        assert_eq!(names, ["free", "pro", "starter", "growth"]);
    }
}
