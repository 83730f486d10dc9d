//! Tells the tests what this machine has, so that what cannot run shows as ignored, with the
//! reason, and never as passed. In CI everything has to be there: a missing service fails there.
//! Says what a release is built from: the commit and its day, never the time of the build.
//! Puts the browser client of Socket.IO into release builds, where npm has installed it in `web/`.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Each program, how it is asked for its version, and what its presence is called.
const TOOLS: [(&str, &str, &str); 12] = [
    ("git", "--version", "with_git"),
    ("nats-server", "--version", "with_nats"),
    ("redis-server", "--version", "with_redis"),
    ("pgbouncer", "--version", "with_pgbouncer"),
    // What checks and uses the files of deploy/.
    ("nginx", "-v", "with_nginx"),
    ("haproxy", "-v", "with_haproxy"),
    ("caddy", "version", "with_caddy"),
    ("systemd-analyze", "--version", "with_systemd_analyze"),
    ("hadolint", "--version", "with_hadolint"),
    ("check-jsonschema", "--version", "with_check_jsonschema"),
    ("pg_dump", "--version", "with_pg_dump"),
    ("promtool", "--version", "with_promtool"),
];

/// The examples' tools need Node 20.19.
const NODE_IS_NEW_ENOUGH: &str = "const [major, minor] = process.versions.node.split('.').map(Number); \
     process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)";

/// Whether a program is there and ends well.
fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn main() {
    println!(
        "cargo::rustc-check-cfg=cfg(with_chromium, with_client, with_image_tools, with_mounts, with_node, with_postgres)"
    );
    println!("cargo::rerun-if-env-changed=CI");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=PARLOR_TEST_POSTGRES_URL");
    println!("cargo::rerun-if-env-changed=PARLOR_TEST_CHROMIUM");
    println!("cargo::rerun-if-env-changed=PARLOR_WITH_CLIENT");
    let in_ci = env::var_os("CI").is_some();
    for (tool, version, name) in TOOLS {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if in_ci || runs(tool, &[version]) {
            println!("cargo::rustc-cfg={name}");
        }
    }
    if in_ci || (runs("npm", &["--version"]) && runs("node", &["--eval", NODE_IS_NEW_ENOUGH])) {
        println!("cargo::rustc-cfg=with_node");
    }
    // A file system of one's own, for a disk that is full: not everywhere allowed, and CI is no exception.
    if runs("unshare", &["-rm", "true"]) {
        println!("cargo::rustc-cfg=with_mounts");
    }
    let chromium = env::var_os("PARLOR_TEST_CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
    if in_ci || Path::new(&chromium).exists() {
        println!("cargo::rustc-cfg=with_chromium");
    }
    if in_ci || env::var_os("PARLOR_TEST_POSTGRES_URL").is_some() {
        println!("cargo::rustc-cfg=with_postgres");
    }
    // Building an image needs root and Debian's packages; CI is no exception.
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if is_root && runs("buildah", &["--version"]) && runs("mmdebstrap", &["--version"]) {
        println!("cargo::rustc-cfg=with_image_tools");
    }
    name_source();
    let is_needed = env::var("PARLOR_WITH_CLIENT").is_ok_and(|value| value == "1");
    if is_needed || env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        // Also for new files of the web client, which a release build contains.
        println!("cargo::rerun-if-changed=web");
        match take_client() {
            Ok(version) => {
                println!("cargo::rustc-cfg=with_client");
                println!("cargo::rustc-env=PARLOR_CLIENT_VERSION={version}");
            }
            Err(error) if is_needed => {
                println!(
                    "cargo::error=PARLOR_WITH_CLIENT=1, and web/node_modules/socket.io-client cannot be used \
                     ({error}): run `npm ci` in web/"
                );
            }
            // Pages then use plain WebSockets.
            Err(_) => {}
        }
    }
}

/// Names the commit and the day of the source, for `parlor --version`. Both may be given, where there is no Git: the
/// commit in PARLOR_COMMIT, the day in SOURCE_DATE_EPOCH. Other builds ask Git only for a release: otherwise each commit
/// would build everything again.
fn name_source() {
    println!("cargo::rerun-if-env-changed=PARLOR_COMMIT");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let (of_git, at) = is_release.then(git_head).flatten().unwrap_or_default();
    let commit = env::var("PARLOR_COMMIT").ok().filter(|given| !given.is_empty()).unwrap_or(of_git);
    let commit: String = commit.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let at = env::var("SOURCE_DATE_EPOCH").ok().and_then(|given| given.parse().ok()).or(at);
    let day = at.map(day).unwrap_or_default();
    let known: Vec<&str> = [&*commit, &*day].into_iter().filter(|known| !known.is_empty()).collect();
    let source = match (known.is_empty(), is_release) {
        (false, _) => format!(" ({})", known.join(", ")),
        (true, true) => String::new(),
        (true, false) => " (debug build)".to_owned(),
    };
    println!("cargo::rustc-env=PARLOR_COMMIT={commit}");
    println!("cargo::rustc-env=PARLOR_DATE={day}");
    println!("cargo::rustc-env=PARLOR_SOURCE={source}");
}

/// The commit of this folder, and its time. `None` without Git, or if the folder is only inside somebody's repository.
fn git_head() -> Option<(String, Option<i64>)> {
    let git = |arguments: &[&str]| {
        // In a container, the folder often belongs to somebody else.
        let trusting = ["-c", "safe.directory=*"];
        let output = Command::new("git").args(trusting).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let top = fs::canonicalize(git(&["rev-parse", "--show-toplevel"])?).ok()?;
    if top != fs::canonicalize(".").ok()? {
        return None;
    }
    // Changes with each commit and each checkout.
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let found = git(&["show", "--no-patch", "--format=%H %ct", "HEAD"])?;
    let (commit, at) = found.split_once(' ')?;
    Some((commit.to_owned(), at.parse().ok()))
}

/// The day of a time in seconds since 1970, in UTC.
fn day(at: i64) -> String {
    let mut days = at.div_euclid(86_400);
    let mut year = 1970;
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let length = |year: i64| 365 + i64::from(is_leap(year));
    while days >= length(year) {
        days -= length(year);
        year += 1;
    }
    let february = 28 + i64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", days + 1)
}

/// Copies the scripts and the licence of the installed package to where the sources include them from.
fn take_client() -> io::Result<String> {
    let package = Path::new("web/node_modules/socket.io-client");
    let manifest = fs::read_to_string(package.join("package.json"))?;
    let version = version(&manifest).ok_or_else(|| io::Error::other("its package.json has no version"))?;
    let target = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("client");
    fs::create_dir_all(&target)?;
    for script in ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js"] {
        fs::copy(package.join("dist").join(script), target.join(script))?;
    }
    fs::copy(package.join("LICENSE"), target.join("LICENSE"))?;
    Ok(version)
}

/// The value of the field `version`. npm writes each field on a line of its own.
fn version(manifest: &str) -> Option<String> {
    let line = manifest.lines().find_map(|line| line.trim().strip_prefix("\"version\":"))?;
    let version = line.trim().trim_end_matches(',').trim_matches('"');
    let is_version = !version.is_empty()
        && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte));
    is_version.then(|| version.to_owned())
}
