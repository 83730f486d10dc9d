//! The command line: the real program, in a folder of its own, with nothing of ours in its environment.

mod doctor;
mod listening;
mod settings;
mod version;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::harness::{AUDIENCE, Issuer};

const PASSWORD: &str = "correct horse battery";
/// As random as a secret of production has to be.
const GOOD_SECRET: &str = "k7Qe4mV0c2yZb9sN1xT8uH5rW3pL6aJd";

#[test]
fn every_command_has_a_help_to_work_from() {
    let folder = Folder::new();
    for (command, words) in [
        ("", ["Examples:", "PARLOR__SERVER__LISTEN", "healthcheck"]),
        ("serve", ["Run the server", "--config", "--mode"]),
        ("migrate", ["up", "down", "status"]),
        ("migrate up", ["Apply", "PostgreSQL", "SQLite"]),
        ("migrate down", ["Undo", "--yes", "LOSE"]),
        ("migrate status", ["--check", "pending", "Exit with 1"]),
        ("seed", ["ada", "Library", "--yes-in-production"]),
        ("user", ["create", "disable", "Examples:"]),
        ("user create", ["<NAME>", "--admin", "--password-stdin"]),
        ("user passwd", ["<NAME>", "--password-stdin", "logins"]),
        ("user delete", ["<NAME>", "--yes", "stays"]),
        ("user promote", ["<NAME>", "admin", "accounts"]),
        ("user demote", ["<NAME>", "ordinary", "10 seconds"]),
        ("user disable", ["<NAME>", "enable", "10 seconds"]),
        ("user enable", ["<NAME>", "disabled", "sign in"]),
        ("user list", ["--search", "order", "names"]),
        ("token", ["issue", "inspect", "Examples:"]),
        ("token issue", ["<NAME>", "--ttl", "standard output"]),
        ("token inspect", ["[TOKEN]", "standard input", "exit code 1"]),
        ("config", ["show", "check", "Examples:"]),
        ("config default", ["defaults", "meaning", "TOML"]),
        ("config init", ["[FILE]", "never replaces", "secret"]),
        ("config show", ["layer", "<redacted>", "secrets"]),
        ("config check", ["ok", "every mistake", "exit code 1"]),
        ("backup", ["<FILE>", "while the server runs", "Examples:"]),
        ("restore", ["<FILE>", "Stop the server", "Examples:"]),
        ("move", ["--to", "PGPASSWORD", "Examples:"]),
        ("healthcheck", ["--url", "--timeout", "/readyz"]),
        ("doctor", ["exit code is 1", "repair", "Examples:"]),
        ("completions", ["bash", "zsh", "fish"]),
        ("schema", ["openapi", "asyncapi", "typescript"]),
        ("schema typescript", ["TypeScript", "/parlor.d.ts", "src/parlor.d.ts"]),
        ("licences", ["licence of Parlor", "notice", "browser client"]),
    ] {
        let help = folder.parlor(&format!("{command} --help")).succeeds().out;
        for word in words {
            assert!(help.contains(word), "parlor {command} --help lacks {word:?}:\n{help}");
        }
    }
    assert!(folder.is_empty(), "asking for help makes nothing");
}

#[test]
fn migrations_go_up_and_down_and_tell_how_they_stand() {
    let folder = Folder::new();
    let up = folder.parlor("migrate up").succeeds().out;
    assert!(up.lines().count() > 0 && up.lines().all(|line| line.starts_with("applied  m2")), "{up}");
    assert_eq!(folder.parlor("migrate up").succeeds().out, "nothing to do\n");
    let status = folder.parlor("migrate status --check").succeeds().out;
    let serves = status.strip_prefix(&up).expect("all are applied");
    assert!(serves.starts_with("serves   versions that have m2") && serves.lines().count() == 1, "{status}");

    let unconfirmed = folder.parlor("migrate down").refuses();
    assert!(unconfirmed.contains("--yes"), "nobody is there to confirm: {unconfirmed}");
    assert_eq!(folder.parlor("migrate status --check").succeeds().out, status);
    let down = folder.parlor("migrate down --yes").succeeds().out;
    assert!(down.lines().count() == 1 && down.starts_with("undone   m2"), "{down}");
    let refusal = folder.parlor("migrate status --check").refuses();
    assert!(refusal.contains("parlor migrate up"), "{refusal}");
    folder.parlor("migrate down --steps 99 --yes").succeeds();
    assert_eq!(folder.parlor("migrate status").succeeds().out, up.replace("applied", "pending"));
    assert_eq!(folder.parlor("migrate down").succeeds().out, "nothing to do\n");
    let refusal = folder.parlor("user list").refuses();
    assert!(refusal.contains("is empty") && refusal.contains("parlor migrate up"), "{refusal}");
}

