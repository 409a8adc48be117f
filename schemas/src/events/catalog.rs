//! Packing what a [`CatalogRead`] tells.
//!
//! Invariant: unpacking allocates no more than [`MAX_CHANGES`] for the message, whatever its bytes say.

use std::io::Read;

use prost::Message;

use super::{BlockError, CatalogChange, CatalogChanges, CatalogRead};

/// Longest `CatalogChanges` of one event, in bytes, before compression. Producers cut at a quarter of it; the rest is
/// headroom for one object that is long by itself.
pub const MAX_CHANGES: u64 = 2 * 1024 * 1024;

/// Largest zstd window, as a power of two: that of [`MAX_CHANGES`].
const WINDOW_LOG: u32 = 21;

impl CatalogRead {
    /// Puts changes into the event.
    pub fn pack(&mut self, changes: Vec<CatalogChange>, level: i32) -> Result<(), BlockError> {
        (self.changes, self.changes_length) = (Vec::new(), 0);
        if changes.is_empty() {
            return Ok(());
        }
        let encoded = CatalogChanges { changes }.encode_to_vec();
        let length = encoded.len() as u64;
        if length > MAX_CHANGES {
            return Err(BlockError::TooLong(length));
        }
        self.changes = zstd::bulk::compress(&encoded, level).map_err(BlockError::Zstd)?;
        self.changes_length = length;
        Ok(())
    }

    /// The changes in it.
    pub fn unpack(&self) -> Result<Vec<CatalogChange>, BlockError> {
        if self.changes.is_empty() {
            return Ok(Vec::new());
        }
        if self.changes_length > MAX_CHANGES {
            return Err(BlockError::TooLong(self.changes_length));
        }
        let mut encoded = Vec::new();
        zstd::stream::read::Decoder::new(&self.changes[..])
            .and_then(|mut decoder| {
                decoder.window_log_max(WINDOW_LOG)?;
                decoder.take(self.changes_length + 1).read_to_end(&mut encoded)
            })
            .map_err(BlockError::Zstd)?;
        let actual = encoded.len() as u64;
        if actual != self.changes_length {
            return Err(BlockError::Length { actual, stated: self.changes_length });
        }
        Ok(CatalogChanges::decode(&encoded[..])?.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(oid: u32, length: usize) -> CatalogChange {
        CatalogChange { kind: "relation".to_owned(), oid, removed: false, definition: "x".repeat(length) }
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let changes = vec![change(1, 1000), CatalogChange { removed: true, ..change(2, 0) }];
        let mut read = CatalogRead::default();
        read.pack(changes.clone(), 3).unwrap();
        assert!(read.changes.len() < 200);
        assert_eq!(read.unpack().unwrap(), changes);
        read.pack(Vec::new(), 3).unwrap();
        assert_eq!(read, CatalogRead::default());
        assert_eq!(read.unpack().unwrap(), []);
    }

    #[test]
    fn more_than_allowed_is_refused_on_both_sides() {
        let mut read = CatalogRead::default();
        let long = usize::try_from(MAX_CHANGES).unwrap();
        assert!(matches!(read.pack(vec![change(1, long)], 3), Err(BlockError::TooLong(_))));
        read.pack(vec![change(1, 100_000)], 3).unwrap();
        let stated = read.changes_length;
        for wrong in [stated - 1, stated + 1, 0] {
            let lying = CatalogRead { changes_length: wrong, ..read.clone() };
            assert!(matches!(lying.unpack(), Err(BlockError::Length { .. })), "{wrong}");
        }
        let lying = CatalogRead { changes_length: u64::MAX, ..read };
        assert!(matches!(lying.unpack(), Err(BlockError::TooLong(_))));
    }
}
