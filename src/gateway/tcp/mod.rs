//! The TCP connections below all gateways, and a handle to disconnect each one from outside.
//!
//! The Socket.IO library has no call to close a session. A client that stops reading for good would keep its
//! socket and a task that waits in flush. Closing the TCP connection ends both. A client that is still alive
//! sees a lost transport and reconnects.
//!
//! All transports share this module. So it also counts the bytes that the stream takes from a connection's
//! [`Backlog`], stops reading from a client that does not read, and disconnects silent clients.

mod acceptor;
mod client_frames;
mod connection;
mod frame_queue;
mod frames;
mod handle;
mod http_head;
mod open_connections;
mod replacement;
#[cfg(test)]
mod tests;
mod traffic;
mod websocket;

use std::{
    io,
    net::Shutdown,
    sync::Arc,
    task::{Context, Poll, ready},
};

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::net::{TcpStream, tcp::OwnedWriteHalf};

pub use self::{
    acceptor::TcpAcceptor,
    client_frames::{AckFilter, AckSink, TakenAck},
    connection::TcpConnection,
    frames::{FrameFilter, text_frame},
    handle::{RequestInProgress, TcpHandle},
    http_head::EarlyBytes,
    open_connections::OpenConnections,
};
use self::{frame_queue::FramesSent, traffic::Traffic};
use crate::backlog::Backlog;

/// What a stream shares with its handles. Only the stream keeps a strong reference, so a handle can see
/// whether the stream still exists.
#[derive(Debug)]
struct Shared {
    writing: OwnedWriteHalf,
    traffic: Mutex<Traffic>,
    backlog: Arc<Backlog>,
}

impl Shared {
    fn abort(&self) {
        // An error here means that the connection is closed already.
        drop(SockRef::from(self.writing.as_ref()).shutdown(Shutdown::Both));
        let mut traffic = self.traffic.lock();
        if let Some(websocket) = traffic.websocket() {
            websocket.clear_frames();
        }
        traffic.wake();
    }

    /// Tells the client's machine at once that everything was read. Nothing is written that would tell it, and a client
    /// with Nagle's algorithm sends nothing more until it knows: the kernel may take 40 ms.
    fn confirm(&self) {
        #[cfg(target_os = "linux")]
        // An error here means that the connection is closed.
        drop(SockRef::from(self.writing.as_ref()).set_tcp_quickack(true));
    }

    /// Sends the frames of the server. The task that reads sends what the stream does not take now.
    fn flush(&self) {
        let mut traffic = self.traffic.lock();
        if !traffic.websocket().is_some_and(|websocket| websocket.may_send() && !websocket.is_blocked()) {
            return;
        }
        match traffic.send(false, |bytes| self.writing.try_write(bytes)) {
            Ok(FramesSent::Everything) => {}
            Ok(FramesSent::Blocked | FramesSent::Waits) => traffic.wake_sender(),
            Err(_) => {
                drop(traffic);
                self.abort();
            }
        }
    }

    /// Sends frames of the server, or only the rest of one that was begun. `Pending` has the task woken when the stream
    /// takes more. Call it only when the server may send.
    fn poll_send(
        &self,
        traffic: &mut Traffic,
        only_the_rest: bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let stream: &TcpStream = self.writing.as_ref();
        loop {
            ready!(stream.poll_write_ready(cx))?;
            // If the stream was full, the next look at it registers the task.
            if traffic.send(only_the_rest, |bytes| stream.try_write(bytes))? != FramesSent::Blocked {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
