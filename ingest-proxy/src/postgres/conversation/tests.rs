//! Conversations in short. What a side sends is `>` (the job) or `<` (the database) and messages by their tags; what is
//! expected is what reaches the other side: `>Q` and `<Z` passed, `+H` inserted by Hansard, `-S` and `~3` dropped, `<Z*`
//! an answer or a message in another's place, `!` the end.

use super::*;

/// A message of the job: a letter, or a name for one with a body of its own.
fn request(word: &str) -> Vec<u8> {
    let (tag, body): (u8, Vec<u8>) = match word {
        "copy" => (b'Q', b"COPY t FROM STDIN\0".to_vec()),
        "out" => (b'Q', b"copy t from stdout\0".to_vec()),
        "Q" => (b'Q', b"UPDATE t SET copy = 1\0".to_vec()),
        "Pcopy" => (b'P', b"\0Copy t From StdIn\0\0\0".to_vec()),
        "Pn" => (b'P', b"n\0COPY t FROM STDIN\0\0\0".to_vec()),
        "Plong" => (b'P', [b"n\0/*", &vec![b'x'; 70_000][..], b"*/COPY t FROM STDIN\0\0\0"].concat()),
        "Qlong" => (b'Q', [b"/*", &vec![b'x'; 70_000][..], b"*/COPY t FROM STDIN\0"].concat()),
        "Qlonger" => (b'Q', [b"/*", &vec![b'x'; 70_000][..], b"*/UPDATE t SET copy = 1\0"].concat()),
        "P" => (b'P', b"\0SELECT 1\0\0\0".to_vec()),
        "B" => (b'B', b"\0\0\0\0\0\0\0\0".to_vec()),
        "Bn" => (b'B', b"c\0n\0\0\0\0\0\0\0".to_vec()),
        "Bm" => (b'B', b"c\0m\0\0\0\0\0\0\0".to_vec()),
        "Blong" => (b'B', [&vec![b'p'; 70_000][..], b"\0n\0\0\0\0\0\0\0"].concat()),
        "E" => (b'E', b"\0\0\0\0\0".to_vec()),
        "Ec" => (b'E', b"c\0\0\0\0\0".to_vec()),
        "Ep" => (b'E', [&vec![b'p'; 63][..], b"other\0\0\0\0\0"].concat()),
        "d" => (b'd', b"1\n".to_vec()),
        "dlong" => (b'd', vec![b'1'; 70_000]),
        "0" => return b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec(),
        "bad" => return b"Q\0\0\0\0".to_vec(),
        letter => (letter.as_bytes()[0], Vec::new()),
    };
    message(tag, &body)
}

fn answer(word: &str) -> Vec<u8> {
    match word {
        "Z" => message(b'Z', b"I"),
        "Zt" => message(b'Z', b"T"),
        "Ze" => message(b'Z', b"E"),
        "E" => message(b'E', b"SERROR\0C22P02\0\0"),
        "!" => message(b'E', b"SERROR\0C08P01\0RCopyGetData\0\0"),
        "Elong" => message(b'E', &[b"SERROR\0C22P02\0M", &vec![b'x'; 50_000][..], b"\0\0"].concat()),
        letter => message(letter.as_bytes()[0], b""),
    }
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend(body);
    out
}

/// Plays what the relay would do with one session.
struct Stage {
    conversation: PostgresConversation,
    waiting: [Vec<u8>; 2],
    held: bool,
    ended: bool,
    /// What left, one letter each; parts of a message once.
    seen: Vec<String>,
}

impl Stage {
    fn new() -> Stage {
        let conversation = PostgresConversation::new("marker".to_owned(), false, None);
        Stage { conversation, waiting: [Vec::new(), Vec::new()], held: false, ended: false, seen: Vec::new() }
    }

