//! What the end-to-end tests share.
//!
//! The tests run the `llmtap` binary and look at what comes out. This library makes what goes in:
//! [`pcap`] builds captures packet by packet with exact times, [`model_server`] is a server that
//! streams as uvicorn does and knows what it sent, [`clients`] is a trickle of traffic for the
//! demonstration; [`openai`] is the real client, [`traefik`] the real proxy, [`namespace`] a network
//! of the test's own, [`relay`] makes one call pass on several connections, [`traffic`] makes much traffic
//! and damages its capture, [`simulator`] does so with every kind of damage and judges what is read, and
//! [`canary`] plants secrets.
//! [`process`] runs the binary, [`pty`] on a terminal, [`tap`] as a live one, [`recording`] records what it taps; [`row`] reads
//! its rows, [`markdown`] the documents, [`judge`] compares them, [`tshark`] reads captures beside it, [`http`] fetches from its API,
//! its rows, [`judge`] compares them, [`tshark`] reads captures beside it, [`http`] fetches from its API,
//! [`certificate`] has it served by TLS,
//! [`browser`] drives a real browser, [`metrics`] reads a scrape, [`prometheus`] scrapes and is asked, and [`tools`] finds the programs that `cargo xtask test` put in place.
//! [`fuzz`] feeds the library what nobody would send, and [`attacks`] the binary what would fill its memory.
#![forbid(unsafe_code)]

pub mod attacks;
pub mod browser;
pub mod canary;
pub mod certificate;
pub mod clients;
pub mod fuzz;
pub mod http;
pub mod judge;
pub mod markdown;
pub mod metrics;
pub mod model_server;
pub mod namespace;
pub mod openai;
pub mod otlp;
pub mod pcap;
pub mod process;
pub mod prometheus;
pub mod pty;
pub mod recording;
pub mod relay;
pub mod row;
pub mod simulator;
pub mod tap;
pub mod tools;
pub mod traefik;
pub mod traffic;
pub mod tshark;
