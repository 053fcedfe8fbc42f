//! Reads HTTP/1 requests off a connection, keeping the casing and order of their headers, which
//! the usual HTTP libraries do not.

use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The longest head, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The most headers.
const HEADERS_MAX: usize = 100;
/// The longest body, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much is read at once, in bytes.
const READ_BYTES: usize = 16 * 1024;
/// Longer bodies wait until there is room for them, in bytes.
const SMALL_BYTES_MAX: usize = 64 * 1024;
/// The longest line that says how long a chunk is, in bytes.
const CHUNK_LINE_BYTES_MAX: usize = 256;

/// Room for the bodies that are in memory at once, in KiB; for the largest one at least.
pub(super) const ROOM_KIB: usize = 256 * 1024;

/// A request as read.
#[derive(Default)]
pub(in crate::simulate) struct Request {
    pub(in crate::simulate) method: String,
    pub(in crate::simulate) target: String,
    pub(in crate::simulate) headers: Vec<(String, String)>,
    pub(in crate::simulate) head: Vec<u8>,
    pub(in crate::simulate) body: Vec<u8>,
    /// Whether the sender may use the connection for another one.
    pub(in crate::simulate) keep_alive: bool,
    /// Held for as long as the body is in memory.
    pub(in crate::simulate) _room: Option<OwnedSemaphorePermit>,
}

/// How the end of a body is found (RFC 9112, section 6.3).
#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

impl Request {
    /// The first header of this name, in any casing.
    pub(in crate::simulate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.values(name);
        values.next()
    }

