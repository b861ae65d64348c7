//! `isthmus gateway endpoints`

use clap::Args;

use super::{Global, output, socket};
use crate::api::{EndpointsRequest, EndpointsResponse};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  isthmus gateway endpoints
  isthmus gateway endpoints -o json | jq '.learned[] | select(.network == \"floor\")'

Endpoints that manifests declare are not among them: `isthmus network get` shows those.")]
pub(super) struct Endpoints {}

impl Endpoints {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<()> {
        let endpoints =
            socket::connect(&global.socket).await?.endpoints(EndpointsRequest {}).await?.into_inner();
        output::show(global.output, &endpoints, text)
    }
}

fn text(endpoints: &EndpointsResponse) -> String {
    let learned = output::table(
        &["NETWORK", "ADDRESS", "MAC", "VTEP", "SEEN"],
        endpoints.learned.iter().map(|row| {
            let vtep = if row.vtep.is_empty() { "-" } else { &row.vtep };
            vec![
                row.network.clone(),
                row.address.clone(),
                row.mac.clone(),
                vtep.to_owned(),
                format!("{} s ago", row.seen_seconds_ago),
            ]
        }),
    );
    format!(
        "{learned}\nlearned {}, moved {}, not learned because their network was full {}\n",
        endpoints.learned.len(),
        endpoints.moves,
        endpoints.turned_away,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::LearnedEndpoint;

    #[test]
    fn a_tunnel_endpoint_is_shown_where_there_is_one() {
        let endpoint = |network: &str, vtep: &str, seen_seconds_ago| LearnedEndpoint {
            network: network.to_owned(),
            address: "10.0.0.20".to_owned(),
            mac: "02:00:00:00:00:20".to_owned(),
            vtep: vtep.to_owned(),
            seen_seconds_ago,
        };
        let learned = vec![endpoint("floor", "", 0), endpoint("tan", "2001:db8::20", 12)];
        let shown = text(&EndpointsResponse { learned, moves: 3, turned_away: 1 });
        assert_eq!(
            shown,
            "NETWORK   ADDRESS     MAC                 VTEP           SEEN\n\
             floor     10.0.0.20   02:00:00:00:00:20   -              0 s ago\n\
             tan       10.0.0.20   02:00:00:00:00:20   2001:db8::20   12 s ago\n\
             \n\
             learned 2, moved 3, not learned because their network was full 1\n"
        );
    }
}
