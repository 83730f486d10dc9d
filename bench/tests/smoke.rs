//! The load generator against Parlor and the peer on Bun with a handful of everything: that it still runs, and still
//! checks. The peer on Node shares all but its server and its driver, which would have to be compiled.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command};

use bench::{
    peer::Peer,
    plan::Plan,
    server::{Contender, Programs},
    stage::Scale,
    workload::Workload,
};

/// Workloads of each kind. All of them would take half a minute.
const ONLY: [&str; 8] = [
    "hot room",
    "private pairs",
    "catch-up",
    "history",
    "reactions",
    "30 % load",
    "polling",
    "connects of people",
];

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
async fn the_load_generator_drives_parlor_and_the_peer_on_bun_and_finds_nothing_amiss() {
    let data = tempfile::tempdir().unwrap();
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bun = Peer::on_bun(bench);
    bun.prepare().unwrap_or_else(|err| panic!("{err:#}"));
    let floor = Path::new(env!("CARGO_BIN_EXE_floor"));
    let plan = Plan {
        programs: Programs {
            parlor: parlor(floor.parent().unwrap()),
            floor: floor.to_owned(),
            node: Peer::on_node(bench),
            bun,
            data: data.path().to_owned(),
            postgres: None,
        },
        scale: Scale::Tiny,
        runs: 1,
        only: ONLY.map(str::to_owned).to_vec(),
        contenders: vec![Contender::Parlor, Contender::Bun, Contender::Floor],
    };
    let runs = plan.run().await.unwrap_or_else(|err| panic!("{err:#}"));
    let wanted =
        |workload: &Workload| plan.contenders.iter().filter(|one| workload.contenders.contains(one)).count();
    let expected: usize = plan.workloads().map(wanted).sum();
    assert_eq!(runs.len(), expected, "runs of {} workloads", plan.workloads().count());
    for run in runs {
        // So little work may take no tick of the processor's clock: that there is a figure is what can be asked.
        let workload = plan.workloads().find(|workload| workload.name == run.workload).unwrap();
        let missing = workload.rows.iter().find(|row| !run.figures.contains_key(row.figure));
        assert!(missing.is_none(), "{} against {}: {:?}", run.workload, run.contender, run.figures);
    }
}
