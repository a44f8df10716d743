//! Whom a request comes from.

use std::{borrow::Cow, net::IpAddr};

use axum::extract::FromRequestParts;
use chat_core::auth::network_of;
use http::{HeaderMap, request::Parts};

use super::{App, problem::Problem};
use crate::{accept::Peer, config::Network};

/// The address that a request comes from, trusted proxies resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl ClientAddress {
    /// What rates are counted by.
    pub(crate) fn rate_key(self) -> IpAddr {
        network_of(self.0)
    }
}

impl FromRequestParts<App> for ClientAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().ok_or_else(Problem::unavailable)?;
        Ok(Self(resolve(peer.address(), &parts.headers, app.trusted_proxies())))
    }
}

/// Walks `X-Forwarded-For` from its right end, where the nearest proxy wrote, for as long as whoever wrote is
/// trusted. What stands further left is hearsay.
fn resolve(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    // A line with other bytes than ASCII ends with what the proxy wrote, like any other.
    let lines: Vec<Cow<'_, str>> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()))
        .collect();
    let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    let mut address = peer.to_canonical();
    while is_trusted(address) {
        // A proxy that wrote nothing sensible is the last one that can be named.
        let Some(hop) = hops.next().and_then(|hop| parse_hop(hop.trim())) else { break };
        address = hop.to_canonical();
    }
    address
}

/// An address, perhaps with a port.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse().ok().map(|address: std::net::SocketAddr| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", http::HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let trusted: Vec<_> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        resolve(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn without_trusted_proxies_the_header_means_nothing() {
        assert_eq!(resolved("192.0.2.1", &["198.51.100.7"], &[]), "192.0.2.1");
    }

    #[test]
    fn the_first_untrusted_hop_from_the_right_is_the_client() {
        let trusted = &["10.0.0.0/8"];
        assert_eq!(resolved("10.0.0.1", &["1.1.1.1, 198.51.100.7"], trusted), "198.51.100.7");
        assert_eq!(resolved("10.0.0.1", &["1.1.1.1", "198.51.100.7, 10.0.0.2"], trusted), "198.51.100.7");
        assert_eq!(resolved("192.0.2.1", &["198.51.100.7"], trusted), "192.0.2.1");
        assert_eq!(resolved("10.0.0.1", &["198.51.100.7:4711"], trusted), "198.51.100.7");
        assert_eq!(resolved("10.0.0.1", &["ÿ, 198.51.100.7"], trusted), "198.51.100.7");
        assert_eq!(resolved("::ffff:10.0.0.1", &["[2001:db8::1]:80"], trusted), "2001:db8::1");
    }

    #[test]
    fn a_header_without_sense_names_the_proxy_itself() {
        let trusted = &["10.0.0.0/8"];
        assert_eq!(resolved("10.0.0.1", &["1.1.1.1, unknown"], trusted), "10.0.0.1");
        assert_eq!(resolved("10.0.0.1", &[], trusted), "10.0.0.1");
        assert_eq!(resolved("10.0.0.1", &["10.0.0.3"], trusted), "10.0.0.3");
        assert_eq!(resolved("10.0.0.1", &["1.1.1.1", "ÿ"], trusted), "10.0.0.1", "nothing is read beyond it");
    }

    #[test]
    fn an_ipv6_network_has_one_allowance() {
        let key = |text: &str| ClientAddress(text.parse().unwrap()).rate_key().to_string();
        assert_eq!(key("2001:db8::1:2"), "2001:db8::");
        assert_eq!(key("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