    /// The first header of this name in exactly this casing.
    pub(super) fn header_in_this_casing(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// How the body is framed; lengths that disagree are an attack there.
    fn framing(&self) -> Result<Framing, ReadError> {
        let mut lengths = self.values("Content-Length");
        let length = (lengths.next(), lengths.next());
        if let Some(encoding) = self.header("Transfer-Encoding") {
            return match length {
                (None, _) if encoding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
                (None, _) => {
                    Err(ReadError::Refused(501, "the only Transfer-Encoding here is `chunked`"))
                }
                _ => Err(ReadError::Refused(400, "both Content-Length and Transfer-Encoding")),
            };
        }
        let length = match length {
            (None, _) => 0,
            (Some(length), None) if length.bytes().all(|byte| byte.is_ascii_digit()) => length
                .parse()
                .map_err(|_| ReadError::Refused(400, "the Content-Length is not a number"))?,
            _ => {
                return Err(ReadError::Refused(400, "the Content-Length is not one number"));
            }
        };
        if length > BODY_BYTES_MAX { Err(TOO_LARGE) } else { Ok(Framing::Length(length)) }
    }

    /// Whether the sender waits to be told that its body is wanted (RFC 9110, section 10.1.1).
    fn waits_to_go_on(&self) -> bool {
        self.header("Expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }
}

/// Why no request could be read.
#[derive(Clone, Copy)]
pub(super) enum ReadError {
    /// The connection failed or ended within a request.
    Broken,
    /// The sender shall be told this status and text; what follows on the connection is lost.
    Refused(u16, &'static str),
}

const TOO_LARGE: ReadError = ReadError::Refused(413, "the body is over 16 MiB");

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

/// Reads the requests of one connection.
pub(super) struct Reader<S> {
    pub(super) stream: S,
    unread: Vec<u8>,
    /// Whether a part of the next request was read.
    has_begun: bool,
    room: Arc<Semaphore>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reader<S> {
    /// Reads from `stream`; all readers that share `room` keep so much in memory together.
    pub(super) fn new(stream: S, room: Arc<Semaphore>) -> Self {
        Self { stream, unread: Vec::new(), has_begun: false, room }
    }

    /// Whether a part of the next request was read.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// The next request; `None` when the sender closed the connection after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Request>, ReadError> {
        self.has_begun = !self.unread.is_empty();
        let mut request = loop {
            if let Some(request) = self.parse_head()? {
                break request;
            }
            if self.unread.len() > HEAD_BYTES_MAX {
                return Err(ReadError::Refused(431, "the head is over 32 KiB"));
            }
            if self.fill().await? == 0 {
                return if self.has_begun { Err(ReadError::Broken) } else { Ok(None) };
            }
        };
        let framing = request.framing()?;
        let length = match framing {
            Framing::Length(length) => length,
            Framing::Chunked => BODY_BYTES_MAX,
        };
        if length > SMALL_BYTES_MAX {
            let kib = u32::try_from(length.div_ceil(1024)).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.room).acquire_many_owned(kib).await;
            request._room = Some(room.map_err(|_| ReadError::Broken)?);
        }
        if length > self.unread.len() && request.waits_to_go_on() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            self.stream.flush().await?;
        }
        request.body = match framing {
            Framing::Length(length) => self.take(length).await?,
            Framing::Chunked => self.chunks().await?,
        };
        Ok(Some(request))
    }

    /// The next `length` bytes.
    async fn take(&mut self, length: usize) -> Result<Vec<u8>, ReadError> {
        while self.unread.len() < length {
            if self.fill().await? == 0 {
                return Err(ReadError::Broken);
            }
        }
        let rest = self.unread.split_off(length);
        Ok(std::mem::replace(&mut self.unread, rest))
    }

    /// The next line with its end, which no more than `length_max` bytes come before.
    async fn line(&mut self, length_max: usize) -> Result<Vec<u8>, ReadError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.unread) {
                return self.take(end + 1).await;
            }
            if self.unread.len() > length_max {
                return Err(ReadError::Refused(400, "a line within the chunked body is too long"));
            }
            if self.fill().await? == 0 {
                return Err(ReadError::Broken);
            }
        }
    }

    /// A body in chunks (RFC 9112, section 7.1), put together; its trailers are passed over.
    async fn chunks(&mut self) -> Result<Vec<u8>, ReadError> {
        let not_chunks = ReadError::Refused(400, "the body is not in chunks as it says");
        let mut body = Vec::new();
        loop {
            let line = self.line(CHUNK_LINE_BYTES_MAX).await?;
            let Ok(httparse::Status::Complete((_, length))) = httparse::parse_chunk_size(&line)
            else {
                return Err(not_chunks);
            };
            let length = usize::try_from(length).map_err(|_| TOO_LARGE)?;
            if length == 0 {
                break;
            }
            if length > BODY_BYTES_MAX - body.len() {
                return Err(TOO_LARGE);
            }
            body.append(&mut self.take(length).await?);
            if self.line(2).await? != b"\r\n" {
                return Err(not_chunks);
            }
        }
        let mut trailer_bytes = 0;
        loop {
            let line = self.line(HEAD_BYTES_MAX).await?;
            trailer_bytes += line.len();
            if line == b"\r\n" || line == b"\n" {
                return Ok(body);
            }
            if trailer_bytes > HEAD_BYTES_MAX {
                return Err(ReadError::Refused(431, "the trailers are over 32 KiB"));
            }
        }
    }

    /// Reads and drops what comes until the sender closes the connection.
    pub(super) async fn drain(&mut self) {
        while let Ok(1..) = self.fill().await {
            self.unread.clear();
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.unread.reserve(READ_BYTES);
        let count = self.stream.read_buf(&mut self.unread).await?;
        self.has_begun |= count > 0;
        Ok(count)
    }

    /// Takes a head off what was read, if it is complete.
    fn parse_head(&mut self) -> Result<Option<Request>, ReadError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        let length = match parsed.parse(&self.unread) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(ReadError::Refused(431, "there are over 100 headers"));
            }
            Err(_) => return Err(ReadError::Refused(400, "this is not HTTP/1")),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut request = Request {
            method: parsed.method.unwrap_or_default().to_owned(),
            target: parsed.path.unwrap_or_default().to_owned(),
            headers: parsed
                .headers
                .iter()
                .map(|header| (header.name.to_owned(), text(header.value)))
                .collect(),
            keep_alive: parsed.version == Some(1),
            ..Request::default()
        };
        if let Some(connection) = request.header("Connection") {
            request.keep_alive &= !connection.eq_ignore_ascii_case("close");
        }
        // The answer to a HEAD has no body, and what we answer may have one.
        request.keep_alive &= request.method != "HEAD";
        let rest = self.unread.split_off(length);
        request.head = std::mem::replace(&mut self.unread, rest);
        Ok(Some(request))
    }
}
