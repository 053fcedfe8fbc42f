//! Secrets at rest: XChaCha20-Poly1305 under a master key that lives beside the data folder.
//!
//! A sealed secret is one version byte, 8 bytes that name the master key, a random nonce of 24
//! bytes and the ciphertext; the place that it belongs to is authenticated with it, so that a
//! sealed secret copied to another record does not open.

pub(crate) mod key_file;

use crate::chance::fill_random;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Secret;
use crate::model::secret::Sealed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::PathBuf;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY_ID_LENGTH: usize = 8;
const NONCE_LENGTH: usize = 24;

/// Where the master key comes from.
#[derive(Clone)]
pub enum MasterKeySource {
    /// A file of base64 lines, the first being the current key; made with mode 0600 when it does
    /// not exist and nothing is encrypted yet.
    File(PathBuf),
    /// Keys given as text: base64, separated by commas or white space, the first being the current
    /// one.
    Given(Secret),
}

impl fmt::Debug for MasterKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Given(_) => f.write_str("Given(…)"),
        }
    }
}

struct MasterKey {
    id: [u8; KEY_ID_LENGTH],
    key: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    fn new(key: Zeroizing<[u8; 32]>) -> Self {
        let digest = Sha256::new().chain_update(b"hookwheel master key").chain_update(key.as_ref());
        let mut id = [0; KEY_ID_LENGTH];
        id.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
        Self { id, key }
    }

    fn random() -> Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        fill_random(key.as_mut())?;
        Ok(Self::new(key))
    }

    fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid("a master key is not one: expected 32 bytes in base64 (44 characters)")
        };
        let bytes = Zeroizing::new(BASE64.decode(text).map_err(|_| wrong())?);
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| wrong())?;
        Ok(Self::new(Zeroizing::new(key)))
    }

    fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(self.key.as_ref()))
    }
}

/// Seals and opens secrets. The first key seals; every key opens.
pub struct Vault {
    keys: Vec<MasterKey>,
    source: MasterKeySource,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({} key(s), {:?})", self.keys.len(), self.source)
    }
}

impl Vault {
    /// Opens the vault. A missing key file is made only when `anything_sealed` is false.
    ///
    /// # Errors
    /// Refuses a missing key where something is encrypted, and a key that is none.
    pub fn open(source: MasterKeySource, anything_sealed: bool) -> Result<Self> {
        let text = match &source {
            MasterKeySource::Given(keys) => Zeroizing::new(keys.expose().to_owned()),
            MasterKeySource::File(path) => match key_file::read(path)? {
                Some(text) => text,
                None if anything_sealed => {
                    return Err(Error::unreadable(format!(
                        "master key file `{}` is missing, but the data folder holds encrypted \
                         secrets: put the file back; a new key could not open them",
                        path.display()
                    )));
                }
                None => {
                    let key = MasterKey::random()?;
                    key_file::write(path, &[key.text()])?;
                    return Ok(Self { keys: vec![key], source });
                }
            },
        };
        let keys = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .flat_map(|line| line.split([',', ' ', '\t']))
            .filter(|word| !word.is_empty())
            .map(MasterKey::parse)
            .collect::<Result<Vec<_>>>()?;
        if keys.is_empty() {
            return Err(Error::invalid(
                "no master key given: expected 32 bytes in base64, for example from \
                 `openssl rand -base64 32`",
            ));
        }
        Ok(Self { keys, source })
    }

    /// Whether older keys are still held beside the current one.
    pub fn has_older_keys(&self) -> bool {
        self.keys.len() > 1
    }

    /// Encrypts `secret` for `place`, a text that names the record it belongs to.
    ///
    /// # Errors
    /// Fails only when the operating system gives no random numbers.
    pub fn seal(&self, place: &str, secret: &Secret) -> Result<Sealed> {
        self.seal_bytes(place, secret.expose().as_bytes())
    }

