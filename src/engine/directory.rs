//! Applications and endpoints in memory, ready to be served.

use crate::dispatch::recipient::Recipient;
use crate::error::{Error, Result};
use crate::model::{Application, ApplicationId, Endpoint, EndpointId, EndpointState};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What is known of all tenants. What it gives out is a snapshot: a change makes a new one.
#[derive(Default)]
pub(crate) struct Directory(RwLock<State>);

#[derive(Default)]
struct State {
    applications: BTreeMap<ApplicationId, Tenant>,
    uids: HashMap<String, ApplicationId>,
    endpoints: HashMap<EndpointId, Arc<Recipient>>,
    /// Deleted endpoints with history.
    deleted: HashMap<EndpointId, Arc<Endpoint>>,
}

struct Tenant {
    application: Arc<Application>,
    recipients: Arc<Vec<Arc<Recipient>>>,
}

impl Directory {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn applications(&self) -> Vec<Arc<Application>> {
        self.read().applications.values().map(|held| Arc::clone(&held.application)).collect()
    }

    pub fn application(&self, id: ApplicationId) -> Result<Arc<Application>> {
        let state = self.read();
        let held = state.applications.get(&id).map(|held| Arc::clone(&held.application));
        held.ok_or_else(|| Error::not_found(format!("application `{id}` does not exist")))
    }

    pub fn application_by_uid(&self, uid: &str) -> Option<Arc<Application>> {
        let id = self.read().uids.get(uid).copied()?;
        self.application(id).ok()
    }

    /// The application's endpoints that are not deleted, oldest first.
    pub fn recipients(&self, id: ApplicationId) -> Result<Arc<Vec<Arc<Recipient>>>> {
        let state = self.read();
        let held = state.applications.get(&id).map(|held| Arc::clone(&held.recipients));
        held.ok_or_else(|| Error::not_found(format!("application `{id}` does not exist")))
    }

    pub fn all_recipients(&self) -> Vec<Arc<Recipient>> {
        self.read().endpoints.values().cloned().collect()
    }

    pub fn recipient(&self, id: EndpointId) -> Result<Arc<Recipient>> {
        let state = self.read();
        state.endpoints.get(&id).cloned().ok_or_else(|| match state.deleted.contains_key(&id) {
            true => Error::not_found(format!("endpoint `{id}` was deleted")),
            false => Error::not_found(format!("endpoint `{id}` does not exist")),
        })
    }

    /// An endpoint, deleted or not.
    pub fn endpoint(&self, id: EndpointId) -> Result<Arc<Endpoint>> {
        if let Some(deleted) = self.read().deleted.get(&id) {
            return Ok(Arc::clone(deleted));
        }
        self.recipient(id).map(|held| Arc::clone(&held.endpoint))
    }

    /// Puts an application in, new or changed.
    pub fn put_application(&self, application: Application) {
        let mut state = self.write();
        let id = application.id;
        state.uids.retain(|_, held| *held != id);
        if let Some(uid) = &application.uid {
            state.uids.insert(uid.clone(), id);
        }
        let application = Arc::new(application);
        match state.applications.get_mut(&id) {
            Some(held) => held.application = application,
            None => {
                let tenant = Tenant { application, recipients: Arc::default() };
                state.applications.insert(id, tenant);
            }
        }
    }

    /// Forgets an application that was deleted.
    pub fn remove_application(&self, id: ApplicationId) {
        let mut state = self.write();
        state.applications.remove(&id);
        state.uids.retain(|_, held| *held != id);
    }

    /// Puts an endpoint in, new or changed.
    pub fn put_recipient(&self, recipient: &Arc<Recipient>) {
        let mut state = self.write();
        let endpoint = &recipient.endpoint;
        state.endpoints.insert(endpoint.id, Arc::clone(recipient));
        let Some(tenant) = state.applications.get_mut(&endpoint.application) else { return };
        let recipients = Arc::make_mut(&mut tenant.recipients);
        match recipients.iter_mut().find(|held| held.endpoint.id == endpoint.id) {
            Some(held) => *held = Arc::clone(recipient),
            None => {
                recipients.push(Arc::clone(recipient));
                recipients.sort_by_key(|held| held.endpoint.id);
            }
        }
    }

    /// The deleted endpoints.
    pub fn deleted(&self) -> Vec<EndpointId> {
        self.read().deleted.keys().copied().collect()
    }

    /// Forgets deleted endpoints of which no history is left.
    pub fn forget_deleted(&self, gone: &[EndpointId]) {
        let mut state = self.write();
        gone.iter().for_each(|id| drop(state.deleted.remove(id)));
    }

    /// Moves an endpoint to the deleted ones.
    pub fn put_deleted(&self, endpoint: Endpoint) {
        debug_assert!(matches!(endpoint.state, EndpointState::Deleted { .. }));
        let mut state = self.write();
        state.endpoints.remove(&endpoint.id);
        if let Some(tenant) = state.applications.get_mut(&endpoint.application) {
            Arc::make_mut(&mut tenant.recipients).retain(|held| held.endpoint.id != endpoint.id);
        }
        state.deleted.insert(endpoint.id, Arc::new(endpoint));
    }
}
