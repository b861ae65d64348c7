//! Networks, whose encapsulation decides what else they have.

use super::{Decoded, Fields, Node, join};
use crate::{
    api,
    model::{
        EncapsulationField, EncapsulationKind, GroupPolicy, Unchecked,
        violation::{did_you_mean, quoted},
    },
};

const NETWORK: &[&str] = &[
    "kind",
    "version",
    "name",
    "provider",
    "encapsulation",
    "vni",
    "udp_port",
    "group_policy",
    "ovn_port",
    "vlan_id",
    "learning",
    "gateway",
    "prefixes",
    "gateway_address",
    "endpoints",
];
const ENDPOINT: &[&str] = &["address", "mac", "vtep", "ovn_port"];

impl Decoded {
    pub(super) fn network(&mut self, document: &Node) -> Option<api::Network> {
        let fields = self.fields(document, "", NETWORK)?;
        let name = self.required(&fields, "name", document.mark);
        self.subject = format!("network/{name}");
        self.version(&fields);
        if !fields.contains_key("encapsulation") {
            self.problem(document.mark, "encapsulation", "is missing; use vxlan, geneve, vlan or port");
        }
        let kind = self.parsed::<EncapsulationKind>(&fields, "encapsulation");
        let mut endpoints = self.endpoints(&fields);
        let encapsulation = if let Some(kind) = kind {
            self.encapsulation(kind, &fields, document)
        } else {
            self.guess_encapsulation(&fields, &mut endpoints)
        };
        // Where the network's own port is a problem, those of its endpoints can't be judged.
        if self.problems.iter().any(|(_, field, _)| field == "ovn_port") {
            for endpoint in &mut endpoints {
                endpoint.ovn_port = 0;
            }
        }
        Some(api::Network {
            name,
            provider: self.optional(&fields, "provider"),
            encapsulation: Some(encapsulation),
            prefixes: self.texts(&fields, "prefixes", document.mark, "[10.0.0.0/24]"),
            gateway_address: self.optional(&fields, "gateway_address"),
            endpoints,
            learning: self.learning(&fields),
            gateway: self.optional(&fields, "gateway"),
        })
    }

    /// The encapsulation's own fields; any of another's is a problem.
    fn encapsulation(
        &mut self,
        kind: EncapsulationKind,
        fields: &Fields<'_>,
        document: &Node,
    ) -> api::Encapsulation {
        for foreign in EncapsulationField::ALL.into_iter().filter(|field| !field.belongs_to(kind)) {
            if let Some(node) = fields.get(foreign.name()) {
                self.problem(node.mark, foreign.name(), foreign.foreign_to(kind));
            }
        }
        let required = match kind {
            EncapsulationKind::Vxlan | EncapsulationKind::Geneve => {
                Some(("vni", "is missing; give the network's VNI, 1 to 16777215"))
            }
            EncapsulationKind::Vlan => Some(("vlan_id", "is missing; give the network's VLAN, 1 to 4094")),
            EncapsulationKind::Port => None,
        };
        if let Some((field, message)) = required
            && !fields.contains_key(field)
        {
            self.problem(document.mark, field, message);
        }
        let has = |field: EncapsulationField| field.belongs_to(kind);
        let mut unchecked = Unchecked::default();
        if has(EncapsulationField::Vni) {
            unchecked.vni = self.natural(fields, "vni");
        }
        if let Some(default) = kind.default_port() {
            unchecked.udp_port = self.udp_port(fields, default);
        }
        if has(EncapsulationField::GroupPolicy) {
            unchecked.group_policy = self.group_policy(fields).map(GroupPolicy::to_wire);
        }
        if has(EncapsulationField::OvnPort) {
            unchecked.ovn_port = self.ovn_port(fields, "");
        }
        if has(EncapsulationField::VlanId) {
            unchecked.vlan_id = self.natural(fields, "vlan_id");
        }
        kind.unchecked(unchecked)
    }

