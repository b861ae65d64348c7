//! Shows Isthmus at work, step by step, with real traffic between network namespaces of its own.
//!
//! Run by `cargo xtask demo`. Exits with 0 only if everything it set out to verify holds, and leaves
//! nothing behind, whether it ends well, fails or is interrupted.

mod screen;
mod steps;

use std::{process::ExitCode, time::Instant};

use isthmus_tests::interrupt;

use screen::Screen;

fn main() -> ExitCode {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("The demo makes network namespaces and loads an XDP program, so it has to run as root.");
        return ExitCode::FAILURE;
    }
    let start = Instant::now();
    let mut screen = Screen::new();
    let outcome = interrupt::clean_up_on_signals().and_then(|()| steps::run(&mut screen));
    if let Err(error) = &outcome {
        let text = format!("{error:#}");
        screen.verify("the demo runs to its end", false, text.lines().next().unwrap_or_default());
    }
    let holds = screen.finish(start.elapsed());
    if let Err(error) = outcome {
        eprintln!("\nError: {error:#}");
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