    fn hear(&mut self, direction: Direction, bytes: &[u8]) {
        let side = usize::from(direction == Direction::Backend);
        for chunk in bytes.chunks(BUFFER / 2) {
            self.waiting[side].extend(chunk);
            self.take(direction);
            if direction == Direction::Backend && (self.held || self.conversation.has_message()) {
                self.take(Direction::Frontend);
            }
        }
    }

    fn take(&mut self, direction: Direction) {
        let side = usize::from(direction == Direction::Backend);
        let (way, dropped) = if side == 0 { ('>', '-') } else { ('<', '~') };
        while !self.ended {
            let window = self.waiting[side].len().min(BUFFER);
            let step = self.conversation.next(direction, &self.waiting[side][..window], false);
            if direction == Direction::Frontend {
                self.held = step == Step::Hold;
            }
            let (piece, sign) = match &step {
                Step::Wait | Step::Hold => return,
                Step::Announce(_) => unreachable!("nobody is to be told"),
                Step::End(refusal) => {
                    self.seen.push(format!("!{}", refusal.message.split(' ').next_back().unwrap()));
                    self.ended = true;
                    return;
                }
                Step::Insert(message) => {
                    self.seen.extend(frames(message).map(|frame| format!("+{}", char::from(frame.tag))));
                    continue;
                }
                Step::Pass(piece) => (*piece, way),
                Step::Drop(piece) | Step::Answer(piece, _) | Step::Replace(piece, _) => (*piece, dropped),
            };
            let bytes: Vec<u8> = self.waiting[side].drain(..piece.len).collect();
            match piece.record {
                Record::Whole(count) => {
                    let tags: Vec<u8> = frames(&bytes).map(|frame| frame.tag).collect();
                    assert_eq!(tags.len(), usize::try_from(count).unwrap());
                    self.seen.extend(tags.iter().map(|tag| format!("{sign}{}", char::from(*tag))));
                }
                Record::Part { tag, part: Part::First } => self.seen.push(format!("{sign}{}", char::from(tag))),
                Record::Part { .. } => {}
                Record::Nothing if bytes.is_empty() => {}
                Record::Nothing => self.seen.push(format!("~{}", char::from(bytes[0]))),
            }
            if let Step::Answer(_, message) | Step::Replace(_, message) = step {
                let status: String = message[HEADER..].iter().copied().map(char::from).collect();
                self.seen.push(format!("<{}{status}*", char::from(message[0])));
            }
        }
    }
}

/// What leaves, when each group is sent in pieces of `cut` bytes.
fn play(conversation: &str, cut: usize) -> Stage {
    let mut stage = Stage::new();
    for group in conversation.split(';') {
        let group = group.trim();
        let (direction, words) = match group.strip_prefix('>') {
            Some(words) => (Direction::Frontend, words),
            None => (Direction::Backend, group.strip_prefix('<').expect("a direction")),
        };
        let message = |word| if direction == Direction::Frontend { request(word) } else { answer(word) };
        let bytes: Vec<u8> = words.split_whitespace().flat_map(message).collect();
        for piece in bytes.chunks(cut) {
            stage.hear(direction, piece);
        }
    }
    stage
}

/// The same for every size of pieces; long conversations are not cut that small.
fn check(conversation: &str, expected: &str) -> Stage {
    let whole = play(conversation, usize::MAX);
    assert_eq!(whole.seen.join(" "), expected, "{conversation}");
    let cuts: &[usize] = if conversation.contains("long") { &[997, 16_000] } else { &[1, 2, 3, 5, 7, 11, 13] };
    // Which direction goes on first depends on the pieces; what goes on does not.
    let sides = |seen: &str| {
        let (job, database): (Vec<_>, Vec<_>) =
            seen.split(' ').map(str::to_owned).partition(|word| word.starts_with(['>', '+', '-']));
        (job, database)
    };
    for &cut in cuts {
        let seen = play(conversation, cut).seen.join(" ");
        assert_eq!(sides(&seen), sides(expected), "{conversation} in pieces of {cut}");
    }
    whole
}

