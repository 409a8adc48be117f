//! What is told last when the proxy stops.

use std::time::Duration;

use hansard_event_log::{EventLog, Position};
use hansard_schemas::events::{BlockExt, event::Kind};

use crate::proxy::RunningProxy;
use crate::record;

/// The process's end closes what is open: Hansard's own sessions end before it, and their record is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_hansards_own_sessions_before_it_is_told() {
    let proxy = RunningProxy::start().await;
    while record::told(&proxy.log).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (log, _folder) = proxy.stop().await;
    for shard in 0..log.shards() {
        let mut kinds = Vec::new();
        let mut from = Position::START;
        loop {
            let batch = log.read(shard, from, 1 << 20).await.unwrap();
            for positioned in &batch.blocks {
                kinds.extend(positioned.block.events().unwrap().into_iter().filter_map(|event| event.kind));
            }
            if batch.blocks.is_empty() {
                break;
            }
            from = batch.next;
        }
        let stopped = kinds.iter().position(|kind| matches!(kind, Kind::ProxyStopped(_))).unwrap();
        assert_eq!(stopped + 1, kinds.len(), "nothing comes behind it: {:?}", &kinds[stopped..]);
    }
}
