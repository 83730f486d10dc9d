//! Pages in a real browser against the real program: runs the suite in `tests/browser`, which uses the
//! harness of the stock client's.

use crate::harness::run_suite;

#[test]
#[cfg_attr(not(all(with_node, with_chromium)), ignore = "needs Node, npm, and Chromium in /usr/bin/chromium")]
fn pages_chat_through_parlor_in_chromium() {
    run_suite(&["socket-io-client", "browser"], &[]);
}