#[test]
fn a_command_says_that_there_is_no_database_and_makes_none() {
    let folder = Folder::new();
    for command in [
        "user list",
        "user delete ada --yes",
        "user passwd ada --password-stdin",
        "token issue ada",
        "token inspect",
        "migrate status",
        "migrate status --check",
        "migrate down --yes",
        "backup copy.db",
        "move --to postgres://db/parlor",
    ] {
        let refusal = folder.parlor(command).input(PASSWORD).refuses();
        assert!(
            refusal.contains("there is no database /") && refusal.contains("data/parlor.db"),
            "{refusal}"
        );
        assert!(refusal.contains("parlor migrate up"), "{refusal}");
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
        assert!(folder.is_empty(), "{command}");
    }
    // Commands that put something into it make one, and say where.
    let made = folder.parlor("user create ada --password-stdin").input(PASSWORD).succeeds();
    assert!(
        made.err.starts_with("Making a new database: /") && made.err.contains("parlor.db"),
        "{}",
        made.err
    );
    let found = folder.parlor("user create bob --password-stdin").input(PASSWORD).succeeds();
    assert_eq!(found.err, "");
}

#[test]
fn what_the_database_says_comes_first_and_once() {
    let folder = Folder::new();
    folder.write("not-a-database.db", &"what is this? ".repeat(1_000));
    for (url, cause) in [
        ("postgres://parlor:hunter2@127.0.0.1:1/parlor", "Connection refused"),
        ("postgres://parlor:hunter2@host.invalid/parlor", "failed to lookup address"),
        ("sqlite://not-a-database.db", "file is not a database"),
        ("sqlite:///proc/nowhere/parlor.db", "the database cannot be made: /proc/nowhere"),
    ] {
        let call = folder.parlor("migrate up").env("PARLOR__DATABASE__URL", url);
        let refusal = call.env("PARLOR__DATABASE__ACQUIRE_TIMEOUT", "1s").refuses();
        assert!(refusal.starts_with(&format!("parlor: {cause}")), "{refusal}");
        assert_eq!(refusal.matches(cause).count(), 1, "{refusal}");
        assert!(refusal.contains("cannot open the database") && !refusal.contains("hunter2"), "{refusal}");
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
    }
}

#[test]
fn seeding_twice_makes_everything_once() {
    let folder = Folder::new();
    let first = folder.parlor("seed").succeeds().out;
    for made in ["user ada (", "user bob (", "user cyd (", "group \"Tea room\", ", "group \"Library\", "] {
        let line = line_of(&first, made);
        assert!(line.contains(", password ") && line.ends_with(": made"), "{first}");
    }
    for place in
        ["  lobby      http://127.0.0.1:8087/?jwt=", "  rooms app  join the room \"Library\"", "  Angular "]
    {
        line_of(&first, place);
    }
    let messages = line_of(&first, "messages:");
    let count: u32 = messages.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a count");
    assert!(count > 5 && messages.ends_with(" made, 0 were there already"), "{messages}");

    let second = folder.parlor("seed").succeeds().out;
    let expected = first
        .replace(": made", ": was there already")
        .replace(messages, &format!("messages: 0 made, {count} were there already"));
    assert_eq!(second, expected);
}

