//! Who reaches a server, and what the server reaches.
//!
//! Users name the hosts a server connects to, so it must never reach the cluster: private, link-local and metadata
//! ranges are denied, whatever they are written as (NAT64, 6to4, Teredo). IPv4-mapped addresses need no rule: they
//! travel as IPv4, and the API server refuses to name them.

use crds::common::Egress;
use crds::database::ClusterRef;
use serde_json::{Value, json};

use crate::settings::Range;

/// Everything in IPv4.
const ALL_V4: &str = "0.0.0.0/0";

/// What in IPv4 is not the internet.
const DENIED_V4: [&str; 15] = [
    // This network.
    "0.0.0.0/8",
    // Private.
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    // Shared by a provider's customers; many clusters put Pods there.
    "100.64.0.0/10",
    // Loopback.
    "127.0.0.0/8",
    // Link-local: 169.254.169.254 answers with a machine's credentials.
    "169.254.0.0/16",
    // Protocol assignments, and relays of 6to4.
    "192.0.0.0/24",
    "192.88.99.0/24",
    // Documentation and benchmarks.
    "192.0.2.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    // Multicast and reserved, broadcast among it.
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// What of IPv6 is given out as global unicast. Loopback, link-local, unique local, multicast and NAT64 lie outside.
const GLOBAL_V6: &str = "2000::/3";

/// What in IPv6 is not the internet all the same, or is IPv4 in disguise.
const DENIED_V6: [&str; 4] = [
    // Protocol assignments; Teredo and benchmarks are among them.
    "2001::/23",
    // Documentation.
    "2001:db8::/32",
    "3fff::/20",
    // 6to4.
    "2002::/16",
];

/// What a server may connect to.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    /// Ranges nobody reaches, besides those that are not the internet.
    pub denied: &'a [String],
    /// Ranges everybody reaches all the same.
    pub allowed: &'a [String],
    /// What the resource asks for.
    pub egress: &'a Egress,
    /// The resource's own database.
    pub database: Option<&'a ClusterRef>,
}

impl Reach<'_> {
    /// The rules of `egress`.
    pub fn rules(self) -> Vec<Value> {
        let mut rules = vec![name_resolution()];
        let internet = internet(self.denied);
        if !internet.is_empty() {
            rules.push(json!({ "to": internet }));
        }
        if let Some(cluster) = self.database {
            let mut to = namespace(cluster.namespace.as_str());
            to["podSelector"] = json!({ "matchLabels": { "cnpg.io/cluster": cluster.name.as_str() } });
            rules.push(json!({ "to": [to], "ports": tcp(&[5432]) }));
        }
        rules.extend(self.allowed.iter().map(|range| json!({ "to": [{ "ipBlock": { "cidr": range } }] })));
        for allowed in &self.egress.allow {
            let mut rule = json!({ "to": [{ "ipBlock": { "cidr": allowed.cidr.as_str() } }] });
            if !allowed.ports.is_empty() {
                rule["ports"] = tcp(&allowed.ports).into();
            }
            rules.push(rule);
        }
        rules
    }
}

/// Pods that resolve names: CoreDNS, OpenShift's (which listen on 5353), and the cache on the node itself.
fn name_resolution() -> Value {
    let pods =
        json!({ "namespaceSelector": {}, "podSelector": { "matchLabels": { "k8s-app": "kube-dns" } } });
    let ports: Vec<_> = [("UDP", 53), ("TCP", 53), ("UDP", 5353), ("TCP", 5353)]
        .into_iter()
        .map(|(protocol, port)| json!({ "protocol": protocol, "port": port }))
        .collect();
    json!({
        "to": [pods, namespace("openshift-dns"), { "ipBlock": { "cidr": "169.254.20.10/32" } }],
        "ports": ports,
    })
}

fn internet(denied: &[String]) -> Vec<Value> {
    let block = |all: &str, known: &[&str]| {
        let whole = Range::parse(all)?;
        let own: Vec<(&str, Range)> =
            denied.iter().filter_map(|range| Some((range.as_str(), Range::parse(range)?))).collect();
        if own.iter().any(|(_, range)| range.contains_range(whole)) {
            return None;
        }
        // The API server takes exceptions only from within the block.
        let own = own.iter().filter(|(_, range)| whole.contains_range(*range)).map(|(text, _)| *text);
        let except: Vec<&str> = known.iter().copied().chain(own).collect();
        Some(json!({ "ipBlock": { "cidr": all, "except": except } }))
    };
    [block(ALL_V4, &DENIED_V4), block(GLOBAL_V6, &DENIED_V6)].into_iter().flatten().collect()
}

/// TCP ports.
pub fn tcp<P: Copy + Into<i32>>(ports: &[P]) -> Vec<Value> {
    let port = |port: i32| json!({ "protocol": "TCP", "port": port });
    ports.iter().map(|number| port((*number).into())).collect()
}

/// Every Pod of a namespace.
pub fn namespace(name: &str) -> Value {
    json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": name } } })
}

