//! What programs print, direct and via Hansard. What differs between two direct runs (identifiers, times, the order of
//! an unordered result) need not be the same via Hansard; every other byte must.

use std::collections::BTreeMap;

/// What each part of the work printed.
pub type Transcript = BTreeMap<String, Vec<u8>>;

/// How a transcript via Hansard compares with two direct ones.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Parts that print the same, direct and via.
    pub same: usize,
    /// Parts that differ, with the first difference.
    pub differing: BTreeMap<String, String>,
    /// Parts whose direct runs have nothing in common that could be compared.
    pub unsteady: Vec<String>,
}

/// Compares `via` with two direct transcripts.
pub fn compare(first: &Transcript, second: &Transcript, via: &Transcript) -> Comparison {
    let mut comparison = Comparison::default();
    for (part, first) in first {
        let nothing = Vec::new();
        let second = second.get(part).unwrap_or(&nothing);
        let via = via.get(part).unwrap_or(&nothing);
        if via == first || via == second {
            comparison.same += 1;
            continue;
        }
        let (first, second, via) = (lines(first), lines(second), lines(via));
        if first.len() != second.len() {
            comparison.unsteady.push(part.clone());
            continue;
        }
        match difference(&first, &second, &via) {
            None => comparison.same += 1,
            Some(difference) => {
                comparison.differing.insert(part.clone(), difference);
            }
        }
    }
    comparison
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split(|&byte| byte == b'\n').collect()
}

fn difference(first: &[&[u8]], second: &[&[u8]], via: &[&[u8]]) -> Option<String> {
    for (at, (one, two)) in first.iter().zip(second).enumerate() {
        let Some(other) = via.get(at) else {
            return Some(format!("line {}: {} is missing", at + 1, one.escape_ascii()));
        };
        let same = other == one || one != two && (masked(one) != masked(two) || masked(other) == masked(one));
        if !same {
            return Some(format!("line {}: {} / {}", at + 1, one.escape_ascii(), other.escape_ascii()));
        }
    }
    (via.len() > first.len())
        .then(|| format!("line {}: {} is too much", first.len() + 1, via[first.len()].escape_ascii()))
}

/// A line without its numbers, and without what their width does to it.
fn masked(line: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(line.len());
    for &byte in line {
        let byte = if byte.is_ascii_digit() { b'#' } else { byte };
        if !(matches!(byte, b'#' | b' ' | b'-') && out.last() == Some(&byte)) {
            out.push(byte);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(first: &str, second: &str, via: &str) -> (usize, usize, usize) {
        let transcript = |text: &str| Transcript::from([("part".to_owned(), text.as_bytes().to_vec())]);
        let found = compare(&transcript(first), &transcript(second), &transcript(via));
        (found.same, found.differing.len(), found.unsteady.len())
    }

    #[test]
    fn only_what_differs_direct_may_differ() {
        assert_eq!(outcome("a\nb", "a\nb", "a\nb"), (1, 0, 0));
        assert_eq!(outcome("a\nb", "a\nb", "a\nc"), (0, 1, 0));
        assert_eq!(outcome("a\nb", "a\nb", "a"), (0, 1, 0));
        assert_eq!(outcome("a\nb", "a\nb", "a\nb\n"), (0, 1, 0));
        assert_eq!(outcome("pid 1\nb", "pid 22\nb", "pid 333\nb"), (1, 0, 0));
        assert_eq!(outcome("pid 1\nb", "pid 22\nb", "none\nb"), (0, 1, 0));
        assert_eq!(outcome("pid 1\nb", "pid 22\nb", "pid 333\nc"), (0, 1, 0));
        assert_eq!(outcome("b", "a\nb", "c"), (0, 0, 1));
    }
}
