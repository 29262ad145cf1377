//! The body of the fuzz target in `/fuzz`; this crate's tests replay its corpus.

use std::collections::BTreeMap;

use crate::{Limit, Override, Table};

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[("plans", plans)];

/// An operator's `plans.toml`, and a limit's name.
pub fn plans(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(limit) = Limit::from_key(&text) {
        assert_eq!(limit.key(), text);
    }
    let Ok(table) = Table::with_file(&text) else { return };
    for (plan, _) in table.plans() {
        let add_ons: BTreeMap<_, _> = table.add_ons().map(|(add_on, _)| (add_on.clone(), u64::MAX)).collect();
        let limits = table.limits(plan, &add_ons, &Override::default());
        for limit in Limit::ALL {
            let _ = (limits.get(limit).words(limit.unit()), limits.check(limit, u64::MAX, u64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_keep_the_promises() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
