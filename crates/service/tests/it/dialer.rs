use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use service::dialer::{DialConfig, DialError, Guarded, HostPort, Resolve, is_public};
use tokio::net::TcpListener;

/// Answers the first list the first time, the second one ever after.
struct Names {
    first: Vec<IpAddr>,
    then: Vec<IpAddr>,
    asked: AtomicUsize,
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(if self.asked.fetch_add(1, Ordering::SeqCst) == 0 {
            self.first.clone()
        } else {
            self.then.clone()
        })
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn dialer(first: &[&str], then: &[&str]) -> (Guarded, Arc<Names>) {
    let all = |list: &[&str]| list.iter().map(|text| ip(text)).collect();
    let names = Arc::new(Names { first: all(first), then: all(then), asked: AtomicUsize::new(0) });
    let config = DialConfig { allow: Vec::new(), timeout: Duration::from_secs(5) };
    (Guarded::with_resolver(&config, names.clone()), names)
}

const NOT_PUBLIC: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.0.1",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
];

#[tokio::test]
async fn no_address_off_the_public_internet_is_reached() {
    for text in NOT_PUBLIC {
        assert!(!is_public(ip(text)), "{text}");
        let (dialer, _) = dialer(&[text], &[]);
        let error = dialer.connect("irc.example.org", 6667).await.unwrap_err();
        assert!(matches!(error, DialError::NotPublic { .. }), "{text}: {error}");
        assert!(!error.to_string().contains(text), "the words tell nothing of the inside: {error}");
    }
}

#[test]
fn public_addresses_are_public() {
    for text in [
        "1.1.1.1",
        "8.8.8.8",
        "11.0.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.255.255",
        "172.32.0.1",
        "192.0.1.1",
        "198.17.255.255",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "2a00::1",
    ] {
        assert!(is_public(ip(text)), "{text}");
    }
}

#[tokio::test]
async fn an_address_written_in_any_way_is_read_as_one() {
    for text in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "[::1]",
        "::1",
        "[::ffff:127.0.0.1]",
        "fe80::1%eth0",
        "127.0.0.1.",
        "0",
        "LOCALHOST.",
    ] {
        let (dialer, names) = dialer(&["127.0.0.1"], &["127.0.0.1"]);
        let error = dialer.connect(text, 80).await.unwrap_err();
        assert!(matches!(error, DialError::NotPublic { .. }), "{text}: {error}");
        let looked_up = names.asked.load(Ordering::SeqCst);
        assert_eq!(looked_up, usize::from(text.starts_with('L')), "{text}");
    }
}

#[tokio::test]
async fn one_bad_address_spoils_the_name_and_a_name_is_looked_up_once() {
    let (dialer, names) = dialer(&["8.8.8.8", "10.0.0.1"], &["8.8.8.8"]);
    assert!(matches!(dialer.resolve("a.example", 1).await, Err(DialError::NotPublic { .. })));
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    // The second answer of a name that rebinds is never asked for.
    let (dialer, names) = super::dialer::dialer(&["8.8.8.8"], &["127.0.0.1"]);
    let addresses = dialer.resolve("a.example", 1).await.unwrap();
    assert_eq!(addresses, ["8.8.8.8:1".parse::<SocketAddr>().unwrap()]);
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_exception_is_one_host_and_one_port() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (dialer, _) = dialer(&["127.0.0.1"], &["127.0.0.1"]);
    dialer.allow(HostPort::new("LocalNet.", port));
    dialer.connect("localnet", port).await.unwrap();
    assert!(matches!(dialer.connect("localnet", port ^ 1).await, Err(DialError::NotPublic { .. })));
    assert!(matches!(dialer.connect("127.0.0.1", port).await, Err(DialError::NotPublic { .. })));
    assert!(matches!(dialer.connect("othernet", port).await, Err(DialError::NotPublic { .. })));
}

