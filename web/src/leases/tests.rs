//! What is asked for and told of leases.

use super::*;

fn target() -> LeaseTarget {
    LeaseTarget { name: "ranking".into(), host: "::1".into(), port: 6432, database: None, tls: true }
}

#[test]
fn lengths_are_read_or_refused() {
    for (text, seconds) in [("30m", 1800), ("45s", 45), ("2h", 7200), ("7d", 7 * 24 * 3600)] {
        assert_eq!(length(text), Some(Duration::from_secs(seconds)), "{text}");
    }
    for bad in ["", "m", "30", "-1m", "1.5h", "30 m", "ü", "99999999999999999999s", "9999999999999999999h"] {
        assert_eq!(length(bad), None, "{bad}");
    }
}

#[test]
fn what_is_told_of_a_lease_can_be_used_as_it_is() {
    let wanted =
        Wanted { target: "ranking".into(), role: "app".into(), database: Some("a:b/c d".into()), ..Wanted::default() };
    let random = Randomness { id: [1; 16], password: [0xff; 32] };
    let (lease, password) = Lease::issue(wanted, Holder::default(), 0, &random);
    let told = given(&lease, password.reveal(), &target());
    let (user, password) = (&lease.user, password.reveal());
    assert_eq!(told.url, format!("postgres://{user}:{password}@[::1]:6432/a%3Ab%2Fc%20d?sslmode=require"));
    assert_eq!(told.pgpass, format!("\\:\\:1:6432:a\\:b/c d:{user}:{password}"));
    assert_eq!(told.environment["PGDATABASE"], "a:b/c d");
    assert_eq!(percent(password), password, "as it is in the URL");
    let anywhere = given(&Lease { database: None, ..lease }, password, &LeaseTarget { tls: false, ..target() });
    assert!(anywhere.url.ends_with(":6432") && anywhere.pgpass.contains(":*:"));
    assert!(!anywhere.environment.contains_key("PGDATABASE") && !anywhere.environment.contains_key("PGSSLMODE"));
    assert!(!format!("{told:?}").contains(password));
}
