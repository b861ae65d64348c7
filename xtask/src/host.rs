//! What the programs that tests and the demo drive are, and what each is for.

use crate::run;

/// A program on the host, and the Debian package that has it.
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
    pub(crate) purpose: &'static str,
}

/// The one list: a test that starts to use another program adds it here.
pub(crate) const TOOLS: &[Tool] = &[
    Tool { program: "ip", package: "iproute2", purpose: "namespaces, VXLAN devices, routes, neighbours" },
    Tool { program: "nsenter", package: "util-linux", purpose: "runs a program inside a namespace" },
    Tool { program: "ping", package: "iputils-ping", purpose: "reachability across a gateway" },
    Tool { program: "ethtool", package: "ethtool", purpose: "turns checksum offload off on virtual devices" },
    Tool { program: "tcpdump", package: "tcpdump", purpose: "captures what really went over a wire" },
    Tool { program: "tshark", package: "tshark", purpose: "reads captures without our own parser" },
    Tool {
        program: "ovs-vswitchd",
        package: "openvswitch-switch",
        purpose: "a Geneve endpoint not of our making",
    },
    Tool { program: "bpftool", package: "bpftool", purpose: "shows what is loaded and attached" },
];

impl Tool {
    /// Whether the program is there.
    pub(crate) fn is_installed(&self) -> bool {
        run::find(self.program).is_some()
    }
}
