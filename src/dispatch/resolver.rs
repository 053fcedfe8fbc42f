//! Looking up the addresses of a host name.

use async_trait::async_trait;
use std::io;
use std::net::IpAddr;

/// Finds the addresses of host names. Whatever it answers is checked before it is connected to.
///
/// 128 names are looked up at the same time at most, a name for one application once at a time.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// The addresses of `host`, the preferred first.
    ///
    /// # Errors
    /// Says why there are none.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system, with its files and settings.
#[derive(Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let addresses = tokio::net::lookup_host((host, 0)).await?;
        Ok(addresses.map(|address| address.ip()).collect())
    }
}