#[test]
fn what_is_seeded_is_what_front_ends_expect_to_find() {
    let folder = Folder::new();
    folder.parlor("seed").succeeds();
    let server = Server::start(&folder);
    let token = folder.token("cyd", "10m");
    let get = |path: &str| server.json("GET", path, &token, "");

    let users = get("/api/users")["users"].clone();
    let users = users.as_array().expect("users");
    assert_eq!(users.len(), 3);
    for user in users {
        for name in ["firstName", "lastName"] {
            assert!(user[name].as_str().is_some_and(|name| !name.is_empty()), "{user}");
        }
        let img = user["profile"]["img"].as_str().expect("a picture");
        // A file of the encrypted app, which puts the folder of its pictures in front.
        assert!(img.starts_with("user") && img.ends_with(".png"), "{img}");
    }
    // Whoever is asked for everyone but one role still finds somebody.
    let mut roles: Vec<_> = users.iter().filter_map(|user| user["profile"]["role"].as_str()).collect();
    assert_eq!(roles.len(), 3);
    roles.sort_unstable();
    roles.dedup();
    assert!(roles.len() >= 2, "{roles:?}");

    let rooms = get("/api/rooms")["groups"].clone();
    let rooms = rooms.as_array().expect("rooms");
    let library = rooms.iter().find(|room| room["groupName"] == "Library").expect("the library");
    assert_eq!((&library["hasPassword"], &library["owner"]), (&true.into(), &"bob".into()));
    let join = format!("/api/rooms/{}/join", library["groupId"].as_str().expect("an id"));
    assert_eq!(server.status("POST", &join, &token, "{\"password\":\"wrong\"}"), 403);
    assert_eq!(server.status("POST", &join, &token, "{\"password\":\"whisper\"}"), 200);

    let mine = get("/api/rooms/mine").to_string();
    for said in ["Bring biscuits", "keep your voice down", "why is everyone whispering"] {
        assert!(mine.contains(said), "{said:?} is not in {mine}");
    }
}

#[test]
fn seeding_again_repairs_what_is_missing_and_leaves_what_was_changed() {
    let folder = Folder::new();
    folder.parlor("seed").succeeds();
    let server = Server::start(&folder);
    let token = folder.token("ada", "10m");
    let changed = "{\"firstName\":\"Countess\",\"profile\":{\"role\":\"poet\",\"colour\":\"green\"}}";
    assert_eq!(server.status("PATCH", "/api/users/ada", &token, changed), 200);
    let rooms = server.json("GET", "/api/rooms/mine", &token, "");
    let rooms = rooms.as_array().expect("rooms");
    let tea = rooms.iter().find(|room| room["kind"] == "group").expect("the tea room");
    let leave = format!("/api/rooms/{}/leave", tea["roomId"].as_str().expect("an id"));
    assert_eq!(server.status("POST", &leave, &token, ""), 200);

    let again = folder.parlor("seed").succeeds().out;
    assert!(line_of(&again, "user ada (").ends_with(": completed"), "{again}");
    assert!(line_of(&again, "user bob (").ends_with(": was there already"), "{again}");
    assert!(line_of(&again, "messages: ").starts_with("messages: 0 made, "), "{again}");
    let ada = server.json("GET", "/api/users/ada", &token, "");
    assert_eq!(ada["firstName"], "Countess");
    assert_eq!((&ada["profile"]["role"], &ada["profile"]["colour"]), (&"poet".into(), &"green".into()));
    assert!(ada["profile"]["img"].as_str().is_some_and(|img| img == "user1.png"), "{ada}");
    let rooms = server.json("GET", "/api/rooms/mine", &token, "");
    assert!(
        rooms.as_array().is_some_and(|rooms| rooms.iter().any(|room| room["kind"] == "group")),
        "{rooms}"
    );
    let third = folder.parlor("seed").succeeds().out;
    assert!(line_of(&third, "user ada (").ends_with(": was there already"), "{third}");
}

#[test]
fn seeding_writes_in_no_real_persons_name() {
    let folder = Folder::new();
    folder.parlor("user create Cyd --password-stdin").input(PASSWORD).succeeds();
    let refusal = folder.parlor("seed").refuses();
    assert!(refusal.contains("cyd") && refusal.contains("their name"), "{refusal}");
    assert_eq!(folder.usernames(), ["Cyd"]);
}

#[test]
fn production_is_seeded_only_on_purpose() {
    let folder = Folder::new();
    let secret = "a-secret-of-a-production-of-enough-bytes";
    let refusal = folder.parlor("--mode production seed").env("PARLOR__AUTH__JWT_SECRET", secret).refuses();
    assert!(refusal.contains("--yes-in-production"), "{refusal}");
    assert!(folder.is_empty());
    let meant = folder.parlor("--mode production seed --yes-in-production");
    meant.env("PARLOR__AUTH__JWT_SECRET", secret).succeeds();
}

