//! The body of the fuzz target in `/fuzz`; this crate's tests replay its corpus.

use service::view::Form;

use crate::{export, network_form};

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[("portal_forms", forms)];

/// A posted network form, and a file's name in an export.
pub fn forms(data: &[u8]) {
    let mut form = Form::from_pairs(url::form_urlencoded::parse(data).into_owned());
    match network_form::spec(&mut form, None) {
        None => assert!(!form.is_fine(), "it is said what is wrong"),
        Some(spec) => {
            assert!(spec.port != 0 && !spec.host.is_empty() && !spec.nick.is_empty());
            let again = network_form::spec(&mut network_form::filled(&spec), Some(&spec));
            assert_eq!(
                again.map(|again| (again.name, again.host, again.channels)),
                Some((spec.name, spec.host, spec.channels))
            );
        }
    }
    let path = export::path_of("bouncer", &String::from_utf8_lossy(data));
    assert!(path.starts_with("irc-now/bouncer/"));
    assert!(path.split(['/', '\\']).all(|part| !part.is_empty() && part != ".."));
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_keep_the_promises() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
