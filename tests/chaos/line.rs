//! A TCP line of ours between one device and the server, that can be cut, stalled and made half-open.
//! The device always connects to the same address, wherever the server has come back.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::AbortHandle,
};

/// How long one side of a half-open line goes on believing in the other.
const BELIEF: Duration = Duration::from_secs(3);
/// What the kernel may hold of a line, so that a reader who pauses is felt by the server.
const BUFFER: usize = 16_384;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Both sides are told that it is over.
    Cut,
    /// Nothing is carried for so long, and nothing lost.
    Stall(Duration),
    /// The client is told, and the server believes that it is still there.
    ClientGone,
    /// The server is told, and the client believes that it is still there, until it loses patience.
    ServerGone,
}

/// How the line is at the moment. Connections that were begun before the newest number are faulty.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    number: u64,
    fault: Option<Fault>,
    stalled: bool,
}

/// See the module. Dropping it takes the address away.
pub struct Line {
    pub address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    listening: AbortHandle,
}

impl Line {
    /// To wherever the server is at the time.
    pub async fn to(server: watch::Receiver<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(watch::Sender::new(State::default()));
        let listening = tokio::spawn(listen(listener, server, state.clone())).abort_handle();
        Self { address, state, listening }
    }

    /// Does this to every connection that is open now.
    pub fn suffers(&self, fault: Fault) {
        if let Fault::Stall(duration) = fault {
            self.state.send_modify(|state| state.stalled = true);
            let state = self.state.clone();
            tokio::spawn(async move {
                tokio::time::sleep(duration).await;
                state.send_modify(|state| state.stalled = false);
            });
        } else {
            self.state.send_modify(|state| {
                state.number += 1;
                state.fault = Some(fault);
            });
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.listening.abort();
        self.suffers(Fault::Cut);
    }
}

async fn listen(
    listener: TcpListener,
    server: watch::Receiver<SocketAddr>,
    state: Arc<watch::Sender<State>>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let address = *server.borrow();
        let state = state.subscribe();
        tokio::spawn(async move {
            // Where nobody listens, the client is hung up on.
            let _ = carry(client, address, state).await;
        });
    }
}

async fn carry(
    mut client: TcpStream,
    server: SocketAddr,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let begun = state.borrow().number;
    let mut server = TcpStream::connect(server).await?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        SockRef::from(stream).set_recv_buffer_size(BUFFER)?;
    }
    let fault = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = pump(from_client, to_server, state.clone());
        let down = pump(from_server, to_client, state.clone());
        tokio::select! {
            _ = async { tokio::join!(up, down) } => return Ok(()),
            Ok(state) = state.wait_for(|state| state.number > begun) => state.fault,
        }
    };
    match fault {
        Some(Fault::ClientGone) => {
            drop(client);
            tokio::time::sleep(BELIEF).await;
        }
        Some(Fault::ServerGone) => {
            drop(server);
            tokio::time::sleep(BELIEF).await;
        }
        _ => {}
    }
    Ok(())
}

/// Carries one direction until it ends.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        if state.wait_for(|state| !state.stalled).await.is_err() {
            // The line is gone, and with it whoever could stall it.
            return Ok(());
        }
        to.write_all(&buffer[..length]).await?;
    }
}
