//! Frames that are missing: nothing is told as certain that belongs elsewhere, and from the next frame on by which the
//! proxy says that all was answered everything is certain again.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::*;
use crate::exchange::Exchange;

/// What became of a request that runs a statement.
#[derive(Debug, Clone, Default)]
struct Truth {
    /// The frame that answered it.
    answer: Option<u64>,
    committed: Option<bool>,
}

/// A job and a server, and all that passes between them.
#[derive(Debug, Default)]
struct Play {
    /// What the job has asked and the server has not come to.
    inbox: VecDeque<(u64, Message)>,
    frames: Vec<Message>,
    /// The server's answers that are on their way, and the request that each of them answers.
    outbox: VecDeque<(Message, Option<u64>)>,
    truths: BTreeMap<u64, Truth>,
    /// The server's state.
    prepared: HashMap<String, String>,
    portal: Option<String>,
    explicit: bool,
    failed: bool,
    skipping: bool,
    pending: Vec<u64>,
    /// A COPY takes data: its request.
    copying: Option<u64>,
    /// As the proxy does, nothing is sent behind a COPY, or behind the end of its data, before the answer.
    held_for: Option<u64>,
}

impl Play {
    fn sends(&mut self, lines: &[String]) {
        for message in lines.iter().flat_map(|line| messages(line)) {
            self.frames.push(message.clone());
            self.inbox.push_back((self.frames.len() as u64, message));
        }
    }

    /// The server takes one message, or an answer passes.
    fn goes_on(&mut self) -> bool {
        if let Some((message, of)) = self.outbox.pop_front() {
            let answers = matches!(message.1, b'C' | b'E');
            if message.1 == b'G' || answers && of == self.held_for {
                self.held_for = None;
            }
            self.frames.push(message);
            let seq = self.frames.len() as u64;
            if let Some(truth) = of.filter(|_| answers).and_then(|of| self.truths.get_mut(&of)) {
                truth.answer = Some(seq);
            }
            return true;
        }
        let Some((seq, (_, tag, body))) = self.inbox.pop_front() else { return false };
        self.takes(seq, tag, &body);
        true
    }

    fn answers(&mut self, line: &str, of: Option<u64>) {
        self.outbox.extend(messages(line).into_iter().map(|message| (message, of)));
    }

    fn takes(&mut self, seq: u64, tag: u8, body: &[u8]) {
        let mut fields = body.split(|&byte| byte == 0).map(|field| String::from_utf8(field.to_vec()).unwrap());
        let mut field = || fields.next().unwrap_or_default();
        match tag {
            b'S' => {
                self.skipping = false;
                self.ends();
            }
            _ if self.skipping => {}
            b'Q' => {
                self.prepared.remove("");
                let text = field();
                if text.starts_with("COPY") && !self.failed {
                    self.truths.insert(seq, Truth::default());
                    self.copying = Some(seq);
                    return self.answers("< G", None);
                }
                self.runs(seq, &text);
                self.ends();
            }
            b'c' => {
                if let Some(copy) = self.copying.take() {
                    self.pending.push(copy);
                    self.answers("< C COPY 1", Some(copy));
                    self.ends();
                }
            }
            b'P' => {
                let (name, text) = (field(), field());
                if self.failed {
                    return self.fails("25P02", None);
                }
                if !name.is_empty() && self.prepared.contains_key(&name) {
                    return self.fails("42P05", None);
                }
                self.prepared.insert(name, text);
                self.answers("< 1", None);
            }
            b'B' => {
                let statement = {
                    field();
                    field()
                };
                self.portal = self.prepared.get(&statement).cloned().filter(|_| !self.failed);
                match self.portal {
                    Some(_) => self.answers("< 2", None),
                    None => self.fails("26000", None),
                }
            }
            b'C' => {
                self.prepared.remove(&String::from_utf8(body[1..body.len() - 1].to_vec()).unwrap());
                self.answers("< 3", None);
            }
            b'E' => match self.portal.take() {
                Some(text) => {
                    self.skipping = !self.runs(seq, &text);
                }
                None => self.fails("34000", None),
            },
            _ => {}
        }
    }