    /// Encrypts bytes that may hold a secret for `place`, as [`Vault::seal`] does.
    ///
    /// # Errors
    /// As for [`Vault::seal`].
    pub fn seal_bytes(&self, place: &str, bytes: &[u8]) -> Result<Sealed> {
        let Some(key) = self.keys.first() else {
            return Err(Error::internal("the vault holds no key"));
        };
        let mut nonce = [0_u8; NONCE_LENGTH];
        fill_random(&mut nonce)?;
        let cipher = XChaCha20Poly1305::new((&*key.key).into());
        let payload = Payload { msg: bytes, aad: place.as_bytes() };
        let ciphertext = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Error::internal("a secret could not be encrypted"))?;
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(Sealed(sealed))
    }

    /// Decrypts what was sealed for `place`.
    ///
    /// # Errors
    /// [`ErrorKind::Unreadable`] when the master key is another one, or the bytes were changed or
    /// belong to another place.
    pub fn open_sealed(&self, place: &str, sealed: &Sealed) -> Result<Secret> {
        let clear = self.open_bytes(place, sealed)?;
        let text = std::str::from_utf8(&clear).map_err(|_| unreadable(place, "it is not text"))?;
        Ok(Secret::new(text))
    }

    /// Decrypts what [`Vault::seal_bytes`] sealed for `place`.
    ///
    /// # Errors
    /// As for [`Vault::open_sealed`].
    pub fn open_bytes(&self, place: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>> {
        let unreadable = |what| unreadable(place, what);
        let Some((&VERSION, rest)) = sealed.0.split_first() else {
            return Err(unreadable("it was written by another version"));
        };
        let Some((id, rest)) = rest.split_first_chunk::<KEY_ID_LENGTH>() else {
            return Err(unreadable("it is cut short"));
        };
        let Some((nonce, ciphertext)) = rest.split_first_chunk::<NONCE_LENGTH>() else {
            return Err(unreadable("it is cut short"));
        };
        let Some(key) = self.keys.iter().find(|key| key.id == *id) else {
            return Err(unreadable("it was encrypted under another master key"));
        };
        let cipher = XChaCha20Poly1305::new((&*key.key).into());
        let payload = Payload { msg: ciphertext, aad: place.as_bytes() };
        let clear = cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| unreadable("it was changed since it was written"))?;
        Ok(Zeroizing::new(clear))
    }

    /// Puts a new random key first; the older ones stay to open what they sealed until
    /// [`Vault::forget_older_keys`].
    ///
    /// # Errors
    /// Refused when the keys were given and not read from a file: then the operator puts the new
    /// key in front and starts again.
    pub fn add_key(&mut self) -> Result<()> {
        let MasterKeySource::File(path) = &self.source else {
            return Err(Error::conflict(
                "the master key was given, not read from a file: put the new key in front of the \
                 old one where it is given and start again; that re-encrypts everything",
            ));
        };
        let key = MasterKey::random()?;
        let all: Vec<_> = std::iter::once(&key).chain(&self.keys).map(MasterKey::text).collect();
        key_file::write(path, &all)?;
        self.keys.insert(0, key);
        Ok(())
    }

    /// Drops all keys but the current one, here and in the file. Only after everything was sealed
    /// anew.
    ///
    /// # Errors
    /// Fails when the file cannot be written.
    pub fn forget_older_keys(&mut self) -> Result<()> {
        if let (MasterKeySource::File(path), Some(current)) = (&self.source, self.keys.first()) {
            key_file::write(path, &[current.text()])?;
        }
        self.keys.truncate(1);
        Ok(())
    }
}

fn unreadable(place: &str, what: &str) -> Error {
    Error::new(ErrorKind::Unreadable, format!("the secret of {place} cannot be read: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn vault(folder: &Path) -> Vault {
        Vault::open(MasterKeySource::File(folder.join("data.key")), false).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_at_its_own_place_only() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path());
        let sealed = vault.seal("endpoint a", &Secret::new("whsec_x")).unwrap();
        assert!(!sealed.0.windows(7).any(|bytes| bytes == b"whsec_x"));
        assert_eq!(vault.open_sealed("endpoint a", &sealed).unwrap().expose(), "whsec_x");
        assert!(vault.open_sealed("endpoint b", &sealed).is_err());
        for at in 0..sealed.0.len() {
            let mut changed = sealed.clone();
            changed.0[at] ^= 1;
            assert!(vault.open_sealed("endpoint a", &changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn the_key_file_is_private_and_never_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.key");
        vault(folder.path());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(&path).unwrap();
        let error = Vault::open(MasterKeySource::File(path.clone()), true).unwrap_err();
        assert!(error.to_string().contains("put the file back"), "{error}");
        assert!(!path.exists());
    }

    #[test]
    fn a_rotated_key_reads_the_old_and_writes_the_new() {
        let folder = tempfile::tempdir().unwrap();
        let mut vault = vault(folder.path());
        let old = vault.seal("a", &Secret::new("one")).unwrap();
        vault.add_key().unwrap();
        let reopened = Vault::open(vault.source.clone(), true).unwrap();
        assert_eq!(reopened.open_sealed("a", &old).unwrap().expose(), "one");
        let new = vault.seal("a", &Secret::new("two")).unwrap();
        vault.forget_older_keys().unwrap();
        let reopened = Vault::open(vault.source.clone(), true).unwrap();
        assert_eq!(reopened.open_sealed("a", &new).unwrap().expose(), "two");
        assert!(reopened.open_sealed("a", &old).is_err());
    }

    #[test]
    fn given_keys_are_checked() {
        for bad in ["", "abc", "AAAA"] {
            let source = MasterKeySource::Given(Secret::new(bad));
            assert!(Vault::open(source, false).unwrap_err().is_invalid(), "{bad}");
        }
    }
}
