//! One whole run: people sign up, devices talk, blows fall; then everyone takes everything in, the server
//! goes down, and the histories are held against the database.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use entity::RoomId;
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    aftermath::{self, Aftermath},
    bus::Bus,
    checker::{self, Rule, Violation},
    client::{Client, Phase, Status},
    counts::Counts,
    history::{History, Memory, Pen, Place},
    line,
    membership::{self, Fact, Storm},
    membership_check,
    nemesis::{Blows, Nemesis},
    peace::{ask_all, read_all, settle, sign_up},
    plan::{Plan, Size},
    postgres::Cluster,
    server::{any_of, complaints, last_words},
    settlement,
    stored::{self, Stored},
    told_check,
    world::World,
};

/// How long everybody together may get on with nothing at all before it counts as a hang.
const PATIENCE: Duration = Duration::from_secs(90);
/// People of the membership storm.
const STORMERS: usize = 4;
/// How long the changes may take in the end. A device that has not got them by then is the checker's to report.
const CHANGES_TAKE: Duration = Duration::from_secs(20);
/// Violations of each rule that are shown.
const SHOWN: usize = 8;
/// What of a device's history is shown when it hangs.
const TAIL: usize = 25;

/// What a run came to.
pub struct Report {
    pub seed: u64,
    /// And the bus.
    database: String,
    took: Duration,
    pub blows: Blows,
    pub counts: Counts,
    storm: Commands,
    /// On several nodes.
    aftermath: Option<Aftermath>,
    rows: i64,
    pub violations: Vec<Violation>,
    /// What the server itself found wrong with itself.
    pub complaints: Vec<String>,
    /// Why it did not come to its end.
    pub hang: Option<String>,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.complaints.is_empty() && self.hang.is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, database, took, blows, counts, storm, rows, violations, complaints, hang, .. } =
            self;
        writeln!(f, "{database}, seed {seed}, {} s", took.as_secs())?;
        writeln!(f, "{counts}")?;
        writeln!(f, "{storm}")?;
        writeln!(f, "{blows}")?;
        if let Some(aftermath) = &self.aftermath {
            writeln!(f, "{aftermath}")?;
        }
        writeln!(f, "messages stored {rows}; violations {}", violations.len())?;
        let mut of_rule: BTreeMap<Rule, Vec<&Violation>> = BTreeMap::new();
        for violation in violations {
            of_rule.entry(violation.rule).or_default().push(violation);
        }
        for (rule, violations) in &of_rule {
            writeln!(f, "  {rule:?} {}", violations.len())?;
        }
        // Some of each: a rule that is broken often must not hide another one.
        for violation in of_rule.values().flat_map(|violations| violations.iter().take(SHOWN)) {
            writeln!(f, "  {violation}")?;
        }
        for complaint in complaints.iter().take(20) {
            writeln!(f, "  the server says {complaint}")?;
        }
        if let Some(hang) = hang {
            writeln!(f, "  it hung: {hang}")?;
        }
        Ok(())
    }
}

/// How the commands of the membership storm went.
#[derive(Clone, Copy, Debug, Default)]
struct Commands {
    asked: usize,
    succeeded: usize,
    refused: usize,
    /// Their clients hung up, or the server died.
    unknown: usize,
    messages: usize,
}

impl Commands {
    fn of(log: &[membership::Entry]) -> Self {
        let mut commands = Self::default();
        for entry in log {
            match entry.fact {
                Fact::Asked { .. } => commands.asked += 1,
                Fact::Succeeded { .. } => commands.succeeded += 1,
                Fact::Refused { .. } => commands.refused += 1,
                Fact::Unknown { .. } => commands.unknown += 1,
                Fact::Stored { .. } => commands.messages += 1,
                _ => {}
            }
        }
        commands
    }
}

impl fmt::Display for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, succeeded, refused, unknown, messages } = self;
        write!(
            f,
            "membership: commands {asked}, succeeded {succeeded}, refused {refused}, hung up or lost {unknown}; \
             messages {messages}"
        )
    }
}

/// A device, as seen from outside.
struct Watched {
    pen: Pen,
    status: Arc<Mutex<Status>>,
    line: Arc<line::Line>,
}

