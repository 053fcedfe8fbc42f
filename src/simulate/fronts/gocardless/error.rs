//! Errors in GoCardless' shape, of its four types.

use crate::chance::fill_random;
use crate::error::{Error, ErrorKind};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Builder;

/// An error as the API answers it.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    /// `invalid_api_usage`, `invalid_state`, `validation_failed` or `gocardless`.
    kind: &'static str,
    /// The anchor of its documentation.
    anchor: &'static str,
    message: String,
    /// What exactly is wrong: one object.
    detail: Value,
}

impl Problem {
    /// The request was not made the way the API is used.
    pub fn usage(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self::of(status, "invalid_api_usage", reason, message.into())
    }

    /// What is asked for cannot be done to the resource as it stands.
    pub fn state(reason: &'static str, message: impl Into<String>) -> Self {
        Self::of(StatusCode::UNPROCESSABLE_ENTITY, "invalid_state", reason, message.into())
    }

    /// `field`, at `pointer` in the request, holds what it cannot.
    pub fn validation(field: &str, pointer: &str, message: &str) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            kind: "validation_failed",
            anchor: "validation_failed",
            message: "Validation failed".to_owned(),
            detail: json!({ "field": field, "message": message, "request_pointer": pointer }),
        }
    }

    /// The resource is not there, or somebody else's.
    pub fn no_resource(message: impl Into<String>) -> Self {
        Self::usage(StatusCode::NOT_FOUND, "resource_not_found", message)
    }

    /// The API has no such path, or the front does not have it.
    pub fn no_path() -> Self {
        Self::usage(StatusCode::NOT_FOUND, "not_found", "not found")
    }

    /// The path is there, and not for this method.
    pub fn no_method() -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::usage(status, "method_not_allowed", "Method not allowed")
    }

    /// The request was not over in time.
    pub fn timed_out() -> Self {
        let status = StatusCode::REQUEST_TIMEOUT;
        Self::of(status, "gocardless", "request_timed_out", "Request timed out".to_owned())
    }

    fn of(status: StatusCode, kind: &'static str, reason: &'static str, message: String) -> Self {
        let detail = json!({ "reason": reason, "message": message });
        Self { status, kind, anchor: reason, message, detail }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::no_resource(error.to_string()),
            ErrorKind::Conflict => Self::state("invalid_state", error.to_string()),
            ErrorKind::Invalid | ErrorKind::AddressRefused => {
                Self::usage(StatusCode::BAD_REQUEST, "bad_request", error.to_string())
            }
            ErrorKind::Unavailable | ErrorKind::Closed => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Self::of(status, "gocardless", "internal_server_error", error.to_string())
            }
            _ => {
                tracing::error!(%error, "the GoCardless front failed");
                let message = "An internal error occurred".to_owned();
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Self::of(status, "gocardless", "internal_server_error", message)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut random = [0; 16];
        // Without random numbers the id is the nil one, and the error still tells what is wrong.
        let request_id = match fill_random(&mut random) {
            Ok(()) => Builder::from_random_bytes(random).into_uuid(),
            Err(_) => uuid::Uuid::nil(),
        };
        let anchor = self.anchor;
        let body = json!({
            "error": {
                "type": self.kind,
                "code": self.status.as_u16(),
                "message": self.message,
                "errors": [self.detail],
                "documentation_url":
                    format!("https://developer.gocardless.com/api-reference#{anchor}"),
                "request_id": request_id,
            }
        });
        (self.status, Json(body)).into_response()
    }
}
