//! The tables, and the goals that they are held against.

use super::{Case, GIB, MIB, child::Took, function::Functions, scene::Seen, tool::Tool};
use crate::{
    measure::median,
    report::{markdown, mebibytes},
};
use std::time::Duration;

pub(super) use crate::report::milliseconds;

/// What a tool took for a case.
#[derive(Default)]
pub(super) struct Measured {
    took: Vec<Took>,
    seen: Seen,
}

impl Measured {
    /// Adds a run. What it asked of the stubs is the same each time, so the last counts.
    pub(super) fn add(&mut self, took: Took, seen: Seen) {
        self.took.push(took);
        self.seen = seen;
    }

    fn wall(&self) -> f64 {
        self.median(|took| took.wall)
    }

    fn cpu(&self) -> f64 {
        self.median(|took| took.cpu)
    }

    fn peak(&self) -> u64 {
        self.took.iter().map(|took| took.peak).max().unwrap_or_default()
    }

    fn median(&self, what: impl Fn(&Took) -> Duration) -> f64 {
        median(&self.took.iter().map(what).collect::<Vec<_>>()).as_secs_f64()
    }
}

impl Case {
    fn is_small(&self) -> bool {
        self.scene.size < MIB
    }

    /// What CPU time is divided by: GiB, or thousands of objects.
    fn units(&self) -> f64 {
        match self.is_small() {
            true => self.scene.objects as f64 / 1e3,
            false => (self.scene.objects * self.scene.size) as f64 / GIB as f64,
        }
    }

    fn of(&self, tool: Tool) -> &Measured {
        let found = self.measured.iter().find(|(measured, _)| *measured == tool);
        &found.expect("only what a case measures is asked for").1
    }
}

/// One row for each tool.
pub(super) fn table(case: &Case) -> String {
    let small = case.is_small();
    let objects = case.scene.objects as f64;
    let amount = if small { objects } else { mebibytes(case.scene.objects * case.scene.size) };
    let rows = case.measured.iter().map(|(tool, measured)| {
        vec![
            tool.name().to_owned(),
            format!("{:.2}", measured.wall()),
            format!("{:.0}", amount / measured.wall()),
            format!("{:.3}", measured.cpu() / case.units()),
            format!("{:.1}", mebibytes(measured.peak())),
            format!("{:.2}", measured.seen.about_objects() as f64 / objects),
        ]
    });
    let columns = match small {
        true => ["tool", "wall, s", "objects/s", "CPU s per 1,000", "peak, MiB", "requests per object"],
        false => ["tool", "wall, s", "MiB/s", "CPU s per GiB", "peak, MiB", "requests per object"],
    };
    markdown(&columns, rows.collect())
}

/// A goal and how it was met.
pub(super) struct Goal {
    number: &'static str,
    goal: String,
    measured: String,
    met: bool,
}

impl Goal {
    /// One of the project's goals by its number.
    pub(super) fn new(number: &'static str, goal: impl Into<String>, measured: impl Into<String>, met: bool) -> Self {
        Self { number, goal: goal.into(), measured: measured.into(), met }
    }
}

/// All goals. A peer counts with the better of its settings, unless the goal names them.
pub(super) fn goals(cases: &[Case; 4], functions: &Functions) -> String {
    let [one, many, small, late] = cases;
    let mut goals = Vec::new();
    let requests = small.of(Tool::Ours).seen.about_objects() as f64 / small.scene.objects as f64;
    goals.push(Goal::new("G6", "a small object is two requests", format!("{requests:.2}"), requests <= 2.005));
    for (peer, settings, most) in [
        ("rclone 1.60", [Tool::RcloneDebian, Tool::RcloneDebianTuned], 0.6),
        ("rclone 1.75", [Tool::Rclone, Tool::RcloneTuned], 1.0 / 3.0),
        ("boto3", [Tool::Python, Tool::PythonTuned], 1.0 / 3.0),
    ] {
        for case in [one, many] {
            let cpu = |tool| case.of(tool).cpu();
            let ratios = settings.map(|tool| cpu(Tool::Ours) / cpu(tool));
            goals.push(Goal::new(
                "G7",
                format!("{}: CPU ≤ {most:.2} of {peer}", case.title),
                format!("{:.2}; tuned {:.2}", ratios[0], ratios[1]),
                ratios.iter().all(|ratio| *ratio <= most),
            ));
        }
    }
    let cpu = |tool| one.of(tool).cpu();
    let apart = cpu(Tool::Ours) / (cpu(Tool::GetOnly) + cpu(Tool::PutOnly));
    goals.push(Goal::new(
        "G8",
        "copy CPU ≤ 1.3 × (bare GET only + bare PUT only)",
        format!("{apart:.2}"),
        apart <= 1.3,
    ));
    let share = cpu(Tool::Checksum) / cpu(Tool::Ours) * 100.0;
    let faster = |case: &Case, tools: &[Tool]| {
        let wall = tools.iter().map(|tool| case.of(*tool).wall()).fold(f64::INFINITY, f64::min);
        wall / case.of(Tool::Ours).wall()
    };
    let defaults = [Tool::RcloneDebian, Tool::Rclone];
    let tuned = [Tool::RcloneDebianTuned, Tool::RcloneTuned];
    let speed = faster(small, &defaults);
    goals.push(Goal::new(
        "G10",
        format!("{}: objects/s ≥ 5 × the faster rclone", small.title),
        format!("{speed:.1} ×; tuned {:.1} ×", faster(small, &tuned)),
        speed >= 5.0,
    ));
    let thriftier = |tools: &[Tool]| {
        let cpu = tools.iter().map(|tool| small.of(*tool).cpu()).fold(f64::INFINITY, f64::min);
        cpu / small.of(Tool::Ours).cpu()
    };
    let thrift = thriftier(&defaults);
    goals.push(Goal::new(
        "G10",
        format!("{}: CPU per object ≤ 1/6 of the thriftier rclone", small.title),
        format!("1/{thrift:.1}; tuned 1/{:.1}", thriftier(&tuned)),
        thrift >= 6.0,
    ));
    let (default, best) = (faster(late, &defaults), faster(late, &tuned));
    goals.push(Goal::new(
        "G11",
        format!("{}: objects/s ≥ 15 × rclone, ≥ 1.3 × with 64 transfers", late.title),
        format!("{default:.1} ×; {best:.1} ×"),
        default >= 15.0 && best >= 1.3,
    ));
    goals.extend(functions.goals());
    goals.push(Goal::new(
        "G13",
        "CRC64 of every byte ≤ 15 % of the copy's CPU",
        format!("{share:.1} %"),
        share <= 15.0,
    ));
    // As they are numbered: what the functions say comes between.
    goals.sort_by_key(|goal| goal.number[1..].parse().unwrap_or(u32::MAX));
    let rows = goals.into_iter().map(|goal| {
        let verdict = if goal.met { "met" } else { "not met" };
        vec![goal.number.to_owned(), goal.goal, goal.measured, verdict.to_owned()]
    });
    markdown(&["#", "goal", "measured", "verdict"], rows.collect())
}
