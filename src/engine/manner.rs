//! In what manner an attempt is sent, where a simulation has a say in it.

use crate::dispatch::Upload;
use crate::engine::Emitted;
use crate::model::{EndpointId, ReadyWebhook};
use crate::provider::SigningKey;
use std::sync::Arc;

/// How one attempt goes out.
#[derive(Default)]
pub(crate) struct Manner {
    /// How its body is uploaded.
    pub upload: Upload,
    /// What signs it instead of the endpoint's live secrets.
    pub keys: Option<Vec<SigningKey>>,
}

/// Says how the next attempt of a webhook goes out; see `EngineBuilder::director`.
pub(crate) type Director = Arc<dyn Fn(&ReadyWebhook) -> Manner + Send + Sync>;

/// Deliveries that are kept back: committed, and not yet with the loop that sends.
pub(crate) struct KeptBack(pub Vec<(EndpointId, ReadyWebhook)>);

impl KeptBack {
    /// Whether every delivery of `emitted` is kept back, and none waits in an endpoint's queue.
    pub(crate) fn is_all_of(&self, emitted: &[Emitted]) -> bool {
        let delivered = emitted.iter().map(|emitted| emitted.reach.delivered as usize);
        self.0.len() == delivered.sum::<usize>()
    }
}
