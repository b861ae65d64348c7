//! From the device of a route down to the interface that XDP can send by, and the VLAN tags that
//! the devices in between put on.

use std::net::IpAddr;

use super::device::{Device, Devices};
use crate::gateway::interface::{Link, SubInterface, Tag};

/// Devices above one another; the kernel refuses more (`MAX_NEST_DEV` in include/linux/netdevice.h).
const DEEPEST: usize = 8;

/// How frames leave.
#[derive(Clone, Debug)]
pub(super) struct Egress<'a> {
    /// The gateway's own interface.
    pub(super) ifindex: u32,
    /// The route's device: it, or a VLAN device on it.
    pub(super) device: &'a Device,
    /// The tags on the wire, the outermost first.
    pub(super) tags: Vec<Tag>,
}

/// A device and those below it, down to one of the gateway's own or one that is no VLAN device.
struct Stack {
    /// From the top.
    indexes: Vec<u32>,
    /// The outermost first.
    tags: Vec<Tag>,
    end: End,
}

#[derive(PartialEq, Eq)]
enum End {
    /// At one of the gateway's interfaces.
    Attached(u32),
    /// At some other device.
    Foreign(u32),
    /// At a VLAN device whose parent is not in this namespace.
    Elsewhere,
}

impl Devices {
    /// How frames leave by a device; the error says why they can't.
    pub(super) fn egress(&self, ifindex: u32, attached: &[u32]) -> Result<Egress<'_>, String> {
        let stack = self.stack(ifindex, attached);
        let name = self.name(ifindex);
        let own = || {
            let names: Vec<String> = attached.iter().map(|ifindex| self.name(*ifindex)).collect();
            format!("it has to leave by {} or a VLAN device on it", names.join(", "))
        };
        let bottom = match stack.end {
            End::Attached(bottom) => bottom,
            End::Elsewhere => {
                return Err(format!(
                    "the route leaves by {name}, a VLAN device on an interface of another network \
                     namespace: {}",
                    own()
                ));
            }
            End::Foreign(bottom) => {
                let on = if bottom == ifindex {
                    String::new()
                } else {
                    format!("a VLAN device on {}, ", self.name(bottom))
                };
                let kind = self.get(bottom).and_then(|device| device.kind.as_deref());
                let kind = kind.map_or_else(String::new, |kind| format!(" (of type {kind})"));
                return Err(format!(
                    "the route leaves by {name}, {on}which is none of the gateway's interfaces{kind}: {}",
                    own()
                ));
            }
        };
        if stack.tags.len() > Tag::MOST {
            return Err(format!(
                "the route leaves by {name}, which puts {} VLAN tags on a frame: {} at most are possible, \
                 so it has to leave by {} or a VLAN device at most {} deep on it",
                stack.tags.len(),
                Tag::MOST,
                self.name(bottom),
                Tag::MOST,
            ));
        }
        if let Some(down) = stack.indexes.iter().find(|ifindex| !self.is_up(**ifindex)) {
            let below = if *down == ifindex { String::new() } else { format!(", below {name},") };
            return Err(format!("{}{below} is down", self.name(*down)));
        }
        let device = self.get(ifindex).ok_or_else(|| format!("{name} is gone"))?;
        Ok(Egress { ifindex: bottom, device, tags: stack.tags })
    }

    /// One of the gateway's interfaces, with the VLAN devices on it; `None` if it is gone.
    pub(super) fn link(&self, ifindex: u32, attached: &[u32]) -> Option<Link> {
        let device = self.get(ifindex)?;
        let vlans = self.iter().filter(|(_, device)| device.vlan.is_some()).filter_map(|(index, vlan)| {
            let stack = self.stack(index, attached);
            let is_usable = stack.end == End::Attached(ifindex)
                && (1..=Tag::MOST).contains(&stack.tags.len())
                && stack.indexes.iter().all(|ifindex| self.is_up(*ifindex));
            is_usable.then(|| SubInterface {
                ifindex: index,
                name: vlan.name.clone(),
                tags: stack.tags,
                addresses: own_addresses(vlan),
            })
        });
        Some(Link {
            name: device.name.clone(),
            mac: device.mac,
            mtu: device.mtu,
            is_up: device.is_up,
            addresses: own_addresses(device),
            vlans: vlans.collect(),
        })
    }

    fn stack(&self, ifindex: u32, attached: &[u32]) -> Stack {
        let mut stack = Stack { indexes: Vec::new(), tags: Vec::new(), end: End::Elsewhere };
        let mut next = Some(ifindex);
        while let Some(ifindex) = next {
            stack.indexes.push(ifindex);
            if attached.contains(&ifindex) {
                stack.end = End::Attached(ifindex);
                break;
            }
            // A dump is no snapshot: while devices change, it could show a circle that never was.
            let vlan = self.get(ifindex).and_then(|device| device.vlan);
            let Some(vlan) = vlan.filter(|_| stack.indexes.len() <= DEEPEST) else {
                stack.end = End::Foreign(ifindex);
                break;
            };
            stack.tags.push(vlan.tag);
            next = vlan.parent;
        }
        // The device on top tags first, so its tag ends up innermost.
        stack.tags.reverse();
        stack
    }

    fn is_up(&self, ifindex: u32) -> bool {
        self.get(ifindex).is_some_and(|device| device.is_up)
    }

    fn name(&self, ifindex: u32) -> String {
        self.get(ifindex).map_or_else(|| format!("interface {ifindex}"), |device| device.name.clone())
    }
}

/// The addresses at which a device may be spoken to from anywhere.
fn own_addresses(device: &Device) -> Vec<IpAddr> {
    let own = device.addresses.iter().filter(|assigned| assigned.is_valid() && !assigned.is_link_local());
    own.map(|assigned| assigned.address).collect()
}
