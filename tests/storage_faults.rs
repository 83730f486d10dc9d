//! When the database fails: sends are refused as `unavailable` and never acknowledged, `/readyz` turns,
//! and everything heals by itself.
//!
//! The real program is tried, with faults of the real machine. Each kind of database has faults of its
//! own, so this file is not run a second time for PostgreSQL.

use std::{fs, path::Path, process::Command, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use migration::Migrator;
use sea_orm::{ConnectOptions, ConnectionTrait, Database as Connect, DatabaseConnection};
use sea_orm_migration::MigratorTrait;
use serde_json::{Value as Json, json};

use crate::harness::{
    Cluster, Database, Door, Http, Person, Process, Socket, Transport, in_time, succeeded, until,
};

/// The waiting that a fault causes, kept short.
const IMPATIENT: [(&str, &str); 5] = [
    ("PARLOR__DATABASE__BUSY_TIMEOUT", "200ms"),
    ("PARLOR__DATABASE__ACQUIRE_TIMEOUT", "1s"),
    ("PARLOR__DATABASE__AUTO_MIGRATE", "true"),
    ("PARLOR__LIMITS__EVENTS_PER_SECOND", "1000000"),
    ("PARLOR__LIMITS__EVENTS_BURST", "1000000"),
];

/// A message on its way from Ada to Bob, and what became of it.
struct Letter {
    id: String,
    content: String,
    /// As its acknowledgement told it.
    stored: Option<Json>,
}

/// Ada and Bob, who talk through thick and thin. None of them ever connects again.
struct Talk {
    door: Door,
    ada: Socket,
    bob: Socket,
    bobs_phone: Socket,
    letters: Vec<Letter>,
}

impl Talk {
    async fn begin(door: &Door) -> Self {
        let ada = door.online("ada").await;
        let bob = door.online("bob").await;
        let bobs_phone = bob.connect_by(Transport::Polling).await;
        let mut talk = Self { door: door.clone(), ada, bob, bobs_phone, letters: Vec::new() };
        for _ in 0..5 {
            assert!(talk.sends(20).await, "all is well");
        }
        talk.is_ready().await;
        talk
    }

    /// Sends one of so many bytes. Whether it was acknowledged; if not, it was refused as `unavailable`.
    async fn sends(&mut self, bytes: usize) -> bool {
        let number = self.letters.len();
        let content = format!("{number} {}", "x".repeat(bytes));
        self.letters.push(Letter { id: format!("letter {number}"), content, stored: None });
        self.sends_again(number).await
    }

    async fn sends_again(&mut self, number: usize) -> bool {
        let letter = &mut self.letters[number];
        let payload = json!({ "receiver": "bob", "content": letter.content, "clientMessageId": letter.id });
        let answer = self.ada.emit("privateMessage", payload).await;
        if answer["success"] == true {
            let stored = answer["response"].clone();
            if let Some(before) = &letter.stored {
                assert_eq!(before["messageId"], stored["messageId"], "one message for one id");
            }
            letter.stored = Some(stored);
            true
        } else {
            assert_eq!(answer["error"]["code"], "unavailable", "{answer}");
            false
        }
    }

    /// Sends until nothing more is taken.
    async fn sends_until_refused(&mut self, bytes: usize) {
        let mut refused = 0;
        for _ in 0..300 {
            refused = if self.sends(bytes).await { 0 } else { refused + 1 };
            if refused == 3 {
                return;
            }
        }
        panic!("everything was taken");
    }

    fn room(&self) -> Json {
        self.letters[0].stored.as_ref().unwrap()["roomId"].clone()
    }

    async fn is_ready(&self) {
        until("/readyz to say so", || async { self.door.http.get("/readyz").await.status == 200 }).await;
    }

    /// The process is up, is not ready, and says so to who wants to write; nobody was disconnected.
    async fn is_told_that_nothing_is_stored(&self) {
        until("/readyz to turn", || async { self.door.http.get("/readyz").await.status == 503 }).await;
        self.door.http.get("/readyz").await.is_refused(503, "unavailable");
        self.door.http.get("/healthz").await.is(200);
        let again = Person::tries_to_log_in(&self.door, "bob", &Person::password_of("bob")).await;
        again.is_refused(503, "unavailable");
        let group = json!({ "groupName": "never made" });
        self.ada.post("/api/rooms", group.clone()).await.is_refused(503, "unavailable");
        self.ada.is_refused("createGroup", group, "unavailable").await;
        for socket in [&self.ada, &self.bob, &self.bobs_phone] {
            assert!(!socket.has_ended());
        }
    }

    fn history(&self) -> String {
        format!("/api/rooms/{}/messages?limit=1", self.room().as_str().unwrap())
    }

    async fn reads(&self) {
        self.bob.get(&self.history()).await.is(200);
        self.bob.asks("listRooms", json!({})).await;
    }

    async fn reads_nothing(&self) {
        self.bob.get(&self.history()).await.is_refused(503, "unavailable");
        self.bob.is_refused("listRooms", json!({}), "unavailable").await;
    }

    /// All is well again, without anybody's help: what was refused is sent again and stored once, and
    /// everybody has everything, in one order without a hole.
    async fn heals(mut self) {
        self.is_ready().await;
        for _ in 0..2 {
            for number in 0..self.letters.len() {
                assert!(self.sends_again(number).await, "letter {number}");
            }
        }
        assert!(self.sends(20).await);

        let room = self.room();
        let whole: Vec<i64> = (1..=self.letters.len() as i64).collect();
        for socket in [&self.bob, &self.bobs_phone, &self.ada] {
            assert_eq!(socket.sees_seqs(&room, whole.len()).await, whole);
            assert!(!socket.has_ended(), "the same sockets as before");
        }
        let rows = self.bob.person.history(room.as_str().unwrap()).await;
        assert_eq!(rows.iter().map(|row| row["seq"].as_i64().unwrap()).collect::<Vec<i64>>(), whole);
        for letter in &self.letters {
            let kept: Vec<&Json> = rows.iter().filter(|row| row["clientMessageId"] == *letter.id).collect();
            assert_eq!(kept.len(), 1, "{}", letter.id);
            let stored = letter.stored.as_ref().unwrap();
            assert_eq!((&kept[0]["messageId"], &kept[0]["seq"]), (&stored["messageId"], &stored["seq"]));
            assert_eq!(kept[0]["content"], letter.content);
        }
        let last = self.letters.last().unwrap().stored.clone().unwrap();
        self.ada.sees_delivered(&last).await;
        self.ada.makes_group("made at last", &["bob"]).await;
        self.bob.logs_in_again().await;
    }
}

fn wal_of(database: &Database) -> std::path::PathBuf {
    format!("{}-wal", database.file().display()).into()
}

fn length(file: impl AsRef<Path>) -> u64 {
    fs::metadata(file).unwrap().len()
}

/// Lets a process write no file beyond so many bytes, as with `ulimit -f`; none for no limit.
fn limit_files_of(process: &Process, bytes: Option<u64>) {
    let bytes = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let (pid, limit) = (process.pid().to_string(), format!("--fsize={bytes}:unlimited"));
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
}

/// The write fails half-way into a file, with an error of the system's that is not "disk full": SQLite
/// treats it as a failing disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_no_more_bytes() {
    let database = Database::sqlite();
    // The signal that comes with it would end the process; the error is what is wanted.
    let ignoring = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];
    let process = Process::wrapped(&ignoring, &database, &IMPATIENT).await;
    let mut talk = Talk::begin(&process).await;

    limit_files_of(&process, Some(length(wal_of(&database)) + 10_000));
    talk.sends_until_refused(3_000).await;
    talk.is_told_that_nothing_is_stored().await;
    talk.reads().await;
    limit_files_of(&process, None);

    talk.heals().await;
    drop(process);
    database.remove().await;
}

