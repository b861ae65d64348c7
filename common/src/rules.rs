//! Access rules: what a mapping grants on an address.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::reason::Reason;

/// What a mapping grants on a resource, as a number in tables.
pub mod level {
    /// Refused.
    pub const NONE: u8 = 0;
    /// Receives mirrored copies, sends nothing.
    pub const OBSERVE: u8 = 1;
    /// The source opens flows, the resource answers in them.
    pub const CONNECT: u8 = 2;
    /// Either side opens flows.
    pub const FULL: u8 = 3;
}

/// Rules in one set.
pub const MAX_RULES: usize = 8;

/// One rule: traffic of a protocol and of ports → level and mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rule {
    /// Which mapping the rule belongs to.
    pub mapping: u32,
    /// The resource's first port, host byte order; 0 means any port.
    pub first_port: u16,
    /// The resource's last port.
    pub last_port: u16,
    /// IP protocol number, ICMP for both versions of it; 0 means any.
    pub protocol: u8,
    /// See [`level`].
    pub level: u8,
    /// Zero; keeps the size a multiple of 4.
    pub reserved: [u8; 2],
}

/// The rules on one address, the most specific first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RuleSet {
    /// How many of `rules` are in use.
    pub len: u32,
    /// The rules.
    pub rules: [Rule; MAX_RULES],
}

const _: () = assert!(size_of::<Rule>() == 12);
const _: () = assert!(size_of::<RuleSet>() == 4 + MAX_RULES * 12);

/// Which way a packet goes through a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// From the source network to a resource.
    Forward = 0,
    /// From a resource to the source network.
    Return = 1,
}

impl Direction {
    /// As shown to people and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Return => "return",
        }
    }
}

/// One direction of one mapping, as a number: mapping × 2 + direction; 0 is no leg, because
/// mappings count from 1.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[repr(transparent)]
pub struct Leg(pub u32);

impl Leg {
    /// No mapping was found.
    pub const NONE: Self = Self(0);

    /// One direction of a mapping.
    #[inline(always)]
    #[must_use]
    pub const fn new(mapping: u32, direction: Direction) -> Self {
        Self(mapping << 1 | direction as u32)
    }

    /// The mapping's number.
    #[must_use]
    pub const fn mapping(self) -> Option<u32> {
        match self.0 >> 1 {
            0 => None,
            mapping => Some(mapping),
        }
    }

    /// The direction.
    #[must_use]
    pub const fn direction(self) -> Direction {
        if self.0 & 1 == 0 { Direction::Forward } else { Direction::Return }
    }
}

/// What a packet does to its flow, as far as the packet alone can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromZeros)]
#[repr(u8)]
pub enum Intent {
    /// Can't be told without state: UDP and others.
    Unknown = 0,
    /// Opens it: TCP SYN, ICMP requests.
    Opens,
    /// Belongs to an open one: other TCP, ICMP replies.
    Continues,
    /// Keeps the network working: ARP, neighbour discovery, ICMP errors.
    Control,
    /// A fragment without the header that would tell. Harmless alone: the first fragment is
    /// checked, and without it nothing can be reassembled.
    Fragment,
}

/// What rules look at in a packet.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Which way it goes.
    pub direction: Direction,
    /// IP protocol number, ICMP for both versions of it.
    pub protocol: u8,
    /// The resource's port: destination port on the way forward, source port on the way back.
    pub port: u16,
    /// What it does to its flow.
    pub intent: Intent,
}

impl Rule {
    #[inline(always)]
    fn matches(&self, request: Request) -> bool {
        if matches!(request.intent, Intent::Control) {
            return self.level >= level::CONNECT;
        }
        let protocol = self.protocol == 0 || self.protocol == request.protocol;
        let port = self.first_port == 0
            || (!matches!(request.intent, Intent::Fragment)
                && self.first_port <= request.port
                && request.port <= self.last_port);
        protocol && port
    }

    #[inline(always)]
    fn judge(&self, request: Request) -> Result<(), Reason> {
        match self.level {
            level::NONE => Err(Reason::AccessNone),
            level::OBSERVE => Err(Reason::AccessObserve),
            level::FULL => Ok(()),
            _ => match (request.direction, request.intent) {
                (Direction::Return, Intent::Opens) => Err(Reason::ReturnOpens),
                (Direction::Return, Intent::Unknown) if self.first_port == 0 => Err(Reason::ReturnUnknown),
                _ => Ok(()),
            },
        }
    }
}

/// What a rule set says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The leg of the rule that spoke, or [`Leg::NONE`].
    pub leg: Leg,
    /// Why not, if not.
    pub refusal: Option<Reason>,
}

impl RuleSet {
    /// Asks the rules in order; the first that matches speaks, and silence refuses.
    #[inline(always)]
    #[must_use]
    pub fn judge(&self, request: Request) -> Judgement {
        for (index, rule) in self.rules.iter().enumerate() {
            if index >= self.len as usize {
                break;
            }
            if rule.matches(request) {
                let leg = Leg::new(rule.mapping, request.direction);
                return Judgement { leg, refusal: rule.judge(request).err() };
            }
        }
        let refusal = match request.intent {
            Intent::Fragment => Reason::InnerFragment,
            _ => Reason::PortRefused,
        };
        // An empty set, of which there should be none, has no mapping and refuses as well.
        Judgement { leg: Leg::new(self.rules[0].mapping, request.direction), refusal: Some(refusal) }
    }
}
