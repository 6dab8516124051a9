//! `cargo sandbox`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aws_sdk_cloudformation::types::Stack;
use clap::{Parser, Subcommand};
use sandbox::deploy::{Change, Deployment, Error, REGION, Stacks, stack_name};
use sandbox::progress::Progress;
use sandbox::proof::prove;
use sandbox::serve::{Announcement, Endpoints, Sandbox, running};
use tokio::signal::unix::{SignalKind, signal};

/// CloudFormation, S3 and Azure storage on a laptop.
#[derive(Parser)]
#[command(name = "cargo sandbox", bin_name = "cargo sandbox")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Deploy a template and prove that its buckets and containers take an object
    ///
    /// Uses the sandbox that `serve` keeps running. Without one, everything is started for this deployment and stopped
    /// after it.
    Deploy {
        /// The template, YAML or JSON
        template: PathBuf,
        /// The stack's name; the template's, or its folder's, if not given
        #[arg(long)]
        stack_name: Option<String>,
        /// Parameters of the template
        #[arg(long, value_name = "KEY=VALUE", value_parser = pair, num_args = 1..)]
        parameters: Vec<(String, String)>,
        /// Stack tags
        #[arg(long, value_name = "KEY=VALUE", value_parser = pair, num_args = 1..)]
        tags: Vec<(String, String)>,
        /// Files to put into the bucket `sandbox-uploads` first, under their own names: the packages of functions
        #[arg(long, value_name = "FILE", num_args = 1..)]
        upload: Vec<PathBuf>,
        /// Keep everything running after the deployment, until Ctrl-C
        #[arg(long)]
        keep: bool,
    },
    /// Keep a sandbox running for `aws`, `cdk` and `cfn`, until Ctrl-C
    Serve {
        /// The port for AWS; Lambda, Azure and blobs get the next three. 0 takes whatever is free
        #[arg(long, default_value_t = 4566, value_parser = clap::value_parser!(u16).range(..=65532))]
        port: u16,
    },
    /// Delete a stack of the sandbox that `serve` keeps running
    Delete {
        /// The stack's name
        stack: String,
    },
    /// Show the sandbox that `serve` keeps running, and its stacks
    Status,
}

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let code = runtime.block_on(async {
        // Whichever way this ends, the sandbox is dropped here, and its processes with it.
        tokio::select! {
            done = run(arguments.command) => done.map_or_else(|error| fail(error.as_ref()), |()| ExitCode::SUCCESS),
            code = stopped() => code,
        }
    });
    // An installation under way ends with this process; do not wait for it.
    runtime.shutdown_background();
    code
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Waits for Ctrl-C or SIGTERM and returns the status that a shell gives to such an end.
async fn stopped() -> ExitCode {
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => tokio::select! {
            _ = interrupt.recv() => ExitCode::from(130),
            _ = terminate.recv() => ExitCode::from(143),
        },
        (Err(error), _) | (_, Err(error)) => fail(&error),
    }
}

async fn run(command: Command) -> Result {
    match command {
        Command::Deploy { template, stack_name: name, parameters, tags, upload, keep } => {
            let body = read(&template)?;
            let stack = name.unwrap_or_else(|| stack_name(&template));
            deploy(&Deployment { stack, body, parameters, tags }, &upload, keep).await
        }
        Command::Serve { port } => {
            if let Some(other) = running() {
                return Err(sandbox::serve::Error::Running(other.aws).into());
            }
            let sandbox = Sandbox::start(port).await?;
            keep_running(sandbox).await
        }
        Command::Delete { stack } => {
            Stacks::new(&served()?).delete(&stack, &mut Progress::default()).await?;
            println!("deleted stack {stack}");
            Ok(())
        }
        Command::Status => status(&served()?).await,
    }
}

