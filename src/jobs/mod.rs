//! Background work, one file for each job. Each job is safe to run on all nodes at once, and to be
//! interrupted at any moment.

mod end_revoked;
mod expire_messages;
mod finish_deletions;
mod refresh_keys;
mod return_memory;
mod save_uses;
mod sweep_joined_rooms;
mod sweep_notices;
mod sweep_sessions;
mod sweep_tickets;

use std::{future::Future, time::Duration};

use crate::{auth::Auth, chat::Chat, clock::Clock, db::Db, error::Result, shutdown::Shutdown};

/// Starts all jobs.
pub fn start(shutdown: &Shutdown, db: &Db, clock: &Clock, chat: &Chat, auth: &Auth) {
    let (sweep_db, sweep_clock) = (db.clone(), clock.clone());
    every(shutdown, "sweep sessions", Duration::from_secs(600), move || {
        sweep_sessions::run(sweep_db.clone(), sweep_clock.clone())
    });
    let (sweep_db, sweep_clock) = (db.clone(), clock.clone());
    every(shutdown, "sweep tickets", Duration::from_secs(60), move || {
        sweep_tickets::run(sweep_db.clone(), sweep_clock.clone())
    });
    let (sweep_db, sweep_clock) = (db.clone(), clock.clone());
    every(shutdown, "sweep joined rooms", Duration::from_secs(3600), move || {
        sweep_joined_rooms::run(sweep_db.clone(), sweep_clock.clone())
    });
    let (sweep_db, sweep_clock) = (db.clone(), clock.clone());
    every(shutdown, "sweep notices", Duration::from_secs(600), move || {
        sweep_notices::run(sweep_db.clone(), sweep_clock.clone())
    });
    let keys_of = auth.clone();
    now_and_every(shutdown, "refresh keys", Duration::from_secs(3600), move || {
        refresh_keys::run(keys_of.clone())
    });
    let uses_of = auth.clone();
    every(shutdown, "save uses", Duration::from_secs(60), move || save_uses::run(uses_of.clone()));
    let deletions_of = chat.clone();
    now_and_every(shutdown, "finish deletions", Duration::from_secs(30), move || {
        finish_deletions::run(deletions_of.clone())
    });
    let messages_of = chat.clone();
    now_and_every(shutdown, "expire messages", Duration::from_secs(15), move || {
        expire_messages::run(messages_of.clone())
    });
    every(shutdown, "return memory", Duration::from_secs(2), return_memory::run);
    let (chat, auth) = (chat.clone(), auth.clone());
    let (follows, over) = ((chat.clone(), auth.clone()), shutdown.clone());
    shutdown.spawn(async move {
        loop {
            let (chat, auth) = follows.clone();
            tokio::select! {
                followed = end_revoked::follow(chat, auth) => {
                    if let Err(err) = followed {
                        // The job finds them.
                        tracing::warn!(error = ?err, "could not end the logins that another node has ended");
                    }
                }
                () = over.begun() => return,
            }
        }
    });
    every(shutdown, "end revoked", Duration::from_secs(10), move || {
        end_revoked::run(chat.clone(), auth.clone())
    });
}

/// Runs a job again and again until the server shuts down. A run that fails is logged and not repeated: the
/// next run finds the same work.
fn every<F>(shutdown: &Shutdown, name: &'static str, pause: Duration, job: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = Result<()>> + Send,
{
    run(shutdown, name, pause, pause, job);
}

/// The same, but the first run starts at once.
fn now_and_every<F>(
    shutdown: &Shutdown,
    name: &'static str,
    pause: Duration,
    job: impl Fn() -> F + Send + 'static,
) where
    F: Future<Output = Result<()>> + Send,
{
    run(shutdown, name, Duration::ZERO, pause, job);
}

fn run<F>(
    shutdown: &Shutdown,
    name: &'static str,
    first: Duration,
    pause: Duration,
    job: impl Fn() -> F + Send + 'static,
) where
    F: Future<Output = Result<()>> + Send,
{
    let over = shutdown.clone();
    shutdown.spawn(async move {
        let mut wait = first;
        while !over.begins_within(wait).await {
            if let Err(err) = job().await {
                tracing::warn!(error = ?err, job = name, "a job failed");
            }
            wait = pause;
        }
    });
}
