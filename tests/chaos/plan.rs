//! Everything that is left to chance, drawn from one seed before anything begins: who does what, and what
//! is done to them. How the machine interleaves it is all that a replay can differ in.

use std::time::Duration;

use fastrand::Rng;

use crate::{
    history::{Memory, Place},
    line::Fault,
    wire::Kind,
};

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub people: usize,
    pub devices_each: usize,
    pub groups: usize,
    /// Steps of each device.
    pub steps: usize,
    /// Deaths of the server by SIGKILL.
    pub kills: usize,
    /// Other blows.
    pub others: usize,
}

pub struct Plan {
    pub groups: Vec<Vec<usize>>,
    pub devices: Vec<Device>,
    pub blows: Vec<Blow>,
}

pub struct Device {
    pub person: usize,
    pub memory: Memory,
    /// Whether it keeps what it was sent, and replays changes.
    pub keeps_store: bool,
    pub begins: Comeback,
    pub steps: Vec<Step>,
}

/// How a device connects.
#[derive(Clone, Copy, Debug)]
pub struct Comeback {
    pub wire: Kind,
    /// Whether it reports what has arrived when it likes, instead of acknowledging each message.
    pub batched: bool,
    /// What a device may leave unsaid while it is away.
    pub after: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// How long it waits before.
    pub after: Duration,
    pub action: Action,
}

#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// So many messages at once.
    Send {
        place: Place,
        messages: usize,
        bytes: usize,
        beside: Beside,
    },
    /// Edits messages of its own that were acknowledged; which ones is chosen by this number.
    Edit {
        which: usize,
        edits: usize,
        bytes: usize,
        way: Way,
    },
    /// Reacts to a message of its own that was acknowledged, or withdraws its reaction.
    React {
        which: usize,
    },
    /// Deletes a message that was acknowledged or read, and that it may delete.
    Delete {
        which: usize,
    },
    /// Pins so many messages that it may pin, or takes their pins away.
    Pin {
        which: usize,
        messages: usize,
        on: bool,
    },
    /// Says that it has read what it has of some room; which one is chosen by this number.
    MarkRead {
        which: usize,
    },
    /// Changes how it acknowledges.
    Acknowledge(Manner),
    StopReading(Duration),
    /// Goes and comes back, saying goodbye or not.
    Leave {
        says_so: bool,
        comeback: Comeback,
    },
    Suffer(Fault),
}

/// What a message is sent with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside {
    /// It is in the thread of a message of the device; which one is chosen by this number.
    pub thread: Option<usize>,
    /// It mentions somebody, chosen by this number, who may not even be a member.
    pub mention: Option<usize>,
}

/// How an edit is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Socket,
    /// Hanging up after so long, or waiting for the answer.
    Http(Option<Duration>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    AtOnce,
    Late(Duration),
    /// Gathers so many, then acknowledges the newest first.
    Backwards(usize),
    /// All but one in so many, which is left until the manner changes.
    WithHoles(usize),
    /// Not at all, until the manner changes.
    Not,
}

/// Something done to the server or to its database.
#[derive(Clone, Copy, Debug)]
pub struct Blow {
    /// Falls when this part of all the devices' steps is done, between 0 and 1.
    pub at: f64,
    pub what: What,
}

#[derive(Clone, Copy, Debug)]
pub enum What {
    /// SIGKILL, and a new start.
    Kill { down: Duration },
    /// SIGKILL while it has hardly come back from the one before.
    KillTwice { between: Duration },
    /// SIGTERM, its own end, and a new start.
    Terminate,
    /// SIGSTOP and SIGCONT.
    Freeze { during: Duration },
    /// Many connections at once that do nothing.
    Crowd { connections: usize },
    /// All lines at the same moment.
    CutAll,
    /// PostgreSQL stops and starts again; without one, the next is done instead.
    Database { immediately: bool, during: Duration },
    /// PostgreSQL and the server both die.
    Both,
    /// The bus dies and comes back; without a server of its own, all lines are cut instead.
    Bus { during: Duration },
    /// One of several nodes cannot reach the database, perhaps until its lease is over.
    CutFromDatabase { during: Duration },
    /// One of several nodes cannot reach the bus, or reaches it, and nothing gets through.
    CutFromBus { silently: bool, during: Duration },
}

