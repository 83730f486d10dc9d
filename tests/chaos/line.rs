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

use crate::server::Nodes;

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
    /// Which node new connections go to, modulo the number of nodes.
    node: usize,
}

/// See the module. Dropping it takes the address away.
pub struct Line {
    pub address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    listening: AbortHandle,
}

impl Line {
    /// To one of the nodes, wherever it is at the time. After a fault that ends connections, and where nobody listens, the
    /// next connections go to any node: a session that went on at another one would not be known there.
    pub async fn to(nodes: Nodes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(watch::Sender::new(State::default()));
        let listening = tokio::spawn(listen(listener, nodes, state.clone())).abort_handle();
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
                state.node = fastrand::usize(..);
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

async fn listen(listener: TcpListener, nodes: Nodes, state: Arc<watch::Sender<State>>) {
    while let Ok((client, _)) = listener.accept().await {
        let address = {
            let nodes = nodes.borrow();
            nodes[state.borrow().node % nodes.len()]
        };
        let state = state.clone();
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(address).await else {
                // The client is hung up on.
                state.send_modify(|state| state.node = fastrand::usize(..));
                return;
            };
            let _ = carry(client, server, state.subscribe()).await;
        });
    }
}

async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let begun = state.borrow().number;
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
