//! What has to be written: a pure function of what is wanted, what is seen, and what the parent's status remembers.

use std::collections::{BTreeMap, BTreeSet};

use crds::status::ChildState;

use crate::child::{ChildKey, Seen};
use crate::hash;
use crate::resources::Desired;
use crate::store::Children;

/// Why an object is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It does not exist.
    Missing,
    /// Something else is wanted than what it was made from.
    Changed,
    /// It is not the object the status remembers, or somebody else changed what is ours.
    Edited,
}

/// What has to be done, in this order: first what is applied (in the order it was built), then what is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is as it should be.
    Keep {
        /// Which one of the desired objects.
        index: usize,
    },
    /// Apply it.
    Apply {
        /// Which one of the desired objects.
        index: usize,
        /// Why.
        why: Why,
    },
    /// It is being deleted: wait until it is gone, then make it again.
    Wait {
        /// Which one of the desired objects.
        index: usize,
    },
    /// Nobody wants it any more.
    Delete {
        /// Which.
        key: ChildKey,
        /// Only if it still has this UID.
        uid: Box<str>,
    },
}

/// Decides. `owner_uid` is the parent's UID: children of a namesake that is gone are not ours to touch.
pub fn plan(
    desired: &[Desired],
    seen: &Children,
    remembered: &[ChildState],
    home: &str,
    owner_uid: &str,
) -> Vec<Step> {
    let remembered: BTreeMap<(&str, &str, &str), &ChildState> = remembered
        .iter()
        .map(|child| {
            let namespace = if child.namespace.0.is_empty() { home } else { &child.namespace.0 };
            ((child.kind.0.as_str(), namespace, child.name.0.as_str()), child)
        })
        .collect();
    let mut steps: Vec<Step> = desired
        .iter()
        .enumerate()
        .map(|(index, want)| match seen.get(&want.key) {
            None => Step::Apply { index, why: Why::Missing },
            Some(is) if is.deleting => Step::Wait { index },
            Some(is) if is.hash != want.hash => Step::Apply { index, why: Why::Changed },
            Some(is) => {
                let kind = want.key.kind.id();
                let known = remembered.get(&(kind.as_str(), &*want.key.namespace, &*want.key.name));
                if known.is_some_and(|known| remembers(known, is)) {
                    Step::Keep { index }
                } else {
                    Step::Apply { index, why: Why::Edited }
                }
            }
        })
        .collect();
    let wanted: BTreeSet<&ChildKey> = desired.iter().map(|want| &want.key).collect();
    steps.extend(
        seen.iter()
            .filter(|(key, is)| is_orphan(key, is, &wanted, owner_uid))
            .map(|(key, is)| Step::Delete { key: key.clone(), uid: is.uid.clone() }),
    );
    steps
}

fn remembers(known: &ChildState, is: &Seen) -> bool {
    *known.uid.0 == *is.uid
        && hash::parse(&known.hash.0) == is.hash
        && hash::parse(&known.fields.0) == is.fields
}

