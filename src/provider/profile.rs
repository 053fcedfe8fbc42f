//! A provider file as it is written: the fields, their types and their defaults. What they
//! contradict is found in `load.rs`.

use crate::provider::consumer::Subject;
use crate::provider::encoding::Encoding;
use crate::provider::envelope::Fields;
use crate::provider::template::Template;
use crate::provider::value::{HeaderName, Span, StatusRange};
use crate::provider::wire_id::WireId;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub name: String,
    pub title: String,
    pub source: String,
    pub request: Request,
    #[serde(default)]
    pub sign: Vec<Sign>,
    pub envelope: EnvelopeFields,
    pub ids: IdForms,
    pub delivery: Delivery,
    pub schedule: Retries,
    pub secret: SecretPolicy,
    pub challenge: Option<ChallengeFields>,
    pub test: Test,
    pub consumer: Option<ConsumerFields>,
    #[serde(default)]
    pub variants: Option<Variants>,
    #[serde(default)]
    pub sample: Vec<SampleFields>,
    #[serde(default)]
    pub scenario: Vec<ScenarioFields>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// Names and values in the order and casing of the wire; signature headers follow them.
    pub headers: Vec<(HeaderName, Template)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sign {
    /// What a secret of this kind is stored under.
    pub scheme: String,
    pub algorithm: Algorithm,
    pub header: HeaderName,
    /// The signed bytes.
    pub content: Template,
    pub encoding: Encoding,
    /// One signature in the header's value.
    pub value: Option<Template>,
    /// What stands between several signatures in one header.
    pub separator: Option<String>,
    pub secret: SecretFields,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Algorithm {
    HmacSha256,
    Ed25519,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretFields {
    #[serde(default)]
    pub prefix: String,
    /// Only with ed25519: what the text of the public key begins with.
    pub public_prefix: Option<String>,
    pub encoding: SecretEncoding,
    /// Random bytes of a new secret; with `alnum`, its characters.
    pub bytes: usize,
    pub key: KeyFrom,
    /// Least and most bytes of the key that a given secret may have.
    pub given: (usize, usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SecretEncoding {
    Hex,
    Base64,
    Base64url,
    Alnum,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum KeyFrom {
    /// The bytes of the secret's text are the key.
    Text,
    /// What stands behind the prefix is decoded to get the key.
    Decoded,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnvelopeFields {
    pub fields: Fields,
    /// The fields of one event of a batch.
    pub item: Option<Fields>,
    pub batch_max: Option<usize>,
    /// Whether the body changes with every attempt.
    #[serde(default)]
    pub restamp: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdForms {
    pub event: WireId,
    /// Also `{id}`; the event's form when left out.
    pub webhook: Option<WireId>,
    /// The form of a test event's id, where it differs.
    pub test_event: Option<WireId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delivery {
    pub success: Vec<StatusRange>,
    pub timeout: Span,
    pub https_only: bool,
    #[serde(default)]
    pub client_certificate: bool,
    #[serde(default)]
    pub authentication: Vec<AuthenticationKind>,
    pub exhausted: Exhausted,
    #[serde(default)]
    pub gone: Gone,
}

/// A way of authenticating towards an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthenticationKind {
    /// Not at all.
    None,
    /// `Authorization: Basic`.
    Basic,
    /// A header of the endpoint's choice.
    Header,
    /// OAuth 2.0 client credentials.
    Oauth2,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Exhausted {
    Fail,
    Park,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Gone {
    #[default]
    Retry,
    Disable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retries {
    pub delays: Option<Vec<Span>>,
    pub exponential: Option<Exponential>,
    #[serde(default)]
    pub jitter: f64,
    /// Given when `Retry-After` is honoured: up to this long.
    pub retry_after_max: Option<Span>,
    pub throttle: Option<ThrottleFields>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exponential {
    pub first: Span,
    pub factor: f64,
    pub cap: Span,
    pub attempts: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ThrottleFields {
    pub statuses: Vec<u16>,
    pub delay: Span,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretPolicy {
    pub owner: SecretOwner,
    pub shown: SecretShown,
    pub rotation: Rotation,
}

/// Whose a signing secret is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretOwner {
    /// One endpoint's.
    Endpoint,
    /// The whole application's: all its endpoints of the provider share it.
    Application,
}

/// How often a secret is shown to its owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretShown {
    /// Whenever the owner asks.
    Always,
    /// When it is made, and never again.
    Once,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Rotation {
    /// Old and new secret both sign for a while.
    Overlap,
    /// From one webhook to the next only the new one signs.
    Switch,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChallengeFields {
    pub on: Vec<Moment>,
    /// The query parameter that carries the random text.
    pub query: String,
    /// Letters and digits of the random text.
    pub characters: usize,
    pub headers: Vec<(HeaderName, Template)>,
    pub success: Vec<StatusRange>,
    pub answer: Answer,
    pub probe: Probe,
}

/// When an endpoint has to prove that it is its owner's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// It is registered.
    Create,
    /// Its URL changes.
    UrlChange,
    /// It was parked and may be served again.
    Resume,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    pub header: HeaderName,
    pub content: Template,
    pub encoding: Encoding,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Probe {
    pub first: Span,
    pub factor: f64,
    pub cap: Span,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    /// The type of a test event when none is asked for.
    pub event: String,
    /// The types that a test event may have, and nothing but a test event has; any when left out.
    pub only: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsumerFields {
    /// How old a webhook may be.
    pub stale_after: Option<Span>,
    /// How far ahead of the consumer's time it may be.
    pub future_after: Option<Span>,
    /// The header or field that stays the same when an event comes again.
    pub duplicates: Option<String>,
    /// The statuses that answer what is not genuine.
    #[serde(default)]
    pub refusal: Vec<StatusRange>,
    /// The member of the data that tells a consumer's own events.
    pub own: Option<String>,
    /// Members of the data that name the thing which an event is about.
    #[serde(default)]
    pub things: Vec<String>,
    /// Types that follow one another, each with the member of the data that names the thing.
    #[serde(default)]
    pub sequence: Vec<(String, String)>,
    #[serde(default)]
    pub rule: Vec<RuleFields>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFields {
    pub about: Vec<Subject>,
    /// The heading on the page.
    pub section: String,
    /// The page, where it is not `source`.
    pub url: Option<String>,
    /// The page's own words.
    pub words: Option<String>,
    /// Whether the page demands it; else it is advice.
    #[serde(default)]
    pub must: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variants {
    /// The member of a sample's data that its variants fill.
    pub member: String,
    /// The members of a variant by which one is chosen.
    pub by: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SampleFields {
    #[serde(rename = "type")]
    pub event_type: String,
    /// JSON.
    pub data: String,
    /// One JSON object a line.
    pub variants: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScenarioFields {
    pub name: String,
    pub title: String,
    /// The section of the page.
    pub source: String,
    /// Made anew each time it is played; `{name}` in the values that are set stands for one.
    #[serde(default)]
    pub ids: BTreeMap<String, WireId>,
    /// Values for every step.
    #[serde(default)]
    pub set: toml::Table,
    pub steps: Vec<StepFields>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepFields {
    #[serde(rename = "type")]
    pub event_type: String,
    /// After the first attempt of the step before came back.
    pub after: Option<Span>,
    #[serde(default)]
    pub set: toml::Table,
    #[serde(default)]
    pub test: bool,
}
