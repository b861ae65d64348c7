//! `cargo xtask fuzz`.
//!
//! libFuzzer is compiled from its crate's source, and the compiler's stable flags put the coverage counters in:
//! neither a nightly compiler nor cargo-fuzz is needed (docs/decisions/0008-fuzzing.md).

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context as _, bail};

use crate::{packages, run, setup, tree};

/// LLVM's coverage instrumentation as libFuzzer wants it, by the compiler's stable flags.
const INSTRUMENTATION: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Throw coverage-guided inputs at the packet pipeline or at manifests
///
/// Each input goes through the code and through everything that must hold afterwards; what doesn't is kept as a
/// file to run again. Inputs that reach new code are kept in target/fuzz and are where the next run starts. Takes
/// a C++ compiler for libFuzzer.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask fuzz                                      the pipeline, for ten minutes
  cargo xtask fuzz --runs 10000000                      ten million frames
  cargo xtask fuzz --target manifest --minutes 60       manifests, for an hour
  cargo xtask fuzz --replay target/fuzz/pipeline/found/crash-…")]
pub(crate) struct Arguments {
    /// What to throw them at
    #[arg(long, value_enum, default_value_t = Target::Pipeline)]
    target: Target,
    /// Stop after so many inputs
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,
    /// Stop after so many minutes [default: 10, unless --runs is given]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    minutes: Option<u64>,
    /// Make the run's choices repeatable, from an empty corpus
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seed: Option<u32>,
    /// Run one kept input again instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runs", "minutes", "seed"])]
    replay: Option<PathBuf>,
}

/// What inputs are thrown at.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    /// The packet pipeline, against an independent oracle
    Pipeline,
    /// Manifests and what they declare
    Manifest,
}

impl Target {
    const fn name(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline",
            Self::Manifest => "manifest",
        }
    }

    const fn features(self) -> &'static str {
        match self {
            Self::Pipeline => "libfuzzer",
            Self::Manifest => "libfuzzer,manifest",
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let target = arguments.target;
    if target == Target::Manifest {
        // The binary's library contains the XDP program.
        setup::ensure(setup::Purpose::Build)?;
    }
    if run::find("c++").is_none() {
        packages::install(&[("g++", "compiles libFuzzer")])?;
    }
    let program = build(target)?;
    if let Some(file) = &arguments.replay {
        return replay(&program, file);
    }
    let folder = tree::target().join("fuzz").join(target.name());
    let corpus = match arguments.seed {
        Some(seed) => {
            let corpus = folder.join(format!("corpus-{seed}"));
            if corpus.exists() {
                fs::remove_dir_all(&corpus).with_context(|| format!("empty {}", tree::shown(&corpus)))?;
            }
            corpus
        }
        None => folder.join("corpus"),
    };
    let found = folder.join("found");
    for folder in [&corpus, &found] {
        fs::create_dir_all(folder).with_context(|| format!("create {}", tree::shown(folder)))?;
    }
    let mut fuzzer = Command::new(program);
    fuzzer
        .arg(&corpus)
        .arg(format!("-artifact_prefix={}/", found.display()))
        // Long inputs from the start: a frame has a hundred bytes before anything interesting happens.
        .args(["-max_len=4096", "-len_control=0", "-timeout=10", "-print_final_stats=1"])
        .env("RUST_BACKTRACE", "0");
    if let Some(runs) = arguments.runs {
        fuzzer.arg(format!("-runs={runs}"));
    }
    if let Some(minutes) = arguments.minutes.or(arguments.runs.is_none().then_some(10)) {
        fuzzer.arg(format!("-max_total_time={}", minutes * 60));
    }
    if let Some(seed) = arguments.seed {
        fuzzer.arg(format!("-seed={seed}"));
    }
    let (before, start) = (files(&corpus)?, Instant::now());
    let watched = watch(&mut fuzzer)?;
    let seconds = start.elapsed().as_secs_f64();
    let after = files(&corpus)?;
    println!("target      {}", target.name());
    println!("executions  {}", watched.progress.executions);
    #[expect(clippy::cast_precision_loss, reason = "only shown")]
    let speed = watched.progress.executions as f64 / seconds;
    println!("time        {seconds:.0} s, {speed:.0} executions a second");
    println!("coverage    {} edges, {} features", watched.progress.edges, watched.progress.features);
    println!("corpus      {before} inputs before, {after} after, in {}", tree::shown(&corpus));
    match watched.artifact {
        None if watched.success => {
            println!("found       nothing");
            Ok(ExitCode::SUCCESS)
        }
        None => bail!("the fuzzer ended early without keeping an input; what it said is above"),
        Some(artifact) => {
            let artifact = tree::shown(Path::new(&artifact));
            println!("found       {artifact}");
            println!("replay      cargo xtask fuzz --target {} --replay {artifact}", target.name());
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Builds a target with coverage counters, apart from everything else that cargo builds.
fn build(target: Target) -> anyhow::Result<PathBuf> {
    let version = run::query(Command::new("rustc").arg("-vV").current_dir(tree::root()));
    let host = version
        .as_deref()
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("host: ")))
        .context("`rustc -vV` names no host")?
        .to_owned();
    let folder = tree::target().join("fuzz/build");
    println!("Building the target with coverage counters (minutes the first time, seconds after that) …");
    let binary = format!("fuzz-{}", target.name());
    run::checked(
        run::cargo()
            .args(["build", "--quiet", "--locked", "--package=isthmus-fuzz", "--profile=fuzz"])
            .args(["--no-default-features", "--features", target.features(), "--bin", &binary])
            // Naming the target keeps the flags away from build scripts and macros.
            .args(["--target", &host, "--target-dir"])
            .arg(&folder)
            .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTATION.join("\x1f")),
    )?;
    Ok(folder.join(host).join("fuzz").join(binary))
}

