//! The parts of pages that change by themselves. A page holds each as it was when it was asked for; the event stream
//! sends it again whenever it reads another way. One source for both.

use std::collections::{BTreeMap, HashMap};

use askama::Template;
use contracts::{
    Account, BouncerUsage, Call, CallResult, Credential, CredentialKind, DedicatedBouncer, Device,
    HostedNetwork, Mention, Network, Phase,
};
use entitlements::{Amount, Limit};
use service::view::{self, Moment, Sparkline};
use uuid::Uuid;

use crate::app::App;
use crate::dedicated_words::DedicatedRow;
use crate::hosted_words::HostedRow;
use crate::words::{self, Headline, State};

/// Everything the parts are made of, for one account at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub account: Account,
    pub networks: Vec<Network>,
    pub hosted: Vec<HostedNetwork>,
    pub dedicated: Option<DedicatedBouncer>,
    pub devices: Vec<Device>,
    pub credentials: Vec<Credential>,
    pub mentions: Vec<Mention>,
    pub usage: BouncerUsage,
    pub notice: Option<String>,
}

impl Snapshot {
    /// Asks gatekeeper, the bouncer and hosting.
    pub async fn load(app: &App, call: &Call, account: Account) -> CallResult<Self> {
        let (networks, devices, credentials, mentions, usage) = tokio::try_join!(
            app.bouncers.networks(call),
            app.bouncers.devices(call),
            app.accounts.credentials(call),
            app.bouncers.mentions(call, 8),
            app.bouncers.usage(call),
        )?;
        let hosted = match &app.hosting {
            // The overview stands without them; their own pages say what is wrong.
            Some(hosting) => hosting.networks(call).await.unwrap_or_default(),
            None => Vec::new(),
        };
        Ok(Self {
            account,
            networks,
            hosted,
            dedicated: app.dedicated_of(call).await,
            devices,
            credentials,
            mentions,
            usage,
            notice: app.notice(),
        })
    }

    /// Whether a network is, or was, connected: the first step of the first run.
    pub fn has_connected(&self) -> bool {
        self.networks.iter().any(|network| network.state.phase == Phase::Connected)
    }

    /// Whether there is an app password or a certificate: the second.
    pub fn has_credential(&self) -> bool {
        !self.credentials.is_empty()
    }

    /// Whether a device has logged in: the third.
    pub fn has_device(&self) -> bool {
        !self.devices.is_empty()
    }

    /// Whether nothing of the first run is left to do.
    pub fn is_set_up(&self) -> bool {
        !self.networks.is_empty() && self.has_credential() && self.has_device()
    }

    fn credential_name(&self, id: Uuid) -> Option<&str> {
        self.credentials.iter().find(|credential| credential.id == id).map(|c| c.name.as_str())
    }
}

/// The parts, rendered, by the name in `data-live`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts(BTreeMap<String, String>);

impl Parts {
    /// Renders all of them. `irc_port` is the port the third step waits for.
    pub fn render(snapshot: &Snapshot, now: i64, irc_port: u16) -> Result<Self, askama::Error> {
        let rows: Vec<NetRow> = snapshot.networks.iter().map(|network| NetRow::new(network, now)).collect();
        let devices: Vec<DeviceRow> =
            snapshot.devices.iter().map(|device| DeviceRow::new(snapshot, device, now)).collect();
        let mut parts = BTreeMap::new();
        for row in &rows {
            parts.insert(format!("network-{}", row.id), NetworkStatePart { row }.render()?);
        }
        parts.insert(
            "headline".into(),
            HeadlinePart { headline: words::headline(&snapshot.networks) }.render()?,
        );
        let hosted: Vec<HostedRow> =
            snapshot.hosted.iter().map(|network| HostedRow::new(network, now)).collect();
        for row in &hosted {
            parts.insert(format!("hosted-{}", row.id), Self::hosted_state(row)?);
            parts.insert(format!("hosted-connect-{}", row.id), Self::hosted_connect(row)?);
        }
        parts.insert("hosted".into(), HostedListPart { rows: &hosted }.render()?);
        let dedicated = snapshot.dedicated.as_ref().map(|own| DedicatedRow::new(own, now));
        parts.insert("dedicated".into(), Self::dedicated_state(dedicated.as_ref())?);
        parts.insert("dedicated-connect".into(), Self::dedicated_connect(dedicated.as_ref())?);
        parts.insert("notice".into(), NoticePart { notice: snapshot.notice.as_deref() }.render()?);
        parts.insert("networks".into(), NetworksPart { rows: &rows }.render()?);
        parts.insert("devices".into(), DevicesPart { devices: &devices }.render()?);
        parts.insert("usage".into(), UsagePart::new(snapshot).render()?);
        parts.insert("mentions".into(), MentionsPart::new(snapshot, now).render()?);
        parts.insert("step-1".into(), Step1 { rows: &rows, done: snapshot.has_connected() }.render()?);
        parts.insert("step-2".into(), Step2::new(snapshot).render()?);
        parts.insert(
            "step-3".into(),
            Step3 {
                device: devices.first(),
                port: irc_port,
                all_done: snapshot.is_set_up() && snapshot.has_connected(),
            }
            .render()?,
        );
        Ok(Self(parts))
    }

