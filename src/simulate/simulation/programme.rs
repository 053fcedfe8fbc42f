//! What is emitted, in which order.

use super::Plan;
use crate::chance::Chance;
use crate::error::{Error, Result};
use crate::model::{EventType, Mode, Payload, RawJson};
use crate::provider::{Provider, Scenario};
use crate::simulate::faults::{Fault, Faults, altered, unheard_of};
use std::time::Duration;

/// Bytes of a scenario file at most.
const FILE_MAX_BYTES: u64 = 1024 * 1024;
/// Further events of a burst, at least and at most.
const BURST: (usize, usize) = (8, 16);
/// Further events in a webhook or beside it, at least and at most.
const FURTHER: (usize, usize) = (2, 5);

/// Everything that is emitted, worked out turn by turn when it is needed: it is not kept.
pub(super) struct Programme {
    /// The events, in turn.
    items: Vec<Item>,
    /// Samples of all types, for events that come with others.
    samples: Vec<(EventType, Payload)>,
    /// How many turns there are.
    pub turns: usize,
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
    /// Whether it happens now and is delivered after the next turn.
    pub comes_late: bool,
}

/// How many events come with another.
struct Beside {
    burst: usize,
    batch: usize,
    unknown: usize,
    split: usize,
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
        check_overrides(provider, plan)?;
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
        check_mode(provider, &items, plan.mode)?;
        let turns = plan.count.unwrap_or(items.len());
        let able: Vec<bool> = items.iter().map(|item| !item.test).collect();
        let has_old_secret = plan.old_secret.is_some();
        let faults =
            Faults::new(&plan.faults, provider, has_old_secret, (&able, turns), chance.clone())?;
        let mut programme = Self { items, samples: Vec::new(), turns, faults };
        if !programme.faults.is_empty() {
            let types = provider.event_types();
            for event_type in types.filter(|held| !provider.is_test_type(held.as_str())) {
                let data = provider.sample(event_type.as_str(), &[])?;
                programme.samples.push((event_type.clone(), data));
            }
        }
        Ok(programme)
    }

    /// What was asked for and has no effect, a sentence each.
    pub(super) fn notes(&self, plan: &Plan) -> Vec<String> {
        let sent = self.items.iter().take(self.turns);
        let sent: Vec<&str> = sent.map(|item| item.event_type.as_str()).collect();
        let mut notes = Vec::new();
        for (name, path) in plan.overrides.iter().filter_map(|(path, _)| typed(path)) {
            if !sent.contains(&name) {
                notes.push(format!("no event of type `{name}` is sent, for which `{path}` is set"));
            }
        }
        notes
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

    /// The faults that are played.
    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// How many events it emits in all.
    pub(super) fn events(&self) -> Result<usize> {
        if self.is_plain() {
            return Ok(self.turns);
        }
        let mut events = self.turns;
        for number in 0..self.turns {
            // Counted, not made: a body of 256 KiB for each of a million events takes its time.
            let beside = self.beside(&self.faults.of(number)?, number)?;
            events += beside.burst + beside.batch + beside.unknown + beside.split;
        }
        Ok(events)
    }

    /// What is emitted in the turn called `number`, from 0. `is_second` says that the turn before
    /// comes after this one, so that this one comes in its time.
    ///
    /// # Errors
    /// Refuses data that a fault cannot be put into.
    pub(super) fn turn(&self, number: usize, is_second: bool) -> Result<Turn> {
        let item = self.item(number)?;
        let plain = |faults| Planned {
            event_type: item.event_type.clone(),
            data: item.data.clone(),
            test: item.test,
            faults,
        };
        if self.is_plain() || item.test {
            return Ok(Turn {
                groups: vec![vec![plain(Vec::new())]],
                forgeries: Vec::new(),
                comes_late: false,
            });
        }
        let (forgeries, mut met): (Vec<Fault>, Vec<Fault>) =
            self.faults.of(number)?.into_iter().partition(|fault| fault.is_forgery());
        if is_second {
            met.retain(|fault| *fault != Fault::Reorder);
        }
        // What comes beside an event does not mark the event itself.
        let beside = [Fault::Burst, Fault::UnknownEvent, Fault::Split];
        let own = met.iter().copied().filter(|fault| !beside.contains(fault));
        let mut first = plain(own.collect());
        first.data = altered(&item.data, &met, &self.faults, number)?;
        let comes_late = met.contains(&Fault::Reorder);
        Ok(Turn { groups: self.groups(first, &met, number)?, forgeries, comes_late })
    }

    /// How many events come with the one called `number`, which is met by `met`.
    fn beside(&self, met: &[Fault], number: usize) -> Result<Beside> {
        let draw = |fault: Fault, (least, most): (usize, usize)| match met.contains(&fault) {
            true => self.faults.between(fault.name(), number, least, most),
            false => Ok(0),
        };
        Ok(Beside {
            burst: draw(Fault::Burst, BURST)?,
            batch: draw(Fault::Batch, FURTHER)?,
            unknown: usize::from(met.contains(&Fault::UnknownEvent)),
            split: draw(Fault::Split, FURTHER)?,
        })
    }

    /// An event and what comes with it.
    fn groups(&self, first: Planned, met: &[Fault], number: usize) -> Result<Vec<Vec<Planned>>> {
        let copy = |fault| Planned {
            faults: vec![fault],
            data: first.data.clone(),
            event_type: first.event_type.clone(),
            test: false,
        };
        let beside = self.beside(met, number)?;
        let mut group = vec![first.clone()];
        group.extend((0..beside.burst).map(|_| copy(Fault::Burst)));
        let next = (number + 1).checked_rem(self.samples.len()).unwrap_or_default();
        let others = self.samples.iter().cycle().skip(next).take(beside.batch);
        group.extend(others.map(|(event_type, data)| Planned {
            event_type: event_type.clone(),
            data: data.clone(),
            test: false,
            faults: vec![Fault::Batch],
        }));
        let mut groups = vec![group];
        if beside.unknown > 0 {
            let unknown =
                Planned { event_type: unheard_of(&first.event_type)?, ..copy(Fault::UnknownEvent) };
            groups.push(vec![unknown]);
        }
        groups.extend((0..beside.split).map(|_| vec![copy(Fault::Split)]));
        Ok(groups)
    }

    fn item(&self, number: usize) -> Result<&Item> {
        let item = self.items.get(number % self.items.len().max(1));
        item.ok_or_else(|| Error::internal("a simulation without events was run"))
    }
}

