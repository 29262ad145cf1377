//! A wish as a resource. No client: what is asked for can be read and compared.

use contracts::{BouncerEngine, DedicatedId, HostedAccess, HostedId, HostedRole};
use crds::{ErgoNetworkSpec, SojuBouncerSpec};
use hosting::Wanted;
use hosting::dedicated::host::{Moving, WantedBouncer};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::config::Installation;

/// What the names of networks begin with.
const NETWORK: &str = "network-";
/// What the names of bouncers begin with.
const BOUNCER: &str = "bouncer-";

/// What a network's resource is called.
pub fn network_name(id: HostedId) -> String {
    format!("{NETWORK}{}", id.0.simple())
}

/// The network a resource of this name is.
pub fn network_id(name: &str) -> Option<HostedId> {
    id_in(name, NETWORK).map(HostedId)
}

/// What a bouncer's resource is called.
pub fn bouncer_name(id: DedicatedId) -> String {
    format!("{BOUNCER}{}", id.0.simple())
}

/// The bouncer a resource of this name is.
pub fn bouncer_id(name: &str) -> Option<DedicatedId> {
    id_in(name, BOUNCER).map(DedicatedId)
}

fn id_in(name: &str, prefix: &str) -> Option<Uuid> {
    let rest = name.strip_prefix(prefix)?;
    let id = Uuid::try_parse(rest).ok()?;
    (id.simple().to_string() == rest).then_some(id)
}

/// The Secret with the hashes of the operators' passwords, beside the network.
pub fn operators_secret(name: &str) -> String {
    format!("{name}-operators")
}

/// What every network is, wherever it runs: who gets in, what it says, who runs it. `secret` holds the hashes of its
/// operators' passwords, by their names.
pub fn network(wanted: &Wanted, secret: &str) -> Value {
    let operators: Vec<_> = wanted
        .operators
        .iter()
        .map(|operator| {
            json!({
                "name": operator.name,
                "class": match operator.role {
                    HostedRole::Moderator => "Moderator",
                    HostedRole::Admin => "Admin",
                },
                "passwordHash": { "name": secret, "key": operator.name },
            })
        })
        .collect();
    let mut spec = json!({
        "networkName": wanted.name,
        "hostname": wanted.hostname,
        "access": match wanted.access {
            HostedAccess::Open => "Open",
            HostedAccess::AccountsOnly => "AccountsOnly",
            HostedAccess::MembersOnly => "MembersOnly",
        },
        "operators": operators,
    });
    if !wanted.motd.is_empty() {
        spec["motd"] = json!(wanted.motd);
    }
    spec
}

/// The resource of a network.
pub fn ergo_network(installation: &Installation, wanted: &Wanted) -> Value {
    let name = network_name(wanted.id);
    let mut spec = network(wanted, &operators_secret(&name));
    spec["owner"] = owner(wanted.owner, &wanted.username);
    spec["plan"] = json!(wanted.plan);
    spec["suspend"] = json!(wanted.stopped);
    spec["history"] = json!({ "backend": installation.network_history });
    spec["expose"] = expose(installation);
    spec["storage"] = storage(installation);
    // Its owner takes it away, and could undo that for a while: then it is to be gone.
    spec["deletionPolicy"] = json!("Delete");
    if let Some(clients) = wanted.clients {
        spec["limits"] = json!({ "clients": clients.min(100_000) });
    }
    object("ErgoNetwork", &name, installation, spec)
}

/// The Secret with the operators' hashes.
pub fn operators(installation: &Installation, wanted: &Wanted) -> Value {
    let hashes: Map<String, Value> = wanted
        .operators
        .iter()
        .map(|operator| (operator.name.clone(), Value::String(operator.hash.clone())))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": operators_secret(&network_name(wanted.id)),
            "namespace": installation.namespace,
        },
        "stringData": hashes,
    })
}

/// The resource of a dedicated bouncer.
pub fn soju_bouncer(installation: &Installation, wanted: &WantedBouncer) -> Value {
    let mut spec = json!({
        "engine": match wanted.engine {
            BouncerEngine::Ircnow => "Ircnow",
            BouncerEngine::Soju => "Soju",
        },
        "hostname": wanted.hostname,
        "owner": owner(wanted.owner, &wanted.username),
        "plan": wanted.plan,
        "suspend": wanted.stopped,
        "expose": expose(installation),
        "deletionPolicy": "Delete",
    });
    spec["database"] = json!({ "engine": installation.bouncer_database, "storage": storage(installation) });
    let allow: Vec<_> = installation
        .allow
        .iter()
        .map(|pair| {
            let bits = if pair.is_ipv4() { 32 } else { 128 };
            json!({ "cidr": format!("{}/{bits}", pair.ip()), "ports": [pair.port()] })
        })
        .collect();
    if !allow.is_empty() {
        spec["egress"] = json!({ "allow": allow });
    }
    if wanted.engine == BouncerEngine::Soju {
        spec["auth"] = json!({ "createUsers": true });
        // Networks come with the account, when it moves in; the sidecar sees to the user.
        if let Some(moving) = wanted.moving {
            spec["moving"] = json!(match moving {
                Moving::In => "In",
                Moving::Out => "Out",
            });
        }
    }
    object("SojuBouncer", &bouncer_name(wanted.id), installation, spec)
}

