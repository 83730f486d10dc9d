//! The load generator against Parlor with a handful of everything: that it still runs, and still checks.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command};

use bench::{
    plan::Plan,
    server::{Contender, Programs},
    stage::Scale,
};

/// Parlor's debug build: there already in a run of all tests, built where this one is run alone.
fn parlor(target: &Path) -> std::path::PathBuf {
    let program = target.join("parlor");
    if !program.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--package", "parlor", "--bin", "parlor"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.unwrap().success(), "Parlor could not be built");
    }
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn the_load_generator_drives_parlor_and_finds_nothing_amiss() {
    let data = tempfile::tempdir().unwrap();
    let floor = Path::new(env!("CARGO_BIN_EXE_floor"));
    let plan = Plan {
        programs: Programs {
            parlor: parlor(floor.parent().unwrap()),
            floor: floor.to_owned(),
            node_peer: data.path().to_owned(),
            data: data.path().to_owned(),
            postgres: None,
        },
        scale: Scale::Tiny,
        runs: 1,
        // One of each kind; all of them would take half a minute.
        only: ["hot room", "private pairs", "catch-up", "history", "reactions"].map(str::to_owned).to_vec(),
        contenders: vec![Contender::Parlor, Contender::Floor],
    };
    let runs = plan.run().await.unwrap_or_else(|err| panic!("{err:#}"));
    let workloads = plan.workloads().count();
    assert!(runs.len() >= workloads, "{} runs of {workloads} workloads", runs.len());
    for run in runs {
        // So little work may take no tick of the processor's clock: that there is a figure is what can be asked.
        let workload = plan.workloads().find(|workload| workload.name == run.workload).unwrap();
        let missing = workload.rows.iter().find(|row| !run.figures.contains_key(row.figure));
        assert!(missing.is_none(), "{}: {:?}", run.workload, run.figures);
    }
}
