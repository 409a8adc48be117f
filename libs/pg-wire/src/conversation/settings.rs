//! Settings that change how the server reads what it is sent: `client_encoding` and `standard_conforming_strings`.
//!
//! The server tells both by ParameterStatus, but only before ReadyForQuery (since version 14), so what a statement has set
//! counts from its answer on. Where a statement may have changed them unseen, they are unknown until ReadyForQuery.

use std::borrow::Cow;

use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};

/// How a session reads a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reading {
    /// The setting of that name; `None` where it is not known.
    pub standard_conforming_strings: Option<bool>,
    /// The text's bytes were understood: its encoding is known, and they are valid in it.
    pub readable: bool,
    /// Nothing of it is missing.
    pub whole: bool,
}

/// See the module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    now: Values,
    /// As the server told last.
    told: Values,
    /// Something was set or told since the session was last outside of a transaction.
    changed: bool,
    server_encoding: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Values {
    client_encoding: Option<String>,
    standard_conforming_strings: Option<bool>,
}

impl Default for Settings {
    fn default() -> Self {
        let values = Values { client_encoding: Some("UTF8".to_owned()), standard_conforming_strings: Some(true) };
        Settings { now: values.clone(), told: values, changed: false, server_encoding: Some("UTF8".to_owned()) }
    }
}

impl Settings {
    /// ParameterStatus.
    pub(super) fn tell(&mut self, name: &str, value: &str) {
        self.changed |= matches!(name, "client_encoding" | "standard_conforming_strings");
        match name {
            "client_encoding" => {
                self.told.client_encoding = Some(value.to_owned());
                self.now.client_encoding = Some(value.to_owned());
            }
            "standard_conforming_strings" => {
                self.told.standard_conforming_strings = Some(value != "off");
                self.now.standard_conforming_strings = Some(value != "off");
            }
            "server_encoding" => self.server_encoding = Some(value.to_owned()),
            _ => {}
        }
    }

    /// A statement was carried out that sets one of them, to its default where there is no value.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) {
        self.changed |= matches!(name, "client_encoding" | "names" | "standard_conforming_strings" | "all");
        match name {
            "client_encoding" | "names" => self.now.client_encoding = value.map(str::to_owned),
            "standard_conforming_strings" => {
                self.now.standard_conforming_strings = value.and_then(boolean);
            }
            "all" => self.lose(),
            _ => {}
        }
    }

    /// They may have changed unseen.
    pub(super) fn lose(&mut self) {
        self.changed = true;
        self.now = Values { client_encoding: None, standard_conforming_strings: None };
    }

    /// What was set has been undone, or may have been.
    pub(super) fn undo(&mut self) {
        if self.changed {
            self.lose();
        }
    }

    /// ReadyForQuery: whatever has changed was told before.
    pub(super) fn settle(&mut self, in_transaction: bool) {
        self.changed &= in_transaction;
        if self.now != self.told {
            self.now.clone_from(&self.told);
        }
    }

    /// Frames are missing: what was told may have changed.
    pub(super) fn forget(&mut self) {
        self.lose();
        self.told.clone_from(&self.now);
    }

    /// A text, and how it reads.
    pub(super) fn text<'a>(&self, bytes: &'a [u8]) -> (Cow<'a, str>, Reading) {
        let (text, readable) = self.decode(bytes);
        (text, Reading { standard_conforming_strings: self.now.standard_conforming_strings, readable, whole: true })
    }

    /// A name of the protocol in the server's encoding, as far as that can be told.
    pub(super) fn name<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let same = self.now.client_encoding == self.server_encoding;
        if same || bytes.is_ascii() {
            return Cow::Borrowed(bytes);
        }
        match self.decode(bytes) {
            (text, true) => Cow::Owned(self.encode(&text)),
            (_, false) => Cow::Borrowed(bytes),
        }
    }

    /// A name of SQL in the server's encoding.
    pub(super) fn encode(&self, text: &str) -> Vec<u8> {
        match self.server_encoding.as_deref() {
            Some("LATIN1") => latin1(text).unwrap_or_else(|| text.as_bytes().to_vec()),
            Some(name) if !text.is_ascii() => match encoding(name) {
                Some(encoding) => encoding.encode(text).0.into_owned(),
                None => text.as_bytes().to_vec(),
            },
            _ => text.as_bytes().to_vec(),
        }
    }

    fn decode<'a>(&self, bytes: &'a [u8]) -> (Cow<'a, str>, bool) {
        if let (true, Ok(text)) = (bytes.is_ascii(), std::str::from_utf8(bytes)) {
            // Every encoding that a client can have holds ASCII; those with ASCII inside of other characters begin
            // these with a byte beyond it.
            return (Cow::Borrowed(text), true);
        }
        let name = match self.now.client_encoding.as_deref() {
            // No conversion: the bytes are the server's.
            Some(name) if is(name, "SQL_ASCII") => self.server_encoding.as_deref(),
            name => name,
        };
        match name {
            Some(name) if is(name, "LATIN1") => {
                (Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()), true)
            }
            Some(name) => match encoding(name) {
                Some(encoding) => {
                    let (text, errors) = encoding.decode_without_bom_handling(bytes);
                    (text, !errors)
                }
                None => (String::from_utf8_lossy(bytes), false),
            },
            None => (String::from_utf8_lossy(bytes), false),
        }
    }
}

fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect()
}

