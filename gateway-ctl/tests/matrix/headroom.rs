//! Frames that grow, and the room that they need in front. A test run in the kernel always has enough.

use isthmus_common::reason::Reason;

use crate::check;
use crate::gateway::HostGateway;
use crate::rows;

#[test]
fn a_frame_grows_into_the_last_byte_of_headroom_and_no_further() {
    let host = HostGateway::new();
    let mut growing = 0;
    for row in rows::all().iter().step_by(5) {
        let frame = row.packet.build();
        let ingress = row.from.interface();
        let roomy = host.run(&frame, ingress);
        let Some(growth @ 1..) = roomy.frame.len().checked_sub(frame.len()) else { continue };
        let just_fits = host.run_with_headroom(&frame, ingress, growth);
        check(row, &frame, &just_fits, &host).unwrap_or_else(|error| panic!("{}: {error}", row.name()));
        let cramped = host.run_with_headroom(&frame, ingress, growth - 1);
        let told = (cramped.event.reason, cramped.verdict);
        assert_eq!(told, (Reason::NoHeadroom.index(), Reason::NoHeadroom.verdict()), "{}", row.name());
        growing += 1;
    }
    assert!(growing > 500, "only {growing} frames grow");
}
