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

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::counts::{Count, Counted};

/// How long sent data may stay unacknowledged by the peer's machine before the kernel gives up on
/// it: what frees the memory of a reader that has stalled for good.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Where a request came in: the peer's address, and a way to cut the connection.
#[derive(Clone, Debug)]
pub struct Line {
    pub peer: SocketAddr,
    stream: Weak<OwnedWriteHalf>,
}

impl Line {
    /// Ends the connection in both directions, whatever is still waiting in it.
    pub fn cut(&self) {
        if let Some(stream) = self.stream.upgrade() {
            // One that is gone already is as cut as can be.
            drop(SockRef::from(stream.as_ref().as_ref()).shutdown(Shutdown::Both));
        }
    }

    pub fn is_open(&self) -> bool {
        self.stream.strong_count() > 0
    }
}

/// Accepts TCP connections and sets them up for chat: small frames, sent at once.
#[derive(Debug)]
pub struct LineListener {
    pub listener: TcpListener,
    /// The lines that are open.
    pub open: Count,
}

impl LineListener {
    pub async fn accept(&self) -> (LineStream, Line) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    if let Err(err) = set_up(&stream) {
                        tracing::debug!(error = %err, "a connection was gone before it was set up");
                        continue;
                    }
                    let (reading, writing) = stream.into_split();
                    let writing = Arc::new(writing);
                    let line = Line { peer, stream: Arc::downgrade(&writing) };
                    return (LineStream { reading, writing, _counted: self.open.one() }, line);
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
pub struct LineStream {
    /// Read through Tokio's own half: it knows that a read which did not fill its buffer was the last for now,
    /// and spares asking again.
    reading: OwnedReadHalf,
    /// Nobody else keeps it, so lines know by it whether the stream is there.
    writing: Arc<OwnedWriteHalf>,
    _counted: Counted,
}

impl AsyncRead for LineStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reading).poll_read(cx, buf)
    }
}

impl LineStream {
    fn poll_try_write(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream: &TcpStream = self.writing.as_ref().as_ref();
        loop {
            ready!(stream.poll_write_ready(cx))?;
            match write(stream) {
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
        match SockRef::from(self.reading.as_ref()).shutdown(Shutdown::Write) {
            Err(err) if err.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(err)),
            _ => Poll::Ready(Ok(())),
        }
    }
}
