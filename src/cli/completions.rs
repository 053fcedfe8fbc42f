//! `hookwheel completions`: what a shell needs to complete our arguments.

use super::{Cli, Ended, Ending};
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;

/// Print the completions of a shell, to be put where that shell looks for them
#[derive(clap::Args)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints them.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Ended {
    // Into memory first: the generator panics when its output fails, as a closed pipe does.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "hookwheel", &mut script);
    out.write_all(&script)?;
    Ok(Ending::Good)
}
