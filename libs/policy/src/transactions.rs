//! Statements that begin, end or leave transactions.

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableStmt, DiscardMode, TransactionStmt, TransactionStmtKind};

use crate::Effect;

pub(crate) fn effect(transaction: &TransactionStmt) -> Effect {
    let (chain, savepoint, gid) = (transaction.chain, transaction.savepoint_name.clone(), transaction.gid.clone());
    match TransactionStmtKind::try_from(transaction.kind) {
        Ok(TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart) => Effect::Begin,
        Ok(TransactionStmtKind::TransStmtCommit) => Effect::Commit { chain },
        Ok(TransactionStmtKind::TransStmtRollback) => Effect::Rollback { chain },
        Ok(TransactionStmtKind::TransStmtSavepoint) => Effect::Savepoint(savepoint),
        Ok(TransactionStmtKind::TransStmtRelease) => Effect::Release(savepoint),
        Ok(TransactionStmtKind::TransStmtRollbackTo) => Effect::RollbackTo(savepoint),
        Ok(TransactionStmtKind::TransStmtPrepare) => Effect::PrepareTransaction(gid),
        Ok(TransactionStmtKind::TransStmtCommitPrepared) => Effect::CommitPrepared(gid),
        Ok(TransactionStmtKind::TransStmtRollbackPrepared) => Effect::RollbackPrepared(gid),
        Ok(TransactionStmtKind::Undefined) | Err(_) => Effect::None,
    }
}

/// [`crate::Statement::may_end_transaction`]. Neither a function nor what EXPLAIN runs can end a transaction; inside a
/// transaction block the server refuses to.
pub(crate) fn may_end(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::DoStmt(_) | NodeEnum::CallStmt(_) => true,
        // What commits by itself: callers of PreventInTransactionBlock, and VACUUM's and CLUSTER's own transactions.
        NodeEnum::VacuumStmt(_)
        | NodeEnum::ClusterStmt(_)
        | NodeEnum::ReindexStmt(_)
        | NodeEnum::CreatedbStmt(_)
        | NodeEnum::DropdbStmt(_)
        | NodeEnum::AlterDatabaseStmt(_)
        | NodeEnum::CreateTableSpaceStmt(_)
        | NodeEnum::DropTableSpaceStmt(_)
        | NodeEnum::AlterSystemStmt(_)
        | NodeEnum::CreateSubscriptionStmt(_)
        | NodeEnum::AlterSubscriptionStmt(_)
        | NodeEnum::DropSubscriptionStmt(_) => true,
        NodeEnum::IndexStmt(index) => index.concurrent,
        NodeEnum::DropStmt(drop) => drop.concurrent,
        NodeEnum::AlterTableStmt(alter) => detaches_concurrently(alter),
        NodeEnum::DiscardStmt(discard) => DiscardMode::try_from(discard.target) == Ok(DiscardMode::DiscardAll),
        NodeEnum::TransactionStmt(transaction) => matches!(
            TransactionStmtKind::try_from(transaction.kind),
            Ok(TransactionStmtKind::TransStmtCommitPrepared | TransactionStmtKind::TransStmtRollbackPrepared)
        ),
        _ => false,
    }
}

fn detaches_concurrently(alter: &AlterTableStmt) -> bool {
    alter.cmds.iter().any(|command| match &command.node {
        Some(NodeEnum::AlterTableCmd(command)) => {
            matches!(command.def.as_ref().and_then(|def| def.node.as_ref()),
                Some(NodeEnum::PartitionCmd(partition)) if partition.concurrent)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use crate::analyse;

    #[test]
    fn what_may_end_a_transaction_is_told() {
        for (sql, expected) in [
            ("do $$ begin commit; end $$", true),
            ("call p()", true),
            ("vacuum t", true),
            ("create index concurrently on t (a)", true),
            ("create index on t (a)", false),
            ("drop index concurrently i", true),
            ("drop index i", false),
            ("alter table t detach partition u concurrently", true),
            ("alter table t detach partition u", false),
            ("commit prepared 'x'", true),
            ("discard all", true),
            ("discard plans", false),
            ("select f()", false),
            ("commit", false),
            ("update t set a = 1", false),
            ("not sql", true),
        ] {
            assert_eq!(analyse(sql).statements[0].may_end_transaction, expected, "{sql}");
        }
    }
}
