//! Real clients against the real program: the stock client from npm, and pages in a browser. They take the longest of
//! all tests, so their name has them begin early: tests run in the order of their names.

mod browser;
mod contract;
mod stock_client;
