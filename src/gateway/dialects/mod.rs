//! Wire forms of existing front ends. Each front end has one folder, with its HTTP routes and its events.

pub mod angular;
pub mod encrypted;
pub mod lobby;
pub mod rooms_app;
