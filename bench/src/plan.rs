//! Which workloads run, how often and in which order, and all results.

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{
    server::{Contender, Programs, Server, Storage},
    stage::{Figures, Scale, Stage},
    workload::{ALL, Workload},
};

pub struct Plan {
    pub programs: Programs,
    pub scale: Scale,
    /// How often each workload runs against each contender.
    pub runs: usize,
    /// Only workloads whose name contains one of these. If empty, all.
    pub only: Vec<String>,
    /// Only these contenders. If empty, all.
    pub contenders: Vec<Contender>,
}

/// One run of a workload.
#[derive(Serialize)]
pub struct Run {
    pub workload: &'static str,
    pub contender: Contender,
    pub run: usize,
    pub figures: Figures,
}

impl Plan {
    fn wants(&self, workload: &Workload) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| workload.name.contains(part.as_str()))
    }

    pub fn workloads(&self) -> impl Iterator<Item = &'static Workload> {
        ALL.iter().copied().filter(|workload| {
            self.wants(workload) && (workload.storage == Storage::Sqlite || self.programs.postgres.is_some())
        })
    }

    /// Runs every workload against each of its contenders in turn, and repeats all of it. So other activity
    /// on the machine affects all contenders equally.
    pub async fn run(&self) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        for run in 0..self.runs {
            for workload in self.workloads() {
                let mut contenders = workload.contenders.to_vec();
                contenders.retain(|one| self.contenders.is_empty() || self.contenders.contains(one));
                if run % 2 == 1 {
                    contenders.reverse();
                }
                for contender in contenders {
                    let begun = Instant::now();
                    let figures = self
                        .once(workload, contender)
                        .await
                        .with_context(|| format!("{} against {contender}", workload.name))?;
                    let took = begun.elapsed().as_secs_f64();
                    eprintln!("{}/{} {} {contender}: {took:.1} s", run + 1, self.runs, workload.name);
                    runs.push(Run { workload: workload.name, contender, run, figures });
                }
            }
        }
        Ok(runs)
    }

    /// Runs one workload once, against a server that is started for it.
    pub async fn once(&self, workload: &Workload, contender: Contender) -> Result<Figures> {
        let scene = (workload.scene)(self.scale);
        let server = Server::start(&self.programs, contender, workload.storage, &scene).await?;
        let stage = Stage { server, scene, scale: self.scale };
        let figures = (workload.run)(&stage).await;
        stage.server.stop().await?;
        figures
    }
}

/// The values of a figure by contender, in the order of the runs.
pub fn values(runs: &[Run], workload: &str, figure: &str) -> BTreeMap<Contender, Vec<f64>> {
    let mut values: BTreeMap<Contender, Vec<f64>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.workload == workload) {
        if let Some(value) = run.figures.get(figure) {
            values.entry(run.contender).or_default().push(*value);
        }
    }
    values
}
