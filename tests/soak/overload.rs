//! The overload part: every way of taking more than one's share, all at once, by ten accounts with twenty sockets
//! each and by strangers. The memory of the server has a bound; how long others wait is recorded beside it.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpSocket,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use crate::{
    harness::{Database, Person, Process},
    samples::Samples,
};

const ACCOUNTS: usize = 10;
const SOCKETS: usize = 20;
const STRANGERS: usize = 24;
/// How much the server may hold more than when it is idle, in MiB.
const BOUND: f64 = 256.0;
/// The harness lifts these; here the defaults have to do their work.
const DEFAULTS: [(&str, &str); 7] = [
    ("PARLOR__LIMITS__REQUESTS_PER_SECOND", "20"),
    ("PARLOR__LIMITS__REQUESTS_BURST", "100"),
    ("PARLOR__LIMITS__GROUPS_PER_HOUR", "50"),
    ("PARLOR__LIMITS__GROUPS_OWNED", "200"),
    ("PARLOR__LIMITS__MEMBERS_ADDED_PER_HOUR", "1000"),
    ("PARLOR__AUTH__TOKEN_TTL", "24h"),
    ("RUST_LOG", "error,parlor::cli=info,parlor::app=info"),
];
/// A client that got nowhere tries again after so long.
const LIFE: Duration = Duration::from_secs(30);

/// What everybody who takes part knows.
struct Stage {
    address: SocketAddr,
    people: Vec<Person>,
    /// A group of everybody's, with a long history.
    group: String,
    over: AtomicBool,
    /// By kind, so that the record shows that each of them did something.
    done: [AtomicU64; KINDS.len()],
    /// How often one of the others was disconnected, or could not connect.
    lost: AtomicU64,
}

const KINDS: [&str; 8] = [
    "history asked by slow readers",
    "pages asked over HTTP and not read",
    "pings whose pongs are not read",
    "events to sockets that never acknowledge",
    "lists, announcements, typing and renames",
    "groups asked for",
    "anonymous handshakes",
    "half requests",
];

/// Runs it for so long. Panics where the bound is exceeded.
pub async fn run(length: Duration) {
    let database = Database::fresh().await;
    let process = Process::with(&database, &DEFAULTS).await;
    let stage = Arc::new(Stage::set(&process).await);
    let (ada, bob) = (process.person("calm-ada").await, process.person("calm-bob").await);
    let samples = Samples::new(&process);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = samples.memory();

    let waits: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let calm = tokio::spawn(talk_calmly(stage.clone(), ada, bob, waits.clone()));
    // They are connected before it begins.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut attackers = Vec::new();
    for account in 0..ACCOUNTS {
        for socket in 0..SOCKETS {
            attackers.push(tokio::spawn(keep_on(stage.clone(), account, socket)));
        }
    }
    attackers.extend((0..STRANGERS).map(|number| tokio::spawn(come_as_a_stranger(stage.clone(), number))));

    let began = Instant::now();
    let (mut peak, mut noted) = (idle, 0);
    while began.elapsed() < length {
        tokio::time::sleep(Duration::from_millis(250)).await;
        peak = peak.max(samples.memory());
        let tens = began.elapsed().as_secs() / 10;
        if tens > noted {
            noted = tens;
            println!(
                "overload, {} s: {:.0} MiB over idle, peak {:.0}",
                tens * 10,
                samples.memory() - idle,
                peak - idle
            );
        }
    }
    stage.over.store(true, Ordering::Relaxed);
    for attacker in attackers {
        attacker.abort();
    }
    calm.abort();
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!(
        "overload: idle {idle:.0} MiB, peak {peak:.0} MiB, 5 s after the end {:.0} MiB",
        samples.memory()
    );
    for (kind, done) in KINDS.iter().zip(&stage.done) {
        println!("  {kind}: {}", done.load(Ordering::Relaxed));
    }
    let lost = stage.lost.load(Ordering::Relaxed);
    println!(
        "  the others: {}, disconnected or not connected {lost} times",
        quantiles(std::mem::take(&mut *waits.lock()))
    );
    for (kind, done) in KINDS.iter().zip(&stage.done) {
        assert!(done.load(Ordering::Relaxed) > 0, "nothing was done: {kind}");
    }
    assert!(peak - idle <= BOUND, "the server held {:.0} MiB more than idle, at most {BOUND}", peak - idle);
    drop(process);
    database.remove().await;
}

