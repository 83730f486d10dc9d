//! The end of the process: graceful, hurried, and sudden. What was acknowledged is there afterwards.

use serde_json::{Value as Json, json};

use crate::harness::{Database, Ended, Http, Person, Process, Socket, Transport};

const QUICK: [(&str, &str); 3] = [
    ("PARLOR__LIMITS__EVENTS_PER_SECOND", "1000000"),
    ("PARLOR__LIMITS__EVENTS_BURST", "1000000"),
    ("PARLOR__LIMITS__WAITING_EVENTS", "10000"),
];

/// Somebody on a server that has come back elsewhere.
fn moved(person: &Person, process: &Process) -> Http {
    process.http.with_token(&person.token)
}

/// Sends until the connection ends; what was acknowledged.
async fn talks_until_the_end(socket: Socket, begun: tokio::sync::oneshot::Sender<()>) -> Vec<Json> {
    let mut acknowledged = Vec::new();
    let mut begun = Some(begun);
    while !socket.has_ended() {
        let batch: Vec<_> = (0..50)
            .map(|_| socket.answer_if_any("privateMessage", json!({ "receiver": "bob", "content": "word" })))
            .collect();
        for answer in batch {
            if let Some(answer) = answer.await
                && answer["success"] == true
            {
                acknowledged.push(answer["response"].clone());
            }
        }
        if acknowledged.len() > 200
            && let Some(begun) = begun.take()
        {
            begun.send(()).unwrap();
        }
    }
    assert_eq!(socket.ends().await, Ended::Transport, "so that clients come back by themselves");
    acknowledged
}

