//! What is said before the story and after it.

use crate::cli::demo::stage::Played;
use crate::cli::paint;
use crate::model::human_duration;
use std::io::{self, Write};

/// Says what is about to be seen.
pub fn opening(speed: f64, out: &mut dyn Write) -> io::Result<()> {
    let day = human_duration(super::STORY);
    let real = human_duration(super::STORY.div_f64(speed));
    writeln!(out, "{}", paint::strong("A day of webhooks, from six providers to six receivers"))?;
    writeln!(
        out,
        "Every request is real: signed, sent over a socket on this machine, checked by its receiver \
         as the\nprovider's page says, and recorded. Only the waits are compressed: {day} pass in \
         {real}.\n"
    )?;
    let head =
        format!("{:8}  {:17}  {:27} {:>4}  {}", "TIME", "PROVIDER", "EVENT", "TRY", "ANSWER");
    writeln!(out, "{}", paint::strong(format!("{head:91}NEXT TRY")))
}

/// Says what came of it, and where to go from here.
pub fn closing(played: &[Played], out: &mut dyn Write) -> io::Result<()> {
    let head = format!(
        "\n{:17}  {:>8}  {:>9}  {:>8}  {:>10}  {:>18}",
        "PROVIDER", "EVENTS", "DELIVERED", "ATTEMPTS", "DUPLICATES", "REFUSED SIGNATURES"
    );
    writeln!(out, "{}", paint::strong(head))?;
    for act in played {
        let arrived = format!("{:>9}", act.arrived);
        let refused = format!("{:>18}", act.refused);
        writeln!(
            out,
            "{:17}  {:>8}  {}  {:>8}  {:>10}  {}",
            act.title,
            act.deliveries,
            judged(act.arrived == act.deliveries, arrived),
            act.attempts,
            act.duplicates,
            judged(act.refused == 0, refused)
        )?;
    }
    writeln!(out, "\n{}", paint::strong("PROMISES"))?;
    for promise in played.iter().flat_map(|act| &act.promises) {
        let mark = if promise.kept { "kept  " } else { "BROKEN" };
        writeln!(out, "{}  {}", judged(promise.kept, mark.to_owned()), promise.text)?;
    }
    let program = std::env::args().next().unwrap_or_else(|| "hookwheel".to_owned());
    let program = paint::harmless(&program);
    writeln!(out, "\n{}", paint::strong("NOW YOURS"))?;
    for (what, command) in [
        ("who is known", "providers"),
        ("how one delivers", "providers show yoco"),
        ("try your own handler", "simulate yoco --url http://localhost:8000/ --speed 1000"),
        ("check what it received", "verify yoco --help"),
    ] {
        writeln!(out, "  {}  {program} {command}", paint::faint(format!("{what:22}")))?;
    }
    Ok(())
}

fn judged(is_good: bool, text: String) -> String {
    if is_good { paint::good(text).to_string() } else { paint::bad(text).to_string() }
}
