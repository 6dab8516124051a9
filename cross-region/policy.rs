//! Policy documents compared by what they mean. AWS stores them in a form of its own: a list of one becomes its item, an
//! account becomes the ARN of its root.

use serde_json::{Map, Value};

/// The items of what may be one or a list of them.
pub fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// Whether two policies mean the same.
pub fn same(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    canonical(a) == canonical(b)
}

/// One form for all policies that mean the same: every value a sorted list of texts, actions in lower case.
pub fn canonical(policy: &Map<String, Value>) -> Map<String, Value> {
    let member = |(name, value): (&String, &Value)| match name.as_str() {
        "Statement" => {
            let mut statements: Vec<Value> = items(value).into_iter().map(statement).collect();
            statements.sort_by_key(Value::to_string);
            (name.clone(), statements.into())
        }
        _ => (name.clone(), value.clone()),
    };
    policy.iter().map(member).collect::<std::collections::BTreeMap<_, _>>().into_iter().collect()
}

fn statement(statement: &Value) -> Value {
    let members = statement.as_object().into_iter().flatten();
    let members = members.map(|(name, value)| {
        let value = match name.as_str() {
            "Sid" | "Effect" => value.clone(),
            "Action" | "NotAction" => list(value, |text| text.to_ascii_lowercase()),
            "Principal" | "NotPrincipal" => principals(value),
            // Operators, and below them keys, of which neither's case matters.
            "Condition" => lowered(value, |keys| lowered(keys, |values| list(values, str::to_owned))),
            _ => list(value, str::to_owned),
        };
        (name.clone(), value)
    });
    members.collect::<std::collections::BTreeMap<_, _>>().into_iter().collect::<Map<_, _>>().into()
}

fn principals(value: &Value) -> Value {
    let everybody = Map::from_iter([("AWS".to_owned(), Value::from("*"))]);
    let kinds = value.as_object().unwrap_or(&everybody);
    let kinds = kinds.iter().map(|(kind, names)| (kind.clone(), list(names, principal)));
    kinds.collect::<std::collections::BTreeMap<_, _>>().into_iter().collect::<Map<_, _>>().into()
}

/// An account stands for its root.
fn principal(name: &str) -> String {
    match name.strip_prefix("arn:").and_then(|rest| rest.strip_suffix(":root")).and_then(|rest| rest.rsplit(':').next())
    {
        Some(account) => account.to_owned(),
        None => name.to_owned(),
    }
}

fn lowered(value: &Value, of: impl Fn(&Value) -> Value) -> Value {
    let members = value.as_object().into_iter().flatten();
    let members = members.map(|(name, value)| (name.to_ascii_lowercase(), of(value)));
    members.collect::<std::collections::BTreeMap<_, _>>().into_iter().collect::<Map<_, _>>().into()
}

fn list(value: &Value, of: impl Fn(&str) -> String) -> Value {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut texts: Vec<String> = items(value).into_iter().map(|value| of(&text(value))).collect();
    texts.sort();
    texts.dedup();
    texts.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_same_in_other_words_is_the_same() {
        let policy = |statements: Value| Map::from_iter([("Statement".to_owned(), statements)]);
        let plain = json!([{"Sid": "A", "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "s3:GetObject",
            "Resource": ["b", "a"], "Condition": {"Bool": {"aws:SecureTransport": "true"}}}]);
        let other = json!({"Sid": "A", "Effect": "Allow", "Resource": ["a", "b"], "Action": ["S3:getobject"],
            "Principal": {"AWS": ["arn:aws:iam::111122223333:root"]}, "Condition": {"bool": {"aws:securetransport": [true]}}});
        assert!(same(&policy(plain.clone()), &policy(other)));
        for (member, value) in [
            ("Effect", json!("Deny")),
            ("Principal", json!("*")),
            ("Resource", json!("a")),
            ("Condition", json!({"Bool": {"aws:SecureTransport": "false"}})),
        ] {
            let mut changed = plain.clone();
            changed[0][member] = value;
            assert!(!same(&policy(plain.clone()), &policy(changed.clone())), "{changed}");
        }
        let (everybody, all) = (json!([{"Principal": "*"}]), json!([{"Principal": {"AWS": ["*"]}}]));
        assert!(same(&policy(everybody), &policy(all)));
    }
}
