//! Every field of a definition changes something: a table of them, and what it must hold.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use serde_json::{Value, json};

use crate::paper::merge;

/// A field, what stands around it, and two values that must come to something different. `null` takes it out. Two equal
/// values say that another test shows it.
pub struct Case {
    path: &'static str,
    around: Value,
    one: Value,
    other: Value,
}

/// One line of the table: `users[].name` and two values.
pub fn case(path: &'static str, around: Value, one: Value, other: Value) -> Case {
    Case { path, around, one, other }
}

/// The table of a definition.
pub struct Table {
    /// Its lines.
    pub cases: Vec<Case>,
    /// What an object of this name must have besides the field in question.
    pub least: fn(&str) -> Value,
}

impl Table {
    /// No field is ignored: `view` says everything that a spec comes to.
    ///
    /// # Panics
    /// If one is.
    pub fn none_is_ignored(&self, view: impl Fn(Value) -> Value) {
        for Case { path, around, one, other } in self.cases.iter().filter(|case| case.one != case.other) {
            let seen = |value| view(self.spec(path, around, value));
            let (first, second) = (seen(one), seen(other));
            assert_ne!(first, second, "{path} changes nothing");
            assert_eq!(first, seen(one), "{path} comes to something else each time");
        }
    }

    /// Every field there is has a line.
    ///
    /// # Panics
    /// If one has none, or a line has no field.
    pub fn names_every_field_of(&self, definition: &CustomResourceDefinition) {
        let schema = definition.spec.versions[0].schema.as_ref().unwrap();
        let schema = schema.open_api_v3_schema.as_ref().unwrap();
        let mut fields = BTreeSet::new();
        leaves("", &schema.properties.as_ref().unwrap()["spec"], &mut fields);
        let named: BTreeSet<String> = self.cases.iter().map(|case| case.path.to_owned()).collect();
        assert_eq!(fields, named);
    }

    /// `users[].name = x` as the spec it stands for.
    fn spec(&self, path: &str, around: &Value, value: &Value) -> Value {
        let mut whole = around.clone();
        if value.is_null() {
            return whole;
        }
        let mut inner = value.clone();
        for (depth, name) in path.rsplit('.').enumerate() {
            if depth > 0 {
                let mut object = (self.least)(name);
                merge(&mut object, &inner);
                inner = object;
            }
            inner = match name.strip_suffix("[]") {
                Some(list) => json!({ list: [inner] }),
                None => json!({ name: inner }),
            };
        }
        merge(&mut whole, &inner);
        whole
    }
}

fn leaves(path: &str, schema: &JSONSchemaProps, into: &mut BTreeSet<String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    if let Some(fields) = &schema.properties {
        for (name, field) in fields {
            leaves(&below(name), field, into);
        }
    } else if let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items
        && item.properties.is_some()
    {
        leaves(&format!("{path}[]"), item, into);
    } else {
        into.insert(path.to_owned());
    }
}
