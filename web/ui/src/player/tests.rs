//! The player: where it is after which moves.

use super::*;

const S: i64 = 1_000_000_000;

fn mark(no: i64, offset_s: i64, transaction_id: i64, class: Class) -> Mark {
    Mark { no, offset_ns: offset_s * S, duration_ns: 0, transaction_id, class }
}

/// Statements of the given classes, a second and a transaction apart.
fn player(classes: &[Class]) -> Player {
    let mut player = Player::new(None);
    player.load(marks(classes));
    player
}

fn marks(classes: &[Class]) -> Vec<Mark> {
    classes.iter().zip(1..).map(|(class, no)| mark(no, no - 1, no, *class)).collect()
}

fn shown(player: &Player) -> i64 {
    player.current().map_or(0, |mark| mark.no)
}

use Class::{Control, Denied, Failed, Read, Write};

#[test]
fn lands_on_what_matters_most() {
    for (classes, expected) in [
        (&[Read, Write, Failed, Denied, Denied][..], 4),
        (&[Control, Read, Write, Failed, Failed], 4),
        (&[Control, Read, Write, Write], 3),
        (&[Control, Read, Control], 1),
        (&[], 0),
    ] {
        assert_eq!(shown(&player(classes)), expected, "{classes:?}");
    }
}

#[test]
fn a_deep_link_wins() {
    let mut player = Player::new(Some(2));
    player.load(marks(&[Read, Read, Denied]));
    assert_eq!(shown(&player), 2);
    assert_eq!(player.wanted(), None);
}

#[test]
fn a_deep_link_waits_until_its_statement_is_loaded() {
    let mut player = Player::new(Some(5));
    player.load(marks(&[Denied, Read]));
    assert_eq!((shown(&player), player.wanted()), (2, Some(5)));
    player.load(marks(&[Denied, Read, Read, Read, Write, Read]));
    assert_eq!((shown(&player), player.wanted()), (5, None));
}

#[test]
fn moving_ends_the_wait_for_a_deep_link() {
    let mut player = Player::new(Some(5));
    player.load(marks(&[Read, Read]));
    assert!(player.step(Move::First));
    player.load(marks(&[Read, Read, Read, Read, Read]));
    assert_eq!((shown(&player), player.wanted()), (1, None));
}

#[test]
fn loading_more_keeps_the_place_of_who_moved() {
    let mut player = player(&[Read, Read]);
    player.step(Move::NextStatement);
    player.load(marks(&[Read, Read, Denied]));
    assert_eq!(shown(&player), 2);
}

#[test]
fn loading_more_lands_again_before_anybody_moved() {
    let mut player = player(&[Read, Read]);
    player.load(marks(&[Read, Read, Denied]));
    assert_eq!(shown(&player), 3);
}

#[test]
fn steps_stop_at_both_ends() {
    let mut player = player(&[Read, Read]);
    assert!(!player.step(Move::PreviousStatement));
    assert!(player.step(Move::NextStatement));
    assert!(!player.step(Move::NextStatement));
    assert_eq!(shown(&player), 2);
    assert!(!player.can(Move::NextStatement) && player.can(Move::PreviousStatement));
    assert!(player.step(Move::First));
    assert!(!player.step(Move::First));
    assert!(player.step(Move::Last));
    assert_eq!(shown(&player), 2);
}

#[test]
fn nothing_moves_where_there_is_nothing() {
    let mut player = player(&[]);
    for to in [
        Move::NextStatement,
        Move::PreviousStatement,
        Move::NextTransaction,
        Move::PreviousTransaction,
        Move::NextTrouble,
        Move::PreviousTrouble,
        Move::First,
        Move::Last,
        Move::Seek(S),
        Move::Seek(-S),
    ] {
        assert!(!player.step(to), "{to:?}");
    }
    player.toggle_play();
    assert!(!player.is_playing());
    assert!(!player.tick(S));
    player.go_to_place(7);
    assert_eq!(player.current(), None);
    assert_eq!(player.clock_ns(), 0);
}

#[test]
fn transactions_are_stepped_to_their_first_statement() {
    let mut player = Player::new(None);
    player.load(vec![
        mark(1, 0, 1, Read),
        mark(2, 1, 2, Control),
        mark(3, 2, 2, Read),
        mark(4, 3, 2, Control),
        mark(5, 4, 3, Read),
    ]);
    let mut visited = vec![shown(&player)];
    while player.step(Move::NextTransaction) {
        visited.push(shown(&player));
    }
    assert_eq!(visited, [1, 2, 5]);
    assert!(player.go(4));
    visited = vec![];
    while player.step(Move::PreviousTransaction) {
        visited.push(shown(&player));
    }
    assert_eq!(visited, [2, 1]);
}

#[test]
fn trouble_is_denials_and_errors() {
    let mut player = player(&[Read, Failed, Write, Denied, Read]);
    player.step(Move::First);
    let mut visited = vec![];
    while player.step(Move::NextTrouble) {
        visited.push(shown(&player));
    }
    while player.step(Move::PreviousTrouble) {
        visited.push(shown(&player));
    }
    assert_eq!(visited, [2, 4, 2]);
}

#[test]
fn going_by_number_fails_where_it_is_not_loaded() {
    let mut player = player(&[Read, Read, Read]);
    assert!(player.go(3));
    assert!(!player.go(9));
    assert_eq!(shown(&player), 3);
}

