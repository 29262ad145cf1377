//! What is read of a request's headers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use super::client_ip::{Cidr, ClientIp};
use super::{RequestId, bearer, cookie, csrf, set_cookie, wants};
use crate::assets::local_path;
use crate::view::Form;

/// Line by line a header and its value, then what every request is asked.
pub(crate) fn headers(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(50) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let id = RequestId::of(&headers);
    assert!((8..=64).contains(&id.as_str().len()));
    let _ = (wants(&headers), bearer(&headers));
    if let Some(value) = cookie(&headers, "session") {
        assert!(!value.contains(';'));
        assert!(set_cookie("session", value, 1).is_some());
    }
    a_page_of_another_site_changes_nothing(&mut headers.clone());
    only_a_proxy_of_ours_is_believed(&headers);

    let text = String::from_utf8_lossy(data);
    assert!(local_path(&text).is_none_or(|path| path.starts_with('/') && !path.starts_with("//")));
    let form = Form::from_pairs(url::form_urlencoded::parse(data).into_owned());
    let _ = (form.trimmed("name"), form.is_on("enabled"));
}

fn a_page_of_another_site_changes_nothing(headers: &mut HeaderMap) {
    let uri = Uri::from_static("/change");
    headers.remove("sec-fetch-site");
    headers.insert(header::HOST, HeaderValue::from_static("my.irc.test"));
    headers.insert(header::ORIGIN, HeaderValue::from_static("https://evil.my.irc.test"));
    assert!(!csrf::is_allowed(&Method::POST, &uri, headers));
    headers.insert("sec-fetch-site", HeaderValue::from_static("same-site"));
    assert!(!csrf::is_allowed(&Method::POST, &uri, headers));
}

fn only_a_proxy_of_ours_is_believed(headers: &HeaderMap) {
    let peer = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let mut extensions = Extensions::new();
    extensions.insert(ConnectInfo(SocketAddr::new(peer, 1)));
    assert_eq!(ClientIp::find(&extensions, headers, &[]), ClientIp(peer));
    if let Ok(ours) = "192.0.2.0/24".parse::<Cidr>() {
        let _ = ClientIp::find(&extensions, headers, &[ours]);
    }
}