fn is_orphan(key: &ChildKey, is: &Seen, wanted: &BTreeSet<&ChildKey>, owner_uid: &str) -> bool {
    !wanted.contains(key)
        && !is.deleting
        && !key.kind.observed
        && !key.kind.precious
        && &*is.owner_uid == owner_uid
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;
    use crate::kind::{Facts, Kind};
    use crate::kinds::{CONFIG_MAP, POD, SECRET, SERVICE, VOLUME_CLAIM};
    use crate::resources::{AppliedChild, states};

    static KINDS: [&Kind; 5] = [&SECRET, &CONFIG_MAP, &SERVICE, &POD, &VOLUME_CLAIM];
    const HOME: &str = "home";
    const UID: &str = "root-uid";

    fn key() -> impl Strategy<Value = ChildKey> {
        (0..KINDS.len(), prop::sample::select(vec![HOME, "elsewhere"]), "[ab]")
            .prop_map(|(kind, namespace, name)| ChildKey::new(KINDS[kind], namespace, &name))
    }

    fn desired() -> impl Strategy<Value = Vec<Desired>> {
        prop::collection::btree_map(key(), 0..3_u64, 0..8).prop_map(|wanted| {
            wanted
                .into_iter()
                .filter(|(key, _)| !key.kind.observed)
                .map(|(key, hash)| Desired { key, object: serde_json::Value::Null, hash })
                .collect()
        })
    }

    fn seen() -> impl Strategy<Value = Children> {
        let one = (0..3_u8, 0..3_u64, 0..3_u64, any::<bool>(), prop::bool::weighted(0.8)).prop_map(
            |(uid, hash, fields, deleting, ours)| Seen {
                uid: format!("uid-{uid}").into(),
                owner_uid: if ours { UID } else { "namesake" }.into(),
                hash,
                fields,
                deleting,
                version: 0,
                facts: Facts::default(),
            },
        );
        prop::collection::btree_map(key(), one, 0..8)
    }

    /// What the world and the status are after the steps were done.
    fn carry_out(steps: &[Step], desired: &[Desired], mut world: Children) -> (Children, Vec<ChildState>) {
        let mut applied = Vec::new();
        for step in steps {
            match step {
                Step::Keep { index } | Step::Apply { index, .. } => {
                    let want = &desired[*index];
                    let is = world.entry(want.key.clone()).or_insert_with(|| Seen {
                        uid: "new".into(),
                        owner_uid: UID.into(),
                        hash: 0,
                        fields: 0,
                        deleting: false,
                        version: 0,
                        facts: Facts::default(),
                    });
                    is.hash = want.hash;
                    if matches!(step, Step::Apply { .. }) {
                        is.fields = 99;
                        is.owner_uid = UID.into();
                    }
                    applied.push(AppliedChild {
                        key: want.key.clone(),
                        uid: is.uid.clone(),
                        hash: is.hash,
                        fields: is.fields,
                        facts: Facts::default(),
                    });
                }
                Step::Wait { index } => {
                    world.remove(&desired[*index].key);
                }
                Step::Delete { key, .. } => {
                    world.remove(key);
                }
            }
        }
        (world, states(&applied, HOME))
    }

    proptest! {
        #[test]
        fn what_was_done_is_not_done_again(desired in desired(), seen in seen()) {
            let mut world = seen;
            let mut states = Vec::new();
            // The second round makes what had to be waited for.
            for _ in 0..2 {
                let steps = plan(&desired, &world, &states, HOME, UID);
                (world, states) = carry_out(&steps, &desired, world);
            }
            let steps = plan(&desired, &world, &states, HOME, UID);
            prop_assert!(steps.iter().all(|step| matches!(step, Step::Keep { .. })), "{steps:?}");
        }

        #[test]
        fn what_others_edit_is_put_back(desired in desired(), which in any::<prop::sample::Index>(), by in 100..200_u64) {
            let steps = plan(&desired, &Children::new(), &[], HOME, UID);
            let (mut world, states) = carry_out(&steps, &desired, Children::new());
            prop_assume!(!desired.is_empty());
            let victim = &desired[which.index(desired.len())];
            world.get_mut(&victim.key).unwrap().fields = by;
            let steps = plan(&desired, &world, &states, HOME, UID);
            for (index, want) in desired.iter().enumerate() {
                let expected = if want.key == victim.key {
                    Step::Apply { index, why: Why::Edited }
                } else {
                    Step::Keep { index }
                };
                prop_assert_eq!(&steps[index], &expected);
            }
        }

        #[test]
        fn nothing_precious_observed_or_of_a_namesake_is_ever_deleted(desired in desired(), seen in seen()) {
            for step in plan(&desired, &seen, &[], HOME, UID) {
                if let Step::Delete { key, .. } = step {
                    prop_assert!(!key.kind.precious && !key.kind.observed);
                    prop_assert_eq!(&*seen[&key].owner_uid, UID);
                    prop_assert!(desired.iter().all(|want| want.key != key));
                }
            }
        }

        #[test]
        fn nothing_is_applied_while_it_is_being_deleted(desired in desired(), seen in seen()) {
            for step in plan(&desired, &seen, &[], HOME, UID) {
                if let Step::Apply { index, .. } = step {
                    prop_assert!(seen.get(&desired[index].key).is_none_or(|is| !is.deleting));
                }
            }
        }
    }
}
