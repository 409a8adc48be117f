//! Many and much: hundreds of connections at once, thousands one after the other, and values far larger than any
//! buffer; nothing leaks, and memory stays bounded.
