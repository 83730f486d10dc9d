//! File descriptors: the limit of this process, and how many of them TCP connections may take. The database,
//! the log and requests to issuers need some, too, however many strangers connect.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that TCP connections never take, besides those of the database: for listeners, the log, files
/// that are served, and requests to issuers.
const RESERVE: usize = 64;

/// The limit that is assumed if the system has none.
const UNLIMITED: u64 = 1 << 20;

/// Raises the soft limit of this process to the hard one.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Some systems refuse more than a limit of their own.
    if setrlimit(Resource::Nofile, raised).is_err() {
        tracing::warn!(limit = limit.current, "the limit of open files could not be raised");
    }
}

/// How many TCP connections may be open at the same time, if the database may need `database` descriptors.
pub fn connections(database: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(UNLIMITED);
    shared(usize::try_from(limit).unwrap_or(usize::MAX), database)
}

/// A very low limit leaves at least a quarter for connections.
fn shared(limit: usize, database: usize) -> usize {
    limit.saturating_sub(RESERVE.saturating_add(database)).max(limit / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_has_its_descriptors_first() {
        for (limit, database, connections) in
            [(1_024, 18, 942), (65_536, 16, 65_456), (64, 18, 16), (0, 18, 1), (100, 18, 25)]
        {
            assert_eq!(shared(limit, database), connections, "{limit}");
        }
    }
}
