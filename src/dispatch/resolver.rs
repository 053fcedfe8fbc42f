//! Looking up the addresses of a host name.

use async_trait::async_trait;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Names that are looked up at the same time at most. The system's resolver blocks a thread for
/// each, and a name whose servers do not answer blocks it for half a minute.
const LOOKUPS_MAX: usize = 128;

/// Finds the addresses of host names. Whatever it answers is checked before it is connected to.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// The addresses of `host`, the preferred first.
    ///
    /// # Errors
    /// Says why there are none.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system, with its files and settings.
pub struct SystemResolver {
    slots: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(io::Error::other)?;
        let host = host.to_owned();
        // In a task of its own, since giving up on a lookup does not free its thread: the slot must
        // stay taken until it has ended.
        tokio::spawn(async move {
            let _slot = slot;
            let addresses = tokio::net::lookup_host((host, 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
        .await
        .map_err(io::Error::other)?
    }
}
