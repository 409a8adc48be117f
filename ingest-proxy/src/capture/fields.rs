//! Protobuf fields of bounded length, gathered on the stack and added to a block at once.

/// Up to `N` bytes; more is a mistake of the caller's.
pub(super) struct Fields<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Fields<N> {
    pub(super) fn new() -> Fields<N> {
        Fields { bytes: [0; N], len: 0 }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// A field with a number as its value; field numbers up to 15 take one byte.
    #[inline]
    pub(super) fn number(&mut self, field: u8, value: u64) {
        self.push(field << 3);
        self.varint(value);
    }

    /// A field of so many bytes, which the caller adds.
    #[inline]
    pub(super) fn length(&mut self, field: u8, len: usize) {
        self.push((field << 3) | 2);
        self.varint(len as u64);
    }

    /// A field of type `fixed64`.
    #[inline]
    pub(super) fn fixed(&mut self, field: u8, value: u64) {
        self.push((field << 3) | 1);
        self.bytes[self.len..self.len + 8].copy_from_slice(&value.to_le_bytes());
        self.len += 8;
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.push(value.to_le_bytes()[0]);
    }
}

/// Length of a number as it is encoded.
#[inline]
pub(super) fn varint_len(value: u64) -> usize {
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_are_as_long_as_said(value in any::<u64>(), shift in 0u32..64) {
            let value = value >> shift;
            let mut fields = Fields::<10>::new();
            fields.varint(value);
            prop_assert_eq!(fields.as_slice().len(), varint_len(value));
        }
    }
}
