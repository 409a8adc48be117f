//! Leases and revocations, without a clock.

use super::*;

const NOW: u64 = 1_795_317_120_000_000_000;
const SECOND: u64 = 1_000_000_000;

fn holder(issuer: &str, subject: &str, token: &str) -> Holder {
    Holder {
        issuer: issuer.into(),
        subject: subject.into(),
        job: format!("job of {subject}"),
        groups: vec!["batch".into()],
        actors: vec![crate::Actor { subject: "agent".into(), issuer: String::new() }],
        token_id: token.into(),
    }
}

fn issued(number: u8, holder: Holder) -> (Lease, Password) {
    let random = Randomness { id: [number; 16], password: [number; 32] };
    let request = LeaseRequest {
        target: "ranking".into(),
        role: "app".into(),
        expires_at: NOW + 60 * SECOND,
        ..LeaseRequest::default()
    };
    Lease::issue(request, holder, NOW, &random)
}

#[test]
fn a_verifier_is_written_as_postgresql_does() {
    // With the keys of RFC 7677, section 3: those of `pencil`.
    let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    assert_eq!(verifier_text::write(&verifier_text::read(text).unwrap()), text);
    for bad in ["", "SCRAM-SHA-256$x:$:", "md5", "SCRAM-SHA-256$4096:AA==$AA==:AA==", &text.replace("4096", "0")] {
        assert!(verifier_text::read(bad).is_none(), "{bad}");
    }
}

#[test]
fn nothing_prints_a_password_or_a_verifier() {
    let (lease, password) = issued(7, holder("ci", "a", "t1"));
    let kept = String::from_utf8(lease.to_bytes()).unwrap();
    let verifier = verifier_text::write(&lease.verifier);
    assert!(kept.contains(&verifier) && !kept.contains(password.reveal()));
    let printed = format!("{lease:?} {password:?} {:?}", Randomness { id: [7; 16], password: [7; 32] });
    assert!(!printed.contains(password.reveal()) && !printed.contains("stored_key") && !printed.contains("7, 7"));
    assert!(password.reveal().len() * 6 >= 128 && is_lease(&lease.user) && lease.user.len() <= 63);
    assert_eq!(password.reveal(), issued(7, holder("ci", "a", "t1")).1.reveal());
}

#[test]
fn a_lease_is_good_for_what_it_was_given_for() {
    let (mut lease, _) = issued(1, holder("ci", "a", ""));
    assert_eq!(lease.check("ranking", "any", None, NOW), Ok(()));
    for (target, now) in [("other", NOW), ("ranking", NOW + 60 * SECOND)] {
        assert!(lease.check(target, "any", None, now).is_err(), "{target} {now}");
    }
    lease.database = Some("one".into());
    assert_eq!(lease.check("ranking", "one", None, NOW), Ok(()));
    assert!(lease.check("ranking", "two", None, NOW).is_err());
    lease.certificate_sha256 = Some(hex::encode([9; 32]));
    assert_eq!(lease.check("ranking", "one", Some(&[9; 32]), NOW), Ok(()));
    for shown in [None, Some(&[8; 32][..])] {
        assert!(lease.check("ranking", "one", shown, NOW).is_err());
    }
}

#[test]
fn a_user_name_is_a_leases_or_not() {
    assert!(is_lease("lease-0123456789abcdef0123456789abcdef"));
    for other in [
        "",
        "lease-",
        "app",
        "lease-0123",
        "lease-0123456789ABCDEF0123456789ABCDEF",
        "xlease-0123456789abcdef0123456789abcdef",
    ] {
        assert!(!is_lease(other), "{other}");
    }
}

fn revocation(revoked: Revoked, until: u64) -> Revocation {
    Revocation { revoked, reason: "stolen".into(), by: "owner".into(), at: NOW, until }
}

fn applied(book: &mut Book, revocation: &Revocation) -> Applied {
    book.apply(&revocation.revoked.key(), &revocation.to_bytes(), NOW)
}

