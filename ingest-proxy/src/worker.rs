//! What the sessions of one thread share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::capture::journal::Journal;
use crate::metrics::Traffic;
use crate::relay::pool::Pool;
use crate::shared::Shared;

/// See the module.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) journal: Journal,
    pub(crate) pool: Pool,
    pub(crate) traffic: Traffic,
    /// Cancelled when sessions should end as soon as they are idle.
    pub(crate) stopping: CancellationToken,
}
