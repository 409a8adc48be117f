//! Start-up parameters: whatever a job asks for, the server reads what is passed on as it would have read the job's words.

use super::{Settings, is_allowed};

/// Parameters as in a start-up packet, `options` among them.
pub fn start_up(parameters: &[(String, String)], replication: bool) {
    let Ok(settings) = Settings::read(parameters, replication) else { return };
    let forwarded: Vec<(String, String)> =
        settings.forwarded().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut expected = as_the_server(parameters);
    if let Some(mode) = forwarded.first().filter(|(name, _)| name == "replication") {
        assert!(replication, "{mode:?} although replication is not permitted");
        assert!(parameters.contains(mode));
        expected.insert(0, mode.clone());
    }
    assert_eq!(forwarded, expected, "the server's settings, were the packet passed on as it is");
    for (name, value) in forwarded.iter().filter(|(name, _)| name != "replication") {
        assert!(is_allowed(name) && !name.starts_with("_pq_."), "{name} is passed on");
        let given = |(known, given): &(String, String)| known.eq_ignore_ascii_case(name) && given == value;
        assert!(forwarded.iter().any(given));
        let last = forwarded.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(settings.get(name), last);
    }
    // What is passed on is a packet of its own, in which the server finds neither `options` nor protocol options.
    let again = Settings::read(&forwarded, true)
        .map(|again| again.forwarded().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>());
    assert_eq!(again.ok(), Some(forwarded));
}

/// The settings of a packet in the order in which the server applies them: its `ProcessStartupPacket`, `pg_split_opts` and
/// `process_postgres_switches`, byte by byte as they are written there.
fn as_the_server(parameters: &[(String, String)]) -> Vec<(String, String)> {
    let (mut plain, mut options) = (Vec::new(), None);
    for (name, value) in parameters {
        match name.as_str() {
            "replication" => {}
            "options" => options = Some(value.as_bytes()),
            _ => plain.push((name.to_ascii_lowercase(), value.clone())),
        }
    }
    let mut words: Vec<Vec<u8>> = Vec::new();
    let (options, mut at) = (options.unwrap_or_default(), 0);
    let is_space = |byte: u8| (9..=13).contains(&byte) || byte == b' ';
    while at < options.len() {
        while at < options.len() && is_space(options[at]) {
            at += 1;
        }
        if at == options.len() {
            break;
        }
        let (mut word, mut escaped) = (Vec::new(), false);
        while at < options.len() {
            if is_space(options[at]) && !escaped {
                break;
            }
            if !escaped && options[at] == b'\\' {
                escaped = true;
            } else {
                escaped = false;
                word.push(options[at]);
            }
            at += 1;
        }
        words.push(word);
    }
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let setting = match &word[..] {
            b"-c" => words.next().unwrap_or_default(),
            [b'-', b'c' | b'-', setting @ ..] => setting.to_vec(),
            // All others were refused.
            _ => continue,
        };
        let end = setting.iter().position(|&byte| byte == b'=').expect("a setting without a value was refused");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("words end where characters do");
        let name = text(&setting[..end]).replace('-', "_").to_ascii_lowercase();
        settings.push((name, text(&setting[end + 1..])));
    }
    settings.append(&mut plain);
    // Those are for Hansard, not for the server.
    settings.retain(|(name, _)| !name.starts_with("hansard."));
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_server_reads_what_was_asked_for(
            parameters in proptest::collection::vec(
                ("options|replication|Hansard.purpose|hansard.job|Search_Path|work_mem|a.b|_pq_.x|_PQ_.x|role", r"(-c|--|-| |\\|=|_pq_|\.|jit|role|hansard.purpose|hansard.|a-B|x|\x0b|[ -~é]){0,9}"),
                0..4,
            ),
            replication: bool,
        ) {
            start_up(&parameters, replication);
        }
    }
}
