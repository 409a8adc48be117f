//! Parameters: the server reads what is passed on of a job's start-up packet as it would have read the packet itself; and
//! the settings that a server tells are read within their messages.
#![no_main]

use hansard_ingest_proxy::fuzzing::{messages, start_up};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 8] =
    ["options", "replication", "options", "Search_Path", "application_name", "a.b", "role", "client_encoding"];

fuzz_target!(|input: (bool, Vec<(u8, Option<&str>, &str)>, &[u8])| {
    let (replication, parameters, status) = input;
    // A packet's names and values end with a zero byte.
    let text = |text: &str| text.replace('\0', " ");
    let parameters: Vec<(String, String)> = parameters
        .iter()
        .take(16)
        .map(|(known, name, value)| (text(name.unwrap_or(NAMES[usize::from(known % 8)])), text(value)))
        .filter(|(name, _)| !name.is_empty() && !name.starts_with("_pq_.") && name != "user" && name != "database")
        .collect();
    start_up(&parameters, replication);
    let length = u32::try_from(status.len() + 4).unwrap().to_be_bytes();
    messages(&[b"S", &length[..], status].concat());
});
