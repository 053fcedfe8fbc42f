//! Values that are set in a JSON object by path, all of them in one pass over its text.

use crate::error::Result;
use crate::provider::json;

/// What is set in an object: by name, in the order in which they were given.
#[derive(Default)]
pub(super) struct Overlay(Vec<(String, Change)>);

/// What becomes of a member.
enum Change {
    /// A value of its own, which is JSON.
    Value(String),
    /// Members of its own are set.
    Within(Overlay),
}

impl Overlay {
    /// Sets the member at `path` to `value`, which is JSON, below what was set before. A path
    /// without names sets nothing.
    ///
    /// # Errors
    /// Refuses a path that leads through something that was set and is no object.
    pub fn set(&mut self, path: &[String], value: &str) -> Result<()> {
        let Some((name, rest)) = path.split_first() else { return Ok(()) };
        let held = self.0.iter_mut().find(|(held, _)| held == name).map(|(_, change)| change);
        match (held, rest) {
            (Some(change), []) => *change = Change::Value(value.to_owned()),
            (Some(Change::Within(inner)), _) => inner.set(rest, value)?,
            (Some(Change::Value(held)), _) => {
                let path: Vec<&str> = rest.iter().map(String::as_str).collect();
                *held = json::set(held, &path, value)?;
            }
            (None, []) => self.0.push((name.clone(), Change::Value(value.to_owned()))),
            (None, _) => {
                let mut inner = Self::default();
                inner.set(rest, value)?;
                self.0.push((name.clone(), Change::Within(inner)));
            }
        }
        Ok(())
    }

    /// The object `json` with all of it set. What is not set stays as it is written.
    ///
    /// # Errors
    /// Refuses a path that leads through something that is no object.
    pub fn on(&self, json: &str) -> Result<String> {
        let mut out = String::with_capacity(json.len() * 2);
        self.write(&mut out, json)?;
        Ok(out)
    }

    fn write(&self, out: &mut String, json: &str) -> Result<()> {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        json::change(out, json, &names, |out, index, held| {
            match self.0.get(index).map(|(_, change)| change) {
                Some(Change::Value(value)) => out.push_str(value),
                Some(Change::Within(inner)) => inner.write(out, held)?,
                None => {}
            }
            Ok(())
        })
    }
}
