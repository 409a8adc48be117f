//! The catalog in SQLite.

/// placeholder
#[derive(Debug)]
pub struct SqliteCatalog {}
