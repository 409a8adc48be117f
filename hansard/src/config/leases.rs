//! Leases, and what a revocation does.

use std::time::Duration;

use hansard_ingest_proxy::OnRevocation;

use super::Leases;
use super::raw;
use super::validate::Place;

/// Longest time that a lease may be good for: the control feed keeps records longer.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 3600);

const USUAL: Duration = Duration::from_secs(3600);

pub(super) fn leases(place: &Place<'_>, raw: raw::Leases) -> Leases {
    let max_duration = match place.time("leases.max_duration", raw.max_duration, USUAL) {
        long if long > LONGEST => {
            place.fault(place.wrong("leases.max_duration", "is more than 24h, which no lease may be good for"));
            USUAL
        }
        short if short < Duration::from_secs(1) => {
            place.fault(place.wrong("leases.max_duration", "is less than 1s"));
            USUAL
        }
        duration => duration,
    };
    if raw.max_connections == Some(0) {
        let reason = "0 would make leases that are good for nothing; leave it out for any number";
        place.fault(place.wrong("leases.max_connections", reason));
    }
    let on_revocation = match raw.on_revocation.as_deref() {
        None => OnRevocation::Cancel,
        Some(word) => OnRevocation::ALL.into_iter().find(|way| way.as_str() == word).unwrap_or_else(|| {
            place.fault(place.word("leases.on_revocation", word, &OnRevocation::ALL.map(OnRevocation::as_str)));
            OnRevocation::Cancel
        }),
    };
    Leases { enabled: raw.enabled.unwrap_or(true), max_duration, max_connections: raw.max_connections, on_revocation }
}
