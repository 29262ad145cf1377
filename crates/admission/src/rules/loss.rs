//! Changes that would lose data, or cannot be carried out because that would.
//!
//! What a resource may never change (its database, its engine) the API server refuses by itself.

use crds::ErgoNetworkSpec;
use crds::SojuBouncerSpec;
use crds::common::DeletionPolicy;

use super::DATA_LOSS;
use crate::quantity::billionths;
use crate::review::{Question, Resource, Words};

/// Compares what is asked for with what was asked for so far. What is only made loses nothing.
pub fn check(question: &Question, words: &mut Words) {
    let Some(old) = &question.old else { return };
    let new = &question.new;
    volume(old, new, words);
    if !new.says(DATA_LOSS) {
        let lost = match (old, new) {
            (Resource::Bouncer(old), Resource::Bouncer(new)) => of_bouncer(&old.spec, &new.spec),
            (Resource::Network(old), Resource::Network(new)) => of_network(&old.spec, &new.spec),
            _ => Vec::new(),
        };
        words.refused.extend(lost.into_iter().map(|lost| {
            format!("{lost}. If that is meant, say so with the annotation {DATA_LOSS}: \"true\"")
        }));
    }
    if new.server().deletion_policy() == DeletionPolicy::Delete
        && old.server().deletion_policy() != DeletionPolicy::Delete
    {
        words.warnings.push(
            "deletionPolicy: from now on, volume and database go for ever when this resource is deleted"
                .to_owned(),
        );
    }
    if let (Some(before), Some(now)) = (old.version(), new.version())
        && numbers(now) < numbers(before)
    {
        words.warnings.push(format!(
            "version {now} is older than {before}: it may not start on rows that {before} has changed"
        ));
    }
}

fn volume(old: &Resource, new: &Resource, words: &mut Words) {
    let (before, now) = (old.storage(), new.storage());
    let (was, is) = (&before.size, &now.size);
    if let (Some(more), Some(less)) = (billionths(was.as_str()), billionths(is.as_str()))
        && less < more
    {
        words.refused.push(format!("a volume cannot shrink: leave storage.size at {was}, or make it larger"));
    }
    if before.class_name != now.class_name {
        words.refused.push("storage.className cannot be changed: a volume stays where it is".to_owned());
    }
}

fn of_bouncer(old: &SojuBouncerSpec, new: &SojuBouncerSpec) -> Vec<String> {
    let fewer = new.retention_days.filter(|days| old.retention_days.is_none_or(|before| *days < before));
    let lost =
        fewer.map(|days| format!("retentionDays: messages older than {days} days would be deleted for ever"));
    lost.into_iter().collect()
}

fn of_network(old: &ErgoNetworkSpec, new: &ErgoNetworkSpec) -> Vec<String> {
    let mut lost = Vec::new();
    let (before, days) = (old.history.expire_days, new.history.expire_days);
    if days < before {
        lost.push(format!("history.expireDays: messages older than {days} days would be deleted for ever"));
    }
    if let (Some(before), Some(backup)) = (&old.backup, &new.backup)
        && backup.keep < before.keep
    {
        lost.push(format!(
            "backup.keep: all but the last {} snapshots would be deleted for ever",
            backup.keep
        ));
    }
    lost
}

/// A version as numbers, so that 0.11 comes after 0.9.
fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or_default()).collect()
}
