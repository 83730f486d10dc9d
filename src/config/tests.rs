//! The configuration as a whole: layers, names, kinds, redaction. What a section refuses is tested in its own file.

use std::io::Write;
use std::time::Duration;

use tempfile::NamedTempFile;
use toml::Table;

use super::*;

const SECRET: (&str, &str) = ("PARLOR__AUTH__JWT_SECRET", "k7Qe4mV0c2yZb9sN1xT8uH5rW3pL6aJd");

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

fn load(mode: Mode, text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let file = file(text);
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(mode, Some(file.path()), env)
}

fn refused(mode: Mode, text: &str, env: &[(&str, &str)]) -> ConfigError {
    load(mode, text, env).expect_err("a configuration with mistakes")
}

#[test]
fn the_built_in_files_load_in_both_modes() {
    let development = Config::development();
    assert_eq!(development.mode, Mode::Development);
    assert!(development.database.auto_migrate && development.dialects.angular);
    assert_eq!(development.cors.origins.len(), 10);
    assert_eq!(development.dialects.open_ones(), ["angular", "encrypted"]);

    let production = load(Mode::Production, "", &[SECRET]).expect("a secret is all that production needs");
    assert_eq!(production.mode, Mode::Production);
    assert!(production.has_secure_cookie() && !production.dialects.angular);
    assert_eq!(production.telemetry.format, LogFormat::Json);
    assert_eq!(production.telemetry.metrics.to_string(), "127.0.0.1:9187");
}

#[test]
fn defaults_have_their_types_and_units() {
    let config = Config::development();
    assert_eq!(config.server.listen, ["127.0.0.1:8087".parse().expect("an address")]);
    assert_eq!(config.auth.token_ttl, Duration::from_secs(3600));
    assert_eq!(config.writer.receipts_tick, Duration::from_millis(50));
    assert_eq!(config.limits.packet_bytes, 1_000_000);
    assert_eq!(config.telemetry.metrics, Metrics::Same);
    assert!(config.auth.previous().is_none());
}

#[test]
fn default_toml_and_the_structs_have_the_same_settings() {
    let default: Table = schema::DEFAULT.parse().expect("TOML");
    let rendered: Table = toml::to_string(&Config::development()).expect("rendered").parse().expect("TOML");
    assert_eq!(schema::names(&default), schema::names(&rendered));
}

#[test]
fn each_layer_wins_over_the_one_before() {
    let env = [("PARLOR__AUTH__SIGNUP", "true"), ("PARLOR__AUTH__TOKEN_TTL", "3h")];
    let text =
        "[auth]\ntoken_ttl = \"2h\"\nissuer = \"file\"\nsignup = false\n[telemetry]\nformat = \"readable\"";
    let config = load(Mode::Production, text, &[SECRET]).expect("valid");
    assert_eq!(config.telemetry.format, LogFormat::Readable, "the file wins over production.toml");
    assert!(!config.auth.signup, "the file wins over default.toml");
    assert_eq!(config.auth.issuer, "file", "the file wins over default.toml");
    assert_eq!(config.auth.token_ttl, Duration::from_secs(2 * 3600));

    let config = load(Mode::Production, text, &[SECRET, env[0], env[1]]).expect("valid");
    assert!(config.auth.signup, "the environment wins over the file");
    assert_eq!(config.auth.token_ttl, Duration::from_secs(3 * 3600));
    assert_eq!(config.auth.issuer, "file", "what the environment leaves alone stays");
}

