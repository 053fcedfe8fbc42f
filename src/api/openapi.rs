//! The description of the API: OpenAPI 3.1 made from the handlers and their types, and a page to
//! read it and try it with.

use crate::api::refusal::{Fault, HttpError, Refusal, ValidationError};
use crate::api::{idempotency, notices};
use axum::Router;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use utoipa::PartialSchema;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::server::Server;
use utoipa::openapi::{
    Components, Content, InfoBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder,
};
use utoipa::{OpenApi as _, ToSchema};
use utoipa_swagger_ui::SwaggerUi;

/// What every operation may answer besides its own.
const REFUSALS: [(&str, &str); 10] = [
    ("400", "The request could not be read"),
    ("401", "No token, or one that is not known"),
    ("403", "The token may not do this"),
    ("404", "It does not exist, or the token may not see it"),
    ("408", "The body took too long"),
    ("409", "It contradicts what is there"),
    ("413", "The body is too large"),
    ("415", "The body is not JSON"),
    ("429", "Too much at once; `Retry-After` says when to ask again"),
    ("503", "The server cannot now; `Retry-After` says when to ask again"),
];
/// What every path may be answered with before anything reads it, and so without a body.
const UNREADABLE: [(&str, &str); 2] =
    [("414", "The URL is longer than 65,534 bytes"), ("431", "The head is longer than 64 KiB")];
/// Of the refusals, what an operation that needs no token may answer.
const OPEN_REFUSALS: [&str; 1] = ["503"];

const INTRODUCTION: &str = "\
Applications, their endpoints, the messages sent to them, and every attempt at it.

The paths, members and errors are those of Svix's API where hookwheel has a meaning for them, so \
its client libraries work unchanged; give them this server's URL. Wherever a path takes an id, it \
takes the `uid` that the platform gave instead.

Send a token as `Authorization: Bearer hw_…`; `hookwheel token create` makes one. A `POST` with an \
`Idempotency-Key` is done once and answered alike each time it comes again; the same key with \
another body is a conflict.";

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(HttpError, ValidationError, Fault)))]
struct Errors;

/// The document: `closed` needs a token, `open` does not.
pub(super) fn document(mut closed: OpenApi, mut open: OpenApi, public_url: &str) -> OpenApi {
    for (path, item) in &mut closed.paths.paths {
        each_operation(item, |method, operation| {
            complete(operation, path, method, &REFUSALS.map(|(status, _)| status));
            if has_input(operation) {
                refuse_with::<ValidationError>(operation, "422", "Something in it is wrong");
            }
        });
    }
    for (path, item) in &mut open.paths.paths {
        each_operation(item, |method, operation| {
            complete(operation, path, method, &OPEN_REFUSALS);
        });
    }
    closed.merge(open);
    closed.merge(Errors::openapi());
    notices::describe(&mut closed);
    let info = InfoBuilder::new().title("hookwheel").version(env!("CARGO_PKG_VERSION"));
    closed.info = info.description(Some(INTRODUCTION)).build();
    if !public_url.is_empty() {
        closed.servers = Some(vec![Server::new(public_url)]);
    }
    let components = closed.components.get_or_insert_with(Components::new);
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme("token", bearer);
    closed.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    closed
}

fn each_operation(item: &mut PathItem, mut see: impl FnMut(&Method, &mut Operation)) {
    let all = [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::PATCH, &mut item.patch),
        (Method::DELETE, &mut item.delete),
    ];
    for (method, operation) in all {
        if let Some(operation) = operation {
            see(&method, operation);
        }
    }
}

fn has_input(operation: &Operation) -> bool {
    operation.request_body.is_some()
        || operation.parameters.as_ref().is_some_and(|held| {
            held.iter().any(|parameter| match parameter {
                RefOr::T(parameter) => parameter.parameter_in != ParameterIn::Path,
                RefOr::Ref(_) => true,
            })
        })
}

fn complete(operation: &mut Operation, path: &str, method: &Method, statuses: &[&str]) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            // OpenAPI wants a sentence, and most say no more than their schema.
            response.description = match status.as_str() {
                "201" => "It was made",
                _ => "Done",
            }
            .to_owned();
        }
    }
    for (status, meaning) in REFUSALS.iter().filter(|(status, _)| statuses.contains(status)) {
        let is_possible = match *status {
            "404" => path.contains('{') || path.contains("token") || *method != Method::GET,
            "408" | "413" | "415" => operation.request_body.is_some(),
            _ => true,
        };
        if is_possible {
            refuse_with::<HttpError>(operation, status, meaning);
        }
    }
    for (status, meaning) in UNREADABLE {
        let response = ResponseBuilder::new().description(meaning).build();
        operation.responses.responses.insert(status.to_owned(), RefOr::T(response));
    }
    if *method == Method::POST && !statuses.is_empty() {
        operation.parameters.get_or_insert_with(Vec::new).push(RefOr::T(idempotency_key()));
    }
}

fn refuse_with<T: ToSchema + PartialSchema>(
    operation: &mut Operation,
    status: &str,
    meaning: &str,
) {
    let content =
        Content::new(Some(RefOr::<utoipa::openapi::Schema>::Ref(Ref::from_schema_name(T::name()))));
    let response =
        ResponseBuilder::new().description(meaning).content("application/json", content).build();
    operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(response));
}

fn idempotency_key() -> Parameter {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(256))
        .pattern(Some("^[ -~]+$"));
    ParameterBuilder::new()
        .name(idempotency::HEADER)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("A repeated request with this key is done once"))
        .schema(Some(text))
        .build()
}

/// The document as JSON.
pub(super) fn text(document: &OpenApi) -> String {
    document.to_pretty_json().unwrap_or_default()
}

/// The document, at `/api/v1/openapi.json`, and a page to browse it and try it with.
pub(super) fn pages(document: OpenApi) -> Router {
    SwaggerUi::new("/docs").url("/api/v1/openapi.json", document).into()
}

/// The answer to a method that a path does not have.
pub(super) async fn method_not_allowed(method: Method) -> impl IntoResponse {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("`{method}` is not done here: the `Allow` header says what is"),
    )
}
