//! Gateways.

use super::{Decoded, Node};
use crate::{api, model::DEFAULT_GENEVE_PORT};

const GATEWAY: &[&str] = &["kind", "version", "name", "provider", "addresses", "udp_port"];

impl Decoded {
    pub(super) fn gateway(&mut self, document: &Node) -> Option<api::FederationGateway> {
        let fields = self.fields(document, "", GATEWAY)?;
        let name = self.required(&fields, "name", document.mark);
        self.subject = format!("gateway/{name}");
        self.version(&fields);
        Some(api::FederationGateway {
            name,
            provider: self.optional(&fields, "provider"),
            addresses: self.texts(&fields, "addresses", document.mark, "[192.0.2.9]"),
            udp_port: self.udp_port(&fields, DEFAULT_GENEVE_PORT),
        })
    }
}
