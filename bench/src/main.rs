//! `cargo run -p bench --release -- --quick`: builds what is to be measured, runs the plan, and writes the report.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use bench::{
    plan::Plan,
    process,
    report::{self, Machine},
    server::{self, Contender, Programs},
    stage::Scale,
};
use clap::Parser;

/// Both ends of ten thousand connections are in different processes.
const OPEN_FILES: u64 = 12_000;

/// Measures Parlor against the Node server that its users would otherwise run.
#[derive(Parser)]
struct Arguments {
    /// One run of everything with less of it: two to three minutes.
    #[arg(long)]
    quick: bool,
    /// How often everything is run; 1 with --quick, else 5.
    #[arg(long)]
    runs: Option<usize>,
    /// Only workloads whose name contains this; may be given more than once.
    #[arg(long)]
    only: Vec<String>,
    /// Only against "parlor", "node" or "floor"; may be given more than once.
    #[arg(long, value_parser = contender)]
    contender: Vec<Contender>,
    /// The program to measure; if not given, it is built.
    #[arg(long)]
    parlor: Option<PathBuf>,
    /// A PostgreSQL server whose user may make databases, e.g. postgres://root@127.0.0.1/postgres.
    #[arg(long, env = "PARLOR_TEST_POSTGRES_URL")]
    postgres: Option<String>,
    /// The folder that results.md and results.json are written to.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

fn contender(name: &str) -> Result<Contender, String> {
    match name {
        "parlor" => Ok(Contender::Parlor),
        "node" => Ok(Contender::Node),
        "floor" => Ok(Contender::Floor),
        _ => Err("must be parlor, node or floor".to_owned()),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    process::allow_open_files(OPEN_FILES)?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let node_peer = source.join("node-peer");
    let wants = |one| arguments.contender.is_empty() || arguments.contender.contains(&one);
    if wants(Contender::Node) {
        install(&node_peer)?;
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
            node_peer,
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
    let machine = Machine::look();
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

/// Builds a program: Parlor by itself, as its users do, and so with nothing of the benchmark's.
fn build(source: &Path, package: &str, program: &str) -> Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["build", "--package", package, "--bin", program]).current_dir(source);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // What cargo says of the package that it runs: build scripts that look at it would all run again.
    for (name, _) in std::env::vars_os() {
        let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(of_package) {
            command.env_remove(name);
        }
    }
    ensure!(command.status()?.success(), "{program} could not be built");
    Ok(())
}

/// The peer's packages, where they are not there yet.
fn install(node_peer: &Path) -> Result<()> {
    if node_peer.join("node_modules").exists() {
        return Ok(());
    }
    let status = Command::new("npm").args(["ci"]).current_dir(node_peer).status();
    let installed = status.context("npm is needed to install the peer's packages")?.success();
    ensure!(installed, "the peer's packages could not be installed; see bench/node-peer/README.md");
    Ok(())
}