#[test]
fn a_place_beyond_the_end_is_the_last() {
    let mut player = player(&[Read, Read]);
    player.go_to_place(99);
    assert_eq!(shown(&player), 2);
}

#[test]
fn seeking_moves_by_recorded_time_and_never_stands_still() {
    let mut player = Player::new(None);
    player.load(vec![mark(1, 0, 1, Read), mark(2, 1, 2, Read), mark(3, 4, 3, Read), mark(4, 60, 4, Read)]);
    let mut visited = vec![];
    while player.step(Move::Seek(5 * S)) {
        visited.push(shown(&player));
    }
    while player.step(Move::Seek(-5 * S)) {
        visited.push(shown(&player));
    }
    assert_eq!(visited, [3, 4, 3, 1]);
}

#[test]
fn plays_in_recorded_time() {
    let mut player = player(&[Read, Read, Read]);
    player.toggle_play();
    assert!(!player.tick(S / 2));
    assert_eq!(player.clock_ns(), S / 2);
    assert!(player.tick(S / 2));
    assert_eq!(shown(&player), 2);
    assert!(player.tick(S));
    assert_eq!(shown(&player), 3);
    assert!(!player.is_playing());
}

#[test]
fn speed_multiplies_time_and_is_bounded() {
    let mut player = player(&[Read, Read, Read]);
    player.slower();
    assert_eq!(player.speed(), 1);
    player.faster();
    player.toggle_play();
    assert!(player.tick(S));
    assert_eq!(shown(&player), 3);
    for _ in 0..20 {
        player.faster();
    }
    assert_eq!(player.speed(), SPEEDS[SPEEDS.len() - 1]);
    player.set_speed(9);
    assert_eq!(player.speed(), 8);
    player.set_speed(0);
    assert_eq!(player.speed(), 1);
}

#[test]
fn idle_time_is_skipped_in_the_same_short_time_however_it_is_cut() {
    for cuts in [1, 5, 50] {
        let mut player = Player::new(None);
        player.load(vec![mark(1, 0, 1, Read), mark(2, 3600, 2, Read)]);
        player.toggle_play();
        for _ in 0..cuts - 1 {
            assert!(!player.tick(SKIPPED_IDLE_NS / cuts));
        }
        assert!(player.tick(SKIPPED_IDLE_NS / cuts), "{cuts}");
    }
}

#[test]
fn idle_time_is_kept_on_demand() {
    let mut player = Player::new(None);
    player.load(vec![mark(1, 0, 1, Read), mark(2, 10, 2, Read)]);
    player.toggle_skip_idle();
    player.toggle_play();
    assert!(!player.tick(9 * S));
    assert_eq!(player.clock_ns(), 9 * S);
    assert!(player.tick(S));
}

#[test]
fn short_pauses_are_not_idle() {
    let mut player = Player::new(None);
    player.load(vec![mark(1, 0, 1, Read), mark(2, 2, 2, Read)]);
    player.toggle_play();
    assert!(!player.tick(S));
    assert!(player.tick(S));
}

#[test]
fn playing_at_the_end_begins_again() {
    let mut player = player(&[Read, Read]);
    player.step(Move::Last);
    player.toggle_play();
    assert!(player.is_playing());
    assert_eq!(shown(&player), 1);
}

#[test]
fn moving_while_playing_goes_on_from_there() {
    let mut player = player(&[Read, Read, Read, Read]);
    player.toggle_play();
    player.tick(S / 2);
    player.step(Move::NextStatement);
    assert_eq!(player.clock_ns(), S);
    assert!(player.is_playing());
    assert!(player.tick(S));
    assert_eq!(shown(&player), 3);
    player.pause();
    assert!(!player.tick(10 * S));
}

#[test]
fn statements_at_the_same_moment_are_all_played() {
    let mut player = Player::new(None);
    player.load(vec![mark(1, 0, 1, Read), mark(2, 0, 1, Read), mark(3, 0, 1, Read)]);
    player.toggle_play();
    assert!(player.tick(1));
    assert_eq!(shown(&player), 3);
}

#[test]
fn times_that_go_back_do_no_harm() {
    let mut player = Player::new(None);
    player.load(vec![mark(1, 5, 1, Read), mark(2, 3, 1, Read), mark(3, 6, 1, Read)]);
    player.step(Move::First);
    player.toggle_play();
    assert!(player.tick(1));
    assert_eq!(shown(&player), 2);
}

#[test]
fn marks_come_from_steps() {
    let step = |operation: &str, verdict: &str, sqlstate: Option<&str>| {
        classify(&Step {
            operation: operation.into(),
            verdict: verdict.into(),
            sqlstate: sqlstate.map(str::to_owned),
            ..Step::default()
        })
    };
    assert_eq!(step("select", "allow", None), Read);
    assert_eq!(step("update", "allow", None), Write);
    assert_eq!(step("update", "allow", Some("42501")), Failed);
    assert_eq!(step("update", "deny", Some("42501")), Denied);
    assert_eq!(step("transaction", "allow", None), Control);
    assert_eq!(step("something new", "allow", None), Write);
    let mark = Mark::of(&Step { no: 4, offset_ns: -3, duration_ns: Some(-1), ..Step::default() });
    assert_eq!((mark.no, mark.offset_ns, mark.duration_ns), (4, 0, 0));
}
