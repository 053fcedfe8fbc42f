//! One life of the process: started, given something to do, killed.

use crate::random::Random;
use crate::shop::{ENDPOINTS, Shop};
use crate::spoken::{FOLDER, LIFE, Line};
use hookwheel::clock::{self, Clock, Stopwatch};
use hookwheel::simulate::receiver::{Answer, Received, Receiver};
use hookwheel::{DeliveryId, EventId, Timestamp};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// SIGKILL, as every Unix numbers it.
const SIGKILL: i32 = 9;
/// Acknowledgements before a kill, at most; one life in [`LONG_ONE_IN`] has ten times as many.
const ACKNOWLEDGEMENTS_MAX: u64 = 120;
const LONG_ONE_IN: u64 = 20;

/// What a process said, saw and did until it was killed.
#[derive(Default)]
pub struct Life {
    pub span: Option<(Timestamp, Timestamp)>,
    pub killed_while_opening: bool,
    pub acked: Vec<(String, EventId)>,
    pub replayed: Vec<DeliveryId>,
    /// Secrets that were about to take over, each with whether it is known that it did.
    pub rotations: Vec<(String, bool)>,
    /// What arrived at each endpoint.
    pub seen: Vec<Vec<Received>>,
}

/// When the process is killed.
enum Moment {
    /// So long after it began to open its engine.
    Opening(Duration),
    /// After so many acknowledgements.
    Working(u64),
}

impl Moment {
    /// A quarter of the kills fall into the time of opening, which took `opening` last.
    fn draw(random: &mut Random, opening: Duration) -> Self {
        if random.once_in(4) {
            let micros = u64::try_from(opening.as_micros()).unwrap();
            return Self::Opening(Duration::from_micros(random.below(micros + 1)));
        }
        let times = if random.once_in(LONG_ONE_IN) { 10 } else { 1 };
        Self::Working(random.below(ACKNOWLEDGEMENTS_MAX * times))
    }
}

/// Lives the life of this `number`. `opening` is how long the engine took to open, kept from life
/// to life.
pub async fn live(shop: &Shop, number: usize, random: &mut Random, opening: &mut Duration) -> Life {
    let receivers = shop.receivers(&Clock::system()).await;
    for receiver in &receivers {
        // Some first attempts fail, so that retries wait over the next kill, and some take their
        // time, so that they are in flight then.
        receiver.answer_next((0..random.below(12)).map(|_| draw_answer(random)));
    }
    let began = Clock::system().wall();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim::killed_process", "--nocapture", "--test-threads=1"])
        .env(FOLDER, &shop.folder)
        .env(LIFE, number.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let moment = Moment::draw(random, *opening);
    let mut own = random.fork();
    let (took, falls) = (*opening, random.once_in(3));
    let listening = tokio::task::spawn_blocking(move || listen_and_kill(child, &moment));
    let falling = async {
        if falls {
            fall_and_rise(&receivers, &mut own, took).await;
        }
    };
    let (heard, ()) = tokio::join!(listening, falling);
    let (mut life, opened) = heard.unwrap();
    *opening = opened.unwrap_or(*opening);
    life.span = Some((began, Clock::system().wall()));
    for receiver in receivers {
        // What a killed process had sent may still be read; from here on nothing is.
        receiver.stop().await;
        life.seen.push(receiver.requests());
    }
    life
}

fn draw_answer(random: &mut Random) -> Answer {
    match random.below(4) {
        0 => Answer::status(503),
        1 => Answer::close(),
        2 => Answer::status(200).after(Duration::from_millis(random.below(40))),
        // A success: GoCardless' consumer too takes any 2xx for one.
        _ => Answer::status(204),
    }
}

/// One receiver dies, with its port and connections, and comes back.
async fn fall_and_rise(receivers: &[Receiver], random: &mut Random, opening: Duration) {
    let endpoints = u64::try_from(ENDPOINTS).unwrap();
    let receiver = &receivers[usize::try_from(random.below(endpoints)).unwrap()];
    clock::pause(opening + Duration::from_millis(random.below(60))).await;
    receiver.stop().await;
    clock::pause(Duration::from_millis(random.below(60))).await;
    receiver.resume().await.unwrap();
}

/// Hears the process out, and kills it at its moment; how long it took to open, if it came to that.
fn listen_and_kill(mut child: Child, moment: &Moment) -> (Life, Option<Duration>) {
    let output = BufReader::new(child.stdout.take().unwrap());
    let (mut life, mut opening, mut opened, mut killed) = (Life::default(), None, None, false);
    for line in output.lines() {
        let Ok(line) = line.unwrap().parse() else { continue };
        match line {
            Line::Opening => {
                opening = Some(Stopwatch::start());
                if let Moment::Opening(after) = moment {
                    clock::rest(*after);
                    child.kill().unwrap();
                    killed = true;
                }
            }
            Line::Open => opened = opening.map(|since| since.elapsed()),
            Line::Acked(event, key) => life.acked.push((key, event)),
            Line::Replayed(delivery) => life.replayed.push(delivery),
            Line::Rotating(secret) => life.rotations.push((secret, false)),
            Line::Rotated(secret) => {
                let last = life.rotations.last_mut().unwrap();
                assert_eq!(last.0, secret);
                last.1 = true;
            }
        }
        // What it said in the meantime is still heard: it was acknowledged.
        if let Moment::Working(acknowledgements) = moment
            && !killed
            && opened.is_some()
            && life.acked.len() as u64 >= *acknowledgements
        {
            child.kill().unwrap();
            killed = true;
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(SIGKILL), "it ended by itself: {status}");
    life.killed_while_opening = opened.is_none();
    (life, opened.filter(|_| matches!(moment, Moment::Working(_))))
}