    /// What can be judged without knowing the encapsulation, which is a problem already.
    fn guess_encapsulation(
        &mut self,
        fields: &Fields<'_>,
        endpoints: &mut [api::Endpoint],
    ) -> api::Encapsulation {
        let (kind, unchecked) = if fields.contains_key("vni") {
            let vni = self.natural(fields, "vni");
            (EncapsulationKind::Vxlan, Unchecked { vni, ..Unchecked::default() })
        } else if fields.contains_key("vlan_id") {
            let vlan_id = self.natural(fields, "vlan_id");
            (EncapsulationKind::Vlan, Unchecked { vlan_id, ..Unchecked::default() })
        } else {
            (EncapsulationKind::Port, Unchecked::default())
        };
        for endpoint in endpoints {
            endpoint.ovn_port = 0;
            if !kind.is_tunnel() {
                endpoint.vtep.clear();
            }
        }
        kind.unchecked(unchecked)
    }

    fn natural(&mut self, fields: &Fields<'_>, name: &str) -> u32 {
        fields.get(name).and_then(|node| self.number(node, name)).unwrap_or_default()
    }

    fn group_policy(&mut self, fields: &Fields<'_>) -> Option<GroupPolicy> {
        let node = fields.get("group_policy")?;
        let text = self.text(node, "group_policy")?;
        let policy = if text.starts_with(|first: char| first.is_ascii_digit()) {
            GroupPolicy::of_group(self.number(node, "group_policy")?)
        } else {
            text.parse()
        };
        match policy {
            Ok(policy) => Some(policy),
            Err(error) => {
                self.problem(node.mark, "group_policy", error);
                None
            }
        }
    }

    /// The tunnel key of a logical port, 0 if none is given; a 0 that stands there is none.
    fn ovn_port(&mut self, fields: &Fields<'_>, path: &str) -> u32 {
        let Some(node) = fields.get("ovn_port") else { return 0 };
        let field = join(path, "ovn_port");
        let number = self.number(node, &field);
        if number == Some(0)
            && let Err(error) = crate::model::ovn_port(0)
        {
            self.problem(node.mark, &field, error);
        }
        number.unwrap_or_default()
    }

    fn learning(&mut self, fields: &Fields<'_>) -> bool {
        let Some(node) = fields.get("learning") else { return false };
        let Some(text) = self.text(node, "learning") else { return false };
        match text.as_str() {
            "true" => true,
            "false" => false,
            _ => {
                let hint = match text.to_lowercase().as_str() {
                    "yes" | "on" | "1" => "; did you mean true?".to_owned(),
                    "no" | "off" | "0" => "; did you mean false?".to_owned(),
                    _ => did_you_mean(&text, ["true", "false"]),
                };
                let message = format!("{} is neither true nor false{hint}", quoted(&text));
                self.problem(node.mark, "learning", message);
                false
            }
        }
    }

    fn endpoints(&mut self, fields: &Fields<'_>) -> Vec<api::Endpoint> {
        let Some(node) = fields.get("endpoints") else { return Vec::new() };
        let example = "[{address: 10.0.0.10, vtep: 192.0.2.10}]";
        let mut endpoints = Vec::new();
        for (index, item) in self.items(node, "endpoints", example).iter().enumerate() {
            let path = format!("endpoints[{index}]");
            self.marks.insert(path.clone(), item.mark);
            let Some(fields) = self.fields(item, &path, ENDPOINT) else {
                // Keeps the numbers of those that follow; the problem is noted already.
                endpoints.push(api::Endpoint::default());
                continue;
            };
            if !fields.contains_key("address") {
                self.problem(item.mark, &join(&path, "address"), "is missing");
            }
            let ovn_port = self.ovn_port(&fields, &path);
            let mut field = |name| {
                fields.get(name).and_then(|node| self.text(node, &join(&path, name))).unwrap_or_default()
            };
            endpoints.push(api::Endpoint {
                address: field("address"),
                mac: field("mac"),
                vtep: field("vtep"),
                ovn_port,
            });
        }
        endpoints
    }
}