#[test]
fn accounts_are_created_listed_changed_and_deleted() {
    let folder = Folder::new();
    let made =
        folder.parlor("user create ada --admin --first-name Ada --password-stdin").input(PASSWORD).succeeds();
    assert!(made.out.starts_with("created admin ada ("), "{}", made.out);
    folder.parlor("user create bob --password-stdin").input(&format!("{PASSWORD}\r\n")).succeeds();
    let taken = folder.parlor("user create ADA --password-stdin").input(PASSWORD).refuses();
    assert_eq!(taken, "parlor: ADA: This username is taken\n");

    let list = folder.parlor("user list").succeeds().out;
    assert!(list.starts_with("USERNAME  NAME"), "{list}");
    assert_eq!(folder.usernames(), ["ada", "bob"]);
    let ada = line_of(&list, "ada");
    assert!(ada.contains("  Ada ") && ada.contains("  admin  "), "{ada}");
    let found = folder.parlor("user list --search AD").succeeds().out;
    assert!(found.contains("\nada ") && !found.contains("bob"), "{found}");

    let token = folder.token("bob", "10m");
    let changed = folder.parlor("user passwd bob --password-stdin").input("another good password").succeeds();
    assert_eq!(changed.out, "changed the password of bob, and ended all logins\n");
    let refusal = folder.parlor("token inspect").input(&token).refuses();
    assert!(refusal.contains("its login has ended"), "{refusal}");

    let refusal = folder.parlor("user delete bob").refuses();
    assert!(refusal.contains("--yes"), "nobody is there to confirm: {refusal}");
    assert_eq!(folder.usernames(), ["ada", "bob"]);
    folder.parlor("user delete bob --yes").succeeds();
    assert_eq!(folder.usernames(), ["ada"]);
    for gone in ["user delete bob --yes", "user passwd bob --password-stdin", "token issue bob"] {
        let refusal = folder.parlor(gone).input(PASSWORD).refuses();
        assert_eq!(refusal, "parlor: bob: There is no such user\n");
    }
}