#[test]
fn the_environment_gives_lists_numbers_and_strings() {
    let config = load(
        Mode::Development,
        "",
        &[
            ("PARLOR__SERVER__LISTEN", "127.0.0.1:1, [::1]:2"),
            ("PARLOR__SERVER__TRUSTED_PROXIES", "10.0.0.1,::1"),
            ("PARLOR__CORS__ORIGINS", "[\"https://a.example\"]"),
            ("PARLOR__DIALECTS__OPEN", ""),
            ("PARLOR__LIMITS__EVENTS_BURST", "200"),
            ("PARLOR__AUTH__JWT_SECRET", "12345678901234567890123456789012"),
            ("PARLOR__AUTH__PREVIOUS_JWT_SECRET", "[\"not\", \"a\", \"list\"]"),
            ("PARLOR__AUTH__PREVIOUS_JWT_SECRET_UNTIL", "2026-12-31T01:00:00+01:00"),
            ("PARLOR_SOMETHING_ELSE", "ignored"),
            ("PATH", "/bin"),
        ],
    )
    .expect("valid");
    assert_eq!(config.server.listen.len(), 2);
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.cors.origins, ["https://a.example"]);
    assert!(config.dialects.open.is_empty());
    assert_eq!(config.limits.events_burst, 200);
    let (_, until) = config.auth.previous().expect("a previous secret");
    assert_eq!(until.to_rfc3339(), "2026-12-31T00:00:00+00:00");

    let one = load(Mode::Development, "", &[("PARLOR__SERVER__LISTEN", "[\"127.0.0.1:1\"]")]).expect("valid");
    assert_eq!(one.server.listen.len(), 1);
}

#[test]
fn a_file_may_write_a_list_of_addresses_and_a_bare_instant() {
    let text = "[server]\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]\n\
                [auth]\nprevious_jwt_secret = \"a\"\nprevious_jwt_secret_until = 2026-12-31T00:00:00Z";
    let config = load(Mode::Development, text, &[]).expect("valid");
    assert_eq!(config.server.listen.len(), 2);
    assert!(config.auth.previous().is_some());
}

