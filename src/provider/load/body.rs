//! The envelope: which expressions may stand where, and the compiled shapes.

use super::Loader;
use crate::error::Result;
use crate::provider::envelope::{Expression, Fields, Shape};
use crate::provider::profile::EnvelopeFields;
use crate::provider::render::{Batch, Body};

impl Loader<'_> {
    pub(super) fn body(&self, envelope: &EnvelopeFields) -> Result<Body> {
        let shape = |path: &str, fields: &Fields| {
            Shape::compile(fields).map_err(|(index, message)| {
                self.source.fault(&format!("envelope.{path}[{index}]"), message)
            })
        };
        let all = || envelope.fields.iter().chain(envelope.item.iter().flatten());
        let restamped = all().any(|(_, expression)| {
            matches!(expression, Expression::AttemptTime(_) | Expression::AttemptNumber)
        });
        if restamped != envelope.restamp {
            return self.fault(
                "envelope.restamp",
                if restamped {
                    "a field holds the attempt's time or number, so the body changes with every \
                     attempt: set it to true"
                } else {
                    "no field holds the attempt's time or number: leave it out"
                },
            );
        }
        for (name, fields) in [("fields", Some(&envelope.fields)), ("item", envelope.item.as_ref())]
        {
            let of_batch = name == "fields" && envelope.batch_max.is_some();
            for (index, (_, expression)) in fields.into_iter().flatten().enumerate() {
                let fits = matches!(
                    expression,
                    Expression::Items
                        | Expression::WebhookId
                        | Expression::AttemptTime(_)
                        | Expression::AttemptNumber
                );
                let path = format!("envelope.{name}[{index}]");
                if of_batch && !fits {
                    return self.fault(&path, "what an event says belongs to `item` in a batch");
                }
                if !of_batch && *expression == Expression::Items {
                    return self.fault(&path, "`items` needs a batch: set `batch_max` and `item`");
                }
            }
        }
        let batch = match (&envelope.item, envelope.batch_max) {
            (Some(item), Some(events_max @ 1..=10_000)) => {
                if !envelope.fields.iter().any(|(_, held)| *held == Expression::Items) {
                    return self.fault("envelope.fields", "a batch needs a field that is `items`");
                }
                Some(Batch { item: shape("item", item)?, events_max })
            }
            (Some(_), Some(_)) => {
                return self.fault("envelope.batch_max", "expected 1 to 10000 events");
            }
            (None, None) => None,
            (None, Some(_)) => {
                return self
                    .fault("envelope.batch_max", "a batch needs `item`, one event's fields");
            }
            (Some(_), None) => {
                return self.fault("envelope.item", "only a batch has items: set `batch_max`");
            }
        };
        let fields = shape("fields", &envelope.fields)?;
        Ok(Body { fields, batch, restamp: envelope.restamp })
    }
}