/// With a cluster, on so many nodes.
pub async fn run(seed: u64, size: Size, cluster: Option<Cluster>, nodes: usize, bus: Bus) -> Report {
    let began = Instant::now();
    let with_postgres = cluster.is_some();
    let plan = Plan::new(seed, size, with_postgres, nodes > 1);
    let folder = tempfile::Builder::new().prefix("parlor-chaos-").tempdir().unwrap();
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let url = cluster.as_ref().map_or_else(
        || format!("sqlite://{}", folder.path().join("parlor.db").display()),
        |cluster| cluster.url.clone(),
    );
    let stamp = Arc::new(AtomicU64::new(0));
    let mut nemesis = Nemesis::new(nodes, url.clone(), cluster, bus, logs.clone(), stamp.clone()).await;
    let address = nemesis.nodes().borrow()[0];
    let world = Arc::new(settle(&plan, size.people, address).await);
    let stormers = sign_up("stormer", STORMERS, address).await;
    let mut storm = Storm::begins(seed, stormers, size.kills * 3, nemesis.nodes());

    let (phase, phases) = watch::channel(Phase::Storm);
    let mut devices = Vec::new();
    let mut clients = JoinSet::new();
    let all_steps = plan.devices.len() * size.steps;
    for (number, device) in plan.devices.into_iter().enumerate() {
        let pen = Pen::new(&stamp, device.person, device.memory, device.keeps_store);
        let line = line::Line::to(nemesis.nodes()).await;
        let client = Client::new(number, device, world.clone(), line, pen);
        devices.push(Watched {
            pen: client.pen.clone(),
            status: client.status.clone(),
            line: client.line.clone(),
        });
        clients.spawn(client.run(phases.clone()));
    }

    let lines: Vec<Arc<line::Line>> = devices.iter().map(|device| device.line.clone()).collect();
    let mut hang = nemesis.rages(&plan.blows, &world, &lines, all_steps, PATIENCE).await.err();
    if hang.is_none() {
        hang = comes_to_rest(&devices, &world, &phase, &url).await.err();
    }
    let mut of_membership = Vec::new();
    let mut said = BTreeMap::new();
    let mut replies = BTreeMap::new();
    let mut counted = Vec::new();
    if hang.is_none() {
        assert!(storm.last_act().await, "everybody sends their last commands");
        storm.calms().await;
        of_membership = settlement::check(&storm, &url).await;
    }
    if hang.is_none() {
        let address = any_of(&nemesis.nodes());
        (said, replies) = read_all(&world, &plan.groups, address, &url).await;
        counted = ask_all(&world, address).await;
    }
    let storm_log = storm.log.entries();
    storm.ends().await;
    phase.send_replace(Phase::Over);
    let over = async { while clients.join_next().await.is_some_and(|ended| ended.is_ok()) {} };
    if timeout(PATIENCE, over).await.is_err() || !clients.is_empty() {
        hang.get_or_insert_with(|| "a client did not end, or failed".to_owned());
        clients.shutdown().await;
    }
    let mut aftermath = None;
    if hang.is_none() && nodes > 1 {
        match aftermath::comes(&mut nemesis, seed, &url).await {
            Ok(seen) => aftermath = Some(seen),
            Err(why) => hang = Some(why),
        }
    }
    nemesis.ends().await;

    let history = History {
        groups: plan.groups,
        people: size.people,
        devices: devices.iter().map(|device| device.pen.record()).collect(),
        saved: std::mem::take(&mut nemesis.saved),
        said,
        counted,
        replies,
    };
    if hang.is_some() {
        println!("{}", tails(&history));
        println!("{}", last_words(&logs, TAIL * 20));
    }
    let stored = stored::read(&url, &world).await.unwrap();
    keep_for_a_look(&history, &stored, &storm_log);
    let stormers: Vec<_> = storm.people.iter().map(|person| person.id).collect();
    let groups = settlement::read(&url, &stormers).await.unwrap();
    of_membership.extend(membership_check::check(&storm_log, &groups, nodes == 1));
    let mut violations = checker::check(&history, &stored, hang.is_none());
    violations.extend(of_membership);
    violations.extend(told_check::check_storm(&storm_log));
    violations.extend(aftermath.iter().flat_map(Aftermath::violations));
    Report {
        seed,
        database: match (with_postgres, nodes) {
            (false, _) => "SQLite".to_owned(),
            (true, 1) => "PostgreSQL".to_owned(),
            (true, nodes) => format!("{nodes} nodes on PostgreSQL, over {}", nemesis.bus),
        },
        took: began.elapsed(),
        blows: nemesis.blows,
        counts: Counts::of(&history),
        rows: stored.values().map(|room| room.last_seq).sum(),
        violations,
        storm: Commands::of(&storm_log),
        aftermath,
        complaints: complaints(&logs),
        hang,
    }
}

