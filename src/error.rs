//! The crate's one error type: a kind to act on, and a sentence that says what was wrong, where,
//! and what to do about it.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong, as far as a program has to tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is not acceptable; nothing was stored.
    Invalid,
    /// What was asked for does not exist.
    NotFound,
    /// The request contradicts what is already there.
    Conflict,
    /// An address or a URL may not be reached, by policy.
    AddressRefused,
    /// An endpoint did not prove that it is its owner's (a challenge failed).
    NotProven,
    /// The store cannot take anything now (disk full, an I/O error); trying again later may work.
    Unavailable,
    /// Another process has the data folder open.
    InUse,
    /// The data folder is damaged, or was written by another version, or needs another key.
    Unreadable,
    /// The engine was closed.
    Closed,
    /// A defect in hookwheel itself.
    Internal,
}

/// An error of hookwheel. Its text is a sentence fragment in lower case that names the thing that
/// was wrong and what would be right; it never contains a secret.
///
/// ```
/// let error = hookwheel::Timestamp::parse("yesterday").unwrap_err();
/// assert!(error.is_invalid());
/// assert!(error.to_string().contains("`yesterday`"));
/// ```
pub struct Error {
    kind: ErrorKind,
    message: String,
    member: Option<&'static str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// A `Result` with hookwheel's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), member: None, source: None }
    }

    /// The input is not acceptable: `message` says which part, and what would be.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Something named in a request does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// The request contradicts what is already there.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// The store cannot be used now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// The data folder cannot be read.
    pub fn unreadable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unreadable, message)
    }

    /// The engine is closed.
    pub fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the engine is closed")
    }

    /// A defect in hookwheel itself; the text says where.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Keeps the error that caused this one, for [`std::error::Error::source`].
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts `context` and a colon in front of the text, to say where it happened.
    #[must_use]
    pub fn within(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Says which member of what was given is at fault, unless that is known already.
    #[must_use]
    pub fn about(mut self, member: &'static str) -> Self {
        self.member.get_or_insert(member);
        self
    }

    /// Which member of what was given is at fault, by its name in this crate, where one is.
    pub fn member(&self) -> Option<&'static str> {
        self.member
    }

    /// The kind of error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the input was at fault.
    pub fn is_invalid(&self) -> bool {
        self.kind == ErrorKind::Invalid
    }

    /// Whether something asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }

    /// Whether the request contradicts what is already there.
    pub fn is_conflict(&self) -> bool {
        self.kind == ErrorKind::Conflict
    }

    /// Whether an address was refused by policy.
    pub fn is_address_refused(&self) -> bool {
        self.kind == ErrorKind::AddressRefused
    }

    /// Whether an endpoint did not prove that it is its owner's.
    pub fn is_not_proven(&self) -> bool {
        self.kind == ErrorKind::NotProven
    }

    /// Whether the same call may work later (disk full, store reopening).
    pub fn is_unavailable(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }

    /// Whether another process holds the data folder.
    pub fn is_in_use(&self) -> bool {
        self.kind == ErrorKind::InUse
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)?;
        match &self.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}
