//! Tells the tests what this machine has, so that what cannot run shows as ignored, with the
//! reason, and never as passed. In CI everything has to be there: a missing service fails there.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(with_chromium, with_mounts, with_node, with_postgres)");
    println!("cargo::rerun-if-env-changed=CI");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=PARLOR_TEST_POSTGRES_URL");
    println!("cargo::rerun-if-env-changed=PARLOR_TEST_CHROMIUM");
    let in_ci = env::var_os("CI").is_some();
    if in_ci || Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("cargo::rustc-cfg=with_node");
    }
    // A file system of one's own, for a disk that is full: not everywhere allowed, and CI is no exception.
    if Command::new("unshare").args(["-rm", "true"]).output().is_ok_and(|output| output.status.success()) {
        println!("cargo::rustc-cfg=with_mounts");
    }
    let chromium = env::var_os("PARLOR_TEST_CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
    if in_ci || Path::new(&chromium).exists() {
        println!("cargo::rustc-cfg=with_chromium");
    }
    if in_ci || env::var_os("PARLOR_TEST_POSTGRES_URL").is_some() {
        println!("cargo::rustc-cfg=with_postgres");
    }
}
