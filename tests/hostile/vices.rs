//! Receivers that do wrong, in a process of their own: what they hold is not counted as the engine's.

use crate::tls;
use hookwheel::clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// How long the receivers last whose test waits for them in vain.
const LIFE_MAX: Duration = Duration::from_secs(300);

/// 1 GiB of zeros, compressed twice.
const ZEROS: &[u8] = include_bytes!("../data/zeros.gz.gz");

/// Lines of a header, many in a write.
const HEADERS: [u8; 4096] = {
    let (line, mut lines, mut at) = (b"X-A: b\r\n", [0; 4096], 0);
    while at < lines.len() {
        lines[at] = line[at % line.len()];
        at += 1;
    }
    lines
};

/// The time between two bytes of one that takes its time.
const BEAT: Duration = Duration::from_secs(1);

/// What a receiver does with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vice {
    /// Says nothing.
    Silence,
    /// Closes its own side, and goes on listening.
    HalfClose,
    /// Closes.
    Close,
    /// Resets the connection.
    Reset,
    /// Sends the head a byte a second.
    SlowHead,
    /// Sends the body a byte a second.
    SlowBody,
    /// Sends a status line without end.
    EndlessStatusLine,
    /// Sends headers without end.
    EndlessHeaders,
    /// Sends one header without end.
    EndlessHeader,
    /// Sends a body without end.
    EndlessBody,
    /// Sends interim answers without end.
    EndlessInterim,
    /// Fills the caps of head and body but for a byte, and says nothing more.
    FullAnswer,
    /// Fills the cap of the head but for a few bytes, and says nothing more.
    FullHead,
    /// Sends what inflates to half a million times its size.
    Bomb,
    /// Sends what is no text, and would drive a terminal.
    Binary,
    /// Sends a chunk without a size.
    BrokenChunk,
    /// Breaks off within the body.
    BreakOff,
    /// Speaks another protocol.
    NoHttp,
    /// Says nothing where TLS is expected.
    TlsSilence,
    /// Fills the longest message of a TLS handshake but for a few bytes, and says nothing more.
    TlsFull,
    /// Speaks no TLS where TLS is expected.
    NoTls,
    /// Speaks no TLS as new as 1.2.
    TlsOld,
    /// Shows a certificate that has expired.
    TlsExpired,
    /// Shows a certificate for another name.
    TlsWrongName,
    /// Shows a certificate that it made itself.
    TlsSelfSigned,
}

impl Vice {
    pub const ALL: [Self; 25] = [
        Self::Silence,
        Self::HalfClose,
        Self::Close,
        Self::Reset,
        Self::SlowHead,
        Self::SlowBody,
        Self::EndlessStatusLine,
        Self::EndlessHeaders,
        Self::EndlessHeader,
        Self::EndlessBody,
        Self::EndlessInterim,
        Self::FullAnswer,
        Self::FullHead,
        Self::Bomb,
        Self::Binary,
        Self::BrokenChunk,
        Self::BreakOff,
        Self::NoHttp,
        Self::TlsSilence,
        Self::TlsFull,
        Self::NoTls,
        Self::TlsOld,
        Self::TlsExpired,
        Self::TlsWrongName,
        Self::TlsSelfSigned,
    ];

