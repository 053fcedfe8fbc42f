//! What is emitted, in which order.

use super::Plan;
use crate::chance::Chance;
use crate::error::{Error, Result};
use crate::model::{EventType, Payload};
use crate::provider::{Provider, Scenario};
use crate::simulate::faults::{Fault, Faults, altered, unheard_of};
use serde_json::Value;
use std::time::Duration;

/// Bytes of a scenario file at most.
const FILE_MAX_BYTES: u64 = 1024 * 1024;
/// Further events of a burst, at least and at most.
const BURST: (usize, usize) = (8, 16);
/// Further events in a webhook or beside it, at least and at most.
const FURTHER: (usize, usize) = (2, 5);

/// Everything that is emitted, worked out as it is needed: a million events cost no memory.
pub(super) struct Programme {
    /// The events, in turn.
    items: Vec<Item>,
    /// Samples of all types, for events that come with others.
    samples: Vec<(EventType, Payload)>,
    /// How many turns there are.
    pub turns: usize,
    /// The numbers of the events in the order of their turns, where that is not their own.
    order: Option<Vec<usize>>,
    faults: Faults,
}

struct Item {
    event_type: EventType,
    data: Payload,
    after: Duration,
    test: bool,
}

/// Events that belong to one turn.
pub(super) struct Turn {
    /// What is emitted, one group after the other; a group goes at once.
    pub groups: Vec<Vec<Planned>>,
    /// What is forged beside it.
    pub forgeries: Vec<Fault>,
}

/// An event to be emitted.
#[derive(Clone)]
pub(super) struct Planned {
    pub event_type: EventType,
    pub data: Payload,
    /// Whether it is a test event, sent once.
    pub test: bool,
    /// What goes wrong with it.
    pub faults: Vec<Fault>,
}

impl Programme {
    /// Works out what `plan` asks for.
    ///
    /// # Errors
    /// Refuses what the provider has no sample of, values that fit no sample, a scenario that is
    /// unknown or wrong, and faults that cannot be played.
    pub(super) fn new(provider: &Provider, plan: &Plan, chance: &Chance) -> Result<Self> {
        let items = match &plan.scenario {
            Some(name) => scenario_items(provider, plan, name, chance)?,
            None => sample_items(provider, plan)?,
        };
        if items.is_empty() {
            return Err(Error::invalid(format!(
                "{} has no sample events: its file needs a `[[sample]]`",
                provider.title()
            )));
        }
        let turns = plan.count.unwrap_or(items.len());
        let faults =
            Faults::new(&plan.faults, provider, plan.old_secret.is_some(), turns, chance.clone())?;
        let mut programme = Self { items, samples: Vec::new(), turns, order: None, faults };
        if !programme.faults.is_empty() {
            for event_type in provider.event_types() {
                let data = provider.sample(event_type.as_str(), &[])?;
                programme.samples.push((event_type.clone(), data));
            }
            programme.order = Some(programme.reordered()?);
        }
        Ok(programme)
    }