/// A real file system without a free byte. It belongs to the process alone and goes with it.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_mounts), ignore = "mounting is not allowed here")]
async fn a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=6m tmpfs \"$0\" && exec \"$@\"";
    let mounting = ["unshare", "-rm", "sh", "-c", mount, folder.path().to_str().unwrap()];
    let database = Database::elsewhere(format!("sqlite://{}/parlor.db", folder.path().display()));
    let process = Process::wrapped(&mounting, &database, &IMPATIENT).await;
    let mut talk = Talk::begin(&process).await;

    let ballast = format!("/proc/{}/root{}/ballast", process.pid(), folder.path().display());
    let full = fs::write(&ballast, vec![0; 10_000_000]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    talk.sends_until_refused(3_000).await;
    talk.is_told_that_nothing_is_stored().await;
    talk.reads().await;
    fs::remove_file(&ballast).unwrap();

    talk.heals().await;
}

/// A connection of another program's.
async fn outsider(database: &Database) -> DatabaseConnection {
    Connect::connect(ConnectOptions::new(&database.url).max_connections(1).to_owned()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_locked_by_another_process() {
    let database = Database::sqlite();
    let process = Process::with(&database, &IMPATIENT).await;
    let mut talk = Talk::begin(&process).await;

    let outsider = outsider(&database).await;
    outsider.execute_unprepared("BEGIN EXCLUSIVE").await.unwrap();
    talk.sends_until_refused(20).await;
    talk.is_told_that_nothing_is_stored().await;
    talk.reads().await;
    outsider.execute_unprepared("ROLLBACK").await.unwrap();

    talk.heals().await;
    outsider.close().await.unwrap();
    drop(process);
    database.remove().await;
}

/// Somebody who holds the lock for less than `database.busy_timeout` is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_lock_is_waited_for() {
    let database = Database::sqlite();
    let process = Process::start(&database).await;
    let mut talk = Talk::begin(&process).await;
    let outsider = outsider(&database).await;
    outsider.execute_unprepared("BEGIN EXCLUSIVE").await.unwrap();
    let (sent, ()) = tokio::join!(talk.sends(20), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        outsider.execute_unprepared("ROLLBACK").await.unwrap();
    });
    assert!(sent);
    talk.heals().await;
    outsider.close().await.unwrap();
    drop(process);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_wait_to_be_stored_are_bounded_in_bytes() {
    const SENT: usize = 20;
    const LONG: usize = 16_000;
    let database = Database::sqlite();
    let settings = [
        ("PARLOR__WRITER__QUEUE_BYTES", "60000"),
        ("PARLOR__WRITER__BATCH", "1"),
        ("PARLOR__DATABASE__BUSY_TIMEOUT", "60s"),
        ("PARLOR__DATABASE__AUTO_MIGRATE", "true"),
    ];
    let process = Process::with(&database, &settings).await;
    let ada = process.online("ada").await;
    assert_eq!(ada.posts_to("ada", "the first").await["seq"], 1);
    let outsider = outsider(&database).await;
    outsider.execute_unprepared("BEGIN EXCLUSIVE").await.unwrap();
    let message = || json!({ "receiver": "ada", "content": "x".repeat(LONG) });
    let mut answers: FuturesUnordered<_> =
        (0..SENT).map(|_| Box::pin(ada.sends("privateMessage", message()))).collect();
    // Three wait. One or two are about to be stored.
    for _ in 0..SENT - 5 {
        let refused = answers.next().await.unwrap();
        assert_eq!(refused["error"]["code"], "unavailable", "{refused}");
    }
    outsider.execute_unprepared("ROLLBACK").await.unwrap();
    let rest: Vec<Json> = answers.collect().await;
    let stored = rest.iter().filter(|answer| answer["success"] == true).count();
    assert!((3..=5).contains(&stored), "{stored}");
    assert_eq!(ada.posts_to("ada", "the end").await["seq"], 2 + stored);
    outsider.close().await.unwrap();
    drop(ada);
    drop(process);
    database.remove().await;
}

/// A database that can be read and not written is of no use to a chat server: it says so and does not
/// start.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_file_is_refused_at_the_start() {
    let database = Database::sqlite();
    let mut process = Process::start(&database).await;
    Talk::begin(&process).await;
    process.signal("TERM").await;
    process.exits().await;
    let before = fs::read(database.file()).unwrap();

    let folder = database.file().parent().unwrap().to_owned();
    // For who may do everything a file is never read-only.
    let chattel = Command::new("chmod").arg("-R").arg("a-w,a+rX").arg(&folder).status().unwrap();
    assert!(chattel.success());
    let mut start = tokio::process::Command::new("setpriv");
    start.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--bounding-set=-all",
        "--inh-caps=-all",
    ]);
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout.trim_ascii() == b"0";
    if !is_root {
        start = tokio::process::Command::new("env");
    }
    let start = start
        .arg(env!("CARGO_BIN_EXE_parlor"))
        .arg("serve")
        .current_dir("/")
        .env("PARLOR__SERVER__LISTEN", "127.0.0.1:0")
        .env("PARLOR__DATABASE__URL", &database.url)
        .kill_on_drop(true)
        .output();
    let ended = in_time("the refusal", start).await.unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success(), "{told}");
    assert!(told.contains("readonly") || told.contains("read-only"), "{told}");
    assert_eq!(fs::read(database.file()).unwrap(), before);
    assert!(Command::new("chmod").arg("-R").arg("u+w").arg(&folder).status().unwrap().success());
    database.remove().await;
}

