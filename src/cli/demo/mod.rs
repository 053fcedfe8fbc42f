//! `hookwheel demo`: the whole of it on one screen, in half a minute.
//!
//! A real engine on a fresh folder serves one honest receiver per provider, on this machine and in
//! compressed time. The acts check what they promise, so that the demo cannot end well by looks.

mod acts;
mod narrator;
mod programme;
mod stage;

use crate::cli::arguments::speed;
use crate::cli::{Ended, Ending, block_on, paint};
use crate::clock::{self, Clock};
use crate::engine::Engine;
use crate::error::Error;
use crate::folder::TemporaryFolder;
use crate::model::human_duration;
use narrator::Narrator;
use stage::{Played, Stage};
use std::io::Write;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the story takes by the schedule's time: Yoco's ladder, and what comes after.
const STORY: Duration = Duration::from_secs(28 * 3600);
/// Real time that the story may take besides: time-outs, and slow machines.
const SLACK: Duration = Duration::from_secs(60);

/// Watch it work: six providers, their receivers, and what goes wrong in a day
///
/// Starts an honest receiver for each provider on this machine, emits events, makes receivers fail,
/// answer late and go down, and shows the life of every delivery, in compressed time. Nothing is
/// left behind. Exits with 0 when everything went as promised.
#[derive(clap::Args)]
pub struct Arguments {
    /// How many times faster than real the waits between attempts pass
    #[arg(long, value_name = "X", default_value = "4000", value_parser = speed)]
    speed: f64,
}

/// Plays it.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Ended {
    block_on(async {
        tokio::select! {
            biased;
            Ok(()) = tokio::signal::ctrl_c() => {
                writeln!(out, "\n{}", paint::warning("interrupted"))?;
                Ok(Ending::Bad)
            }
            ended = play(arguments.speed, out) => ended,
        }
    })?
}

async fn play(speed: f64, out: &mut dyn Write) -> Ended {
    let folder = TemporaryFolder::make(&std::env::temp_dir(), "demo")?;
    let clock = Clock::faster(speed);
    let builder = Engine::builder().development().clock(clock.clone());
    let engine = builder.data_folder(folder.path().join("data")).open().await?;
    let (notes, notes_told) = mpsc::unbounded_channel();
    let stage = Stage::new(engine.clone(), clock, notes);
    let mut narrator = Narrator::new(&stage, notes_told);
    programme::opening(speed, out)?;
    let limit = STORY.div_f64(speed) + SLACK;
    let plays = async { Ok(clock::within(limit, acts::all(stage)).await) };
    // Without an audience, as behind `head`, the show does not go on.
    let (played, ()) = tokio::try_join!(plays, narrator.tell(out))?;
    engine.close().await?;
    let played = played.ok_or_else(|| {
        Error::unavailable(format!("the demo did not end within {}", human_duration(limit)))
    })??;
    programme::closing(&played, out)?;
    let kept = played.iter().flat_map(|act| &act.promises).all(|promise| promise.kept);
    Ok(if kept && played.iter().all(Played::is_whole) { Ending::Good } else { Ending::Bad })
}