impl What {
    fn kills(self) -> usize {
        match self {
            Self::Kill { .. } | Self::Both => 1,
            Self::KillTwice { .. } => 2,
            _ => 0,
        }
    }
}

impl Plan {
    pub fn new(seed: u64, size: Size, with_postgres: bool, on_several_nodes: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let groups: Vec<Vec<usize>> =
            (0..size.groups).map(|group| members(&mut rng, size.people, group)).collect();
        let blows = blows(&mut rng, size, with_postgres, on_several_nodes);
        let devices = (0..size.people * size.devices_each)
            // The last of the people has a single device, whose receipt nobody else moves.
            .filter(|number| *number < size.people || number % size.people != size.people - 1)
            .map(|number| {
                // Its own numbers, so that one device's steps do not change another's.
                let mut rng = Rng::with_seed(rng.u64(..));
                let person = number % size.people;
                let memory = match number / size.people {
                    0 if person == size.people - 1 => Memory::Receipt,
                    0 => Memory::Since,
                    1 if person.is_multiple_of(2) => Memory::Receipt,
                    1 => Memory::Since,
                    // One more that can keep a store.
                    _ if person == 0 => Memory::Since,
                    _ => Memory::LiveOnly,
                };
                // The second devices pass `since` as clients of yesterday do.
                let keeps_store = memory == Memory::Since && number / size.people != 1;
                let begins = comeback(&mut rng);
                let steps = (0..size.steps).map(|_| step(&mut rng, person, size.people, &groups)).collect();
                Device { person, memory, keeps_store, begins, steps }
            })
            .collect();
        Self { groups, devices, blows }
    }
}

/// The first group has everyone, the others some.
fn members(rng: &mut Rng, people: usize, group: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..people).collect();
    if group > 0 {
        rng.shuffle(&mut all);
        all.truncate(rng.usize(2..=people.max(3) - 1));
    }
    all
}

fn millis(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}

fn blows(rng: &mut Rng, size: Size, with_postgres: bool, on_several_nodes: bool) -> Vec<Blow> {
    let mut whats = Vec::new();
    let mut kills = 0;
    while kills < size.kills {
        let what = match rng.u32(0..10) {
            0 if kills + 2 <= size.kills => What::KillTwice { between: millis(rng, 0..600) },
            1 if with_postgres => What::Both,
            _ => What::Kill { down: millis(rng, 0..300) },
        };
        kills += what.kills();
        whats.push(what);
    }
    let kinds = if on_several_nodes { 8 } else { 5 };
    // Kinds that only several nodes have are additional.
    let others = if on_several_nodes { size.others * 4 / 3 } else { size.others };
    for number in 0..others {
        // Each kind in turn, so that even a short run has all.
        whats.push(match number % kinds {
            0 => What::Database { immediately: rng.bool(), during: millis(rng, 200..1_500) },
            1 => What::Terminate,
            // Beyond the lease, if there is one.
            2 if on_several_nodes => What::Freeze { during: millis(rng, 2_200..3_500) },
            2 => What::Freeze { during: millis(rng, 200..2_000) },
            3 => What::CutAll,
            5 => What::Bus { during: millis(rng, 200..4_000) },
            6 => What::CutFromDatabase { during: millis(rng, 300..3_500) },
            7 => What::CutFromBus { silently: rng.bool(), during: millis(rng, 300..4_000) },
            _ => What::Crowd { connections: rng.usize(20..80) },
        });
    }
    rng.shuffle(&mut whats);
    let count = whats.len();
    let blow = |(number, what)| Blow { at: 0.95 * (number as f64 + rng.f64()) / count as f64, what };
    whats.into_iter().enumerate().map(blow).collect()
}

fn comeback(rng: &mut Rng) -> Comeback {
    let wire = *rng.choice(&[Kind::WebSocket, Kind::Polling, Kind::Plain]).expect("a choice");
    Comeback { wire, batched: rng.u32(0..4) == 0, after: millis(rng, 0..400) }
}

