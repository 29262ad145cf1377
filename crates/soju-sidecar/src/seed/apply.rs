//! Doing what was planned, and saying how it went.

use std::collections::BTreeSet;

use super::UNFINISHED;
use super::model::Memory;
use super::plan::Plan;
use super::step::Step;
use crate::admin::{Admin, AdminError, Command};

/// How a pass went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One for each thing that was to be done, in order.
    pub outcomes: Vec<Outcome>,
}

/// How one thing went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `user alice was made`, or why it was not.
    pub words: String,
    /// Whether it was done.
    pub done: bool,
}

impl Report {
    /// What was not done, one sentence each.
    pub fn errors(&self) -> Vec<String> {
        self.outcomes.iter().filter(|outcome| !outcome.done).map(|outcome| outcome.words.clone()).collect()
    }

    fn failed(&mut self, words: String) {
        self.outcomes.push(Outcome { words, done: false });
    }
}

/// Does what was planned, as far as soju lets us: one refusal does not stop the others. An error means that soju could
/// not be talked to any longer; what was done is in the memory.
pub async fn carry_out(admin: &mut Admin, plan: &Plan, memory: &mut Memory) -> Result<Report, AdminError> {
    let mut report = Report::default();
    for sentence in &plan.impossible {
        report.failed(sentence.clone());
    }
    let mut missing = BTreeSet::new();
    for step in &plan.steps {
        // Without the user there is no sense in the rest.
        if missing.contains(step.username()) {
            report.failed(format!("{}: the user could not be made", step.subject()));
            continue;
        }
        match carry_out_step(admin, step).await {
            Ok(()) => {
                step.note(memory);
                let words = format!("{} was {}", step.subject(), step.deed());
                report.outcomes.push(Outcome { words, done: true });
            }
            Err(error) if error.is_refusal() => {
                if matches!(step, Step::CreateUser(_)) {
                    missing.insert(step.username().to_owned());
                }
                report.failed(format!("{}: {}", step.subject(), explain(&error)));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

async fn carry_out_step(admin: &mut Admin, step: &Step) -> Result<(), AdminError> {
    for (position, command) in step.commands()?.iter().enumerate() {
        let Err(error) = admin.run(command).await else { continue };
        if let Step::CreateNetwork { username, network } = step
            && position > 0
            && error.is_refusal()
        {
            // Half a network is worth nothing. If this fails too, the next pass finds it by its name.
            let name = format!("{UNFINISHED}{}", network.name);
            admin.run(&Command::run_as(username, "network delete")?.word(&name)?).await?;
        }
        return Err(error);
    }
    Ok(())
}

/// soju passes on what its database says where two networks of a user have the same address and nick.
fn explain(error: &AdminError) -> String {
    let text = error.to_string();
    let twin =
        text.contains("Network.user, Network.addr, Network.nick") || text.contains("Network_user_addr_nick");
    if twin {
        return "the user has another network with this address and nick: give one of them another nick"
            .to_owned();
    }
    text
}
