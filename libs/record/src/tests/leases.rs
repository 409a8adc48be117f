//! What is told of leases, as rows.

use hansard_schemas::events::{Actor, LeaseIssued, LeaseRevoked, ProxyAlive, Revoked};

use super::*;

const LEASE: Uuid = Uuid::from_u128(21);
const OTHER: Uuid = Uuid::from_u128(22);

fn issued(id: &str, subject: &str, expires_at: u64) -> Kind {
    Kind::LeaseIssued(LeaseIssued {
        lease: id.to_owned(),
        target: "ranking".to_owned(),
        role: "app".to_owned(),
        issuer: "ci".to_owned(),
        subject: subject.to_owned(),
        job: format!("job of {subject}"),
        groups: vec!["batch".to_owned()],
        token_id: format!("token of {subject}"),
        actors: vec![Actor { subject: "agent".to_owned(), issuer: String::new() }],
        purpose: "TICKET-1".to_owned(),
        expires_at,
        max_connections: 1,
        certificate_sha256: vec![0xab; 32],
        ..LeaseIssued::default()
    })
}

fn alive() -> Kind {
    Kind::ProxyAlive(ProxyAlive::default())
}

fn revoked(id: &str) -> Kind {
    let (by, reason) = ("owner".to_owned(), "stolen".to_owned());
    Kind::LeaseRevoked(LeaseRevoked { lease: id.to_owned(), by, reason })
}

/// The rows that left, and then those in flight, with all that was known saved and restored after each event.
fn told(events: &[(Uuid, u64, Kind)]) -> [Vec<String>; 2] {
    let mut projector = Projector::restore(0, []).unwrap();
    let (mut rows, mut saved) = (Rows::default(), BTreeMap::new());
    for (session, at, kind) in events {
        projector.apply(&block(*session, "", vec![event(*at, 1, kind.clone())]), &mut rows);
        let changes = projector.take_changes();
        saved.extend(changes.sessions.into_iter().map(|session| (session.session_id, session.state)));
        changes.ended.iter().for_each(|gone| _ = saved.remove(gone));
        projector = Projector::restore(0, saved.iter().map(|(session, state)| (*session, &state[..]))).unwrap();
    }
    let mut flying = Rows::default();
    projector.in_flight(&mut flying);
    assert_eq!(rows.batch(Table::Leases).num_rows(), rows.leases.len());
    let line = |row: &LeaseRow| {
        let revoked = row.revoked_at.map_or_else(String::new, |at| {
            format!(" revoked at {at} by {}: {}", row.revoked_by.as_deref().unwrap(), row.reason.as_deref().unwrap())
        });
        format!("{} of {} from {} to {}{revoked}", row.id, row.subject, row.issued_at, row.expires_at)
    };
    [rows, flying].map(|rows| rows.leases.iter().map(line).collect())
}

#[test]
fn a_lease_is_in_flight_until_its_time_has_come() {
    let begin = [(LEASE, 100, issued("lease-1", "a", 500)), (LEASE, 100, issued("lease-1", "a", 500))];
    assert_eq!(told(&begin), [vec![], vec!["lease-1 of a from 100 to 500".to_owned()]]);
    let later = [begin.to_vec(), vec![(OTHER, 499, alive()), (OTHER, 500, alive()), (OTHER, 600, alive())]].concat();
    assert_eq!(told(&later), [vec!["lease-1 of a from 100 to 500".to_owned()], vec![]]);
    // Its blocks come once more, after a restart of the shipper.
    let again = [later, begin.to_vec(), vec![(LEASE, 700, revoked("lease-1"))]].concat();
    assert_eq!(told(&again), [vec!["lease-1 of a from 100 to 500".to_owned()], vec![]]);
}

#[test]
fn a_revoked_lease_says_by_whom_and_once() {
    let events = [
        (LEASE, 100, issued("lease-1", "a", 500)),
        (LEASE, 150, revoked("lease-2")),
        (LEASE, 200, revoked("lease-1")),
        (LEASE, 250, revoked("lease-1")),
        (OTHER, 600, alive()),
    ];
    let row = "lease-1 of a from 100 to 500 revoked at 200 by owner: stolen".to_owned();
    assert_eq!(told(&events), [vec![row], vec![]]);
}

#[test]
fn what_leases_were_given_by_is_revoked_with_them() {
    let of = |kind: &str, subject: &str| {
        Kind::Revoked(Revoked {
            kind: kind.to_owned(),
            issuer: "ci".to_owned(),
            subject: subject.to_owned(),
            job: format!("job of {subject}"),
            token_id: format!("token of {subject}"),
            by: "owner".to_owned(),
            reason: "gone".to_owned(),
            until: 10_000,
        })
    };
    for (kind, subject, ended) in [
        ("token", "a", 1),
        ("subject", "a", 1),
        ("job", "b", 1),
        ("issuer", "", 2),
        ("subject", "c", 0),
        ("unheard of", "a", 0),
    ] {
        let events = [
            (LEASE, 100, issued("lease-1", "a", 500)),
            (OTHER, 100, issued("lease-2", "b", 500)),
            (Uuid::from_u128(23), 200, of(kind, subject)),
            (Uuid::from_u128(23), 200, of(kind, subject)),
        ];
        let [left, flying] = told(&events);
        assert_eq!((left.len(), flying.len()), (ended, 2 - ended), "{kind} {subject}");
        assert!(left.iter().all(|line| line.ends_with("revoked at 200 by owner: gone")), "{left:?}");
    }
}

#[test]
fn a_lease_is_forgotten_when_nothing_of_it_can_come_any_more() {
    let mut projector = Projector::restore(0, []).unwrap();
    let mut rows = Rows::default();
    let late = u64::try_from(REMEMBERED).unwrap() + 1_000;
    projector.apply(&block(LEASE, "", vec![event(100, 1, issued("lease-1", "a", 500))]), &mut rows);
    projector.apply(&block(OTHER, "", vec![event(600, 1, alive())]), &mut rows);
    assert_eq!(projector.take_changes().sessions.len(), 1);
    projector.apply(&block(OTHER, "", vec![event(late, 2, alive())]), &mut rows);
    let changes = projector.take_changes();
    assert_eq!((changes.sessions.len(), changes.ended), (0, vec![LEASE]));
    assert_eq!(rows.leases.len(), 1);
}
