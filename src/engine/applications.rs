//! Applications: made, changed, deleted.

use crate::dispatch::run::Command;
use crate::engine::checks::{about, checked_application_name, checked_rate};
use crate::engine::{ApplicationChange, Engine, NewApplication, whole};
use crate::error::{Error, Result};
use crate::model::{Application, ApplicationId, check};
use crate::store::Change;
use std::sync::Arc;

impl Engine {
    /// Makes an application.
    ///
    /// # Errors
    /// Refuses a name that is empty or too long, a uid that is none or that another application
    /// has, and a rate limit of 0.
    pub async fn create_application(&self, new: NewApplication) -> Result<Arc<Application>> {
        let engine = self.clone();
        whole(async move { engine.make_application(new).await }).await
    }

    async fn make_application(&self, new: NewApplication) -> Result<Arc<Application>> {
        let inner = &self.inner;
        inner.check_open()?;
        let _edit = inner.edits.lock().await;
        let new = new.checked()?;
        self.check_free_uid(new.uid.as_deref())?;
        let now = inner.clock.wall();
        let application = Application {
            id: ApplicationId::from_uuid(inner.ids.next()?),
            name: new.name,
            uid: new.uid,
            metadata: new.metadata,
            rate_limit_per_second: new.rate_limit_per_second,
            retention: new.retention,
            secrets: Default::default(),
            deleted_at: None,
            created_at: now,
            updated_at: now,
        };
        self.commit_application(application).await
    }

    /// An application.
    ///
    /// # Errors
    /// Refuses an unknown id.
    pub fn application(&self, id: ApplicationId) -> Result<Arc<Application>> {
        self.inner.directory.application(id)
    }

    /// The application that the platform calls `uid`.
    pub fn application_by_uid(&self, uid: &str) -> Option<Arc<Application>> {
        self.inner.directory.application_by_uid(uid)
    }

    /// All applications, oldest first.
    pub fn applications(&self) -> Vec<Arc<Application>> {
        self.inner.directory.applications()
    }

    /// Changes an application.
    ///
    /// # Errors
    /// Refuses an unknown id, and what [`Engine::create_application`] refuses.
    pub async fn update_application(
        &self,
        id: ApplicationId,
        change: ApplicationChange,
    ) -> Result<Arc<Application>> {
        let engine = self.clone();
        whole(async move { engine.change_application(id, change).await }).await
    }

    async fn change_application(
        &self,
        id: ApplicationId,
        change: ApplicationChange,
    ) -> Result<Arc<Application>> {
        let inner = &self.inner;
        inner.check_open()?;
        let _edit = inner.edits.lock().await;
        let mut application = Application::clone(&*inner.directory.application(id)?);
        if let Some(uid) = change.uid
            && uid != application.uid
        {
            about("uid", self.check_free_uid(uid.as_deref()))?;
            application.uid = uid;
        }
        if let Some(metadata) = change.metadata {
            application.metadata = about("metadata", check::checked_metadata(metadata))?;
        }
        if let Some(name) = change.name {
            application.name = about("name", checked_application_name(name))?;
        }
        if let Some(rate) = change.rate_limit_per_second {
            let rate = about("rate_limit_per_second", checked_rate(rate))?;
            application.rate_limit_per_second = rate;
        }
        application.retention = change.retention.unwrap_or(application.retention);
        application.updated_at = inner.clock.wall();
        self.commit_application(application).await
    }

    /// Deletes an application with its endpoints and access tokens; what waits is cancelled, and history stays until
    /// it expires.
    ///
    /// # Errors
    /// Refuses an unknown id.
    pub async fn delete_application(&self, id: ApplicationId) -> Result<()> {
        let engine = self.clone();
        whole(async move { engine.remove_application(id).await }).await
    }

    async fn remove_application(&self, id: ApplicationId) -> Result<()> {
        let inner = &self.inner;
        inner.check_open()?;
        let _edit = inner.edits.lock().await;
        let mut application = Application::clone(&*inner.directory.application(id)?);
        for recipient in inner.directory.recipients(id)?.iter() {
            inner.delete_endpoint(recipient.endpoint.id).await?;
        }
        application.deleted_at = Some(inner.clock.wall());
        application.secrets.clear();
        let (tokens, mut changes) = inner.revocations(id);
        changes.push(Change::Application(application));
        inner.committer.change(changes).await?;
        inner.directory.remove_application(id);
        inner.dispatcher.tell(Command::Limit(id, None));
        inner.access_tokens.remove(&tokens);
        Ok(())
    }

    async fn commit_application(&self, application: Application) -> Result<Arc<Application>> {
        let inner = &self.inner;
        inner.committer.change(vec![Change::Application(application.clone())]).await?;
        let id = application.id;
        inner.dispatcher.tell(Command::Limit(id, application.rate_limit_per_second));
        inner.directory.put_application(application);
        inner.directory.application(id)
    }

    fn check_free_uid(&self, uid: Option<&str>) -> Result<()> {
        let Some(uid) = uid else { return Ok(()) };
        check::check_uid(uid)?;
        match self.application_by_uid(uid) {
            Some(held) => Err(Error::conflict(format!(
                "application uid `{uid}` is taken by application `{}`",
                held.id
            ))),
            None => Ok(()),
        }
    }
}
