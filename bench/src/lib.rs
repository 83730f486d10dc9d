//! The benchmark of Parlor: starts a server, makes the same clients do the same work against each, checks all that
//! they were sent, and asks the operating system what it cost. `docs/performance.md` says how to read it.
#![expect(
    clippy::disallowed_methods,
    reason = "a program of its own: no test moves its time, nobody drains its tasks"
)]

pub mod client;
pub mod latency;
pub mod plan;
pub mod process;
pub mod report;
pub mod scene;
pub mod seed;
pub mod server;
pub mod stage;
pub mod tally;
pub mod token;
pub mod workload;