    /// How a dedicated bouncer is.
    pub fn dedicated_state(row: Option<&DedicatedRow>) -> Result<String, askama::Error> {
        DedicatedStatePart { row }.render()
    }

    /// How devices connect to a dedicated bouncer.
    pub fn dedicated_connect(row: Option<&DedicatedRow>) -> Result<String, askama::Error> {
        let there = row.filter(|row| row.moved);
        DedicatedConnectPart {
            command: there.and_then(|row| row.command.as_deref()),
            address: there.and_then(|row| row.address.as_deref()).unwrap_or_default(),
        }
        .render()
    }

    /// How a hosted network is.
    pub fn hosted_state(row: &HostedRow) -> Result<String, askama::Error> {
        HostedStatePart { row }.render()
    }

    /// How people connect to a hosted network.
    pub fn hosted_connect(row: &HostedRow) -> Result<String, askama::Error> {
        HostedConnectPart { row }.render()
    }

    /// One part's HTML; empty if there is none of that name.
    pub fn html(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// What reads another way than in `before`.
    pub fn changed_since<'a>(&'a self, before: &Self) -> HashMap<&'a str, &'a str> {
        self.0
            .iter()
            .filter(|(name, html)| before.0.get(*name) != Some(html))
            .map(|(name, html)| (name.as_str(), html.as_str()))
            .collect()
    }
}

/// A network as its row shows it.
pub(crate) struct NetRow {
    pub id: String,
    pub name: String,
    pub address: String,
    pub state: State,
    pub lag: Option<Lag>,
}

/// The lag of the last hour.
pub(crate) struct Lag {
    pub now_ms: u32,
    pub spark: Option<Sparkline>,
}

impl NetRow {
    pub fn new(network: &Network, now: i64) -> Self {
        let lag = &network.state.lag_ms;
        let values: Vec<u64> = lag.iter().map(|ms| u64::from(*ms)).collect();
        Self {
            id: network.id.to_string(),
            name: network.spec.name.clone(),
            address: address(&network.spec.host, network.spec.port),
            state: State::of(network, now),
            lag: lag
                .last()
                .filter(|_| network.state.phase == Phase::Connected)
                .map(|now_ms| Lag { now_ms: *now_ms, spark: Sparkline::new(&values, 96, 28) }),
        }
    }
}

/// Host and port as people write them.
pub(crate) fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A device as its row shows it.
pub(crate) struct DeviceRow {
    pub name: String,
    pub software: String,
    pub connected: bool,
    pub last_seen: Moment,
}

impl DeviceRow {
    fn new(snapshot: &Snapshot, device: &Device, now: i64) -> Self {
        let credential = snapshot.credential_name(device.credential).unwrap_or("a revoked password");
        let name = match &device.client {
            Some(client) => format!("{credential} @{client}"),
            None => credential.to_owned(),
        };
        Self {
            name,
            software: device.software.clone().unwrap_or_default(),
            connected: device.connections > 0,
            last_seen: Moment::new(device.last_seen, now),
        }
    }
}

/// A quota in words and as a bar.
pub(crate) struct Quota {
    pub name: &'static str,
    pub words: String,
    pub percent: u64,
    pub kind: &'static str,
    pub limited: bool,
}

impl Quota {
    fn new(name: &'static str, used: u64, allowed: Amount) -> Self {
        let (words, percent) = match allowed {
            Amount::Unlimited => (format!("{}, no limit", view::grouped(used)), 0),
            Amount::AtMost(most) => (
                format!("{} of {}", view::grouped(used), view::grouped(most)),
                (used * 100).checked_div(most).unwrap_or(100).min(100),
            ),
        };
        let kind = match percent {
            100.. => "full",
            80..100 => "near",
            _ => "",
        };
        Self { name, words, percent, kind, limited: allowed != Amount::Unlimited }
    }
}

