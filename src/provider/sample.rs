//! Sample events: what a provider's events look like, for test events and simulations.

use crate::error::{Error, Result};
use crate::model::payload::DEPTH_MAX;
use crate::model::{EventType, Payload, RawJson};
use crate::provider::json;
use crate::provider::overlay::Overlay;
use serde_json::Value;

/// Overrides of one sample: each is compared with those before it.
const OVERRIDES_MAX: usize = 64;

/// The samples of a provider.
pub(super) struct Samples {
    /// The member of the data that variants fill, and the members by which one is chosen.
    pub variants: Option<(String, Vec<String>)>,
    /// What the envelope calls the data, as a path, where it has a name for it.
    pub data_path: Option<Vec<String>>,
    pub samples: Vec<Sample>,
}

/// One event type's sample.
pub(super) struct Sample {
    pub event_type: EventType,
    /// A JSON object.
    pub data: String,
    /// JSON objects.
    pub variants: Vec<String>,
}

impl Samples {
    /// The sample of `event_type` with `overrides` set on top: dotted paths or JSON pointers
    /// (RFC 6901), and values. Overrides of members that tell variants apart choose the variant.
    /// The envelope's name for the data may stand in front of a path.
    pub fn sample(&self, event_type: &str, overrides: &[(String, RawJson)]) -> Result<Payload> {
        let Some(sample) = self.samples.iter().find(|held| held.event_type.as_str() == event_type)
        else {
            let known: Vec<&str> =
                self.samples.iter().map(|sample| sample.event_type.as_str()).collect();
            return Err(Error::not_found(format!(
                "event type `{}` has no sample: known are {}",
                event_type.escape_debug(),
                known.join(", ")
            )));
        };
        if overrides.len() > OVERRIDES_MAX {
            return Err(Error::invalid(format!(
                "{} values are set in the sample: {OVERRIDES_MAX} is the most",
                overrides.len()
            )));
        }
        let mut given: Vec<(Vec<String>, &RawJson)> = Vec::with_capacity(overrides.len());
        for (path, value) in overrides {
            let path = self.in_data(steps(path)?, &sample.data);
            // The last word on a path counts, also where it chooses a variant.
            given.retain(|(held, _)| *held != path);
            given.push((path, value));
        }
        let overrides = given;
        let mut data = sample.data.clone();
        if let Some((member, by)) = &self.variants
            && !sample.variants.is_empty()
        {
            let wanted: Vec<(&str, String)> = overrides
                .iter()
                .filter_map(|(path, value)| match path.as_slice() {
                    [first, name] if first == member => Some((name.as_str(), plain(value))),
                    _ => None,
                })
                .collect();
            let variant = self.choose(sample, member, by, &wanted)?;
            data = json::set(&data, &[member], variant)?;
        }
        let mut overlay = Overlay::default();
        for (path, value) in &overrides {
            overlay.set(path, value.as_str())?;
        }
        Payload::from_text(overlay.on(&data)?)
    }

    /// The path below the data: without the envelope's name for that, unless a member of the data
    /// is called so too.
    fn in_data(&self, mut path: Vec<String>, data: &str) -> Vec<String> {
        if let Some(prefix) = &self.data_path
            && path.len() > prefix.len()
            && path.starts_with(prefix)
            && path.first().is_some_and(|first| json::get(data, &[first]).is_none())
        {
            path.drain(..prefix.len());
        }
        path
    }

    /// The first variant that fits `wanted`; of several, the one that agrees in most.
    fn choose<'a>(
        &self,
        sample: &'a Sample,
        member: &str,
        by: &[String],
        wanted: &[(&str, String)],
    ) -> Result<&'a str> {
        // A member that some variant of the provider has belongs only to those that have it.
        let known = |name: &str| {
            let all = self.samples.iter().flat_map(|sample| &sample.variants);
            all.into_iter().any(|variant| json::get(variant, &[name]).is_some())
        };
        let mut candidates: Vec<&str> = sample.variants.iter().map(String::as_str).collect();
        for (name, value) in wanted {
            let chooses = by.iter().any(|by| by == name);
            let fits = |variant: &str| match json::get(variant, &[name]) {
                Some(held) => !chooses || held == value,
                None => !chooses && !known(name),
            };
            let fitting: Vec<&str> =
                candidates.iter().copied().filter(|variant| fits(variant)).collect();
            if fitting.is_empty() {
                return Err(no_variant(sample, member, name, value, chooses, &candidates));
            }
            candidates = fitting;
        }
        let agreement = |variant: &str| {
            let agrees =
                |(name, value): &&(&str, String)| json::get(variant, &[name]) == Some(value);
            wanted.iter().filter(agrees).count()
        };
        // `max_by_key` keeps the last of equals; the file's order says which is the usual one.
        candidates
            .into_iter()
            .rev()
            .max_by_key(|variant| agreement(variant))
            .ok_or_else(|| Error::internal("a sample without variants was asked for one"))
    }
}

/// A value as samples write theirs, however it was written.
fn plain(value: &RawJson) -> String {
    let text = value.as_str();
    serde_json::from_str(text).map_or_else(|_| text.to_owned(), |value: Value| value.to_string())
}

fn no_variant(
    sample: &Sample,
    member: &str,
    name: &str,
    value: &str,
    chooses: bool,
    candidates: &[&str],
) -> Error {
    let event_type = &sample.event_type;
    if !chooses {
        return Error::invalid(format!(
            "`{member}.{name}` does not belong to this variant of `{event_type}`: leave it out"
        ));
    }
    let mut possible: Vec<&str> =
        candidates.iter().filter_map(|variant| json::get(variant, &[name])).collect();
    possible.sort_unstable();
    possible.dedup();
    Error::invalid(format!(
        "`{member}.{name}` of `{event_type}` cannot be {value}: possible are {}",
        possible.join(", ")
    ))
}

/// A JSON object with values set on top: dotted paths (`details.cause`) or JSON pointers (RFC 6901),
/// and values. What is not set stays as it is written, byte for byte.
///
/// # Errors
/// Refuses what is no JSON object, and paths that are none or lead through a value that is no
/// object.
pub fn overridden(data: &str, overrides: &[(String, RawJson)]) -> Result<Payload> {
    let data = Payload::from_text(data)?;
    let mut overlay = Overlay::default();
    for (path, value) in overrides {
        overlay.set(&steps(path)?, value.as_str())?;
    }
    Payload::from_text(overlay.on(data.as_str())?)
}

/// The member names of a dotted path (`details.cause`) or a JSON pointer (`/details/cause`).
fn steps(path: &str) -> Result<Vec<String>> {
    let steps: Vec<String> = match path.strip_prefix('/') {
        Some(pointer) => {
            pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
        }
        None => path.split('.').map(str::to_owned).collect(),
    };
    let too_deep = steps.len() > DEPTH_MAX;
    if too_deep || path.is_empty() || (!path.starts_with('/') && steps.iter().any(String::is_empty))
    {
        return Err(Error::invalid(format!(
            "path `{}` is not one: expected `metadata.checkoutId` or `/metadata/checkoutId`",
            path.chars().take(64).collect::<String>().escape_debug()
        )));
    }
    Ok(steps)
}