async fn deploy(deployment: &Deployment, files: &[PathBuf], keep: bool) -> Result {
    if let Some(endpoints) = running() {
        return deploy_to(&endpoints, deployment, files).await;
    }
    eprintln!("starting the sandbox");
    let mut sandbox = Sandbox::start(0).await?;
    let endpoints = sandbox.endpoints().clone();
    let done = tokio::select! {
        done = deploy_to(&endpoints, deployment, files) => done,
        error = sandbox.crashed() => Err(error.into()),
    };
    if let Err(error) = done {
        eprintln!("logs: {}", sandbox.keep_logs().display());
        return Err(error);
    }
    match keep {
        true => keep_running(sandbox).await,
        false => {
            println!("stopped the sandbox; `--keep` or `cargo sandbox serve` keeps one running");
            Ok(())
        }
    }
}

async fn deploy_to(endpoints: &Endpoints, deployment: &Deployment, files: &[PathBuf]) -> Result {
    let stacks = Stacks::new(endpoints);
    for file in files {
        stacks.put(file).await?;
    }
    let stack = &deployment.stack;
    let change = stacks.deploy(deployment, &mut Progress::default()).await?;
    match change {
        Change::Created => println!("created stack {stack}"),
        Change::Updated => println!("updated stack {stack}"),
        Change::None => println!("stack {stack} is as the template wants it: nothing to change"),
    }
    for proven in prove(endpoints, &stacks.resources(stack).await?).await? {
        println!("proved: {proven}");
    }
    if let Some(stack) = stacks.find(stack).await? {
        outputs(&stack);
    }
    Ok(())
}

/// Announces a sandbox, tells how to reach it, and keeps it until a signal ends this or a component does.
async fn keep_running(mut sandbox: Sandbox) -> Result {
    let _announcement = Announcement::publish(sandbox.endpoints())?;
    println!("the sandbox is running; Ctrl-C stops it and removes its data\n");
    reach(sandbox.endpoints());
    let error = sandbox.crashed().await;
    eprintln!("logs: {}", sandbox.keep_logs().display());
    Err(error.into())
}

async fn status(endpoints: &Endpoints) -> Result {
    reach(endpoints);
    let stacks = Stacks::new(endpoints);
    for stack in stacks.list().await? {
        let name = stack.stack_name().unwrap_or_default();
        println!("\nstack {name}: {}", stack.stack_status().map_or("", |status| status.as_str()));
        for resource in stacks.resources(name).await? {
            println!(
                "  {:<24} {:<20} {:<34} {}",
                resource.resource_status().map_or("", |status| status.as_str()),
                resource.logical_resource_id().unwrap_or_default(),
                resource.resource_type().unwrap_or_default(),
                resource.physical_resource_id().unwrap_or_default(),
            );
        }
        outputs(&stack);
    }
    Ok(())
}

fn outputs(stack: &Stack) {
    for output in stack.outputs() {
        println!("output {} = {}", output.output_key().unwrap_or_default(), output.output_value().unwrap_or_default());
    }
}

/// What to put into a shell so that other tools find the sandbox.
fn reach(endpoints: &Endpoints) {
    println!("export AWS_ENDPOINT_URL={} AWS_ENDPOINT_URL_STS={}", endpoints.aws, endpoints.sts);
    // The first version of the AWS command line reads the region's second name only.
    println!("export AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}");
    println!("export AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox");
    println!("# cfn test: --endpoint {} --function-name bootstrap", endpoints.lambda);
    println!("#   --typeconfig {}", endpoints.type_configuration.display());
    println!("# Azure Resource Manager and Entra: {}", endpoints.azure);
    println!("# blobs: {}/ACCOUNT/CONTAINER", endpoints.blob);
    println!("# certificate to trust for both: {}", endpoints.certificate_authority.display());
    println!("# logs: {}", endpoints.logs.display());
}

fn served() -> Result<Endpoints> {
    running().ok_or_else(|| "no sandbox is running: start one with `cargo sandbox serve`".into())
}

fn read(template: &Path) -> Result<String> {
    let text = std::fs::read_to_string(template);
    Ok(text.map_err(|source| Error::Unreadable { what: "the template", path: template.to_owned(), source })?)
}

fn pair(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}