/// What is set for the events of type `event_type`.
fn overrides(plan: &Plan, event_type: &EventType) -> Vec<(String, RawJson)> {
    let mine = |(path, value): &(String, RawJson)| match typed(path) {
        Some((name, _)) if name != event_type.as_str() => None,
        Some((_, path)) => Some((path.to_owned(), value.clone())),
        None => Some((path.clone(), value.clone())),
    };
    plan.overrides.iter().filter_map(mine).collect()
}

/// The event type and the path of `TYPE:PATH`. In a JSON pointer a colon is one of a name.
fn typed(path: &str) -> Option<(&str, &str)> {
    if path.starts_with('/') { None } else { path.split_once(':') }
}

/// Refuses overrides for types that the provider does not have.
fn check_overrides(provider: &Provider, plan: &Plan) -> Result<()> {
    for (name, path) in plan.overrides.iter().filter_map(|(path, _)| typed(path)) {
        if !provider.event_types().any(|known| known.as_str() == name) {
            let known: Vec<&str> = provider.event_types().map(EventType::as_str).collect();
            let shown = |text: &str| text.chars().take(64).collect::<String>();
            return Err(Error::invalid(format!(
                "a value is set for events of type `{}`, which has no sample: known are {}; where \
                 the colon belongs to a name, write a JSON pointer: `/{}:{}`",
                shown(name).escape_debug(),
                known.join(", "),
                shown(name).escape_debug(),
                shown(path).escape_debug()
            )));
        }
    }
    Ok(())
}

/// Refuses trials of a provider that cannot tell them from what is real.
fn check_mode(provider: &Provider, items: &[Item], mode: Mode) -> Result<()> {
    if mode == Mode::Live || provider.marks_tests() || items.iter().all(|item| item.test) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{}'s webhooks have no mark of trials: leave out the test mode, and its events come as they \
         are",
        provider.title()
    )))
}

fn sample_items(provider: &Provider, plan: &Plan) -> Result<Vec<Item>> {
    let tests_only = plan.mode == Mode::Test && !provider.marks_tests();
    let types: Vec<EventType> = match plan.event_types.as_slice() {
        [] => {
            let all: Vec<EventType> = provider.event_types().cloned().collect();
            let is_test = |held: &EventType| provider.is_test_type(held.as_str());
            // Test events of their own are what such a provider has instead of a mark.
            match tests_only && all.iter().any(is_test) {
                true => all.into_iter().filter(is_test).collect(),
                false => all,
            }
        }
        types => types.iter().map(EventType::new).collect::<Result<_>>()?,
    };
    let item = |event_type: EventType| {
        let data = provider.sample(event_type.as_str(), &overrides(plan, &event_type))?;
        let test = provider.is_test_type(event_type.as_str());
        Ok(Item { event_type, data, after: Duration::ZERO, test })
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
        set.extend(overrides(plan, &step.event_type));
        items.push(Item {
            data: provider.sample(step.event_type.as_str(), &set)?,
            event_type: step.event_type.clone(),
            after: step.after,
            test: step.test || provider.is_test_type(step.event_type.as_str()),
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
