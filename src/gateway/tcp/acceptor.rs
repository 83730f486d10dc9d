//! Accepts TCP connections.

use std::{io, sync::Arc, time::Duration};

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use super::{OpenConnections, Shared, TcpConnection, TcpHandle, traffic::Traffic};
use crate::{backlog::Backlogs, counts::Count};

/// How often a server that is full looks whether a connection has ended.
const FULL_CHECK: Duration = Duration::from_millis(20);

/// Most unsent bytes that the kernel keeps for one connection. Bytes in the kernel cannot be counted, and
/// nothing can overtake them. With megabytes there, a client on a slow link would not receive a ping in time.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// Accepts TCP connections and configures them for chat: small frames are sent at once.
#[derive(Debug)]
pub struct TcpAcceptor {
    pub listener: TcpListener,
    /// The number of open connections.
    pub open: Count,
    /// The maximum of it. The file descriptors above are for the database and the rest of the server. Over it,
    /// idle connections are closed to make room; while none is idle, new connections wait in the kernel.
    pub most: usize,
    pub backlogs: Backlogs,
    pub open_connections: OpenConnections,
    /// How long sent data may stay unacknowledged by the peer's machine. Then the kernel closes the
    /// connection, which frees the memory of a client that has stopped reading for good.
    pub unread_timeout: Duration,
}

impl TcpAcceptor {
    pub async fn accept(&self) -> (TcpConnection, TcpHandle) {
        loop {
            self.may_accept().await;
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    if let Err(err) = self.set_up(&stream) {
                        tracing::debug!(error = %err, "a connection was gone before it was set up");
                        continue;
                    }
                    let local = stream.local_addr().ok();
                    let (reading, writing) = stream.into_split();
                    let backlog = self.backlogs.backlog();
                    let traffic = Mutex::new(Traffic::new());
                    let shared = Arc::new(Shared { writing, traffic, backlog: backlog.clone() });
                    let stream = Arc::downgrade(&shared);
                    self.open_connections.add(stream.clone());
                    let tcp = TcpHandle { peer, local, stream, backlog };
                    let connection_with_most = tcp.stream.clone();
                    tcp.backlog.closes_with(move || {
                        if let Some(stream) = connection_with_most.upgrade() {
                            stream.abort();
                        }
                    });
                    return (TcpConnection::new(reading, shared, self.open.one()), tcp);
                }
                Err(err) if is_the_peers_fault(&err) => {}
                Err(err) => {
                    // Most likely out of file descriptors: other connections have to close first.
                    tracing::error!(error = %err, "could not accept a connection");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    fn set_up(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        {
            let socket = SockRef::from(stream);
            socket.set_tcp_user_timeout(Some(self.unread_timeout))?;
            socket.set_tcp_notsent_lowat(UNSENT)?;
        }
        Ok(())
    }

    /// Waits until one more connection may be open.
    async fn may_accept(&self) {
        while self.open.now() >= self.most {
            self.open_connections.close_idle(self.most);
            tokio::time::sleep(FULL_CHECK).await;
        }
    }
}

fn is_the_peers_fault(err: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(err.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
