//! `[limits]`: how much one client may ask for before it is refused. Counting is left to `limits` and the gateways.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mistake::Findings;

/// Half of it must hold the longest answer (1 MB), a page of missed messages and a page of deliveries (512 KB
/// each), because all three may be written when the other half is already full.
const LEAST_OUTGOING_BYTES: usize = 4_200_000;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// The longest content of one message, in bytes; less than `packet_bytes`.
    pub content_bytes: usize,
    /// The largest packet or request on every transport, in bytes.
    pub packet_bytes: usize,
    /// Events a second of one socket, on average.
    pub events_per_second: u32,
    /// Events of one socket at once; at least `events_per_second`.
    pub events_burst: u32,
    /// Connections of one user at the same time.
    pub connections_per_user: usize,
    /// Wrong passwords per account and address within `failed_window`.
    pub failed_attempts: u32,
    /// Wrong passwords per address, whatever the account, within `failed_window`.
    pub failed_attempts_per_address: u32,
    /// The time over which wrong passwords are counted.
    #[serde(with = "humantime_serde")]
    pub failed_window: Duration,
    /// Wrong passwords per account, from all addresses that are not known for it.
    pub failed_attempts_per_account: u32,
    /// The time in which one of these is forgotten.
    #[serde(with = "humantime_serde")]
    pub failed_account_recovery: Duration,
    /// Sign-ups from one address within an hour.
    pub signups_per_address: u32,
    /// The largest profile of a user, in bytes of JSON.
    pub profile_bytes: usize,
    /// The most members of one group.
    pub group_members: usize,
    /// The most groups that one user owns.
    pub groups_owned: usize,
    /// The most groups that one user makes within an hour.
    pub groups_per_hour: usize,
    /// The most people that one user adds to groups within an hour, as members of new groups or of existing ones.
    pub members_added_per_hour: usize,
    /// HTTP requests a second of one user, on average.
    pub requests_per_second: u32,
    /// HTTP requests of one user at once; at least `requests_per_second`.
    pub requests_burst: u32,
    /// The shortest time between two notifications of changes of the public list of groups.
    #[serde(with = "humantime_serde")]
    pub list_interval: Duration,
    /// How long a new connection has to join a namespace.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long a client may take to acknowledge a `response` event.
    #[serde(with = "humantime_serde")]
    pub ack_timeout: Duration,
    /// `response` events a socket may leave unacknowledged. From half of it on, further ones wait; it is never a reason
    /// to disconnect.
    pub unacknowledged: usize,
    /// Packets that may wait for one socket before it counts as too slow.
    pub outgoing_packets: usize,
    /// Bytes that may wait for one connection; at least [`LEAST_OUTGOING_BYTES`].
    pub outgoing_bytes: usize,
    /// Bytes that may wait for all connections; at least `outgoing_bytes`.
    pub outgoing_bytes_total: usize,
    /// Socket.IO sessions that may be open without having joined a namespace.
    pub pending_connections: usize,
    /// The same of one address; at most `pending_connections`.
    pub pending_connections_per_address: usize,
    /// Changed messages of one room that a device that was away is sent; beyond it, it reads the room again.
    pub changes_replayed: usize,
    /// Events of one socket that may wait to be handled.
    pub waiting_events: usize,
    /// Bytes of the waiting events of all sockets.
    pub waiting_bytes_total: usize,
}

