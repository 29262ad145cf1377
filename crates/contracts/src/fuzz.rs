//! Bodies of the fuzz targets in `/fuzz`; this crate's tests replay their corpora.

use crate::Login;
use crate::http::sse::Parser;

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[("login", login), ("event_stream", event_stream)];

/// A login name comes apart into what it says, and nothing is lost.
pub fn login(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(login) = Login::parse(&text) else { return };
    let parts = [Some(&login.user), login.network.as_ref(), login.client.as_ref()];
    assert!(parts.into_iter().flatten().all(|part| !part.is_empty() && !part.contains(['/', '@'])));
    let network = login.network.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
    let client = login.client.as_ref().map(|name| format!("@{name}")).unwrap_or_default();
    assert_eq!(Login::parse(&format!("{}{network}{client}", login.user)).as_ref(), Some(&login));
    assert_eq!(login.user.len() + network.len() + client.len(), text.len());
}

/// The same events come out however the bytes are cut.
pub fn event_stream(data: &[u8]) {
    let read = |size: usize| -> Option<Vec<String>> {
        let mut parser = Parser::default();
        let mut texts = Vec::new();
        for part in data.chunks(size) {
            texts.extend(parser.feed(part)?.into_iter().map(|event| event.data));
        }
        Some(texts)
    };
    let whole = read(data.len().max(1));
    assert_eq!(whole, read(1));
    assert!(whole.unwrap_or_default().iter().all(|event| !event.is_empty()));
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_keep_the_promises() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