#[test]
fn passwords_come_from_a_terminal_or_standard_input_and_from_nowhere_else() {
    let folder = Folder::new();
    folder.parlor("migrate up").succeeds();
    let refusal = folder.parlor("user create ada").input(PASSWORD).refuses();
    assert!(refusal.contains("--password-stdin"), "{refusal}");
    for (input, reason) in [
        ("", "nothing"),
        ("\n", "nothing"),
        ("two lines\nof input\n", "more than one line"),
        ("short", "password: must have 8 to 1024 characters"),
    ] {
        let refusal = folder.parlor("user create ada --password-stdin").input(input).refuses();
        assert!(refusal.contains(reason), "{input:?}: {refusal}");
    }
    let argument = folder.parlor("user create ada --password hunter2hunter2").output();
    assert_eq!(argument.status.code(), Some(2));
    assert!(folder.usernames().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_an_issuer_is_looked_into_without_making_its_user() {
    let issuer = Issuer::start().await;
    let folder = Folder::new();
    folder.parlor("migrate up").succeeds();
    let issuers = format!("[{{ issuer = \"{}\", audience = \"{AUDIENCE}\" }}]", issuer.url);
    let inspect =
        |token: &str| folder.parlor("token inspect").env("PARLOR__AUTH__ISSUERS", &issuers).input(token);

    let inspected = inspect(&issuer.token("ada")).succeeds();
    assert!(inspected.out.contains("valid    yes, for its issuer"), "{}", inspected.out);
    let refusal = inspect(&issuer.token_saying("aud", "another".into())).refuses();
    assert!(refusal.contains("not what that signs for us"), "{refusal}");
    let refusal = inspect(&issuer.token_saying("exp", 1.into())).refuses();
    assert!(refusal.contains("expired at 1970-01-01"), "{refusal}");
    issuer.goes_down();
    let unasked = inspect(&issuer.token("ada")).output();
    let told = text(unasked.stderr);
    assert!(unasked.status.code() == Some(1) && told.contains("cannot be asked for its keys"), "{told}");
    assert!(folder.usernames().is_empty());
}

#[test]
fn a_token_that_is_issued_is_valid_and_alone_on_standard_output() {
    let folder = Folder::new();
    folder.parlor("user create ada --password-stdin").input(PASSWORD).succeeds();
    let issued = folder.parlor("token issue ada --ttl 1h").succeeds();
    let token = issued.out.strip_suffix('\n').expect("a line");
    assert!(token.split('.').count() == 3 && !token.contains(char::is_whitespace), "{token}");
    assert!(
        issued.err.contains("a token of ada, valid until ") && !issued.err.contains(token),
        "{}",
        issued.err
    );

    for inspected in [
        folder.parlor("token inspect").input(&issued.out).succeeds(),
        folder.parlor("token inspect -").input(token).succeeds(),
        folder.parlor(&format!("token inspect {token}")).succeeds(),
    ] {
        for seen in ["\"alg\":\"HS256\"", "\"sub\":\"ada\"", "(in 59m ", "valid    yes, it is ada's"] {
            assert!(inspected.out.contains(seen), "{}", inspected.out);
        }
        assert!(!inspected.out.contains("development-secret"));
    }
    for (ttl, reason) in [("1s", "auth.leeway"), ("soon", "soon")] {
        let output = folder.parlor(&format!("token issue ada --ttl {ttl}")).output();
        assert!(!output.status.success() && output.stdout.is_empty());
        assert!(text(output.stderr).contains(reason));
    }
}

#[test]
fn a_token_that_is_not_valid_is_shown_with_the_reason() {
    let folder = Folder::new();
    folder.parlor("user create ada --password-stdin").input(PASSWORD).succeeds();
    let token = folder.token("ada", "1h");

    // Another's name in the claims, under the same signature.
    let mut parts: Vec<&str> = token.split('.').collect();
    let other = folder.token("ada", "2h");
    parts[1] = other.split('.').nth(1).expect("claims");
    let tampered = folder.parlor("token inspect").input(&parts.join(".")).output();
    assert_eq!(tampered.status.code(), Some(1));
    assert!(text(tampered.stdout).contains("\"sub\":\"ada\""), "it is shown all the same");
    let reason = text(tampered.stderr);
    assert!(reason.contains("not valid: its signature is wrong"), "{reason}");

    let elsewhere = folder.parlor("token inspect").input(&token);
    let refusal =
        elsewhere.env("PARLOR__AUTH__JWT_SECRET", "a-secret-of-another-server-altogether").refuses();
    assert!(refusal.contains("signature is not ours") && !refusal.contains("altogether"), "{refusal}");

    let refusal = folder.parlor("token inspect").input("not a token").refuses();
    assert!(refusal.contains("not a JWT"), "{refusal}");

    let strict = |command: &str| folder.parlor(command).env("PARLOR__AUTH__LEEWAY", "0s");
    let short = strict("token issue ada --ttl 1s").succeeds().out;
    let begun = Instant::now();
    let refusal = loop {
        let inspected = strict("token inspect").input(&short).output();
        if inspected.status.code() == Some(1) {
            assert!(text(inspected.stdout).contains("ago)"));
            break text(inspected.stderr);
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it never expires");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(refusal.starts_with("parlor: not valid: The token expired at "), "{refusal}");
}

#[test]
fn the_configuration_is_shown_without_its_secrets() {
    let folder = Folder::new();
    let show = folder
        .parlor("config show")
        .env("PARLOR__AUTH__JWT_SECRET", "a-very-secret-secret-of-enough-bytes")
        .env("PARLOR__DATABASE__URL", "postgres://parlor:hunter2@db/parlor")
        .env("PARLOR__SERVER__LISTEN", "127.0.0.1:9999")
        .succeeds();
    assert!(show.out.contains("jwt_secret = \"<redacted>\""), "{}", show.out);
    assert!(show.out.contains("postgres://parlor:<redacted>@db/parlor"), "{}", show.out);
    assert!(show.out.contains("listen = [\"127.0.0.1:9999\"]"), "{}", show.out);
    for secret in ["a-very-secret", "hunter2"] {
        assert!(!show.out.contains(secret) && !show.err.contains(secret));
    }
    assert!(folder.is_empty());
}

#[test]
fn every_mistake_of_a_configuration_is_named_at_once() {
    let folder = Folder::new();
    assert_eq!(folder.parlor("config check").succeeds().out, "ok\n");
    folder.write("my.toml", "[auth]\nleeway = \"2m\"\n[limits]\npacket_bytes = \"many\"\n");
    let wrong = folder.parlor("--config my.toml config check").env("PARLOR__SERVER__LISTEN", "0.0.0.0:8087");
    let refusal = wrong.refuses();
    assert!(refusal.starts_with("parlor: the configuration has 3 mistakes\n"), "{refusal}");
    for setting in
        ["auth.leeway (from my.toml)", "limits.packet_bytes", "server.listen (from PARLOR__SERVER__LISTEN)"]
    {
        assert_eq!(refusal.matches(setting).count(), 1, "{setting}: {refusal}");
    }
}

#[test]
fn an_unknown_key_in_the_environment_is_named() {
    let refusal = Folder::new().parlor("config check").env("PARLOR__SERVER__LISTN", "127.0.0.1:1").refuses();
    assert!(refusal.contains("PARLOR__SERVER__LISTN") && refusal.contains("server.listen"), "{refusal}");
    assert_eq!(refusal.lines().count(), 1, "{refusal}");
}

#[test]
fn a_variable_with_the_wrong_underscores_is_named_with_the_right_ones() {
    let folder = Folder::new();
    for (variable, right) in [
        ("PARLOR_SERVER__LISTEN", "PARLOR__SERVER__LISTEN"),
        ("PARLOR_SERVER_LISTEN", "PARLOR__SERVER__LISTEN"),
        ("PARLOR__SERVER_LISTEN", "server.listen"),
        ("parlor__auth__jwt_secret", "PARLOR__AUTH__JWT_SECRET"),
        ("PARLOR_AUTH__JWT_SECRET", "PARLOR__AUTH__JWT_SECRET"),
        ("PARLOR_AUTH__JWTSECRET", "PARLOR__AUTH__JWT_SECRET"),
        ("PARLOR_AUHT__JWT_SECRET", "auth.jwt_secret"),
    ] {
        let refusal = folder.parlor("config check").env(variable, "127.0.0.1:1").refuses();
        assert!(refusal.contains(variable) && refusal.contains(right), "{refusal}");
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
    }
    // What Kubernetes sets for a service named parlor, and what a test sets.
    for foreign in
        ["PARLOR_PORT", "PARLOR_SERVICE_HOST", "PARLOR_PORT_8087_TCP_ADDR", "PARLOR_TEST_POSTGRES_URL"]
    {
        folder.parlor("config check").env(foreign, "tcp://10.0.0.1:8087").succeeds();
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let folder = Folder::new();
    let check = |variable: &str, value: &str| {
        let check =
            folder.parlor("--mode production config check").env("PARLOR__AUTH__JWT_SECRET", GOOD_SECRET);
        check.env(variable, value).refuses()
    };
    for (variable, value, reason) in [
        ("PARLOR__TELEMETRY__LEVEL", "verbose", "\"verbose\" is not a level"),
        ("PARLOR__TELEMETRY__LEVEL", "info,parlor=loud", "\"loud\" is not a level"),
        ("PARLOR__DATABASE__URL", "sqlite::memory:", "is in memory"),
        ("PARLOR__DATABASE__URL", "postgres://a:b@db:port/parlor", "invalid port"),
        ("PARLOR__DATABASE__URL", "postgres://a:hunt#er2@db/parlor", "%23"),
        ("PARLOR__DATABASE__URL", "mysql://a:b@db/parlor", "is not the address"),
        ("PARLOR__AUTH__JWT_SECRET", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "easy to guess"),
        ("PARLOR__AUTH__JWT_SECRET", "change-me-change-me-change-me-change-me", "easy to guess"),
        ("PARLOR__CORS__ALLOW_MISSING_ORIGIN", "false", "nobody can use the server"),
    ] {
        let refusal = check(variable, value);
        assert!(refusal.contains(reason) && !refusal.contains("er2"), "{value}: {refusal}");
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
    }
    assert!(folder.is_empty());
}

#[test]
fn a_configuration_that_is_most_likely_not_meant_is_warned_of() {
    let folder = Folder::new();
    let check =
        || folder.parlor("--mode production config check").env("PARLOR__AUTH__JWT_SECRET", GOOD_SECRET);
    let origin = "https://chat.example.com";
    let fine = check().env("PARLOR__CORS__ORIGINS", origin).succeeds();
    assert_eq!((fine.out.as_str(), fine.err.as_str()), ("ok\n", ""));
    for (variable, value, setting) in [
        ("PARLOR__CORS__ORIGINS", "", "cors.origins"),
        ("PARLOR__SERVER__PUBLIC_URL", "http://chat.example.com", "server.public_url"),
        ("PARLOR__AUTH__SECURE_COOKIE", "false", "auth.secure_cookie"),
        ("PARLOR__AUTH__TOKEN_TTL", "25h", "auth.token_ttl"),
        ("RUST_LOG", "verbose", "RUST_LOG"),
    ] {
        let warned = check().env("PARLOR__CORS__ORIGINS", origin).env(variable, value).succeeds();
        assert_eq!(warned.out, "ok\n");
        assert!(warned.err.starts_with(&format!("warning: {setting}")), "{variable}: {}", warned.err);
        assert_eq!(warned.err.lines().count(), 1, "{}", warned.err);
    }
    // The server's own address is an origin, and nobody listens between a browser and its own machine.
    for own in ["https://chat.example.com", "http://localhost:8087", "http://[::1]:8087", "http://127.0.0.1"]
    {
        let fine = check().env("PARLOR__SERVER__PUBLIC_URL", own).succeeds();
        assert_eq!((fine.out.as_str(), fine.err.as_str()), ("ok\n", ""), "{own}");
    }
    folder.write("open.toml", &format!("[auth]\njwt_secret = \"{GOOD_SECRET}\"\n"));
    let file = folder.0.path().join("open.toml");
    for (mode, is_warned) in [(0o644, true), (0o640, false), (0o600, false)] {
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("a mode");
        let warned = folder.parlor("--config open.toml config check").succeeds();
        assert_eq!(warned.err.contains("open.toml: holds secrets"), is_warned, "{}", warned.err);
    }
}

#[test]
fn production_starts_only_with_a_secret_of_its_own() {
    let folder = Folder::new();
    for (secret, reason) in [
        // On PostgreSQL. On SQLite the server makes one.
        (None, "auth.jwt_secret: is missing"),
        (Some("short"), "is only 5 bytes long"),
        (Some("parlor-development-secret-known-to-everyone"), "which everyone knows"),
    ] {
        for command in ["", "serve", "config check"] {
            let call = folder.parlor(&format!("--mode production {command}"));
            let refusal = match secret {
                Some(secret) => call.env("PARLOR__AUTH__JWT_SECRET", secret).refuses(),
                None => call.env("PARLOR__DATABASE__URL", "postgres://db/parlor").refuses(),
            };
            assert!(refusal.contains("auth.jwt_secret") && refusal.contains(reason), "{refusal}");
        }
    }
    assert!(folder.is_empty(), "it refuses before it makes anything");
}

#[test]
fn a_healthcheck_tells_a_running_server_from_a_stopped_one() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let url = format!("http://{}", server.address);
    assert_eq!(folder.parlor(&format!("healthcheck --url {url}")).succeeds().out, "ok\n");
    assert_eq!(folder.parlor(&format!("healthcheck --url {url}/")).succeeds().out, "ok\n");
    let configured = folder.parlor("healthcheck").env("PARLOR__SERVER__LISTEN", &server.address);
    assert_eq!(configured.succeeds().out, "ok\n");
    let elsewhere = folder.parlor(&format!("healthcheck --url {url}/elsewhere")).refuses();
    assert!(elsewhere.contains("404"), "{elsewhere}");

    drop(server);
    let stopped = folder.parlor(&format!("healthcheck --url {url}")).refuses();
    assert!(stopped.contains("/readyz cannot be asked"), "{stopped}");
    for (url, reason) in [("https://localhost", "http://"), ("localhost:8087", "http://")] {
        let refusal = folder.parlor(&format!("healthcheck --url {url}")).refuses();
        assert!(refusal.contains(reason), "{refusal}");
    }
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let refusal = folder.parlor(&format!("healthcheck --timeout 200ms --url http://{address}")).refuses();
    assert!(refusal.contains("no answer within 200ms"), "{refusal}");
}

#[test]
fn commands_work_beside_a_running_server() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    folder.parlor("seed").succeeds();
    let login = "{\"username\":\"ada\",\"password\":\"parlor-demo\"}";
    assert_eq!(server.status("POST", "/api/auth/login", "", login), 200);

    let token = folder.token("ada", "10m");
    assert_eq!(server.status("GET", "/api/auth/session", &token, ""), 200);
    folder.parlor("user passwd ada --password-stdin").input(PASSWORD).succeeds();
    assert_eq!(server.status("GET", "/api/auth/session", &token, ""), 401);
    assert_eq!(server.status("POST", "/api/auth/login", "", login), 401);
    let login = login.replace("parlor-demo", PASSWORD);
    assert_eq!(server.status("POST", "/api/auth/login", "", &login), 200);
}

/// Where one test's program runs.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    /// A call of the program, with arguments without spaces.
    fn parlor(&self, arguments: &str) -> Call {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlor"));
        command.args(arguments.split_whitespace()).current_dir(self.0.path()).env_clear();
        Call { command, input: String::new() }
    }

    fn token(&self, name: &str, ttl: &str) -> String {
        self.parlor(&format!("token issue {name} --ttl {ttl}")).succeeds().out.trim().to_owned()
    }

    fn usernames(&self) -> Vec<String> {
        let list = self.parlor("user list").succeeds().out;
        list.lines().skip(1).filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.0.path().join(name), content).expect("a file");
    }

    fn is_empty(&self) -> bool {
        std::fs::read_dir(self.0.path()).expect("the folder").next().is_none()
    }
}

struct Call {
    command: Command,
    input: String,
}

struct Said {
    out: String,
    err: String,
}

impl Call {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn input(mut self, text: &str) -> Self {
        text.clone_into(&mut self.input);
        self
    }

    fn output(mut self) -> Output {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the program starts");
        // One that does not read its input may be gone already.
        let written = child.stdin.take().expect("its input").write_all(self.input.as_bytes());
        drop(written);
        child.wait_with_output().expect("the program ends")
    }

    #[track_caller]
    fn succeeds(self) -> Said {
        let called = format!("{:?}", self.command);
        let output = self.output();
        let said = Said { out: text(output.stdout), err: text(output.stderr) };
        assert!(output.status.success(), "{called}: {}\n{}{}", output.status, said.out, said.err);
        said
    }

    /// What it says on standard error while it exits with 1.
    #[track_caller]
    fn refuses(self) -> String {
        let called = format!("{:?}", self.command);
        let output = self.output();
        let err = text(output.stderr);
        assert_eq!(output.status.code(), Some(1), "{called}: {}{err}", text(output.stdout));
        assert!(err.starts_with("parlor: "), "{called}: {err}");
        err
    }
}

/// A running server, ended with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(folder: &Folder) -> Self {
        let mut call = folder.parlor("serve").env("PARLOR__SERVER__LISTEN", "127.0.0.1:0");
        call.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = call.command.spawn().expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let first = lines.next().expect("a first line").expect("readable");
        let address = first.rsplit("http://").next().expect("an address").to_owned();
        // Read on, or the server could not print.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// The status of the answer to one HTTP request.
    fn status(&self, method: &str, path: &str, token: &str, body: &str) -> u16 {
        let answer = self.answer(method, path, token, body);
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    /// The body of a good answer.
    #[track_caller]
    fn json(&self, method: &str, path: &str, token: &str, body: &str) -> serde_json::Value {
        let answer = self.answer(method, path, token, body);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{method} {path}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }

    /// The whole answer to one HTTP request.
    fn answer(&self, method: &str, path: &str, token: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let authorization =
            if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{authorization}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The line that begins like that.
#[track_caller]
fn line_of<'a>(text: &'a str, begin: &str) -> &'a str {
    text.lines()
        .find(|line| line.starts_with(begin))
        .unwrap_or_else(|| panic!("no line {begin:?} in:\n{text}"))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}
