//! The hosts file of a Pod: there is neither DNS nor a proxy here, so a Service's name is a ready Pod's address.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::plan::Plan;

/// What the names are made from.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// Services of the namespaces to be named.
    pub services: &'a [Service],
    /// Pods of those namespaces.
    pub pods: &'a [Pod],
    /// Endpoint slices of those namespaces: Services without a selector are named by them.
    pub slices: &'a [EndpointSlice],
    /// The node's own address and its names.
    pub host: (&'a str, &'a [String]),
}

/// The file. The same world gives the same bytes.
pub fn file(plan: &Plan, pod: &Pod, address: &str, world: World<'_>) -> String {
    let mut lines = String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    let mut line = |address: &str, names: &[String]| {
        if !names.is_empty() {
            let _ = writeln!(lines, "{address}\t{}", names.join(" "));
        }
    };
    let own = match &plan.subdomain {
        Some(subdomain) => {
            let long = format!("{}.{subdomain}.{}.svc.cluster.local", plan.hostname, plan.key.namespace);
            vec![long, plan.hostname.clone()]
        }
        None => vec![plan.hostname.clone()],
    };
    line(address, &own);
    for alias in pod.spec.iter().flat_map(|spec| spec.host_aliases.iter().flatten()) {
        line(&alias.ip, alias.hostnames.as_deref().unwrap_or_default());
    }
    line(world.host.0, world.host.1);
    let mut services: Vec<&Service> = world.services.iter().collect();
    services.sort_by_key(|service| (service.metadata.namespace.clone(), service.metadata.name.clone()));
    for service in services {
        let names = names(service, &plan.key.namespace);
        for address in addresses(service, world) {
            line(&address, &names);
        }
        for (hostname, address) in members(service, world) {
            let names: Vec<String> = names.iter().map(|name| format!("{hostname}.{name}")).collect();
            line(&address, &names);
        }
    }
    lines
}

fn names(service: &Service, from: &str) -> Vec<String> {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let long = format!("{name}.{namespace}");
    let mut names = vec![format!("{long}.svc.cluster.local"), format!("{long}.svc"), long];
    if namespace == from {
        names.push(name.to_owned());
    }
    names
}

/// The addresses behind a Service: one for most, so that every client goes to the same Pod; all for a headless one.
fn addresses(service: &Service, world: World<'_>) -> Vec<String> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let mut found: Vec<String> = match &spec.selector {
        Some(selector) if !selector.is_empty() => {
            let any = spec.publish_not_ready_addresses == Some(true);
            selected(service, selector, world, any).filter_map(address_of).collect()
        }
        _ => slices(service, world),
    };
    found.sort_by_key(|address| address.parse::<std::net::IpAddr>().ok());
    found.dedup();
    if spec.cluster_ip.as_deref() != Some("None") {
        found.truncate(1);
    }
    found
}

/// The Pods that a headless Service names one by one.
fn members(service: &Service, world: World<'_>) -> Vec<(String, String)> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let Some(selector) = spec.selector.as_ref().filter(|_| spec.cluster_ip.as_deref() == Some("None")) else {
        return Vec::new();
    };
    let any = spec.publish_not_ready_addresses == Some(true);
    let mut found: Vec<(String, String)> = selected(service, selector, world, any)
        .filter_map(|pod| {
            let spec = pod.spec.as_ref()?;
            let named = spec.subdomain.is_some() && spec.subdomain == service.metadata.name;
            Some((spec.hostname.clone().filter(|_| named)?, address_of(pod)?))
        })
        .collect();
    found.sort();
    found
}

fn selected<'a>(
    service: &'a Service,
    selector: &'a BTreeMap<String, String>,
    world: World<'a>,
    any: bool,
) -> impl Iterator<Item = &'a Pod> {
    let empty = BTreeMap::new();
    world.pods.iter().filter(move |pod| {
        let labels = pod.metadata.labels.as_ref().unwrap_or(&empty);
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        pod.metadata.namespace == service.metadata.namespace
            && !matches!(phase, Some("Succeeded" | "Failed"))
            && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
            && (any || (is_ready(pod) && pod.metadata.deletion_timestamp.is_none()))
    })
}

fn slices(service: &Service, world: World<'_>) -> Vec<String> {
    let name = service.metadata.name.as_ref();
    let of_service = |slice: &&EndpointSlice| {
        let labels = slice.metadata.labels.as_ref();
        slice.metadata.namespace == service.metadata.namespace
            && name.is_some()
            && labels.and_then(|labels| labels.get("kubernetes.io/service-name")) == name
    };
    let endpoints = world.slices.iter().filter(of_service).flat_map(|slice| slice.endpoints.iter().flatten());
    let ready = endpoints.filter(|e| e.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true));
    ready.flat_map(|endpoint| endpoint.addresses.iter().cloned()).collect()
}

/// The ports of a Service that lead to another port of its Pods: a name in a hosts file cannot carry that.
pub fn diverted(service: &Service, pods: &[Pod]) -> Vec<String> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let Some(selector) = spec.selector.as_ref().filter(|selector| !selector.is_empty()) else {
        return Vec::new();
    };
    let world = World { services: &[], pods, slices: &[], host: ("", &[]) };
    let containers: Vec<_> = selected(service, selector, world, true)
        .flat_map(|pod| pod.spec.iter().flat_map(|spec| &spec.containers))
        .collect();
    let named = |name: &str| {
        let mut ports = containers.iter().flat_map(|container| container.ports.iter().flatten());
        ports.find(|port| port.name.as_deref() == Some(name)).map(|port| port.container_port)
    };
    let mut found = Vec::new();
    for port in spec.ports.iter().flatten() {
        let target = match &port.target_port {
            Some(IntOrString::Int(number)) => Some(*number),
            Some(IntOrString::String(name)) => named(name),
            None => None,
        };
        if let Some(target) = target.filter(|target| *target != port.port) {
            found.push(format!("port {} leads to {target}", port.port));
        }
    }
    found
}

fn address_of(pod: &Pod) -> Option<String> {
    pod.status.as_ref()?.pod_ip.clone()
}

/// Whether the Pod's condition Ready is true.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
#[path = "hosts_tests.rs"]
mod tests;
