//! Bodies of the fuzz targets in `/fuzz`; this crate's tests replay their corpora. Each takes any bytes and panics if a
//! promise is broken.

use std::collections::HashSet;

use entitlements::Table;
use serde_json::Value;

use crate::known::{Catalog, Id, Kind, Known};
use crate::quantity::billionths;
use crate::review::{self, Outcome, Question};
use crate::rules;

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[("admission_review", admission_review), ("quantity", quantity)];

/// A question of the API server, answered by all rules.
pub fn admission_review(data: &[u8]) {
    let Ok(plans) = Table::compiled_in() else { return };
    let answered = review::answer(data, |question| rules::decide(question, &crowd(question), &plans));
    let Ok(answer) = answered else { return };
    let asked: Value = serde_json::from_slice(data).unwrap_or_default();
    let request = &asked["request"];
    assert_eq!(answer.body["response"]["uid"], request["uid"]);
    assert_eq!(answer.body["response"]["allowed"], Value::Bool(answer.outcome != Outcome::Refused));
    if request["operation"] != "CREATE" && request["operation"] != "UPDATE" {
        assert_eq!(answer.outcome, Outcome::Allowed, "nothing else is asked about");
    }
}

/// Everything a question asks for belongs to others, some of whom go, and its account has a great many.
fn crowd(question: &Question) -> Catalog {
    let known = Known {
        owner: question.new.owner().map(str::to_owned),
        hostnames: question.new.server().hostnames().into_iter().map(str::to_owned).collect(),
        deleting: false,
    };
    let mut catalog = Catalog::default();
    for kind in Kind::ALL {
        let mut named = HashSet::new();
        for number in 0..8 {
            let id = Id { kind, name: format!("{}{number}", question.id.name), ..question.id.clone() };
            named.insert(id.clone());
            catalog.put(id, Known { deleting: number % 2 == 0, ..known.clone() });
        }
        catalog.listed(kind, &named);
    }
    catalog
}

/// Two amounts on two lines.
pub fn quantity(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for amount in text.lines() {
        if let Some(is) = billionths(amount) {
            assert_eq!(billionths(&format!("0{amount}")), Some(is), "a nought in front changes nothing");
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