#[test]
fn unknown_names_are_named_with_what_was_probably_meant() {
    for (text, env, expected) in [
        (
            "[server]\nlisen = 1",
            None,
            "server.lisen (from FILE): is not a setting; did you mean server.listen?",
        ),
        ("[sever]\nlisten = 1", None, "sever (from FILE): is not a setting; did you mean [server]?"),
        ("jwt_secret = 1", None, "jwt_secret (from FILE): is not a setting; did you mean auth.jwt_secret?"),
        (
            "[limits]\nqueue = 1",
            None,
            "limits.queue (from FILE): is not a setting; did you mean writer.queue?",
        ),
        (
            "mode = \"production\"",
            None,
            "mode (from FILE): is not a setting; the sections are: auth, cluster, cors, database, ",
        ),
        (
            "[mode]",
            None,
            "mode (from FILE): is not a setting; the sections are: auth, cluster, cors, database, ",
        ),
        (
            "[presence]\ncolour = 1",
            None,
            "presence.colour (from FILE): is not a setting; the settings of [presence] are: everyone_up_to, grace",
        ),
        (
            "server = 1",
            None,
            "server (from FILE): is a section, not a setting; write its settings in lines of their own",
        ),
        (
            "",
            Some("PARLOR__AUTH_TOKEN_TTL"),
            "auth_token_ttl (from PARLOR__AUTH_TOKEN_TTL): is not a setting; did you mean auth.token_ttl?",
        ),
        (
            "",
            Some("PARLOR__SERVER"),
            "server (from PARLOR__SERVER): is not a setting; did you mean [server]?",
        ),
        (
            "",
            Some("PARLOR__SERVER__LISTEN__0"),
            "server.listen.0 (from PARLOR__SERVER__LISTEN__0): is not a setting; ",
        ),
        ("", Some("PARLOR__"), "PARLOR__: names no setting; write PARLOR__SECTION__KEY"),
    ] {
        let file = file(text);
        let env = env.map(|name| (name.to_owned(), "1".to_owned()));
        let error = Config::load(Mode::Development, Some(file.path()), env).expect_err(expected);
        let text = error.to_string().replace(&file.path().display().to_string(), "FILE");
        assert!(text.starts_with(expected), "{text}\n is not\n{expected}");
        assert_eq!(error.mistakes.len(), 1, "{text}");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = "[server]\nrequest_timeout = 30\nlisten = [\"127.0.0.1:1\", \"nowhere\"]\ntypo = 1\n\
                [limits]\nevents_per_second = -1\n\
                [cors]\norigins = [\"https://a.example/\", \"https://b.example/app\"]";
    let error = refused(
        Mode::Production,
        text,
        &[
            ("PARLOR__AUTH__SIGNUP", "perhaps"),
            ("PARLOR__TELEMETRY__FORMAT", "xml"),
            ("PARLOR__WRITER__BATCH", "0"),
            ("PARLOR__DIALECTS__ANGULAR", "true"),
            ("PARLOR__DATABASE__URL", "postgres://db/parlor"),
        ],
    );
    let mut named: Vec<_> = error.mistakes.iter().map(|mistake| mistake.setting.as_str()).collect();
    named.sort_unstable();
    assert_eq!(
        named,
        [
            "auth.jwt_secret",
            "auth.signup",
            "cors.origins",
            "cors.origins",
            "dialects.angular",
            "limits.events_per_second",
            "server.listen",
            "server.request_timeout",
            "server.typo",
            "telemetry.format",
            "writer.batch",
        ]
    );
    let text = error.to_string();
    assert_eq!(text.lines().count(), error.mistakes.len());
    for part in [
        "invalid type: integer `30`, expected a duration; what belongs here: How long one HTTP request may take; of a Socket.IO poll only what the client sends. \
         Default: \"30s\"",
        "writer.batch (from PARLOR__WRITER__BATCH): is 0; use a number from 1 to",
        "auth.jwt_secret: is missing; use at least 32",
        "\"nowhere\"",
        "\"perhaps\"",
    ] {
        assert!(text.contains(part), "{part}\n is not in\n{text}");
    }
}

#[test]
fn zero_and_endless_values_are_refused_wherever_they_cannot_work() {
    let zero_works = [
        "auth.expiring_notice",
        "auth.leeway",
        "cors.max_age",
        "messages.delete_window",
        "messages.edit_window",
        "presence.everyone_up_to",
        "presence.grace",
        "cluster.drain_delay",
        "cluster.drain_spread",
        "server.drain_timeout",
    ];
    let default: Table = schema::DEFAULT.parse().expect("TOML");
    let mut tried = 0;
    for name in schema::names(&default) {
        let (section, key) = name.split_once('.').expect("a dotted name");
        let variable = format!("PARLOR__{section}__{key}");
        let refuses = |value: &str| match load(Mode::Production, "", &[SECRET, (variable.as_str(), value)]) {
            Ok(_) => false,
            Err(error) => error.mistakes.iter().any(|mistake| mistake.setting == name),
        };
        let is_duration = default[section][key]
            .as_str()
            .is_some_and(|text| humantime_serde::re::humantime::parse_duration(text).is_ok());
        if is_duration {
            assert!(refuses("3651days"), "{name}");
        }
        if is_duration || default[section][key].is_integer() {
            let zero = if is_duration { "0s" } else { "0" };
            assert_eq!(refuses(zero), !zero_works.contains(&name.as_str()), "{name}");
            tried += 1;
        }
    }
    assert_eq!(tried, 61, "every number and duration was tried");
}

#[test]
fn a_value_that_cannot_be_read_is_told_once() {
    let error = refused(Mode::Production, "[auth]\njwt_secret = 5", &[]);
    assert_eq!(error.mistakes.len(), 1, "{error}");
    assert!(error.to_string().contains("is not a string"), "{error}");
}

#[test]
fn files_that_cannot_be_used_are_mistakes_among_others() {
    let env = || [("PARLOR__WRITER__BATCH".to_owned(), "0".to_owned())];
    let error =
        Config::load(Mode::Development, Some(Path::new("/nowhere/parlor.toml")), env()).expect_err("no file");
    assert!(error.to_string().starts_with("/nowhere/parlor.toml: cannot be read ("), "{error}");
    assert_eq!(error.mistakes.len(), 2);

    let error = refused(Mode::Development, "[server]\nlisten =\n", &[]);
    assert!(error.to_string().contains(": is not TOML, at line 2 ("), "{error}");
}

#[test]
fn values_that_are_not_utf8_are_refused() {
    let error = refused(Mode::Development, "", &[("PARLOR__AUTH__JWT_SECRET", "abc\u{fffd}")]);
    assert!(error.to_string().contains("is not valid UTF-8"), "{error}");
}

#[test]
fn no_error_tells_a_secret() {
    for text in [
        "[auth]\njwt_secret = 8675309",
        "[auth]\njwt_secret = [\"8675309\"]",
        "[auth]\njwt_secret = \"8675309\" oops",
        "[auth]\njwt_secret = 8675309oops",
        "[auth]\njwt_secret = \"8675309",
        "[auth]\nprevious_jwt_secret = 8675309",
        "[auth]\njwt_secret = \"8675309\"\nprevious_jwt_secret = \"8675309\"\nprevious_jwt_secret_until = \"x\"",
        "[database]\nurl = 8675309",
        "[database]\nurl = \"mysql://ada:8675309@db/parlor\"",
        "[database]\nurl = { password = \"8675309\" }",
    ] {
        let error = refused(Mode::Production, text, &[]);
        assert!(!format!("{error} {error:?}").contains("8675309"), "{text}\n{error}");
    }
}

#[test]
fn the_effective_configuration_is_shown_without_secrets_and_can_be_read_again() {
    let env = [
        ("PARLOR__AUTH__JWT_SECRET", "k7Qe4mV0c2yZ-8675309-b9sN1xT8uH5rW3pL6aJd"),
        ("PARLOR__AUTH__PREVIOUS_JWT_SECRET", "previous-8675309-8675309-8675309-8675309"),
        ("PARLOR__AUTH__PREVIOUS_JWT_SECRET_UNTIL", "2026-12-31T00:00:00Z"),
        ("PARLOR__DATABASE__URL", "postgres://ada:8675309@db/parlor"),
    ];
    let config = load(Mode::Production, "", &env).expect("valid");
    let shown = config.to_toml_redacted();
    assert!(!shown.contains("8675309") && !format!("{config:?}").contains("8675309"), "{shown}\n{config:?}");
    for line in [
        "# The effective configuration in production mode.",
        "listen = [\"127.0.0.1:8087\"]",
        "url = \"postgres://ada:<redacted>@db/parlor\"",
        "jwt_secret = \"<redacted>\"",
        "previous_jwt_secret = \"<redacted>\"",
        "previous_jwt_secret_until = \"2026-12-31T00:00:00Z\"",
        "token_ttl = \"1h\"",
        "format = \"json\"",
        "metrics = \"127.0.0.1:9187\"",
    ] {
        assert!(shown.lines().any(|shown| without_layer(shown) == line), "{line}\n is not in\n{shown}");
    }
    let again = load(Mode::Production, &shown, &env).expect("what is shown is a valid file");
    assert_eq!(settings(&again.to_toml_redacted()), settings(&shown));

    let development = Config::development().to_toml_redacted();
    assert!(
        settings(&development).contains(&"previous_jwt_secret = \"\""),
        "an unset secret is seen to be unset: {development}"
    );
}

#[test]
fn each_value_is_shown_with_its_layer() {
    let written = "[limits]\nevents_burst = 77\n[server]\nlisten = \"127.0.0.1:1\"\n\
        [[auth.issuers]]\nissuer = \"https://id.example\"\naudience = \"chat\"\n";
    let env = [SECRET, ("PARLOR__SERVER__LISTEN", "127.0.0.1:2")];
    let shown = load(Mode::Production, written, &env).expect("valid").to_toml_redacted();
    for (line, layer) in [
        ("listen = [\"127.0.0.1:2\"]", "environment PARLOR__SERVER__LISTEN"),
        ("jwt_secret = \"<redacted>\"", "environment PARLOR__AUTH__JWT_SECRET"),
        ("events_burst = 77", "file "),
        ("[[auth.issuers]]", "file "),
        ("format = \"json\"", "production mode"),
        ("events_per_second = 50", "default"),
    ] {
        let found = shown.lines().find(|shown| without_layer(shown) == line);
        let found = found.unwrap_or_else(|| panic!("{line} is not in\n{shown}"));
        assert!(found.contains(&format!(" # {layer}")), "{found}");
    }
    let secret = file("k7Qe4mV0c2yZ-8675309-b9sN1xT8uH5rW3pL6aJd");
    let path = secret.path().display().to_string();
    let shown = load(Mode::Development, "", &[("PARLOR__AUTH__JWT_SECRET_FILE", &path)]).expect("valid");
    let shown = shown.to_toml_redacted();
    let blank = shown.lines().find(|line| without_layer(line) == "jwt_secret = \"\"");
    assert!(blank.is_some_and(|line| line.ends_with(" # see auth.jwt_secret_file")), "{shown}");
}

/// A line of what is shown, without the comment that names its layer.
fn without_layer(line: &str) -> &str {
    line.split_once(" # ").map_or(line, |(setting, _)| setting).trim_end()
}

fn settings(shown: &str) -> Vec<&str> {
    shown.lines().map(without_layer).collect()
}

#[test]
fn a_secret_comes_from_a_file_and_is_shown_by_its_name_alone() {
    let secret = file("k7Qe4mV0c2yZ-8675309-b9sN1xT8uH5rW3pL6aJd\n");
    let url = file("postgres://ada:8675309@db/parlor");
    let (secret, url) = (secret.path().display().to_string(), url.path().display().to_string());
    let env = [
        ("PARLOR__AUTH__JWT_SECRET_FILE", secret.as_str()),
        ("PARLOR__AUTH__PREVIOUS_JWT_SECRET_FILE", secret.as_str()),
        ("PARLOR__AUTH__PREVIOUS_JWT_SECRET_UNTIL", "2026-12-31T00:00:00Z"),
        ("PARLOR__DATABASE__URL_FILE", url.as_str()),
    ];
    let error = refused(Mode::Production, "", &env);
    assert_eq!(error.mistakes.len(), 1, "{error}");
    let expected = format!("auth.previous_jwt_secret (from {secret}): is the same as auth.jwt_secret");
    assert!(error.to_string().starts_with(&expected), "{error}");
    let env = [env[0], env[3]];
    let config = load(Mode::Production, "", &env).expect("valid");
    assert_eq!(config.database.url.expose(), "postgres://ada:8675309@db/parlor");
    let shown = config.to_toml_redacted();
    assert!(!shown.contains("8675309") && !format!("{config:?}").contains("8675309"), "{shown}\n{config:?}");
    assert!(shown.contains(&format!("jwt_secret_file = \"{secret}\"")), "{shown}");
    let again = load(Mode::Production, &shown, &[]).expect("what is shown is a valid file");
    assert_eq!(settings(&again.to_toml_redacted()), settings(&shown));
    assert_eq!(again.database.url, config.database.url);
}

#[test]
fn the_later_layer_wins_whether_it_gives_a_secret_or_its_file() {
    let secret = file("k7Qe4mV0c2yZ-of-the-file-b9sN1xT8uH5rW3pL6aJd");
    let named = format!("[auth]\njwt_secret_file = \"{}\"", secret.path().display());
    let config = load(Mode::Production, &named, &[]).expect("valid");
    assert_eq!(config.auth.jwt_secret.expose_secret(), "k7Qe4mV0c2yZ-of-the-file-b9sN1xT8uH5rW3pL6aJd");
    let config = load(Mode::Production, &named, &[SECRET]).expect("valid");
    assert_eq!(config.auth.jwt_secret.expose_secret(), SECRET.1);
    assert_eq!(config.auth.jwt_secret_file, None);
    let written = format!("[auth]\njwt_secret = \"{}\"", SECRET.1);
    let path = secret.path().display().to_string();
    let config =
        load(Mode::Production, &written, &[("PARLOR__AUTH__JWT_SECRET_FILE", &path)]).expect("valid");
    assert!(config.auth.jwt_secret.expose_secret().contains("-of-the-file-"));
    let error = refused(Mode::Production, "", &[SECRET, ("PARLOR__AUTH__JWT_SECRET_FILE", &path)]);
    assert_eq!(error.mistakes.len(), 1, "{error}");
    assert!(error.to_string().contains("is set, and auth.jwt_secret is, too; set one of them"), "{error}");
}

#[test]
fn a_missing_secret_is_made_on_sqlite_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/data/parlor.db", folder.path().display());
    let mut config = load(Mode::Production, "", &[("PARLOR__DATABASE__URL", &url)]).expect("valid");
    let key = folder.path().join("data/jwt-secret");
    assert_eq!(config.auth.jwt_secret_file.as_ref(), Some(&key));
    assert!(!key.exists(), "reading a configuration makes nothing");
    assert_eq!(config.make_missing_secret().expect("made"), Some(key.clone()));
    assert_eq!(config.auth.jwt_secret.expose_secret().len(), 64);
    assert!(config.check().is_empty(), "{:?}", config.check());
    let mut again = load(Mode::Production, "", &[("PARLOR__DATABASE__URL", &url)]).expect("valid");
    assert_eq!(again.make_missing_secret().expect("there"), None);
    assert_eq!(again.auth.jwt_secret.expose_secret(), config.auth.jwt_secret.expose_secret());

    std::fs::write(&key, "short").expect("written");
    let error = refused(Mode::Production, "", &[("PARLOR__DATABASE__URL", &url)]);
    assert!(error.to_string().contains("is only 5 bytes long"), "{error}");
    std::fs::write(&key, "").expect("written");
    let error = refused(Mode::Production, "", &[("PARLOR__DATABASE__URL", &url)]);
    assert!(error.to_string().contains("cannot be used (it is empty)"), "{error}");

    let nowhere = ("PARLOR__AUTH__JWT_SECRET_FILE", "/nowhere/secret");
    let postgres = ("PARLOR__DATABASE__URL", "postgres://db/parlor");
    let error = refused(Mode::Production, "", &[nowhere, postgres]);
    assert_eq!(error.mistakes.len(), 1, "{error}");
    assert!(error.to_string().contains("/nowhere/secret does not exist"), "{error}");
    let error = refused(Mode::Production, "", &[SECRET, ("PARLOR__DATABASE__URL_FILE", "/nowhere/url")]);
    assert_eq!(error.mistakes.len(), 1, "{error}");
    let mut development = Config::development();
    assert_eq!(development.make_missing_secret().expect("nothing to do"), None);
}

