//! The `parlor` program: parse the command line, run it, report the error.

use std::process::ExitCode;

use clap::Parser;
use parlor::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("parlor: {err:#}");
            ExitCode::FAILURE
        }
    }
}
