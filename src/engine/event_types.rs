//! Event types: what the platform says of the events that it emits.

use crate::engine::checks::{checked_names, checked_schemas, checked_text};
use crate::engine::{Engine, Inner, whole};
use crate::error::{Error, Result};
use crate::model::{EventType, EventTypeDefinition, Timestamp, check};
use crate::store::{Change, DocumentKind, Store, codec};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Event types at most.
const EVENT_TYPES_MAX: usize = 10_000;
/// Bytes of all their schemas together at most: they are kept in memory.
const ALL_SCHEMAS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of a description at most.
const DESCRIPTION_BYTES_MAX: usize = 4096;

/// An event type to be described.
#[derive(Clone, Debug, Default)]
pub struct NewEventType {
    /// The type: 1 to 256 letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What such an event means, in at most 4,096 bytes.
    pub description: String,
    /// Whether it is out of use.
    pub archived: bool,
    /// Whether it is about to be.
    pub deprecated: bool,
    /// Whom it is offered to; none means everybody. Up to 64, each like the name of a type.
    pub feature_flags: Vec<String>,
    /// The group that it is listed under; like the name of a type.
    pub group_name: Option<String>,
    /// JSON schemas by version: an object of objects, as text of at most 256 KiB.
    pub schemas: Option<String>,
}

impl NewEventType {
    /// An event type in use.
    pub fn new(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self { name: name.into(), description: description.into(), ..Self::default() }
    }
}

/// What to change of an event type; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct EventTypeChange {
    /// What such an event means.
    pub description: Option<String>,
    /// Whether it is out of use.
    pub archived: Option<bool>,
    /// Whether it is about to be.
    pub deprecated: Option<bool>,
    /// Whom it is offered to.
    pub feature_flags: Option<Vec<String>>,
    /// The group that it is listed under.
    pub group_name: Option<Option<String>>,
    /// JSON schemas by version.
    pub schemas: Option<Option<String>>,
}

/// What [`Engine::put_event_type`] did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PutEventType {
    /// There was none of that name.
    Created(Arc<EventTypeDefinition>),
    /// There was one, and this is in its place.
    Replaced(Arc<EventTypeDefinition>),
}

impl Engine {
    /// Describes an event type. One that is archived is brought back with the new contents.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when it exists and is not archived;
    /// refuses what passes the bounds of [`NewEventType`], and one more than 10,000.
    pub async fn create_event_type(&self, new: NewEventType) -> Result<Arc<EventTypeDefinition>> {
        let inner = Arc::clone(&self.inner);
        whole(async move {
            inner.check_open()?;
            let _edit = inner.edits.lock().await;
            let held = inner.event_types.get(&new.name);
            if held.as_ref().is_some_and(|held| !held.archived) {
                let name = new.name;
                return Err(Error::conflict(format!("event type `{name}` exists already")));
            }
            let definition = inner.described(new, held.as_deref())?;
            inner.commit_event_type(definition).await
        })
        .await
    }

    /// Describes an event type, or replaces what is said of it.
    ///
    /// # Errors
    /// Refuses what passes the bounds, as [`Engine::create_event_type`] does.
    pub async fn put_event_type(&self, new: NewEventType) -> Result<PutEventType> {
        let inner = Arc::clone(&self.inner);
        whole(async move {
            inner.check_open()?;
            let _edit = inner.edits.lock().await;
            let held = inner.event_types.get(&new.name);
            let definition = inner.described(new, held.as_deref())?;
            let definition = inner.commit_event_type(definition).await?;
            Ok(match held {
                Some(_) => PutEventType::Replaced(definition),
                None => PutEventType::Created(definition),
            })
        })
        .await
    }

    /// An event type, also when it is archived.
    ///
    /// # Errors
    /// Refuses a name that nobody described.
    pub fn event_type(&self, name: &str) -> Result<Arc<EventTypeDefinition>> {
        self.inner.event_types.find(name)
    }

    /// All event types by name, those that are archived too.
    pub fn event_types(&self) -> Vec<Arc<EventTypeDefinition>> {
        self.inner.event_types.read().by_name.values().cloned().collect()
    }

    /// Changes what is said of an event type.
    ///
    /// # Errors
    /// Refuses a name that nobody described, and what passes the bounds of [`NewEventType`].
    pub async fn update_event_type(
        &self,
        name: &str,
        change: EventTypeChange,
    ) -> Result<Arc<EventTypeDefinition>> {
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        whole(async move {
            inner.check_open()?;
            let _edit = inner.edits.lock().await;
            let held = EventTypeDefinition::clone(&*inner.event_types.find(&name)?);
            let definition = changed(held, change, inner.clock.wall())?;
            inner.commit_event_type(definition).await
        })
        .await
    }

    /// Archives an event type, or removes what is said of it for good (`expunge`). Events of that
    /// type are not touched.
    ///
    /// # Errors
    /// Refuses a name that nobody described.
    pub async fn delete_event_type(&self, name: &str, expunge: bool) -> Result<()> {
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        whole(async move {
            inner.check_open()?;
            let _edit = inner.edits.lock().await;
            let mut definition = EventTypeDefinition::clone(&*inner.event_types.find(&name)?);
            if expunge {
                let change = document(&name, None);
                inner.committer.change(vec![change]).await?;
                inner.event_types.remove(&name);
                return Ok(());
            }
            definition.archived = true;
            definition.updated_at = inner.clock.wall();
            inner.commit_event_type(definition).await.map(drop)
        })
        .await
    }
}

