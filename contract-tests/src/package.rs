//! What `cfn submit` would upload.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use crate::Error;

/// A type's package, read back.
pub struct Package {
    /// The members beside the handler, with their content.
    pub members: BTreeMap<String, Vec<u8>>,
    /// What Lambda would unpack: each member's Unix mode and content.
    pub handler: BTreeMap<String, (u32, Vec<u8>)>,
}

/// Reads a package and the `handler.zip` in it.
pub fn open(path: &Path) -> Result<Package, Error> {
    let file = File::open(path).map_err(Error::io(format!("opening {}", path.display())))?;
    let mut members: BTreeMap<_, _> = entries(file, path)?.into_iter().map(|(name, (_, data))| (name, data)).collect();
    let handler = members.remove("handler.zip").ok_or_else(|| Error::file(path, "no handler.zip"))?;
    Ok(Package { members, handler: entries(Cursor::new(handler), path)? })
}

fn entries(source: impl Read + Seek, path: &Path) -> Result<BTreeMap<String, (u32, Vec<u8>)>, Error> {
    let wrong = |error: ZipError| Error::file(path, error);
    let mut archive = ZipArchive::new(source).map_err(wrong)?;
    let mut entries = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(wrong)?;
        let mut data = Vec::new();
        entry.read_to_end(&mut data).map_err(Error::io(format!("reading {}", path.display())))?;
        let name = entry.name().map_err(wrong)?.into_owned();
        entries.insert(name, (entry.unix_mode().unwrap_or_default(), data));
    }
    Ok(entries)
}
