//! Seeing what soju holds: through the admin socket, and through the database where it can be read.

use std::collections::BTreeMap;

use crds::sidecar::SidecarUser;

use super::UNFINISHED;
use super::model::{Seen, SeenNetwork, SeenUser};
use crate::admin::{Admin, AdminError, Command, status};
use crate::rows::UserRows;

/// Looks at the users that are wanted. `rows` is what the database says of them, where it can be read.
pub async fn look(
    admin: &mut Admin,
    wanted: &[SidecarUser],
    rows: Option<&BTreeMap<String, UserRows>>,
) -> Result<Seen, AdminError> {
    let mut seen = Seen::default();
    for user in wanted {
        // A name that no command can carry cannot be there either; the plan says so.
        let Ok(command) = Command::new("user status").word(&user.username) else { continue };
        let line = match admin.run(&command).await {
            Ok(lines) => lines.iter().find_map(|line| status::user(line)),
            Err(AdminError::Refused(why)) if why.contains("unknown username") => continue,
            Err(error) => return Err(error),
        };
        let Some(line) = line else {
            return Err(AdminError::Strange(format!(
                "the status of user {} has another form",
                user.username
            )));
        };
        let rows = rows.and_then(|rows| rows.get(&user.username));
        let networks = look_at_networks(admin, user, rows).await?;
        seen.users.insert(
            user.username.clone(),
            SeenUser {
                admin: line.admin,
                enabled: line.enabled,
                max_networks: line.max_networks,
                row: rows.map(|rows| rows.user.clone()),
                networks,
            },
        );
    }
    Ok(seen)
}

async fn look_at_networks(
    admin: &mut Admin,
    user: &SidecarUser,
    rows: Option<&UserRows>,
) -> Result<BTreeMap<String, SeenNetwork>, AdminError> {
    let mut seen = BTreeMap::new();
    let lines = admin.run(&Command::run_as(&user.username, "network status")?).await?;
    for there in lines.iter().filter_map(|line| status::network(line)) {
        let wanted = user.networks.iter().any(|network| network.name == there.name);
        if !wanted && !there.name.starts_with(UNFINISHED) {
            continue;
        }
        let of = |words| Command::run_as(&user.username, words)?.flag("network", &there.name);
        let channels = admin.run(&of("channel status")?).await?;
        let sasl = admin.run(&of("sasl status")?).await?;
        let network = SeenNetwork {
            address: there.address,
            enabled: there.state != status::NetworkState::Disabled,
            sasl_account: status::sasl_account(&sasl),
            channels: channels
                .iter()
                .filter_map(|line| status::channel(line))
                .map(|channel| (channel.name, channel.detached))
                .collect(),
            row: rows.and_then(|rows| rows.networks.get(&there.name).cloned()),
        };
        seen.insert(there.name, network);
    }
    Ok(seen)
}
