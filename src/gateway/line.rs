//! The TCP connections that everything arrives on, with a handle to cut each one from outside.
//!
//! A Socket.IO session cannot be closed through the library, and a reader that stalls for good
//! would keep its socket and a task waiting in flush. Cutting the line below ends both, and a
//! client that still lives sees a lost transport and comes back.

use std::{
    io,
    net::{Shutdown, SocketAddr},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// How long sent data may stay unacknowledged by the peer's machine before the kernel gives up on
/// it: what frees the memory of a reader that has stalled for good.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Where a request came in: the peer's address, and a way to cut the connection.
#[derive(Clone, Debug)]
pub struct Line {
    pub peer: SocketAddr,
    stream: Weak<TcpStream>,
}

impl Line {
    /// Ends the connection in both directions, whatever is still waiting in it.
    pub fn cut(&self) {
        if let Some(stream) = self.stream.upgrade() {
            // One that is gone already is as cut as can be.
            drop(SockRef::from(&*stream).shutdown(Shutdown::Both));
        }
    }

    pub fn is_open(&self) -> bool {
        self.stream.strong_count() > 0
    }
}

impl Connected<IncomingStream<'_, LineListener>> for Line {
    fn connect_info(stream: IncomingStream<'_, LineListener>) -> Self {
        Self { peer: *stream.remote_addr(), stream: Arc::downgrade(&stream.io().0) }
    }
}

/// Accepts TCP connections and sets them up for chat: small frames, sent at once.
#[derive(Debug)]
pub struct LineListener(pub TcpListener);

impl axum::serve::Listener for LineListener {
    type Io = LineStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (LineStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, peer)) => {
                    if let Err(err) = set_up(&stream) {
                        tracing::debug!(error = %err, "a connection was gone before it was set up");
                        continue;
                    }
                    return (LineStream(Arc::new(stream)), peer);
                }
                Err(err) if is_the_peers_fault(&err) => {}
                Err(err) => {
                    // Out of file descriptors, most likely: others have to go first.
                    tracing::error!(error = %err, "could not accept a connection");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn set_up(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}

fn is_the_peers_fault(err: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(err.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A TCP stream that a [`Line`] can reach, too.
#[derive(Debug)]
pub struct LineStream(Arc<TcpStream>);

impl AsyncRead for LineStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(buf.initialize_unfilled()) {
                Ok(read) => {
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                Err(err) => return Poll::Ready(Err(err)),
            }
        }
    }
}

impl LineStream {
    fn poll_try_write(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match write(&self.0) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncWrite for LineStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_try_write(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_try_write(cx, |stream| stream.try_write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match SockRef::from(&*self.0).shutdown(Shutdown::Write) {
            Err(err) if err.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(err)),
            _ => Poll::Ready(Ok(())),
        }
    }
}
