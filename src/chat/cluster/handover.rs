//! A node that is stopped hands its clients over to the other nodes, if there are any. It says that it is not ready, and
//! serves everyone until the proxy in front has noticed that. Then it disconnects its clients, some at a time, so that
//! the others do not get them all in one second. A node alone does neither: its clients wait for the next program.

use std::time::Duration;

use crate::chat::Chat;

/// The pause between two groups of clients.
const STEP: Duration = Duration::from_millis(100);
/// So many are disconnected at a time in any case: a small node is not slow to stop.
const AT_LEAST: usize = 50;

impl Chat {
    /// See the module. From the beginning on, [`Chat::is_ready`] refuses.
    pub async fn hand_over(&self) {
        let core = &self.core;
        core.readiness.leave();
        if !core.cluster.is_shared() {
            return;
        }
        let settings = &core.settings.cluster;
        tracing::info!(nodes = core.cluster.others(), "handing the clients over to the other nodes");
        tokio::time::sleep(settings.drain_delay).await;
        let connections = core.hub.all();
        let at_once = at_once(connections.len(), settings.drain_spread);
        for part in connections.chunks(at_once) {
            part.iter().for_each(|connection| connection.hand_over());
            tokio::time::sleep(STEP).await;
        }
    }
}

/// How many of so many connections are disconnected at a time, so that all are over this time.
fn at_once(connections: usize, spread: Duration) -> usize {
    let steps = (spread.as_millis() / STEP.as_millis()).max(1);
    connections.div_ceil(usize::try_from(steps).unwrap_or(usize::MAX)).max(AT_LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_clients_are_spread_over_the_time_and_few_are_not() {
        let spread = Duration::from_secs(20);
        for (connections, expected) in [(0, 50), (3, 50), (10_000, 50), (50_000, 250), (50_001, 251)] {
            assert_eq!(at_once(connections, spread), expected, "{connections}");
        }
        assert_eq!(at_once(1_000, Duration::ZERO), 1_000);
    }
}
