//! Access tokens of the API: made, recognised, revoked.
//!
//! A token is `hw_`, its id and a secret of 256 random bits, each number as 22 letters and digits:
//! it is looked up by the one, and the other compared, by its digest, in constant time.

use crate::chance::fill_random;
use crate::engine::checks::{checked_names, checked_text};
use crate::engine::{Engine, Inner, whole};
use crate::error::{Error, Result};
use crate::model::{
    AccessToken, AccessTokenId, ApplicationId, Secret, Timestamp, access_token::TokenDigest,
    base_n::BASE62, base_n::encode,
};
use crate::store::{Change, DocumentKind, Store, codec};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::watch;
use zeroize::Zeroizing;

/// Tokens at most, those of portals not counted; and as many of portals.
const TOKENS_MAX: usize = 100_000;
/// Portals' tokens of one application at most: each visit of an endpoint's owner may make one.
const PORTAL_TOKENS_MAX: usize = 1000;
/// What a token begins with.
const PREFIX: &str = "hw_";
/// Letters and digits of an id, and of either half of a secret.
const NUMBER_LENGTH: usize = 22;
/// Expired tokens that one commit removes.
const STEP: usize = 256;

/// An access token to be made.
#[derive(Clone, Debug, Default)]
pub struct NewAccessToken {
    /// What people call it, in at most 256 bytes.
    pub name: String,
    /// The only application that it opens; `None` opens everything.
    pub application: Option<ApplicationId>,
    /// Whether it opens only what changes nothing.
    pub read_only: bool,
    /// Whether it is an endpoint owner's, which needs an application.
    pub portal: bool,
    /// Which event types a portal's token sees besides those for everybody; each like the name of
    /// a type, up to 64.
    pub feature_flags: Vec<String>,
    /// For how long it opens anything; `None` until it is revoked.
    pub expires_in: Option<Duration>,
}

impl Engine {
    /// Makes an access token. Its text, to be shown to whoever may use it, is returned here and
    /// never again. Where an application has 1,000 tokens of portals already, the one of them that
    /// ends first is revoked for it.
    ///
    /// # Errors
    /// Refuses a name that is too long, an unknown application and a token that would have expired
    /// already; and with [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) one more than
    /// 100,000, portals' tokens counted by themselves.
    pub async fn create_access_token(
        &self,
        new: NewAccessToken,
    ) -> Result<(Arc<AccessToken>, Secret)> {
        let inner = Arc::clone(&self.inner);
        whole(async move {
            inner.check_open()?;
            let _edit = inner.edits.lock().await;
            let (token, text) = inner.new_access_token(new)?;
            let replaced = inner.access_tokens.make_room(&token)?;
            let mut changes = vec![document(token.id, Some(codec::encode(&token)?))];
            changes.extend(replaced.map(|id| document(id, None)));
            inner.committer.change(changes).await?;
            inner.access_tokens.remove(replaced.as_slice());
            Ok((inner.access_tokens.put(token), text))
        })
        .await
    }

    /// All access tokens that are neither revoked nor expired, oldest first.
    pub fn access_tokens(&self) -> Vec<Arc<AccessToken>> {
        let now = self.inner.clock.wall();
        let tokens = self.inner.access_tokens.read();
        tokens.values().filter(|token| !token.is_expired(now)).cloned().collect()
    }

    /// Revokes an access token: when this returns it opens nothing any more.
    ///
    /// # Errors
    /// Refuses an unknown id.
    pub async fn revoke_access_token(&self, id: AccessTokenId) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        whole(async move {
            inner.check_open()?;
            let _edit = inner.edits.lock().await;
            if !inner.access_tokens.read().contains_key(&id) {
                return Err(Error::not_found(format!("access token `{id}` does not exist")));
            }
            inner.committer.change(vec![document(id, None)]).await?;
            inner.access_tokens.remove(&[id]);
            Ok(())
        })
        .await
    }

    /// Whether an access token still opens anything.
    pub fn is_access_token_valid(&self, id: AccessTokenId) -> bool {
        let token = self.inner.access_tokens.read().get(&id).cloned();
        token.is_some_and(|token| !token.is_expired(self.inner.clock.wall()))
    }

    /// Waits until an access token is revoked, or was removed as its time is over.
    pub async fn access_token_removed(&self, id: AccessTokenId) {
        let tokens = &self.inner.access_tokens;
        let mut removed = tokens.removed.subscribe();
        // The sender lives as long as this engine.
        let _ = removed.wait_for(|()| !tokens.read().contains_key(&id)).await;
    }

    /// The access token whose text this is, unless it was revoked or has expired.
    pub fn authenticate(&self, text: &str) -> Option<Arc<AccessToken>> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let id: AccessTokenId = format!("{}{id}", AccessTokenId::PREFIX).parse().ok()?;
        let token = self.inner.access_tokens.read().get(&id).cloned()?;
        let is_right = TokenDigest::of(secret) == token.digest;
        (is_right && !token.is_expired(self.inner.clock.wall())).then_some(token)
    }
}

