//! What the front door is told: who may enter, how many, how long we wait.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Everything that [`serve`](super::serve) needs to know before it starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our own title; the called title must equal it exactly.
    pub ae_title: String,
    pub access: Access,
    pub caps: Caps,
    pub timers: Timers,
    pub limits: super::prescan::Limits,
    /// Longest P-DATA that we offer to take.
    pub max_pdu: u32,
    /// While this is set, strangers are heard as far as their titles, and refused all the same.
    pub learning: Arc<AtomicBool>,
    /// Who may ask for storage commitment.
    pub commitment: super::commitment::Terms,
}

/// Longest P-DATA of ours. Larger ones no longer save time on a gigabit line, and each association
/// holds one in memory.
pub const MAX_PDU: u32 = 131_066;

impl Settings {
    /// Defaults for everything but the two things that have none.
    #[must_use]
    pub fn new(ae_title: &str, access: Access) -> Self {
        Self {
            ae_title: ae_title.to_owned(),
            access,
            caps: Caps::default(),
            timers: Timers::default(),
            limits: super::prescan::Limits::default(),
            max_pdu: MAX_PDU,
            learning: Arc::default(),
            commitment: super::commitment::Terms::default(),
        }
    }
}

/// How many connections are held at a time.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Connections that have not yet asked for an association. Above this the oldest one of the
    /// address that holds most of them is closed.
    pub pending: usize,
    pub associations: usize,
    /// Associations of one address.
    pub per_peer: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            pending: 64,
            associations: 16,
            per_peer: 8,
        }
    }
}

/// How long we wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// For the association request, and for the peer to close after a release or an abort.
    pub artim: Duration,
    /// For the whole TLS handshake.
    pub handshake: Duration,
    /// For the next byte inside a message, and for the peer to take our answer.
    pub inside: Duration,
    /// Between messages. Consoles keep an association open for minutes between reconstructions.
    pub idle: Duration,
    /// The progress rule: over so much time spent waiting for bytes ...
    pub pace_window: Duration,
    /// ... at least so many must come.
    pub pace_bytes: u64,
    /// How long a message in progress may go on when the service stops.
    pub grace: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            artim: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            inside: Duration::from_secs(60),
            idle: Duration::from_secs(15 * 60),
            pace_window: Duration::from_secs(30),
            pace_bytes: 30_000,
            grace: Duration::from_secs(5),
        }
    }
}

/// Who may enter.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everybody who calls us by our title. For a loopback address only; the caller sees to that.
    Any,
    /// The listed pairs of title and address. An address that stands in no pair is not even read.
    Peers(Vec<Peer>),
}

/// A console that may send to us: a calling title together with where it calls from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub calling: String,
    pub network: Network,
    /// A peer that may ask whether we are there, but not store.
    pub echo_only: bool,
}

/// What the access lists say to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clearance {
    Store,
    EchoOnly,
}

impl Access {
    /// Whether a connection from this address is read at all.
    #[must_use]
    pub fn knows(&self, address: IpAddr) -> bool {
        match self {
            Access::Any => true,
            Access::Peers(peers) => peers.iter().any(|p| p.network.contains(address)),
        }
    }

    /// What a caller with this title and this address may do; `None` for nothing.
    #[must_use]
    pub fn clearance(&self, calling: &str, address: IpAddr) -> Option<Clearance> {
        let Access::Peers(peers) = self else {
            return Some(Clearance::Store);
        };
        let mut matching = peers
            .iter()
            .filter(|p| p.calling == calling && p.network.contains(address));
        let first = matching.next()?;
        if first.echo_only && matching.all(|p| p.echo_only) {
            return Some(Clearance::EchoOnly);
        }
        Some(Clearance::Store)
    }
}

/// An address, or a network in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address or network such as 192.168.7.20 or 192.168.7.0/24")]
pub struct BadNetwork;

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| BadNetwork)?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| BadNetwork)?,
            None => widest,
        };
        if bits > widest {
            return Err(BadNetwork);
        }
        Ok(Self { address, bits })
    }
}

impl Network {
    /// IPv4 peers of an IPv6 socket appear as `::ffff:a.b.c.d` and count as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let differing = match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing >= u32::from(self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn peer(calling: &str, network: &str) -> Peer {
        Peer {
            calling: calling.to_owned(),
            network: network.parse().unwrap(),
            echo_only: false,
        }
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let ward: Network = "192.168.7.0/24".parse().unwrap();
        assert!(ward.contains(at("192.168.7.255")));
        assert!(ward.contains(at("::ffff:192.168.7.1")));
        assert!(!ward.contains(at("192.168.8.1")));
        assert!(!ward.contains(at("fe80::1")));
        assert!(
            "0.0.0.0/0"
                .parse::<Network>()
                .unwrap()
                .contains(at("8.8.8.8"))
        );
        for bad in ["", "x", "1.2.3.4/33", "1.2.3.4/", "1.2.3"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn title_and_address_count_as_a_pair() {
        let access = Access::Peers(vec![peer("CT1", "10.0.0.1"), peer("CT2", "10.0.0.2")]);
        assert_eq!(
            access.clearance("CT1", at("10.0.0.1")),
            Some(Clearance::Store)
        );
        assert_eq!(access.clearance("CT1", at("10.0.0.2")), None);
        assert_eq!(
            access.clearance("ct1", at("10.0.0.1")),
            None,
            "case matters"
        );
        assert!(access.knows(at("10.0.0.2")));
        assert!(!access.knows(at("10.0.0.3")));
    }

    #[test]
    fn a_peer_may_be_held_to_echo() {
        let mut only = peer("PACS", "10.0.0.9");
        only.echo_only = true;
        let access = Access::Peers(vec![only]);
        assert_eq!(
            access.clearance("PACS", at("10.0.0.9")),
            Some(Clearance::EchoOnly)
        );
    }
}