#[test]
fn plain_traffic_passes_as_it_is() {
    check(">P B E S; <1 2 C Z; >Q Q; <C Z C Z", ">P >B >E >S <1 <2 <C <Z >Q >Q <C <Z <C <Z");
    check(">Qlonger Q; <C Z C Z", ">Q >Q <C <Z <C <Z");
    check("<N A S", "<N <A <S");
    let mut conversation = PostgresConversation::new(String::new(), false, None);
    let bytes: Vec<u8> = ["P", "B", "E", "S", "Q"].iter().flat_map(|word| request(word)).collect();
    let all = Piece { len: bytes.len(), record: Record::Whole(5) };
    assert_eq!(conversation.next(Direction::Frontend, &bytes, false), Step::Pass(all), "one piece for one read");
}

#[test]
fn what_follows_a_copy_waits_for_its_answer() {
    // Simple: up to ReadyForQuery, or to the data's beginning and then behind its end.
    check(">copy Q; <C Z; <C Z", ">Q <C <Z >Q <C <Z");
    check(">copy d S c Q; <G; <C; <Z; <C Z", ">Q <G >d >S >c <C <Z >Q <C <Z");
    check(">out Q; <G; >d c; <C Z", ">Q <G >Q <C <Z");
    check(">Qlong Q; <E Z", ">Q <E <Z >Q");
    // Another COPY in the same query.
    check(">copy d c d c Q; <G; <C G; <C Z", ">Q <G >d >c <C <G >d >c <C <Z >Q");
    // Extended: a Flush brings the answer.
    check(">Pcopy B E S Q; <1 2 C; <Z", ">P >B >E +H <1 <2 <C >S >Q <Z");
    check(">Pcopy B E d c S; <1 2 G; <C; <Z", ">P >B >E +H <1 <2 <G >d >c +H <C >S <Z");
    check(">Pcopy B E S; <1 E; <Z", ">P >B >E +H <1 <E >S <Z");
    check(">Plong S Bn Ec S; <1 Z 2 C; <Z", ">P >S >B >E +H <1 <Z <2 <C >S <Z");
    // The server skips it: nothing waits.
    check(">P; <E; >Pcopy B E copy S; <Z", ">P <E >P >B >E >Q >S <Z");
}

#[test]
fn copies_are_known_by_the_names_they_are_bound_to() {
    check(">Pn Bm Ec S", ">P >B >E >S");
    check(">Pn Bn Ec S", ">P >B >E +H");
    check(">Pn Bn E S", ">P >B >E >S");
    check(">Pn Blong Ep S", ">P >B >E +H");
    // The one without a name is another one once the server has said so.
    check(">Pcopy P B E S", ">P >P >B >E >S");
    check(">Pcopy S P S B E S", ">P >S >P >S >B >E +H");
    check(">Pcopy S; <1 Z; >P B E S; <1 2 C; <Z; >B E S", ">P >S <1 <Z >P >B >E >S <1 <2 <C <Z >B >E >S");
    check(">Pcopy S; <1 Z; >P S; <1 Z; >B E S", ">P >S <1 <Z >P >S <1 <Z >B >E >S");
    // Too many to be told apart, and names that the server may convert: all count.
    let mut copies = Copies::default();
    copies.parse(b"a\xe9", true);
    assert_eq!(copies.bind(b"", Some(b"other")), Effect::Portal(true));
    let mut copies = Copies::default();
    for number in 0..100 {
        copies.parse(format!("s{number}").as_bytes(), true);
    }
    copies.bind(b"p", Some(b"other"));
    assert!(copies.execute(b"p"));
}

