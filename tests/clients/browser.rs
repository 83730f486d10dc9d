//! Pages in a real browser against the real program: runs the suite in `tests/browser`, which uses the
//! harness of the stock client's.

use crate::harness::run_suite;

#[test]
#[cfg_attr(
    not(all(with_node, with_chromium)),
    ignore = "needs Node 20.19, npm, and Chromium in /usr/bin/chromium"
)]
fn pages_chat_through_parlor_in_chromium() {
    let examples = ["react-chat", "angular-chat"].map(|name| format!("../examples/{name}"));
    // One test is of two nodes, which have no SQLite.
    let postgres = std::env::var("PARLOR_TEST_POSTGRES_URL").unwrap_or_default();
    let env = [("PARLOR_TEST_NODES_URL", &*postgres)];
    run_suite(&["socket-io-client", &examples[0], &examples[1], "browser"], &env);
}
