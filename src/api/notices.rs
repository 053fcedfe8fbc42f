//! The notices that the engine sends, for the description of the API.

use crate::engine::notices::{
    DISABLED, EndpointDisabledNotice, LastAttempt, MessageAttemptNotice, NOTICES,
};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItem, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Required, ResponseBuilder, Schema};
use utoipa::{OpenApi as _, ToSchema};

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(EndpointDisabledNotice, MessageAttemptNotice, LastAttempt)))]
struct Notices;

/// Adds the notices to a document.
pub(super) fn describe(document: &mut OpenApi) {
    document.merge(Notices::openapi());
    let mut webhooks = PathsBuilder::new();
    for (name, occasion) in NOTICES {
        webhooks = webhooks.path(name, PathItem::new(HttpMethod::Post, notice(name, occasion)));
    }
    document.webhooks = Some(webhooks.build());
}

fn notice(name: &str, occasion: &str) -> OperationBuilder {
    let data = match name {
        DISABLED => EndpointDisabledNotice::name(),
        _ => MessageAttemptNotice::name(),
    };
    let body = ObjectBuilder::new()
        .property("type", ObjectBuilder::new().schema_type(Type::String).enum_values(Some([name])))
        .property(
            "timestamp",
            ObjectBuilder::new()
                .schema_type(Type::String)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
        )
        .property("data", Ref::from_schema_name(data))
        .required("type")
        .required("timestamp")
        .required("data");
    let content = Content::new(Some(RefOr::<Schema>::T(body.into())));
    let request = RequestBodyBuilder::new()
        .content("application/json", content)
        .required(Some(Required::True))
        .build();
    OperationBuilder::new()
        .operation_id(Some(name))
        .summary(Some(occasion))
        .description(Some(
            "To endpoints of the application that `notices_application` names, in the form of \
             Standard Webhooks.",
        ))
        .tag("Notices")
        .request_body(Some(request))
        .response("2XX", ResponseBuilder::new().description("It has arrived"))
}
