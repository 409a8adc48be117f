//! What is kept of statements whose transaction has not ended.

use uuid::Uuid;

use super::*;

#[test]
fn what_went_back_to_a_savepoint_is_not_looked_at_again() {
    let identity = Identity {
        session_id: Uuid::nil(),
        target: "t".into(),
        job: "j".into(),
        subject: "s".into(),
        issuer: "i".into(),
        database: "d".into(),
    };
    let mut statements = Statements::default();
    for (statement, transaction) in [(3, 1), (4, 1), (5, 2), (6, 1), (7, 1)] {
        statements.open.insert(statement, OpenRow { transaction, row: 0, touches: 0..0 });
    }
    let mut back = vec![Event::RolledBack { transaction: 1, first: 4, last: 6, at: 9 }];
    statements.take(&mut back, &identity, None, &mut Rows::default());
    assert_eq!(statements.open.keys().collect::<Vec<_>>(), [&3, &5, &7]);
}

#[test]
fn a_state_from_before_starts_were_kept_tells_none_of_its_transaction() {
    let mut saved = serde_json::to_value(Context::default()).unwrap();
    saved.as_object_mut().unwrap().remove("began");
    let mut context: Context = serde_json::from_value(saved).unwrap();
    // The earlier statements of this transaction are not known.
    context.begin(7, 500);
    assert_eq!(context.began(7), None);
    context.ended(7);
    context.begin(8, 900);
    context.begin(8, 800);
    context.begin(7, 1);
    assert_eq!((context.began(8), context.began(7)), (Some(800), None));
}