fn quantiles(mut waits: Vec<Duration>) -> String {
    waits.sort_unstable();
    let at = |share: f64| waits.get((waits.len() as f64 * share) as usize).copied().unwrap_or_default();
    format!(
        "{} messages, p50 {:.1?}, p99 {:.1?}, longest {:.1?}",
        waits.len(),
        at(0.5),
        at(0.99),
        at(0.999_999)
    )
}

impl Stage {
    async fn set(process: &Process) -> Self {
        let mut people = Vec::new();
        for number in 0..ACCOUNTS {
            let person = process.person(&format!("greedy-{number}")).await;
            let path = format!("/api/users/greedy-{number}");
            person.patch(&path, json!({ "profile": { "x": "x".repeat(16_000) } })).await.is(200);
            people.push(person);
        }
        let names: Vec<String> = people.iter().map(|person| person.username.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let group = people[0].makes_group("the crowd", &names).await;
        let writer = people[0].connect().await;
        for _ in 0..400 {
            let said = json!({ "receiver": group, "content": "x".repeat(16_000) });
            while writer.emit("groupMessage", said.clone()).await["success"] == false {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        writer.leaves();
        let over = AtomicBool::new(false);
        Self {
            address: process.address,
            people,
            group,
            over,
            done: Default::default(),
            lost: AtomicU64::new(0),
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn did(&self, kind: usize) {
        self.done[kind].fetch_add(1, Ordering::Relaxed);
    }
}

/// Two who only talk to each other; how long each message took.
async fn talk_calmly(stage: Arc<Stage>, ada: Person, bob: Person, waits: Arc<Mutex<Vec<Duration>>>) {
    while !stage.is_over() {
        let (ada, bob, waits, stage) = (ada.clone(), bob.clone(), waits.clone(), stage.clone());
        // Whoever is disconnected connects again.
        let others = stage.clone();
        let talk = tokio::spawn(async move {
            let (ada, bob) = (ada.connect().await, bob.connect().await);
            while !stage.is_over() {
                let began = Instant::now();
                ada.asks("privateMessage", json!({ "receiver": &*bob.username, "content": "hi" })).await;
                waits.lock().push(began.elapsed());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        if talk.await.is_err() {
            others.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One of an account's sockets, again and again.
async fn keep_on(stage: Arc<Stage>, account: usize, socket: usize) {
    while !stage.is_over() {
        let life = async {
            match socket {
                0..5 => ask_for_history(&stage, account).await,
                5..7 => ask_for_pages(&stage, account).await,
                7..10 => ping(&stage, account).await,
                10..14 => never_acknowledge(&stage, account).await,
                14..18 => be_a_nuisance(&stage, account).await,
                _ => make_groups(&stage, account).await,
            }
        };
        // How a life ends does not matter: it is the server's right to end it.
        let _ = timeout(LIFE, life).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A bare line, which reads what it is sent or does not.
struct Line {
    out: OwnedWriteHalf,
    /// Kept open, so that the other side does not notice.
    input: Option<OwnedReadHalf>,
}

impl Line {
    async fn open(address: SocketAddr, is_narrow: bool) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if is_narrow {
            socket.set_recv_buffer_size(4_096)?;
        }
        let (input, out) = socket.connect(address).await?.into_split();
        Ok(Self { out, input: Some(input) })
    }

    /// A websocket. The head of the answer is read and nothing more.
    async fn websocket(address: SocketAddr, path: &str, is_narrow: bool) -> io::Result<Self> {
        let mut line = Self::open(address, is_narrow).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        line.out.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let input = line.input.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            head.push(input.read_u8().await?);
        }
        if head.starts_with(b"HTTP/1.1 101") {
            Ok(line)
        } else {
            Err(io::ErrorKind::ConnectionRefused.into())
        }
    }

    /// A socket in `/chat` of somebody who is signed in.
    async fn native(stage: &Stage, account: usize, is_narrow: bool) -> io::Result<Self> {
        let path = "/socket.io/?EIO=4&transport=websocket";
        let mut line = Self::websocket(stage.address, path, is_narrow).await?;
        let token = &*stage.people[account].token;
        line.says(&format!("40/chat,{}", json!({ "token": token }))).await?;
        Ok(line)
    }

    /// Reads on and on, and forgets it.
    fn reads(&mut self) {
        let Some(mut input) = self.input.take() else { return };
        tokio::spawn(async move {
            let mut buffer = vec![0; 16_384];
            while input.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
        });
    }

    async fn says(&mut self, text: &str) -> io::Result<()> {
        self.frame(0x81, text.as_bytes()).await
    }

    async fn emits(&mut self, event: &str, payload: &Json) -> io::Result<()> {
        self.says(&format!("42/chat,1{}", json!([event, payload]))).await
    }

    /// A frame masked with zeros, which change nothing.
    async fn frame(&mut self, head: u8, payload: &[u8]) -> io::Result<()> {
        let mut frame = vec![head];
        match u16::try_from(payload.len()) {
            Ok(length @ 0..126) => frame.push(0x80 | length as u8),
            Ok(length) => {
                frame.push(0x80 | 126);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => return Err(io::ErrorKind::InvalidInput.into()),
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.out.write_all(&frame).await
    }
}

async fn ask_for_history(stage: &Stage, account: usize) -> io::Result<()> {
    let mut line = Line::native(stage, account, true).await?;
    let wanted = json!({ "receiver": stage.group, "group": true, "limit": 200 });
    loop {
        line.emits("history", &wanted).await?;
        stage.did(0);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn ask_for_pages(stage: &Stage, account: usize) -> io::Result<()> {
    let mut line = Line::open(stage.address, true).await?;
    let token = &stage.people[account].token;
    let path = format!("/api/rooms/{}/messages?limit=200", stage.group);
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    loop {
        line.out.write_all(request.as_bytes()).await?;
        stage.did(1);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn ping(stage: &Stage, account: usize) -> io::Result<()> {
    let path = format!("/ws?token={}", stage.people[account].token);
    ping_at(stage, &path).await
}

async fn ping_at(stage: &Stage, path: &str) -> io::Result<()> {
    let mut line = Line::websocket(stage.address, path, true).await?;
    loop {
        for _ in 0..200 {
            line.frame(0x89, &[b'x'; 125]).await?;
        }
        stage.did(2);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn never_acknowledge(stage: &Stage, account: usize) -> io::Result<()> {
    let mut line = Line::native(stage, account, false).await?;
    line.reads();
    loop {
        // What it says reaches nineteen others of the account, and all of the crowd.
        line.emits("groupMessage", &json!({ "receiver": stage.group, "content": "x".repeat(4_000) })).await?;
        stage.did(3);
        tokio::time::sleep(Duration::from_millis(500)).await;
        // The engine's pong, whether it asked or not.
        line.says("3").await?;
    }
}

async fn be_a_nuisance(stage: &Stage, account: usize) -> io::Result<()> {
    let mut line = Line::native(stage, account, true).await?;
    let crowd = json!({ "receiver": stage.group, "group": true, "typing": true });
    loop {
        for number in 0..6 {
            match number {
                0 => line.emits("listUsers", &json!({})).await?,
                1 => line.emits("listRooms", &json!({})).await?,
                2 => line.emits("createGroup", &json!({ "groupId": stage.group })).await?,
                3 => line.emits("typing", &crowd).await?,
                4 => {
                    let name = format!("crowd {}", uuid::Uuid::new_v4().simple());
                    line.emits("updateGroup", &json!({ "groupId": stage.group, "groupName": name })).await?;
                }
                _ => line.emits("listGroups", &json!({})).await?,
            }
            stage.did(4);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

async fn make_groups(stage: &Stage, account: usize) -> io::Result<()> {
    let mut line = Line::native(stage, account, false).await?;
    line.reads();
    let victim = &*stage.people[(account + 1) % ACCOUNTS].username;
    loop {
        let name = format!("flood {}", uuid::Uuid::new_v4().simple());
        line.emits("createGroup", &json!({ "groupName": name, "users": [victim] })).await?;
        stage.did(5);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn come_as_a_stranger(stage: Arc<Stage>, number: usize) {
    while !stage.is_over() {
        let life = async {
            match number % 4 {
                0 => ping_at(&stage, "/socket.io/?EIO=4&transport=websocket").await,
                1 => half_requests(&stage).await,
                _ => shake_hands(&stage).await,
            }
        };
        let _ = timeout(LIFE, life).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Sessions that nobody joins anything with, as many as one line can ask for.
async fn shake_hands(stage: &Stage) -> io::Result<()> {
    let mut line = Line::open(stage.address, false).await?;
    line.reads();
    let request = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20);
    loop {
        line.out.write_all(request.as_bytes()).await?;
        stage.did(6);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn half_requests(stage: &Stage) -> io::Result<()> {
    let mut lines = Vec::new();
    for _ in 0..50 {
        let mut line = Line::open(stage.address, false).await?;
        line.out
            .write_all(b"POST /api/users HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n{")
            .await?;
        stage.did(7);
        lines.push(line);
    }
    tokio::time::sleep(LIFE).await;
    Ok(())
}
