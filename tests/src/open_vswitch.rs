//! Open vSwitch as a tenant's endpoint: an implementation that shares no line with the kernel's.
//!
//! With a Geneve tunnel, or on a VLAN:
//!
//! ```text
//!         tenant (br-int, internal port, inner address)           tenant (br-int, internal port, tag=100)
//!           │                                                       │
//!         geneve0  options:remote_ip, options:key                 uplink
//!           │ routed inside Open vSwitch
//!         br-phy (internal port, underlay address)
//!           │
//!         uplink
//! ```
//!
//! The datapath is the userspace one, so that no kernel module is needed. Database, sockets and pid files
//! are in the topology's directory: the host's own Open vSwitch, should there be one, is not involved.

use std::{net::IpAddr, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result, bail};

use crate::{Namespace, Topology, command, process::Process, wait};

/// The interface that has the tenant's inner address.
pub const TENANT: &str = "br-int";

/// The tenant's tunnel, as Open vSwitch's flows name it.
pub const TUNNEL: &str = "geneve0";

/// The bridge that joins the underlay and has the underlay address.
const UNDERLAY: &str = "br-phy";

/// Where Debian keeps the database's schema.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// How long a daemon may take to answer.
const START: Duration = Duration::from_secs(10);

/// Seconds that `ovs-vsctl` waits for a change to be in force.
const CHANGE_SECONDS: &str = "10";

/// A Geneve tunnel to be made with [`OpenVswitch::add_tunnel`].
#[derive(Clone, Copy, Debug)]
pub struct Tunnel<'a> {
    /// The interface to the underlay, which gives up its address.
    pub uplink: &'a str,
    /// Own underlay address with prefix length.
    pub local: &'a str,
    /// The other end.
    pub remote: IpAddr,
    /// Virtual network identifier.
    pub vni: u32,
    /// Inner address of the tenant with prefix length.
    pub address: &'a str,
    /// Largest inner IP packet.
    pub mtu: u32,
    /// Whether outer UDP checksums are sent.
    pub udp_checksum: bool,
}

/// A place on a VLAN to be made with [`OpenVswitch::add_vlan`].
#[derive(Clone, Copy, Debug)]
pub struct VlanAccess<'a> {
    /// The interface that carries tagged frames.
    pub uplink: &'a str,
    /// The VLAN's number.
    pub vlan_id: u16,
    /// Address of the tenant with prefix length.
    pub address: &'a str,
}

/// A running Open vSwitch, ended by the topology.
#[derive(Debug)]
pub struct OpenVswitch {
    namespace: Namespace,
    directory: PathBuf,
}

impl OpenVswitch {
    /// Starts database and switch in a namespace.
    ///
    /// # Errors
    ///
    /// If Open vSwitch is missing, or does not start.
    pub fn start(topology: &Topology, namespace: &Namespace) -> Result<Self> {
        let directory = topology.directory().join(format!("ovs-{}", namespace.name()));
        std::fs::create_dir(&directory).with_context(|| format!("create {}", directory.display()))?;
        let switch = Self { namespace: namespace.clone(), directory };
        let mut create = switch.command("ovsdb-tool");
        create.arg("create").arg(switch.directory.join("conf.db")).arg(SCHEMA);
        command::run(&mut create, command::LIMIT)?.success()?;

        let mut database = switch.command("ovsdb-server");
        database.arg(switch.directory.join("conf.db")).arg(format!("--remote=p{}", switch.socket()));
        switch.start_daemon(topology, "ovsdb-server", &mut database)?;
        switch.vsctl("--no-wait init")?;
        let mut daemon = switch.command("ovs-vswitchd");
        daemon.arg(switch.socket());
        switch.start_daemon(topology, "ovs-vswitchd", &mut daemon)?;
        Ok(switch)
    }

    /// Makes the tunnel and the tenant's port.
    ///
    /// # Errors
    ///
    /// If Open vSwitch refuses.
    pub fn add_tunnel(&self, tunnel: &Tunnel<'_>) -> Result<()> {
        let Tunnel { uplink, local, remote, vni, address, mtu, udp_checksum } = tunnel;
        self.add_bridge(UNDERLAY)?;
        self.add_bridge(TENANT)?;
        // The kernel sees what arrives for the switch too and would complain that nobody listens. Of IPv4 it drops
        // what it would answer by another way; of IPv6 it is to see nothing.
        self.namespace.set_sysctl(&format!("ipv4.conf.{uplink}.rp_filter"), "1")?;
        self.namespace.run(&format!("ip address delete {local} dev {uplink}"))?;
        self.namespace.set_sysctl(&format!("ipv6.conf.{uplink}.disable_ipv6"), "1")?;
        self.vsctl(&format!("add-port {UNDERLAY} {uplink}"))?;
        self.vsctl(&format!(
            "add-port {TENANT} {TUNNEL} -- set interface {TUNNEL} type=geneve options:remote_ip={remote} \
             options:key={vni} options:csum={udp_checksum}"
        ))?;
        self.bring_up(UNDERLAY, local, 1500)?;
        self.bring_up(TENANT, address, *mtu)
    }