fn replay(program: &Path, file: &Path) -> anyhow::Result<ExitCode> {
    if !file.is_file() {
        bail!("there is no input {}; a run that finds one names it", file.display());
    }
    Ok(run::exit_code(run::status(Command::new(program).arg(file))?))
}

/// What libFuzzer's progress lines say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    executions: u64,
    edges: u64,
    features: u64,
}

impl Progress {
    /// Reads `#1234 NEW cov: 56 ft: 78 corp: …` and `stat::number_of_executed_units: 1234`; other lines say nothing.
    fn read(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |name: &str| {
            words.windows(2).find(|pair| pair[0] == name).and_then(|pair| pair[1].parse::<u64>().ok())
        };
        let counted = match words.first() {
            Some(&"stat::number_of_executed_units:") => after("stat::number_of_executed_units:"),
            Some(first) => first.strip_prefix('#').and_then(|number| number.parse().ok()),
            None => None,
        };
        if let Some(executions) = counted {
            self.executions = self.executions.max(executions);
            self.edges = after("cov:").unwrap_or(self.edges);
            self.features = after("ft:").unwrap_or(self.features);
        }
    }
}

/// What a run said.
struct Watched {
    progress: Progress,
    /// The input that was kept.
    artifact: Option<String>,
    success: bool,
}

/// Lines for libFuzzer's own developers, and progress more often than people read it.
fn is_noise(line: &str) -> bool {
    let is_progress = line.starts_with('#') && !line.contains("pulse");
    let known = ["INFO:", "WARNING: Failed to find function", "stat::", "\tNEW_FUNC", "\"", "Done "];
    is_progress || known.iter().any(|start| line.starts_with(start))
}

/// Runs the fuzzer; shows what it says, except for noise.
fn watch(fuzzer: &mut Command) -> anyhow::Result<Watched> {
    let mut child = fuzzer.stderr(Stdio::piped()).spawn().context("start the fuzz target")?;
    let stderr = child.stderr.take().context("the fuzz target has no standard error")?;
    let mut progress = Progress::default();
    let mut artifact = None;
    for line in BufReader::new(stderr).split(b'\n') {
        let line = line.context("read what the fuzz target says")?;
        let line = String::from_utf8_lossy(&line);
        progress.read(&line);
        if let Some((_, file)) = line.split_once("Test unit written to ") {
            artifact = Some(file.trim().to_owned());
        }
        if !is_noise(&line) {
            eprintln!("{line}");
        }
    }
    let status = child.wait().context("wait for the fuzz target")?;
    Ok(Watched { progress, artifact, success: status.success() })
}

fn files(folder: &Path) -> anyhow::Result<usize> {
    Ok(fs::read_dir(folder).with_context(|| format!("list {}", tree::shown(folder)))?.count())
}

#[cfg(test)]
mod tests {
    use super::{Progress, is_noise};

    #[test]
    fn progress_is_read_from_what_libfuzzer_prints() {
        let mut progress = Progress::default();
        for line in [
            "INFO: Seed: 1",
            "#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 27Mb",
            "#115203\tREDUCE cov: 311 ft: 1200 corp: 5/17b lim: 1120 exec/s: 0 rss: 27Mb L: 4/4 MS: 1 EraseBytes-",
            "stat::number_of_executed_units: 115300",
            "stat::peak_rss_mb:              27",
        ] {
            progress.read(line);
        }
        assert!(is_noise("#2\tINITED cov: 12") && !is_noise("#1048576\tpulse  cov: 652 ft: 806"));
        assert_eq!(progress, Progress { executions: 115_300, edges: 311, features: 1200 });
    }
}
