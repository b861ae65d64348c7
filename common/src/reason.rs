//! Why a packet left the gateway the way it did.

use zerocopy::FromZeros;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// To the host's own stack.
    Passed,
    /// Nowhere.
    Dropped,
    /// Out of another interface.
    Redirected,
    /// Out of the interface it came in by.
    Transmitted,
}

impl Verdict {
    /// As shown to people and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Dropped => "dropped",
            Self::Redirected => "redirected",
            Self::Transmitted => "transmitted",
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $verdict:ident;)+) => {
        /// Why a packet left. Every packet leaves with exactly one reason, and every reason has
        /// one verdict.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromZeros)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// All reasons, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// As shown to people and in metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn explain(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// What becomes of the packet.
            #[inline(always)]
            #[must_use]
            pub const fn verdict(self) -> Verdict {
                match self { $(Self::$name => Verdict::$verdict,)+ }
            }
        }
    };
}

reasons! {
    /// Translated, and sent out of another interface.
    Forwarded = "forwarded", Redirected;
    /// Translated, and sent back out of the interface it came in by.
    Hairpinned = "hairpinned", Transmitted;

    /// The interface is not (yet) configured.
    NoInterface = "no-interface", Passed;
    /// Neither IPv4 nor IPv6.
    NotIp = "not-ip", Passed;
    /// Tagged for a VLAN that is neither a network's nor one of the underlay's, or tagged more than twice.
    ForeignVlan = "foreign-vlan", Passed;
    /// Too short or inconsistent to be told what it is; the host judges it.
    OuterMalformed = "outer-malformed", Passed;
    /// Not addressed to this gateway.
    NotForGateway = "not-for-gateway", Passed;
    /// Not a tunnel packet.
    NotTunnel = "not-tunnel", Passed;
    /// A fragment of an outer packet; the host reassembles it.
    OuterFragment = "outer-fragment", Passed;
    /// The tunnel packet carries no Ethernet frame: a control message, say.
    TunnelPayload = "tunnel-payload", Passed;
    /// The tunnel header carries no identifier.
    NoIdentifier = "no-identifier", Passed;
    /// The VNI is neither a label nor a declared network's of that encapsulation.
    LocalVni = "local-vni", Passed;
    /// No mapping leads from the network to the inner destination.
    NotMapped = "not-mapped", Passed;

    /// The lengths in the outer headers contradict each other or the frame.
    OuterLength = "outer-length", Dropped;
    /// IPv4 options in front of a tunnel header.
    OuterOptions = "outer-options", Dropped;
    /// The outer IPv4 header's checksum is wrong.
    OuterChecksum = "outer-checksum", Dropped;
    /// The tunnel header has flags of an extension that the network does not use.
    TunnelFlags = "tunnel-flags", Dropped;
    /// The tunnel header's options contradict its length, or an option that must be the first is not.
    TunnelOptions = "tunnel-options", Dropped;
    /// The tunnel header has an option that must be understood, and is not.
    CriticalOption = "critical-option", Dropped;
    /// The identifier names no mapping: unknown, or revoked.
    UnknownIdentifier = "unknown-identifier", Dropped;
    /// The identifier came from a peer that may not use it.
    ForeignIdentifier = "foreign-identifier", Dropped;
    /// The inner frame is cut short or contradicts itself.
    InnerMalformed = "inner-malformed", Dropped;
    /// The mapping does not list the resource.
    Unlisted = "unlisted", Dropped;
    /// The mapping lists the resource, but not this protocol or port.
    PortRefused = "port-refused", Dropped;
    /// A later fragment, for which only rules without ports can speak, and none does.
    InnerFragment = "inner-fragment", Dropped;
    /// The access level is `none`.
    AccessNone = "access-none", Dropped;
    /// The access level is `observe`, which sends nothing.
    AccessObserve = "access-observe", Dropped;
    /// The access level is `connect`, and the resource tries to open a flow.
    ReturnOpens = "return-opens", Dropped;
    /// The access level is `connect` without ports, so that an answer can't be told from a new flow.
    ReturnUnknown = "return-unknown", Dropped;
    /// The outer TTL is used up.
    TtlExpired = "ttl-expired", Dropped;
    /// Nobody knows where the destination lives: no endpoint is declared, and none has been learned.
    UnknownEndpoint = "unknown-endpoint", Dropped;
    /// The next hop's MAC or route is not known (yet).
    NextHopUnresolved = "next-hop-unresolved", Dropped;
    /// The packet does not fit the egress interface.
    EgressMtu = "egress-mtu", Dropped;
    /// With the gateway's own option the tunnel header would have more than 252 bytes of options.
    OptionsFull = "options-full", Dropped;
    /// The driver leaves too little room in front of the frame for the new headers.
    NoHeadroom = "no-headroom", Dropped;
    /// The outer header says that the way was congested, and the inner packet can't carry the mark (RFC 6040).
    EcnCongested = "ecn-congested", Dropped;
    /// The egress interface is gone.
    NoEgress = "no-egress", Dropped;
    /// A table names an entry that is not there: a fault of the gateway.
    Internal = "internal", Dropped;
}

impl Reason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The reason's number, below [`Self::COUNT`].
    #[inline(always)]
    #[must_use]
    pub const fn index(self) -> u32 {
        self as u32
    }

    /// The reason of this number.
    #[must_use]
    pub fn from_index(index: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(index).ok()?).copied()
    }

    /// The reason of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }
}
