//! Writes what is generated from the Rust types: `schema/`.

use handlers::REGISTRY;
use std::{fs, io, path::{Path, PathBuf}};

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema")
}

/// The generated files and their contents.
pub(crate) fn files() -> Vec<(PathBuf, String)> {
    let schemas = schemas();
    REGISTRY
        .iter()
        .map(|entry| {
            let name = entry.type_name.replace("::", "-").to_lowercase() + ".json";
            let text = serde_json::to_string_pretty(&(entry.schema)().json).expect("a schema is JSON");
            (schemas.join(name), text + "\n")
        })
        .collect()
}

/// Writes the files that differ, removes schemas of types that are gone, and says which.
///
/// # Errors
/// Those of the file system.
pub(crate) fn write() -> io::Result<()> {
    let files = files();
    for stale in stale(&files)? {
        fs::remove_file(&stale)?;
        println!("removed {}", stale.display());
    }
    for (path, text) in files {
        if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            fs::create_dir_all(path.parent().expect("it is in a folder"))?;
            fs::write(&path, text)?;
            println!("wrote {}", path.display());
        }
    }
    Ok(())
}

fn stale(files: &[(PathBuf, String)]) -> io::Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(schemas()) else { return Ok(Vec::new()) };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| !files.iter().any(|(file, _)| file == path)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_files_are_the_generated_ones() {
        let files = files();
        for (path, text) in &files {
            let committed = fs::read_to_string(path).unwrap_or_default();
            assert!(committed == *text, "{} is out of date: run `cargo xtask generate`", path.display());
        }
        assert_eq!(stale(&files).expect("schema/ can be read"), Vec::<PathBuf>::new(), "run `cargo xtask generate`");
    }
}
