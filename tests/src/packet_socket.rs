//! Frames by hand: an `AF_PACKET` socket sends and receives whole Ethernet frames on one interface.
//!
//! `nix` has the system calls but no way to make a link-layer address; that conversion is the one piece
//! done here.

use std::{
    io, mem,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::{
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike as _, bind, recv,
        send, socket,
    },
};

use crate::Namespace;

/// Largest frame that is received whole.
const LARGEST_FRAME: usize = 65_536;

/// Sends and receives Ethernet frames on one interface, past the IP stack. Frames that the host itself
/// sends on the interface are received too.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
}

impl PacketSocket {
    /// Opens a socket on an interface of a namespace.
    ///
    /// # Errors
    ///
    /// If there is no such interface, or without `CAP_NET_RAW`.
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        namespace
            .enter(|| -> Result<Self> {
                let index = nix::net::if_::if_nametoindex(interface)?;
                let socket = socket(
                    AddressFamily::Packet,
                    SockType::Raw,
                    SockFlag::SOCK_CLOEXEC,
                    SockProtocol::EthAll,
                )?;
                bind(socket.as_raw_fd(), &link_address(index)?)?;
                Ok(Self { socket })
            })?
            .with_context(|| format!("open a packet socket on {interface} in {}", namespace.name()))
    }

    /// Sends one frame, from its Ethernet header on.
    ///
    /// # Errors
    ///
    /// If the interface is down, or the frame is too long for it.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        send(self.socket.as_raw_fd(), frame, MsgFlags::empty()).context("send a frame")?;
        Ok(())
    }

    /// The next frame that `wanted` accepts; others are thrown away. `None` after `limit`.
    ///
    /// # Errors
    ///
    /// If the socket fails, e.g. because the interface went away.
    pub fn receive(&self, limit: Duration, mut wanted: impl FnMut(&[u8]) -> bool) -> Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + limit;
        let mut buffer = vec![0; LARGEST_FRAME];
        loop {
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) if wanted(&buffer[..length]) => {
                    buffer.truncate(length);
                    return Ok(Some(buffer));
                }
                Ok(_) | Err(nix::Error::EAGAIN) => {}
                Err(error) => return Err(error).context("receive a frame"),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // Rounded up, or the last part of a millisecond would be spent spinning.
            let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], left)
                .context("wait for a frame")?;
        }
    }
}

/// Every protocol on the interface with this index.
fn link_address(index: libc::c_uint) -> Result<LinkAddr> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET.try_into()?,
        sll_protocol: u16::try_from(libc::ETH_P_ALL)?.to_be(),
        sll_ifindex: index.try_into()?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = libc::socklen_t::try_from(mem::size_of_val(&address))?;
    // SAFETY: the pointer is to a sockaddr_ll on the stack, of the family and length it is said to have.
    unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) }
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
        .context("make a link-layer address")
}
