//! What the end-to-end tests share.
//!
//! The tests run the `llmtap` binary and look at what comes out. This library makes what goes in:
//! [`pcap`] builds captures packet by packet with exact times, [`model_server`] is a server that
//! streams as uvicorn does and knows what it sent, [`clients`] is a trickle of traffic for the
//! demonstration. [`process`] runs the binary, [`row`] reads its rows, [`http`] fetches from its
//! API, [`metrics`] reads a scrape, [`traffic`] makes much traffic and damages its capture, and [`tools`] finds the programs that `cargo xtask test` put in place.
#![forbid(unsafe_code)]

pub mod clients;
pub mod http;
pub mod metrics;
pub mod model_server;
pub mod pcap;
pub mod process;
pub mod row;
pub mod tools;
pub mod traffic;