#[test]
fn what_is_revoked_ends_what_it_names_and_nothing_else() {
    let holders = [holder("ci", "a", "t1"), holder("ci", "b", "t2"), holder("other", "a", "t1")];
    let leases: Vec<Lease> = holders.iter().zip(1..).map(|(holder, number)| issued(number, holder.clone()).0).collect();
    let cases: [(Revoked, [bool; 3]); 5] = [
        (Revoked::Lease { id: leases[0].user.clone() }, [true, false, false]),
        (Revoked::Token { issuer: "ci".into(), id: "t1".into() }, [true, false, false]),
        (Revoked::Subject { issuer: "ci".into(), subject: "a".into() }, [true, false, false]),
        (Revoked::Job { job: "job of a".into() }, [true, false, true]),
        (Revoked::Issuer { issuer: "ci".into() }, [true, true, false]),
    ];
    for (revoked, expected) in cases {
        let mut book = Book::default();
        for lease in &leases {
            assert_eq!(book.apply(&lease.key(), &lease.to_bytes(), NOW), Applied::Lease);
        }
        let until = NOW + 30 * SECOND;
        assert!(matches!(applied(&mut book, &revocation(revoked.clone(), until)), Applied::Revocation(_)));
        let found = [0, 1, 2].map(|at| {
            let (holder, lease) = (&leases[at].holder, Some(leases[at].user.as_str()));
            assert_eq!(revoked.ends(holder, lease), book.revocation(holder, lease, NOW).is_some());
            assert_eq!(book.revocation(holder, lease, until), None, "it has ended");
            book.revocation(holder, lease, NOW).is_some()
        });
        assert_eq!(found, expected, "{revoked:?}");
        assert_eq!(book.leases(NOW).len(), expected.iter().filter(|revoked| !**revoked).count());
    }
    // A token without an id is not ended by the revocation of none.
    let none = Revoked::Token { issuer: "ci".into(), id: String::new() };
    assert!(!none.ends(&holder("ci", "a", ""), None));
}

#[test]
fn two_names_side_by_side_are_not_another_two() {
    let subject = |issuer: &str, subject: &str| Revoked::Subject { issuer: issuer.into(), subject: subject.into() };
    assert_ne!(subject("ab", "c").key(), subject("a", "bc").key());
    assert_ne!(subject("a", "b").key(), Revoked::Token { issuer: "a".into(), id: "b".into() }.key());
}

#[test]
fn records_that_do_not_fit_their_keys_are_left_out() {
    let mut book = Book::default();
    let (lease, _) = issued(1, holder("ci", "a", ""));
    let (other, _) = issued(2, holder("ci", "a", ""));
    let revocation = revocation(Revoked::Job { job: "x".into() }, u64::MAX);
    for (key, value) in [
        (lease.key(), other.to_bytes()),
        (lease.key(), b"{}".to_vec()),
        (lease.uses_key(), b"many".to_vec()),
        (Revoked::Job { job: "y".into() }.key(), revocation.to_bytes()),
        ("other.key".to_owned(), Vec::new()),
        ("other".to_owned(), Vec::new()),
    ] {
        assert_eq!(book.apply(&key, &value, NOW), Applied::Unknown, "{key}");
    }
    assert!(book.leases(NOW).is_empty());
}

#[test]
fn leases_are_bounded_and_those_that_have_ended_are_let_go() {
    let mut book = Book::default();
    let mine = holder("ci", "a", "");
    for number in 0..MAX_LEASES_OF_ONE {
        assert!(book.has_room(&mine, NOW));
        let (lease, _) = issued(u8::try_from(number).unwrap(), mine.clone());
        book.apply(&lease.key(), &lease.to_bytes(), NOW);
        book.apply(&lease.uses_key(), b"2", NOW);
    }
    assert!(!book.has_room(&mine, NOW) && book.has_room(&holder("ci", "b", ""), NOW));
    assert!(book.leases(NOW).iter().all(|(_, uses)| *uses == 2));
    assert!(book.has_room(&mine, NOW + 60 * SECOND), "they have expired");
    for _ in 0..2 * SWEEP_AFTER {
        book.apply("other.key", &[], NOW + 60 * SECOND);
    }
    assert_eq!(book.held(), 0);
}

/// As many records as a sweep comes after.
const SWEEP_AFTER: usize = 1000;