impl Inner {
    /// A definition of what is given; what was first described earlier keeps that time.
    fn described(
        &self,
        new: NewEventType,
        held: Option<&EventTypeDefinition>,
    ) -> Result<EventTypeDefinition> {
        let now = self.clock.wall();
        Ok(EventTypeDefinition {
            name: EventType::new(new.name)?,
            description: checked_description(new.description)?,
            archived: new.archived,
            deprecated: new.deprecated,
            feature_flags: checked_names("feature flag", new.feature_flags)?,
            group_name: checked_group(new.group_name)?,
            schemas: new.schemas.map(checked_schemas).transpose()?,
            created_at: held.map_or(now, |held| held.created_at),
            updated_at: now,
        })
    }

    async fn commit_event_type(
        &self,
        definition: EventTypeDefinition,
    ) -> Result<Arc<EventTypeDefinition>> {
        self.event_types.check_room(&definition)?;
        let change = document(definition.name.as_str(), Some(codec::encode(&definition)?));
        self.committer.change(vec![change]).await?;
        Ok(self.event_types.put(definition))
    }
}

fn changed(
    mut held: EventTypeDefinition,
    change: EventTypeChange,
    now: Timestamp,
) -> Result<EventTypeDefinition> {
    if let Some(description) = change.description {
        held.description = checked_description(description)?;
    }
    if let Some(flags) = change.feature_flags {
        held.feature_flags = checked_names("feature flag", flags)?;
    }
    if let Some(group) = change.group_name {
        held.group_name = checked_group(group)?;
    }
    if let Some(schemas) = change.schemas {
        held.schemas = schemas.map(checked_schemas).transpose()?;
    }
    held.archived = change.archived.unwrap_or(held.archived);
    held.deprecated = change.deprecated.unwrap_or(held.deprecated);
    held.updated_at = now;
    Ok(held)
}

fn checked_description(description: String) -> Result<String> {
    checked_text("description", description, DESCRIPTION_BYTES_MAX)
}

fn checked_group(group: Option<String>) -> Result<Option<String>> {
    group.iter().try_for_each(|group| check::check_name("group name", group))?;
    Ok(group)
}

fn document(name: &str, value: Option<Vec<u8>>) -> Change {
    Change::Document { kind: DocumentKind::EventType, key: name.to_owned(), value }
}

/// The event types in memory. What it gives out is a snapshot.
#[derive(Default)]
pub(crate) struct EventTypes(RwLock<State>);

#[derive(Default)]
struct State {
    by_name: BTreeMap<String, Arc<EventTypeDefinition>>,
    /// Of all of them together.
    schemas_bytes: usize,
}

impl EventTypes {
    /// Those that a store holds.
    pub fn load(store: &dyn Store) -> Result<Self> {
        let event_types = Self::default();
        for (_, value) in store.documents(DocumentKind::EventType)? {
            event_types.put(codec::decode("an event type", &value)?);
        }
        Ok(event_types)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, name: &str) -> Option<Arc<EventTypeDefinition>> {
        self.read().by_name.get(name).cloned()
    }

    fn find(&self, name: &str) -> Result<Arc<EventTypeDefinition>> {
        self.get(name).ok_or_else(|| {
            let name = name.chars().take(64).collect::<String>();
            Error::not_found(format!("event type `{}` does not exist", name.escape_debug()))
        })
    }

    /// Refuses what would be too much in memory.
    fn check_room(&self, new: &EventTypeDefinition) -> Result<()> {
        let state = self.read();
        let held = state.by_name.get(new.name.as_str());
        if held.is_none() && state.by_name.len() >= EVENT_TYPES_MAX {
            return Err(Error::invalid(format!(
                "there are {EVENT_TYPES_MAX} event types, which is the most: expunge one first"
            )));
        }
        let without = state.schemas_bytes - held.map_or(0, |held| schemas_bytes(held));
        if without + schemas_bytes(new) > ALL_SCHEMAS_BYTES_MAX {
            return Err(Error::invalid(format!(
                "the schemas of all event types would have more than {ALL_SCHEMAS_BYTES_MAX} bytes"
            )));
        }
        Ok(())
    }

    fn put(&self, definition: EventTypeDefinition) -> Arc<EventTypeDefinition> {
        let definition = Arc::new(definition);
        let mut state = self.write();
        state.schemas_bytes += schemas_bytes(&definition);
        let name = definition.name.as_str().to_owned();
        if let Some(held) = state.by_name.insert(name, Arc::clone(&definition)) {
            state.schemas_bytes -= schemas_bytes(&held);
        }
        definition
    }

    fn remove(&self, name: &str) {
        let mut state = self.write();
        if let Some(held) = state.by_name.remove(name) {
            state.schemas_bytes -= schemas_bytes(&held);
        }
    }
}

fn schemas_bytes(definition: &EventTypeDefinition) -> usize {
    definition.schemas.as_ref().map_or(0, |schemas| schemas.len())
}
