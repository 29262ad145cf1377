//! How often something may be put up: so much an account, and so much an address where nobody is signed in.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use contracts::Sub;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use service::rate::{Buckets, Neighbourhood};
use service::web::Problem;

use crate::whose::Whose;

/// How many accounts and addresses are remembered: a few megabytes.
const REMEMBERED: usize = 50_000;

/// So many at once, and then so many within a period.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// At once.
    pub count: u32,
    /// Until they are all there again.
    pub period: Duration,
}

impl Rate {
    /// `count` within a minute.
    pub const fn a_minute(count: u32) -> Self {
        Self { count, period: Duration::from_secs(60) }
    }
}

/// Counts what accounts and addresses do. An address is a /32 of IPv4 and a /64 of IPv6.
#[derive(Debug)]
pub struct Pace {
    accounts: Buckets<Sub>,
    addresses: Buckets<Neighbourhood>,
}

/// That was too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOften {
    /// How long until it is not.
    pub wait: Duration,
}

impl Pace {
    /// So much an account, and so much an address for those without.
    pub fn new(account: Rate, address: Rate) -> Self {
        Self {
            accounts: Buckets::per(account.count, account.period, REMEMBERED),
            addresses: Buckets::per(address.count, address.period, REMEMBERED),
        }
    }

    /// Counts one more by `whose`.
    pub fn take(&self, whose: &Whose) -> Result<(), TooOften> {
        let taken = match whose {
            Whose::Account { account, .. } => self.accounts.take(account.sub, 1.0),
            Whose::Nobody { address } => self.addresses.take((*address).into(), 1.0),
        };
        taken.map_err(|wait| TooOften { wait })
    }
}

impl IntoResponse for TooOften {
    fn into_response(self) -> Response {
        let seconds = self.wait.as_secs().saturating_add(1);
        let advice =
            format!("Try again in {}.", service::view::span(i64::try_from(seconds).unwrap_or(i64::MAX)));
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "That was too often.", advice);
        ([(RETRY_AFTER, HeaderValue::from(seconds))], problem).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn from(address: &str) -> Whose {
        Whose::Nobody { address: address.parse().unwrap_or(IpAddr::from([0, 0, 0, 0])) }
    }

    #[test]
    fn one_household_has_one_allowance_however_many_addresses_it_has() {
        let pace = Pace::new(Rate::a_minute(100), Rate::a_minute(2));
        assert!(pace.take(&from("2001:db8:1:2::1")).is_ok());
        assert!(pace.take(&from("2001:db8:1:2:ffff::9")).is_ok());
        let refused = pace.take(&from("2001:db8:1:2:aaaa::1"));
        assert!(refused.is_err_and(|refused| refused.wait <= Duration::from_secs(30)));
        assert!(pace.take(&from("2001:db8:1:3::1")).is_ok(), "the next /64 is somebody else");
        assert!(pace.take(&from("192.0.2.1")).is_ok());
        assert!(pace.take(&from("::ffff:192.0.2.1")).is_ok(), "the same /32 in other clothes");
        assert!(pace.take(&from("192.0.2.1")).is_err());
        assert!(pace.take(&from("192.0.2.2")).is_ok());
    }
}
