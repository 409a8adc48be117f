//! Differences, and what is found after them.

use proptest::prelude::*;

use super::*;

fn relation(schema: u8, name: u8, parent: Option<u8>) -> Object {
    Object::Relation(Box::new(Relation {
        schema: format!("s{schema}").into(),
        name: format!("t{name}").into(),
        columns: vec![Column { name: format!("c{name}").into(), kind: 23 }],
        parents: parent.into_iter().map(Oid::from).collect(),
        ..Relation::default()
    }))
}

fn any_object() -> impl Strategy<Value = Object> {
    let named = |name: u8| Text::from(format!("n{name}"));
    prop_oneof![
        (0..3u8, 0..3u8, proptest::option::of(0..4u8))
            .prop_map(|(schema, name, parent)| relation(schema, name, parent)),
        (0..3u8).prop_map(move |name| Object::Schema(Schema { name: named(name), owner: 1, usage: vec![0] })),
        (0..3u8).prop_map(move |name| Object::Role(Role { name: named(name), ..Role::default() })),
        (0..4u32).prop_map(|relation| Object::Trigger(Trigger { relation, ..Trigger::default() })),
        (0..4u32).prop_map(|references| Object::ForeignKey(ForeignKey { references, ..ForeignKey::default() })),
        (0..3u8)
            .prop_map(move |name| Object::Function(Box::new(Function { name: named(name), ..Function::default() }))),
        (0..3u32).prop_map(|array| Object::Type(Type { kind: TypeKind::Domain, array, ..Type::default() })),
        Just(Object::EventTrigger(EventTrigger::default())),
    ]
}

fn any_objects() -> impl Strategy<Value = Vec<(Oid, Object)>> {
    proptest::collection::vec((0..6u32, any_object()), 0..20)
}

proptest! {
    /// A difference makes the one of the other, through its written form too, and leaves nothing behind in the indices.
    #[test]
    fn a_difference_makes_one_of_the_other(one in any_objects(), other in any_objects()) {
        let (mut one, other) = (Catalog::of(one), Catalog::of(other));
        let written = serde_json::to_string(&one.changes_to(&other)).unwrap();
        let changes: Vec<Change> = serde_json::from_str(&written).unwrap();
        changes.into_iter().for_each(|change| one.apply(change));
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(one.changes_to(&other), []);
        for oid in 0..6 {
            prop_assert_eq!(one.children(oid), other.children(oid));
            prop_assert_eq!(one.triggers(oid).count(), other.triggers(oid).count());
            prop_assert_eq!(one.referencing(oid).count(), other.referencing(oid).count());
        }
        for name in 0..3 {
            let (relation, named) = (format!("t{name}"), format!("n{name}"));
            prop_assert_eq!(one.relations_named(&relation), other.relations_named(&relation));
            prop_assert_eq!(one.functions_named(&named).count(), other.functions_named(&named).count());
        }
        let again: Catalog = serde_json::from_str(&serde_json::to_string(&one).unwrap()).unwrap();
        prop_assert_eq!(again, one);
    }
}

#[test]
fn a_relation_is_found_under_its_new_name_only() {
    let mut catalog = Catalog::of([(1, relation(1, 1, None)), (2, relation(1, 2, Some(1)))]);
    assert_eq!((catalog.relation_named("s1", "t1"), catalog.children(1)), (Some(1), &[2][..]));
    // The names are exchanged.
    catalog.insert(1, relation(1, 2, None));
    catalog.insert(2, relation(1, 1, None));
    assert_eq!((catalog.relation_named("s1", "t1"), catalog.relation_named("s1", "t2")), (Some(2), Some(1)));
    assert_eq!((catalog.relations_named("t1"), catalog.children(1)), (&[2][..], &[][..]));
    catalog.apply(Change { kind: Kind::Relation, oid: 2, object: None });
    assert_eq!((catalog.relation_named("s1", "t1"), catalog.len()), (None, 1));
}

/// The names of fields are in events and in the lake for ever.
#[test]
fn the_written_form_is_this() {
    let change = Catalog::default().changes_to(&Catalog::of([(7, relation(1, 2, Some(3)))])).remove(0);
    assert_eq!(
        serde_json::to_string(&change).unwrap(),
        r#"{"kind":"relation","oid":7,"object":{"relation":{"schema":"s1","name":"t2","kind":"r","columns":[{"n":"c2","t":23}],"parents":[3]}}}"#
    );
}
