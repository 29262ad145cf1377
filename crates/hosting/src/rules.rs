//! What a network's spec must hold, said in words its owner can act on.

use contracts::{CallError, HostedOperator, HostedSpec};

const MAX_MOTD: usize = 8_000;
const MAX_MOTD_LINE: usize = 400;
const MAX_OPERATORS: usize = 32;
const MIN_PASSWORD: usize = 10;
/// What bcrypt looks at.
const MAX_PASSWORD: usize = 72;

/// Names that would pass for the platform's own. Sorted.
const RESERVED: &[&str] = &[
    "admin",
    "administrator",
    "auth",
    "chat",
    "help",
    "irc",
    "ircnow",
    "localnet",
    "mail",
    "net",
    "official",
    "root",
    "security",
    "services",
    "staff",
    "status",
    "support",
    "www",
];

/// The first part of the host name of a network called `name`.
pub fn label(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Whether `name` can be a network's.
pub fn name(name: &str) -> Result<(), CallError> {
    let fits = (3..=31).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !name.ends_with('-')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !fits {
        return Err(CallError::invalid(
            "name",
            "A network's name has 3 to 31 letters, digits and hyphens, begins with a letter and does not end with a hyphen: its host name is made of it.",
        ));
    }
    let label = label(name);
    if label.starts_with("xn--") || RESERVED.binary_search(&label.as_str()).is_ok() {
        return Err(CallError::invalid("name", "This name is reserved. Choose another."));
    }
    Ok(())
}

/// The spec as it is kept, but for the operators' passwords.
pub fn checked(mut spec: HostedSpec) -> Result<HostedSpec, CallError> {
    spec.motd = motd(&spec.motd)?;
    operators(&spec.operators)?;
    Ok(spec)
}

fn motd(text: &str) -> Result<String, CallError> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").trim_end().to_owned();
    if text.len() > MAX_MOTD {
        return Err(CallError::invalid("motd", "A message of the day has at most 8,000 characters."));
    }
    if text.lines().any(|line| line.len() > MAX_MOTD_LINE) {
        return Err(CallError::invalid(
            "motd",
            "A line of the message of the day has at most 400 characters: break it into shorter ones.",
        ));
    }
    if text.chars().any(|c| c == '\0') {
        return Err(CallError::invalid("motd", "The message of the day holds a character IRC cannot send."));
    }
    Ok(text)
}

fn operators(operators: &[HostedOperator]) -> Result<(), CallError> {
    let wrong = |message: String| Err(CallError::invalid("operators", message));
    if operators.len() > MAX_OPERATORS {
        return wrong(format!("A network has at most {MAX_OPERATORS} operators."));
    }
    for (index, operator) in operators.iter().enumerate() {
        let name = operator.name.as_str();
        let fits = (1..=32).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !fits {
            return wrong(format!(
                "\"{name}\" cannot be an operator's name: use letters, digits, - and _, and begin with a letter."
            ));
        }
        if operators[..index].iter().any(|other| other.name.eq_ignore_ascii_case(name)) {
            return wrong(format!("There are two operators called {name}."));
        }
        if let Some(password) = &operator.password {
            let fits = (MIN_PASSWORD..=MAX_PASSWORD).contains(&password.len())
                && password.bytes().all(|byte| byte.is_ascii_graphic())
                && !password.starts_with(':');
            if !fits {
                return wrong(format!(
                    "The password of {name} needs {MIN_PASSWORD} to {MAX_PASSWORD} letters, digits and signs, without spaces."
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use contracts::{HostedAccess, HostedRole};

    use super::*;

    fn operator(name: &str, password: &str) -> HostedOperator {
        HostedOperator { name: name.into(), role: HostedRole::Admin, password: Some(password.into()) }
    }

    fn spec(motd: &str, operators: Vec<HostedOperator>) -> HostedSpec {
        HostedSpec { name: "pixels".into(), access: HostedAccess::Open, motd: motd.into(), operators }
    }

    #[test]
    fn a_name_makes_a_host_name() {
        for good in ["pixels", "Pixel-Art", "abc", "a1b"] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in
            ["", "ab", "1abc", "-abc", "abc-", "a.b.c", "a b c", "xn--abc", "Admin", "naïve", &"a".repeat(32)]
        {
            assert!(name(bad).is_err(), "{bad}");
        }
        assert_eq!(label("Pixel-Art"), "pixel-art");
    }

    #[test]
    fn reserved_names_are_sorted_because_they_are_searched_by_halves() {
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn what_a_browser_sends_as_lines_is_kept_as_lines() {
        assert_eq!(checked(spec("one\r\ntwo\r\n\r\n", Vec::new())).unwrap().motd, "one\ntwo");
        assert!(checked(spec(&"a".repeat(401), Vec::new())).is_err());
        assert!(checked(spec("a\0b", Vec::new())).is_err());
    }

    #[test]
    fn an_operator_has_a_name_of_its_own_and_a_password_that_irc_can_carry() {
        assert!(checked(spec("", vec![operator("root", "correct-horse")])).is_ok());
        for wrong in [
            vec![operator("ro ot", "correct-horse")],
            vec![operator("root", "short")],
            vec![operator("root", "with a space in it")],
            vec![operator("root", ":correct-horse")],
            vec![operator("root", "correct-horse"), operator("Root", "correct-horse")],
        ] {
            assert!(checked(spec("", wrong.clone())).is_err(), "{wrong:?}");
        }
    }
}
