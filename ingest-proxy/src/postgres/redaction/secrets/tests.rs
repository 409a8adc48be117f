//! What is overwritten, and for how long the database's words are looked at.

use super::*;

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag][..], &length, body].concat()
}

const SECRET: &str = "ALTER ROLE a PASSWORD 's3cret' LOGIN\0";
const MASKED: &str = "ALTER ROLE a PASSWORD '******' LOGIN\0";
const ERROR: &[u8] = b"SERROR\0C42601\0Mnear \"s3cret\"\0\0";

fn ready() -> Vec<u8> {
    frame(b'Z', b"I")
}

/// What is recorded of whole frames, and whether they had to be looked at.
fn recorded(secrets: &mut Secrets, direction: Direction, bytes: &[u8]) -> (Vec<u8>, bool) {
    if !secrets.concern(direction, bytes) {
        return (bytes.to_vec(), false);
    }
    let recorded = frame::frames(bytes).map(|frame| {
        let masked = secrets.frame(direction, &frame);
        masked.unwrap_or_else(|| frame.bytes.to_vec())
    });
    (recorded.collect::<Vec<_>>().concat(), true)
}

#[test]
fn a_secret_is_forgotten_when_its_request_is_answered() {
    let mut secrets = Secrets::default();
    let (front, back) = (Direction::Frontend, Direction::Backend);
    assert_eq!(recorded(&mut secrets, back, &ready()), (ready(), false));
    let requests = [frame(b'Q', SECRET.as_bytes()), frame(b'Q', b"SELECT 1\0")].concat();
    let expected = [frame(b'Q', MASKED.as_bytes()), frame(b'Q', b"SELECT 1\0")].concat();
    assert_eq!(recorded(&mut secrets, front, &requests), (expected, true));
    let masked = String::from_utf8(ERROR.to_vec()).unwrap().replace("s3cret", "******").into_bytes();
    let answer = [frame(b'E', ERROR), ready()].concat();
    assert_eq!(recorded(&mut secrets, back, &answer), ([frame(b'E', &masked), ready()].concat(), true));
    // The second one is not answered yet.
    assert_eq!(recorded(&mut secrets, back, &frame(b'N', ERROR)), (frame(b'N', &masked), true));
    assert!(recorded(&mut secrets, back, &ready()).1);
    assert_eq!(recorded(&mut secrets, back, &frame(b'N', ERROR)), (frame(b'N', ERROR), false));
    assert!(!recorded(&mut secrets, front, &frame(b'Q', b"SELECT 2\0")).1);
}

#[test]
fn with_the_extended_protocol_too() {
    let mut secrets = Secrets::default();
    recorded(&mut secrets, Direction::Backend, &ready());
    let parse = |text: &str| frame(b'P', format!("\0{text}\0\0").as_bytes());
    let requests = |text: &str| {
        [parse(text), frame(b'B', b"\0\0\0\0\0\0\0\0"), frame(b'E', b"\0\0\0\0\0"), frame(b'S', b"")].concat()
    };
    let (found, _) = recorded(&mut secrets, Direction::Frontend, &requests(SECRET));
    assert_eq!(found, requests(MASKED));
    assert!(recorded(&mut secrets, Direction::Backend, &frame(b'E', ERROR)).0 != frame(b'E', ERROR));
    recorded(&mut secrets, Direction::Backend, &ready());
    assert_eq!(recorded(&mut secrets, Direction::Backend, &frame(b'E', ERROR)), (frame(b'E', ERROR), false));
}

#[test]
fn what_comes_before_the_requests_answer_is_not_taken_for_it() {
    let mut secrets = Secrets::default();
    recorded(&mut secrets, Direction::Backend, &ready());
    recorded(&mut secrets, Direction::Frontend, &frame(b'Q', b"SELECT 1\0"));
    recorded(&mut secrets, Direction::Frontend, &frame(b'Q', SECRET.as_bytes()));
    for _ in 0..2 {
        recorded(&mut secrets, Direction::Backend, &ready());
        assert_ne!(recorded(&mut secrets, Direction::Backend, &frame(b'E', ERROR)).0, frame(b'E', ERROR));
    }
}

#[test]
fn a_word_may_be_cut() {
    for tag in [b'Q', b'P'] {
        let name: &[u8] = if tag == b'P' { b"\0" } else { b"" };
        let message = frame(tag, &[name, SECRET.as_bytes()].concat());
        let expected = frame(tag, &[name, MASKED.as_bytes()].concat());
        for first in HEADER..message.len() {
            for second in first..message.len() {
                let mut secrets = Secrets::default();
                let mut found = Vec::new();
                for (bytes, part) in [
                    (&message[..first], Part::First),
                    (&message[first..second], Part::Middle),
                    (&message[second..], Part::Last),
                ] {
                    let masked = secrets.part(Direction::Frontend, bytes, tag, part);
                    found.extend(masked.unwrap_or_else(|| bytes.to_vec()));
                }
                assert_eq!(found, expected, "{first} {second}");
                // An error so long that it comes in parts has none of its texts recorded that is cut.
                let error = frame(b'E', ERROR);
                let first = secrets.part(Direction::Backend, &error[..24], b'E', Part::First).unwrap();
                let last = secrets.part(Direction::Backend, &error[24..], b'E', Part::Last).unwrap();
                let masked = String::from_utf8([first, last].concat().split_off(HEADER)).unwrap();
                assert_eq!(masked, "SERROR\0C42601\0M*************\0\0");
            }
        }
    }
}
