//! Tells the tests what this machine has, so that what cannot run shows as ignored, with the
//! reason, and never as passed. In CI everything has to be there: a missing service fails there.
//! Puts the browser client of Socket.IO into release builds, where npm has installed it in `web/`.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Each program, how it is asked for its version, and what its presence is called.
const TOOLS: [(&str, &str, &str); 9] = [
    ("npm", "--version", "with_node"),
    ("pgbouncer", "--version", "with_pgbouncer"),
    // What checks and uses the files of deploy/.
    ("nginx", "-v", "with_nginx"),
    ("haproxy", "-v", "with_haproxy"),
    ("caddy", "version", "with_caddy"),
    ("systemd-analyze", "--version", "with_systemd_analyze"),
    ("hadolint", "--version", "with_hadolint"),
    ("check-jsonschema", "--version", "with_check_jsonschema"),
    ("pg_dump", "--version", "with_pg_dump"),
];

/// Whether a program is there and ends well.
fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn main() {
    println!(
        "cargo::rustc-check-cfg=cfg(with_chromium, with_client, with_image_tools, with_mounts, with_postgres)"
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
