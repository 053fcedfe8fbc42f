//! What went wrong on the way to an answer, told apart and in words for an endpoint's owner. They
//! name host, port and address, never a path, a query or a header: those may hold secrets.

use super::tls;
use crate::model::{Failure, FailureKind};
use std::error::Error as StdError;
use std::io;

/// Characters of a detail at most: a certificate can name a thousand hosts.
const DETAIL_CHARS_MAX: usize = 300;

/// A failure, its detail kept to one short line, since the other side had a hand in it.
pub(super) fn failure(kind: FailureKind, detail: impl AsRef<str>) -> Failure {
    let detail = detail.as_ref().chars().take(DETAIL_CHARS_MAX).map(visible).collect();
    Failure { kind, detail }
}

/// `character`, or a replacement for what would disturb a terminal or a log.
pub(super) fn visible(character: char) -> char {
    if character.is_control() && character != '\t' {
        char::REPLACEMENT_CHARACTER
    } else {
        character
    }
}

/// Why no connection was made to `place`.
pub(super) fn of_connect(error: &io::Error, place: &str) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::ConnectionRefused => FailureKind::ConnectionRefused,
        io::ErrorKind::TimedOut => FailureKind::ConnectTimeout,
        _ => FailureKind::Unreachable,
    };
    failure(kind, format!("{place}: {error}"))
}

/// Why TLS was not agreed on with `place`.
pub(super) fn of_handshake(error: &io::Error, place: &str) -> Failure {
    match tls::fault(error) {
        Some((kind, detail)) => failure(kind, format!("{place}: {detail}")),
        None => failure(
            FailureKind::Tls,
            format!("{place}: the connection ended within the handshake: {error}"),
        ),
    }
}

/// Why no answer head came from `place` over an open connection.
pub(super) fn of_exchange(error: &hyper::Error, place: &str) -> Failure {
    if let Some(error) = source::<io::Error>(error) {
        return match tls::fault(error) {
            Some((kind, detail)) => failure(kind, format!("{place}: {detail}")),
            None => failure(FailureKind::Closed, format!("{place}: {error}")),
        };
    }
    if error.is_incomplete_message() || error.is_closed() {
        let detail = format!("{place}: the connection was closed before an answer");
        return failure(FailureKind::Closed, detail);
    }
    // A connection whose task we ended ourselves: see `Connection::send`.
    if error.is_user() {
        let detail = format!("{place}: interim answers (1xx) without end");
        return failure(FailureKind::Protocol, detail);
    }
    // The connection ended before the request was written, of this.
    if let Some(cause) = source::<hyper::Error>(error) {
        return of_exchange(cause, place);
    }
    let kind = if error.is_canceled() { FailureKind::Closed } else { FailureKind::Protocol };
    failure(kind, format!("{place}: {error}"))
}

fn source<E: StdError + 'static>(error: &hyper::Error) -> Option<&E> {
    error.source()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_one_short_line_whatever_the_other_side_says() {
        let said = format!("its certificate is for \u{1b}[2J\r\n\u{9b}1m{}", "a, ".repeat(1000));
        let told = failure(FailureKind::CertificateWrongName, said);
        assert_eq!(told.detail.chars().count(), DETAIL_CHARS_MAX);
        assert!(!told.detail.contains(char::is_control), "{told:?}");
    }
}