#[test]
fn words_are_found_across_pieces_and_in_any_case() {
    let text = b"/* copy */ ... t FROM\tsTDin, copie";
    for cut in 1..text.len() {
        let mut search = Search::default();
        text.chunks(cut).for_each(|piece| search.piece(piece));
        assert!(search.found(), "in pieces of {cut}");
    }
    assert!(Search::whole(b"COPY t FROM STDOUT"));
    assert!(!Search::whole(b"cop y stdin") && !Search::whole(b"copy") && !Search::whole(b"stdin stdout"));
}

#[test]
fn syncs_in_failed_data_are_told_apart_in_the_simple_protocol() {
    // Both read before the failure; one behind it; both.
    check(">copy d S S c Q; <G; <E Z; <3; <C Z", ">Q <G >d >S >S >c <E <Z +C +H ~3 >Q <C <Z");
    check(">copy d S S c Q; <G; <E Z Z 3", ">Q <G >d >S >S >c <E <Z <Z ~3 +C +H >Q");
    check(">copy d S S c Q; <G; <Elong; <Z Z Z; <3", ">Q <G >d >S >S >c <E +C +H <Z <Z <Z ~3 >Q");
    // No Sync, no marker.
    check(">copy d c Q; <G; <E; <Z", ">Q <G >d >c <E <Z >Q");
}

#[test]
fn syncs_in_failed_data_are_told_apart_in_the_extended_protocol() {
    let begin = ">Pcopy B E d S c S P B E S";
    let passed = ">P >B >E +H <1 <2 <G >d >S >c +H <E +S +C +H";
    // The Sync was read before the failure: the server skips up to ours, and so do we up to the job's next.
    check(&format!("{begin}; <1 2 G; <E; <Z 3"), &format!("{passed} ~Z ~3 -S <ZI* >P >B >E >S"));
    check(&format!("{begin}; <1 2 G; <E; <Ze 3"), &format!("{passed} ~Z ~3 -S <ZE* >P >B >E >S"));
    // It was read behind it: the first answer is the job's, the second ours.
    check(&format!("{begin}; <1 2 G; <E; <Z Z 3; <Z"), &format!("{passed} ~Z ~Z <ZI* ~3 >S >P >B >E >S <Z"));
    // What is dropped is everything but the end.
    check(
        ">Pcopy B E d S c P B E H C S Q; <1 2 G; <E; <Z 3",
        ">P >B >E +H <1 <2 <G >d >S >c +H <E +S +C +H ~Z ~3 -P -B -E -H -C -S <ZI* >Q",
    );
    check(">Pcopy B E d S c Plong X; <1 2 G; <E; <Z 3", ">P >B >E +H <1 <2 <G >d >S >c +H <E +S +C +H ~Z ~3 -P >X");
    check(">Pcopy B E d c S; <1 2 G; <E; <Z", ">P >B >E +H <1 <2 <G >d >c +H <E >S <Z");
}

#[test]
fn what_stands_behind_a_sync_in_failed_data_runs_or_is_skipped() {
    let passed = ">P >B >E +H <1 <2 <G >d >S >P +H <E +S +C +H";
    // The Sync was answered, and the Parse behind it.
    check(">Pcopy B E d S P B; <1 2 G; <E; <Z 1 Z 3", &format!("{passed} ~Z <ZI* <1 ~Z ~3 >B"));
    // It was ignored: the server skips the Parse, and stops at our Sync.
    check(">Pcopy B E d S P B S; <1 2 G; <E; <Z 3", &format!("{passed} ~Z ~3 -B -S <ZI*"));
    // The Parse failed: the server would skip again.
    check(">Pcopy B E d S P B S; <1 2 G; <E; <Z E Z 3", &format!("{passed} ~Z <ZI* <E ~Z ~3 -B -S <ZI*"));
    // In the simple protocol a Parse may fail, too, and hide a marker without a Sync.
    check(">copy d S P B; <G; <E; <Z Z 1 Z 3", ">Q <G >d >S >P <E +S +C +H ~Z ~Z <ZI* <ZI* <1 ~Z ~3 >B");
}