impl LimitsConfig {
    pub(super) fn check(&self, found: &mut Findings<'_>) {
        for (key, value) in [
            ("content_bytes", self.content_bytes),
            ("packet_bytes", self.packet_bytes),
            ("events_per_second", self.events_per_second as usize),
            ("events_burst", self.events_burst as usize),
            ("connections_per_user", self.connections_per_user),
            ("failed_attempts", self.failed_attempts as usize),
            ("failed_attempts_per_address", self.failed_attempts_per_address as usize),
            ("failed_attempts_per_account", self.failed_attempts_per_account as usize),
            ("signups_per_address", self.signups_per_address as usize),
            ("profile_bytes", self.profile_bytes),
            ("group_members", self.group_members),
            ("groups_owned", self.groups_owned),
            ("groups_per_hour", self.groups_per_hour),
            ("members_added_per_hour", self.members_added_per_hour),
            ("requests_per_second", self.requests_per_second as usize),
            ("requests_burst", self.requests_burst as usize),
            ("unacknowledged", self.unacknowledged),
            ("outgoing_packets", self.outgoing_packets),
            ("outgoing_bytes", self.outgoing_bytes),
            ("outgoing_bytes_total", self.outgoing_bytes_total),
            ("pending_connections", self.pending_connections),
            ("pending_connections_per_address", self.pending_connections_per_address),
            ("changes_replayed", self.changes_replayed),
            ("waiting_events", self.waiting_events),
            ("waiting_bytes_total", self.waiting_bytes_total),
        ] {
            found.count(key, value);
        }
        found.duration("failed_window", self.failed_window);
        found.duration("failed_account_recovery", self.failed_account_recovery);
        found.duration("list_interval", self.list_interval);
        found.duration("connect_timeout", self.connect_timeout);
        found.duration("ack_timeout", self.ack_timeout);

        for (key, value, other, least) in [
            ("events_burst", self.events_burst, "events_per_second", self.events_per_second),
            ("requests_burst", self.requests_burst, "requests_per_second", self.requests_per_second),
            (
                "failed_attempts_per_address",
                self.failed_attempts_per_address,
                "failed_attempts",
                self.failed_attempts,
            ),
            (
                "failed_attempts_per_account",
                self.failed_attempts_per_account,
                "failed_attempts",
                self.failed_attempts,
            ),
        ] {
            if value < least {
                let wrong = format!("{value} is less than limits.{other}");
                found.refuse(key, wrong, format!("use at least {least}"));
            }
        }
        if self.content_bytes >= self.packet_bytes {
            found.refuse(
                "content_bytes",
                format!("{} does not fit into a packet of limits.packet_bytes", self.content_bytes),
                format!("use less than {}", self.packet_bytes),
            );
        }
        self.check_outgoing(found);
        if self.pending_connections_per_address > self.pending_connections {
            found.refuse(
                "pending_connections_per_address",
                format!("{} is more than limits.pending_connections", self.pending_connections_per_address),
                format!("use at most {}", self.pending_connections),
            );
        }
    }

    fn check_outgoing(&self, found: &mut Findings<'_>) {
        // Zero is refused already.
        if (1..LEAST_OUTGOING_BYTES).contains(&self.outgoing_bytes) {
            found.refuse(
                "outgoing_bytes",
                format!("{} does not hold the longest answers", self.outgoing_bytes),
                format!("use at least {LEAST_OUTGOING_BYTES}"),
            );
        }
        if self.outgoing_bytes_total < self.outgoing_bytes {
            found.refuse(
                "outgoing_bytes_total",
                format!("{} is less than limits.outgoing_bytes", self.outgoing_bytes_total),
                format!("use at least {}", self.outgoing_bytes),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LimitsConfig;
    use crate::config::Config;

    #[test]
    fn limits_that_contradict_each_other_or_are_zero_are_named() {
        type LimitsChange = fn(&mut LimitsConfig);
        let table: [(LimitsChange, &[&str]); 13] = [
            (|limits| limits.outgoing_bytes = 1_000_000, &["limits.outgoing_bytes"]),
            (
                |limits| limits.outgoing_bytes_total = limits.outgoing_bytes - 1,
                &["limits.outgoing_bytes_total"],
            ),
            (
                |limits| limits.pending_connections = limits.pending_connections_per_address - 1,
                &["limits.pending_connections_per_address"],
            ),
            (|_| (), &[]),
            (|limits| limits.events_burst = 49, &["limits.events_burst"]),
            (|limits| limits.events_burst = 50, &[]),
            (|limits| limits.requests_burst = 19, &["limits.requests_burst"]),
            (|limits| limits.requests_burst = 20, &[]),
            (|limits| limits.groups_owned = 0, &["limits.groups_owned"]),
            (|limits| limits.content_bytes = limits.packet_bytes, &["limits.content_bytes"]),
            (
                |limits| limits.failed_attempts = 101,
                &["limits.failed_attempts_per_address", "limits.failed_attempts_per_account"],
            ),
            (|limits| limits.waiting_events = 0, &["limits.waiting_events"]),
            (
                |limits| (limits.group_members, limits.ack_timeout) = (0, std::time::Duration::ZERO),
                &["limits.group_members", "limits.ack_timeout"],
            ),
        ];
        for (change, expected) in table {
            let mut config = Config::development();
            change(&mut config.limits);
            let mistakes = config.check();
            let named: Vec<_> = mistakes.iter().map(|mistake| mistake.setting.as_str()).collect();
            assert_eq!(named, expected);
        }
    }
}