impl Inner {
    fn new_access_token(&self, new: NewAccessToken) -> Result<(AccessToken, Secret)> {
        let name = checked_text("name of the access token", new.name, 256)?;
        match new.application {
            Some(application) => drop(self.directory.application(application)?),
            None if new.portal => {
                return Err(Error::invalid("a portal's token opens one application: name it"));
            }
            None => {}
        }
        if new.expires_in.is_some_and(|time| time.is_zero()) {
            return Err(Error::invalid(
                "an access token that expires in 0 s would open nothing: give it longer, or no end",
            ));
        }
        let id = AccessTokenId::from_uuid(self.ids.next()?);
        let secret = random_text()?;
        let created_at = self.clock.wall();
        let token = AccessToken {
            id,
            name,
            application: new.application,
            read_only: new.read_only,
            portal: new.portal,
            feature_flags: checked_names("feature flags", new.feature_flags)?,
            digest: TokenDigest::of(&secret),
            created_at,
            expires_at: new.expires_in.map(|time| created_at.after(time)),
        };
        let number = encode(id.as_u128(), BASE62, NUMBER_LENGTH);
        Ok((token, Secret::new(format!("{PREFIX}{number}_{}", secret.as_str()))))
    }

    /// What revokes every token of an application.
    pub(super) fn revocations(
        &self,
        application: ApplicationId,
    ) -> (Vec<AccessTokenId>, Vec<Change>) {
        let tokens = self.access_tokens.read();
        let of_it = tokens.values().filter(|token| token.application == Some(application));
        let ids: Vec<AccessTokenId> = of_it.map(|token| token.id).collect();
        let changes = ids.iter().map(|id| document(*id, None)).collect();
        (ids, changes)
    }

    /// Removes the tokens whose time is over.
    pub(super) async fn expire_access_tokens(&self, now: Timestamp) -> Result<()> {
        let expired: Vec<AccessTokenId> = {
            let tokens = self.access_tokens.read();
            tokens.values().filter(|token| token.is_expired(now)).map(|token| token.id).collect()
        };
        for ids in expired.chunks(STEP) {
            self.committer.change(ids.iter().map(|id| document(*id, None)).collect()).await?;
            self.access_tokens.remove(ids);
        }
        Ok(())
    }
}

/// 256 random bits as letters and digits.
fn random_text() -> Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    fill_random(bytes.as_mut())?;
    let mut text = Zeroizing::new(String::with_capacity(2 * NUMBER_LENGTH));
    for half in bytes.as_chunks::<16>().0 {
        let number = Zeroizing::new(encode(u128::from_be_bytes(*half), BASE62, NUMBER_LENGTH));
        text.push_str(&number);
    }
    Ok(text)
}

fn document(id: AccessTokenId, value: Option<Vec<u8>>) -> Change {
    Change::Document { kind: DocumentKind::Token, key: id.to_string(), value }
}

/// The access tokens in memory, oldest first.
#[derive(Default)]
pub(crate) struct AccessTokens {
    held: RwLock<BTreeMap<AccessTokenId, Arc<AccessToken>>>,
    /// Told when some are removed.
    removed: watch::Sender<()>,
}

impl AccessTokens {
    /// Those that a store holds.
    pub fn load(store: &dyn Store) -> Result<Self> {
        let tokens = Self::default();
        for (_, value) in store.documents(DocumentKind::Token)? {
            tokens.put(codec::decode("an access token", &value)?);
        }
        Ok(tokens)
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<AccessTokenId, Arc<AccessToken>>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<AccessTokenId, Arc<AccessToken>>> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which token has to go so that there is room for a new one, if one has to.
    fn make_room(&self, new: &AccessToken) -> Result<Option<AccessTokenId>> {
        let tokens = self.read();
        let alike = tokens.values().filter(|held| held.portal == new.portal);
        if new.portal {
            let own = alike.clone().filter(|held| held.application == new.application);
            if own.clone().count() >= PORTAL_TOKENS_MAX {
                let end = |held: &&Arc<AccessToken>| {
                    (held.expires_at.is_none(), held.expires_at, held.id)
                };
                return Ok(own.min_by_key(end).map(|held| held.id));
            }
        }
        if alike.count() >= TOKENS_MAX {
            return Err(Error::unavailable(format!(
                "there are {TOKENS_MAX} access tokens, which is the most: revoke some, or wait \
                 until some expire"
            )));
        }
        Ok(None)
    }

    fn put(&self, token: AccessToken) -> Arc<AccessToken> {
        let token = Arc::new(token);
        self.write().insert(token.id, Arc::clone(&token));
        token
    }

    pub(super) fn remove(&self, ids: &[AccessTokenId]) {
        let mut tokens = self.write();
        for id in ids {
            tokens.remove(id);
        }
        drop(tokens);
        self.removed.send_replace(());
    }
}
