//! One folder for each type, as the CLI wants it, from the one `.rpdk-config`, `schema/` and `contract-tests/`.
//!
//! Never run the CLI in the repository itself: `cfn generate` deletes `docs/` before it writes there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sandbox::tools::{root, target_dir};
use serde_json::Value;

use crate::Error;

const CONFIG: &str = ".rpdk-config";

/// Placeholders of inputs, without their braces, and what they stand for.
pub type Values = BTreeMap<String, String>;

/// The names of all types that have a schema, in the order of their files.
pub fn types() -> Result<Vec<String>, Error> {
    let mut files = files(&root().join("schema"))?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    let name = |file: &PathBuf| match parse(file)?["typeName"].as_str() {
        Some(name) => Ok(name.to_owned()),
        None => Err(Error::file(file, "no typeName")),
    };
    files.iter().map(name).collect()
}

/// A type's committed schema.
pub fn schema(type_name: &str) -> Result<Value, Error> {
    parse(&root().join("schema").join(format!("{}.json", hyphenated(type_name))))
}

/// `azure-storage-blobcontainer` for `Azure::Storage::BlobContainer`: what the CLI calls a type's files.
pub fn hyphenated(type_name: &str) -> String {
    type_name.replace("::", "-").to_lowercase()
}

/// Makes `target/stage/azure-storage-blobcontainer` anew and returns it.
///
/// A placeholder such as `{{ResourceGroupId}}` in the inputs is replaced where `values` has it and stays as it is where
/// not: the CLI then looks for a CloudFormation export of that name, which is what the tests on the side of AWS want.
pub fn stage(type_name: &str, values: &Values) -> Result<PathBuf, Error> {
    stage_into(&target_dir().join("stage").join(hyphenated(type_name)), type_name, values)
}

fn stage_into(folder: &Path, type_name: &str, values: &Values) -> Result<PathBuf, Error> {
    let name = hyphenated(type_name);
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Error::io(format!("removing {}", folder.display())))?;
    }
    let inputs = folder.join("inputs");
    fs::create_dir_all(&inputs).map_err(Error::io(format!("creating {}", inputs.display())))?;
    let schema = format!("{name}.json");
    write(&folder.join(&schema), &read(&root().join("schema").join(&schema))?)?;
    write(&folder.join(CONFIG), &config(&root().join(CONFIG), type_name)?)?;
    for file in files(&root().join("contract-tests").join(&name))? {
        if let Some(name) = file.file_name() {
            write(&inputs.join(name), &fill(&read(&file)?, values))?;
        }
    }
    Ok(folder.to_owned())
}

/// How many sets of inputs a staged folder has: the CLI counts from 1 and stops at the first gap.
pub fn input_sets(folder: &Path) -> Result<usize, Error> {
    let names: Vec<_> = files(&folder.join("inputs"))?
        .iter()
        .filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()))
        .collect();
    let is_there = |set: &usize| names.iter().any(|name| name.starts_with(&format!("inputs_{set}_")));
    Ok((1..).take_while(is_there).count())
}

/// The repository's configuration with the type's name in it.
fn config(file: &Path, type_name: &str) -> Result<String, Error> {
    let mut config = parse(file)?;
    config["typeName"] = type_name.into();
    Ok(format!("{config:#}\n"))
}

fn fill(text: &str, values: &Values) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

fn parse(file: &Path) -> Result<Value, Error> {
    serde_json::from_str(&read(file)?).map_err(|error| Error::file(file, error))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let what = || Error::io(format!("listing {}", folder.display()));
    let mut files = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
        .map_err(what())?;
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<String, Error> {
    fs::read_to_string(file).map_err(Error::io(format!("reading {}", file.display())))
}

fn write(file: &Path, text: &str) -> Result<(), Error> {
    fs::write(file, text).map_err(Error::io(format!("writing {}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_without_a_value_stay_for_the_cli() {
        let values = Values::from([("GroupId".into(), "/subscriptions/1".into())]);
        let filled = fill(r#"{"A": "{{GroupId}}", "B": "{{GroupId}}/x", "C": "{{AccountId}}"}"#, &values);
        assert_eq!(filled, r#"{"A": "/subscriptions/1", "B": "/subscriptions/1/x", "C": "{{AccountId}}"}"#);
    }

    #[test]
    fn the_config_gets_the_name_and_keeps_the_rest() {
        let config = config(&root().join(CONFIG), "Azure::Storage::BlobContainer").unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["typeName"], "Azure::Storage::BlobContainer");
        assert_eq!(config["language"], "rust");
        assert_eq!(config["settings"]["protocolVersion"], "2.0.0");
    }

    #[test]
    fn a_stage_has_what_the_cli_looks_for() {
        let folder = tempfile::tempdir().unwrap();
        for type_name in types().unwrap() {
            let staged = stage_into(&folder.path().join("stage"), &type_name, &Values::new()).unwrap();
            let name = hyphenated(&type_name);
            assert!(staged.join(format!("{name}.json")).is_file(), "{name}");
            for input in ["inputs_1_create.json", "inputs_1_update.json", "inputs_1_invalid.json"] {
                assert!(staged.join("inputs").join(input).is_file(), "contract-tests/{name} lacks {input}");
            }
        }
    }
}
