//! Which refused connections are recorded one by one: whoever has no valid token writes the log at a bounded rate.
//!
//! Invariant: an address without a token gets [`BURST`] records and one more a second, all of them together
//! [`ALL_BURST`] and [`ALL_PER_SECOND`]; how many were not recorded is in the address's next record and in a metric.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Records of one address at once, and a second.
const BURST: u32 = 120;
const PER_SECOND: u32 = 1;

/// Of all addresses.
const ALL_BURST: u32 = 2000;
const ALL_PER_SECOND: u32 = 100;

/// Addresses that are counted, and for how long after their last connection.
const MOST: u64 = 4096;
const KEPT_FOR: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Debug)]
pub(crate) struct Refusals {
    addresses: Cache<IpAddr, Arc<Mutex<Address>>>,
    all: Mutex<Bucket>,
}

#[derive(Debug)]
struct Address {
    bucket: Bucket,
    unrecorded: u64,
}

/// Tokens that come back with time.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(tokens: u32) -> Bucket {
        Bucket { tokens: f64::from(tokens), at: Instant::now() }
    }

    fn fill(&mut self, most: u32, per_second: u32) -> bool {
        let now = Instant::now();
        let back = now.duration_since(self.at).as_secs_f64() * f64::from(per_second);
        (self.tokens, self.at) = ((self.tokens + back).min(f64::from(most)), now);
        self.tokens >= 1.0
    }
}

impl Refusals {
    pub(crate) fn new() -> Refusals {
        let addresses = Cache::builder().max_capacity(MOST).time_to_idle(KEPT_FOR).build();
        Refusals { addresses, all: Mutex::new(Bucket::full(ALL_BURST)) }
    }

    /// Whether a connection from there that was refused is recorded; and then, how many before it were not.
    pub(crate) fn record(&self, from: IpAddr) -> Option<u64> {
        let fresh = || Arc::new(Mutex::new(Address { bucket: Bucket::full(BURST), unrecorded: 0 }));
        let address = self.addresses.get_with(network(from), fresh);
        let mut address = address.lock();
        let mut all = self.all.lock();
        if address.bucket.fill(BURST, PER_SECOND) && all.fill(ALL_BURST, ALL_PER_SECOND) {
            address.bucket.tokens -= 1.0;
            all.tokens -= 1.0;
            return Some(std::mem::take(&mut address.unrecorded));
        }
        address.unrecorded += 1;
        crate::metrics::refusal_unrecorded();
        None
    }
}

/// Whoever has an IPv6 address has a network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_writes_at_a_bounded_rate_and_the_rest_is_counted() {
        let refusals = Refusals::new();
        let here = address("2001:db8::1");
        for _ in 0..BURST {
            assert_eq!(refusals.record(here), Some(0));
        }
        for last in 0..40u32 {
            // Of one network, which somebody else is not.
            assert_eq!(refusals.record(address(&format!("2001:db8::{last:x}:1"))), None);
        }
        assert_eq!(refusals.record(address("2001:db8:0:1::1")), Some(0));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((refusals.record(here), refusals.record(here)), (Some(40), None));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(refusals.record(here), Some(1));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_do_not_write_without_bound_either() {
        let refusals = Refusals::new();
        let recorded = |from: u32, to: u32| {
            (from..to).filter(|number| refusals.record(std::net::Ipv4Addr::from_bits(*number).into()).is_some()).count()
        };
        assert_eq!(recorded(0, 10_000), 2000);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(recorded(10_000, 20_000), 200);
    }
}