#[test]
fn a_close_behind_a_sync_in_failed_data_is_told_apart_from_the_marker() {
    let passed = ">P >B >E +H <1 <2 <G >d >S >C +H <E +S +C +C +H";
    // The Sync was answered, and the job's Close behind it.
    check(">Pcopy B E d S C B; <1 2 G; <E; <Z 3 Z 3 3; <2", &format!("{passed} ~Z ~3 <ZI* <3* ~Z ~3 ~3 >B <2"));
    // The Sync was ignored, and the Close skipped or an error of the COPY: only the marker is answered.
    for error in ["E", "!"] {
        let begin = format!(">Pcopy B E d S C B S; <1 2 G; <{error}");
        check(&format!("{begin}; <Z 3 3"), &format!("{passed} ~Z ~3 ~3 -B -S <ZI*"));
    }
    // The Close was malformed: the server skips again.
    check(">Pcopy B E d S C B S; <1 2 G; <E; <Z E Z 3 3", &format!("{passed} ~Z <ZI* <E ~Z ~3 ~3 -B -S <ZI*"));
    // Notices may stand anywhere.
    check(">Pcopy B E d S C B; <1 2 G; <E; <Z N 3 N Z 3 N 3", &format!("{passed} ~Z <N ~3 <N <ZI* <3* ~Z ~3 <N ~3 >B"));
    // In the simple protocol nothing is skipped.
    let passed = ">Q <G >d >S >C <E +S +C +C +H";
    check(">copy d S C B; <G; <E; <Z Z 3 Z 3 3", &format!("{passed} ~Z ~Z <ZI* ~3 <ZI* <3* ~Z ~3 ~3 >B"));
    check(">copy d S C B; <G; <E; <Z 3 Z 3 3", &format!("{passed} ~Z ~3 <ZI* <3* ~Z ~3 ~3 >B"));
    check(">copy d S C B; <G; <!; <Z Z 3 3", &format!("{passed} ~Z ~Z <ZI* ~3 ~3 >B"));
}

#[test]
fn the_end_of_the_jobs_side_waits_for_a_marker() {
    let mut stage = Stage::new();
    let mut hear = |direction, words: &str| {
        let message = |word| if direction == Direction::Frontend { request(word) } else { answer(word) };
        let bytes: Vec<u8> = words.split_whitespace().flat_map(message).collect();
        stage.hear(direction, &bytes);
        stage.conversation.next(Direction::Frontend, b"", true)
    };
    // The data's end is passed, and what becomes of it is not known; then the marker is out.
    assert_eq!(hear(Direction::Frontend, "copy"), Step::Hold);
    assert_eq!(hear(Direction::Backend, "G"), Step::Wait);
    let mut stage = play(">copy d S c; <G; <E", usize::MAX);
    assert_eq!(stage.seen.join(" "), ">Q <G >d >S >c <E +C +H");
    assert_eq!(stage.conversation.next(Direction::Frontend, b"", true), Step::Hold);
    stage.hear(Direction::Backend, &[answer("Z"), answer("3")].concat());
    assert_eq!(stage.conversation.next(Direction::Frontend, b"", true), Step::Wait);
    assert_eq!(stage.seen.join(" "), ">Q <G >d >S >c <E +C +H <Z ~3");
}

