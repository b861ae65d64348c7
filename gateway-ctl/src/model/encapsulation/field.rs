//! Fields that only some encapsulations have.

use super::EncapsulationKind;
use crate::api;

/// A field that only some encapsulations have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncapsulationField {
    /// `vni`
    Vni,
    /// `udp_port`
    UdpPort,
    /// `group_policy`
    GroupPolicy,
    /// `ovn_port`
    OvnPort,
    /// `vlan_id`
    VlanId,
}

/// An encapsulation's fields as somebody wrote them; nobody has checked them yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unchecked {
    /// 0 if it was not given.
    pub vni: u32,
    /// 0 if it was not given.
    pub udp_port: u32,
    /// 0 for "keep".
    pub group_policy: Option<u32>,
    /// 0 if it was not given.
    pub ovn_port: u32,
    /// 0 if it was not given.
    pub vlan_id: u32,
}

impl EncapsulationField {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Vni, Self::UdpPort, Self::GroupPolicy, Self::OvnPort, Self::VlanId];

    /// Its name in manifests and in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vni => "vni",
            Self::UdpPort => "udp_port",
            Self::GroupPolicy => "group_policy",
            Self::OvnPort => "ovn_port",
            Self::VlanId => "vlan_id",
        }
    }

    /// Whether the encapsulation has this field.
    #[must_use]
    pub const fn belongs_to(self, kind: EncapsulationKind) -> bool {
        match self {
            Self::Vni | Self::UdpPort => kind.is_tunnel(),
            Self::GroupPolicy => matches!(kind, EncapsulationKind::Vxlan),
            Self::OvnPort => matches!(kind, EncapsulationKind::Geneve),
            Self::VlanId => matches!(kind, EncapsulationKind::Vlan),
        }
    }

    /// What to say if it is given though the encapsulation does not have it.
    pub(crate) fn foreign_to(self, kind: EncapsulationKind) -> String {
        match (self, kind) {
            (Self::Vni, EncapsulationKind::Vlan) => "a vlan network has no VNI; use vlan_id".to_owned(),
            (Self::Vni, _) => format!("a {kind} network has no VNI; every frame on its port belongs to it"),
            (Self::UdpPort, _) => format!("a {kind} network is not tunnelled over UDP; remove it"),
            (Self::GroupPolicy, _) => {
                format!("a {kind} network has no group policy; remove it, or use encapsulation vxlan")
            }
            (Self::OvnPort, _) => {
                format!("a {kind} network is none of OVN's; remove it, or use encapsulation geneve")
            }
            (Self::VlanId, EncapsulationKind::Port) => {
                "a port network's frames have no VLAN; remove it, or use encapsulation vlan".to_owned()
            }
            (Self::VlanId, _) => format!("a {kind} network has no VLAN; use vni"),
        }
    }
}

impl EncapsulationKind {
    /// The contract's form. Fields of other encapsulations are left out.
    #[must_use]
    pub fn unchecked(self, fields: Unchecked) -> api::Encapsulation {
        use api::encapsulation::Kind;

        let Unchecked { vni, udp_port, group_policy, ovn_port, vlan_id } = fields;
        let kind = match self {
            Self::Vxlan => Kind::Vxlan(api::Vxlan { vni, udp_port, group_policy }),
            Self::Geneve => Kind::Geneve(api::Geneve { vni, udp_port, ovn_port }),
            Self::Vlan => Kind::Vlan(api::Vlan { vlan_id }),
            Self::Port => Kind::Port(api::Port {}),
        };
        api::Encapsulation { kind: Some(kind) }
    }
}
