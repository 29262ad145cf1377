//! An address for each PostgreSQL, so that every one of them can listen on 5432.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use anyhow::{Result, bail};
use rand::Rng as _;

use crate::watch;

/// The port of every PostgreSQL.
pub const PORT: u16 = 5432;

/// An address of this machine that nobody else listens on, given back when it is dropped.
pub struct Address {
    address: Ipv4Addr,
    added: bool,
}

impl Address {
    /// An address that Pods reach through their route to the host (`10.232.0.0/16`, added to the loopback device); for
    /// a user who may not add one, a loopback address that only this machine reaches.
    pub fn take() -> Result<Self> {
        for _ in 0..20 {
            let [a, b, c]: [u8; 3] = rand::rng().random();
            let wide = Ipv4Addr::new(10, 232, b, c.clamp(1, 254));
            let address = if add(wide) {
                Self { address: wide, added: true }
            } else {
                Self { address: Ipv4Addr::new(127, a.clamp(1, 254), b, c.clamp(1, 254)), added: false }
            };
            if TcpListener::bind((address.address, PORT)).is_ok() {
                return Ok(address);
            }
        }
        bail!("no address was free for PostgreSQL on port {PORT}")
    }

    /// The address itself.
    pub fn ip(&self) -> Ipv4Addr {
        self.address
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        if self.added {
            ip("delete", self.address);
        }
    }
}

fn add(address: Ipv4Addr) -> bool {
    let added = ip("add", address);
    if added {
        watch::command(&format!("ip address delete {address}/32 dev lo"));
    }
    added
}

fn ip(what: &str, address: Ipv4Addr) -> bool {
    let mut command = Command::new("ip");
    command.args(["address", what, &format!("{address}/32"), "dev", "lo"]);
    command.output().is_ok_and(|output| output.status.success())
}
