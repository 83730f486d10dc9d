//! The stock `socket.io-client` from npm against the real program: runs the suite in
//! `tests/socket-io-client`, on SQLite and, where there is one, on PostgreSQL.

use crate::harness::run_suite;

#[test]
#[cfg_attr(not(with_node), ignore = "Node and npm are not installed")]
fn the_stock_client_chats_through_parlor_on_sqlite() {
    run_suite(&["socket-io-client"], &[]);
}

#[test]
#[cfg_attr(not(all(with_node, with_postgres)), ignore = "needs Node, and PARLOR_TEST_POSTGRES_URL")]
fn the_stock_client_chats_through_parlor_on_postgresql() {
    let url = std::env::var("PARLOR_TEST_POSTGRES_URL").expect("PARLOR_TEST_POSTGRES_URL is set");
    run_suite(&["socket-io-client"], &[("PARLOR_TEST_POSTGRES_URL", &url)]);
}
