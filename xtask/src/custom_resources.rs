//! A template of registered types as one of Lambda-backed custom resources, for accounts that cannot activate third-party types.
//!
//! It is made line by line, so that the two forms of an example differ in nothing but this: each resource of ours gets its custom
//! type and the function that serves it, and the functions come with their parameters, roles and logs.

use cfn_provider::Entry;
use serde_json::Value;

/// What `# actions of …` in `resources.yaml` stands for begins with this.
const ACTIONS: &str = "# actions of ";

/// `registered`, with custom resources in the place of registered types.
///
/// `types` are those of the functions; the role of a function gets what the schemas of the types in `registered` ask for.
pub(crate) fn template(registered: &str, types: &[&Entry]) -> String {
    let used: Vec<_> =
        types.iter().filter(|entry| registered.contains(&format!("Type: {}\n", entry.type_name))).collect();
    let mut lines = vec!["# Generated from template.yaml by `cargo xtask generate`.".to_owned()];
    let mut function = None;
    for line in registered.lines() {
        let entry = line.strip_prefix("    Type: ").and_then(|name| types.iter().find(|entry| entry.type_name == name));
        if let Some(entry) = entry {
            function = Some(served_by(entry.type_name));
            lines.push(format!("    Type: Custom::{}", entry.type_name.replace("::", "-")));
            continue;
        }
        if line == "Rules:" {
            // Here the parameters end.
            lines.extend(part(include_str!("custom_resources/parameters.yaml")));
        }
        lines.push(line.to_owned());
        match line {
            "    ParameterGroups:" => lines.extend(part(include_str!("custom_resources/groups.yaml"))),
            "Rules:" => lines.extend(part(include_str!("custom_resources/rules.yaml"))),
            "Conditions:" => lines.extend(part(include_str!("custom_resources/conditions.yaml"))),
            "Resources:" => lines.extend(resources(&used)),
            "    Properties:" => {
                lines.extend(function.take().map(|name| format!("      ServiceToken: !GetAtt {name}.Arn")));
            }
            _ => {}
        }
    }
    lines.join("\n") + "\n"
}

/// The function of a type in the template.
fn served_by(type_name: &str) -> &'static str {
    if type_name.starts_with("CrossRegion::") { "CrossRegionTypes" } else { "AzureTypes" }
}

fn part(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(str::to_owned)
}

fn resources(used: &[&&Entry]) -> Vec<String> {
    let mut lines = Vec::new();
    for line in include_str!("custom_resources/resources.yaml").lines() {
        match line.trim_start().strip_prefix(ACTIONS) {
            Some(of) => {
                let indent = &line[..line.len() - line.trim_start().len()];
                lines.extend(actions(used, of).iter().map(|action| format!("{indent}- \"{action}\"")));
            }
            None => lines.push(line.to_owned()),
        }
    }
    lines
}

/// What the types ask of `kms`, of `s3`, or of the whole account, in order. Nothing lists through a custom resource.
fn actions(used: &[&&Entry], of: &str) -> Vec<String> {
    let whose = |action: &str| match action {
        // Which buckets there are is asked of no bucket.
        "s3:ListAllMyBuckets" => "account".to_owned(),
        action => action.split(':').next().unwrap_or_default().to_owned(),
    };
    let mut actions: Vec<String> = Vec::new();
    for entry in used {
        let handlers = &(entry.schema)().json["handlers"];
        let asked = ["create", "read", "update", "delete"].map(|action| &handlers[action]["permissions"]);
        actions.extend(
            asked.into_iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str).map(str::to_owned),
        );
    }
    actions.retain(|action| whose(action) == of);
    actions.sort();
    actions.dedup();
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTERED: &str = "\
Metadata:
  AWS::CloudFormation::Interface:
    ParameterGroups:
Parameters:
  Own: { Type: String }
Rules:
Conditions:
Resources:
  Group:
    Type: Azure::Resources::ResourceGroup
    Condition: ThirdCopy
    Properties:
      Location: australiaeast
  Bucket:
    Type: AWS::S3::Bucket
    Properties: {}
";

    #[test]
    fn only_our_types_become_custom_resources() {
        let types: Vec<_> = handlers::REGISTRY.iter().collect();
        let made = template(REGISTERED, &types);
        let group = "  Group:\n    Type: Custom::Azure-Resources-ResourceGroup\n    Condition: ThirdCopy\n    Properties:\n      \
                     ServiceToken: !GetAtt AzureTypes.Arn\n      Location: australiaeast\n  Bucket:\n    Type: AWS::S3::Bucket\n    \
                     Properties: {}\n";
        assert!(made.ends_with(group), "{made}");
        let place = |text: &str| made.find(text).unwrap_or_else(|| panic!("no {text:?} in {made}"));
        assert!(place("  Own:") < place("  TypesCodeBucket:") && place("  TypesCodeBucket:") < place("Rules:"));
        assert!(place("Conditions:") < place("  HasCrossRegionCodeVersion:"));
        assert!(place("Resources:") < place("  CrossRegionTypesRole:"));
    }

    #[test]
    fn a_role_gets_what_the_schemas_ask_for() {
        let types: Vec<_> = handlers::REGISTRY.iter().take(1).collect();
        let used: Vec<_> = types.iter().collect();
        assert_eq!(actions(&used, "sts"), ["sts:GetWebIdentityToken"]);
        assert_eq!(actions(&used, "s3"), [""; 0]);
    }
}
