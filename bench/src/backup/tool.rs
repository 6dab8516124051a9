//! What copies, and how it is told to: each peer as it comes, and with the settings that were found best for it.

use super::{
    Stubs,
    blob::{ACCOUNT, CONTAINER, SAS},
    child::Program,
    s3::BUCKET,
    scene::Scene,
};
use std::{ffi::OsString, path::Path, path::PathBuf};

/// Where the programs are.
#[derive(clap::Args)]
pub(crate) struct Programs {
    /// Our Lambda function
    #[arg(long)]
    pub(super) function: PathBuf,
    /// Our program
    #[arg(long)]
    backup: PathBuf,
    /// rclone as Debian has it
    #[arg(long)]
    rclone_debian: PathBuf,
    /// rclone as PyPI has it
    #[arg(long)]
    rclone: PathBuf,
    /// A Python with boto3 and azure-storage-blob
    #[arg(long)]
    python: PathBuf,
    /// What it is to run
    #[arg(long)]
    python_copy: PathBuf,
    /// A folder with the function that works as the sample does
    #[arg(long)]
    pub(super) sample: PathBuf,
}

#[cfg(test)]
impl Programs {
    /// All of them in one place.
    pub(super) fn all_at(path: impl Fn() -> PathBuf) -> Self {
        Self {
            function: path(),
            backup: path(),
            rclone_debian: path(),
            rclone: path(),
            python: path(),
            python_copy: path(),
            sample: path(),
        }
    }
}

/// Who copies, or does a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Ours,
    Backfill,
    RcloneDebian,
    RcloneDebianTuned,
    Rclone,
    RcloneTuned,
    Python,
    PythonTuned,
    Bare,
    BareChecked,
    GetOnly,
    PutOnly,
    Checksum,
}

impl Tool {
    /// Whole copies, in the order of the table.
    pub(super) const COPIES: [Self; 10] = [
        Self::Ours,
        Self::Backfill,
        Self::RcloneDebian,
        Self::RcloneDebianTuned,
        Self::Rclone,
        Self::RcloneTuned,
        Self::Python,
        Self::PythonTuned,
        Self::Bare,
        Self::BareChecked,
    ];
    /// What a copy consists of.
    pub(super) const PARTS: [Self; 3] = [Self::GetOnly, Self::PutOnly, Self::Checksum];

    /// As the report calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "this project's function",
            Self::Backfill => "`backup backfill`",
            Self::RcloneDebian => "rclone 1.60 (Debian)",
            Self::RcloneDebianTuned => "rclone 1.60, tuned",
            Self::Rclone => "rclone 1.75 (PyPI)",
            Self::RcloneTuned => "rclone 1.75, tuned",
            Self::Python => "boto3 + azure-storage-blob",
            Self::PythonTuned => "boto3 + azure…, tuned",
            Self::Bare => "ceiling: bare GET and PUT",
            Self::BareChecked => "the same with CRC64",
            Self::GetOnly => "bare GET only",
            Self::PutOnly => "bare PUT only",
            Self::Checksum => "CRC64 only",
        }
    }

    /// Whether the container has the objects afterwards.
    pub(super) fn copies(self) -> bool {
        Self::COPIES.contains(&self)
    }

    /// Its command line and environment for what is to be copied; None for our function, which is not run but invoked.
    ///
    /// # Errors
    /// The benchmark does not find its own program.
    pub(super) fn program(self, programs: &Programs, stubs: &Stubs, scene: &Scene) -> Result<Option<Program>, String> {
        let small = scene.size < 1 << 20;
        let mut environment = environment(stubs);
        Ok(Some(match self {
            Self::Ours => return Ok(None),
            Self::Backfill => {
                let arguments = words(&format!("backfill --bucket {BUCKET} --quiet"));
                Program { path: programs.backup.clone(), arguments, environment }
            }
            Self::RcloneDebian => rclone(&programs.rclone_debian, environment, ""),
            Self::Rclone => rclone(&programs.rclone, environment, ""),
            Self::RcloneDebianTuned => rclone(&programs.rclone_debian, environment, tuned(small)),
            Self::RcloneTuned => rclone(&programs.rclone, environment, tuned(small)),
            Self::Python | Self::PythonTuned => {
                let tuned = if self == Self::PythonTuned { " --tuned" } else { "" };
                let mut arguments = vec![programs.python_copy.clone().into()];
                arguments.extend(words(&format!("{BUCKET}{tuned}")));
                // Not for rclone 1.60, which takes the first for its own and fails.
                let bundle = stubs.bundle.display().to_string();
                environment.extend([("AWS_CA_BUNDLE", bundle.clone()), ("REQUESTS_CA_BUNDLE", bundle)]);
                Program { path: programs.python.clone(), arguments, environment }
            }
            Self::Bare => bare("copy", stubs, scene)?,
            Self::BareChecked => bare("checked-copy", stubs, scene)?,
            Self::GetOnly => bare("get", stubs, scene)?,
            Self::PutOnly => bare("put", stubs, scene)?,
            Self::Checksum => bare("checksum", stubs, scene)?,
        }))
    }
}

