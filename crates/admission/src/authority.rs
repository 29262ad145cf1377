//! The authority this webhook makes itself, and when a new one takes its place.
//!
//! All replicas share it through a Secret, and each makes its own server certificate under it. A new authority is told to
//! the API server at once and used only after [`Terms::settle`], when every API server has heard of it; until then the one
//! before it signs. So there is no moment at which somebody is answered with a certificate they do not know.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// Clocks differ: what is made is good from an hour ago.
const SKEW: Duration = Duration::from_secs(3600);

/// How long what is good.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How long an authority is good for. A new one is made after two thirds of that.
    pub lifetime: Duration,
    /// How long a new one is only told of, and not used.
    pub settle: Duration,
}

impl Terms {
    /// Terms with the usual time to settle.
    pub fn lasting(lifetime: Duration) -> Self {
        Self { lifetime, settle: Duration::from_secs(600).min(lifetime / 6) }
    }
}

/// An authority: its certificate and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Authority {
    certificate: String,
    key: Zeroizing<String>,
    /// When it was made, in seconds since 1970.
    made: i64,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("made", &self.made).finish_non_exhaustive()
    }
}

/// A server's certificate and its key (PEM).
pub struct Leaf {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: Zeroizing<String>,
}

impl Authority {
    /// Makes one that is good from now on.
    pub fn make(now: i64, terms: Terms) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let params = params(now, terms);
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, key: Zeroizing::new(key.serialize_pem()), made: now })
    }

    /// The certificate (PEM).
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Makes a server's certificate for these names, good as long as the authority is.
    pub fn sign(&self, names: &[String], terms: Terms) -> Result<Leaf, rcgen::Error> {
        let of_authority = params(self.made, terms);
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name = named("ircnow admission");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = (of_authority.not_before, of_authority.not_after);
        // Name and key are all an issuer needs.
        let issuer = Issuer::new(of_authority, KeyPair::from_pem(&self.key)?);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?.pem();
        Ok(Leaf { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }

    /// When it ends, in seconds since 1970.
    pub fn ends(&self, terms: Terms) -> i64 {
        self.made.saturating_add(seconds(terms.lifetime))
    }

    fn age(&self, now: i64) -> i64 {
        now.saturating_sub(self.made)
    }
}

fn params(made: i64, terms: Terms) -> CertificateParams {
    let mut params = CertificateParams::default();
    // Each has a name of its own, so that of two that are known the right one is tried.
    params.distinguished_name = named(&format!("ircnow admission authority {made}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let at =
        |seconds: i64| OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    params.not_before = at(made.saturating_sub(seconds(SKEW)));
    params.not_after = at(made.saturating_add(seconds(terms.lifetime)));
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// What is to be done about the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// There is none that can be used: make one.
    Make,
    /// It is time for a new one.
    Rotate,
    /// Nothing.
    Rest,
}

/// The authority, and the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    current: Authority,
    previous: Option<Authority>,
}

const FIELDS: [[&str; 3]; 2] =
    [["authority.crt", "authority.key", "made"], ["previous.crt", "previous.key", "previous-made"]];

impl Authorities {
    /// The first one.
    pub fn first(authority: Authority) -> Self {
        Self { current: authority, previous: None }
    }

    /// A new one in place of the present one, which is kept as the one before it.
    #[must_use]
    pub fn followed_by(self, authority: Authority) -> Self {
        Self { current: authority, previous: Some(self.current) }
    }

    /// Decides. `kept` is what the Secret holds, if that can be read.
    pub fn due(kept: Option<&Self>, now: i64, terms: Terms) -> Due {
        match kept {
            None => Due::Make,
            Some(kept) if kept.current.age(now) >= seconds(terms.lifetime) => Due::Make,
            Some(kept) if kept.current.age(now) >= seconds(terms.lifetime / 3 * 2) => Due::Rotate,
            Some(_) => Due::Rest,
        }
    }

    /// The one that signs now.
    pub fn signer(&self, now: i64, terms: Terms) -> &Authority {
        match &self.previous {
            Some(previous) if self.current.age(now) < seconds(terms.settle) && now < previous.ends(terms) => {
                previous
            }
            _ => &self.current,
        }
    }

    /// What the API server is told: the certificates that may meet it (PEM).
    pub fn bundle(&self) -> String {
        let previous = self.previous.as_ref().map(|previous| previous.certificate.as_str());
        format!("{}{}", previous.unwrap_or_default(), self.current.certificate)
    }

    /// Reads a Secret. `None` where it does not hold what it must.
    pub fn from_data(data: &BTreeMap<String, ByteString>) -> Option<Self> {
        let text = |field: &str| String::from_utf8(data.get(field)?.0.clone()).ok();
        let authority = |[certificate, key, made]: [&str; 3]| {
            let key = Zeroizing::new(text(key)?);
            KeyPair::from_pem(&key).ok()?;
            let certificate = text(certificate).filter(|text| text.contains("BEGIN CERTIFICATE"))?;
            Some(Authority { certificate, key, made: text(made)?.trim().parse().ok()? })
        };
        Some(Self { current: authority(FIELDS[0])?, previous: authority(FIELDS[1]) })
    }

    /// As a Secret holds it.
    pub fn to_data(&self) -> BTreeMap<String, ByteString> {
        let both = [Some(&self.current), self.previous.as_ref()];
        let mut data = BTreeMap::new();
        for ([certificate, key, made], authority) in FIELDS.into_iter().zip(both) {
            let Some(authority) = authority else { continue };
            let values = [
                (certificate, authority.certificate.clone()),
                (key, authority.key.to_string()),
                (made, authority.made.to_string()),
            ];
            data.extend(values.map(|(field, value)| (field.to_owned(), ByteString(value.into_bytes()))));
        }
        data
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400;

    fn terms() -> Terms {
        Terms::lasting(Duration::from_secs(90 * 86_400))
    }

    fn made(at: i64) -> Authority {
        Authority::make(at, terms()).unwrap()
    }

    #[test]
    fn a_new_one_is_made_in_time_and_used_when_everybody_has_heard_of_it() {
        let first = Authorities::first(made(0));
        assert_eq!(Authorities::due(None, 0, terms()), Due::Make);
        assert_eq!(Authorities::due(Some(&first), 60 * DAY - 1, terms()), Due::Rest);
        assert_eq!(Authorities::due(Some(&first), 60 * DAY, terms()), Due::Rotate);
        assert_eq!(Authorities::due(Some(&first), 90 * DAY, terms()), Due::Make);
        let (old, new) = (first.current.clone(), made(60 * DAY));
        let both = first.followed_by(new.clone());
        assert_eq!(both.signer(60 * DAY, terms()), &old);
        assert_eq!(both.signer(60 * DAY + 599, terms()), &old);
        assert_eq!(both.signer(60 * DAY + 600, terms()), &new);
        assert!(both.bundle().contains(old.certificate()) && both.bundle().contains(new.certificate()));
        assert_eq!(Authorities::due(Some(&both), 60 * DAY, terms()), Due::Rest);
    }

    #[test]
    fn the_first_one_is_used_at_once_and_an_ended_one_never() {
        let first = Authorities::first(made(0));
        assert_eq!(first.signer(0, terms()), &first.current);
        let late = first.clone().followed_by(made(91 * DAY));
        assert_eq!(late.signer(91 * DAY, terms()), &late.current);
    }

    #[test]
    fn a_secret_holds_both_and_what_is_damaged_is_none() {
        let both = Authorities::first(made(0)).followed_by(made(60 * DAY));
        assert_eq!(Authorities::from_data(&both.to_data()), Some(both.clone()));
        for field in FIELDS[0] {
            let mut data = both.to_data();
            data.insert(field.to_owned(), ByteString(b"damaged".to_vec()));
            assert_eq!(Authorities::from_data(&data), None, "{field}");
        }
        let debug = format!("{both:?}");
        assert!(!debug.contains("PRIVATE KEY") && !debug.contains("BEGIN"), "{debug}");
    }

    proptest! {
        /// Whatever the clock says: who signs is in the bundle, and has not ended before its successor was made.
        #[test]
        fn who_signs_is_known(steps in prop::collection::vec(1..40 * DAY, 1..12)) {
            let mut now = 0;
            let mut kept: Option<Authorities> = None;
            for step in steps {
                now += step;
                let due = Authorities::due(kept.as_ref(), now, terms());
                kept = Some(match (due, kept) {
                    (Due::Rotate, Some(kept)) => kept.followed_by(made(now)),
                    (Due::Rest, Some(kept)) => kept,
                    _ => Authorities::first(made(now)),
                });
                let kept = kept.as_ref().unwrap();
                let signer = kept.signer(now, terms());
                prop_assert!(kept.bundle().contains(signer.certificate()));
                prop_assert!(now < signer.ends(terms()));
            }
        }
    }
}
