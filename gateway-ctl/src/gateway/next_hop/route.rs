//! What `ip route get` says about an endpoint.

use std::net::IpAddr;

use futures::TryStreamExt as _;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia};
use rtnetlink::Handle;

use super::NetlinkError;

/// The kernel's way to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The device by which it leaves.
    pub(super) ifindex: u32,
    /// Who gets the frame: the endpoint itself, or a router.
    pub(super) neighbour: IpAddr,
    /// The source address that the kernel would take.
    pub(super) source: Option<IpAddr>,
}

/// Asks the kernel; the inner error says why there is no way.
pub(super) async fn ask(handle: &Handle, vtep: IpAddr) -> Result<Result<Route, String>, NetlinkError> {
    let mut request = RouteMessage::default();
    (request.header.address_family, request.header.destination_prefix_length) = match vtep {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    request.attributes.push(RouteAttribute::Destination(vtep.into()));
    match handle.route().get(request).execute().try_next().await {
        Ok(Some(answer)) => Ok(read(&answer, vtep)),
        Ok(None) => Ok(Err("no route".to_owned())),
        Err(rtnetlink::Error::NetlinkError(refusal)) => Ok(Err(format!("no route ({})", refusal.to_io()))),
        Err(error) => Err(NetlinkError::Request { act: format!("ask for the route to {vtep}"), error }),
    }
}

fn read(answer: &RouteMessage, vtep: IpAddr) -> Result<Route, String> {
    match answer.header.kind {
        RouteType::Unicast => {}
        RouteType::Local => return Err("it is an address of this host".to_owned()),
        RouteType::Multicast | RouteType::Broadcast => {
            return Err("it is no address of a single host".to_owned());
        }
        other => return Err(format!("the route to it leads nowhere ({other:?})")),
    }
    let mut route = Route { ifindex: 0, neighbour: vtep, source: None };
    for attribute in &answer.attributes {
        match attribute {
            RouteAttribute::Oif(ifindex) => route.ifindex = *ifindex,
            RouteAttribute::Gateway(RouteAddress::Inet(router)) => route.neighbour = (*router).into(),
            RouteAttribute::Gateway(RouteAddress::Inet6(router))
            // An IPv4 route by an IPv6 router (RFC 5549) names it here.
            | RouteAttribute::Via(RouteVia::Inet6(router)) => route.neighbour = (*router).into(),
            RouteAttribute::PrefSource(RouteAddress::Inet(source)) => route.source = Some((*source).into()),
            RouteAttribute::PrefSource(RouteAddress::Inet6(source)) => route.source = Some((*source).into()),
            _ => {}
        }
    }
    Ok(route)
}
