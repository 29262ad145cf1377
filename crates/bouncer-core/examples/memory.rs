//! How much memory one user takes: 20 channels of 50 members each, all different people, with masks and accounts.
//! Run with `cargo run --release -p bouncer-core --example memory`.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use bouncer_core::{Commit, Effect, Input, NetworkId, NetworkSetup, Position, Profile, User};
use uuid::Uuid;

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}

fn user(index: u128) -> User {
    let id = NetworkId(Uuid::from_u128(index));
    let setup = NetworkSetup {
        id,
        name: "net".into(),
        host: "irc.net.test".into(),
        port: 6697,
        tls: true,
        nick: "alice".into(),
        realname: String::new(),
        sasl_account: None,
        enabled: true,
        channels: Vec::new(),
        on_connect: Vec::new(),
        markers: Vec::new(),
        newest: None,
        queries: Vec::new(),
        missing_since_ms: None,
    };
    let profile = Profile { username: "al".into(), server: "irc.now".into(), seed: index, page_limit: 1000 };
    let mut user = User::new(profile, vec![setup], 0);
    let mut effects = Vec::new();
    let mut line = |text: &str| {
        user.handle(1, Input::UpstreamLine { network: id, line: text.as_bytes() }, &mut effects);
        for effect in std::mem::take(&mut effects) {
            if let Effect::Append { ticket, entry, .. } = effect {
                let position = Position { epoch: 1, offset: ticket.0 };
                let stored = Commit::Stored { position, ts_ms: entry.ts_ms, msgid: None };
                user.handle(1, Input::Committed { network: id, results: &[(ticket, stored)] }, &mut effects);
            }
        }
        effects.clear();
    };
    line(":srv 001 alice :Welcome");
    for channel in 0..20 {
        line(&format!(":alice!al@some.host.example JOIN #channel{channel}"));
        line(&format!(
            ":srv 332 alice #channel{channel} :A topic of some length, as channels have it, with a link"
        ));
        for group in 0..10 {
            let names: Vec<_> = (0..5)
                .map(|n| {
                    let nick = (channel * 50 + group * 5 + n) as u128 + index % 7;
                    format!("member{nick}!~user{nick}@host-{nick}.provider.example")
                })
                .collect();
            line(&format!(":srv 353 alice = #channel{channel} :{}", names.join(" ")));
        }
        line(&format!(":srv 366 alice #channel{channel} :End"));
    }
    user
}

fn main() {
    let count = 500;
    let before = resident();
    let users: Vec<User> = (0..count).map(user).collect();
    let used = resident().saturating_sub(before);
    println!("{} users: {} KiB each", users.len(), used / users.len().max(1));
}