    fn fails(&mut self, code: &str, of: Option<u64>) {
        self.answers(&format!("< E {code}"), of);
        self.skipping = true;
        self.aborts();
    }

    fn aborts(&mut self) {
        for seq in self.pending.drain(..) {
            self.truths.entry(seq).or_default().committed = Some(false);
        }
        self.failed = self.explicit;
    }

    /// False where it fails.
    fn runs(&mut self, seq: u64, text: &str) -> bool {
        self.truths.insert(seq, Truth::default());
        self.pending.push(seq);
        let (tag, explicit) = match text {
            "COMMIT" | "ROLLBACK" => {
                let commits = text == "COMMIT" && !self.failed;
                for seq in self.pending.drain(..) {
                    self.truths.entry(seq).or_default().committed = Some(commits);
                }
                self.failed = false;
                (if commits { text } else { "ROLLBACK" }, false)
            }
            _ if self.failed || text.starts_with("FAIL") => {
                let code = if self.failed { "25P02" } else { "22012" };
                self.answers(&format!("< E {code}"), Some(seq));
                self.aborts();
                return false;
            }
            "BEGIN" => (text, true),
            _ => (text, self.explicit),
        };
        self.explicit = explicit;
        self.answers(&format!("< C {tag}"), Some(seq));
        true
    }

    /// ReadyForQuery.
    fn ends(&mut self) {
        if !self.explicit {
            for seq in self.pending.drain(..) {
                self.truths.entry(seq).or_default().committed = Some(true);
            }
        }
        let status = if !self.explicit {
            "I"
        } else if self.failed {
            "E"
        } else {
            "T"
        };
        self.answers(&format!("< Z {status}"), None);
    }
}

/// What the job sends; each statement is told from all others by its number.
fn lines(kind: u8, number: usize) -> Vec<String> {
    let name = ["a", "b", "-"][number % 3];
    let lines: &[&str] = match kind {
        0 | 1 => &["> Q UPDATE #"],
        2 => &["> Q FAIL #"],
        3 => &["> X UPDATE #", "> S"],
        4 => &["> X UPDATE #", "> X FAIL #", "> X UPDATE #", "> S"],
        5 => &["> Q BEGIN"],
        6 => &["> Q COMMIT"],
        7 => &["> Q ROLLBACK"],
        8 => &["> P @ UPDATE #", "> S"],
        9 => &["> B - @", "> E -", "> S"],
        10 => &["> C S@", "> S"],
        11 => &["> X UPDATE #"],
        12 => &["> S"],
        _ => &["> Q COPY #"],
    };
    lines.iter().map(|line| line.replace('#', &number.to_string()).replace('@', name)).collect()
}

fn play(asks: &[u8], schedule: &[bool]) -> Play {
    let mut play = Play { frames: script(""), ..Play::default() };
    let (mut asks, mut schedule) = (asks.iter().copied().enumerate(), schedule.iter().copied().cycle());
    let mut open = true;
    while open {
        if play.held_for.is_some() || schedule.next() == Some(true) {
            // What the server skips is not waited for.
            if !play.goes_on() {
                play.held_for = None;
            }
        } else if let Some(copy) = play.copying {
            play.sends(&["> d 1".to_owned(), "> c".to_owned()]);
            play.held_for = Some(copy);
        } else {
            match asks.next() {
                Some((number, kind)) => {
                    let lines = lines(kind, number);
                    play.sends(&lines);
                    play.held_for = (kind > 12).then_some(play.frames.len() as u64);
                }
                None => open = false,
            }
        }
    }
    while play.goes_on() {}
    play
}

