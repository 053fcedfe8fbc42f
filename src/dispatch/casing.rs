//! Header names on the wire exactly as a profile writes them.
//!
//! HTTP header names do not depend on casing, but receivers do: pages of providers tell their users
//! to read `Webhook-Signature` from a map that keeps the casing. hyper sends lower case, unless the
//! request carries the casing that hyper itself saw when it read another message, in an extension
//! whose type is private. So for every new list of names, hyper reads one request from memory that
//! spells them as wanted, and what it remembers of it goes into the requests that are sent.

use super::cache::Cache;
use crate::model::check;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Extensions, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWriteExt;

/// Header lines of one request at most: hyper reads no more, and no receiver should have to.
const HEADERS_MAX: usize = 100;

/// Bytes of lists of names that are remembered; every endpoint with headers of its own has one.
const LISTS_BYTES_MAX: usize = 16 << 20;

/// What a list takes, in bytes, as was measured of lists of 8 to 90 lines: hyper's remembering keeps
/// the buffer that it read the list into, and the names stand in two maps.
const LIST_BYTES: usize = 10 * 1024;
const LINE_BYTES: usize = 192;
const BYTES_PER_BYTE: usize = 4;

/// Header lines as they are written: name and value.
pub(super) type Lines = Vec<(String, String)>;

/// What is needed to send one list of names.
pub(super) struct Casing {
    names: Vec<HeaderName>,
    /// What hyper remembers of how the names were written.
    pub(super) extensions: Extensions,
    /// The order on the wire, where it is not the order of the list: lines of one name follow each
    /// other.
    order: Option<Vec<usize>>,
}

impl Casing {
    /// The headers for hyper from `lines`, which have the names that this was made for.
    pub(super) fn headers(&self, lines: &Lines) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::with_capacity(lines.len());
        for (name, (written, value)) in self.names.iter().zip(lines) {
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
                format!("the value of the header `{written}` holds a control character")
            })?;
            headers.append(name, value);
        }
        Ok(headers)
    }

    /// `lines` in the order of the wire.
    pub(super) fn ordered(&self, lines: Lines) -> Lines {
        match &self.order {
            None => lines,
            Some(order) => order.iter().filter_map(|index| lines.get(*index).cloned()).collect(),
        }
    }
}

/// The lists of names seen so far.
pub(super) struct Casings(Cache<String, Arc<Casing>>);

impl Casings {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(Cache::new(LISTS_BYTES_MAX))
    }

    /// How to send the names of `lines`, the complete head of a request; or what is wrong with one.
    pub(super) async fn of(&self, lines: &Lines) -> Result<Arc<Casing>, String> {
        let mut key = String::with_capacity(lines.len() * 20);
        for (name, _) in lines {
            key.push_str(name);
            key.push('\n');
        }
        if let Some(casing) = self.0.get(key.as_str()) {
            return Ok(casing);
        }
        let casing = Arc::new(learn(lines).await?);
        let weight = LIST_BYTES + LINE_BYTES * lines.len() + BYTES_PER_BYTE * key.len();
        Ok(self.0.get_or_insert_with(key, || (casing, weight)))
    }
}

async fn learn(lines: &Lines) -> Result<Casing, String> {
    if lines.len() > HEADERS_MAX {
        return Err(format!("there are more than {HEADERS_MAX} headers"));
    }
    let mut names = Vec::with_capacity(lines.len());
    for (written, _) in lines {
        let name = HeaderName::from_bytes(written.as_bytes())
            .map_err(|_| format!("`{}` is no header name", written.escape_debug()))?;
        let only_once = name == HOST || name == CONTENT_LENGTH;
        if check::is_connection_header(name.as_str()) || (only_once && names.contains(&name)) {
            return Err(format!("the header `{written}` cannot be set"));
        }
        names.push(name);
    }
    let extensions =
        read_back(lines).await.ok_or("the casing of the headers could not be learned")?;
    let order = wire_order(&names);
    Ok(Casing { names, extensions, order })
}

/// Lets hyper read a request with the names of `lines`, and returns what it remembers of it.
async fn read_back(lines: &Lines) -> Option<Extensions> {
    let mut head = String::from("GET / HTTP/1.1\r\n");
    for (name, _) in lines {
        head.push_str(name);
        head.push_str(": 0\r\n");
    }
    head.push_str("\r\n");
    let (mut ours, theirs) = tokio::io::duplex(head.len().max(4096));
    ours.write_all(head.as_bytes()).await.ok()?;
    ours.shutdown().await.ok()?;
    let learned = Mutex::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        *learned.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(request.extensions().clone());
        async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
    });
    // It ends when it has answered and finds the stream at its end; how is of no interest.
    let _ = hyper::server::conn::http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(theirs), service)
        .await;
    learned.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The order in which hyper writes: lines of one name follow the first of them.
fn wire_order(names: &[HeaderName]) -> Option<Vec<usize>> {
    let first = |name| names.iter().position(|other| other == name);
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|index| names.get(*index).and_then(first));
    (!order.is_sorted()).then_some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(names: &[&str]) -> Lines {
        names
            .iter()
            .enumerate()
            .map(|(index, name)| ((*name).to_owned(), index.to_string()))
            .collect()
    }

    #[tokio::test]
    async fn a_list_is_learned_once() {
        let casings = Casings::new();
        let list = lines(&["Host", "X-TN-Signature", "webhook-id", "Content-Length"]);
        let first = casings.of(&list).await.unwrap();
        let second = casings.of(&list).await.unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(first.headers(&list).unwrap().len(), 4);
        assert_eq!(first.ordered(list.clone()), list);
    }

    #[tokio::test]
    async fn lines_of_one_name_follow_each_other() {
        let list = lines(&["Host", "X-Sig", "A", "x-sig", "B"]);
        let casing = Casings::new().of(&list).await.unwrap();
        let ordered: Vec<String> = casing.ordered(list).into_iter().map(|line| line.0).collect();
        assert_eq!(ordered, ["Host", "X-Sig", "x-sig", "A", "B"]);
    }

    #[tokio::test]
    async fn what_would_break_the_message_is_refused() {
        let casings = Casings::new();
        for name in ["Transfer-Encoding", "connection", "Expect", "a b", "a:b", "a\r\nb", "", "é"]
        {
            let error = casings.of(&lines(&["Host", name])).await.err();
            assert!(error.is_some(), "{name:?}");
        }
        assert!(casings.of(&lines(&["Host", "host"])).await.is_err());
        let list = vec![("X-A".to_owned(), "a\r\nX-Injected: 1".to_owned())];
        let error = casings.of(&list).await.unwrap().headers(&list).unwrap_err();
        assert_eq!(error, "the value of the header `X-A` holds a control character");
        let many = vec![("X-A".to_owned(), String::new()); HEADERS_MAX + 1];
        assert!(casings.of(&many).await.is_err());
    }
}
