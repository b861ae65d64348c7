//! The kernel's neighbour tables: ARP's for IPv4, neighbour discovery's for IPv6.

use std::collections::HashMap;
use std::net::IpAddr;

use futures::TryStreamExt as _;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::Handle;

use super::NetlinkError;
use crate::model::Mac;

/// MACs by device and address. A link-local address says nothing without its device.
pub(super) type Neighbours = HashMap<(u32, IpAddr), Mac>;

/// All neighbours whose MAC is usable, of both families.
pub(super) async fn list(handle: &Handle) -> Result<Neighbours, NetlinkError> {
    let failed = |error| NetlinkError::Request { act: "list neighbours".to_owned(), error };
    let mut neighbours = Neighbours::new();
    // Without a family the kernel goes through both tables in one dump.
    let mut stream = handle.neighbours().get().execute();
    while let Some(message) = stream.try_next().await.map_err(failed)? {
        if let Some((address, mac)) = usable(&message) {
            neighbours.insert((message.header.ifindex, address), mac);
        }
    }
    Ok(neighbours)
}

/// Tells the kernel that the neighbour is in use: it resolves it, or checks that it still answers.
pub(super) async fn touch(handle: &Handle, ifindex: u32, neighbour: IpAddr) -> Result<(), NetlinkError> {
    let request = handle
        .neighbours()
        .add(ifindex, neighbour)
        .state(NeighbourState::None)
        .flags(NeighbourFlags::Use)
        .replace();
    match request.execute().await {
        // The interface may be down or gone by now; the next look will tell.
        Ok(()) | Err(rtnetlink::Error::NetlinkError(_)) => Ok(()),
        Err(error) => Err(NetlinkError::Request { act: format!("ask for the MAC of {neighbour}"), error }),
    }
}

fn usable(message: &NeighbourMessage) -> Option<(IpAddr, Mac)> {
    if !matches!(message.header.family, AddressFamily::Inet | AddressFamily::Inet6)
        || matches!(
            message.header.state,
            NeighbourState::None | NeighbourState::Incomplete | NeighbourState::Failed
        )
    {
        return None;
    }
    let mut address = None;
    let mut mac = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(destination)) => {
                address = Some(IpAddr::from(*destination));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(destination)) => {
                address = Some(IpAddr::from(*destination));
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(Mac);
            }
            _ => {}
        }
    }
    Some((address?, mac?))
}
