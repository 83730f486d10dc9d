//! The first start in production: the key that signs tokens, and the link that makes the first admin.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::harness::{Database, Person, Process, parlor_with, until};

const PRODUCTION: [(&str, &str); 3] = [
    ("PARLOR_MODE", "production"),
    ("PARLOR__TELEMETRY__METRICS", "off"),
    ("PARLOR__DATABASE__AUTO_MIGRATE", "true"),
];
/// As random as a secret of production has to be.
const SECRET: &str = "k7Qe4mV0c2yZb9sN1xT8uH5rW3pL6aJd";
const PASSWORD: &str = "correct horse battery";

async fn in_production(database: &Database, more: &[(&str, &str)]) -> Process {
    Process::with(database, &[&PRODUCTION, more].concat()).await
}

/// The secret of the link that the server has printed.
async fn link(process: &Process) -> String {
    until("the link to be printed", || async { process.written().contains("makes the first admin") }).await;
    let written = process.written();
    let (_, rest) = written.split_once("/first-admin#").unwrap();
    rest.lines().next().unwrap().to_owned()
}

async fn ends(mut process: Process) {
    process.signal("TERM").await;
    assert!(process.exits().await.success(), "{}", process.written());
}

#[tokio::test(flavor = "multi_thread")]
async fn production_on_sqlite_makes_a_key_of_its_own_and_keeps_it() {
    let database = Database::sqlite();
    let process = in_production(&database, &[]).await;
    let key = database.file().with_file_name("jwt-secret");
    let secret = std::fs::read_to_string(&key).unwrap();
    assert_eq!(secret.trim_end().len(), 64);
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let ada = process.person("ada").await;
    ends(process).await;

    let process = in_production(&database, &[]).await;
    assert_eq!(std::fs::read_to_string(&key).unwrap(), secret);
    Person::shows(&process, &ada.token).await.get("/api/auth/session").await.is(200);
    assert!(!process.written().contains(secret.trim_end()), "{}", process.written());
    ends(process).await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_file_counts_as_one_in_the_environment() {
    let database = Database::fresh().await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("key"), format!("{SECRET}\n")).unwrap();
    std::fs::write(at("url"), format!("{}\n", database.url)).unwrap();
    let (key, url) = (at("key"), at("url"));
    let files = [("PARLOR__AUTH__JWT_SECRET_FILE", key.as_str())];
    let process = in_production(&database, &files).await;
    let ada = process.person("ada").await;
    ends(process).await;
    let process = in_production(&database, &[("PARLOR__AUTH__JWT_SECRET", SECRET)]).await;
    Person::shows(&process, &ada.token).await.get("/api/auth/session").await.is(200);
    ends(process).await;

    let empty = Database::elsewhere(String::new());
    let by_file = [PRODUCTION[0], files[0], ("PARLOR__DATABASE__URL_FILE", url.as_str())];
    // Both at once would be a mistake.
    let both = parlor_with(&database, &["user", "list"], &by_file).await.refuses();
    assert!(both.contains("database.url is, too") || both.contains("database.url_file is, too"), "{both}");
    let list = parlor_with(&empty, &["user", "list"], &by_file).await.succeeds();
    assert!(list.contains("\nada "), "{list}");
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_makes_one_admin_and_no_second_one() {
    let database = Database::fresh().await;
    let env = [("PARLOR__AUTH__JWT_SECRET", SECRET), ("PARLOR__AUTH__SIGNUP", "false")];
    let process = in_production(&database, &env).await;
    let old = link(&process).await;
    ends(process).await;
    // The next start prints another one, because nobody knows the first one any more.
    let url = ("PARLOR__SERVER__PUBLIC_URL", "https://chat.example.com/");
    let process = in_production(&database, &[env[0], env[1], url]).await;
    let link = link(&process).await;
    assert_ne!(link, old);
    assert!(process.written().contains("  https://chat.example.com/first-admin#"), "{}", process.written());
    let page = process.http.get("/first-admin").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.text.contains("first-admin/page.js"), "{}", page.text);
    assert_eq!(process.http.get("/first-admin/page.js").await.status, 200);

    let attempt = |link: &str, name: &str, password: &str| {
        let body = json!({ "link": link, "username": name, "password": password });
        let http = process.http.clone();
        async move { http.post("/api/first-admin", body).await }
    };
    let wrong = "0".repeat(64);
    for bad in [old.as_str(), &wrong, "", "short"] {
        attempt(bad, "ada", PASSWORD).await.is_refused(403, "forbidden");
    }
    // What is wrong with the account leaves the link as it is.
    attempt(&link, "ada", "short").await.is_refused(400, "bad_request");
    attempt(&link, "", PASSWORD).await.is_refused(400, "bad_request");
    let names = ["ada", "bob", "cyd", "dan"];
    let attempts = names.map(|name| attempt(&link, name, PASSWORD));
    let answers = futures_util::future::join_all(attempts).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    let refused = answers.iter().filter(|answer| answer.status == 403).count();
    assert_eq!((made.len(), refused), (1, 3), "{answers:?}");
    let admin = made[0].json();
    let name = admin["username"].as_str().unwrap();
    let list = parlor_with(&database, &["user", "list"], &[]).await.succeeds();
    let line = list.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line.contains(" admin "), "{list}");
    Person::tries_to_log_in(&process, name, PASSWORD).await.is(200);
    attempt(&link, "eve", PASSWORD).await.is_refused(403, "forbidden");
    ends(process).await;

    let process = in_production(&database, &env).await;
    until("the server to say where it is", || async { process.written().contains("  data ") }).await;
    assert!(!process.written().contains("first-admin"), "{}", process.written());
    ends(process).await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_ends_when_there_is_an_admin_and_development_prints_none() {
    let database = Database::fresh().await;
    let env = [("PARLOR__AUTH__JWT_SECRET", SECRET)];
    let process = in_production(&database, &env).await;
    let link = link(&process).await;
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_parlor"))
        .args(["user", "create", "ada", "--admin", "--password-stdin"])
        .env("PARLOR__DATABASE__URL", &database.url)
        .stdin(std::process::Stdio::from(a_line(PASSWORD)))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let body = json!({ "link": link, "username": "bob", "password": PASSWORD });
    process.http.post("/api/first-admin", body).await.is_refused(403, "forbidden");
    ends(process).await;
    database.remove().await;

    let database = Database::fresh().await;
    let process = Process::start(&database).await;
    until("the server to say where it is", || async { process.written().contains("  people ") }).await;
    assert!(!process.written().contains("first-admin"), "{}", process.written());
    ends(process).await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheme_of_the_public_url_decides_about_the_cookie() {
    for (url, is_secure) in [("http://localhost:8087", false), ("https://chat.example.com", true), ("", true)]
    {
        let database = Database::fresh().await;
        let env = [("PARLOR__AUTH__JWT_SECRET", SECRET), ("PARLOR__SERVER__PUBLIC_URL", url)];
        let process = in_production(&database, &env).await;
        process.person("ada").await;
        let login = Person::tries_to_log_in(&process, "ada", &Person::password_of("ada")).await;
        assert_eq!(login.header("set-cookie").contains("Secure"), is_secure, "{url}");
        ends(process).await;
        database.remove().await;
    }
}

/// A file with this line, to read from.
fn a_line(text: &str) -> std::fs::File {
    use std::io::{Seek, Write};
    let mut file = tempfile::tempfile().unwrap();
    writeln!(file, "{text}").unwrap();
    file.rewind().unwrap();
    file
}
