//! Traffic between namespaces over ordinary sockets: the kernel's stack is sender, receiver and judge.

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::{Namespace, wait};

/// How long a connection may stand still.
const STALL: Duration = Duration::from_secs(5);

/// Whether one echo request is answered within a second.
///
/// # Errors
///
/// If `ping` can't be run.
pub fn ping(from: &Namespace, to: impl Into<IpAddr>) -> Result<bool> {
    Ok(pings(from, to, 1)? == 1)
}

/// How many of `count` echo requests, 20 ms apart, are answered within a second.
///
/// # Errors
///
/// If `ping` can't be run or says something unexpected.
pub fn pings(from: &Namespace, to: impl Into<IpAddr>, count: u32) -> Result<u32> {
    pings_with(from, to, count, "")
}

/// Like [`pings`], with more options for `ping`, e.g. `"-s 8000"`.
///
/// # Errors
///
/// If `ping` can't be run or says something unexpected.
pub fn pings_with(from: &Namespace, to: impl Into<IpAddr>, count: u32, options: &str) -> Result<u32> {
    let to = to.into();
    let output = from.try_run(&format!("ping -n -q -c {count} -i 0.02 -W 1 {options} {to}"))?;
    let received = output.stdout.split(", ").find_map(|part| part.strip_suffix(" received"));
    received
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("ping said {:?} {:?}", output.stdout, output.stderr))
}

/// A finished TCP transfer.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    /// Payload bytes that arrived.
    pub bytes: usize,
    /// CRC-32 of what was sent.
    pub sent: u32,
    /// CRC-32 of what arrived.
    pub received: u32,
    /// From connecting to the end of the stream.
    pub took: Duration,
}

/// Sends `length` bytes each way (from, to, address there), and looks whether they arrive whole and whether either
/// kernel has ever seen a wrong checksum.
///
/// # Errors
///
/// What did not arrive, or which kernel complains of what.
pub fn arrives_whole(ways: &[(&Namespace, &Namespace, IpAddr)], length: usize) -> Result<()> {
    for (from, to, address) in ways {
        let transfer = tcp_transfer(from, to, *address, length)?;
        ensure!(
            (transfer.bytes, transfer.received) == (length, transfer.sent),
            "of {length} bytes to {address} arrived {transfer:?}"
        );
    }
    for (_, host, address) in ways {
        let errors = checksum_errors(host)?;
        ensure!(errors.values().all(|&count| count == 0), "the host of {address} has seen {errors:?}");
    }
    Ok(())
}

/// Sends `length` random bytes from one namespace to a listener on `address` in another.
///
/// # Errors
///
/// If they don't connect, or the stream stands still for five seconds.
pub fn tcp_transfer(
    from: &Namespace,
    to: &Namespace,
    address: impl Into<IpAddr>,
    length: usize,
) -> Result<Transfer> {
    let address = address.into();
    let data = std::iter::repeat_with(|| fastrand::u8(..)).take(length).collect::<Vec<_>>();
    let sent = crc32fast::hash(&data);
    let listener = to.enter(|| TcpListener::bind((address, 0)))?.context("listen")?;
    let target = listener.local_addr()?;
    let start = Instant::now();
    let received = thread::scope(|scope| -> Result<Vec<u8>> {
        let receiver = scope.spawn(|| receive_all(&listener));
        let mut stream = from
            .enter(|| TcpStream::connect_timeout(&target, STALL))?
            .context("connect through the gateway")?;
        stream.set_write_timeout(Some(STALL))?;
        stream.write_all(&data).context("send")?;
        drop(stream);
        receiver.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    Ok(Transfer { bytes: received.len(), sent, received: crc32fast::hash(&received), took: start.elapsed() })
}

fn receive_all(listener: &TcpListener) -> Result<Vec<u8>> {
    listener.set_nonblocking(true)?;
    let (mut stream, _) = wait::until(STALL, || listener.accept().ok()).context("nobody connected")?.0;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(STALL))?;
    let mut received = Vec::new();
    stream.read_to_end(&mut received).context("receive")?;
    Ok(received)
}

/// Sends one datagram and has it answered; returns what came back.
///
/// # Errors
///
/// If the request or the answer is lost.
pub fn udp_exchange(
    from: &Namespace,
    to: &Namespace,
    address: impl Into<IpAddr>,
    payload: &[u8],
) -> Result<Vec<u8>> {
    let address = address.into();
    let server = to.enter(|| UdpSocket::bind((address, 0)))?.context("bind the server")?;
    server.set_read_timeout(Some(STALL))?;
    let target = server.local_addr()?;
    let client = from.enter(|| connected(target))?.context("bind the client")?;
    client.send(payload).context("send the request")?;
    let mut buffer = vec![0; 65_536];
    let (length, client_address) = server.recv_from(&mut buffer).context("the request did not arrive")?;
    ensure!(&buffer[..length] == payload, "the request arrived changed");
    server.send_to(&buffer[..length], client_address).context("send the answer")?;
    let length = client.recv(&mut buffer).context("the answer did not arrive")?;
    buffer.truncate(length);
    Ok(buffer)
}

fn connected(target: SocketAddr) -> io::Result<UdpSocket> {
    let any =
        if target.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let client = UdpSocket::bind((any, 0))?;
    client.connect(target)?;
    client.set_read_timeout(Some(STALL))?;
    Ok(client)
}

/// Has two hosts ping each other, exchange datagrams and open streams to each other.
///
/// Every stream is one segment, so that the receiver's GRO joins none and every captured checksum is a real one.
///
/// # Errors
///
/// If anything is lost or arrives changed.
pub fn converse<A: Into<IpAddr>, B: Into<IpAddr>>(a: (&Namespace, A), b: (&Namespace, B)) -> Result<()> {
    let (a, b) = ((a.0, a.1.into()), (b.0, b.1.into()));
    for ((from, _), (to, address)) in [(a, b), (b, a)] {
        let what = || format!("from {} to {address}", from.name());
        let answered = pings(from, address, 3)?;
        ensure!(answered == 3, "{answered} of 3 pings answered {}", what());
        for payload in [&b"x"[..], &[7; 1300]] {
            let echoed = udp_exchange(from, to, address, payload).with_context(what)?;
            ensure!(echoed == payload, "{} bytes came back as {echoed:?} {}", payload.len(), what());
        }
        let transfer = tcp_transfer(from, to, address, 500).with_context(what)?;
        ensure!((transfer.bytes, transfer.received) == (500, transfer.sent), "{transfer:?} {}", what());
    }
    Ok(())
}

/// The kernel's counts of packets it threw away for a wrong checksum in a namespace, by name; all of them
/// should be zero.
///
/// # Errors
///
/// If `/proc` can't be read.
pub fn checksum_errors(namespace: &Namespace) -> Result<BTreeMap<String, u64>> {
    let text = namespace.enter(|| std::fs::read_to_string("/proc/thread-self/net/snmp"))??;
    // Pairs of lines: "Tcp: RtoAlgorithm …", "Tcp: 1 …".
    let lines = text.lines().collect::<Vec<_>>();
    let mut errors = BTreeMap::new();
    for pair in lines.chunks_exact(2) {
        let protocol = pair[0].split(':').next().unwrap_or_default();
        for (name, value) in pair[0].split_whitespace().zip(pair[1].split_whitespace()) {
            if name == "InCsumErrors" || (protocol == "Ip" && name == "InHdrErrors") {
                errors.insert(format!("{protocol} {name}"), value.parse()?);
            }
        }
    }
    ensure!(errors.len() >= 4, "no checksum counters in /proc/net/snmp:\n{text}");
    Ok(errors)
}
