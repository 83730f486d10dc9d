//! The `parlor` program: parse the command line, run it, report the error.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use parlor::cli::Cli;

fn main() -> ExitCode {
    // Before the runtime starts its threads.
    allocator::configure();
    run()
}

#[tokio::main]
async fn run() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            // Nobody may be there to read it.
            writeln!(std::io::stderr(), "parlor: {}", parlor::cli::reason(&err)).ok();
            ExitCode::FAILURE
        }
    }
}
