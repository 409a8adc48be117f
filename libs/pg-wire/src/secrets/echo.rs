//! Secrets that the server may repeat: its errors and notices quote what it was sent.

use std::ops::Range;

/// Most secrets that are remembered, and their bytes in all.
const MOST: usize = 16;
const MOST_BYTES: usize = 4096;

/// Shorter ones are found in any text.
const SHORTEST: usize = 3;

/// The secrets of requests that are not answered yet.
#[derive(Debug, Default)]
pub struct Echo {
    secrets: Vec<Box<[u8]>>,
    bytes: usize,
    /// There are some that are not remembered: nothing in a text is known to be none.
    more: bool,
}

impl Echo {
    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty() && !self.more
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        *self = Echo::default();
    }

    /// Remembers the secrets at these places.
    pub fn remember(&mut self, bytes: &[u8], places: &[Range<usize>]) {
        for secret in places.iter().filter_map(|place| bytes.get(place.clone())) {
            let room = self.secrets.len() < MOST && self.bytes + secret.len() <= MOST_BYTES;
            if secret.len() < SHORTEST || !room {
                self.more = true;
            } else if !self.secrets.iter().any(|known| **known == *secret) {
                self.bytes += secret.len();
                self.secrets.push(secret.into());
            }
        }
    }

    /// Adds the places of secrets in the fields of an ErrorResponse or NoticeResponse. A field that is cut is taken for
    /// one.
    pub fn places(&self, body: &[u8], found: &mut Vec<Range<usize>>) {
        let mut at = 0;
        while let Some(&field) = body.get(at).filter(|field| **field != 0) {
            let begin = at + 1;
            let end = memchr::memchr(0, &body[begin..]).map(|length| begin + length);
            let value = begin..end.unwrap_or(body.len());
            at = value.end + 1;
            // Severity, SQLSTATE, positions, and where in the server's source.
            if matches!(field, b'S' | b'V' | b'C' | b'P' | b'p' | b'F' | b'L' | b'R') {
                continue;
            }
            if self.more || end.is_none() {
                found.push(value);
                continue;
            }
            let first = found.len();
            for secret in &self.secrets {
                let places = memchr::memmem::find_iter(&body[value.clone()], secret);
                found.extend(places.map(|place| value.start + place..value.start + place + secret.len()));
            }
            found[first..].sort_unstable_by_key(|place| place.start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(echo: &Echo, body: &[u8]) -> String {
        let mut places = Vec::new();
        echo.places(body, &mut places);
        let mut body = body.to_vec();
        for place in places {
            body[place].fill(b'*');
        }
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn what_a_request_held_is_not_in_the_answer() {
        let mut echo = Echo::default();
        echo.remember(b"PASSWORD 's3cret' 'other'", &[10..16, 19..24]);
        let error = b"SERROR\0C42601\0Mat \"'s3cret'\" s3cretother\0Ds3cre\0P7\0\0";
        let expected = "SERROR\0C42601\0Mat \"'******'\" ***********\0Ds3cre\0P7\0\0";
        assert_eq!(masked(&echo, error), expected);
        assert_eq!(masked(&echo, b"SERROR\0Mall of it"), "SERROR\0M*********");
        echo.clear();
        assert!(echo.is_empty());
        assert_eq!(masked(&echo, b"Ms3cret\0\0"), "Ms3cret\0\0");
    }

    #[test]
    fn where_not_all_are_remembered_no_text_is_recorded() {
        for secrets in [vec![b'x'; 2], vec![b'x'; MOST_BYTES + 1]] {
            let mut echo = Echo::default();
            echo.remember(&secrets, std::slice::from_ref(&(0..secrets.len())));
            assert!(!echo.is_empty());
            assert_eq!(masked(&echo, b"SERROR\0C42601\0Mtext\0\0"), "SERROR\0C42601\0M****\0\0");
        }
        let mut echo = Echo::default();
        for secret in 100..100 + MOST + 1 {
            assert!(!echo.more);
            echo.remember(secret.to_string().as_bytes(), std::slice::from_ref(&(0..3)));
        }
        assert!(echo.more && echo.secrets.len() == MOST);
    }
}
