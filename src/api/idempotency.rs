//! `Idempotency-Key`: a request that is sent again is done once and gets the same answer.
//!
//! A key belongs to the token and the path that it was sent with. The answer of a request that
//! worked is kept (for `idempotency_hours`), encrypted as it may hold a secret; the same key with
//! another body is a conflict. Emitting has keys of its own in the engine, which commits them with
//! the event.

use crate::api::Api;
use crate::api::access::Caller;
use crate::api::refusal::Refusal;
use crate::clock;
use crate::engine::Reply;
use crate::model::check;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use zeroize::Zeroizing;

/// The header's name.
pub(super) const HEADER: &str = "idempotency-key";
/// Bytes of an answer that is kept, at most.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// Requests that wait for another with their key, at most.
const WAITING_MAX: usize = 4;

type Key = [u8; 32];

/// Answers a request that came before as it was answered then.
pub(super) async fn once(api: &Api, request: Request, next: Next) -> Result<Response, Refusal> {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let is_emit = route.is_some_and(|route| route.ends_with("/msg"));
    if request.method() != Method::POST || is_emit {
        return Ok(next.run(request).await);
    }
    match given_key(&request)? {
        None => Ok(next.run(request).await),
        Some(key) => answer(api, key, request, next).await,
    }
}

/// The idempotency key of a request, if it has one.
pub(super) fn text(request_headers: &axum::http::HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(given) = request_headers.get(HEADER) else { return Ok(None) };
    let text = given.to_str().unwrap_or_default();
    match check::check_idempotency_key(text) {
        Ok(()) => Ok(Some(text.to_owned())),
        Err(error) => Err(Refusal::fault(["header", HEADER], error.to_string())),
    }
}

fn given_key(request: &Request) -> Result<Option<Key>, Refusal> {
    let (Some(text), Some(caller)) =
        (text(request.headers())?, request.extensions().get::<Caller>())
    else {
        return Ok(None);
    };
    let parts = [caller.0.id.to_string(), request.uri().path().to_owned(), text];
    Ok(Some(digest(parts.iter().map(String::as_bytes))))
}

async fn answer(api: &Api, key: Key, request: Request, next: Next) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    // Half of the time: the rest is for what is done with the turn.
    let _turn = api.turns.take(key, api.limits.request_time() / 2).await?;
    // In memory and bounded already.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default();
    let request_digest = digest([query.as_bytes(), &*body].into_iter());
    if let Some(kept) = api.engine.reply(&key).await? {
        if kept.request_digest != request_digest {
            return Err(Refusal::conflict(
                "the idempotency key was used for another request: take a new key for a new one",
            ));
        }
        return Ok(repeated(kept));
    }
    let application = parts.extensions.get::<Caller>().and_then(|caller| caller.0.application);
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if !response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    // In memory already; nothing that is streamed answers a POST.
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(_) => return Err(Refusal::unavailable("the answer ended early: try again")),
    };
    if body.len() > ANSWER_MAX_BYTES {
        tracing::warn!(
            bytes = body.len(),
            "an answer is too long to keep: asked again, it is done again"
        );
        return Ok(Response::from_parts(parts, Body::from(body)));
    }
    let kept = Zeroizing::new(body.to_vec());
    let reply = Reply { request_digest, status: parts.status.as_u16(), body: kept };
    if let Err(error) = api.engine.keep_reply(&key, application, reply).await {
        tracing::warn!(%error, "an answer could not be kept: asked again, it would be done again");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn repeated(mut kept: Reply) -> Response {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let is_empty = kept.body.is_empty();
    let mut response =
        (status, Body::from(Bytes::from(std::mem::take(&mut *kept.body)))).into_response();
    if !is_empty {
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
    }
    response
}

fn digest<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Key {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// One request of a key at a time: the second waits and finds the first one's answer.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>);

/// A turn, or the wait for it; the next begins when it is dropped.
struct Turn<'a> {
    turns: &'a Turns,
    key: Key,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the turn of a key, `time` at most.
    async fn take(&self, key: Key, time: Duration) -> Result<Turn<'_>, Refusal> {
        let at_work = || {
            let detail = "the first request with this idempotency key is still at work: try again";
            Refusal::conflict(detail)
        };
        let own = {
            let mut turns = self.lock();
            let own = turns.entry(key).or_default();
            // The table has one, and so has whoever has the turn, and each that waits.
            if Arc::strong_count(own) >= 2 + WAITING_MAX {
                return Err(at_work());
            }
            Arc::clone(own)
        };
        // Before the wait, so that the table forgets the key whoever gives up last.
        let mut turn = Turn { turns: self, key, held: None };
        turn.held = Some(clock::within(time, own.lock_owned()).await.ok_or_else(at_work)?);
        Ok(turn)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<tokio::sync::Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut turns = self.turns.lock();
        // Whoever waits holds one more.
        if turns.get(&self.key).is_some_and(|own| Arc::strong_count(own) == 1) {
            turns.remove(&self.key);
        }
    }
}
