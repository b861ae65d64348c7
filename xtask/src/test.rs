//! `cargo xtask test`.

use std::process::ExitCode;

use crate::{run, setup};

/// Run all tests
///
/// Tests that load the XDP program or make network namespaces need root; without it they say that they were
/// skipped, and fail if the environment has CI=true.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask test                            everything
  cargo xtask test -p isthmus-common          the packet pipeline on the host
  cargo xtask test -- --nocapture topology    tests with `topology` in their name, with their output")]
pub(crate) struct Arguments {
    /// Passed to `cargo test`; a package choice (-p) replaces the default of all packages
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    setup::ensure(setup::Purpose::Test)?;
    // Some tests start the binary itself.
    run::checked(run::cargo().args(["build", "--locked", "--package=isthmus", "--bins"]))?;

    let mut cargo = run::cargo();
    cargo.args(["test", "--locked"]);
    if !chooses_packages(&arguments.arguments) {
        // The XDP program is compiled by the binary's build, for another target.
        cargo.args(["--workspace", "--exclude=isthmus-ebpf"]);
    }
    cargo.args(&arguments.arguments);
    Ok(run::exit_code(run::status(&mut cargo)?))
}

/// Whether the arguments for cargo itself, in front of `--`, name packages.
fn chooses_packages(arguments: &[String]) -> bool {
    arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}

#[cfg(test)]
mod tests {
    use super::chooses_packages;

    #[test]
    fn packages_are_chosen_only_in_front_of_the_dashes() {
        let arguments = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for chosen in ["-p isthmus", "-pisthmus", "--package isthmus", "--lib --package=isthmus"] {
            assert!(chooses_packages(&arguments(chosen)), "{chosen}");
        }
        for not_chosen in ["--lib", "vni", "-- -p isthmus", "-- --package=isthmus"] {
            assert!(!chooses_packages(&arguments(not_chosen)), "{not_chosen}");
        }
    }
}
