//! A job that streams one long value each way and never holds it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A piece of a value.
const PIECE: usize = 256 * 1024;

pub(crate) struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// A session that is ready for queries.
    pub(crate) fn connect(address: SocketAddr, token: &str) -> Raw {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let mut raw = Raw { stream };
        let mut startup = Vec::from(196_608_u32.to_be_bytes());
        startup.extend_from_slice(b"user\0app\0database\0ranking\0\0");
        raw.send(None, &startup);
        assert_eq!(raw.message().0, b'R');
        raw.send(Some(b'p'), &[token.as_bytes(), b"\0"].concat());
        raw.until_ready();
        raw
    }

    fn send(&mut self, tag: Option<u8>, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        self.stream.write_all(&[tag.as_slice(), &length, body].concat()).unwrap();
    }

    /// Tag and length of the body of the next message, which is still to be read.
    fn head(&mut self) -> (u8, usize) {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        (head[0], usize::try_from(length).unwrap() - 4)
    }

    fn message(&mut self) -> (u8, Vec<u8>) {
        let (tag, length) = self.head();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        assert_ne!(tag, b'E', "{}", String::from_utf8_lossy(&body));
        (tag, body)
    }

    /// Messages up to ReadyForQuery.
    fn until_ready(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut messages = Vec::new();
        loop {
            messages.push(self.message());
            if messages.last().is_some_and(|(tag, _)| *tag == b'Z') {
                return messages;
            }
        }
    }

    /// A parameter of `size` bytes, of which the database says the length.
    pub(crate) fn send_value(&mut self, size: usize) {
        self.send(Some(b'P'), b"\0SELECT length($1::text)\0\0\0");
        let size_text = u32::try_from(size).unwrap().to_be_bytes();
        // Portal and statement without names, all in text, one value.
        let before = [&b"\0\0\0\0\0\x01"[..], &size_text].concat();
        let after = b"\0\0";
        let length = u32::try_from(4 + before.len() + size + after.len()).unwrap().to_be_bytes();
        self.stream.write_all(&[&b"B"[..], &length, &before].concat()).unwrap();
        let piece = vec![b'v'; PIECE];
        let mut left = size;
        while left > 0 {
            let now = left.min(PIECE);
            self.stream.write_all(&piece[..now]).unwrap();
            left -= now;
        }
        self.stream.write_all(after).unwrap();
        self.send(Some(b'E'), b"\0\0\0\0\0");
        self.send(Some(b'S'), b"");
        let messages = self.until_ready();
        let row = &messages.iter().find(|(tag, _)| *tag == b'D').unwrap().1;
        assert_eq!(&row[6..], size.to_string().as_bytes());
    }

    /// A row with one value of `size` bytes.
    pub(crate) fn receive_value(&mut self, size: usize) {
        self.send(Some(b'Q'), format!("SELECT repeat('v', {size})\0").as_bytes());
        assert_eq!(self.message().0, b'T');
        let (tag, mut left) = self.head();
        assert_eq!((tag, left), (b'D', size + 6));
        let mut piece = vec![0; PIECE];
        while left > 0 {
            let now = left.min(PIECE);
            self.stream.read_exact(&mut piece[..now]).unwrap();
            left -= now;
        }
        assert!(piece[..1000].iter().all(|byte| *byte == b'v'));
        self.until_ready();
    }

    pub(crate) fn terminate(mut self) {
        self.send(Some(b'X'), b"");
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
    }
}