const MINIMAL: &str = "issuer = \"https://login.example.com/\"\naudience = \"chat\"\n";

#[test]
fn issuers_come_from_a_file_or_the_environment() {
    assert!(Config::development().auth.issuers.is_empty());
    let text = format!(
        "[auth]\ntoken_ttl = \"2h\"\n[[auth.issuers]]\n{MINIMAL}\
         [[auth.issuers]]\nissuer = \"https://other.example.com\"\naudience = \"chat\"\n\
         jwks_uri = \"https://keys.example.com/keys.json\"\nalgorithms = [\"ES256\", \"EdDSA\"]\n\
         username_claim = \"nickname\"\nname_claim = \"given_name\"\nemail_claim = \"mail\"\n"
    );
    let config = load(Mode::Production, &text, &[SECRET]).expect("valid");
    assert_eq!(config.auth.token_ttl, Duration::from_secs(2 * 3600));
    let [first, second] = &config.auth.issuers[..] else { panic!("{:?}", config.auth.issuers) };
    assert_eq!((&*first.issuer, &*first.audience), ("https://login.example.com/", "chat"));
    assert_eq!(second.jwks_uri.as_deref(), Some("https://keys.example.com/keys.json"));
    assert_eq!(second.algorithms, [IssuerAlgorithm::ES256, IssuerAlgorithm::EdDSA]);
    let claims = [&second.username_claim, &second.name_claim, &second.email_claim];
    assert_eq!(claims, ["nickname", "given_name", "mail"]);
    let shown = config.to_toml_redacted();
    let again = load(Mode::Production, &shown, &[SECRET]).expect("what is shown is a valid file");
    assert_eq!(settings(&again.to_toml_redacted()), settings(&shown));

    let written =
        "[{ issuer = \"https://third.example.com\", audience = \"chat\", algorithms = [\"EdDSA\"] }]";
    let config = load(Mode::Production, &text, &[SECRET, ("PARLOR__AUTH__ISSUERS", written)]).expect("valid");
    let [third] = &config.auth.issuers[..] else { panic!("{:?}", config.auth.issuers) };
    assert_eq!(third.issuer, "https://third.example.com");
    assert_eq!(third.algorithms, [IssuerAlgorithm::EdDSA]);
    let none = load(Mode::Production, &text, &[SECRET, ("PARLOR__AUTH__ISSUERS", "[]")]).expect("valid");
    assert!(none.auth.issuers.is_empty());
}

