//! All open TCP connections, and the job that disconnects silent clients.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Shared;
use crate::{metrics, shutdown::Shutdown, sweep::WeakList};

/// How often the job checks the connections.
const EVERY: Duration = Duration::from_secs(5);
/// One in this many connections is closed at once. To find them, each connection is looked at.
const CLOSED_PART: usize = 32;
/// How often at most the log says that the server is full.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// See the module. Cheap to clone; all clones are the same. Entries of closed connections are removed when
/// the list has doubled, and at each check.
#[derive(Clone)]
pub struct OpenConnections {
    silence: Duration,
    known: Arc<Mutex<Registry>>,
}

#[derive(Default)]
struct Registry {
    connections: WeakList<Shared>,
    told_full: Option<Instant>,
}

impl OpenConnections {
    /// `silence` limits two times: how long a client may send nothing complete on a websocket of the
    /// Socket.IO engine, and how long it may take to read an HTTP answer. Other websockets have their own
    /// heartbeat.
    pub fn new(silence: Duration) -> Self {
        Self { silence, known: Arc::default() }
    }

    pub(super) fn add(&self, tcp: Weak<Shared>) {
        self.known.lock().connections.push(tcp);
    }

    /// Disconnects silent clients until the server shuts down.
    pub fn watch(&self, shutdown: &Shutdown) {
        let (open_connections, begun) = (self.clone(), shutdown.clone());
        shutdown.spawn(async move {
            while !begun.begins_within(EVERY.min(open_connections.silence)).await {
                open_connections.disconnect_silent();
            }
        });
    }

    /// Closes the connections on which nothing was asked for the longest time: silent strangers, and clients
    /// that keep a connection for a later request, which then connect again. Open sockets and requests in
    /// progress stay. `most` is the number of connections that fit.
    pub(super) fn close_idle(&self, most: usize) {
        let mut idle: Vec<_> = {
            let mut known = self.known.lock();
            known.connections.sweep();
            if known.told_full.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
                known.told_full = Some(Instant::now());
                tracing::warn!(
                    connections = most,
                    "as many connections are open as the limit of open files allows: closing idle ones (raise the limit with ulimit -n)"
                );
            }
            let idle = known.connections.iter().filter_map(|connection| {
                let since = connection.traffic.lock().idle_since()?;
                Some((since, connection))
            });
            idle.collect()
        };
        idle.sort_unstable_by_key(|(since, _)| *since);
        for (_, connection) in idle.iter().take((most / CLOSED_PART).max(1)) {
            metrics::TCP_IDLE_CLOSED.one();
            connection.abort();
        }
    }

    fn disconnect_silent(&self) {
        let open_connections: Vec<_> = {
            let mut known = self.known.lock();
            known.connections.sweep();
            known.connections.iter().collect()
        };
        let now = Instant::now();
        for tcp in open_connections {
            let since = tcp.traffic.lock().silent_since();
            if since.is_some_and(|since| now.saturating_duration_since(since) >= self.silence) {
                metrics::TCP_SILENT.one();
                tracing::debug!("disconnected a client that was silent");
                tcp.abort();
            }
        }
    }
}

impl fmt::Debug for OpenConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenConnections").field("silence", &self.silence).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests run tasks of their own")]
mod tests {
    use std::pin::pin;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        time::timeout,
    };

    use super::*;
    use crate::{
        backlog::{Backlogs, Limits},
        counts::Count,
        gateway::tcp::{FrameFilter, TcpAcceptor, TcpConnection, TcpHandle},
    };

    const SILENCE: Duration = Duration::from_millis(200);
    /// Long enough for several sweeps. If nothing happens in this time, no sweeper runs.
    const LONGER: Duration = Duration::from_millis(600);
    /// Fails a test whose connection does not end.
    const PATIENCE: Duration = Duration::from_secs(20);

    async fn connect(open_connections: &OpenConnections) -> (TcpStream, TcpConnection, TcpHandle) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let backlogs = Backlogs::new(Limits { one: 1_000, all: 1_000 }, Count::default());
        let listener = TcpAcceptor {
            listener,
            open: Count::default(),
            most: 16,
            backlogs,
            open_connections: open_connections.clone(),
            unread_timeout: PATIENCE,
        };
        let (client, (stream, tcp)) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.unwrap(), stream, tcp)
    }

    async fn websocket(
        open_connections: &OpenConnections,
        counted: FrameFilter,
    ) -> (TcpStream, TcpConnection) {
        let (mut client, mut stream, tcp) = connect(open_connections).await;
        let request = b"GET / HTTP/1.1\r\n\r\n";
        client.write_all(request).await.unwrap();
        stream.read_exact(&mut vec![0; request.len()]).await.unwrap();
        tcp.switch(tcp.backlog().clone(), counted).unwrap();
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await.unwrap();
        (client, stream)
    }

    /// Sends a frame of 32,767 bytes, one byte at a time, until the connection ends.
    async fn trickles(mut client: TcpStream) {
        let mut part: &[u8] = &[0x81, 0xfe, 0x7f, 0xff, 0, 0, 0, 0];
        while client.write_all(part).await.is_ok() {
            part = b"x";
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn only_the_sweeper_ends_an_engine_websocket_that_trickles() {
        let open_connections = OpenConnections::new(SILENCE);
        let (client, mut stream) = websocket(&open_connections, FrameFilter::SocketIo).await;
        let (mut plain, mut plain_stream) = websocket(&open_connections, FrameFilter::All).await;
        let trickling = tokio::spawn(trickles(client));
        let mut end = pin!(async {
            let mut buffer = [0; 1_024];
            while matches!(stream.read(&mut buffer).await, Ok(length) if length > 0) {}
        });
        assert!(timeout(LONGER, end.as_mut()).await.is_err(), "it ended without the sweeper");
        open_connections.watch(&Shutdown::new());
        timeout(PATIENCE, end).await.expect("the end of the connection");
        trickling.abort();
        // A plain websocket has its own heartbeat, so the sweeper does not close it.
        plain.write_all(b"x").await.unwrap();
        assert_eq!(plain_stream.read(&mut [0; 1]).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn only_the_sweeper_ends_an_http_connection_whose_answer_is_not_read() {
        let open_connections = OpenConnections::new(SILENCE);
        let (_client, mut stream, _tcp) = connect(&open_connections).await;
        // More than the kernel buffers for both sides.
        let answer = vec![b'x'; 64 << 20];
        let mut written = pin!(stream.write_all(&answer));
        assert!(timeout(LONGER, written.as_mut()).await.is_err(), "it ended without the sweeper");
        open_connections.watch(&Shutdown::new());
        let written = timeout(PATIENCE, written).await.expect("the end of the connection");
        written.unwrap_err();
    }
}
