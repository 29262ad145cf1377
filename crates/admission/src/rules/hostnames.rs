//! Host names: each belongs to one resource in the whole cluster.

use crate::known::Catalog;
use crate::review::{Question, Words};

/// Looks at the names a resource asks for and did not ask for before. What it had already it may lose to nobody here.
pub fn check(question: &Question, known: &Catalog, words: &mut Words) {
    let before = question.old.as_ref().map(|old| old.server().hostnames()).unwrap_or_default();
    for hostname in question.new.server().hostnames() {
        if before.contains(&hostname) {
            continue;
        }
        // Whose it is, is nobody else's business.
        match known.other_with(hostname, &question.id) {
            None => {}
            Some(other) if other.deleting => words.warnings.push(format!(
                "{hostname} belongs to a resource that is being deleted: it is yours when it is given back"
            )),
            Some(_) => words
                .refused
                .push(format!("{hostname} belongs to another resource: choose another host name")),
        }
    }
}