/// What a crash of the machine may leave: the log ends in the middle of a frame, or in rubbish. SQLite
/// promises that every commit before that is whole, and that none after it is half there. (Those after
/// it were on the disk when they were acknowledged; a disk that loses them has broken its word.)
#[tokio::test(flavor = "multi_thread")]
async fn a_torn_log() {
    for is_garbled in [false, true] {
        let database = Database::sqlite();
        let mut process = Process::with(&database, &IMPATIENT).await;
        let mut talk = Talk::begin(&process).await;
        for _ in 0..10 {
            assert!(talk.sends(500).await);
        }
        let safe = talk.letters.len();
        let tear = length(wal_of(&database)) + 100;
        for _ in 0..10 {
            assert!(talk.sends(500).await);
        }
        process.dies().await;
        assert!(length(wal_of(&database)) > tear + 5_000, "there is something to tear");
        let log = fs::OpenOptions::new().write(true).open(wal_of(&database)).unwrap();
        if is_garbled {
            use std::os::unix::fs::FileExt;
            let rubbish = vec![0xaa; usize::try_from(log.metadata().unwrap().len() - tear).unwrap()];
            log.write_all_at(&rubbish, tear).unwrap();
        } else {
            log.set_len(tear).unwrap();
        }
        drop(log);

        let process = Process::with(&database, &IMPATIENT).await;
        let ada = Person::logs_in(&process, "ada").await.connect().await;
        let bob = Person::logs_in(&process, "bob").await;
        let room = talk.room();
        let rows = ada.history(room.as_str().unwrap()).await;
        let seqs: Vec<i64> = rows.iter().map(|row| row["seq"].as_i64().unwrap()).collect();
        assert_eq!(seqs, (1..=rows.len() as i64).collect::<Vec<i64>>(), "no hole");
        assert!(rows.len() >= safe, "{} of {safe}", rows.len());
        for (row, letter) in rows.iter().zip(&talk.letters) {
            assert_eq!(row["messageId"], letter.stored.as_ref().unwrap()["messageId"]);
        }
        let check = database.look_inside().await;
        let asked = sea_orm::Statement::from_string(check.get_database_backend(), "PRAGMA integrity_check");
        let row = check.query_one_raw(asked).await.unwrap().unwrap();
        assert_eq!(row.try_get_by_index::<String>(0).unwrap(), "ok");
        check.close().await.unwrap();
        // It goes on from there, and Bob, who had seen more, is not confused.
        let since = json!({ "since": { room.as_str().unwrap(): talk.letters.len() } });
        let bob = bob.connect_with(since).await;
        let next = ada.posts_to("bob", "and on it goes").await;
        assert_eq!(next["seq"], rows.len() + 1);
        assert_eq!(bob.sees_message("and on it goes").await["seq"], rows.len() + 1);
        drop((ada, bob, process));
        database.remove().await;
    }
}