#[tokio::test]
async fn a_server_of_our_own_is_reached_by_any_name_and_its_neighbours_by_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = listener.local_addr().unwrap();
    let reached = async |dialer: &Guarded, host: &str, port: u16| match dialer.resolve(host, port).await {
        Ok(addresses) => addresses,
        Err(DialError::NotPublic { .. }) => Vec::new(),
        Err(other) => panic!("{other}"),
    };
    let (dialer, _) = dialer(&["::1", "127.0.0.1"], &["::1", "127.0.0.1"]);
    assert!(reached(&dialer, "localhost", socket.port()).await.is_empty());
    dialer.allow_own(socket);
    dialer.connect("127.0.0.1", socket.port()).await.unwrap();
    // Only there, though the name leads to another address too.
    assert_eq!(reached(&dialer, "localhost", socket.port()).await, [socket]);
    assert!(reached(&dialer, "::1", socket.port()).await.is_empty());
    for port in [1, 22, 80, socket.port() - 1, socket.port() ^ 1] {
        assert!(reached(&dialer, "127.0.0.1", port).await.is_empty(), "{port}");
        assert!(reached(&dialer, "localhost", port).await.is_empty(), "{port}");
    }
    dialer.forget_own(socket);
    assert!(reached(&dialer, "127.0.0.1", socket.port()).await.is_empty());
}

#[tokio::test]
async fn a_dead_first_address_leaves_time_for_the_next() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // Nobody listens on 127.0.0.2 at that port: refused at once.
    let (dialer, _) = dialer(&["127.0.0.2", "127.0.0.1"], &[]);
    dialer.allow(HostPort::new("localnet", port));
    dialer.connect("localnet", port).await.unwrap();
    drop(listener);
    let (dialer, _) = super::dialer::dialer(&["127.0.0.1"], &[]);
    dialer.allow(HostPort::new("localnet", port));
    let error = dialer.connect("localnet", port).await.unwrap_err();
    assert!(matches!(error, DialError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("check the port"));
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_said_so() {
    let (dialer, _) = dialer(&[], &[]);
    for host in ["nowhere.example", "", "a b", "a\0b"] {
        assert!(matches!(dialer.connect(host, 1).await, Err(DialError::NotFound { .. })), "{host:?}");
    }
}

proptest! {
    #[test]
    fn ipv4_in_any_clothes_of_ipv6_is_not_public(bits in any::<u32>()) {
        let v4 = std::net::Ipv4Addr::from_bits(bits);
        prop_assert!(!is_public(IpAddr::V6(v4.to_ipv6_mapped())));
        prop_assert!(!is_public(IpAddr::V6(v4.to_ipv6_compatible())));
        let nat64 = std::net::Ipv6Addr::from_bits((0x0064_ff9b_u128 << 96) | u128::from(bits));
        prop_assert!(!is_public(IpAddr::V6(nat64)));
        let six_to_four = std::net::Ipv6Addr::from_bits((0x2002_u128 << 112) | (u128::from(bits) << 80));
        prop_assert!(!is_public(IpAddr::V6(six_to_four)));
    }

    #[test]
    fn what_the_standard_library_calls_special_is_not_public(bits in any::<u32>()) {
        let v4 = std::net::Ipv4Addr::from_bits(bits);
        if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast()
            || v4.is_documentation() || v4.is_unspecified()
        {
            prop_assert!(!is_public(IpAddr::V4(v4)));
        }
    }

    #[test]
    fn a_pair_reads_back_as_written(host in "[a-z0-9.-]{1,20}", port in any::<u16>()) {
        let pair = HostPort::new(&host, port);
        prop_assume!(!pair.host.is_empty());
        prop_assert_eq!(pair.to_string().parse::<HostPort>().unwrap(), pair);
    }
}

#[test]
fn an_exception_names_a_host_and_nothing_else() {
    for text in ["irc.test", ":1", "[]:1", ".:1", "a b:1", "[\rb]:1", "a:99999"] {
        assert!(text.parse::<HostPort>().is_err(), "{text:?}");
    }
}