    /// Makes the tenant's port an access port of a VLAN.
    ///
    /// # Errors
    ///
    /// If Open vSwitch refuses.
    pub fn add_vlan(&self, access: &VlanAccess<'_>) -> Result<()> {
        let VlanAccess { uplink, vlan_id, address } = access;
        self.add_bridge(TENANT)?;
        self.vsctl(&format!(
            "set port {TENANT} tag={vlan_id} -- add-port {TENANT} {uplink} trunks={vlan_id}"
        ))?;
        self.bring_up(TENANT, address, 1500)
    }

    fn add_bridge(&self, bridge: &str) -> Result<()> {
        self.vsctl(&format!("add-br {bridge} -- set bridge {bridge} datapath_type=netdev")).map(drop)
    }

    fn bring_up(&self, bridge: &str, address: &str, mtu: u32) -> Result<()> {
        self.vsctl(&format!("set interface {bridge} mtu_request={mtu}"))?;
        self.namespace.add_address(bridge, address)?;
        self.namespace.run(&format!("ip link set {bridge} up")).map(drop)
    }

    /// Replaces the flows of the tenant's bridge, and says which fields stand for which Geneve options:
    /// `("{class=0x102,type=0x80,len=4}->tun_metadata0", &["in_port=LOCAL,actions=output:geneve0"])`.
    ///
    /// # Errors
    ///
    /// If Open vSwitch refuses.
    pub fn set_flows(&self, options: &str, flows: &[&str]) -> Result<()> {
        let ofctl = |words: &[&str]| {
            let mut ofctl = self.command("ovs-ofctl");
            command::run(ofctl.args(words), command::LIMIT).and_then(command::Output::success)
        };
        ofctl(&["add-tlv-map", TENANT, options])?;
        ofctl(&["del-flows", TENANT])?;
        for flow in flows {
            ofctl(&["add-flow", TENANT, flow])?;
        }
        Ok(())
    }

    /// Runs `ovs-vsctl` with a command line, split at blanks, and waits until it is in force.
    ///
    /// # Errors
    ///
    /// If it is refused.
    pub fn vsctl(&self, line: &str) -> Result<command::Output> {
        let mut vsctl = self.command("ovs-vsctl");
        vsctl.arg(format!("--db={}", self.socket())).args(["--timeout", CHANGE_SECONDS]);
        command::run(vsctl.args(line.split_whitespace()), command::LIMIT)?.success()
    }

    /// What connects to the database.
    fn socket(&self) -> String {
        format!("unix:{}", self.directory.join("db.sock").display())
    }

    /// A program of Open vSwitch that knows no directory but ours.
    fn command(&self, program: &str) -> Command {
        let mut command = self.namespace.command(program);
        for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
            command.env(variable, &self.directory);
        }
        command
    }

    /// Starts a daemon in the foreground and waits until it answers on its control socket.
    fn start_daemon(&self, topology: &Topology, name: &str, daemon: &mut Command) -> Result<Process> {
        let control = self.directory.join(format!("{name}.ctl"));
        daemon.arg(format!("--pidfile={}", self.directory.join(format!("{name}.pid")).display()));
        daemon.arg(format!("--unixctl={}", control.display()));
        let process = topology.spawn(name, daemon)?;
        let answers = || {
            let mut ask = self.command("ovs-appctl");
            ask.arg("-t").arg(&control).arg("version");
            command::run(&mut ask, command::LIMIT).is_ok_and(|output| output.status.success())
        };
        let answer = wait::until(START, || match process.status() {
            Some(_) => Some(false),
            None => answers().then_some(true),
        });
        match answer {
            Some((true, _)) => Ok(process),
            Some((false, _)) => bail!("it ended: {}", process.describe()),
            None => bail!("it does not answer after {START:?}: {}", process.describe()),
        }
    }
}