pub(crate) struct MentionRow {
    at: Moment,
    nick: String,
    class: &'static str,
    said: Vec<(bool, String)>,
    place: String,
}

#[derive(Template)]
#[template(path = "parts/headline.html")]
struct HeadlinePart {
    headline: Headline,
}

#[derive(Template)]
#[template(path = "parts/notice.html")]
struct NoticePart<'a> {
    notice: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "parts/networks.html")]
struct NetworksPart<'a> {
    rows: &'a [NetRow],
}

#[derive(Template)]
#[template(path = "parts/network.html")]
struct NetworkStatePart<'a> {
    row: &'a NetRow,
}

#[derive(Template)]
#[template(path = "parts/hosted_list.html")]
struct HostedListPart<'a> {
    rows: &'a [HostedRow],
}

#[derive(Template)]
#[template(path = "parts/dedicated_state.html")]
struct DedicatedStatePart<'a> {
    row: Option<&'a DedicatedRow>,
}

#[derive(Template)]
#[template(path = "parts/dedicated_connect.html")]
struct DedicatedConnectPart<'a> {
    command: Option<&'a str>,
    address: &'a str,
}

#[derive(Template)]
#[template(path = "parts/hosted_state.html")]
struct HostedStatePart<'a> {
    row: &'a HostedRow,
}

#[derive(Template)]
#[template(path = "parts/hosted_connect.html")]
struct HostedConnectPart<'a> {
    row: &'a HostedRow,
}

#[derive(Template)]
#[template(path = "parts/devices.html")]
struct DevicesPart<'a> {
    devices: &'a [DeviceRow],
}

#[derive(Template)]
#[template(path = "parts/usage.html")]
struct UsagePart {
    quotas: [Quota; 2],
    messages: String,
    history: String,
    spark: Option<Sparkline>,
    per_day: Vec<u64>,
}

impl UsagePart {
    fn new(snapshot: &Snapshot) -> Self {
        let usage = &snapshot.usage;
        let limits = &snapshot.account.limits;
        Self {
            quotas: [
                Quota::new("Networks", u64::from(usage.networks), limits.get(Limit::Networks)),
                Quota::new("Devices", u64::from(usage.devices), limits.get(Limit::Devices)),
            ],
            messages: view::count(usage.messages, "message kept", "messages kept"),
            history: match limits.get(Limit::HistoryDays) {
                Amount::Unlimited => "History without end.".to_owned(),
                some => format!("{} are kept.", capital_words(&some.words(Limit::HistoryDays.unit()))),
            },
            spark: Sparkline::new(&usage.messages_per_day, 240, 40).filter(|spark| spark.most > 0),
            per_day: usage.messages_per_day.clone(),
        }
    }
}

fn capital_words(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[derive(Template)]
#[template(path = "parts/mentions.html")]
struct MentionsPart {
    rows: Vec<MentionRow>,
}

impl MentionsPart {
    fn new(snapshot: &Snapshot, now: i64) -> Self {
        let nick_on = |name: &str| {
            snapshot
                .networks
                .iter()
                .find(|network| network.spec.name == name)
                .map(|network| network.state.nick.as_deref().unwrap_or(&network.spec.nick))
                .unwrap_or(&snapshot.account.username)
        };
        let rows = snapshot.mentions.iter().rev().map(|mention| {
            let at = mention.at_ms / 1_000;
            let mut moment = Moment::clock(at);
            // Older than a day: the time of day alone would mislead.
            if now - at > 86_400 {
                moment.words = moment.iso.get(5..10).unwrap_or_default().to_owned();
            }
            MentionRow {
                at: moment,
                nick: mention.nick.clone(),
                class: view::nick_class(&mention.nick),
                said: words::marked(&mention.text, nick_on(&mention.network)),
                place: format!("{}, {}", mention.buffer, mention.network),
            }
        });
        Self { rows: rows.collect() }
    }
}

#[derive(Template)]
#[template(path = "parts/step1.html")]
struct Step1<'a> {
    rows: &'a [NetRow],
    done: bool,
}

#[derive(Template)]
#[template(path = "parts/step2.html")]
struct Step2<'a> {
    names: Vec<&'a str>,
}

impl<'a> Step2<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let passwords = |credential: &&Credential| credential.kind == CredentialKind::AppPassword;
        Self { names: snapshot.credentials.iter().filter(passwords).map(|c| c.name.as_str()).collect() }
    }
}

#[derive(Template)]
#[template(path = "parts/step3.html")]
struct Step3<'a> {
    device: Option<&'a DeviceRow>,
    port: u16,
    all_done: bool,
}
