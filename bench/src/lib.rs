//! The benchmark of Parlor. It starts a server, lets the same clients do the same work against each server,
//! checks everything that they receive, and asks the operating system for the cost. `docs/performance.md`
//! explains the results.
#![expect(
    clippy::disallowed_methods,
    reason = "a program of its own: no test moves its time, nobody drains its tasks"
)]

pub mod client;
pub mod latency;
mod line;
pub mod peer;
pub mod plan;
mod polling;
pub mod process;
pub mod report;
pub mod scene;
pub mod seed;
pub mod server;
pub mod stage;
pub mod tally;
pub mod token;
pub mod workload;
