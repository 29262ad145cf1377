//! A resource as it lies in memory. One in thousands is looked at at a time, so each is packed until it is its turn: its
//! status names every child once more and is most of it.

use std::io::{Read as _, Write as _};
use std::marker::PhantomData;

use crds::Server;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use jiff::Timestamp;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::child;
use crate::error::Error;

/// A packed resource, with what is asked of all of them at once.
#[derive(Debug)]
pub(super) struct Packed<K> {
    pub uid: Option<Box<str>>,
    pub version: u64,
    created: Option<Timestamp>,
    deleting: bool,
    hostnames: Box<[Box<str>]>,
    json: Box<[u8]>,
    of: PhantomData<fn() -> K>,
}

impl<K: Resource + Server + Serialize + DeserializeOwned> Packed<K> {
    /// Packs a resource.
    pub fn new(root: &K) -> Result<Self, Error> {
        let meta = root.meta();
        Ok(Self {
            uid: meta.uid.as_deref().map(Box::from),
            version: child::version(meta),
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
            deleting: meta.deletion_timestamp.is_some(),
            hostnames: root.hostnames().into_iter().map(Box::from).collect(),
            json: deflated(root)
                .map_err(|error| Error::Internal(format!("a resource is not packed: {error}")))?,
            of: PhantomData,
        })
    }

    /// The resource.
    pub fn unpack(&self) -> Result<K, Error> {
        let mut json = Vec::new();
        let read = DeflateDecoder::new(&*self.json).read_to_end(&mut json);
        read.map_err(serde_json::Error::io)
            .and_then(|_| serde_json::from_slice(&json))
            .map_err(|error| Error::Internal(format!("a resource is not unpacked: {error}")))
    }

    /// Whether it asks for a host name and is older than another resource.
    pub fn claims_before(&self, other: &K, hostname: &str) -> bool {
        let meta = other.meta();
        let age = (meta.creation_timestamp.as_ref().map(|time| time.0), meta.uid.as_deref());
        !self.deleting
            && (self.created, self.uid.as_deref()) < age
            && self.hostnames.iter().any(|claimed| **claimed == *hostname)
    }
}

fn deflated(root: &impl Serialize) -> serde_json::Result<Box<[u8]>> {
    let json = serde_json::to_vec(root)?;
    let mut into = DeflateEncoder::new(Vec::new(), Compression::fast());
    into.write_all(&json).map_err(serde_json::Error::io)?;
    Ok(into.finish().map_err(serde_json::Error::io)?.into_boxed_slice())
}