    /// Whether every event goes as it is, so that nothing hinders them to go side by side.
    pub(super) fn is_plain(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether `fault` is played.
    pub(super) fn plays(&self, fault: Fault) -> bool {
        self.faults.contain(fault)
    }

    /// How long after the turn before the turn called `number` begins, by the schedule's time.
    pub(super) fn after(&self, number: usize) -> Result<Duration> {
        Ok(self.item(number)?.after)
    }

    /// How many events it emits in all.
    pub(super) fn events(&self) -> Result<usize> {
        if self.is_plain() {
            return Ok(self.turns);
        }
        let mut events = 0;
        for turn in 0..self.turns {
            events += self.turn(turn)?.groups.iter().map(Vec::len).sum::<usize>();
        }
        Ok(events)
    }

    /// What is emitted in the turn called `number`, from 0.
    ///
    /// # Errors
    /// Refuses data that a fault cannot be put into.
    pub(super) fn turn(&self, number: usize) -> Result<Turn> {
        let source = self.order.as_ref().and_then(|order| order.get(number)).copied();
        let number = source.unwrap_or(number);
        let item = self.item(number)?;
        let plain = |faults| Planned {
            event_type: item.event_type.clone(),
            data: item.data.clone(),
            test: item.test,
            faults,
        };
        if self.is_plain() || item.test {
            return Ok(Turn { groups: vec![vec![plain(Vec::new())]], forgeries: Vec::new() });
        }
        let (forgeries, met): (Vec<Fault>, Vec<Fault>) =
            self.faults.of(number)?.into_iter().partition(|fault| fault.is_forgery());
        // What comes beside an event does not mark the event itself.
        let beside = [Fault::Burst, Fault::UnknownEvent, Fault::Split];
        let own = met.iter().copied().filter(|fault| !beside.contains(fault));
        let mut first = plain(own.collect());
        first.data = altered(&item.data, &met, &self.faults, number)?;
        let groups = self.groups(first, &met, number)?;
        Ok(Turn { groups, forgeries })
    }

    /// An event and what comes with it.
    fn groups(&self, first: Planned, met: &[Fault], number: usize) -> Result<Vec<Vec<Planned>>> {
        let copy = |fault| Planned {
            faults: vec![fault],
            data: first.data.clone(),
            event_type: first.event_type.clone(),
            test: false,
        };
        let mut group = vec![first.clone()];
        let mut apart = Vec::new();
        if met.contains(&Fault::Burst) {
            let more = self.faults.between("burst", number, BURST.0, BURST.1)?;
            group.extend((0..more).map(|_| copy(Fault::Burst)));
        }
        if met.contains(&Fault::Batch) {
            let more = self.faults.between("batch", number, FURTHER.0, FURTHER.1)?;
            let others = self.samples.iter().cycle().skip(number + 1).take(more);
            group.extend(others.map(|(event_type, data)| Planned {
                event_type: event_type.clone(),
                data: data.clone(),
                test: false,
                faults: vec![Fault::Batch],
            }));
        }
        if met.contains(&Fault::UnknownEvent) {
            let unknown =
                Planned { event_type: unheard_of(&first.event_type)?, ..copy(Fault::UnknownEvent) };
            apart.push(vec![unknown]);
        }
        if met.contains(&Fault::Split) {
            let more = self.faults.between("split", number, FURTHER.0, FURTHER.1)?;
            apart.extend((0..more).map(|_| vec![copy(Fault::Split)]));
        }
        let mut groups = vec![group];
        groups.append(&mut apart);
        Ok(groups)
    }

    fn item(&self, number: usize) -> Result<&Item> {
        let item = self.items.get(number % self.items.len().max(1));
        item.ok_or_else(|| Error::internal("a simulation without events was run"))
    }

    /// The numbers of the events with those that are to be reordered after their next, or the last
    /// one before the one before.
    fn reordered(&self) -> Result<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.turns).collect();
        for number in 0..self.turns {
            let stands = order.get(number) == Some(&number);
            if !stands || !self.faults.of(number)?.contains(&Fault::Reorder) {
                continue;
            }
            let other = if number + 1 < self.turns { number + 1 } else { number.saturating_sub(1) };
            order.swap(number, other);
        }
        Ok(order)
    }
}

/// What is set for the events of type `event_type`.
fn overrides(provider: &Provider, plan: &Plan, event_type: &EventType) -> Vec<(String, Value)> {
    let mine = |(path, value): &(String, Value)| {
        let typed = path
            .split_once(':')
            .filter(|(name, _)| provider.event_types().any(|known| known.as_str() == *name));
        match typed {
            Some((name, _)) if name != event_type.as_str() => None,
            Some((_, path)) => Some((path.to_owned(), value.clone())),
            None => Some((path.clone(), value.clone())),
        }
    };
    plan.overrides.iter().filter_map(mine).collect()
}

fn sample_items(provider: &Provider, plan: &Plan) -> Result<Vec<Item>> {
    let types: Vec<EventType> = match plan.event_types.as_slice() {
        [] => provider.event_types().cloned().collect(),
        types => types.iter().map(EventType::new).collect::<Result<_>>()?,
    };
    let item = |event_type: EventType| {
        let data = provider.sample(event_type.as_str(), &overrides(provider, plan, &event_type))?;
        Ok(Item { event_type, data, after: Duration::ZERO, test: false })
    };
    types.into_iter().map(item).collect()
}

fn scenario_items(
    provider: &Provider,
    plan: &Plan,
    name: &str,
    chance: &Chance,
) -> Result<Vec<Item>> {
    if !plan.event_types.is_empty() || plan.count.is_some() {
        return Err(Error::invalid(
            "a scenario says which events are sent: leave out event types and count",
        ));
    }
    let scenarios = match name.ends_with(".toml") {
        true => provider.read_scenarios(name, &read(name)?)?,
        false => vec![provider.scenario(name)?.clone()],
    };
    let mut items = Vec::new();
    for scenario in scenarios {
        items.extend(items_of(provider, plan, &scenario, chance)?);
    }
    Ok(items)
}

fn items_of(
    provider: &Provider,
    plan: &Plan,
    scenario: &Scenario,
    chance: &Chance,
) -> Result<Vec<Item>> {
    let ids = scenario.make_ids(chance)?;
    let mut items = Vec::with_capacity(scenario.steps.len());
    for step in &scenario.steps {
        let mut set = step.overrides(&ids);
        set.extend(overrides(provider, plan, &step.event_type));
        items.push(Item {
            data: provider.sample(step.event_type.as_str(), &set)?,
            event_type: step.event_type.clone(),
            after: step.after,
            test: step.test,
        });
    }
    Ok(items)
}

fn read(file: &str) -> Result<String> {
    use std::io::Read;
    let unreadable = |error: std::io::Error| {
        Error::invalid(format!("scenario file {file} cannot be read: {error}")).with_source(error)
    };
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    opened.take(FILE_MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_MAX_BYTES {
        return Err(Error::invalid(format!(
            "scenario file {file} has more than {FILE_MAX_BYTES} bytes"
        )));
    }
    Ok(text)
}