fn place(rng: &mut Rng, person: usize, people: usize, groups: &[Vec<usize>]) -> Place {
    match rng.u32(0..10) {
        0..4 => Place::between(person, rng.usize(0..people)),
        4..9 => {
            let own: Vec<usize> =
                (0..groups.len()).filter(|group| groups[*group].contains(&person)).collect();
            own.get(rng.usize(0..own.len().max(1))).map_or(Place::Lobby, |group| Place::Group(*group))
        }
        _ => Place::Lobby,
    }
}

fn step(rng: &mut Rng, person: usize, people: usize, groups: &[Vec<usize>]) -> Step {
    let place = place(rng, person, people, groups);
    let action = match rng.u32(0..1_000) {
        0..580 => Action::Send {
            place,
            messages: 1,
            bytes: rng.usize(1..40),
            beside: Beside {
                thread: (rng.u32(0..6) == 0).then(|| rng.usize(..)),
                mention: (rng.u32(0..6) == 0).then(|| rng.usize(..)),
            },
        },
        580..620 => Action::Pin { which: rng.usize(..), messages: rng.usize(1..20), on: rng.u32(0..4) > 0 },
        620..660 => Action::Delete { which: rng.usize(..) },
        660..720 => Action::React { which: rng.usize(..) },
        720..800 => Action::Edit {
            which: rng.usize(..),
            edits: rng.usize(1..6),
            bytes: if rng.u32(0..20) == 0 { rng.usize(2_000..8_000) } else { rng.usize(1..60) },
            way: match rng.u32(0..6) {
                0 => Way::Http(None),
                1 => Way::Http(Some(Duration::from_micros(rng.u64(0..20_000)))),
                _ => Way::Socket,
            },
        },
        800..830 => Action::Send {
            place,
            messages: rng.usize(2..20),
            bytes: rng.usize(1..400),
            beside: Beside::default(),
        },
        830..832 => Action::Send {
            place,
            messages: rng.usize(30..80),
            bytes: rng.usize(4_000..12_000),
            beside: Beside::default(),
        },
        832..910 => Action::MarkRead { which: rng.usize(..) },
        910..940 => Action::Acknowledge(match rng.u32(0..7) {
            0..3 => Manner::AtOnce,
            3 => Manner::Late(millis(rng, 5..800)),
            4 => Manner::Backwards(rng.usize(2..12)),
            5 => Manner::WithHoles(rng.usize(2..8)),
            _ => Manner::Not,
        }),
        940..955 => Action::StopReading(millis(rng, 50..2_500)),
        955..980 => Action::Leave { says_so: rng.bool(), comeback: comeback(rng) },
        _ => Action::Suffer(match rng.u32(0..5) {
            0 | 1 => Fault::Cut,
            2 => Fault::Stall(millis(rng, 50..2_000)),
            3 => Fault::ClientGone,
            _ => Fault::ServerGone,
        }),
    };
    Step { after: millis(rng, 0..30), action }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { people: 4, devices_each: 2, groups: 2, steps: 50, kills: 9, others: 7 };

    #[test]
    fn a_seed_says_it_all() {
        let told = |seed| {
            let plan = Plan::new(seed, SIZE, true, true);
            let steps: Vec<_> = plan.devices.iter().map(|device| (device.begins, &device.steps)).collect();
            format!("{:?} {:?} {steps:?}", plan.groups, plan.blows)
        };
        assert_eq!(told(7), told(7));
        assert_ne!(told(7), told(8));
    }

    #[test]
    fn there_are_as_many_kills_as_were_asked_for_in_the_order_of_their_time() {
        for seed in 0..50 {
            let plan = Plan::new(seed, SIZE, seed % 2 == 0, false);
            assert_eq!(plan.blows.iter().map(|blow| blow.what.kills()).sum::<usize>(), SIZE.kills);
            assert!(plan.blows.is_sorted_by(|one, other| one.at <= other.at));
        }
    }
}