/// Waits until all steps are taken and everything is stored, then until everyone has come back once more
/// and has everything, and their receipts are saved.
async fn comes_to_rest(
    devices: &[Watched],
    world: &World,
    phase: &watch::Sender<Phase>,
    url: &str,
) -> Result<(), String> {
    waits("everything to be said and stored", devices, async || {
        let status = |device: &Watched| {
            let status = device.status.lock();
            (status.steps, status.unanswered)
        };
        devices.iter().map(status).all(|status| status == (0, 0))
    })
    .await?;
    assert!(world.steps.load(Ordering::Relaxed) > 0, "somebody has done something");
    phase.send_replace(Phase::Calm);
    let began = Instant::now();
    waits("everyone to have everything", devices, async || {
        // Too many open at once, or a database that is just coming up, are no reason to give up.
        let Ok(stored) = stored::read(url, world).await else { return false };
        devices.iter().all(|device| has_everything(device, &stored))
            && receipts_are_saved(&stored)
            && (devices.iter().all(|device| has_changes(device, &stored)) || began.elapsed() > CHANGES_TAKE)
    })
    .await
}

fn has_everything(device: &Watched, stored: &Stored) -> bool {
    let status = device.status.lock().clone();
    let memory = device.pen.memory();
    status.is_calm
        && (memory != Memory::Since
            || status
                .seen
                .iter()
                .all(|(room, seen)| stored.get(room).is_some_and(|room| room.last_seq == *seen)))
}

fn has_changes(device: &Watched, stored: &Stored) -> bool {
    let status = device.status.lock().clone();
    let has = |(room, seen): (&RoomId, &i64)| {
        let Some(room_now) = stored.get(room) else { return *seen == 0 };
        // The lobby replays nothing.
        room_now.place == Some(Place::Lobby) || status.changes.get(room) == Some(&room_now.last_change)
    };
    !device.pen.keeps_store() || (status.is_synced && status.seen.iter().all(has))
}

fn receipts_are_saved(stored: &Stored) -> bool {
    stored.values().all(|room| room.receipts.values().all(|receipts| receipts.delivered == room.last_seq))
}

/// Asks again and again until the answer is yes; gives up when nothing at all has moved for long.
async fn waits(what: &str, devices: &[Watched], is_so: impl AsyncFn() -> bool) -> Result<(), String> {
    let entries = || devices.iter().map(|device| device.pen.length()).sum::<usize>();
    let mut last = entries();
    let mut moved = Instant::now();
    let began = Instant::now();
    while !is_so().await {
        sleep(Duration::from_millis(200)).await;
        let now = entries();
        if now > last {
            (last, moved) = (now, Instant::now());
        }
        // What goes round in circles hangs, too.
        if moved.elapsed() > PATIENCE || began.elapsed() > PATIENCE * 5 {
            return Err(format!("waited in vain for {what}"));
        }
    }
    Ok(())
}

/// The end of each device's history.
fn tails(history: &History) -> String {
    let mut tails = String::new();
    for (number, record) in history.devices.iter().enumerate() {
        writeln!(tails, "device {number} of person {}, {:?}:", record.person, record.memory).unwrap();
        for entry in record.entries.iter().rev().take(TAIL).rev() {
            writeln!(tails, "  {} on {}: {:?}", entry.stamp, entry.connection, entry.what).unwrap();
        }
    }
    tails
}

/// Writes everything into the file that PARLOR_CHAOS_KEEP names, if it does: to look into a violation.
fn keep_for_a_look(history: &History, stored: &Stored, storm: &[membership::Entry]) {
    let Some(path) = std::env::var_os("PARLOR_CHAOS_KEEP") else { return };
    let mut text = String::new();
    let mut all: Vec<_> = history
        .devices
        .iter()
        .enumerate()
        .flat_map(|(device, record)| record.entries.iter().map(move |entry| (device, entry)))
        .collect();
    all.sort_by_key(|(_, entry)| entry.stamp);
    for (device, entry) in all {
        writeln!(text, "{} device {device} connection {}: {:?}", entry.stamp, entry.connection, entry.what)
            .unwrap();
    }
    for (id, room) in stored {
        writeln!(text, "room {id}: {:?} up to {}, {:?}", room.place, room.last_seq, room.receipts).unwrap();
        for line in &room.lines {
            writeln!(text, "  {line:?}").unwrap();
        }
    }
    for (place, entry) in storm.iter().enumerate() {
        writeln!(text, "storm {place}: {entry:?}").unwrap();
    }
    std::fs::write(path, text).unwrap();
}
