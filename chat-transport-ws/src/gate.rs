//! How many may be in at a time, in all and from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use chat_core::auth::network_of;

use crate::limits::REFUSALS_PER_ADDRESS_MAX;

/// Counts connections and refuses those over a bound. Clones count together, so that one gate may stand before
/// several listeners.
#[derive(Debug, Clone)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    total: usize,
    per_address: usize,
    /// Guards the counts; held for a look-up only.
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    inside: usize,
    /// Has an address only while somebody from it is inside or being refused, hence no more than those.
    by_address: HashMap<IpAddr, Address>,
}

#[derive(Debug, Default)]
struct Address {
    inside: usize,
    refusals: usize,
}

/// A place inside; given back when dropped.
#[derive(Debug)]
pub struct Admission {
    shared: Arc<Shared>,
    address: IpAddr,
    refusal: bool,
}

/// Why there is no place.
#[derive(Debug)]
pub enum Refused {
    /// The address has as many connections as one may have: HTTP 429. Keep the value while answering.
    Address(Admission),
    /// There are as many connections as there may be: HTTP 503. Keep the value while answering.
    Total(Admission),
    /// The address is being refused too often already: no answer.
    Flood,
}

impl Gate {
    /// A gate for `total` connections, `per_address` of them from one address; 0 for no limit.
    #[must_use]
    pub fn new(total: usize, per_address: usize) -> Self {
        Self { shared: Arc::new(Shared { total, per_address, counts: Mutex::default() }) }
    }

    /// Asks for a place.
    ///
    /// # Errors
    /// [`Refused`] when there is none.
    pub fn admit(&self, address: IpAddr) -> Result<Admission, Refused> {
        let address = network_of(address);
        let over = |bound: usize, count: usize| bound > 0 && count >= bound;
        let mut counts = self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let full = over(self.shared.total, counts.inside);
        let place = counts.by_address.entry(address).or_default();
        let many = over(self.shared.per_address, place.inside);
        if many || full {
            if place.refusals >= REFUSALS_PER_ADDRESS_MAX {
                return Err(Refused::Flood);
            }
            place.refusals += 1;
            let admission = Admission { shared: Arc::clone(&self.shared), address, refusal: true };
            return Err(if many { Refused::Address(admission) } else { Refused::Total(admission) });
        }
        place.inside += 1;
        counts.inside += 1;
        Ok(Admission { shared: Arc::clone(&self.shared), address, refusal: false })
    }

    /// Connections inside.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner).inside
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.refusal {
            counts.inside -= 1;
        }
        if let Some(place) = counts.by_address.get_mut(&self.address) {
            if self.refusal {
                place.refusals -= 1;
            } else {
                place.inside -= 1;
            }
            if place.inside == 0 && place.refusals == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_no_more_places_than_the_bound_and_gets_them_back() {
        let gate = Gate::new(0, 2);
        let first = gate.admit(ip("192.0.2.1")).unwrap();
        let _second = gate.admit(ip("::ffff:192.0.2.1")).unwrap();
        assert!(matches!(gate.admit(ip("192.0.2.1")), Err(Refused::Address(_))));
        let _other = gate.admit(ip("192.0.2.2")).unwrap();
        drop(first);
        assert!(gate.admit(ip("192.0.2.1")).is_ok());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let gate = Gate::new(0, 1);
        let _one = gate.admit(ip("2001:db8::1")).unwrap();
        assert!(matches!(gate.admit(ip("2001:db8::2")), Err(Refused::Address(_))));
        assert!(gate.admit(ip("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn the_total_is_refused_differently_and_everything_is_forgotten_at_the_end() {
        let gate = Gate::new(1, 10);
        let one = gate.admit(ip("192.0.2.1")).unwrap();
        let refused = gate.admit(ip("192.0.2.2"));
        assert!(matches!(refused, Err(Refused::Total(_))));
        assert_eq!(gate.inside(), 1);
        drop((one, refused));
        assert_eq!(gate.inside(), 0);
        assert!(gate.shared.counts.lock().unwrap().by_address.is_empty());
    }

    #[test]
    fn an_address_that_is_refused_in_a_flood_gets_no_answer() {
        let gate = Gate::new(0, 1);
        let _one = gate.admit(ip("192.0.2.1")).unwrap();
        let refusals: Vec<_> =
            (0..REFUSALS_PER_ADDRESS_MAX).map(|_| gate.admit(ip("192.0.2.1")).unwrap_err()).collect();
        assert!(refusals.iter().all(|refused| matches!(refused, Refused::Address(_))));
        assert!(matches!(gate.admit(ip("192.0.2.1")), Err(Refused::Flood)));
    }
}
