//! One network namespace: run commands and code in it, set up its devices.

use std::{fs::File, path::PathBuf, process::Command, thread};

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, setns};

use crate::command::{self, Output};

/// A network namespace that a [`crate::Topology`] owns. Clones name the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// The handle for an existing namespace under `/run/netns`.
    pub(crate) fn named(name: String) -> Self {
        Self { name }
    }

    /// Its name, as in `ip netns list`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// A command that will run inside. Its process id is the program's own: `nsenter` replaces itself.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        // Not `ip netns exec`: that mounts a new /sys and so hides bpffs.
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg(program);
        command
    }

    /// Runs a command line inside, split at blanks, within [`command::LIMIT`].
    ///
    /// # Errors
    ///
    /// If it can't be started, takes too long, or does not exit with 0.
    pub fn run(&self, line: &str) -> Result<Output> {
        self.try_run(line)?.success().with_context(|| format!("in namespace {}", self.name))
    }

    /// Like [`Self::run`], but any exit status will do.
    ///
    /// # Errors
    ///
    /// If it can't be started, or takes too long.
    pub fn try_run(&self, line: &str) -> Result<Output> {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().context("an empty command line")?);
        command::run(command.args(words), command::LIMIT)
    }

    /// Runs code inside, on a thread of its own. Sockets made there stay in the namespace and can be
    /// used from anywhere.
    ///
    /// # Errors
    ///
    /// If the namespace can't be entered.
    ///
    /// # Panics
    ///
    /// If `code` does.
    pub fn enter<T: Send>(&self, code: impl FnOnce() -> T + Send) -> Result<T> {
        let path = self.path();
        let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        let inside = move || -> nix::Result<T> {
            setns(file, CloneFlags::CLONE_NEWNET)?;
            Ok(code())
        };
        thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            .with_context(|| format!("enter namespace {}", self.name))
    }

    /// Sets `net.*` of this namespace, e.g. `("ipv4.conf.uplink.arp_notify", "1")`. A dot in the name of
    /// an interface is written `/`, as for sysctl(8).
    ///
    /// # Errors
    ///
    /// If there is no such setting, or the value is refused.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<()> {
        // /proc/sys/net shows the namespace of the thread that looks.
        let swapped = |character| match character {
            '.' => '/',
            '/' => '.',
            other => other,
        };
        let path = format!("/proc/sys/net/{}", key.chars().map(swapped).collect::<String>());
        self.enter(|| std::fs::write(&path, value))?
            .with_context(|| format!("write {value} to {path} in namespace {}", self.name))
    }

    /// Puts an address with its prefix length on an interface, without duplicate address detection. An
    /// IPv6 address also turns IPv6 on there, see [`Self::enable_ipv6`].
    ///
    /// # Errors
    ///
    /// If `ip` refuses.
    pub fn add_address(&self, interface: &str, address: &str) -> Result<()> {
        let mut nodad = "";
        if address.contains(':') {
            self.enable_ipv6(interface)?;
            nodad = " nodad";
        }
        self.run(&format!("ip address add {address} dev {interface}{nodad}")).map(drop)
    }

    /// Lets an interface speak IPv6, without duplicate address detection and without asking for routers.
    /// It gets a link-local address when it is up.
    ///
    /// # Errors
    ///
    /// If there is no such interface.
    pub fn enable_ipv6(&self, interface: &str) -> Result<()> {
        let folder = format!("ipv6.conf.{}", interface.replace('.', "/"));
        for (key, value) in [("accept_dad", "0"), ("router_solicitations", "0"), ("disable_ipv6", "0")] {
            self.set_sysctl(&format!("{folder}.{key}"), value)?;
        }
        Ok(())
    }

    /// Makes a VLAN device on an interface, with that interface's MAC, and brings it up.
    ///
    /// # Errors
    ///
    /// If `ip` refuses, as it does where the kernel has no VLAN devices.
    pub fn add_vlan(&self, vlan: &Vlan<'_>) -> Result<()> {
        let Vlan { parent, name, protocol, id } = vlan;
        self.run(&format!("ip link add link {parent} name {name} type vlan protocol {protocol} id {id}"))?;
        self.run(&format!("ip link set {name} up")).map(drop)
    }

    /// Turns features of `ethtool -K` on or off, e.g. `("uplink", "gro on tx off")`.
    ///
    /// # Errors
    ///
    /// If `ethtool` refuses.
    pub fn set_features(&self, interface: &str, features: &str) -> Result<()> {
        self.run(&format!("ethtool -K {interface} {features}")).map(drop)
    }

    /// The MAC address of an interface.
    ///
    /// # Errors
    ///
    /// If there is no such interface.
    pub fn mac(&self, interface: &str) -> Result<[u8; 6]> {
        // Not /sys/class/net: that shows the namespace it was mounted in.
        let output = self.run(&format!("ip -json link show dev {interface}"))?;
        let links: serde_json::Value = serde_json::from_str(&output.stdout).context("output of ip -json")?;
        let text = links[0]["address"].as_str().unwrap_or_default();
        let bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<Vec<_>, _>>();
        let bytes = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        bytes.with_context(|| format!("{interface} in {} has no MAC address: {text:?}", self.name))
    }

    /// Makes a VXLAN device that learns, and sends what it has not learnt to `remote`.
    /// Inner checksums are computed in software, for `XDP_REDIRECT` loses requests to compute them later.
    ///
    /// # Errors
    ///
    /// If `ip` or `ethtool` refuses.
    pub fn add_vxlan(&self, vxlan: &Vxlan<'_>) -> Result<()> {
        let Vxlan { name, vni, port, local, remote, address, mtu, udp_checksum, group_policy } = vxlan;
        // Of what is received the kernel's default is kept: over IPv6 nothing without a checksum.
        let checksum = match (local.contains(':'), udp_checksum) {
            (false, true) => "udpcsum",
            (false, false) => "noudpcsum",
            (true, true) => "noudp6zerocsumtx",
            (true, false) => "udp6zerocsumtx",
        };
        let group_policy = if *group_policy { "gbp" } else { "" };
        self.run(&format!(
            "ip link add {name} type vxlan id {vni} dstport {port} local {local} remote {remote} {checksum} {group_policy}"
        ))?;
        self.set_features(name, "tx off")?;
        self.run(&format!("ip link set {name} mtu {mtu} up"))?;
        self.add_address(name, address)
    }
}

