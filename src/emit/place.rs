//! Which endpoints of an application an event goes to.

use crate::dispatch::recipient::Recipient;
use crate::model::{EndpointState, Event, Reach, SkipReason};
use crate::store::Place;

/// Where the delivery of `event` to an endpoint goes if its lane has room; `None` when the endpoint
/// does not want it.
pub(super) fn place<'a>(
    recipient: &'a Recipient,
    event: &Event,
    verdicts: &mut Verdicts<'a>,
    reach: &mut Reach,
) -> Option<Place> {
    let endpoint = &recipient.endpoint;
    if !endpoint.wants_type(event) {
        reach.filtered_by_type += 1;
        return None;
    }
    if !endpoint.wants_channel(event) {
        reach.filtered_by_channel += 1;
        return None;
    }
    if matches!(endpoint.state, EndpointState::Disabled { .. } | EndpointState::Deleted { .. }) {
        reach.disabled += 1;
        return Some(Place::Skipped(SkipReason::EndpointDisabled));
    }
    if !verdicts.of(&endpoint.provider, || recipient.provider.check_event(event).is_ok()) {
        reach.unfit += 1;
        return Some(Place::Skipped(SkipReason::UnfitForProvider));
    }
    reach.delivered += 1;
    Some(Place::Fresh)
}

/// Whether a provider, by its name, can carry an event: an application has many endpoints and few
/// providers, and for some a look means a pass over the event's data.
#[derive(Default)]
pub(super) struct Verdicts<'a>(Vec<(&'a str, bool)>);

impl<'a> Verdicts<'a> {
    /// The verdict on `provider`, which `check` is asked for once.
    fn of(&mut self, provider: &'a str, check: impl FnOnce() -> bool) -> bool {
        let held = self.0.iter().find(|(held, _)| *held == provider);
        if let Some((_, verdict)) = held {
            return *verdict;
        }
        let verdict = check();
        self.0.push((provider, verdict));
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_looked_at_once_for_each_provider_and_not_for_each_endpoint() {
        let mut verdicts = Verdicts::default();
        let mut asked = Vec::new();
        for provider in ["yoco", "gocardless", "yoco", "yoco", "gocardless"] {
            let fits = verdicts.of(provider, || {
                asked.push(provider);
                provider == "yoco"
            });
            assert_eq!(fits, provider == "yoco");
        }
        assert_eq!(asked, ["yoco", "gocardless"]);
    }
}
