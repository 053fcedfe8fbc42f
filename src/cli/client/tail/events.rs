//! Server-sent events (WHATWG HTML, section 9.2), taken out of a stream of bytes.

use crate::cli::client::Refusal;
use serde::de::DeserializeOwned;

/// Bytes of one event at most: an attempt with its bodies is far smaller.
const EVENT_MAX_BYTES: usize = 8 * 1024 * 1024;

/// One event.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Event {
    /// What it is.
    pub name: String,
    /// What it says.
    pub data: String,
}

impl Event {
    /// What it says, as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_str(&self.data)
            .map_err(|error| Refusal::unreachable(format!("an event is no JSON: {error}")))
    }
}

/// What has come of a stream and is no whole event yet.
#[derive(Default)]
pub struct Events {
    line: Vec<u8>,
    event: Event,
}

impl Events {
    /// Takes the next bytes; the events that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Refusal> {
        let mut complete = Vec::new();
        let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = lines.next() {
            self.line.extend_from_slice(part);
            if self.line.len() + self.event.data.len() > EVENT_MAX_BYTES {
                return Err(Refusal::unreachable("an event is longer than any can be"));
            }
            if lines.peek().is_some() {
                let line = std::mem::take(&mut self.line);
                complete.extend(self.end_line(&String::from_utf8_lossy(&line)));
            }
        }
        Ok(complete)
    }

    fn end_line(&mut self, line: &str) -> Option<Event> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Some(std::mem::take(&mut self.event)).filter(|event| !event.data.is_empty());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments keep the connection alive; ids and times to wait are not for us.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_whole_however_the_bytes_are_cut() {
        let stream = ": hello\n\nevent: attempt\r\nid: 7\r\ndata: {\"ü\":\r\ndata: 1}\r\n\r\n\
                      data:two\n\nevent: none\n\n"
            .as_bytes();
        for size in 1..stream.len() {
            let mut events = Events::default();
            let parts = stream.chunks(size).map(|part| events.push(part).unwrap());
            let found: Vec<Event> = parts.flatten().collect();
            assert_eq!(found.len(), 2, "{size}");
            assert_eq!(found[0].name, "attempt");
            assert_eq!(found[0].json::<serde_json::Value>().unwrap()["ü"], 1);
            assert_eq!(found[1], Event { name: String::new(), data: "two".to_owned() });
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut events = Events::default();
        let part = [b'x'; 1024 * 1024];
        assert!((0..9).any(|_| events.push(&part).is_err()));
    }
}
