//! What a receiver does with a request: answers, late perhaps, or fails to.

use std::time::Duration;

/// An answer to one request, or the want of one.
///
/// ```
/// # use hookwheel::simulate::receiver::Answer;
/// # use std::time::Duration;
/// let busy = Answer::status(503).header("Retry-After", "120").body("try later");
/// let late = Answer::status(200).after(Duration::from_secs(20));
/// let dead = Answer::close();
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub(in crate::simulate) manner: Manner,
    pub(in crate::simulate) after: Duration,
    pub(in crate::simulate) headers: Vec<(String, String)>,
    pub(in crate::simulate) body: Vec<u8>,
}

/// How the exchange ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::simulate) enum Manner {
    Status(u16),
    Hang,
    Close,
}

impl Answer {
    /// An answer with this status, at once, without a body.
    pub fn status(status: u16) -> Self {
        Self::new(Manner::Status(status))
    }

    /// No answer, on a connection that stays open until the sender or [`super::Receiver::stop`]
    /// closes it.
    pub fn hang() -> Self {
        Self::new(Manner::Hang)
    }

    /// No answer: the connection is closed.
    pub fn close() -> Self {
        Self::new(Manner::Close)
    }

    fn new(manner: Manner) -> Self {
        Self { manner, after: Duration::ZERO, headers: Vec::new(), body: Vec::new() }
    }

    /// Waits for this long, in real time, before it answers or closes.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    /// Adds a header, written as given. `Content-Length` and `Connection` are added by themselves.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body. It is left out with a status that has none, like 204.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The status that it answers with; `None` when it does not answer.
    pub fn code(&self) -> Option<u16> {
        match self.manner {
            Manner::Status(status) => Some(status),
            Manner::Hang | Manner::Close => None,
        }
    }

    /// The bytes of the answer with this status (RFC 9112, section 4).
    pub(super) fn encode(&self, status: u16, keep_alive: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let has_body = status >= 200 && status != 204 && status != 304;
        if has_body {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        if !keep_alive {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if has_body {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match http::StatusCode::from_u16(status) {
        // In no registry; GoCardless's page answers with it.
        Ok(status) if status.as_u16() == 498 => "Invalid Token",
        Ok(status) => status.canonical_reason().unwrap_or_default(),
        Err(_) => "",
    }
}
