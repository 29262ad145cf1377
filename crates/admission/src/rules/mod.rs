//! What there is to say about a resource: a pure function of the question, of what is known, and of the table of plans.
//!
//! Nothing here is a promise to anybody: names and quotas are decided by the operators and by gatekeeper. It only has to be
//! right about what it refuses. Whoever means it all the same says so on the resource itself ([`OVER_QUOTA`],
//! [`DATA_LOSS`]).

mod hostnames;
mod loss;
mod plans;

pub use crds::{DATA_LOSS, OVER_QUOTA};
use entitlements::Table;

use crate::known::Catalog;
use crate::review::{Question, Words};

/// Decides.
pub fn decide(question: &Question, known: &Catalog, plans: &Table) -> Words {
    let mut words = Words::default();
    plans::check(question, known, plans, &mut words);
    if known.is_whole() {
        hostnames::check(question, known, &mut words);
    }
    loss::check(question, &mut words);
    words
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::HashSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::known::{Id, Kind, Known};
    use crate::review::Resource;

    const SUB: &str = "0192f0c1-7b1e-7c7a-9d5e-1f2a3b4c5d6e";

    fn id(kind: Kind, name: &str) -> Id {
        Id { kind, namespace: "home".into(), name: name.into() }
    }

    fn resource(kind: Kind, more: &Value) -> Resource {
        let mut object = json!({
            "apiVersion": "irc.now/v1alpha1", "kind": kind.as_str(), "metadata": { "name": "mine" },
            "spec": { "hostname": "mine.example.org" },
        });
        if kind == Kind::Network {
            object["spec"]["networkName"] = "Mine".into();
        }
        for (field, value) in more.as_object().unwrap() {
            if field == "annotations" {
                object["metadata"]["annotations"] = value.clone();
            } else {
                object["spec"][field] = value.clone();
            }
        }
        match kind {
            Kind::Bouncer => Resource::Bouncer(serde_json::from_value(object).unwrap()),
            Kind::Network => Resource::Network(serde_json::from_value(object).unwrap()),
        }
    }

    fn made(kind: Kind, spec: &Value) -> Question {
        Question { id: id(kind, "mine"), new: resource(kind, spec), old: None }
    }

    fn changed(kind: Kind, from: &Value, to: &Value) -> Question {
        Question { id: id(kind, "mine"), new: resource(kind, to), old: Some(resource(kind, from)) }
    }

    fn known(all: &[(Kind, &str, Known)]) -> Catalog {
        let mut catalog = Catalog::default();
        for (kind, name, known) in all {
            catalog.put(id(*kind, name), known.clone());
        }
        for kind in Kind::ALL {
            let named: HashSet<Id> = all.iter().map(|(kind, name, _)| id(*kind, name)).collect();
            catalog.listed(kind, &named);
        }
        catalog
    }

    fn with_name(host: &str) -> Known {
        Known { hostnames: [host.to_owned()].into(), ..Known::default() }
    }

    fn said(question: &Question, catalog: &Catalog) -> Words {
        decide(question, catalog, &Table::compiled_in().unwrap())
    }

    fn is_refused(question: &Question, catalog: &Catalog, words: &str) {
        let said = said(question, catalog);
        assert!(said.refused.iter().any(|why| why.contains(words)), "{words:?} is not in {said:?}");
    }

    fn passes(question: &Question, catalog: &Catalog) {
        assert_eq!(said(question, catalog), Words::default());
    }

    #[test]
    fn a_host_name_of_another_is_refused_and_nobody_learns_whose_it_is() {
        for (kind, other) in [(Kind::Bouncer, Kind::Network), (Kind::Network, Kind::Bouncer)] {
            let catalog = known(&[(other, "theirs", with_name("mine.example.org"))]);
            is_refused(&made(kind, &json!({})), &catalog, "mine.example.org");
            let said = said(&made(kind, &json!({})), &catalog);
            assert!(!format!("{said:?}").contains("theirs"));
        }
        let web = json!({ "expose": { "webHostname": "web.example.org" } });
        let catalog = known(&[(Kind::Network, "theirs", with_name("web.example.org"))]);
        is_refused(&made(Kind::Bouncer, &web), &catalog, "web.example.org");
        is_refused(&changed(Kind::Bouncer, &json!({}), &web), &catalog, "web.example.org");
    }

    #[test]
    fn a_host_name_one_has_already_is_ones_own_business() {
        let catalog = known(&[
            (Kind::Bouncer, "mine", with_name("mine.example.org")),
            (Kind::Bouncer, "loser", with_name("mine.example.org")),
        ]);
        passes(&changed(Kind::Bouncer, &json!({}), &json!({ "title": "t" })), &catalog);
        passes(
            &made(Kind::Bouncer, &json!({})),
            &known(&[(Kind::Bouncer, "mine", with_name("mine.example.org"))]),
        );
    }

    #[test]
    fn a_host_name_that_is_about_to_be_given_back_is_only_a_warning() {
        let going = Known { deleting: true, ..with_name("mine.example.org") };
        let catalog = known(&[(Kind::Bouncer, "theirs", going)]);
        let said = said(&made(Kind::Bouncer, &json!({})), &catalog);
        assert!(said.refused.is_empty() && said.warnings[0].contains("given back"), "{said:?}");
    }

    #[test]
    fn nothing_is_said_of_others_before_they_are_known() {
        let mut catalog = Catalog::default();
        catalog.put(id(Kind::Bouncer, "theirs"), with_name("mine.example.org"));
        passes(&made(Kind::Bouncer, &json!({})), &catalog);
    }

    fn of_owner() -> Known {
        Known { owner: Some(SUB.into()), ..Known::default() }
    }

    fn paid(plan: &str) -> Value {
        json!({ "owner": { "sub": SUB, "username": "alice" }, "plan": plan })
    }

    #[test]
    fn a_plan_allows_so_many_and_no_more() {
        let table = Table::compiled_in().unwrap();
        let limit = table.plan(&"starter".into()).unwrap().limits.get(entitlements::Limit::HostedNetworks);
        let most = usize::try_from(limit.number().unwrap()).unwrap();
        let names: Vec<String> = (0..most).map(|number| format!("n{number}")).collect();
        let mut all: Vec<_> = names.iter().map(|name| (Kind::Network, name.as_str(), of_owner())).collect();
        // Neither the other kind, nor somebody else's, nor one that goes counts.
        all.push((Kind::Bouncer, "b", of_owner()));
        all.push((Kind::Network, "theirs", Known { owner: Some("x".into()), ..Known::default() }));
        all.push((Kind::Network, "going", Known { deleting: true, ..of_owner() }));
        is_refused(&made(Kind::Network, &paid("starter")), &known(&all), "Your plan allows");
        all.remove(0);
        passes(&made(Kind::Network, &paid("starter")), &known(&all));
    }

    #[test]
    fn what_is_there_may_stay_and_be_changed_whatever_the_plan_says() {
        let names: Vec<String> = (0..50).map(|number| format!("n{number}")).collect();
        let all: Vec<_> = names.iter().map(|name| (Kind::Network, name.as_str(), of_owner())).collect();
        passes(&changed(Kind::Network, &paid("growth"), &paid("starter")), &known(&all));
        let mut meant = paid("starter");
        meant["annotations"] = json!({ OVER_QUOTA: "true" });
        passes(&made(Kind::Network, &meant), &known(&all));
    }

    #[test]
    fn a_plan_nobody_knows_is_refused_unless_it_was_there_before() {
        let catalog = known(&[]);
        is_refused(&made(Kind::Network, &paid("gold")), &catalog, "no plan `gold`");
        is_refused(&changed(Kind::Bouncer, &paid("pro"), &paid("gold")), &catalog, "no plan `gold`");
        let mut other = paid("gold");
        other["title"] = "t".into();
        passes(&changed(Kind::Bouncer, &paid("gold"), &other), &catalog);
    }

    #[test]
    fn a_limit_above_the_plans_is_said_to_be_without_effect() {
        let mut spec = paid("starter");
        spec["limits"] = json!({ "clients": 100_000 });
        let said = said(&made(Kind::Network, &spec), &known(&[]));
        assert!(said.refused.is_empty() && said.warnings[0].contains("limits.clients"), "{said:?}");
    }

    #[test]
    fn what_would_delete_words_is_refused_until_it_is_meant() {
        let days = |days: i32| json!({ "history": { "expireDays": days } });
        let kept = |keep: i32| json!({ "backup": { "schedule": "0 3 * * *", "keep": keep } });
        let cases = [
            (Kind::Bouncer, json!({}), json!({ "retentionDays": 7 }), "retentionDays"),
            (Kind::Bouncer, json!({ "retentionDays": 8 }), json!({ "retentionDays": 7 }), "retentionDays"),
            (Kind::Network, days(30), days(29), "history.expireDays"),
            (Kind::Network, kept(7), kept(1), "backup.keep"),
        ];
        for (kind, from, to, field) in cases {
            is_refused(&changed(kind, &from, &to), &known(&[]), field);
            passes(&changed(kind, &to, &from), &known(&[]));
            passes(&made(kind, &to), &known(&[]));
            let mut meant = to.clone();
            meant["annotations"] = json!({ DATA_LOSS: "true" });
            passes(&changed(kind, &from, &meant), &known(&[]));
        }
    }

    #[test]
    fn a_volume_neither_shrinks_nor_moves() {
        let size = |kind, size: &str| match kind {
            Kind::Bouncer => json!({ "database": { "storage": { "size": size } } }),
            Kind::Network => json!({ "storage": { "size": size } }),
        };
        for kind in Kind::ALL {
            is_refused(
                &changed(kind, &size(kind, "1Gi"), &size(kind, "1023Mi")),
                &known(&[]),
                "cannot shrink",
            );
            passes(&changed(kind, &size(kind, "1Gi"), &size(kind, "1024Mi")), &known(&[]));
            passes(&changed(kind, &size(kind, "1Gi"), &size(kind, "1.5Gi")), &known(&[]));
        }
        let class = |class: &str| json!({ "storage": { "className": class } });
        is_refused(&changed(Kind::Network, &class("slow"), &class("fast")), &known(&[]), "className");
        is_refused(&changed(Kind::Network, &json!({}), &class("fast")), &known(&[]), "className");
    }

    #[test]
    fn what_can_be_undone_is_only_a_warning() {
        let policy = |policy: &str| json!({ "deletionPolicy": policy });
        let version = |version: &str| json!({ "version": version });
        for kind in Kind::ALL {
            let cases = [
                (policy("Retain"), policy("Delete"), "deletionPolicy"),
                (version("2.19.1"), version("2.9.0"), "older"),
            ];
            for (from, to, words) in cases {
                let said = said(&changed(kind, &from, &to), &known(&[]));
                assert!(said.refused.is_empty() && said.warnings[0].contains(words), "{said:?}");
                passes(&changed(kind, &to, &from), &known(&[]));
            }
        }
    }
}
