//! The contract as the tools of front ends and architects read it: runs the suite in `tests/contract`. That what the
//! server sends is in the contract is checked by the suite of the stock client.

use crate::harness::run_suite;

#[test]
#[cfg_attr(not(with_node), ignore = "Node and npm are not installed")]
fn parsers_linters_and_the_typescript_compiler_accept_the_contract() {
    run_suite(&["contract"], &[]);
}
