//! Buffers that are lent while they hold something.
//!
//! Invariant: an idle session holds none, so memory follows the sessions that move data, not those that are open.

use parking_lot::Mutex;

/// Bytes of one direction that have not been passed on; also the longest frame that is recorded whole.
pub(crate) const BUFFER: usize = 32 * 1024;

/// Lent buffers that a pool keeps when they come back; more are freed.
const KEPT: usize = 64;

/// The buffers of one worker thread; the locks are never contended.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    buffers: Mutex<Vec<Box<[u8]>>>,
    blocks: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    /// A read buffer of [`BUFFER`] bytes, its content arbitrary.
    pub(crate) fn buffer(&self) -> Box<[u8]> {
        self.buffers.lock().pop().unwrap_or_else(|| vec![0; BUFFER].into_boxed_slice())
    }

    pub(crate) fn return_buffer(&self, buffer: Box<[u8]>) {
        let mut buffers = self.buffers.lock();
        if buffers.len() < KEPT {
            buffers.push(buffer);
        }
    }

    /// An empty vector with room for a block.
    pub(crate) fn block(&self) -> Vec<u8> {
        self.blocks.lock().pop().unwrap_or_else(|| Vec::with_capacity(4 * BUFFER))
    }

    pub(crate) fn return_block(&self, mut block: Vec<u8>) {
        block.clear();
        let mut blocks = self.blocks.lock();
        if blocks.len() < KEPT && block.capacity() <= 8 * BUFFER {
            blocks.push(block);
        }
    }
}
