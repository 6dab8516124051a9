//! The last line of defence: what must not be told is taken out of log lines and messages before they leave.
//!
//! The first is not to tell it: nothing here prints models, credentials or configurations. But a service may quote in its
//! refusal what it was sent.

use crate::{
    protocol::{Credentials, Invocation},
    schema::TypeSchema,
};
use serde_json::Value;
use std::borrow::Cow;

const REDACTED: &str = "REDACTED";
/// Shorter values are left: they would be found by chance in every sentence.
const SHORTEST: usize = 4;

/// The secrets of one invocation.
#[derive(Default)]
pub(crate) struct Secrets {
    /// In no log line and no message: longest first.
    everywhere: Vec<String>,
    /// In no log line. Messages may have them: a user must read which subscription or account was meant.
    logs: Vec<String>,
}

impl Secrets {
    pub(crate) fn of(invocation: &Invocation, schema: Option<&TypeSchema>) -> Self {
        let data = &invocation.request_data;
        let mut secrets = Self::default();
        for Credentials { secret_access_key, session_token, .. } in
            data.caller_credentials.iter().chain(&data.provider_credentials)
        {
            secrets.everywhere.push(secret_access_key.clone());
            secrets.everywhere.extend(session_token.clone());
        }
        secrets.everywhere.extend(invocation.bearer_token.clone());
        for model in data.resource_properties.iter().chain(&data.previous_resource_properties) {
            for pointer in schema.iter().flat_map(|schema| &schema.secret) {
                let mut path = pointer.trim_start_matches("/properties/").split('/');
                if let Some(value) = path.next().and_then(|name| model.get(name)) {
                    below(value, &path.collect::<Vec<_>>(), &mut secrets.everywhere);
                }
            }
        }
        match &data.type_configuration {
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(configuration) => secrets.configure(&configuration, false),
                Err(_) => secrets.everywhere.push(text.clone()),
            },
            Some(configuration) => secrets.configure(configuration, false),
            None => {}
        }
        for values in [&mut secrets.everywhere, &mut secrets.logs] {
            values.retain(|value| value.len() >= SHORTEST);
            values.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
            values.dedup();
        }
        secrets
    }

    fn configure(&mut self, value: &Value, secret: bool) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    self.configure(member, secret || is_secret(name));
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.configure(item, secret)),
            Value::String(text) if secret => self.everywhere.push(text.clone()),
            Value::String(text) => self.logs.push(text.clone()),
            _ => {}
        }
    }

    /// A log line without what logs must not tell.
    pub(crate) fn line<'a>(&self, line: &'a str) -> Cow<'a, str> {
        without(self.everywhere.iter().chain(&self.logs), line)
    }

    /// A message for the user without secrets.
    pub(crate) fn message<'a>(&self, message: &'a str) -> Cow<'a, str> {
        without(self.everywhere.iter(), message)
    }
}

/// Whether a member of a type configuration is secret by its name. An ARN is none: it says where one is kept.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !name.ends_with("arn")
        && ["secret", "password", "token", "key", "credential"].iter().any(|word| name.contains(word))
}

/// The texts and numbers at and below a path.
fn below(value: &Value, path: &[&str], found: &mut Vec<String>) {
    match (value, path) {
        (Value::Object(members), [name, rest @ ..]) => {
            if let Some(member) = members.get(*name) {
                below(member, rest, found);
            }
        }
        (Value::Array(items), ["*", rest @ ..]) => items.iter().for_each(|item| below(item, rest, found)),
        (Value::Object(members), []) => members.values().for_each(|member| below(member, &[], found)),
        (Value::Array(items), []) => items.iter().for_each(|item| below(item, &[], found)),
        (Value::String(text), []) => found.push(text.clone()),
        (Value::Number(number), []) => found.push(number.to_string()),
        _ => {}
    }
}

fn without<'a, 's>(secrets: impl Iterator<Item = &'s String>, text: &'a str) -> Cow<'a, str> {
    let mut clean = Cow::Borrowed(text);
    for secret in secrets {
        // As it is, as JSON writes it, and as JSON writes it inside a text that is itself JSON.
        let escaped = escape(secret);
        for form in [escape(&escaped), escaped, secret.clone()] {
            if clean.contains(&form) {
                clean = Cow::Owned(clean.replace(&form, REDACTED));
            }
        }
    }
    clean
}

fn escape(text: &str) -> String {
    let json = Value::from(text).to_string();
    json[1..json.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secrets() -> Secrets {
        let invocation = Invocation::parse(json!({
            "action": "CREATE", "resourceType": "A::B::C", "bearerToken": "b3arer",
            "requestData": {
                "callerCredentials": {"accessKeyId": "AKIACALLER", "secretAccessKey": "callers3cret", "sessionToken": "callert0ken"},
                "providerCredentials": {"accessKeyId": "AKIAPROVIDER", "secretAccessKey": "providers3cret", "sessionToken": "providert0ken"},
                "resourceProperties": {"Pin": 123456, "Deep": [{"Code": "d33p"}], "Name": "name", "Short": "abc"},
                "previousResourceProperties": {"Pin": "0000111", "Map": {"k": "m4pped"}},
                "typeConfiguration": {"ClientSecret": "line\n\"break", "Subscription": "subscription-1",
                                      "SecretArn": "arn:aws:secretsmanager:1", "Nested": {"ApiKeys": ["k3y1"]}}
            }
        }))
        .expect("parses");
        let schema = TypeSchema::from_json(json!({"writeOnlyProperties":
            ["/properties/Pin", "/properties/Deep/*/Code", "/properties/Map", "/properties/Short"]}));
        Secrets::of(&invocation, Some(&schema))
    }

    #[test]
    fn secrets_leave_lines_and_messages() {
        let secrets = secrets();
        for secret in [
            "b3arer",
            "callers3cret",
            "callert0ken",
            "providers3cret",
            "providert0ken",
            "123456",
            "d33p",
            "0000111",
            "m4pped",
            "k3y1",
            "line\n\"break",
        ] {
            for text in [
                format!("it is {secret}."),
                json!({"text": secret}).to_string(),
                json!({"text": json!({"k": secret}).to_string()}).to_string(),
            ] {
                for clean in [secrets.line(&text), secrets.message(&text)] {
                    assert!(clean.contains(REDACTED) && !clean.contains(secret) && !clean.contains("break"), "{clean}");
                }
            }
        }
    }

    #[test]
    fn a_message_names_what_a_user_must_know() {
        let text = "creating /subscriptions/subscription-1/name with AKIACALLER: abc";
        assert_eq!(secrets().message(text), text);
        assert_eq!(secrets().message("arn:aws:secretsmanager:1"), "arn:aws:secretsmanager:1");
        assert_eq!(secrets().line(text), "creating /subscriptions/REDACTED/name with AKIACALLER: abc");
    }
}
