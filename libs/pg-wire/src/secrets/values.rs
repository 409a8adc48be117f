//! Bound values one by one, out of Bind and FunctionCall.

use super::LONGEST_VALUE;
use super::conninfo::Conninfo;
use super::lexer::Lexer;

/// Walks the body of a message that carries values.
#[derive(Debug, Clone)]
pub(super) struct Values {
    place: Place,
    /// Bytes of a number that have come, and the number so far.
    number: (u8, u32),
    /// Values to come.
    values: u16,
    value: Value,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// So many names that end with a zero byte.
    Names(u8),
    /// So many bytes that do not matter, and then a number of formats.
    Skip(u32),
    Formats,
    /// Bytes of the formats, and then the number of values.
    SkipFormats(u32),
    Count,
    Length,
    /// So many bytes of a value.
    Value(u32),
    /// So many bytes of one that is too long to be looked at.
    Data(u32),
    End,
}

/// A value: what it is taken for is what a literal's content is.
#[derive(Debug, Clone)]
struct Value {
    conninfo: Conninfo,
    lexer: Lexer,
}

impl Values {
    /// Behind so many names and so many further bytes.
    pub(super) fn new(names: u8, skipped: u32) -> Values {
        let place = if names > 0 { Place::Names(names) } else { Place::Skip(skipped) };
        Values { place, number: (0, 0), values: 0, value: Value::new() }
    }

    /// Whether the byte belongs to a secret.
    pub(super) fn feed(&mut self, byte: u8) -> bool {
        match self.place {
            Place::Names(left) => {
                if byte == 0 {
                    self.place = if left > 1 { Place::Names(left - 1) } else { Place::Formats };
                }
            }
            Place::Skip(left) => self.place = if left > 1 { Place::Skip(left - 1) } else { Place::Formats },
            Place::Formats => {
                if let Some(formats) = self.read(byte, 2) {
                    self.place = if formats > 0 { Place::SkipFormats(2 * formats) } else { Place::Count };
                }
            }
            Place::SkipFormats(left) => {
                self.place = if left > 1 { Place::SkipFormats(left - 1) } else { Place::Count };
            }
            Place::Count => {
                if let Some(count) = self.read(byte, 2) {
                    self.values = u16::try_from(count).unwrap_or(u16::MAX);
                    self.next();
                }
            }
            Place::Length => {
                if let Some(length) = self.read(byte, 4) {
                    self.values -= 1;
                    // A null has the length -1.
                    match i32::from_be_bytes(length.to_be_bytes()) {
                        1.. if length > LONGEST_VALUE => self.place = Place::Data(length),
                        1.. => {
                            self.value = Value::new();
                            self.place = Place::Value(length);
                        }
                        _ => self.next(),
                    }
                }
            }
            Place::Value(left) => {
                if left > 1 {
                    self.place = Place::Value(left - 1);
                } else {
                    self.next();
                }
                return self.value.feed(byte);
            }
            // See `passes`.
            Place::Data(_) | Place::End => {}
        }
        false
    }

    /// So many of the next `available` bytes need not be looked at.
    pub(super) fn passes(&mut self, available: usize) -> usize {
        match self.place {
            Place::Data(left) => {
                let passed = u32::try_from(available).unwrap_or(u32::MAX).min(left);
                self.place = Place::Data(left - passed);
                if passed == left {
                    self.next();
                }
                passed as usize
            }
            Place::End => available,
            _ => 0,
        }
    }

    fn next(&mut self) {
        self.place = if self.values > 0 { Place::Length } else { Place::End };
    }

    /// A number of so many bytes, once they have come.
    fn read(&mut self, byte: u8, bytes: u8) -> Option<u32> {
        let (seen, number) = self.number;
        let number = number << 8 | u32::from(byte);
        if seen + 1 < bytes {
            self.number = (seen + 1, number);
            return None;
        }
        self.number = (0, 0);
        Some(number)
    }
}

impl Value {
    fn new() -> Value {
        Value { conninfo: Conninfo::default(), lexer: Lexer::new(false) }
    }

    fn feed(&mut self, byte: u8) -> bool {
        let connects = self.conninfo.feed(byte);
        self.lexer.feed(byte) || connects
    }
}
