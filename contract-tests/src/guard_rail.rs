//! The linter by which the CloudFormation registry judges a schema.

use std::path::PathBuf;

use sandbox::{process, tools};
use serde::Deserialize;

use crate::Error;
use crate::stage;

/// The tool's exit status is always 0 and its `--json` is a Python literal; this makes JSON of it.
const SCRIPT: &str = "\
import ast, cli, contextlib, io, json, sys
out = io.StringIO()
with contextlib.redirect_stdout(out):
    cli.main([a for s in sys.argv[1:] for a in ('--schema', s)] + ['--json'])
print(json.dumps(ast.literal_eval(out.getvalue())))
";

/// Something that the linter holds against a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The type.
    pub type_name: String,
    /// The rule, such as `TAG015`.
    pub rule: String,
    /// What the linter says.
    pub message: String,
    /// Where in the schema.
    pub path: String,
}

/// A rule that cannot hold for a type.
pub struct Exemption {
    /// The type; none for every type.
    pub type_name: Option<&'static str>,
    /// The rule, such as `TAG015`.
    pub rule: &'static str,
    /// Why it cannot hold.
    pub reason: &'static str,
}

#[derive(Deserialize)]
struct Verdict {
    non_compliant: std::collections::BTreeMap<String, Vec<Check>>,
    warning: std::collections::BTreeMap<String, Vec<Check>>,
}

#[derive(Deserialize)]
struct Check {
    check_id: String,
    message: String,
    path: String,
}

/// What the linter finds in the schemas of all types, warnings among it.
pub fn findings() -> Result<Vec<Finding>, Error> {
    let types = stage::types()?;
    let schema = |name: &String| tools::root().join("schema").join(format!("{}.json", stage::hyphenated(name)));
    let schemas: Vec<PathBuf> = types.iter().map(schema).collect();
    let venv = tools::python_venv("guard-rail", &tools::root().join("contract-tests/requirements/guard-rail.txt"))?;
    let folder = tools::target_dir().join("stage");
    std::fs::create_dir_all(&folder).map_err(Error::io(format!("creating {}", folder.display())))?;
    let done = process::output(
        process::guarded(venv.join("bin/python"))
            // It leaves a log where it runs.
            .current_dir(folder)
            .args(["-c", SCRIPT])
            .args(schemas.iter().map(|schema| format!("file://{}", schema.display()))),
    )
    .map_err(Error::io("starting guard-rail"))?;
    let wrong = |said: String| Error::Program {
        command: "guard-rail".into(),
        outcome: format!("ended with {}", done.status),
        said,
    };
    let verdicts: Vec<Verdict> = serde_json::from_slice(&done.stdout)
        .map_err(|_| wrong(String::from_utf8_lossy(&[&done.stdout[..], &done.stderr[..]].concat()).into_owned()))?;
    if verdicts.len() != types.len() {
        return Err(wrong(format!("{} verdicts for {} schemas", verdicts.len(), types.len())));
    }
    let finding = |type_name: &String, check: Check| Finding {
        type_name: type_name.clone(),
        rule: check.check_id,
        message: check.message,
        path: check.path,
    };
    Ok(types
        .iter()
        .zip(verdicts)
        .flat_map(|(name, verdict)| {
            let checks = verdict.non_compliant.into_values().chain(verdict.warning.into_values()).flatten();
            checks.map(|check| finding(name, check)).collect::<Vec<_>>()
        })
        .collect())
}

/// Findings that no exemption covers, and exemptions that cover nothing, as lines.
pub fn objections(findings: &[Finding], exemptions: &[Exemption]) -> Vec<String> {
    let covers = |exemption: &Exemption, finding: &Finding| {
        exemption.type_name.is_none_or(|name| name == finding.type_name) && exemption.rule == finding.rule
    };
    let found = findings
        .iter()
        .filter(|finding| !exemptions.iter().any(|exemption| covers(exemption, finding)))
        .map(|f| format!("{}: {} at {}: {}", f.type_name, f.rule, f.path, f.message));
    let stale = exemptions
        .iter()
        .filter(|exemption| !findings.iter().any(|finding| covers(exemption, finding)))
        .map(|e| format!("{}: the exemption from {} is needed no more", e.type_name.unwrap_or("every type"), e.rule));
    found.chain(stale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exemptions_cover_one_rule_of_one_type_and_must_be_needed() {
        let finding = |type_name: &str, rule: &str| Finding {
            type_name: type_name.into(),
            rule: rule.into(),
            message: "must be".into(),
            path: "/x".into(),
        };
        let exemption = |type_name, rule| Exemption { type_name, rule, reason: "because" };
        let findings = [finding("A::B::C", "R1"), finding("A::B::D", "R1"), finding("A::B::C", "R2")];
        assert_eq!(
            objections(&findings, &[exemption(Some("A::B::C"), "R1"), exemption(None, "R3")]),
            [
                "A::B::D: R1 at /x: must be",
                "A::B::C: R2 at /x: must be",
                "every type: the exemption from R3 is needed no more"
            ]
        );
        assert_eq!(objections(&findings, &[exemption(None, "R1"), exemption(None, "R2")]), Vec::<String>::new());
    }
}
