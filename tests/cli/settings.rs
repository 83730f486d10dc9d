//! Files to start with, and where each setting comes from.

use std::os::unix::fs::PermissionsExt;

use super::Folder;

#[test]
fn the_default_file_is_printed_whole_and_is_a_valid_file() {
    let folder = Folder::new();
    let printed = folder.parlor("config default").succeeds().out;
    assert_eq!(printed, include_str!("../../config/default.toml"));
    folder.write("all.toml", &printed);
    let check = "--config all.toml config check";
    folder.parlor(check).env("PARLOR__AUTH__JWT_SECRET", super::GOOD_SECRET).succeeds();
    // Also where the settings are wrong: it is there to correct them.
    let wrong = folder.parlor("config default").env("PARLOR__SERVER__LISTEN", "nowhere");
    assert_eq!(wrong.succeeds().out, printed);
}

#[test]
fn a_file_to_start_with_has_a_secret_of_its_own_and_replaces_nothing() {
    let folder = Folder::new();
    let printed = folder.parlor("config init").succeeds().out;
    assert!(folder.is_empty());
    let made = folder.parlor("config init conf/my.toml").succeeds().out;
    let file = folder.0.path().join("conf/my.toml");
    assert!(made.starts_with("made /") && made.contains(file.to_str().expect("UTF-8")), "{made}");
    let written = std::fs::read_to_string(&file).expect("it is there");
    let secret = |text: &str| super::line_of(text, "jwt_secret = ").to_owned();
    assert_ne!(secret(&written), secret(&printed));
    assert!(!made.contains(&secret(&written)), "{made}");
    assert_eq!(written.replace(&secret(&written), ""), printed.replace(&secret(&printed), ""));
    assert_eq!(std::fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);

    let checked = folder.parlor("--mode production --config conf/my.toml config check").succeeds();
    assert_eq!((checked.out.as_str(), checked.err.as_str()), ("ok\n", ""));
    let refusal = folder.parlor("config init conf/my.toml").refuses();
    assert!(refusal.contains("exists already"), "{refusal}");
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), written);
    assert_eq!(std::fs::read_dir(folder.0.path().join("conf")).expect("a folder").count(), 1);
}

#[test]
fn each_value_is_shown_with_its_layer() {
    let folder = Folder::new();
    folder.write(
        "my.toml",
        "[limits]\nevents_burst = 77\n[auth]\njwt_secret = \"k7Qe4mV0c2yZb9sN1xT8uH5rW3pL6aJd\"\n",
    );
    let call = folder.parlor("--mode production --config my.toml config show");
    let shown = call.env("PARLOR__SERVER__LISTEN", "127.0.0.1:9999").succeeds().out;
    for (setting, layer) in [
        ("listen = [\"127.0.0.1:9999\"]", "environment PARLOR__SERVER__LISTEN"),
        ("events_burst = 77", "file my.toml"),
        ("jwt_secret = \"<redacted>\"", "file my.toml"),
        ("format = \"json\"", "production mode"),
        ("events_per_second = 50", "default"),
    ] {
        let line = super::line_of(&shown, setting);
        let (value, comment) = line.split_once(" # ").expect("a comment");
        assert_eq!((value.trim_end(), comment), (setting, layer));
    }
    assert!(!shown.contains("k7Qe4mV0"), "{shown}");
}
