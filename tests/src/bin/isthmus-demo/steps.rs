//! The demo's story, top to bottom.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use isthmus_tests::{
    Federation, Isthmus, Namespace,
    capture::{Capture, Recording},
    federation::{self, BLUE, BLUE_VNI, GATEWAY_LEFT, NETWORKS, RED, RED_VNI, RED_VTEP, UNKNOWN_LABEL},
    frame::{self, Outer},
    interrupt, isthmus,
    packet_socket::PacketSocket,
    process::Process,
    traffic, wait,
};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::screen::{Screen, say};

/// The mapping of the demo.
const MAPPING: &str = "8c4f1f0e-1d8a-4c7e-9d62-2b1a5a3f9c01";

/// Payload of the TCP transfer.
const TRANSFER: usize = 8 << 20;

/// What a capture keeps of a frame: all headers, outside and inside.
const HEADERS: u32 = 128;

/// What the gateway may take to put a change in force.
const SOON: Duration = Duration::from_secs(1);

/// Runs the whole demo.
pub(crate) fn run(screen: &mut Screen) -> Result<()> {
    screen.step("Two tenants and a gateway host, as network namespaces");
    let federation = Federation::new()?;
    let demo = Demo { isthmus: Isthmus::new(&federation)?, federation: &federation };
    demo.introduce(screen)?;
    demo.story(screen).inspect_err(|_| {
        interrupt::end_if_interrupted();
        // Said here, while the topology still has it.
        eprintln!("\n{}", federation.topology.describe_processes());
    })
}

struct Demo<'a> {
    federation: &'a Federation,
    isthmus: Isthmus<'a>,
}