#[test]
fn behind_the_end_of_the_jobs_side_there_is_no_marker() {
    // While data is taken the end is passed: the server waits for it.
    for (begin, answers, expected) in [
        (">Pcopy B E d S; <1 2 G", "E Z", ">P >B >E +H <1 <2 <G >d >S <E <Z"),
        (">copy d S; <G", "E Z Z", ">Q <G >d >S <E <Z <Z"),
    ] {
        let mut stage = play(begin, usize::MAX);
        assert_eq!(stage.conversation.next(Direction::Frontend, b"", true), Step::Wait, "{begin}");
        stage.hear(Direction::Backend, &answers.split(' ').flat_map(answer).collect::<Vec<_>>());
        assert_eq!(stage.seen.join(" "), expected);
    }
    // It ended within a message behind which a marker was to go: what was kept was the job's.
    let mut stage = play(">Pcopy B E d S; <1 2 G", usize::MAX);
    stage.hear(Direction::Frontend, &request("dlong")[..60_000]);
    stage.hear(Direction::Backend, &[answer("E"), answer("Z")].concat());
    assert_eq!(stage.conversation.next(Direction::Frontend, b"", true), Step::Wait);
    assert_eq!(stage.seen.join(" "), ">P >B >E +H <1 <2 <G >d >S >d <E ~Z");
    let piece = Piece { len: 0, record: Record::Nothing };
    assert_eq!(stage.conversation.next(Direction::Backend, b"", true), Step::Replace(piece, ready(b'I')));
    assert_eq!(stage.conversation.next(Direction::Backend, b"", true), Step::Wait);
}

#[test]
fn a_marker_is_asked_for_by_a_name_of_its_own() {
    let conversation = PostgresConversation::new("hansard:1".to_owned(), false, None);
    assert_eq!(conversation.marker_message(false, false), [&message(b'C', b"Shansard:1\0")[..], FLUSH].concat());
    assert_eq!(conversation.marker_message(true, false), [SYNC, &message(b'C', b"Shansard:1\0"), FLUSH].concat());
    let close = message(b'C', b"Shansard:1\0");
    assert_eq!(conversation.marker_message(true, true), [SYNC, &close, &close, FLUSH].concat());
    // A walsender does not know the message.
    let mut stage = Stage::new();
    stage.conversation = PostgresConversation::new(String::new(), true, None);
    for (direction, bytes) in [
        (Direction::Frontend, [request("copy"), request("d")].concat()),
        (Direction::Backend, answer("G")),
        (Direction::Frontend, [request("S"), request("c")].concat()),
        (Direction::Backend, [answer("E"), answer("Z")].concat()),
    ] {
        stage.hear(direction, &bytes);
    }
    assert_eq!(stage.seen.join(" "), ">Q <G >d >S >c <E <Z");
}

#[test]
fn nothing_is_inserted_into_the_middle_of_a_long_message() {
    let mut stage = Stage::new();
    let (begin, rest) = (request("dlong")[..60_000].to_vec(), request("dlong")[60_000..].to_vec());
    stage.hear(Direction::Frontend, &request("copy"));
    stage.hear(Direction::Backend, &answer("G"));
    stage.hear(Direction::Frontend, &[request("d"), request("S"), begin].concat());
    stage.hear(Direction::Backend, &answer("E"));
    assert_eq!(stage.seen.join(" "), ">Q <G >d >S >d <E", "the data's own bytes come first");
    stage.hear(Direction::Frontend, &rest);
    stage.hear(Direction::Backend, &[answer("Z"), answer("3")].concat());
    assert_eq!(stage.seen.join(" "), ">Q <G >d >S >d <E +C +H <Z ~3");
}

#[test]
fn what_copy_does_not_know_is_passed_alone() {
    check(">copy d Q Q; <G; <!; <Z", ">Q <G >d >Q <! <Z >Q".replace("<!", "<E").as_str());
    check(">copy d X Q; <G; <!; <Z", ">Q <G >d >X <E <Z >Q");
}

#[test]
fn replication_streams_both_ways() {
    check(">copy; <W; >d S Q", ">Q <W >d >S >Q");
}

#[test]
fn unknown_messages_end_the_session_once_what_was_asked_is_answered() {
    check(">p", "!112");
    check(">K", "!75");
    check(">0", "!0");
    check(">Q p; <C; <Z", ">Q +H <C <Z !112");
    check(">Q bad; <C Z", ">Q +H <C <Z !0");
    check(">P B E p; <1 2 C", ">P >B >E +H <1 <2 <C !112");
    check(">copy p; <G", ">Q <G !112");
    // What the server skips is not answered.
    check(">P B E 0; <E", ">P >B >E +H <E !0");
}

