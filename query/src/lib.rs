//! Questions to the record: DataFusion over one snapshot of lake and hot tail.
