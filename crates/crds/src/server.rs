//! What both kinds are: a server under a host name, with data that may outlive it.

use crate::common::{DeletionPolicy, Egress};
use crate::database::ClusterRef;
use crate::expose::{Expose, Tls};
use crate::text::HostName;

/// The fields both kinds have, so that what is done with them is written once.
pub trait Server {
    /// The host name clients connect to.
    fn hostname(&self) -> &HostName;
    /// How clients reach it.
    fn expose(&self) -> &Expose;
    /// The certificate.
    fn tls(&self) -> &Tls;
    /// What the server may connect to.
    fn egress(&self) -> &Egress;
    /// Whether it has a database of its own in a PostgreSQL cluster.
    fn uses_postgres(&self) -> bool;
    /// The PostgreSQL cluster, where one is named.
    fn cluster(&self) -> Option<&ClusterRef>;
    /// What happens to the data when the resource is deleted.
    fn deletion_policy(&self) -> DeletionPolicy;

    /// Every host name: the server's, and the WebSocket's where that is another.
    fn hostnames(&self) -> Vec<&str> {
        let own = self.hostname().as_str();
        let web = self.expose().web_hostname.as_ref().map(HostName::as_str).filter(|web| *web != own);
        std::iter::once(own).chain(web).collect()
    }
}