/// The frames by which all is answered.
fn settled(frames: &[Message]) -> Vec<bool> {
    let mut exchange = Exchange::default();
    let settled = frames.iter().enumerate().map(|(number, (direction, tag, body))| {
        if *direction == Direction::Frontend {
            exchange.request(*tag, body.first().copied(), || ());
        } else if number > 0 {
            exchange.answer(*tag, false);
        }
        *tag == b'Z' && *direction == Direction::Backend && exchange.is_settled()
    });
    settled.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_put_on_the_wrong_statement(
        asks in prop::collection::vec(0u8..14, 1..40),
        schedule in prop::collection::vec(any::<bool>(), 1..60),
        missing in prop::collection::vec((0usize..200, 1usize..6), 0..4),
    ) {
        // A job that never listens to the server would never end.
        let schedule = if schedule.contains(&true) && schedule.contains(&false) { schedule } else { vec![true, false] };
        let Play { frames, truths, .. } = play(&asks, &schedule);
        let settled = settled(&frames);
        let is_missing = |number: usize| missing.iter().any(|&(place, len)| (place..place + len).contains(&number));
        let (mut conversation, mut events) = (Conversation::new(), Vec::new());
        // From where on all is known again.
        let (mut gap, mut certain) = (false, Some(0));
        for (number, message) in frames.iter().enumerate() {
            if is_missing(number) {
                (gap, certain) = (true, None);
                continue;
            }
            if std::mem::take(&mut gap) {
                conversation.gap(&mut Words, &mut events);
            }
            let bytes = encoded(message);
            let seq = number as u64 + 1;
            let frame = Frame { seq, at: 0, direction: message.0, tag: message.1, part: None, bytes: &bytes };
            conversation.feed(&frame, &mut Words, &mut events);
            if settled[number] {
                conversation.settled(&mut Words, &mut events);
                certain.get_or_insert(seq);
            }
        }
        if gap {
            conversation.gap(&mut Words, &mut events);
        }
        prop_assert_eq!(conversation.contradictions(), 0);
        let (mut asked, mut members, mut finished_by) = (HashMap::new(), Vec::new(), HashMap::new());
        for event in &events {
            match event {
                Event::Started(started) => {
                    asked.insert(started.statement, started.last_seq);
                    if let Request::Text { own, .. } = &started.request
                        && let Some(truth) = truths.get(&started.last_seq).and_then(|truth| truth.answer)
                    {
                        // A text that is told without a doubt is the one that was run.
                        let (_, answered, tag) = &frames[usize::try_from(truth).unwrap() - 1];
                        let tag = String::from_utf8_lossy(tag).into_owned();
                        let fits = started.doubt.is_some()
                            || own.text.text.starts_with("FAIL")
                            || *answered == b'E'
                            || tag.starts_with("COPY")
                            || tag.trim_end_matches('\0') == own.text.text
                            || own.text.text == "COMMIT";
                        prop_assert!(fits, "{} was answered {tag}", own.text.text);
                    }
                }
                Event::Finished(finished) => {
                    let seq = asked[&finished.statement];
                    members.push((finished.statement, finished.transaction));
                    let executed = finished.failure.as_ref().is_none_or(|failure| !failure.message.starts_with("not"));
                    if executed && let Some(truth) = truths.get(&seq) {
                        prop_assert_eq!(truth.answer, Some(finished.seq), "of the request {}", seq);
                        finished_by.insert(seq, finished.seq);
                    }
                }
                Event::Unanswered { statement, transaction } => members.push((*statement, *transaction)),
                _ => {}
            }
        }
        for event in &events {
            let Event::TransactionEnded(ended) = event else { continue };
            let committed = match ended.outcome {
                Outcome::Committed => true,
                Outcome::RolledBack(_) => false,
                Outcome::Prepared(_) | Outcome::Unknown(_) => continue,
            };
            for (statement, _) in members.iter().filter(|(_, transaction)| *transaction == ended.transaction) {
                let truth = truths.get(&asked[statement]).and_then(|truth| truth.committed);
                prop_assert!(truth.is_none_or(|truth| truth == committed), "statement {statement} {committed}");
            }
        }
        if let Some(certain) = certain {
            for (seq, truth) in truths.range(certain..) {
                prop_assert_eq!(finished_by.get(seq).copied(), truth.answer, "of the request {}", seq);
            }
        }
    }
}
