//! Endpoints as they are stored: version 2 is version 1 with all that endpoints have got since
//! behind it, so that what an older release wrote is read as it is.

use super::{decode, whole};
use crate::error::{Error, Result};
use crate::model::{Endpoint, Timestamp};
use serde::{Deserialize, Serialize};

const VERSION: u8 = 2;
const ENDPOINT: &str = "an endpoint";

/// What endpoints have got since version 1.
#[derive(Serialize, Deserialize)]
struct Addition {
    disable_after_failing_days: Option<u16>,
    failing_since: Option<Timestamp>,
}

/// Writes an endpoint.
///
/// # Errors
/// Fails only on a defect.
pub fn encode_endpoint(endpoint: &Endpoint) -> Result<Vec<u8>> {
    let addition = Addition {
        disable_after_failing_days: endpoint.disable_after_failing_days,
        failing_since: endpoint.failing_since,
    };
    postcard::to_extend(&(endpoint, addition), vec![VERSION])
        .map_err(|error| Error::internal("an endpoint could not be written").with_source(error))
}

/// Reads an endpoint.
///
/// # Errors
/// [`ErrorKind::Unreadable`](crate::ErrorKind::Unreadable) for another version or damaged bytes.
pub fn decode_endpoint(bytes: &[u8]) -> Result<Endpoint> {
    let Some((&VERSION, rest)) = bytes.split_first() else {
        return decode(ENDPOINT, bytes);
    };
    let (mut endpoint, addition): (Endpoint, Addition) = whole(ENDPOINT, rest)?;
    endpoint.disable_after_failing_days = addition.disable_after_failing_days;
    endpoint.failing_since = addition.failing_since;
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::codec::encode;
    use serde_json::json;
    use uuid::Uuid;

    fn endpoint() -> Endpoint {
        // Its sealed fields can be made only by the vault, or by reading them.
        serde_json::from_value(json!({
            "id": Uuid::from_u128(1), "application": Uuid::from_u128(2), "name": "", "uid": null,
            "description": "", "url": "https://example.org/", "provider": "standard-webhooks",
            "event_filter": [], "channels": [], "metadata": {}, "settings": {}, "headers": [],
            "rate_limit_per_second": null, "concurrency": 16, "state": "Enabled",
            "authentication": "None", "client_identity": null, "secrets": [],
            "parked_in_a_row": 0, "created_at": 3, "updated_at": 4,
        }))
        .unwrap()
    }

    #[test]
    fn an_endpoint_is_read_as_it_was_written() {
        let mut endpoint = endpoint();
        endpoint.disable_after_failing_days = Some(5);
        endpoint.failing_since = Some(Timestamp::from_millis(7));
        let bytes = encode_endpoint(&endpoint).unwrap();
        assert_eq!(decode_endpoint(&bytes).unwrap(), endpoint);
        assert!(decode_endpoint(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn an_endpoint_of_an_older_release_has_what_came_since_at_its_default() {
        let older = encode(&endpoint()).unwrap();
        assert_eq!(older[0], 1);
        assert_eq!(decode_endpoint(&older).unwrap(), endpoint());
        let newer: Vec<u8> = std::iter::once(3).chain(older[1..].iter().copied()).collect();
        let error = decode_endpoint(&newer).unwrap_err();
        assert!(error.to_string().contains("version 3"), "{error}");
    }
}
