//! What the kernel's verifier says of the XDP programs.
//!
//! The verifier walks every way through a program and gives up after a million instructions. The number it
//! needs grows by multiplication, so a harmless change may bring a kernel with a slightly weaker verifier to its
//! limit. The budget keeps us a factor of ten away.

#[path = "packets/root.rs"]
mod root;

use std::io::Write as _;

use comfy_table::{Table, presets::NOTHING};
use isthmus::gateway::dataplane::DataPlane;
use isthmus::gateway::install::Capacity;

use root::is_root;

/// How many instructions the verifier may go through in one program.
const BUDGET: u32 = 100_000;

#[test]
fn every_program_is_verified_within_its_budget() {
    if !is_root("every_program_is_verified_within_its_budget") {
        return;
    }
    let programs = DataPlane::load(&Capacity::for_mappings(64)).unwrap().programs().unwrap();
    let shown = |number: Option<u32>| number.map_or_else(|| "not told".to_owned(), |n| n.to_string());

    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["PROGRAM", "VERIFIED", "BUDGET", "TRANSLATED", "MACHINE CODE"]);
    for program in &programs {
        table.add_row([
            program.name.clone(),
            format!("{} instructions", shown(program.verified_instructions)),
            BUDGET.to_string(),
            format!("{} bytes", shown(program.translated_bytes)),
            format!("{} bytes", program.machine_code_bytes),
        ]);
    }
    // Not println!: libtest would capture it and show it only for failed tests.
    let _ = writeln!(std::io::stderr(), "\n{table}\n");

    assert!(programs.iter().any(|program| program.name == "isthmus"), "the object has the live program");
    for program in &programs {
        let verified = program.verified_instructions.expect("kernels since 5.16 tell");
        assert!(
            verified > 0 && verified < BUDGET,
            "{} takes the verifier {verified} instructions",
            program.name
        );
    }
}