/// A VLAN device to be made with [`Namespace::add_vlan`].
#[derive(Clone, Copy, Debug)]
pub struct Vlan<'a> {
    /// The interface whose frames get the tag.
    pub parent: &'a str,
    /// Interface name, at most 15 characters.
    pub name: &'a str,
    /// `802.1Q` or `802.1ad`.
    pub protocol: &'a str,
    /// The VLAN's number.
    pub id: u16,
}

/// A VXLAN device to be made with [`Namespace::add_vxlan`].
#[derive(Clone, Copy, Debug)]
pub struct Vxlan<'a> {
    /// Interface name, at most 15 characters.
    pub name: &'a str,
    /// VXLAN network identifier.
    pub vni: u32,
    /// UDP destination port.
    pub port: u16,
    /// Own underlay address, IPv4 or IPv6.
    pub local: &'a str,
    /// Where frames for unknown destinations go.
    pub remote: &'a str,
    /// Inner address with prefix length.
    pub address: &'a str,
    /// Largest inner IP packet.
    pub mtu: u32,
    /// Whether outer UDP checksums are sent (RFC 7348 wants zero; the kernel's default is to send them).
    pub udp_checksum: bool,
    /// Whether the mark of a packet (`SO_MARK`, `ping -m`) travels with it as its group.
    pub group_policy: bool,
}
