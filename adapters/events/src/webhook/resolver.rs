//! To which addresses a name leads, without those to which nobody may be made to connect.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reprieve_outbound::AllowedHosts;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Looks up names.
#[async_trait]
pub(super) trait Names: Send + Sync {
    /// The addresses to which a name leads.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// As the operating system does.
pub(super) struct SystemNames;

#[async_trait]
impl Names for SystemNames {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let addresses = tokio::net::lookup_host((name, 0)).await?;
        Ok(addresses.map(|address| address.ip()).collect())
    }
}

/// The name leads nowhere but into a private network.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to this machine or into a private network, which is not among the allowed hosts")]
pub(super) struct PrivateTarget;

/// Is asked for each connection, so that there is nothing between what is checked and what is used.
pub(super) struct GuardedResolver {
    names: Arc<dyn Names>,
    hosts: Arc<AllowedHosts>,
}

impl GuardedResolver {
    pub(super) fn new(names: Arc<dyn Names>, hosts: AllowedHosts) -> Self {
        Self { names, hosts: Arc::new(hosts) }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, hosts) = (Arc::clone(&self.names), Arc::clone(&self.hosts));
        Box::pin(async move {
            let mut addresses = names.addresses(name.as_str()).await?;
            let leads_somewhere = !addresses.is_empty();
            addresses.retain(|address| hosts.may_connect(name.as_str(), *address));
            if addresses.is_empty() && leads_somewhere {
                return Err(PrivateTarget.into());
            }
            // The port is that of the URL.
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Fixed(Vec<IpAddr>);

    #[async_trait]
    impl Names for Fixed {
        async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.clone())
        }
    }

    /// What is left of these addresses.
    fn resolve(name: &str, allowed: &str, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, String> {
        let hosts = [allowed.parse().unwrap()].into_iter().collect();
        let resolving =
            GuardedResolver::new(Arc::new(Fixed(addresses)), hosts).resolve(name.parse().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let left = runtime.block_on(resolving).map_err(|error| error.to_string())?;
        Ok(left.map(|address| address.ip()).collect())
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn private_addresses_among_public_ones_are_left_out() {
        let mixed =
            addresses(&["10.0.0.1", "9.9.9.9", "::1", "2606:4700::1111", "169.254.169.254", "10.0.0.2"]);
        let left = resolve("a.example", "10.0.0.2", mixed.clone()).unwrap();
        assert_eq!(left, addresses(&["9.9.9.9", "2606:4700::1111", "10.0.0.2"]));
        assert_eq!(resolve("A.example", "a.example", mixed.clone()).unwrap(), mixed);
    }

    #[test]
    fn a_name_that_leads_nowhere_else_is_refused() {
        let error = resolve("a.example", "b.example", addresses(&["10.0.0.1", "::1"])).unwrap_err();
        assert_eq!(error, PrivateTarget.to_string());
        assert_eq!(resolve("a.example", "b.example", Vec::new()), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn whatever_is_left_may_be_connected_to(addresses: Vec<IpAddr>) {
            for address in resolve("a.example", "b.example", addresses).unwrap_or_default() {
                prop_assert!(reprieve_outbound::is_public(address));
            }
        }
    }
}