/// Who asks for figures and state: the operators, and Prometheus in its namespace or anywhere.
pub fn askers(operators: &str, monitoring: Option<&str>) -> Vec<Value> {
    let prometheus = monitoring.map_or_else(|| json!({ "namespaceSelector": {} }), namespace);
    vec![namespace(operators), prometheus]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::net::IpAddr;

    use crds::common::EgressRule;

    use super::*;

    /// Whether rules of `egress` let TCP out to an address outside the cluster: as a network plugin reads them.
    fn lets_out(rules: &[Value], to: IpAddr, port: u16) -> bool {
        let within =
            |range: &Value| range.as_str().and_then(Range::parse).is_some_and(|range| range.contains(to));
        rules.iter().any(|rule| {
            let port_fits = rule["ports"].as_array().is_none_or(|ports| {
                ports.iter().any(|is| is["protocol"] == "TCP" && is["port"] == i64::from(port))
            });
            let reaches = rule["to"].as_array().is_none_or(|peers| {
                peers.iter().any(|peer| {
                    peer.get("ipBlock").is_some_and(|block| {
                        within(&block["cidr"])
                            && !block["except"].as_array().is_some_and(|list| list.iter().any(within))
                    })
                })
            });
            port_fits && reaches
        })
    }

    fn rules(denied: &[&str], allowed: &[&str], allow: Vec<EgressRule>) -> Vec<Value> {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let (denied, allowed, egress) = (owned(denied), owned(allowed), Egress { allow });
        Reach { denied: &denied, allowed: &allowed, egress: &egress, database: None }.rules()
    }

    #[test]
    fn the_rules_are_evaluated_against_a_table_of_addresses() {
        let rules = rules(
            &["203.0.114.0/24", "2600:1234::/32"],
            &["10.96.0.20/32"],
            vec![EgressRule { cidr: "10.9.0.0/24".into(), ports: vec![6667] }],
        );
        let table: &[(&str, &[&str], bool)] = &[
            (
                "the internet",
                &["93.184.216.34", "1.1.1.1", "223.255.255.254", "2606:2800:220:1::1", "2a00::1"],
                true,
            ),
            ("this network", &["0.0.0.0", "0.1.2.3"], false),
            (
                "private",
                &["10.0.0.1", "10.255.255.254", "172.16.0.1", "172.31.255.254", "192.168.1.1"],
                false,
            ),
            (
                "beside private",
                &["9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.1", "192.169.0.1"],
                true,
            ),
            ("shared by a provider", &["100.64.0.1", "100.127.255.254"], false),
            ("beside it", &["100.63.255.255", "100.128.0.1"], true),
            ("loopback", &["127.0.0.1", "127.255.0.1", "::1"], false),
            (
                "link-local and metadata",
                &["169.254.169.254", "169.254.0.1", "fe80::1", "fd00:ec2::254"],
                false,
            ),
            (
                "protocol assignments",
                &["192.0.0.170", "192.88.99.1", "2001:0:1::1", "2001:2::1", "2001:1ff::1"],
                false,
            ),
            ("documentation", &["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"], false),
            ("benchmarks", &["198.18.0.1", "198.19.255.254"], false),
            ("multicast", &["224.0.0.1", "239.255.255.250", "ff02::1"], false),
            ("reserved", &["240.0.0.1", "255.255.255.255", "4000::1", "::"], false),
            ("unique local", &["fc00::1", "fd12:3456::1"], false),
            (
                "IPv4 in IPv6",
                &["::ffff:10.0.0.1", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:a00:1::1"],
                false,
            ),
            ("what the installation denies", &["203.0.114.5", "2600:1234::1"], false),
            ("what the installation allows", &["10.96.0.20"], true),
            ("beside what it allows", &["10.96.0.21"], false),
        ];
        for (what, addresses, reached) in table {
            for address in *addresses {
                assert_eq!(lets_out(&rules, address.parse().unwrap(), 6697), *reached, "{what}: {address}");
            }
        }
        let allowed = |address: &str, port| lets_out(&rules, address.parse().unwrap(), port);
        assert!(allowed("10.9.0.7", 6667));
        assert!(!allowed("10.9.0.7", 22));
        // The cache on the node resolves names and does nothing else.
        assert!(allowed("169.254.20.10", 53));
        assert!(!allowed("169.254.20.10", 80));
    }

    #[test]
    fn whoever_denies_all_of_a_family_gets_no_block_of_it() {
        let rules = rules(&["::/0"], &[], Vec::new());
        assert!(!lets_out(&rules, "2606:2800:220:1::1".parse().unwrap(), 6697));
        assert!(lets_out(&rules, "93.184.216.34".parse().unwrap(), 6697));
        let rules = self::rules(&["::/0", "0.0.0.0/0"], &[], Vec::new());
        assert!(!lets_out(&rules, "93.184.216.34".parse().unwrap(), 6697));
    }

    #[test]
    fn every_exception_lies_within_its_block() {
        for rule in rules(&["fd00::/8", "2600::/16", "192.0.2.0/24"], &[], Vec::new()) {
            for block in rule["to"].as_array().unwrap().iter().filter_map(|to| to.get("ipBlock")) {
                let range = |text: &Value| Range::parse(text.as_str().unwrap()).unwrap();
                let whole = range(&block["cidr"]);
                for except in block["except"].as_array().unwrap_or(&Vec::new()) {
                    assert!(whole.contains_range(range(except)), "{except} in {block}");
                    assert_ne!(whole, range(except));
                }
            }
        }
    }
}
