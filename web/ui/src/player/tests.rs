//! The player as a state machine: where it goes, what it waits for, what it never does.

use hansard_schemas::http::Step;

use super::*;

const SECOND: i64 = 1_000_000_000;

/// A player over so many statements, a second apart.
fn player(last: i64) -> Player {
    let mut player = Player::new(None);
    player.grow(last);
    player
}

fn offset(no: i64) -> Option<i64> {
    (no >= 1).then_some(no * SECOND)
}

#[test]
fn it_lands_where_it_is_told_unless_an_address_says_so() {
    let mut landed = player(12);
    assert_eq!(landed.at(), None);
    landed.land(10);
    assert_eq!(landed.at(), Some(10));
    landed.land(3);
    assert_eq!(landed.at(), Some(10), "who is there already stays");
    let mut linked = Player::new(Some(4));
    linked.grow(12);
    linked.land(10);
    assert_eq!(linked.at(), Some(4));
}

#[test]
fn a_statement_that_is_not_there_is_not_another_one() {
    let mut player = Player::new(Some(999));
    player.grow(12);
    assert_eq!((player.at(), player.has(999)), (Some(999), false));
    assert!(!player.can(Move::Next));
    assert!(player.step(Move::Previous));
    assert_eq!(player.at(), Some(12));
    player.go(-3);
    assert_eq!((player.at(), player.can(Move::Previous)), (Some(-3), false));
    assert!(player.step(Move::First));
    assert_eq!(player.at(), Some(1));
}

#[test]
fn moves_stay_in_the_session() {
    let mut player = player(25);
    player.land(1);
    assert!(!player.can(Move::Previous) && !player.can(Move::First) && !player.can(Move::LeapBack));
    assert!(player.step(Move::LeapOn));
    assert_eq!(player.at(), Some(11));
    assert!(player.step(Move::Last) && !player.step(Move::Next) && !player.step(Move::LeapOn));
    assert_eq!(player.at(), Some(25));
    assert!(player.step(Move::LeapBack) && player.step(Move::Previous));
    assert_eq!(player.at(), Some(14));
}

#[test]
fn extremes_do_not_overflow() {
    for no in [i64::MIN, i64::MAX] {
        let mut player = Player::new(Some(no));
        player.grow(i64::MAX);
        for to in [Move::Next, Move::Previous, Move::LeapOn, Move::LeapBack, Move::First, Move::Last] {
            player.can(to);
        }
        player.tick(i64::MAX, |_| Some(i64::MAX));
    }
}

#[test]
fn a_session_that_goes_on_never_gets_shorter() {
    let mut player = player(5);
    player.grow(3);
    assert_eq!(player.last(), 5);
    player.grow(8);
    assert_eq!(player.last(), 8);
}

#[test]
fn it_plays_at_its_speed_and_stops_at_the_end() {
    let mut player = player(3);
    player.land(1);
    assert!(!player.tick(10 * SECOND, offset), "it does not play yet");
    player.toggle_play();
    assert!(!player.tick(SECOND / 2, offset));
    assert_eq!(player.clock_ns(offset), SECOND + SECOND / 2);
    assert!(player.tick(SECOND / 2, offset));
    assert_eq!(player.at(), Some(2));
    player.set_speed(4);
    assert!(player.tick(SECOND / 4, offset));
    assert_eq!((player.at(), player.is_playing()), (Some(3), false));
    player.toggle_play();
    assert_eq!((player.at(), player.is_playing()), (Some(1), true), "at the end it begins again");
}

#[test]
fn it_waits_for_what_is_not_loaded() {
    let loaded = |no: i64| offset(no).filter(|_| no <= 2);
    let mut player = player(3);
    player.land(1);
    player.toggle_play();
    assert!(player.tick(10 * SECOND, loaded));
    assert_eq!((player.at(), player.is_playing()), (Some(2), true));
    assert!(!player.tick(10 * SECOND, loaded));
    assert!(!player.tick(SECOND / 2, offset) && player.tick(SECOND, offset));
    assert_eq!(player.at(), Some(3));
}

#[test]
fn pauses_are_shortened_unless_wanted() {
    let far = |no: i64| Some(no * 100 * SECOND);
    let mut player = player(3);
    player.land(1);
    player.toggle_play();
    assert!(player.tick(SECOND / 2, far));
    player.toggle_skip_idle();
    assert!(!player.tick(99 * SECOND, far) && player.tick(SECOND, far));
}

#[test]
fn speeds_are_those_offered() {
    let mut player = player(1);
    player.set_speed(0);
    assert_eq!(player.speed(), 1);
    player.set_speed(10_000);
    player.faster();
    assert_eq!(player.speed(), 600);
    player.set_speed(1);
    player.slower();
    assert_eq!(player.speed(), 1);
}

#[test]
fn nothing_plays_without_statements() {
    let mut player = Player::new(None);
    player.toggle_play();
    assert!(!player.is_playing() && player.at().is_none() && !player.can(Move::Last));
}

#[test]
fn statements_are_classed_by_what_they_do() {
    let step = |operation: &str| Step { operation: operation.into(), ..Step::default() };
    assert_eq!(classify(&step("select")), Class::Read);
    assert_eq!(classify(&step("transaction")), Class::Control);
    assert_eq!(classify(&step("merge")), Class::Write);
    assert_eq!(classify(&step("never heard of")), Class::Write);
    let failed = Step { sqlstate: Some("42P01".into()), error: Some("no such table".into()), ..step("select") };
    assert_eq!(classify(&failed), Class::Failed);
    let after = Step { error: Some("not executed: an earlier statement failed".into()), ..failed.clone() };
    assert_eq!(classify(&after), Class::NotRun);
    assert_eq!(classify(&Step { verdict: "deny".into(), ..failed }), Class::Denied);
}