#[test]
fn a_mistake_in_an_issuer_is_named() {
    let insecure = "[{ issuer = \"http://login.example.com\", audience = \"chat\" }]";
    for (fields, env, expected) in [
        ("audiense = \"chat\"\n", None, "unknown field `audiense`"),
        (
            "algorithms = [\"HS256\"]\n",
            None,
            "unknown variant `HS256`, expected one of `RS256`, `ES256`, `EdDSA`",
        ),
        ("algorithms = [\"none\"]\n", None, "unknown variant `none`"),
        ("algorithms = []\n", None, "has no algorithms"),
        ("jwks_uri = \"http://login.example.com/keys\"\n", None, "is not HTTPS"),
        ("jwks_uri = 5\n", None, "invalid type: integer `5`"),
        ("", Some(insecure), "issuer \"http://login.example.com\" is not HTTPS"),
        ("", Some("[{ issuer = \"https://login.example.com\" }]"), "missing field `audience`"),
        ("", Some("https://login.example.com"), "expected struct IssuerConfig"),
    ] {
        let text = format!("[[auth.issuers]]\n{MINIMAL}{fields}");
        let env = env.map(|value| ("PARLOR__AUTH__ISSUERS", value));
        let error = refused(Mode::Production, &text, &[SECRET].into_iter().chain(env).collect::<Vec<_>>());
        let text = error.to_string();
        assert_eq!(error.mistakes.len(), 1, "{text}");
        assert!(text.starts_with("auth.issuers (from ") && text.contains(expected), "{expected}: {text}");
        assert_eq!(text.contains("(from PARLOR__AUTH__ISSUERS)"), env.is_some(), "{text}");
    }
    let error = refused(Mode::Production, "[[auth.issuer]]\nissuer = \"a\"", &[SECRET]);
    assert!(error.to_string().starts_with("auth.issuer (from "), "{error}");
    let error = refused(Mode::Production, "[[issuers]]\nissuer = \"a\"", &[SECRET]);
    assert!(error.to_string().contains("did you mean auth.issuers?"), "{error}");
}

#[test]
fn modes_are_read_as_they_are_written() {
    for mode in [Mode::Development, Mode::Production] {
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
    assert!("staging".parse::<Mode>().is_err());
}

proptest::proptest! {
    #[test]
    fn any_environment_is_read_or_every_mistake_told(
        section in proptest::sample::select(vec!["SERVER", "AUTH", "CORS", "LIMITS", "DATABASE", "DIALECTS", "x", ""]),
        key in proptest::sample::select(vec![
            "LISTEN", "JWT_SECRET", "ISSUERS", "ORIGINS", "PACKET_BYTES", "URL", "OPEN", "TOKEN_TTL", "LEEWAY", "x", "",
        ]),
        value in ".{0,40}",
    ) {
        let secret = format!("{value}-8675309");
        for mode in [Mode::Development, Mode::Production] {
            let variables = [
                (format!("PARLOR__{section}__{key}"), value.clone()),
                ("PARLOR__AUTH__PREVIOUS_JWT_SECRET".to_owned(), secret.clone()),
            ];
            if let Err(mistakes) = Config::load(mode, None, variables) {
                let text = mistakes.to_string();
                assert!(!text.is_empty() && !text.contains("8675309"), "{text}");
            }
        }
    }
}
