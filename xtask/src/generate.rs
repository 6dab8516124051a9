//! Writes what is generated from the Rust types: `schema/`, `docs/azure-*.md`, `docs/crossregion-*.md`, and the form of an example
//! that needs no registered types.

use crate::{custom_resources, docs};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The generated files and their contents.
fn files() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    let types: Vec<_> = handlers::REGISTRY.iter().chain(cross_region::REGISTRY).collect();
    for entry in &types {
        let name = entry.type_name.replace("::", "-").to_lowercase();
        let schema = &(entry.schema)().json;
        let text = serde_json::to_string_pretty(schema).expect("a schema is JSON");
        files.push((root.join("schema").join(format!("{name}.json")), text + "\n"));
        files.push((root.join("docs").join(format!("{name}.md")), docs::page(schema)));
    }
    let example = root.join("examples/hana-backup");
    let registered = fs::read_to_string(example.join("template.yaml")).expect("it is committed");
    files.push((example.join("custom-resources.yaml"), custom_resources::template(&registered, &types)));
    files
}

/// Writes the files that differ, removes those of types that are gone, and says which.
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

/// Files that look generated and are not: those of types that are gone.
fn stale(files: &[(PathBuf, String)]) -> io::Result<Vec<PathBuf>> {
    let mut stale = Vec::new();
    let folders: Vec<&Path> = files.iter().filter_map(|(path, _)| path.parent()).take(2).collect();
    for folder in folders.into_iter().filter(|folder| folder.exists()) {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let generated = name.starts_with("azure-") || name.starts_with("crossregion-");
            if generated && !files.iter().any(|(file, _)| *file == path) {
                stale.push(path);
            }
        }
    }
    Ok(stale)
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
