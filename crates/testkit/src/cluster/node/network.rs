//! The Pods' network: a bridge of the node's own, and for each Pod a namespace with a cable to it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

use super::slot::{Slot, ip};

/// The bridge, and who is on it.
#[derive(Clone, Debug)]
pub struct Network {
    slot: Arc<Slot>,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    indices: BTreeSet<u8>,
    next: u8,
}

/// A Pod's namespace; it goes with its handle.
#[derive(Debug)]
pub struct PodNetwork {
    network: Network,
    index: u8,
}

/// How many Pods one node has addresses for.
const PODS: u8 = 250;

impl Network {
    /// Makes the bridge.
    pub fn new(slot: Arc<Slot>) -> Result<Self> {
        let bridge = slot.bridge();
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        ip(&["address", "add", &format!("{}/24", slot.host()), "dev", &bridge])?;
        ip(&["link", "set", &bridge, "up"])?;
        Ok(Self { slot, taken: Arc::default() })
    }

    /// The host's address on it.
    pub fn host(&self) -> Ipv4Addr {
        self.slot.host()
    }

    /// Makes a namespace with an address. An address is not given again before the others were, so that who still knows
    /// an old Pod's does not reach a new one.
    pub fn join(&self) -> Result<PodNetwork> {
        let index = {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let from = taken.next;
            let mut candidates = (from..PODS).chain(0..from);
            let index = candidates.find(|index| !taken.indices.contains(index));
            let index = index.context("no address is left: this node has room for 250 Pods")?;
            taken.indices.insert(index);
            taken.next = (index + 1) % PODS;
            index
        };
        let pod = PodNetwork { network: self.clone(), index };
        pod.build()?;
        Ok(pod)
    }
}

impl PodNetwork {
    fn build(&self) -> Result<()> {
        let slot = &self.network.slot;
        let (name, cable) = (slot.namespace(self.index), slot.cable(self.index));
        ip(&["netns", "add", &name])?;
        ip(&["link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &name])?;
        ip(&["link", "set", &cable, "master", &slot.bridge(), "up"])?;
        ip(&["-netns", &name, "address", "add", &format!("{}/24", self.address()), "dev", "eth0"])?;
        ip(&["-netns", &name, "link", "set", "lo", "up"])?;
        ip(&["-netns", &name, "link", "set", "eth0", "up"])?;
        ip(&["-netns", &name, "route", "add", "default", "via", &slot.host().to_string()])
    }

    /// The Pod's address.
    pub fn address(&self) -> Ipv4Addr {
        self.network.slot.address(self.index)
    }

    /// The namespace's file.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(self.network.slot.namespace(self.index))
    }
}

impl Drop for PodNetwork {
    fn drop(&mut self) {
        // The cable goes with the namespace. What fails here is removed with the slot.
        let _ = ip(&["netns", "delete", &self.network.slot.namespace(self.index)]);
        let mut taken = self.network.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.indices.remove(&self.index);
    }
}
