//! The finalizer: a resource stays until what lies outside its namespace is settled.

/// The name of an operator's finalizer.
pub fn name(operator: &str) -> String {
    format!("irc.now/{operator}")
}

/// The finalizers with ours; `None` if it is there already.
pub fn with(finalizers: &[String], ours: &str) -> Option<Vec<String>> {
    if finalizers.iter().any(|finalizer| finalizer == ours) {
        return None;
    }
    let mut all = finalizers.to_vec();
    all.push(ours.to_owned());
    Some(all)
}

/// The finalizers without ours; `None` if it is not there.
pub fn without(finalizers: &[String], ours: &str) -> Option<Vec<String>> {
    finalizers
        .iter()
        .any(|finalizer| finalizer == ours)
        .then(|| finalizers.iter().filter(|finalizer| *finalizer != ours).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_finalizers_are_left_alone() {
        let others = vec!["foregroundDeletion".to_owned()];
        let both = with(&others, "irc.now/x");
        assert_eq!(both.as_deref(), Some(&["foregroundDeletion".to_owned(), "irc.now/x".to_owned()][..]));
        assert_eq!(without(&both.unwrap_or_default(), "irc.now/x"), Some(others.clone()));
        assert_eq!(without(&others, "irc.now/x"), None);
    }
}
