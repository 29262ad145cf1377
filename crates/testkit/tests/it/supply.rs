//! What `deny.toml` says of licences, sources and doubles holds. The file is cargo-deny's; this reads the part of it
//! the project uses, so that the check needs nothing installed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

struct Supply {
    packages: Vec<Value>,
    deny: toml::Table,
}

fn supply() -> Supply {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-linux-gnu"])
        .current_dir(&root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let used: BTreeSet<_> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n["id"].clone().to_string())
        .collect();
    let packages =
        metadata["packages"].as_array().unwrap().iter().filter(|p| used.contains(&p["id"].to_string()));
    let deny = std::fs::read_to_string(root.join("deny.toml")).unwrap().parse().unwrap();
    Supply { packages: packages.cloned().collect(), deny }
}

impl Supply {
    fn list(&self, section: &str, key: &str) -> Vec<&toml::Value> {
        self.deny[section].get(key).and_then(toml::Value::as_array).into_iter().flatten().collect()
    }
}

/// Whether an SPDX expression can be met with `allowed` licences.
fn met(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    fn any(tokens: &mut std::iter::Peekable<std::vec::IntoIter<String>>, allowed: &BTreeSet<&str>) -> bool {
        let mut met = all(tokens, allowed);
        while tokens.next_if(|token| token == "OR").is_some() {
            met |= all(tokens, allowed);
        }
        met
    }
    fn all(tokens: &mut std::iter::Peekable<std::vec::IntoIter<String>>, allowed: &BTreeSet<&str>) -> bool {
        let mut met = one(tokens, allowed);
        while tokens.next_if(|token| token == "AND").is_some() {
            met &= one(tokens, allowed);
        }
        met
    }
    fn one(tokens: &mut std::iter::Peekable<std::vec::IntoIter<String>>, allowed: &BTreeSet<&str>) -> bool {
        match tokens.next().as_deref() {
            Some("(") => {
                let met = any(tokens, allowed);
                tokens.next();
                met
            }
            Some(name) => {
                let mut name = name.to_owned();
                if tokens.next_if(|token| token == "WITH").is_some() {
                    name = format!("{name} WITH {}", tokens.next().unwrap_or_default());
                }
                allowed.contains(name.as_str())
            }
            None => false,
        }
    }
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
    any(&mut tokens.into_iter().peekable(), allowed)
}

#[test]
fn an_expression_is_met_as_spdx_reads_it() {
    let allowed = BTreeSet::from(["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]);
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/GPL-2.0",
        "(MIT OR GPL-3.0) AND Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(met(good, &allowed), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(GPL-3.0 OR AGPL-3.0) AND MIT", ""] {
        assert!(!met(bad, &allowed), "{bad}");
    }
}

#[test]
fn every_licence_is_one_we_allow() {
    let supply = supply();
    let allowed: BTreeSet<_> =
        supply.list("licenses", "allow").into_iter().filter_map(toml::Value::as_str).collect();
    let excepted: BTreeSet<_> = supply
        .list("licenses", "exceptions")
        .into_iter()
        .filter_map(|entry| entry.get("crate")?.as_str())
        .collect();
    let refused: Vec<_> = supply
        .packages
        .iter()
        .filter(|package| !excepted.contains(package["name"].as_str().unwrap_or_default()))
        .filter(|package| !met(package["license"].as_str().unwrap_or_default(), &allowed))
        .map(|package| format!("{} {}", package["name"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn every_crate_comes_from_the_registry_or_from_here() {
    let sources: BTreeSet<_> =
        supply().packages.iter().map(|package| package["source"].to_string()).collect();
    let odd: Vec<_> =
        sources.iter().filter(|source| *source != "null" && !source.contains("registry+")).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[test]
fn a_crate_comes_in_one_version_unless_we_say_why() {
    let supply = supply();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in &supply.packages {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        versions.entry(text("name")).or_default().insert(text("version"));
    }
    let skipped: BTreeMap<&str, Option<&str>> = supply
        .list("bans", "skip")
        .into_iter()
        .filter_map(|entry| {
            Some((
                entry.get("crate")?.as_str()?.split('@').next()?,
                entry.get("reason").and_then(|r| r.as_str()),
            ))
        })
        .collect();
    let unexplained: Vec<_> =
        versions.iter().filter(|(name, all)| all.len() > 1 && !skipped.contains_key(name.as_str())).collect();
    assert!(unexplained.is_empty(), "doubles that deny.toml does not explain: {unexplained:#?}");
    let stale: Vec<_> =
        skipped.keys().filter(|name| versions.get(**name).is_none_or(|all| all.len() < 2)).collect();
    assert!(stale.is_empty(), "deny.toml explains doubles that are gone: {stale:?}");
    assert!(
        skipped.values().all(|reason| reason.is_some_and(|text| !text.is_empty())),
        "a double without a reason"
    );
    let banned: Vec<_> =
        supply.list("bans", "deny").into_iter().filter_map(|e| e.get("crate")?.as_str()).collect();
    let found: Vec<_> = banned.into_iter().filter(|name| versions.contains_key(*name)).collect();
    assert!(found.is_empty(), "{found:?}");
}
