//! A function's package, as Lambda takes it: a zip with the executable as `bootstrap`.

use std::fs::File;
use std::io;
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// How a package is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// What ships: it is downloaded at every cold start.
    Small,
    /// What is unpacked on the same machine: an unoptimised build has 100 MB, which take long to compress.
    Quick,
}

/// Packs `executable` into the zip `to`, whose bytes depend on nothing but the executable's.
///
/// # Errors
/// Files that cannot be read or written.
pub fn package(executable: &Path, to: &Path, form: Form) -> io::Result<()> {
    let method = match form {
        Form::Small => CompressionMethod::Deflated,
        Form::Quick => CompressionMethod::Stored,
    };
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut zip = ZipWriter::new(File::create(to)?);
    // The time is that of no build: the same code is the same package.
    let options = SimpleFileOptions::default().compression_method(method).unix_permissions(0o755);
    zip.start_file("bootstrap", options.last_modified_time(zip::DateTime::default()))?;
    io::copy(&mut File::open(executable)?, &mut zip)?;
    zip.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_executable_is_the_same_package() {
        let folder = tempfile::tempdir().unwrap();
        let executable = folder.path().join("anything");
        std::fs::write(&executable, "#!/bin/sh\n".repeat(1000)).unwrap();
        let [first, second, quick] = ["a/first.zip", "second.zip", "quick.zip"].map(|name| folder.path().join(name));
        package(&executable, &first, Form::Small).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(10));
        package(&executable, &second, Form::Small).unwrap();
        package(&executable, &quick, Form::Quick).unwrap();
        assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
        assert!(std::fs::metadata(&first).unwrap().len() < 1000);
        for made in [first, quick] {
            let mut zip = zip::ZipArchive::new(File::open(made).unwrap()).unwrap();
            let mut entry = zip.by_name("bootstrap").unwrap();
            assert_eq!(entry.unix_mode().unwrap() & 0o777, 0o755);
            assert_eq!(io::read_to_string(&mut entry).unwrap(), "#!/bin/sh\n".repeat(1000));
        }
    }
}
