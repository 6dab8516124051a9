//! Azurite: the blob data plane of every storage account in the emulator.

use std::fs;
use std::path::Path;

use crate::azure::Authority;
use crate::component::{Component, Error};
use crate::{process, tools};

/// Starts Azurite on 127.0.0.1 over HTTPS with the emulator's certificate. Blobs are kept below `folder`.
///
/// Accounts need not be announced: any name is served. `installed` is the folder of [`install`].
pub fn spawn(installed: &Path, port: u16, authority: &Authority, folder: &Path) -> Result<Component, Error> {
    let data = folder.join("azurite");
    let (certificate, key) = (folder.join("azurite.pem"), folder.join("azurite.key"));
    let (certificate_pem, key_pem) = authority.certificate();
    // The folder is private to the user; a file that cannot be written is Azurite's to report.
    let _ = fs::create_dir_all(&data);
    let _ = fs::write(&certificate, certificate_pem);
    let _ = fs::write(&key, key_pem);
    let packages = installed.join("node_modules");
    let mut command = process::guarded("node");
    command
        .arg("--require")
        .arg(tools::root().join("sandbox/src/azurite.js"))
        .arg(packages.join("azurite/dist/src/blob/main.js"))
        .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
        .args(["--oauth", "basic", "--silent", "--skipApiVersionCheck", "--disableTelemetry"])
        .arg("--location")
        .arg(&data)
        .arg("--cert")
        .arg(&certificate)
        .arg("--key")
        .arg(&key)
        .env_remove("AZURITE_ACCOUNTS");
    Component::spawn("Azurite", port, &mut command, folder.join("azurite.log"))
}

/// Installs Azurite on first use and returns its folder.
pub fn install() -> Result<std::path::PathBuf, tools::Error> {
    tools::npm("azurite", &tools::root().join("sandbox"))
}
