//! `cargo run -p bench --release -- --quick`: builds the programs to measure, runs the plan, and writes the
//! report.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use bench::{
    peer::Peer,
    plan::Plan,
    process,
    report::{self, Machine},
    server::{self, Contender, Programs},
    stage::Scale,
};
use clap::Parser;

/// The two ends of ten thousand connections are in different processes, so each process needs this many
/// files.
const OPEN_FILES: u64 = 12_000;

/// Measures Parlor against a comparable server on Node and on Bun.
#[derive(Parser)]
struct Arguments {
    /// Run everything once, with less load: some minutes.
    #[arg(long)]
    quick: bool,
    /// How often each workload runs; 1 with --quick, otherwise 5.
    #[arg(long)]
    runs: Option<usize>,
    /// Only workloads whose name contains this text. May be repeated.
    #[arg(long)]
    only: Vec<String>,
    /// Only against "parlor", "node", "bun" or "floor". May be repeated.
    #[arg(long, value_parser = contender)]
    contender: Vec<Contender>,
    /// The Parlor program to measure. If not given, it is built.
    #[arg(long)]
    parlor: Option<PathBuf>,
    /// A PostgreSQL server whose user may create databases, e.g. postgres://root@127.0.0.1/postgres.
    #[arg(long, env = "PARLOR_TEST_POSTGRES_URL")]
    postgres: Option<String>,
    /// The folder for results.md and results.json.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

fn contender(name: &str) -> Result<Contender, String> {
    match name {
        "parlor" => Ok(Contender::Parlor),
        "node" => Ok(Contender::Node),
        "bun" => Ok(Contender::Bun),
        "floor" => Ok(Contender::Floor),
        _ => Err("must be parlor, node, bun or floor".to_owned()),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    process::allow_open_files(OPEN_FILES)?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (node, bun) = (Peer::on_node(source), Peer::on_bun(source));
    let wants = |one| arguments.contender.is_empty() || arguments.contender.contains(&one);
    for (contender, peer) in [(Contender::Node, &node), (Contender::Bun, &bun)] {
        if wants(contender) {
            peer.prepare()?;
        }
    }
    if wants(Contender::Floor) {
        build(source, "bench", "floor")?;
    }
    let beside = std::env::current_exe()?;
    let beside = beside.parent().context("a program without a folder")?;
    let parlor = match arguments.parlor {
        Some(parlor) => parlor.canonicalize()?,
        None => {
            build(source, "parlor", "parlor")?;
            beside.join("parlor")
        }
    };
    if arguments.postgres.is_none() {
        eprintln!("no PostgreSQL server is named by --postgres: its rows are left out");
    }
    let plan = Plan {
        programs: Programs {
            parlor,
            floor: beside.join("floor"),
            node,
            bun,
            data: arguments.out.join("data"),
            postgres: arguments.postgres,
        },
        scale: if arguments.quick { Scale::Quick } else { Scale::Full },
        runs: arguments.runs.unwrap_or(if arguments.quick { 1 } else { 5 }),
        only: arguments.only,
        contenders: arguments.contender,
    };
    std::fs::create_dir_all(&plan.programs.data)?;
    let programs = Programs { data: plan.programs.data.canonicalize()?, ..plan.programs.clone() };
    let plan = Plan { programs, ..plan };
    let machine = Machine::look(&plan.programs);
    let runs = plan.run().await;
    if let Some(postgres) = &plan.programs.postgres {
        server::drop_databases(postgres).await?;
    }
    let runs = runs?;
    let workloads: Vec<_> = plan.workloads().collect();
    let table = report::markdown(&machine, &workloads, &runs);
    std::fs::write(arguments.out.join("results.md"), &table)?;
    std::fs::write(arguments.out.join("results.json"), report::json(&machine, &runs)?)?;
    println!("{table}");
    Ok(())
}

/// Builds a program. Parlor is built by itself, as its users do, so that the benchmark's features do not
/// affect it.
fn build(source: &Path, package: &str, program: &str) -> Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["build", "--package", package, "--bin", program]).current_dir(source);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // Cargo sets these variables for the package that it runs. With them, build scripts that read them would
    // run again.
    for (name, _) in std::env::vars_os() {
        let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(of_package) {
            command.env_remove(name);
        }
    }
    ensure!(command.status()?.success(), "{program} could not be built");
    Ok(())
}
