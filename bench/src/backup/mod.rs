//! The backup beside its peers: stubs of S3 and Blob Storage, what copies from one to the other, and what that took.

mod bare;
mod blob;
mod child;
mod content;
mod function;
mod report;
mod s3;
mod scene;
mod server;
#[cfg(test)]
mod tests;
mod tool;

pub(crate) use bare::{Arguments as Bare, main as bare};
pub(crate) use child::{Arguments as Child, main as child};

use crate::{tls, usage};
use child::Took;
use report::Measured;
use scene::{Scene, Seen, World};
use server::Servers;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tool::{Programs, Tool};

/// No tool takes this long for a case; the deadline of a function is as far.
const PATIENCE: Duration = Duration::from_secs(900);
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What to measure, and with what.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    programs: Programs,
    /// Where ca.pem, bundle.pem, certificate.pem and key.pem are, and the logs go
    #[arg(long)]
    folder: PathBuf,
    /// How often each tool does each case
    #[arg(long)]
    rounds: usize,
    /// Divides the sizes and numbers of objects
    #[arg(long)]
    divisor: u64,
    /// Our function also copies one object of so many GiB
    #[arg(long)]
    large: Option<u64>,
    /// Of the copies only those whose case and tool, as they are announced, have this text in them; then without goals
    #[arg(long)]
    only: Option<String>,
}

/// The stubs, and how they are reached.
struct Stubs {
    world: Arc<World>,
    s3: String,
    blob: String,
    /// Sign-in and AWS's other services.
    services: String,
    authority: PathBuf,
    bundle: PathBuf,
    folder: PathBuf,
    _servers: Servers,
}

impl Stubs {
    fn start(folder: &Path) -> Result<Self, String> {
        let acceptor = tls::acceptor(&folder.join("certificate.pem"), &folder.join("key.pem"))?;
        let servers = Servers::new(acceptor)?;
        let world = Arc::new(World::new());
        Ok(Self {
            s3: servers.serve(s3::S3(world.clone()))?,
            blob: servers.serve(blob::BlobService(world.clone()))?,
            services: servers.serve(function::Services(world.clone()))?,
            authority: folder.join("ca.pem"),
            bundle: folder.join("bundle.pem"),
            folder: folder.to_owned(),
            world,
            _servers: servers,
        })
    }

    /// Lets a tool do what the scene asks for.
    ///
    /// # Errors
    /// It fails, or the container does not have every object afterwards.
    async fn run(&self, tool: Tool, programs: &Programs, scene: Scene) -> Result<(Took, Seen), String> {
        self.world.begin(scene);
        let took = match tool.program(programs, self, &scene)? {
            Some(program) => child::run(tool.name(), &program, &self.folder, PATIENCE).await?,
            None => function::copy(self, programs, scene).await?,
        };
        let seen = self.world.seen();
        if tool.copies() {
            let blobs = self.world.blobs();
            let whole = blobs.committed.values().filter(|blob| blob.size == scene.size).count() as u64;
            if whole != scene.objects {
                return Err(format!("{} copied {whole} of {} objects", tool.name(), scene.objects));
            }
        }
        Ok((took, seen))
    }
}

/// A case, and what each tool took for it.
struct Case {
    title: String,
    scene: Scene,
    measured: Vec<(Tool, Measured)>,
}

impl Case {
    fn new(objects: u64, size: u64, delay: u64, parts: bool) -> Self {
        let (number, unit) = if size >= MIB { (size / MIB, "MiB") } else { (size >> 10, "KiB") };
        let late = if delay > 0 { format!(", {delay} ms of latency per request") } else { String::new() };
        let tools = Tool::COPIES.into_iter().chain(Tool::PARTS.into_iter().filter(|_| parts));
        Self {
            title: format!("{objects} × {number} {unit}{late}"),
            scene: Scene { objects, size, delay: Duration::from_millis(delay), check: true, remember: true },
            measured: tools.map(|tool| (tool, Measured::default())).collect(),
        }
    }
}

/// Measures, and prints the tables.
///
/// # Errors
/// Something could not be run.
pub(crate) async fn run(arguments: &Arguments) -> Result<(), String> {
    let stubs = Stubs::start(&arguments.folder)?;
    let part = |whole: u64| (whole / arguments.divisor).max(1);
    let mut cases = [
        Case::new(1, part(GIB), 0, true),
        Case::new(part(100), 10 * MIB, 0, false),
        Case::new(part(10_000), 4 << 10, 0, false),
        Case::new(part(1_000), 4 << 10, 20, false),
    ];
    if let Some(only) = &arguments.only {
        for case in &mut cases {
            case.measured.retain(|(tool, _)| format!("{}: {}", case.title, tool.name()).contains(only));
        }
    }
    let before = usage::load();
    for round in 1..=arguments.rounds {
        for case in &mut cases {
            for (tool, measured) in &mut case.measured {
                eprintln!("round {round} of {}: {}: {}", arguments.rounds, case.title, tool.name());
                let (took, seen) = stubs.run(*tool, &arguments.programs, case.scene).await?;
                measured.add(took, seen);
            }
        }
    }
    let function = match arguments.only {
        None => Some(function::measure(&stubs, &arguments.programs, arguments.rounds, arguments.large).await?),
        Some(_) => None,
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "S3 → Azure Blob over HTTPS on loopback; medians of {} rounds, the tools by turns.\n\
         {cores} cores, which the stubs share with what is measured; load average {before} before, {} after.\n",
        arguments.rounds,
        usage::load(),
    );
    for case in cases.iter().filter(|case| !case.measured.is_empty()) {
        println!("{}\n\n{}", case.title, report::table(case));
    }
    if let Some(function) = function {
        println!("{}", function.table());
        println!("{}", report::goals(&cases, &function));
    }
    Ok(())
}