/// What spares rclone requests and checksums that the copy does not need, and lets it do more at once.
fn tuned(small: bool) -> &'static str {
    match small {
        true => "--transfers 64 --checkers 64 --use-server-modtime --s3-no-head-object --azureblob-disable-checksum",
        false => "--transfers 8 --use-server-modtime --azureblob-disable-checksum --azureblob-chunk-size 8Mi",
    }
}

fn rclone(path: &Path, environment: Vec<(&'static str, String)>, more: &str) -> Program {
    let arguments = words(&format!("copy --config= --retries 1 --stats 0 :s3:{BUCKET} :azureblob:{CONTAINER} {more}"));
    Program { path: path.to_owned(), arguments, environment }
}

fn bare(mode: &str, stubs: &Stubs, scene: &Scene) -> Result<Program, String> {
    let path = std::env::current_exe().map_err(|error| format!("finding the benchmark: {error}"))?;
    let parallel = if scene.size < 1 << 20 { 64 } else { 16 };
    let arguments = words(&format!(
        "bare {mode} --source {} --target {} --authority {} --objects {} --size {} --parallel {parallel}",
        stubs.s3,
        stubs.blob,
        stubs.authority.display(),
        scene.objects,
        scene.size
    ));
    Ok(Program { path, arguments, environment: Vec::new() })
}

/// What every tool needs to find the stubs and to trust them. Nothing that it does not know does harm to it.
pub(super) fn environment(stubs: &Stubs) -> Vec<(&'static str, String)> {
    let authority = stubs.authority.display().to_string();
    let bundle = stubs.bundle.display().to_string();
    let container = format!("{}/{ACCOUNT}/{CONTAINER}?{SAS}", stubs.blob);
    let [id, secret] = ["AKIAEXAMPLE000000000".to_owned(), "example".repeat(6)];
    vec![
        ("AWS_ACCESS_KEY_ID", id.clone()),
        ("AWS_SECRET_ACCESS_KEY", secret.clone()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("AWS_ENDPOINT_URL_S3", stubs.s3.clone()),
        ("SSL_CERT_FILE", bundle),
        ("BACKUP_CONTAINER_URL", container),
        ("BACKUP_CERTIFICATE_AUTHORITY", authority.clone()),
        ("RCLONE_CA_CERT", authority),
        // As for AWS, but by path: rclone does not let AWS have that.
        ("RCLONE_S3_PROVIDER", "Minio".to_owned()),
        ("RCLONE_S3_ENV_AUTH", "true".to_owned()),
        ("RCLONE_S3_REGION", "us-east-1".to_owned()),
        ("RCLONE_S3_ENDPOINT", stubs.s3.clone()),
        ("RCLONE_AZUREBLOB_NO_CHECK_CONTAINER", "true".to_owned()),
        ("RCLONE_AZUREBLOB_SAS_URL", format!("{}/{ACCOUNT}?{SAS}", stubs.blob)),
    ]
}

fn words(text: &str) -> Vec<OsString> {
    text.split_whitespace().map(OsString::from).collect()
}
