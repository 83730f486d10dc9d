//! The soak: the real program under mixed load with churn, and what it leaves behind, which is nothing.
//!
//! A few seconds of it run with every `cargo test`. The long form, with the verdict on memory:
//!
//! ```sh
//! PARLOR_SOAK_MINUTES=30 cargo test --test soak -- --nocapture
//! ```
//!
//! The long form ends with the overload part, which takes a fifth of that time more. That part alone, for a minute or for as
//! long as `PARLOR_SOAK_MINUTES` says:
//!
//! ```sh
//! cargo test --test soak -- --ignored --nocapture overload
//! ```
//!
//! So is the slow-link part (`-- --ignored slow_link`): 2,000 missed messages of 16 KiB over 200 KB/s.
//!
//! `PARLOR_SOAK_PROGRAM` names another build of the program, e.g. target/release/parlor.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests run tasks of their own")]

#[expect(dead_code, unused_imports, reason = "the other tests use the rest")]
#[path = "../harness/mod.rs"]
mod harness;

mod chance;
mod overload;
mod samples;
mod slow_link;
mod visits;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use self::{
    chance::Chance,
    harness::{Database, Person, Process},
    samples::{Sample, Samples},
    visits::Place,
};

/// People with accounts, each on several devices at a time.
const PEOPLE: usize = 24;
/// Visits under way at a time.
const VISITORS: usize = 12;
/// By when the server must have let go of everything: a polling client that vanished is given up 45 s
/// after its last word, a promised acknowledgement after 60 s.
const LETTING_GO: Duration = Duration::from_secs(90);

/// How long, and how often it is looked at.
fn length() -> (Duration, Duration, bool) {
    match std::env::var("PARLOR_SOAK_MINUTES") {
        Ok(minutes) => {
            let minutes: f64 = minutes.parse().expect("PARLOR_SOAK_MINUTES is a number");
            (Duration::from_secs_f64(minutes * 60.0), Duration::from_secs(5), true)
        }
        Err(_) => (Duration::from_secs(6), Duration::from_secs(1), false),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_over_and_memory_stays_flat() {
    let (length, pause, is_long) = length();
    let database = Database::fresh().await;
    let process = Process::with(
        &database,
        &[
            ("PARLOR__LIMITS__CONNECTIONS_PER_USER", "500"),
            ("PARLOR__LIMITS__CONNECT_TIMEOUT", "2s"),
            ("PARLOR__LIMITS__EVENTS_BURST", "1000"),
            ("PARLOR__LIMITS__EVENTS_PER_SECOND", "1000"),
            ("RUST_LOG", "warn,parlor::cli=info,parlor::app=info"),
        ],
    )
    .await;
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        people.push(process.person(&format!("person-{number}")).await);
    }
    let place = Arc::new(Place::furnish(people).await);
    let mut samples = Samples::new(&process);
    let before = samples.take().await;

    let over = Arc::new(AtomicBool::new(false));
    let visits = Arc::new(AtomicUsize::new(0));
    let troubles: Arc<Mutex<Vec<String>>> = Arc::default();
    let visitors: Vec<_> = (0..VISITORS as u64)
        .map(|seed| {
            let (place, over, visits, troubles) =
                (place.clone(), over.clone(), visits.clone(), troubles.clone());
            tokio::spawn(async move {
                let mut chance = Chance::new(seed);
                while !over.load(Ordering::Relaxed) {
                    let (place, chosen) = (place.clone(), chance.fork());
                    let visit = tokio::spawn(async move { visits::pay_one(&place, chosen, is_long).await });
                    visits.fetch_add(1, Ordering::Relaxed);
                    if let Err(failed) = visit.await {
                        let told = failed.try_into_panic().map(|panic| visits::told_by(&*panic));
                        troubles.lock().push(told.unwrap_or_default());
                    }
                }
            })
        })
        .collect();

    let began = Instant::now();
    while began.elapsed() < length {
        tokio::time::sleep(pause.min(length.saturating_sub(began.elapsed()))).await;
        samples.take().await;
    }
    over.store(true, Ordering::Relaxed);
    for visitor in visitors {
        visitor.await.unwrap();
    }

    println!("{} visits in {:.0?}", visits.load(Ordering::Relaxed), began.elapsed());
    let after = samples.take_until(LETTING_GO, |now| leftovers(&before, now).is_empty()).await;
    println!("{}", samples.table(if is_long { 16 } else { 4 }));
    let troubles = std::mem::take(&mut *troubles.lock());
    for trouble in troubles.iter().take(10) {
        println!("a visit failed: {trouble}");
    }

    assert_eq!(leftovers(&before, &after), Vec::<String>::new(), "left over");
    assert_eq!(troubles.len(), 0, "visits that failed; the first ten are above");
    if is_long {
        samples.assert_flat();
    }
    drop(process);
    database.remove().await;
    if is_long {
        overload::run(length / 5).await;
        slow_link::run().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes a minute and both processors; the long form includes it"]
async fn overload_stays_within_its_bound() {
    let (length, _, is_long) = length();
    overload::run(if is_long { length } else { Duration::from_secs(60) }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes three minutes, and its pace is that of a clock; the long form includes it"]
async fn much_that_was_missed_arrives_over_a_slow_link() {
    slow_link::run().await;
}

/// Gauges that have not come back to where they were.
fn leftovers(before: &Sample, now: &Sample) -> Vec<String> {
    now.gauges
        .iter()
        .filter(|(name, value)| **value > before.gauges.get(*name).copied().unwrap_or_default())
        .map(|(name, value)| format!("{name} is {value}"))
        .collect()
}

/// What somebody is called who lives in the place.
fn name_of(person: &Person) -> String {
    person.username.to_string()
}