/// As the server compares names of encodings: letters and digits alone, in any case.
fn is(name: &str, known: &str) -> bool {
    let letters = |name: &str| {
        name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_uppercase()).collect::<Vec<u8>>()
    };
    let name = letters(name);
    name == letters(known) || (known == "LATIN1" && name == b"ISO88591")
}

fn boolean(value: &str) -> Option<bool> {
    let value = value.to_ascii_lowercase();
    // The server takes every beginning of these words that is not a beginning of another one.
    let begins = |word: &str, least: usize| value.len() >= least && word.starts_with(&value);
    if begins("true", 1) || begins("yes", 1) || value == "on" || value == "1" {
        return Some(true);
    }
    (begins("false", 1) || begins("no", 1) || begins("off", 2) || value == "0").then_some(false)
}

/// The decoder of an encoding by PostgreSQL's name; `None` where there is none.
fn encoding(name: &str) -> Option<&'static Encoding> {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let label = match letters.to_ascii_uppercase().as_str() {
        "UTF8" | "UNICODE" => "utf-8",
        "LATIN2" | "ISO88592" => "iso-8859-2",
        "LATIN3" | "ISO88593" => "iso-8859-3",
        "LATIN4" | "ISO88594" => "iso-8859-4",
        "LATIN5" | "ISO88599" => "iso-8859-9",
        "LATIN6" | "ISO885910" => "iso-8859-10",
        "LATIN7" | "ISO885913" => "iso-8859-13",
        "LATIN8" | "ISO885914" => "iso-8859-14",
        "LATIN9" | "ISO885915" => "iso-8859-15",
        "LATIN10" | "ISO885916" => "iso-8859-16",
        "ISO88595" => "iso-8859-5",
        "ISO88596" => "iso-8859-6",
        "ISO88597" => "iso-8859-7",
        "ISO88598" => "iso-8859-8",
        "WIN866" | "ALT" => "ibm866",
        "WIN874" => "windows-874",
        "WIN1250" => "windows-1250",
        "WIN" | "WIN1251" => "windows-1251",
        "WIN1252" => "windows-1252",
        "WIN1253" => "windows-1253",
        "WIN1254" => "windows-1254",
        "WIN1255" => "windows-1255",
        "WIN1256" => "windows-1256",
        "WIN1257" => "windows-1257",
        "WIN1258" | "TCVN" | "TCVN5712" | "VSCII" | "ABC" => "windows-1258",
        "KOI8" | "KOI8R" => "koi8-r",
        "KOI8U" => "koi8-u",
        "SJIS" | "SHIFTJIS" | "MSKANJI" | "WIN932" | "WINDOWS932" => "shift_jis",
        "BIG5" | "WIN950" | "WINDOWS950" => "big5",
        "GBK" | "WIN936" | "WINDOWS936" | "EUCCN" => "gbk",
        "GB18030" => "gb18030",
        "EUCJP" => "euc-jp",
        "EUCKR" | "UHC" | "WIN949" | "WINDOWS949" => "euc-kr",
        _ => return None,
    };
    Encoding::for_label(label.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_in_the_encoding_in_force() {
        let mut settings = Settings::default();
        let read = |settings: &Settings, bytes: &[u8]| {
            let (text, reading) = settings.text(bytes);
            (text.into_owned(), reading.readable)
        };
        assert_eq!(read(&settings, "é".as_bytes()), ("é".to_owned(), true));
        assert_eq!(read(&settings, b"\xe9"), ("\u{fffd}".to_owned(), false));
        settings.set("client_encoding", Some("latin-1"));
        assert_eq!(read(&settings, b"\xe9\x80"), ("é\u{80}".to_owned(), true));
        settings.tell("client_encoding", "SJIS");
        // The second byte of this letter is a backslash in ASCII.
        assert_eq!(read(&settings, b"'\x95\x5c'"), ("'表'".to_owned(), true));
        settings.tell("client_encoding", "JOHAB");
        assert!(!read(&settings, b"\xd0\x5c").1);
        assert_eq!(read(&settings, b"ascii"), ("ascii".to_owned(), true));
    }

    #[test]
    fn what_is_set_counts_until_the_server_tells() {
        let mut settings = Settings::default();
        settings.set("standard_conforming_strings", Some("OFF"));
        assert_eq!(settings.text(b"").1.standard_conforming_strings, Some(false));
        settings.undo();
        assert_eq!(settings.text(b"").1.standard_conforming_strings, None);
        settings.settle(false);
        assert_eq!(settings.text(b"").1.standard_conforming_strings, Some(true));
        settings.forget();
        settings.settle(false);
        assert_eq!(settings.text(b"").1.standard_conforming_strings, None);
    }

    #[test]
    fn names_are_compared_in_the_servers_encoding() {
        let mut settings = Settings::default();
        settings.tell("client_encoding", "LATIN1");
        assert_eq!(&*settings.name(b"\xe9"), "é".as_bytes());
        settings.tell("server_encoding", "LATIN1");
        assert_eq!(&*settings.name(b"\xe9"), b"\xe9");
        assert_eq!(settings.encode("é"), b"\xe9");
    }

    #[test]
    fn booleans_are_read_as_the_server_reads_them() {
        for (value, expected) in [
            ("t", Some(true)),
            ("on", Some(true)),
            ("o", None),
            ("of", Some(false)),
            ("N", Some(false)),
            ("maybe", None),
        ] {
            assert_eq!(boolean(value), expected, "{value}");
        }
    }
}
