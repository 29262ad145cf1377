use std::net::IpAddr;
use std::time::{Duration, Instant};

use service::rate::{Buckets, Neighbourhood};

#[test]
fn a_bucket_gives_its_burst_and_then_what_time_brings() {
    let buckets = Buckets::new(3.0, 1.0, 10);
    let now = Instant::now();
    for _ in 0..3 {
        buckets.take_at("a", 1.0, now).unwrap();
    }
    let wait = buckets.take_at("a", 1.0, now).unwrap_err();
    assert_eq!(wait, Duration::from_secs(1));
    buckets.take_at("b", 1.0, now).unwrap();
    buckets.take_at("a", 1.0, now + wait).unwrap();
    assert!(buckets.take_at("a", 1.0, now + wait).is_err());
    buckets.refill(&"a");
    buckets.take_at("a", 3.0, now + wait).unwrap();
}

#[test]
fn a_flood_of_keys_takes_bounded_memory_and_frees_nobody_who_is_out() {
    let buckets = Buckets::new(2.0, 0.001, 100);
    let now = Instant::now();
    buckets.take_at(u32::MAX, 2.0, now).unwrap();
    for key in 0..10_000 {
        buckets.take_at(key, 1.0, now).unwrap();
        assert!(buckets.len() <= 100);
    }
    assert!(buckets.take_at(u32::MAX, 1.0, now).is_err(), "the emptiest bucket is the last to be forgotten");
}

#[test]
fn a_neighbourhood_is_one_ipv4_address_or_64_bits_of_ipv6() {
    let of = |text: &str| Neighbourhood::from(text.parse::<IpAddr>().unwrap());
    assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
}
