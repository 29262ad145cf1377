//! The certificate of one machine: made once under a local authority, renewed under the same one while we run.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use service::shutdown::Shutdown;
use service::sites::Sites;
use service::tls::{LocalTls, local_certificate};

/// How often the certificate's age is looked at.
const LOOK: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes or opens the certificate for every name of the installation and keeps it fresh.
pub fn open(data: &Path, sites: &Sites, shutdown: &Shutdown) -> Result<LocalTls> {
    let folder = data.join("tls");
    let names = names(sites);
    let tls = local_certificate(&folder, &names)?;
    tls.certificate.watch(shutdown);
    shutdown.spawn_until("certificate renewal", async move {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Err(error) = local_certificate(&folder, &names) {
                tracing::warn!(%error, "the certificate is not renewed");
            }
        }
    });
    Ok(tls)
}

fn names(sites: &Sites) -> Vec<String> {
    let mut names: Vec<String> = sites.all().iter().map(|(_, site)| site.host().to_owned()).collect();
    names.push(sites.irc.host.clone());
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    names.sort();
    names.dedup();
    names
}
