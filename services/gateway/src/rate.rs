//! How many calls one client may make: each has as many a second as the settings say, and may make a second's at once. And how often
//! it may try to be known and fail.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tonic::codegen::http;

use crate::identity::{Caller, Kind, peer_of};

/// After how many calls those are forgotten who have made none for a while.
const FORGET_EVERY: u32 = 4_096;

/// Whose calls are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// Somebody who said who they are, and how they showed it.
    Known(Kind, String),
    /// Somebody at this address who did not. One has a whole /64 of IPv6, and can change within it at will.
    At(IpAddr),
}

impl Client {
    /// Who makes this call; `None` when nobody can tell.
    pub(crate) fn of<B>(request: &http::Request<B>) -> Option<Self> {
        match request.extensions().get::<Caller>() {
            Some(caller) if !caller.name.is_empty() => Some(Self::Known(caller.kind, caller.name.clone())),
            _ => Some(Self::at(peer_of(request.extensions())?.ip())),
        }
    }

    fn at(address: IpAddr) -> Self {
        Self::At(household(address))
    }
}

/// The address of one client: of IPv6, its network.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (!0 << 64))),
    }
}

/// The calls of all clients.
#[derive(Debug)]
pub(crate) struct Rates {
    limiter: Option<DefaultKeyedRateLimiter<Client>>,
    calls: AtomicU32,
}

impl Rates {
    /// With `per_second` calls for each client; 0 for no limit.
    pub(crate) fn new(per_second: u32) -> Self {
        let quota = NonZeroU32::new(per_second).map(Quota::per_second);
        Self { limiter: quota.map(RateLimiter::keyed), calls: AtomicU32::new(0) }
    }

    /// Counts a call.
    ///
    /// # Errors
    /// How long the client has to wait for the next one, when it has made too many.
    pub(crate) fn count(&self, client: Option<Client>) -> Result<(), Duration> {
        let (Some(limiter), Some(client)) = (&self.limiter, client) else { return Ok(()) };
        if self.calls.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        let counted = limiter.check_key(&client);
        counted.map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }
}

/// Over which time failed logins are counted.
const MINUTE: Duration = Duration::from_secs(60);
/// Of how many addresses at most.
const ADDRESSES_MAX: usize = 65_536;

/// The logins that failed, by the address that they came from. Each address has a minute's failures at once, and gets them back one by
/// one over a minute. governor only tells by counting, and who succeeds is not counted; so this is its rule (GCRA) once more.
#[derive(Debug)]
pub(crate) struct FailedLogins {
    /// What one failure takes of the minute; `None` for no limit.
    each: Option<Duration>,
    /// When an address has all of its minute back.
    whole_at: Mutex<HashMap<IpAddr, Instant>>,
}

impl FailedLogins {
    /// With `per_minute` failures for each address; 0 for no limit.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { each: (per_minute > 0).then(|| MINUTE / per_minute), whole_at: Mutex::default() }
    }

    /// Whether somebody at `address` may try to log in at the time `now`.
    ///
    /// # Errors
    /// How long they have to wait, when too many failed.
    pub(crate) fn check(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let Some(each) = self.each else { return Ok(()) };
        let held = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(whole_at) = held.get(&household(address)) else { return Ok(()) };
        match (*whole_at + each).saturating_duration_since(now).checked_sub(MINUTE) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait),
        }
    }

    /// Counts one that failed.
    pub(crate) fn count(&self, address: IpAddr, now: Instant) {
        let Some(each) = self.each else { return };
        let mut held = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= ADDRESSES_MAX {
            held.retain(|_, whole_at| *whole_at > now);
        }
        // Whoever has so many addresses is not kept away by them.
        if held.len() < ADDRESSES_MAX || held.contains_key(&household(address)) {
            let whole_at = held.entry(household(address)).or_insert(now);
            *whole_at = (*whole_at).max(now) + each;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_too_often_has_to_wait_and_nobody_else() {
        let (failed, now) = (FailedLogins::new(3), Instant::now());
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().unwrap());
        for _ in 0..3 {
            assert_eq!(failed.check(one, now), Ok(()));
            failed.count(one, now);
        }
        assert_eq!(failed.check(one, now), Err(Duration::from_secs(20)));
        assert_eq!(failed.check(other, now), Ok(()));
        let later = now + Duration::from_secs(20);
        assert_eq!(failed.check(one, later), Ok(()), "one is given back");
        failed.count(one, later);
        assert_eq!(failed.check(one, later), Err(Duration::from_secs(20)));
        assert_eq!(failed.check(one, later + MINUTE), Ok(()));
        let unlimited = FailedLogins::new(0);
        (0..1_000).for_each(|_| unlimited.count(one, now));
        assert_eq!(unlimited.check(one, now), Ok(()));
    }

    #[test]
    fn addresses_that_failed_long_ago_are_forgotten() {
        let (failed, now) = (FailedLogins::new(60), Instant::now());
        let address = |number: usize| IpAddr::V4(std::net::Ipv4Addr::from_bits(u32::try_from(number).unwrap()));
        (0..ADDRESSES_MAX + 7).for_each(|number| failed.count(address(number), now));
        assert_eq!(failed.whole_at.lock().unwrap().len(), ADDRESSES_MAX);
        failed.count(address(ADDRESSES_MAX + 8), now + MINUTE);
        assert_eq!(failed.whole_at.lock().unwrap().len(), 1);
    }

    fn client(address: &str) -> Option<Client> {
        Some(Client::at(address.parse().unwrap()))
    }

    #[test]
    fn each_client_has_its_own_share() {
        let rates = Rates::new(2);
        let (one, other) = (client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!((rates.count(one.clone()), rates.count(one.clone())), (Ok(()), Ok(())));
        let wait = rates.count(one).unwrap_err();
        assert!(wait <= Duration::from_millis(500), "{wait:?}");
        assert_eq!((rates.count(other), rates.count(None)), (Ok(()), Ok(())));
    }

    #[test]
    fn who_is_known_is_counted_by_name_wherever_they_are() {
        let mut request = http::Request::new(());
        assert_eq!(Client::of(&request), None);
        request.extensions_mut().insert(Caller::anonymous());
        assert_eq!(Client::of(&request), None);
        request.extensions_mut().insert(Caller { name: "ci".to_owned(), kind: Kind::Token, ..Caller::anonymous() });
        assert_eq!(Client::of(&request), Some(Client::Known(Kind::Token, "ci".to_owned())));
    }

    #[test]
    fn one_household_of_ipv6_is_one_client() {
        let rates = Rates::new(1);
        assert_eq!(rates.count(client("2001:db8::1")), Ok(()));
        assert!(rates.count(client("2001:db8::2")).is_err());
        assert_eq!(rates.count(client("2001:db8:0:1::1")), Ok(()));
        assert_eq!(rates.count(client("::ffff:192.0.2.1")), Ok(()));
        assert!(rates.count(client("192.0.2.1")).is_err(), "the same address, written otherwise");
    }

    #[test]
    fn no_limit_is_no_limit() {
        let rates = Rates::new(0);
        assert!((0..10_000).all(|_| rates.count(client("192.0.2.1")).is_ok()));
    }
}
