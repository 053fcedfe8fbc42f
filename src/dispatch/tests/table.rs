//! The table of URLs: what is said of each when it is registered, and again at the connection.

use super::names::{Fixed, Trap};
use super::*;
use crate::dispatch::connection::Deadline;
use crate::dispatch::target::Origin;
use crate::error::{Error, ErrorKind};
use std::net::IpAddr;
use url::Url;
use urls::Row;

#[path = "../../../tests/data/urls.rs"]
mod urls;

#[test]
fn every_url_gets_its_verdict_when_it_is_registered() {
    let egress = Egress::new(&EgressConfig::default()).unwrap();
    let rows = urls::rows();
    for Row { registered, url, .. } in &rows {
        let checked = egress.check_url(url, false);
        let expected = match registered.kind {
            "ok" => None,
            "refused" => Some(ErrorKind::AddressRefused),
            "invalid" => Some(ErrorKind::Invalid),
            other => panic!("unknown verdict {other}"),
        };
        let found = checked.as_ref().err().map(Error::kind);
        assert_eq!(found, expected, "{url:?}: {checked:?}");
        if let Err(error) = &checked {
            assert!(error.to_string().contains(registered.reason), "{url:?}: {error}");
        }
    }
    assert!(rows.len() >= 200, "{} URLs", rows.len());
}

/// Where `url` leads, as if nobody had looked at it before, but at `port`.
fn origin(url: &str, port: u16) -> Origin {
    let host = Url::parse(url).unwrap().host().unwrap().to_owned();
    Origin { https: false, host, port }
}

/// The addresses that a connection may go to: the URL's own, or those of the answer.
fn allowed(row: &Row, origin: &Origin) -> Vec<IpAddr> {
    let answered = row.answer.iter().filter(|(_, used)| *used).map(|(address, _)| *address);
    let addresses = origin.address().map_or_else(|| answered.collect(), |address| vec![address]);
    addresses.iter().map(IpAddr::to_canonical).collect()
}

/// Nothing outside this machine is asked for anything: where a connection may be made, none is.
async fn check_connection(row: &Row, trap: &Trap) {
    let url = &row.url;
    let resolver = Fixed(row.answer.iter().map(|(address, _)| *address).collect());
    let egress = Egress::with_resolver(&EgressConfig::default(), resolver).unwrap();
    if row.connected.kind == "never" {
        let failure = failed(egress.exchange(post(url)).await);
        return assert_kind(&failure, FailureKind::Unsendable);
    }
    let origin = origin(url, trap.port());
    let mut deadline = Deadline::after(Duration::from_secs(10));
    let found = egress.0.addresses(&origin, None, &mut deadline).await;
    let kind = match row.connected.kind {
        "ok" => {
            let found: Vec<IpAddr> = found.unwrap().iter().map(|held| held.ip()).collect();
            return assert_eq!(found, allowed(row, &origin), "{url:?}");
        }
        "refused" => FailureKind::AddressNotAllowed,
        "none" => FailureKind::Dns,
        other => panic!("unknown verdict {other}"),
    };
    let failure = found.unwrap_err();
    assert_eq!(failure.kind, kind, "{url:?}: {failure}");
    assert!(failure.detail.contains(row.connected.reason), "{url:?}: {failure}");
    let connected = egress.0.connect(&origin, None, None, &mut deadline).await;
    assert_eq!(connected.err().map(|failure| failure.kind), Some(kind), "{url:?}");
    let failure = failed(egress.exchange(post(url)).await);
    assert_eq!(failure.kind, kind, "{url:?}: {failure}");
}

#[tokio::test]
async fn every_url_gets_its_verdict_again_when_it_is_connected_to() {
    for trap in [Trap::at("127.0.0.1"), Trap::at("::1")] {
        for row in urls::rows() {
            check_connection(&row, &trap).await;
        }
        assert!(trap.is_untouched());
    }
}
