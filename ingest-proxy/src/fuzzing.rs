//! What the fuzz targets (`fuzz/`) reach of the proxy, which has no other public parsers: each function takes bytes from
//! outside and asserts what has to hold of them. Only with feature `fuzzing`; the crate's tests run the same functions.

pub use crate::postgres::parameters::fuzzing::start_up;
pub use crate::postgres::upstream::fuzzing::{ScramBytes, messages, scram};