#[test]
fn requests_without_an_answer_are_bounded() {
    let mut stage = Stage::new();
    let requests = request("B").repeat(MAX_WAITING + 2);
    stage.hear(Direction::Frontend, &requests);
    assert_eq!(stage.seen.len(), MAX_WAITING + 1);
    assert_eq!(stage.seen.last().unwrap(), "+H");
    assert_eq!(stage.waiting[0].len(), 2 * request("B").len(), "the rest waits");
    // Not for each answer, but for half of them.
    stage.hear(Direction::Backend, &answer("2").repeat(MAX_WAITING / 2 - 1));
    assert_eq!(stage.waiting[0].len(), 2 * request("B").len());
    stage.hear(Direction::Backend, &answer("2"));
    assert!(stage.waiting[0].is_empty());
}

#[test]
fn what_a_session_is_doing_is_known() {
    for (conversation, activity) in [
        (">Q; <C Z", Activity::Idle),
        (">Q; <C", Activity::Running),
        (">Q; <C Zt", Activity::InTransaction),
        (">P B E H; <1 2 C", Activity::InTransaction),
        (">P B E S; <1 2 C", Activity::Running),
        (">P B E S P; <1 2 C Z 1", Activity::InTransaction),
        (">P B E S; <1 2 C Z", Activity::Idle),
        (">P; <E", Activity::InTransaction),
        (">copy; <G; >d", Activity::Streaming),
        (">Q; <H d", Activity::Streaming),
        (">Q; <H d c C Z", Activity::Idle),
        (">copy; <W d", Activity::Streaming),
    ] {
        assert_eq!(play(conversation, usize::MAX).conversation.activity(), activity, "{conversation}");
    }
    let mut stage = Stage::new();
    stage.hear(Direction::Frontend, &request("Qlong")[..20_000]);
    stage.take(Direction::Frontend);
    assert_eq!(stage.conversation.activity(), Activity::Running, "half a message was passed");
}

#[test]
fn the_database_sends_no_key_in_the_data_phase() {
    let mut stage = Stage::new();
    stage.hear(Direction::Backend, &message(b'K', b"12345678"));
    assert_eq!(stage.seen.len(), 1, "{:?}", stage.seen);
    assert!(stage.seen[0].starts_with('!'));
}

#[test]
fn it_is_known_when_all_is_answered() {
    for (conversation, settled) in [
        (">Q; <C", false),
        (">Q; <C Z", true),
        (">Q; <C Zt", true),
        // Only ReadyForQuery says it.
        (">Q; <C Z N", false),
        (">Q Q; <C Z", false),
        (">Q Q; <C Z C Z", true),
        // Half of the next one was passed.
        (">Q; <C Z; >Qlong", false),
        // In the extended protocol the Sync is one of them.
        (">P B E H; <1 2 C", false),
        (">P B E S P; <1 2 C Z", false),
        (">P B E S; <1 E Z", true),
        // What stands among failed data may be answered or not.
        (">copy d S c; <G; <E", false),
        (">copy d S c; <G; <E Z", false),
        // Before the next request is passed.
        (">copy d S c; <G; <E Z 3", false),
        (">copy d S c Q; <G; <E Z; <3; <C Z", true),
        (">Pcopy B E d S c; <1 2 G; <E; <Z 3", false),
    ] {
        let mut stage = play(conversation, usize::MAX);
        if conversation.ends_with("Qlong") {
            stage = play(">Q; <C Z", usize::MAX);
            stage.hear(Direction::Frontend, &request("Qlong")[..20_000]);
        }
        assert_eq!(stage.conversation.is_settled(), settled, "{conversation}");
    }
}