impl Demo<'_> {
    fn story(&self, screen: &mut Screen) -> Result<()> {
        let gateway = self.start(screen)?;
        self.nothing_crosses(screen)?;
        self.traffic_crosses(screen)?;
        self.unknown_identifier(screen)?;
        self.deletion_stops_traffic(screen)?;
        self.counters_add_up(screen)?;
        self.gateway_leaves_nothing(screen, &gateway)
    }

    fn introduce(&self, screen: &Screen) -> Result<()> {
        say("red   10.0.0.10 in VXLAN 42 on the left underlay");
        say("blue  10.0.0.20 in VXLAN 77 on the right underlay");
        say("gw    on both underlays; it does not route IP");
        for (host, namespace, device) in
            [("red", &self.federation.red, "vxlan42"), ("blue", &self.federation.blue, "vxlan77")]
        {
            let mut show = namespace.command("ip");
            show.args(["-brief", "address", "show", "dev", device]);
            screen.run(host, show)?.success()?;
        }
        Ok(())
    }

    fn start(&self, screen: &mut Screen) -> Result<Process> {
        screen.step("A broker and a gateway");
        screen.show("gw", &self.isthmus.broker_command());
        self.isthmus.start_broker()?;
        screen.show("gw", &self.isthmus.gateway_command(&["left", "right"]));
        let gateway = self.isthmus.start_gateway(&["left", "right"])?;
        self.ask_gateway(screen, &["status"])?;
        let mut attached = self.isthmus.attached()?;
        attached.sort();
        screen.verify(
            "XDP is attached to both underlays",
            attached == ["left", "right"],
            attached.join(", "),
        );
        Ok(gateway)
    }

    fn nothing_crosses(&self, screen: &mut Screen) -> Result<()> {
        screen.step("The networks are declared, but no mapping joins them");
        let manifest = self.federation.topology.write("networks.yaml", NETWORKS)?;
        say(&format!("{} declares:", manifest.display()));
        show_text(NETWORKS);
        self.apply(screen, &manifest.to_string_lossy())?;
        let capture = self.capture(&self.federation.blue)?;
        let ping = ping(&self.federation.red, 3);
        screen.run("red", ping)?;
        let arrived = capture.stop()?.fields("vxlan", &["vxlan.vni"])?.len();
        screen.verify(
            "nothing crosses before a mapping exists",
            arrived == 0,
            format!("{arrived} frames at blue"),
        );
        Ok(())
    }

    fn traffic_crosses(&self, screen: &mut Screen) -> Result<()> {
        let Federation { red, blue, .. } = self.federation;
        screen.step("A mapping lets red reach the resource");
        let text = federation::mapping(MAPPING.parse()?, "full", None);
        let manifest = self.federation.topology.write("mapping.yaml", &text)?;
        show_text(&text);
        let captures = [self.capture(red)?, self.capture(blue)?];
        self.apply(screen, &manifest.to_string_lossy())?;
        let start = Instant::now();
        wait::until_true(Duration::from_secs(5), || traffic::ping(red, BLUE).unwrap_or(false))
            .context("nothing crosses within 5 s of the apply")?;
        let took = start.elapsed();
        screen.verify(
            "the mapping takes effect",
            took < 2 * SOON,
            format!("first answer after {} ms", took.as_millis()),
        );

        let output = screen.run("red", ping(red, 5))?;
        screen.verify("ping crosses", output.status.success(), summary(&output.stdout));
        say(&format!("TCP, {} MiB of random bytes from red to blue, then from blue to red", TRANSFER >> 20));
        for (name, from, to, address) in [("red to blue", red, blue, BLUE), ("blue to red", blue, red, RED)] {
            let transfer = traffic::tcp_transfer(from, to, address, TRANSFER)?;
            screen.verify(
                &format!("TCP crosses, {name}"),
                transfer.bytes == TRANSFER && transfer.sent == transfer.received,
                format!("{} bytes, CRC-32 {:08x} = {:08x}", transfer.bytes, transfer.sent, transfer.received),
            );
        }
        let [left, right] = captures;
        show_vnis(screen, "red", &left.stop()?, RED_VNI)?;
        show_vnis(screen, "blue", &right.stop()?, BLUE_VNI)?;

        let wrong = traffic::checksum_errors(red)?
            .values()
            .chain(traffic::checksum_errors(blue)?.values())
            .sum::<u64>();
        screen.verify("the tenants' kernels saw no wrong checksum", wrong == 0, format!("{wrong} errors"));
        self.ask_gateway(screen, &["counters"])
    }

    fn unknown_identifier(&self, screen: &mut Screen) -> Result<()> {
        screen.step("A packet whose identifier names no mapping");
        let before = self.isthmus.counters()?.reason("unknown-identifier");
        say(&format!("red sends one frame by hand, VNI {UNKNOWN_LABEL}: a label that was never given out"));
        let socket = PacketSocket::open(&self.federation.red, "uplink")?;
        let outer = Outer {
            source_mac: self.federation.red.mac("uplink")?,
            destination_mac: self.federation.gateway.mac("left")?,
            source: RED_VTEP,
            destination: GATEWAY_LEFT,
            source_port: 50_000,
            vni: UNKNOWN_LABEL,
        };
        let inner = frame::inner_udp("10.0.0.10:4000".parse()?, "10.0.0.20:5000".parse()?, b"let me in");
        socket.send(&outer.wrap(&inner))?;
        let event = wait::until(SOON, || {
            self.isthmus.events().ok()?.into_iter().find(|event| event["vni"] == UNKNOWN_LABEL)
        });
        self.ask_gateway(screen, &["events"])?;
        let told = event.map_or_else(
            || "no event".to_owned(),
            |(event, _)| {
                format!(
                    "{}, {} to {}",
                    text(&event["reason"]),
                    text(&event["inner_source"]),
                    text(&event["inner_destination"])
                )
            },
        );
        screen.verify(
            "its rejection appears in events",
            told == format!("unknown-identifier, {RED} to {BLUE}"),
            told.clone(),
        );
        let counted = self.isthmus.counters()?.reason("unknown-identifier") - before;
        screen.verify(
            "it is counted under its reason",
            counted == 1,
            format!("unknown-identifier + {counted}"),
        );
        Ok(())
    }

    fn deletion_stops_traffic(&self, screen: &mut Screen) -> Result<()> {
        let Federation { red, blue, topology, .. } = self.federation;
        screen.step("The mapping is deleted while red keeps sending");
        let mut stream = red.command("ping");
        stream.args(["-n", "-q", "-i", "0.01", "-w", "20", &BLUE.to_string()]);
        screen.show("red", &stream);
        let sender = topology.spawn("ping", &mut stream)?;
        let listener = PacketSocket::open(blue, "uplink")?;
        let is_ours = |frame: &[u8]| {
            frame::parse_vxlan(frame).is_some_and(|vxlan| vxlan.outer.0 != federation::BLUE_VTEP)
        };
        for _ in 0..20 {
            listener.receive(SOON, is_ours)?.context("the stream of pings does not arrive")?;
        }

        let start = Instant::now();
        let mut delete = self.isthmus.command(&["mapping", "delete", MAPPING]);
        delete.args(["--broker", &self.isthmus.broker_url()]);
        screen.run("gw", delete)?.success()?;
        // Frames that came while the command ran wait in the socket; what counts is when they end.
        let mut last = Duration::ZERO;
        while start.elapsed() < 3 * SOON && listener.receive(SOON, is_ours)?.is_some() {
            last = start.elapsed();
        }
        sender.signal(Signal::SIGINT);
        let measured = if last.is_zero() {
            "not one more packet".to_owned()
        } else {
            format!("last packet after {} ms at most", last.as_millis())
        };
        screen.verify("it stops traffic within a second", last < SOON, measured);
        screen.run("red", ping(red, 3))?;
        let answered = traffic::pings(red, BLUE, 3)?;
        screen.verify("nothing crosses any more", answered == 0, format!("{answered} answers"));
        Ok(())
    }

    fn counters_add_up(&self, screen: &mut Screen) -> Result<()> {
        screen.step("Every packet is accounted for");
        // What is under way must have landed, or it is counted while we read.
        thread::sleep(Duration::from_millis(200));
        self.ask_gateway(screen, &["counters"])?;
        let counters = self.isthmus.counters()?;
        let parts =
            ["passed", "dropped", "redirected", "transmitted"].map(|verdict| counters.verdict(verdict));
        let received = counters.received();
        screen.verify(
            "received = passed + dropped + redirected + transmitted",
            received > 0 && received == counters.accounted(),
            format!("{received} = {}", parts.map(|part| part.to_string()).join(" + ")),
        );
        Ok(())
    }

    fn gateway_leaves_nothing(&self, screen: &mut Screen, gateway: &Process) -> Result<()> {
        screen.step("The gateway is stopped");
        say(&format!("SIGTERM to process {}", gateway.pid()));
        gateway.signal(Signal::SIGTERM);
        let status = gateway.wait(Duration::from_secs(5)).context("the gateway does not end within 5 s")?;
        let attached = isthmus::attached(&self.federation.gateway)?;
        screen.verify(
            "it leaves nothing attached",
            status.success() && attached.is_empty(),
            format!("{status}, {} programs attached", attached.len()),
        );
        Ok(())
    }

    fn apply(&self, screen: &Screen, file: &str) -> Result<()> {
        let mut apply = self.isthmus.command(&["apply", "-f", file]);
        apply.args(["--broker", &self.isthmus.broker_url()]);
        screen.run("gw", apply)?.success().map(drop)
    }

    fn ask_gateway(&self, screen: &Screen, arguments: &[&str]) -> Result<()> {
        let mut ask = self.isthmus.command(arguments);
        ask.arg("--socket").arg(self.isthmus.socket());
        screen.run("gw", ask)?.success().map(drop)
    }

    fn capture(&self, host: &Namespace) -> Result<Capture> {
        Capture::start_truncated(&self.federation.topology, host, "uplink", "udp port 4789", HEADERS)
    }
}

fn ping(from: &Namespace, count: u32) -> Command {
    let mut ping = from.command("ping");
    ping.args(["-n", "-c", &count.to_string(), "-i", "0.2", "-W", "1", &BLUE.to_string()]);
    ping
}

/// `5 packets transmitted, 5 received, 0% packet loss, …`, without the time.
fn summary(output: &str) -> String {
    let line = output.lines().find(|line| line.contains("packets transmitted")).unwrap_or("no summary");
    line.split(", ").take(2).collect::<Vec<_>>().join(", ")
}

fn show_text(text: &str) {
    for line in text.lines() {
        say(&format!("  {line}"));
    }
}

fn show_vnis(screen: &mut Screen, side: &str, recording: &Recording, expected: u32) -> Result<()> {
    let frames = recording.fields("vxlan", &["vxlan.vni"])?.len();
    let vnis = recording.vnis()?;
    let list = vnis.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    screen.verify(
        &format!("the capture at {side} shows VNI {expected} only"),
        vnis == [expected],
        format!("VNI {list} in {frames} frames"),
    );
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