fn all_there(acknowledged: &[Json], stored: &[Json]) {
    let seqs: Vec<i64> = stored.iter().map(|message| message["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (1..=stored.len() as i64).collect::<Vec<i64>>(), "no gaps");
    for message in acknowledged {
        let seq = message["seq"].as_u64().unwrap() as usize;
        assert_eq!(
            stored.get(seq - 1).map(|row| &row["messageId"]),
            Some(&message["messageId"]),
            "seq {seq} is lost"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_and_every_acknowledged_message_is_there() {
    let database = Database::fresh().await;
    let mut process = Process::with(&database, &QUICK).await;
    let ada = process.person("ada").await;
    let bob = process.online("bob").await;
    let bobs_phone = bob.connect_by(Transport::Polling).await;
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let talk = tokio::spawn(talks_until_the_end(ada.connect().await, begun));
    has_begun.await.unwrap();

    process.signal("TERM").await;

    let status = process.exits().await;
    assert_eq!(status.code(), Some(0), "{}", process.written());
    let acknowledged = talk.await.unwrap();
    assert_eq!(bob.ends().await, Ended::Transport);
    assert_eq!(bobs_phone.ends().await, Ended::Transport);

    let process = Process::with(&database, &QUICK).await;
    let http = moved(&ada, &process);
    let room = http.get("/api/rooms/mine").await.is(200)[0]["roomId"].as_str().unwrap().to_owned();
    all_there(&acknowledged, &http.history(&room).await);
    // What Bob was shown is there as well, and what he has not got comes now.
    let seen = bob.seqs(&json!(room));
    assert_eq!(seen, (1..=seen.len() as i64).collect::<Vec<i64>>());
    drop(process);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigint_is_as_good() {
    let database = Database::fresh().await;
    let mut process = Process::start(&database).await;
    let ada = process.online("ada").await;
    process.signal("INT").await;
    assert_eq!(process.exits().await.code(), Some(0), "{}", process.written());
    assert_eq!(ada.ends().await, Ended::Transport);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_goes_down_quickly_whoever_is_connected() {
    let database = Database::fresh().await;
    let mut process = Process::with(&database, &[("PARLOR__SERVER__DRAIN_TIMEOUT", "600s")]).await;
    let ada = process.person("ada").await;
    let _sockets = (
        ada.connect().await,
        ada.connect_by(Transport::Polling).await,
        ada.connect_by(Transport::Upgraded).await,
    );
    let mut idle = crate::harness::Raw::connect(process.address).await;
    idle.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n").await;
    process.signal("TERM").await;
    // It does not wait for the ten minutes to pass.
    assert_eq!(process.exits().await.code(), Some(0));
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let database = Database::fresh().await;
    let mut process = Process::with(&database, &[("PARLOR__SERVER__DRAIN_TIMEOUT", "600s")]).await;
    let ada = process.person("ada").await;
    let socket = ada.connect().await;
    socket.stops_reading();
    // Both before it can be done with the first.
    process.signal("TERM").await;
    process.signal("TERM").await;
    process.exits().await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_takes_nothing_that_was_acknowledged() {
    let database = Database::fresh().await;
    let mut process = Process::with(&database, &QUICK).await;
    let ada = process.person("ada").await;
    process.person("bob").await;
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let talk = tokio::spawn(talks_until_the_end(ada.connect().await, begun));
    has_begun.await.unwrap();

    process.dies().await;

    let acknowledged = talk.await.unwrap();
    assert!(acknowledged.len() > 200);
    let process = Process::with(&database, &QUICK).await;
    let http = moved(&ada, &process);
    let room = acknowledged[0]["roomId"].as_str().unwrap().to_owned();
    all_there(&acknowledged, &http.history(&room).await);
    drop(process);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_takes_no_acknowledged_change_and_a_retry_makes_none_twice() {
    let database = Database::fresh().await;
    let mut process = Process::with(&database, &QUICK).await;
    let ada = process.online("ada").await;
    process.person("bob").await;
    let mut messages = Vec::new();
    for number in 0..80 {
        messages.push(ada.posts_to("bob", &number.to_string()).await);
    }
    // The kind of a message's change by its number: all are asked for at once, and again after the crash.
    let asked = |at: usize, message: &Json| -> (&str, Json) {
        let id = &message["messageId"];
        match at % 4 {
            0 => ("editMessage", json!({ "messageId": id, "content": "edited" })),
            1 => ("react", json!({ "messageId": id, "key": "+1", "on": true })),
            2 => ("pinMessage", json!({ "messageId": id, "on": true })),
            _ => ("deleteMessage", json!({ "messageId": id })),
        }
    };
    let answers: Vec<_> = messages
        .iter()
        .enumerate()
        .map(|(at, message)| {
            let (event, payload) = asked(at, message);
            ada.answer_if_any(event, payload)
        })
        .collect();
    let mut acknowledged = Vec::new();
    let mut answers = answers.into_iter();
    // The first transaction is committed, and the others may be on their way.
    acknowledged.extend(answers.next().unwrap().await);
    process.dies().await;
    for answer in answers {
        acknowledged.extend(answer.await);
    }
    acknowledged.retain(|answer| answer["success"] == true);
    assert!(!acknowledged.is_empty());

    let process = Process::with(&database, &QUICK).await;
    let http = moved(&ada, &process);
    let room = messages[0]["roomId"].as_str().unwrap();
    let now = http.history(room).await;
    let changed = |message: &Json| {
        let fields = [
            "content",
            "change",
            "edits",
            "editedAt",
            "deletedAt",
            "deletedBy",
            "pinnedAt",
            "pinnedBy",
            "reactions",
        ];
        fields.map(|field| message[field].clone())
    };
    for answer in &acknowledged {
        let message = &answer["response"];
        let row = now.iter().find(|row| row["messageId"] == message["messageId"]).unwrap();
        assert_eq!(changed(row), changed(message));
    }
    let ada = Person::logs_in(&process, "ada").await.connect().await;
    for (at, message) in messages.iter().enumerate() {
        let (event, payload) = asked(at, message);
        ada.asks(event, payload).await;
    }
    // Each message has changed once, whether it was before the crash or after it.
    let mut numbers: Vec<i64> =
        http.history(room).await.iter().map(|message| message["change"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=80).collect::<Vec<_>>());
    drop((ada, process));
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_before_a_crash_is_repaired_by_the_next_acknowledgement() {
    let database = Database::fresh().await;
    let mut process = Process::start(&database).await;
    let ada = process.online("ada").await;
    let bob = process.online("bob").await;
    let message = ada.posts_to("bob", "hi").await;
    bob.sees_message("hi").await;
    process.dies().await;

    let process = Process::start(&database).await;
    let ada = Person::logs_in(&process, "ada").await.connect().await;
    let bob = Person::logs_in(&process, "bob").await.connect().await;
    // Either the receipt was saved, or the message comes again; the sender hears of it in the end.
    let again = ada.posts_to("bob", "again").await;
    bob.sees_message("again").await;
    ada.sees_delivered(&again).await;
    let mine = bob.conversation(message["roomId"].as_str().unwrap()).await;
    assert_eq!(mine["delivered"], 2);
    drop((ada, bob, process));
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_goes_down_nothing_new_is_taken_and_everything_is_answered() {
    let mut server = crate::harness::Server::start().await;
    let ada = server.online("ada").await;
    server.person("bob").await;
    let answers: Vec<_> = (0..100)
        .map(|_| ada.answer_if_any("privateMessage", json!({ "receiver": "bob", "content": "hi" })))
        .collect();
    server.stop().await;
    let mut acknowledged = 0;
    for answer in answers {
        match answer.await {
            Some(answer) if answer["success"] == true => acknowledged += 1,
            Some(answer) => assert_eq!(answer["error"]["code"], "unavailable", "{answer}"),
            None => {}
        }
    }
    server.starts_again().await;
    let mine = ada.get("/api/rooms/mine").await.is(200);
    let stored = mine[0]["lastSeq"].as_i64().unwrap_or(0);
    assert!(stored >= acknowledged, "{acknowledged} were acknowledged and {stored} are stored");
}
