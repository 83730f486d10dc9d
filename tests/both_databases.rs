//! The whole suite once more, on PostgreSQL. Its name has it begin early: it takes the longest.

use std::process::{Command, Stdio};

/// Set for the second run, in which this test itself has nothing to do.
const DATABASE: &str = "PARLOR_TEST_DATABASE";

#[test]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
fn everything_holds_on_postgresql_too() {
    if std::env::var_os(DATABASE).is_some() {
        return;
    }
    assert!(
        std::env::var_os("PARLOR_TEST_POSTGRES_URL").is_some(),
        "PARLOR_TEST_POSTGRES_URL names a PostgreSQL server to test on"
    );
    let this = std::env::current_exe().expect("a test knows where it is");
    let output = Command::new(this)
        .args([
            "--skip",
            "clients::",
            "--skip",
            "both_databases::",
            "--skip",
            "storage_faults::",
            "--skip",
            "deploy::",
            "--skip",
            "nodes::",
        ])
        .env(DATABASE, "postgres")
        .stdin(Stdio::null())
        .output()
        .expect("the suite can be run again");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{}", text.lines().last().unwrap_or_default());
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}