fn owner(sub: contracts::Sub, username: &str) -> Value {
    json!({ "sub": sub.to_string(), "username": username })
}

fn expose(installation: &Installation) -> Value {
    let mut expose = json!({ "irc": installation.irc, "web": installation.web });
    if let Some(gateway) = &installation.gateway {
        expose["gateway"] = json!(gateway);
    }
    if let Some(class) = &installation.ingress_class {
        expose["ingressClassName"] = json!(class);
    }
    expose
}

fn storage(installation: &Installation) -> Value {
    match &installation.storage_class {
        Some(class) => json!({ "className": class }),
        None => json!({}),
    }
}

fn object(kind: &str, name: &str, installation: &Installation, spec: Value) -> Value {
    json!({
        "apiVersion": format!("{}/{}", crds::GROUP, crds::VERSION),
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": installation.namespace,
            // An account may have limits of its own beside its plan's; who orders was checked against those.
            "annotations": { crds::OVER_QUOTA: "true" },
        },
        "spec": spec,
    })
}

/// A network's spec as the types of the definition read it.
pub fn network_spec(spec: Value) -> Result<ErgoNetworkSpec, serde_json::Error> {
    serde_json::from_value(spec)
}

/// A bouncer's spec as the types of the definition read it.
pub fn bouncer_spec(spec: Value) -> Result<SojuBouncerSpec, serde_json::Error> {
    serde_json::from_value(spec)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use contracts::Sub;
    use crds::ergo::{Access, OperatorClass};
    use crds::soju::Engine;
    use hosting::KeptOperator;
    use service::config::Source;

    use super::*;

    fn installation() -> Installation {
        Installation::load(&Source::default()).unwrap()
    }

    fn wanted() -> Wanted {
        Wanted {
            id: HostedId(Uuid::from_u128(7)),
            owner: Sub(Uuid::from_u128(1)),
            username: "alice".into(),
            plan: "growth".into(),
            name: "Pixels".into(),
            label: "pixels".into(),
            hostname: "pixels.net.irc.now".into(),
            access: HostedAccess::MembersOnly,
            motd: "Be kind.".into(),
            operators: vec![KeptOperator {
                name: "root".into(),
                role: HostedRole::Admin,
                hash: "$2b$10$hash".into(),
            }],
            clients: Some(200),
            stopped: true,
        }
    }

    #[test]
    fn a_network_becomes_a_resource_that_says_the_same() {
        let mut object = ergo_network(&installation(), &wanted());
        let spec = network_spec(object["spec"].take()).unwrap();
        assert_eq!((spec.access, spec.suspend), (Access::MembersOnly, true));
        assert_eq!(spec.limits.clients, Some(200));
        assert_eq!(spec.motd.unwrap().0, "Be kind.");
        assert_eq!(spec.operators[0].class, OperatorClass::Admin);
        let hash = spec.operators[0].password_hash.clone().unwrap();
        let secret = operators(&installation(), &wanted());
        assert_eq!(secret["metadata"]["name"], hash.name.as_str());
        assert_eq!(secret["stringData"][hash.key.as_str()], "$2b$10$hash");
        let owner = spec.owner.unwrap();
        assert_eq!((owner.username.as_str(), owner.sub.as_str()), ("alice", &*wanted().owner.to_string()));
        assert!(!object.to_string().contains("$2b$"), "no hash in the resource");
    }

    #[test]
    fn a_resource_is_named_after_its_row_and_nothing_else_is_one_of_ours() {
        let id = HostedId(Uuid::now_v7());
        assert_eq!(network_id(&network_name(id)), Some(id));
        assert!(network_name(id).len() <= 40);
        assert_eq!(bouncer_id(&network_name(id)), None);
        for other in ["network-", "network-7", "pixels", &format!("network-{}", id.0)] {
            assert_eq!(network_id(other), None, "{other}");
        }
    }

    #[test]
    fn soju_stands_still_for_as_long_as_its_account_moves() {
        let wanted = WantedBouncer {
            id: DedicatedId(Uuid::from_u128(7)),
            owner: Sub(Uuid::from_u128(1)),
            username: "alice".into(),
            plan: "pro".into(),
            hostname: "alice.irc.now".into(),
            engine: BouncerEngine::Soju,
            moving: Some(Moving::In),
            stopped: false,
        };
        let spec = |wanted: &WantedBouncer| {
            bouncer_spec(soju_bouncer(&installation(), wanted)["spec"].take()).unwrap()
        };
        let new = spec(&wanted);
        assert_eq!((new.engine, new.moving), (Engine::Soju, Some(crds::soju::Moving::In)));
        assert!(new.users.is_empty(), "networks come with the account");
        let out = WantedBouncer { moving: Some(Moving::Out), ..wanted.clone() };
        assert_eq!(spec(&out).moving, Some(crds::soju::Moving::Out));
        assert_eq!(spec(&WantedBouncer { moving: None, ..wanted.clone() }).moving, None);
        let own = WantedBouncer { engine: BouncerEngine::Ircnow, ..wanted };
        assert_eq!(spec(&own).moving, None, "the engine Ircnow moves while it runs");
    }
}
