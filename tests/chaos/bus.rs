//! What carries frames between the nodes, and may be killed, too.

use std::{fmt, net::SocketAddr};

#[path = "../harness/bus_server.rs"]
mod bus_server;
#[path = "../harness/faulty_bus.rs"]
mod faulty_bus;

use self::{bus_server::BusServer, faulty_bus::faulty_bus};
use crate::postgres::url_at;

/// See the module.
pub enum Bus {
    Postgres,
    Nats(BusServer),
    Redis(BusServer),
    /// It speaks the protocol of NATS, and loses, repeats and delays frames.
    Faulty(String),
    Off,
}

impl Bus {
    /// The one that `PARLOR_CHAOS_BUS` names, or else one that the seed chooses among those that this machine has.
    pub async fn chosen(seed: u64) -> Self {
        let there =
            [("postgres", true), ("faulty", true), ("nats", cfg!(with_nats)), ("redis", cfg!(with_redis))];
        let there: Vec<&str> = there.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
        let by_seed = there[usize::try_from(seed).unwrap_or(0) % there.len()];
        let name = std::env::var("PARLOR_CHAOS_BUS").unwrap_or_else(|_| by_seed.to_owned());
        match name.as_str() {
            "postgres" => Self::Postgres,
            "faulty" => Self::Faulty(faulty_bus().await),
            "nats" => Self::Nats(BusServer::nats()),
            "redis" => Self::Redis(BusServer::redis()),
            "off" => Self::Off,
            other => panic!("PARLOR_CHAOS_BUS is {other:?}"),
        }
    }

    /// Where it is, if not where the database is.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Nats(server) | Self::Redis(server) => Some(server.address()),
            Self::Faulty(url) => url.strip_prefix("nats://").and_then(|address| address.parse().ok()),
            Self::Postgres | Self::Off => None,
        }
    }

    /// For a node that reaches it at this address.
    pub fn settings(&self, at: SocketAddr) -> Vec<(&'static str, String)> {
        let (name, setting, url) = match self {
            Self::Postgres => ("postgres", "PARLOR__CLUSTER__LISTEN_URL", url_at(at)),
            Self::Nats(_) | Self::Faulty(_) => ("nats", "PARLOR__CLUSTER__URL", format!("nats://{at}")),
            Self::Redis(_) => ("redis", "PARLOR__CLUSTER__URL", format!("redis://{at}")),
            Self::Off => ("off", "PARLOR__CLUSTER__URL", String::new()),
        };
        vec![("PARLOR__CLUSTER__BUS", name.to_owned()), (setting, url)]
    }

    /// Whether it has a server of its own that can be killed. The caller starts it again.
    pub fn dies(&mut self) -> bool {
        match self {
            Self::Nats(server) | Self::Redis(server) => server.dies(),
            Self::Postgres | Self::Faulty(_) | Self::Off => return false,
        }
        true
    }

    pub fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }

    pub fn starts(&mut self) {
        if let Self::Nats(server) | Self::Redis(server) = self {
            server.starts();
        }
    }
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::Nats(_) => "NATS",
            Self::Redis(_) => "Redis",
            Self::Faulty(_) => "a faulty bus",
            Self::Off => "no bus",
        })
    }
}
