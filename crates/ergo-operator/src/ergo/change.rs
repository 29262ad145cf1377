//! What a change of the configuration needs: Ergo takes most of it at a REHASH, and refuses the rest while it runs.

use serde_json::Value;

/// What Ergo refuses to change while it runs (`applyConfig` of its source): these need a new process.
const FIXED: &[&str] = &[
    "/server/name",
    "/server/casemapping",
    "/server/enforce-utf8",
    "/server/idle-timeouts",
    "/server/max-line-len",
    "/server/override-services-hostname",
    "/server/relaymsg/enabled",
    "/server/relaymsg/separators",
    "/server/ip-check-script/max-concurrency",
    "/accounts/auth-script/max-concurrency",
    "/accounts/multiclient/always-on",
    "/datastore",
    "/lock-file",
];

/// What a change needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it says the same.
    None,
    /// Ergo reads it anew.
    Rehash,
    /// Ergo is started anew, because of these.
    Restart(Vec<&'static str>),
}

impl Change {
    /// Compares two configurations.
    pub fn between(before: &Value, after: &Value) -> Self {
        if before == after {
            return Self::None;
        }
        let fixed: Vec<_> =
            FIXED.iter().copied().filter(|path| before.pointer(path) != after.pointer(path)).collect();
        if fixed.is_empty() { Self::Rehash } else { Self::Restart(fixed) }
    }
}

/// A name for everything that needs a restart: it changes exactly when a change does. It stands in the Pod's template,
/// so that Kubernetes makes a new Pod then and only then.
pub fn restart_mark(config: &Value) -> String {
    let fixed: Vec<_> = FIXED.iter().map(|path| config.pointer(path).unwrap_or(&Value::Null)).collect();
    operator::hash::text(operator::hash::of_value(&serde_json::json!(fixed)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn config() -> Value {
        json!({
            "network": { "name": "net" },
            "server": {
                "name": "irc.example.org", "casemapping": "ascii", "enforce-utf8": true,
                "listeners": { ":6697": {} }, "idle-timeouts": { "ping": "90s" }, "relaymsg": { "enabled": false },
                "ip-check-script": { "max-concurrency": 64, "timeout": "9s" },
            },
            "accounts": { "registration": { "enabled": true }, "multiclient": { "always-on": "opt-in" } },
            "datastore": { "path": "a.db", "sqlite": { "enabled": false } },
            "opers": {}, "limits": { "nicklen": 32 }, "api": { "bearer-tokens": ["a"] },
        })
    }

    #[test]
    fn ergo_is_restarted_only_where_it_must() {
        let table = [
            ("/network/name", json!("other"), None),
            ("/server/listeners", json!({}), None),
            ("/server/ip-check-script/timeout", json!("3s"), None),
            ("/accounts/registration/enabled", json!(false), None),
            ("/opers", json!({ "alice": {} }), None),
            ("/limits/nicklen", json!(20), None),
            ("/api/bearer-tokens", json!(["b"]), None),
            ("/server/name", json!("b.example.org"), Some("/server/name")),
            ("/server/casemapping", json!("precis"), Some("/server/casemapping")),
            ("/server/enforce-utf8", json!(false), Some("/server/enforce-utf8")),
            ("/server/idle-timeouts/ping", json!("10s"), Some("/server/idle-timeouts")),
            ("/server/relaymsg/enabled", json!(true), Some("/server/relaymsg/enabled")),
            (
                "/server/ip-check-script/max-concurrency",
                json!(1),
                Some("/server/ip-check-script/max-concurrency"),
            ),
            ("/accounts/multiclient/always-on", json!("mandatory"), Some("/accounts/multiclient/always-on")),
            ("/datastore/sqlite/enabled", json!(true), Some("/datastore")),
            ("/datastore/path", json!("b.db"), Some("/datastore")),
        ];
        let before = config();
        for (path, value, restart) in table {
            let mut after = config();
            *after.pointer_mut(path).unwrap() = value;
            let expected = restart.map_or(Change::Rehash, |path| Change::Restart(vec![path]));
            assert_eq!(Change::between(&before, &after), expected, "{path}");
            let marked = restart_mark(&before) != restart_mark(&after);
            assert_eq!(marked, restart.is_some(), "{path}");
        }
        assert_eq!(Change::between(&before, &config()), Change::None);
    }
}
