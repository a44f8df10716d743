//! Whom an address stands for.

use std::net::{IpAddr, Ipv6Addr};

/// By what places and rates of an address are counted: the address itself, or for IPv6 its /64 network, of which every
/// host has as many addresses as it likes. An IPv4 address in the form of IPv6 is the IPv4 address.
///
/// ```
/// # use chat_core::auth::network_of;
/// # fn main() -> Result<(), std::net::AddrParseError> {
/// assert_eq!(network_of("2001:db8::1:2".parse()?), network_of("2001:db8::7".parse()?));
/// assert_eq!(network_of("::ffff:192.0.2.1".parse()?), "192.0.2.1".parse::<std::net::IpAddr>()?);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}