/// The name of a PostgreSQL test database's schema.
fn schema(database: &Database) -> &str {
    let (_, rest) = database.url.split_once("search_path]=").unwrap();
    rest.split('&').next().unwrap()
}

/// A database with nothing but the first migration, and a newer one's data in it.
async fn of_the_first_version(new: &Database, old: &Database) {
    let connection = match new.url.starts_with("sqlite") {
        true => outsider(&Database::elsewhere(format!("{}?mode=rwc", old.url))).await,
        false => outsider(old).await,
    };
    Migrator::up(&connection, Some(1)).await.unwrap();
    let (from, to) = if new.url.starts_with("sqlite") {
        connection.execute_unprepared(&format!("ATTACH '{}' AS new", new.file().display())).await.unwrap();
        ("new", "main")
    } else {
        (schema(new), schema(old))
    };
    let members = "room_id, user_id, role, joined_at, delivered_seq, read_seq, told_seq";
    let users = "id, username, username_key, password_hash, first_name, last_name, email, phone, profile, is_admin, \
                 created_at, last_seen_at, deleted_at";
    let rooms = "id, kind, name, name_key, password_hash, owner_id, pair_low, pair_high, last_seq, roster_version, \
                 created_at, active_at, deleted_at";
    let messages = "room_id, seq, id, sender_id, kind, content, client_message_id, reply_to, created_at, edited_at, \
                    deleted_at";
    let sessions = "id, user_id, created_at, expires_at, revoked_at";
    for (table, columns) in [
        ("users", users),
        ("rooms", rooms),
        ("members", members),
        ("messages", messages),
        ("sessions", sessions),
    ] {
        let copy = format!("INSERT INTO {to}.{table} ({columns}) SELECT {columns} FROM {from}.{table}");
        connection.execute_unprepared(&copy).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// Without what depends on who is connected at the moment.
fn steady(mut json: Json) -> Json {
    match &mut json {
        Json::Object(fields) => {
            fields.retain(|name, _| name != "isOnline" && name != "lastSeen");
            fields.values_mut().for_each(|value| *value = steady(value.take()));
        }
        Json::Array(values) => values.iter_mut().for_each(|value| *value = steady(value.take())),
        _ => {}
    }
    json
}

/// What somebody can see of everything.
async fn everything(http: &Http, rooms: &[&str]) -> Vec<Json> {
    let mut paths = vec!["/api/rooms/mine".to_owned(), "/api/users?limit=50".to_owned()];
    for room in rooms {
        paths.push(format!("/api/rooms/{room}/messages"));
        paths.push(format!("/api/rooms/{room}/members"));
    }
    let mut all = Vec::new();
    for path in paths {
        all.push(steady(http.get(&path).await.is(200)));
    }
    all
}

async fn is_migrated_with_its_data(new: Database, old: Database) {
    let mut process = Process::with(&new, &IMPATIENT).await;
    let talk = Talk::begin(&process).await;
    let group = talk.ada.makes_group("friends", &["bob"]).await;
    let first = talk.ada.posts_in(&group, "hi").await;
    talk.ada.sees_delivered(&first).await;
    let direct = talk.room();
    let (rooms, token) = ([direct.as_str().unwrap(), &*group], talk.bob.token.clone());
    let before = everything(&talk.bob, &rooms).await;
    process.signal("TERM").await;
    process.exits().await;
    of_the_first_version(&new, &old).await;

    let process = Process::with(&old, &IMPATIENT).await;
    let after = everything(&process.http.with_token(&token), &rooms).await;
    assert_eq!(after, before, "the old login works, and sees what it saw");
    let ada = Person::logs_in(&process, "ada").await.connect().await;
    let bob = Person::logs_in(&process, "bob").await.connect().await;
    assert_eq!(ada.posts_in(&group, "and on it goes").await["seq"], 2);
    bob.sees_message("and on it goes").await;
    drop((ada, bob, process));
    new.remove().await;
    old.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_version_before_is_migrated_with_its_data() {
    is_migrated_with_its_data(Database::sqlite(), Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn a_postgresql_database_of_the_version_before_is_migrated_with_its_data() {
    is_migrated_with_its_data(Database::postgres().await, Database::postgres().await).await;
}

/// A PostgreSQL server that crashes, comes back, cuts everybody off, and turns read-only as when a standby
/// is met.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn a_postgresql_server_that_is_gone_and_comes_back() {
    let cluster = Cluster::start();
    let process = Process::with(&cluster.database(), &IMPATIENT).await;
    let mut talk = Talk::begin(&process).await;

    cluster.stops();
    talk.sends_until_refused(20).await;
    talk.is_told_that_nothing_is_stored().await;
    talk.reads_nothing().await;
    cluster.starts();

    talk.heals().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn a_postgresql_server_that_takes_no_writes() {
    let cluster = Cluster::start();
    let process = Process::with(&cluster.database(), &IMPATIENT).await;
    let mut talk = Talk::begin(&process).await;

    cluster.told(&["ALTER DATABASE postgres SET default_transaction_read_only = on"]).await;
    cluster.cuts_everybody_off().await;
    talk.sends_until_refused(20).await;
    talk.is_told_that_nothing_is_stored().await;
    talk.reads().await;
    let undone = [
        "SET default_transaction_read_only = off",
        "ALTER DATABASE postgres SET default_transaction_read_only = off",
    ];
    cluster.told(&undone).await;
    cluster.cuts_everybody_off().await;

    talk.heals().await;
}

/// Connections that are killed in the middle of whatever they do, commits included: some sends are
/// refused though they were stored, which sending again settles.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn postgresql_connections_that_are_killed_again_and_again() {
    let cluster = Cluster::start();
    let process = Process::with(&cluster.database(), &IMPATIENT).await;
    let mut talk = Talk::begin(&process).await;
    let killing = async {
        for _ in 0..30 {
            cluster.cuts_everybody_off().await;
        }
    };
    let sending = async {
        for _ in 0..150 {
            talk.sends(20).await;
        }
    };
    tokio::join!(killing, sending);
    talk.heals().await;
}

/// Somebody who holds one room's row (another node, an operator at work) keeps only that room waiting.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn a_room_that_somebody_holds_on_postgresql_holds_up_no_other() {
    let database = Database::postgres().await;
    let process = Process::start(&database).await;
    let talk = Talk::begin(&process).await;
    let room = talk.room().as_str().unwrap().to_owned();
    let group = talk.ada.makes_group("friends", &["bob"]).await;

    let outsider = outsider(&database).await;
    outsider.execute_unprepared("BEGIN").await.unwrap();
    outsider
        .execute_unprepared(&format!("SELECT 1 FROM rooms WHERE id = '{room}' FOR UPDATE"))
        .await
        .unwrap();
    let holder =
        sea_orm::Statement::from_string(outsider.get_database_backend(), "SELECT pg_backend_pid() AS pid");
    let holder: i32 = outsider.query_one_raw(holder).await.unwrap().unwrap().try_get("", "pid").unwrap();
    let to_bob = |content: &str| json!({ "receiver": "bob", "content": content });
    let held = [
        talk.ada.sends("privateMessage", to_bob("held")),
        talk.ada.sends("privateMessage", to_bob("and held")),
    ];
    // What shares the commit of the first would wait with it. Whoever looks is in no transaction: inside
    // one, PostgreSQL goes on showing the connections that there were at the first look.
    let onlooker = self::outsider(&database).await;
    let waits = format!("SELECT 1 FROM pg_stat_activity WHERE {holder} = ANY(pg_blocking_pids(pid))");
    let waits = || sea_orm::Statement::from_string(onlooker.get_database_backend(), &waits);
    let is_waiting = || async { onlooker.query_one_raw(waits()).await.unwrap().is_some() };
    until("a commit to wait for the room", is_waiting).await;
    onlooker.close().await.unwrap();
    for content in ["one", "two", "three"] {
        talk.ada.asks("groupMessage", json!({ "receiver": group, "content": content })).await;
    }
    let more = talk.ada.sends("privateMessage", to_bob("held as well"));
    assert!(!talk.bob.all("response").iter().any(|event| event.to_string().contains("held")));
    outsider.execute_unprepared("COMMIT").await.unwrap();

    let mut seqs = Vec::new();
    for answer in held.into_iter().chain([more]) {
        seqs.push(succeeded(answer.await)["seq"].as_i64().unwrap());
    }
    assert_eq!(seqs, [6, 7, 8]);
    outsider.close().await.unwrap();
    drop((talk, process));
    database.remove().await;
}

/// Statements that do not come to an end: everybody who waits for one is refused, and the same server goes on.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn statements_that_hang_on_postgresql_are_given_up() {
    let database = Database::postgres().await;
    let settings: Vec<_> =
        IMPATIENT.into_iter().chain([("PARLOR__DATABASE__STATEMENT_TIMEOUT", "500ms")]).collect();
    let process = Process::with(&database, &settings).await;
    let mut talk = Talk::begin(&process).await;
    let outsider = outsider(&database).await;
    outsider.execute_unprepared("BEGIN").await.unwrap();
    outsider.execute_unprepared("LOCK TABLE messages, rooms, members, sessions").await.unwrap();

    assert!(!talk.sends(20).await, "a commit that hangs is refused");
    talk.is_told_that_nothing_is_stored().await;
    talk.ada.get("/api/rooms/mine").await.is_refused(503, "unavailable");
    talk.ada.get("/api/auth/session").await.is_refused(503, "unavailable");
    let group = json!({ "groupName": "friends", "users": ["bob"] });
    talk.ada.post("/api/rooms", group).await.is_refused(503, "unavailable");

    outsider.execute_unprepared("COMMIT").await.unwrap();
    talk.heals().await;
    outsider.close().await.unwrap();
    drop(process);
    database.remove().await;
}