    /// Of the URLs that lead to it.
    pub fn scheme(self) -> &'static str {
        let is_of_tls =
            matches!(self, Self::TlsSilence | Self::TlsFull | Self::NoTls | Self::TlsOld);
        if is_of_tls || self.shakes_hands() { "https" } else { "http" }
    }

    /// Whether it answers what a TLS client says first.
    pub fn shakes_hands(self) -> bool {
        matches!(self, Self::TlsExpired | Self::TlsWrongName | Self::TlsSelfSigned)
    }

    /// What the history has to say of it: a kind of failure, or the status and how it was cut.
    pub fn told(self) -> &'static str {
        match self {
            Self::Silence | Self::SlowHead | Self::FullHead => "timeout",
            Self::HalfClose | Self::Close | Self::Reset => "closed",
            Self::SlowBody | Self::FullAnswer => "200 OutOfTime",
            Self::EndlessStatusLine
            | Self::EndlessHeaders
            | Self::EndlessHeader
            | Self::EndlessInterim
            | Self::NoHttp => "protocol",
            Self::EndlessBody => "200 TooLong",
            Self::Bomb | Self::Binary => "200",
            Self::BrokenChunk | Self::BreakOff => "200 Broken",
            Self::TlsSilence | Self::TlsFull => "connect_timeout",
            Self::NoTls | Self::TlsOld => "tls",
            Self::TlsExpired => "certificate_expired",
            Self::TlsWrongName => "certificate_wrong_name",
            Self::TlsSelfSigned => "certificate_untrusted",
        }
    }

    /// Does wrong until the other side has closed.
    async fn act(self, mut stream: TcpStream) {
        let (begin, piece) = self.words();
        if stream.write_all(&begin).await.is_err() {
            return;
        }
        match self {
            Self::Close | Self::BreakOff => return,
            Self::Reset => return stream.set_zero_linger().unwrap(),
            Self::HalfClose => stream.shutdown().await.unwrap_or_default(),
            Self::SlowHead | Self::SlowBody => {
                while stream.write_all(piece).await.is_ok() {
                    clock::pause(BEAT).await;
                }
            }
            _ => while !piece.is_empty() && stream.write_all(piece).await.is_ok() {},
        }
        while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
    }

    /// What it sends first, and then again and again.
    fn words(self) -> (Vec<u8>, &'static [u8]) {
        const OK: &str = "HTTP/1.1 200 OK\r\n";
        let (begin, piece): (String, &[u8]) = match self {
            Self::Silence | Self::HalfClose | Self::Close | Self::Reset | Self::TlsSilence => {
                (String::new(), b"")
            }
            Self::TlsExpired | Self::TlsWrongName | Self::TlsSelfSigned => (String::new(), b""),
            Self::TlsOld => return (tls::old_hello(), b""),
            Self::TlsFull => return (tls::endless_hello(), b""),
            Self::FullAnswer => return (full_answer(), b""),
            Self::FullHead => (format!("{OK}X-A: {}", "a".repeat(HEAD_MAX - 100)), b""),
            Self::SlowHead => (format!("{OK}X-A: "), b"a"),
            Self::SlowBody => (format!("{OK}Content-Length: 100000\r\n\r\n"), b"a"),
            Self::EndlessStatusLine => ("HTTP/1.1 200 ".to_owned(), &[b'a'; 4096]),
            Self::EndlessHeaders => (OK.to_owned(), &HEADERS),
            Self::EndlessHeader => (format!("{OK}X-A: "), &[b'a'; 4096]),
            Self::EndlessBody => (format!("{OK}\r\n"), &[b'a'; 4096]),
            Self::EndlessInterim => (String::new(), b"HTTP/1.1 103 Early Hints\r\n\r\n"),
            Self::BrokenChunk => {
                (format!("{OK}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\nno size\r\n"), b"")
            }
            Self::BreakOff => (format!("{OK}Content-Length: 10\r\n\r\nabc"), b""),
            Self::NoHttp => ("SSH-2.0-OpenSSH_9.6\r\n".to_owned(), b""),
            Self::NoTls => ("HTTP/1.1 400 Bad Request\r\n\r\n".to_owned(), b""),
            Self::Bomb => return (whole("Content-Encoding: gzip, gzip", ZEROS), b""),
            Self::Binary => {
                let body = b"\x1b]0;mine\x07\x1b[2J\0\xff\xfe\x9b";
                return (whole("X-A: \u{9b}1m\u{202e}", body), b"");
            }
        };
        (begin.into_bytes(), piece)
    }
}

/// The default of `egress.response_head_max_bytes`, and of `egress.response_body_max_bytes`.
const HEAD_MAX: usize = 16 * 1024;
const BODY_MAX: usize = 16 * 1024;

/// As many bytes of a head and a body as are taken, in as many lines as are, less the last.
fn full_answer() -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY_MAX}\r\n");
    let lines = 95;
    for line in 0..lines {
        answer.push_str(&format!("X-{line:03}: {}\r\n", "a".repeat(HEAD_MAX / lines - 12)));
    }
    answer.push_str("\r\n");
    answer.push_str(&"b".repeat(BODY_MAX - 1));
    answer.into_bytes()
}

/// An answer with one more header.
fn whole(header: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// What the connections have in common.
struct Hall {
    awaited: usize,
    arrived: AtomicUsize,
    word: watch::Sender<bool>,
}

impl Hall {
    /// Waits for a request, and then for the word.
    async fn wait(&self, vice: Vice, stream: &mut TcpStream) {
        let _ = match vice.shakes_hands() {
            // It is left for who answers it.
            true => stream.peek(&mut [0]).await,
            false => stream.read(&mut [0; 16 * 1024]).await,
        };
        if self.arrived.fetch_add(1, Ordering::Relaxed) + 1 == self.awaited {
            println!("\nall");
        }
        let _ = self.word.subscribe().wait_for(|given| *given).await;
    }
}

async fn listen(vice: Vice, listener: TcpListener, hall: Arc<Hall>) {
    let acceptor = tls::acceptor(vice);
    while let Ok((mut stream, _)) = listener.accept().await {
        let (hall, acceptor) = (Arc::clone(&hall), acceptor.clone());
        tokio::spawn(async move {
            hall.wait(vice, &mut stream).await;
            match acceptor {
                Some(acceptor) => drop(acceptor.accept(stream).await),
                None => vice.act(stream).await,
            }
        });
    }
}

/// Receives until standard input ends, and not for ever. Prints a port for each of all vices, and `all` once
/// as many requests have come as are awaited. None of them is answered before the word is given: a
/// line on standard input.
pub async fn receive(awaited: usize) {
    let hall = Hall { awaited, arrived: AtomicUsize::new(0), word: watch::Sender::new(false) };
    let hall = Arc::new(hall);
    let mut ports = Vec::new();
    for vice in Vice::ALL {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        ports.push(listener.local_addr().unwrap().port().to_string());
        tokio::spawn(listen(vice, listener, Arc::clone(&hall)));
    }
    println!("\nports {}", ports.join(" "));
    let (end, ended) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let mut lines = std::io::stdin().lines();
        if lines.next().is_some() {
            hall.word.send_replace(true);
        }
        lines.for_each(drop);
        drop(end);
    });
    let _ = clock::within(LIFE_MAX, ended).await;
}
