//! The form of a hosted network, both ways. What it must hold is hosting's to say; only its shape is known here.

use contracts::{HostedAccess, HostedOperator, HostedRole, HostedSpec};
use service::view::Form;

/// The choices of `access`.
pub(crate) const ACCESS: [(&str, &str); 3] = [
    ("open", "Everybody"),
    ("accounts", "Everybody with an account"),
    ("members", "Members of this irc.now only"),
];

/// The choices for somebody who is an operator already.
pub(crate) const ROLES: [(&str, &str); 3] = [
    ("moderator", "Moderator: kick, ban, take channels"),
    ("admin", "Administrator: everything"),
    ("gone", "Not an operator any more"),
];

/// The choices for somebody new.
pub(crate) const NEW_ROLES: [(&str, &str); 2] = [ROLES[1], ROLES[0]];

/// The field of an operator who is one already.
pub(crate) struct OperatorField {
    pub field: String,
    pub name: String,
}

fn field_of(operator: &HostedOperator) -> String {
    format!("operator-{}", operator.name)
}

/// The fields of the operators there are.
pub(crate) fn operator_fields(spec: &HostedSpec) -> Vec<OperatorField> {
    let field =
        |operator: &HostedOperator| OperatorField { field: field_of(operator), name: operator.name.clone() };
    spec.operators.iter().map(field).collect()
}

/// The form of a new network.
pub(crate) fn proposed() -> Form {
    Form::new().with("access", "open").with("operator_role", "admin")
}

/// The form of a network that is there.
pub(crate) fn filled(spec: &HostedSpec) -> Form {
    let access = match spec.access {
        HostedAccess::Open => "open",
        HostedAccess::AccountsOnly => "accounts",
        HostedAccess::MembersOnly => "members",
    };
    let form = Form::new()
        .with("name", spec.name.as_str())
        .with("access", access)
        .with("motd", spec.motd.as_str())
        .with("operator_role", "admin");
    spec.operators.iter().fold(form, |form, operator| {
        let role = match operator.role {
            HostedRole::Moderator => "moderator",
            HostedRole::Admin => "admin",
        };
        form.with(&field_of(operator), role)
    })
}

fn role(text: &str) -> HostedRole {
    if text == "admin" { HostedRole::Admin } else { HostedRole::Moderator }
}

/// A spec as the form says it. `before` is what is there: its name, and its operators, who keep their passwords.
pub(crate) fn spec(form: &Form, before: Option<&HostedSpec>) -> HostedSpec {
    let mut operators: Vec<HostedOperator> = before
        .into_iter()
        .flat_map(|spec| &spec.operators)
        .filter_map(|operator| match form.value(&field_of(operator)) {
            "gone" => None,
            "" => Some(operator.clone()),
            typed => Some(HostedOperator { role: role(typed), ..operator.clone() }),
        })
        .collect();
    let (name, password) = (form.trimmed("operator_name"), form.value("operator_password"));
    if !name.is_empty() || !password.is_empty() {
        let password = Some(password.to_owned()).filter(|password| !password.is_empty());
        let new = HostedOperator { name: name.to_owned(), role: role(form.value("operator_role")), password };
        // Whoever is named again gets the new password and role.
        operators.retain(|operator| !operator.name.eq_ignore_ascii_case(name));
        operators.push(new);
    }
    HostedSpec {
        name: before.map_or_else(|| form.trimmed("name").to_owned(), |spec| spec.name.clone()),
        access: match form.value("access") {
            "accounts" => HostedAccess::AccountsOnly,
            "members" => HostedAccess::MembersOnly,
            _ => HostedAccess::Open,
        },
        motd: form.value("motd").to_owned(),
        operators,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there() -> HostedSpec {
        let operator = |name: &str, role| HostedOperator { name: name.to_owned(), role, password: None };
        HostedSpec {
            name: "pixels".to_owned(),
            access: HostedAccess::MembersOnly,
            motd: "Welcome.".to_owned(),
            operators: vec![operator("root", HostedRole::Admin), operator("mod", HostedRole::Moderator)],
        }
    }

    #[test]
    fn a_form_and_its_spec_are_the_same_thing() {
        assert_eq!(spec(&filled(&there()), Some(&there())), there());
    }

    #[test]
    fn an_operator_comes_goes_and_gets_another_password() {
        let form = filled(&there())
            .with("operator-mod", "gone")
            .with("operator_name", "Root")
            .with("operator_role", "moderator")
            .with("operator_password", "correct-horse");
        let made = spec(&form, Some(&there()));
        assert_eq!(made.operators.len(), 1);
        assert_eq!(made.operators[0].role, HostedRole::Moderator);
        assert_eq!(made.operators[0].password.as_deref(), Some("correct-horse"));
    }

    #[test]
    fn the_name_of_a_network_that_is_there_cannot_be_typed_over() {
        assert_eq!(spec(&filled(&there()).with("name", "other"), Some(&there())).name, "pixels");
    }
}
