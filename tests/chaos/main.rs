//! The history checker: devices that send, retry, go and come back over all wires, while a nemesis kills
//! the server and its database, cuts and stalls lines and fills queues. In the end everything that the
//! devices saw is held against what is stored: nothing acknowledged is lost, doubled or out of order,
//! and what was done to messages later reaches everybody.
//!
//! Everything random comes from one seed, which is printed. `PARLOR_CHAOS_SEED=…` plays it again;
//! `PARLOR_CHAOS=full` is the long form; docs/guarantees.md tells what it has found.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests run tasks of their own")]

mod aftermath;
mod aftermath_check;
mod asked;
mod bus;
mod changes_check;
#[cfg(test)]
mod changes_tests;
mod checker;
#[cfg(test)]
mod checker_tests;
mod client;
mod connection_check;
mod counts;
mod cursors;
mod deeds_check;
mod deletions_check;
#[cfg(test)]
mod deletions_tests;
mod edits;
mod history;
mod line;
mod membership;
mod membership_check;
#[cfg(test)]
mod membership_tests;
mod nemesis;
mod peace;
mod plan;
mod postgres;
mod reach;
mod receipts_check;
mod run;
mod server;
mod settlement;
mod settlement_check;
mod store;
mod stored;
#[cfg(test)]
mod tale;
mod told_check;
mod version;
mod wire;
mod world;

use crate::{bus::Bus, plan::Size, postgres::Cluster};

const SHORT: Size = Size { people: 4, devices_each: 3, groups: 2, steps: 150, kills: 8, others: 6 };
const FULL: Size = Size { people: 5, devices_each: 3, groups: 3, steps: 1_200, kills: 100, others: 50 };

fn seed() -> u64 {
    match std::env::var("PARLOR_CHAOS_SEED") {
        Ok(seed) => seed.parse().expect("PARLOR_CHAOS_SEED is a number"),
        Err(_) => fastrand::u64(..1_000_000_000),
    }
}

fn size() -> Size {
    match std::env::var("PARLOR_CHAOS").as_deref() {
        Ok("full") => FULL,
        Ok(other) => panic!("PARLOR_CHAOS is {other:?}, and can be full"),
        Err(_) => SHORT,
    }
}

async fn withstands(cluster: Option<Cluster>, nodes: usize) {
    let (seed, size) = (seed(), size());
    println!("PARLOR_CHAOS_SEED={seed}");
    let bus = if nodes > 1 { Bus::chosen(seed).await } else { Bus::Off };
    let report = run::run(seed, size, cluster, nodes, bus).await;
    println!("{report}");
    assert!(report.blows.kills >= size.kills, "{} kills are too few", report.blows.kills);
    // A check that has nothing to check would never fail.
    let counts = &report.counts;
    let least = [counts.edits_answered, counts.reacts_answered, counts.with_changes, counts.replayed];
    let deeds = [counts.pins_answered, counts.deletions_answered];
    let least = least.into_iter().chain(deeds);
    assert!(least.min() >= Some(size.kills), "too few changes or replays\n{report}");
    assert!(report.is_clean(), "play it again with PARLOR_CHAOS_SEED={seed}\n{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_doubled_or_swapped_on_sqlite() {
    withstands(None, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn nothing_acknowledged_is_lost_doubled_or_swapped_on_postgresql() {
    withstands(Some(Cluster::start()), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn nothing_acknowledged_is_lost_doubled_or_swapped_on_several_nodes() {
    let nodes =
        std::env::var("PARLOR_CHAOS_NODES").map_or(2, |nodes| nodes.parse().expect("a number of nodes"));
    withstands(Some(Cluster::start()), nodes).await;
}
