//! Every network device of the namespace with its addresses, as one look found them: one dump of
//! links and one of addresses, however many devices there are.

use std::collections::BTreeMap;
use std::net::IpAddr;

use futures::TryStreamExt as _;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoVlan, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage, VlanProtocol,
};
use rtnetlink::Handle;

use super::NetlinkError;
use crate::gateway::interface::Tag;
use crate::model::Mac;

/// All devices, by index.
#[derive(Debug, Default)]
pub(super) struct Devices(BTreeMap<u32, Device>);

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) mac: Mac,
    /// Largest IP packet it takes, bytes.
    pub(super) mtu: u32,
    /// Administratively up, with carrier.
    pub(super) is_up: bool,
    /// The driver's kind, as `ip link add … type` has it; none for hardware.
    pub(super) kind: Option<String>,
    /// If it is a VLAN device.
    pub(super) vlan: Option<Vlan>,
    /// IPv4 before IPv6, in each the oldest first.
    pub(super) addresses: Vec<Assigned>,
}

/// What makes a device a VLAN device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vlan {
    /// The device whose frames it tags; `None` if that is in another network namespace.
    pub(super) parent: Option<u32>,
    /// The tag.
    pub(super) tag: Tag,
}

/// An address of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Assigned {
    pub(super) address: IpAddr,
    pub(super) state: State,
}

/// What an address may be used for; IPv4 addresses are always preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// For everything.
    Preferred,
    /// Still valid, but nothing new should start from it (RFC 4862, section 5.5.4).
    Deprecated,
    /// For nothing yet: duplicate address detection still runs.
    Tentative,
    /// For nothing: somebody else has it.
    Duplicate,
}

impl Devices {
    /// Asks the kernel.
    pub(super) async fn look(handle: &Handle) -> Result<Self, NetlinkError> {
        let failed = |act: &str| {
            let act = act.to_owned();
            |error| NetlinkError::Request { act, error }
        };
        let mut devices = Self::default();
        let mut links = handle
            .link()
            .get()
            .set_filter_mask(AddressFamily::Unspec, vec![LinkExtentMask::SkipStats])
            .execute();
        while let Some(message) = links.try_next().await.map_err(failed("list interfaces"))? {
            devices.add_link(&message);
        }
        let mut addresses = Vec::new();
        let mut stream = handle.address().get().execute();
        while let Some(message) = stream.try_next().await.map_err(failed("list addresses"))? {
            addresses.push(message);
        }
        devices.add_addresses(&addresses);
        Ok(devices)
    }

    /// The device of this index, if there is one.
    pub(super) fn get(&self, ifindex: u32) -> Option<&Device> {
        self.0.get(&ifindex)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Device)> {
        self.0.iter().map(|(ifindex, device)| (*ifindex, device))
    }

    /// What is known of an address, on whichever device.
    pub(super) fn state(&self, address: IpAddr) -> Option<State> {
        let mut assigned = self.0.values().flat_map(|device| &device.addresses);
        assigned.find(|assigned| assigned.address == address).map(|assigned| assigned.state)
    }

    pub(super) fn add_link(&mut self, message: &LinkMessage) {
        self.0.insert(message.header.index, Device::read(message));
    }

    /// Adds the addresses of a dump, in its order.
    pub(super) fn add_addresses(&mut self, messages: &[AddressMessage]) {
        // The kernel lists IPv4 addresses from the oldest on, but puts a new IPv6 address before
        // those of the same scope (ipv6_link_dev_addr in net/ipv6/addrconf.c).
        let is_ipv6 = |message: &&AddressMessage| message.header.family == AddressFamily::Inet6;
        let ipv4 = messages.iter().filter(|message| !is_ipv6(message));
        for message in ipv4.chain(messages.iter().filter(is_ipv6).rev()) {
            if let (Some(device), Some(assigned)) =
                (self.0.get_mut(&message.header.index), Assigned::read(message))
            {
                device.addresses.push(assigned);
            }
        }
    }
}

impl Device {
    fn read(message: &LinkMessage) -> Self {
        let mut device = Self {
            name: String::new(),
            mac: Mac([0; 6]),
            mtu: 0,
            is_up: message.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
            kind: None,
            vlan: None,
            addresses: Vec::new(),
        };
        let mut link = None;
        let mut link_is_elsewhere = false;
        let mut infos: &[LinkInfo] = &[];
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => device.name.clone_from(name),
                LinkAttribute::Address(bytes) => {
                    device.mac = Mac(<[u8; 6]>::try_from(bytes.as_slice()).unwrap_or_default());
                }
                LinkAttribute::Mtu(mtu) => device.mtu = *mtu,
                LinkAttribute::Link(ifindex) => link = Some(*ifindex),
                // The index is that other namespace's: here it may name anything.
                LinkAttribute::LinkNetNsId(_) => link_is_elsewhere = true,
                LinkAttribute::LinkInfo(found) => infos = found,
                _ => {}
            }
        }
        let parent = link.filter(|_| !link_is_elsewhere);
        for info in infos {
            match info {
                LinkInfo::Kind(kind) => device.kind = Some(kind.to_string()),
                LinkInfo::Data(InfoData::Vlan(attributes)) => {
                    device.vlan = tag(attributes).map(|tag| Vlan { parent, tag });
                }
                _ => {}
            }
        }
        device
    }

    /// Whether it has a link-local IPv6 address that it may use.
    pub(super) fn has_link_local(&self) -> bool {
        self.addresses.iter().any(|assigned| assigned.is_link_local() && assigned.is_valid())
    }
}

/// The tag of a VLAN device; kernels that know no protocol but 802.1Q do not name it.
fn tag(attributes: &[InfoVlan]) -> Option<Tag> {
    let mut vlan_id = None;
    let mut protocol = VlanProtocol::Ieee8021Q;
    for attribute in attributes {
        match attribute {
            InfoVlan::Id(id) => vlan_id = Some(*id),
            InfoVlan::Protocol(found) => protocol = *found,
            _ => {}
        }
    }
    Some(Tag { tpid: protocol.into(), vlan_id: vlan_id? })
}

impl Assigned {
    fn read(message: &AddressMessage) -> Option<Self> {
        // IFA_LOCAL is the own address; an IPv6 address has it only if it also names a peer.
        let mut local = None;
        let mut address = None;
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Local(found) => local = Some(*found),
                AddressAttribute::Address(found) => address = Some(*found),
                _ => {}
            }
        }
        let flags = message.header.flags;
        let state = if message.header.family != AddressFamily::Inet6 {
            State::Preferred
        } else if flags.contains(AddressHeaderFlags::Dadfailed) {
            State::Duplicate
        } else if flags.contains(AddressHeaderFlags::Tentative) {
            State::Tentative
        } else if flags.contains(AddressHeaderFlags::Deprecated) {
            State::Deprecated
        } else {
            State::Preferred
        };
        Some(Self { address: local.or(address)?, state })
    }

    /// Known to be this host's alone.
    pub(super) fn is_valid(&self) -> bool {
        matches!(self.state, State::Preferred | State::Deprecated)
    }

    pub(super) fn is_link_local(&self) -> bool {
        is_link_local(self.address)
    }
}

/// Whether an address is of IPv6 and means something on one link only. IPv4's link-local
/// addresses are used like any other: the kernel scopes IPv4 addresses as it is told.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
