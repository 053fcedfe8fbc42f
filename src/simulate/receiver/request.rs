//! Reads HTTP/1 requests off a connection, keeping the casing and order of their headers, which
//! the usual HTTP libraries do not.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest head, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The most headers.
const HEADERS_MAX: usize = 100;
/// The longest body, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much is read at once, in bytes.
const READ_BYTES: usize = 16 * 1024;

/// A request as read.
#[derive(Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
    /// Whether the sender may use the connection for another one.
    pub(super) keep_alive: bool,
}

impl Request {
    /// The first header of this name, in any casing.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
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

    /// The length of the body (RFC 9112, section 6.3); lengths that disagree are an attack there.
    fn content_length(&self) -> Result<usize, ReadError> {
        if self.header("Transfer-Encoding").is_some() {
            return Err(ReadError::Refused(411, "send the body with a Content-Length"));
        }
        let mut lengths = self.values("Content-Length");
        let length = match (lengths.next(), lengths.next()) {
            (None, _) => 0,
            (Some(length), None) if length.bytes().all(|byte| byte.is_ascii_digit()) => length
                .parse()
                .map_err(|_| ReadError::Refused(400, "the Content-Length is not a number"))?,
            _ => {
                return Err(ReadError::Refused(400, "the Content-Length is not one number"));
            }
        };
        if length > BODY_BYTES_MAX {
            return Err(ReadError::Refused(413, "the body is over 16 MiB"));
        }
        Ok(length)
    }
}

/// Why no request could be read.
pub(super) enum ReadError {
    /// The connection failed or ended within a request.
    Broken,
    /// The sender shall be told this status and text; what follows on the connection is lost.
    Refused(u16, &'static str),
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

/// Reads the requests of one connection.
pub(super) struct Reader<S> {
    pub(super) stream: S,
    unread: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// The next request; `None` when the sender closed the connection after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Request>, ReadError> {
        let mut request = loop {
            if let Some(request) = self.parse_head()? {
                break request;
            }
            if self.unread.len() > HEAD_BYTES_MAX {
                return Err(ReadError::Refused(431, "the head is over 32 KiB"));
            }
            if self.fill().await? == 0 {
                let between_requests = self.unread.is_empty();
                return if between_requests { Ok(None) } else { Err(ReadError::Broken) };
            }
        };
        let length = request.content_length()?;
        while self.unread.len() < length {
            if self.fill().await? == 0 {
                return Err(ReadError::Broken);
            }
        }
        let rest = self.unread.split_off(length);
        request.body = std::mem::replace(&mut self.unread, rest);
        Ok(Some(request))
    }

    /// Reads and drops what comes until the sender closes the connection.
    pub(super) async fn drain(&mut self) {
        while let Ok(1..) = self.fill().await {
            self.unread.clear();
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.unread.reserve(READ_BYTES);
        self.stream.read_buf(&mut self.unread).await
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
        let rest = self.unread.split_off(length);
        request.head = std::mem::replace(&mut self.unread, rest);
        Ok(Some(request))
    }
}
