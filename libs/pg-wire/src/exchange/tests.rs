//! Conversations in short: `>Q` is a message of the job, `<C` one of the database, `<!` an error with 08P01.
//!
//! Each request is known by its place among the job's messages, from 0.

use super::*;

/// What is said of each message: requests as they are taken, answers by the request they belong to.
fn play(conversation: &str) -> (String, Exchange<usize>) {
    let mut exchange = Exchange::default();
    let (mut said, mut asked) = (Vec::new(), 0);
    for message in conversation.split_whitespace() {
        let tag = message.as_bytes()[1];
        if message.starts_with('>') {
            // `>H!` has a body, which a Flush must not have.
            let first = (tag != b'H' || message.ends_with('!')).then_some(b'P');
            let taken = exchange.request(tag, first, || asked);
            asked += 1;
            match taken {
                Requested::Queued | Requested::Unanswered => {}
                other => said.push(format!("{tag}:{other:?}", tag = char::from(tag))),
            }
            continue;
        }
        let (tag, violation) = if tag == b'!' { (b'E', true) } else { (tag, false) };
        let places = |all: &[Waiting<usize>]| {
            all.iter().map(|waiting| waiting.request.to_string()).collect::<Vec<_>>().join("+")
        };
        said.push(match exchange.answer(tag, violation) {
            Answered::Goes => format!("{}..", exchange.front().map_or(99, |front| front.request)),
            Answered::Ends(ended) => format!("{}.", ended.request),
            Answered::Fails => format!("{}!", exchange.front().map_or(99, |front| front.request)),
            Answered::FailsAndSkips(all) => format!("{}!", places(&all)),
            Answered::FailsAlone => "!".to_owned(),
            Answered::Ready { ended, passed } if passed.is_empty() => format!("{}z", ended.request),
            Answered::Ready { ended, passed } => format!("{}z passing {}", ended.request, places(&passed)),
            Answered::ReadyAgain => "z".to_owned(),
            Answered::Aside => "-".to_owned(),
            Answered::Unasked => "?".to_owned(),
        });
    }
    (said.join(" "), exchange)
}

fn check(conversation: &str, expected: &str) {
    let (said, exchange) = play(conversation);
    assert_eq!(said, expected, "{conversation}");
    let saved = serde_json::to_string(&exchange).unwrap();
    let restored: Exchange<usize> = serde_json::from_str(&saved).unwrap();
    assert_eq!(format!("{restored:?}"), format!("{exchange:?}"), "{conversation}");
}

#[test]
fn answers_belong_to_requests_in_order() {
    check(">Q <T <D <C <C <Z", "0.. 0.. 0.. 0.. 0z");
    check(">P >B >D >E >S <1 <2 <T <D <C <Z", "0. 1. 2. 3.. 3. 4z");
    check(">Q >Q <C <Z <E <Z", "0.. 0z 1! 1z");
    check(">F <V <Z >Q <I <Z", "0.. 0z 1.. 1z");
    check(">E >E <s <I", "0. 1.");
    check("<N <A <S", "- - -");
}

#[test]
fn an_error_of_the_extended_protocol_skips_to_sync_and_simple_queries_too() {
    check(">P >Q >S <E <Z", "0+1! 2z");
    check(">P <E >B >Q >F >S <Z", "0! B:Skipped Q:Skipped F:Skipped 4z");
    check(">P >B >E >S >Q <1 <E <Z <C <Z", "0. 1+2! 3z 4.. 4z");
    // The commit at Sync.
    check(">E >S <C <E <Z", "0. 1! 1z");
    // Of a simple query: nothing is skipped.
    check(">Q >P >S <E <Z <1 <Z", "0! 0z 1. 2z");
}

#[test]
fn sync_and_flush_are_ignored_while_copy_takes_data() {
    check(">Q <G >d >S >H >c <C <Z", "0.. 0.. 0z");
    check(">E <G >S >d >c <C >S <Z", "0.. 0. 4z");
    check(">E <G >d >c <E >S >Q <Z <C <Z", "0.. 0! 3z 4.. 4z");
    check(">Q <G >d <E <Z >d >c >Q <C <Z", "0.. 0! 0z 4.. 4z");
}

#[test]
fn a_sync_behind_failed_copy_data_is_answered_or_was_ignored() {
    // Simple: the query's own, then one for each that was read after the error.
    check(">Q <G >d >S >S >c <E <Z <Z >Q <C <Z", "0.. 0! 0z z 5.. 5z");
    check(">Q <G >d >S >c <E <Z >S <Z", "0.. 0! 0z 4z");
    // Extended: it ends the skipping, or the next one does.
    check(">E <G >d >S >c <E <Z >Q <C <Z", "0.. 0! z 4.. 4z");
    check(">E <G >d >S >c <E >Q >S <Z", "0.. 0! Q:Skipped 5z");
    // No more than were passed.
    check(">E <G >d >S >c <E <Z <Z", "0.. 0! z ?");
}

#[test]
fn what_copy_does_not_know_is_its_error_or_runs_after_another_one() {
    check(">Q <G >d >Q <! <Z >Q <C <Z", "0.. 0! 0z 3.. 3z");
    check(">Q <G >d >Q <E <Z <C <Z", "0.. 0! 0z 2.. 2z");
    check(">E <G >P >S <! <Z", "0.. 0! 2z");
}

#[test]
fn what_stands_behind_a_sync_among_failed_data_is_carried_out_if_that_is_answered() {
    check(">E <G >d >S >P <E <Z <1 >S <Z", "0.. 0! z 3. 4z");
    check(">E <G >d >S >P <E >S <Z", "0.. 0! 4z");
    check(">E <G >d >S >S >Q <E <Z <Z <C <Z", "0.. 0! z z 4.. 4z");
    check(">E <G >d >S >S >Q <E <Z <C <Z", "0.. 0! z 4.. 4z");
    check(">Q <G >d >S >Q <E <Z <Z <C <Z", "0.. 0! 0z z 3.. 3z");
    check(">Q <G >d >S >Q <E <Z <C <Z", "0.. 0! 0z 3.. 3z");
    let (_, mut exchange) = play(">E <G >d >S >P <E >S <Z");
    assert_eq!(exchange.take_discarded().iter().map(|waiting| waiting.request).collect::<Vec<_>>(), [3]);
}

#[test]
fn a_malformed_flush_fails_and_skips_as_a_request_does() {
    check(">E >H! <C <E >Q >S <Z", "0. 1! Q:Skipped 3z");
    check(">E >H! >E >S <C <E <Z", "0. 1+2! 3z");
    check(">E >H <C >S <Z", "0. 2z");
}

#[test]
fn outside_of_copy_its_messages_are_ignored() {
    check(">d >c >f >Q <C <Z", "3.. 3z");
}

#[test]
fn what_nobody_asked_for_is_said_so() {
    check("<C <Z", "? ?");
    check(">Q <1 <C <Z <Z", "? 0.. 0z ?");
    check(">P >S <Z", "1z passing 0");
    check("<E", "!");
    check(">p >K", "p:Unknown K:Unknown");
}

#[test]
fn what_waits_is_bounded() {
    let mut exchange = Exchange::default();
    for _ in 0..MAX_WAITING {
        assert_eq!(exchange.request(b'P', None, || ()), Requested::Queued);
    }
    assert_eq!(exchange.request(b'P', None, || ()), Requested::Full);
    assert_eq!(exchange.abandon().len(), MAX_WAITING);
    assert!(exchange.is_idle());
}
