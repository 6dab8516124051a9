//! What a template says is what a READ answers, whatever it says: models made at random from each type's schema.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod scenarios;

use cfn_provider::HandlerErrorCode as Code;
use scenarios::{
    Scenario, assert_contains, changed, each,
    schema::{resolved, validator, words},
    visible,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How many models are made of each type.
const ROUNDS: usize = 40;

/// The same numbers in every run, so that what failed once fails again.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Another value for `seed`, as the schema allows: words, numbers and flags at random, optional members there or not, some
/// of a list's items. Free text stays as it is, since no schema says which of it Azure knows. `touched` gets the pointers.
fn vary(
    random: &mut Random,
    schema: &Value,
    at: &Value,
    seed: &Value,
    pointer: &str,
    touched: &mut BTreeSet<String>,
) -> Value {
    let at = resolved(schema, at);
    let varied = match seed {
        Value::Object(members) if at["properties"].is_object() => {
            let required = |name: &String| at["required"].as_array().is_some_and(|list| list.contains(&json!(name)));
            let kept = members.iter().filter(|(name, _)| required(name) || random.below(3) > 0).collect::<Vec<_>>();
            kept.into_iter()
                .map(|(name, value)| {
                    let at = &at["properties"][name];
                    (name.clone(), vary(random, schema, at, value, &format!("{pointer}/{name}"), touched))
                })
                .collect()
        }
        Value::Array(items) if !items.is_empty() => {
            let least = at["minItems"].as_u64().unwrap_or(0).max(1);
            let mut kept: Vec<&Value> = items.iter().filter(|_| random.below(3) > 0).collect();
            while (kept.len() as u64) < least {
                kept.push(items.iter().find(|item| !kept.contains(item)).unwrap_or(&items[0]));
            }
            let mut varied: Vec<Value> = Vec::new();
            for item in kept {
                let item = vary(random, schema, &at["items"], item, &format!("{pointer}/*"), touched);
                if !varied.contains(&item) {
                    varied.push(item);
                }
            }
            varied.into()
        }
        Value::String(_) | Value::Number(_) if !words(at).is_empty() => random.one(&words(at)).clone(),
        Value::Bool(_) => (random.below(2) == 0).into(),
        Value::Number(number) if number.is_u64() => {
            let least = at["minimum"].as_u64().unwrap_or(0);
            let most = at["maximum"].as_u64().unwrap_or(least + 400);
            let room = usize::try_from(most - least).unwrap();
            // The ends are where mistakes are.
            match random.below(4) {
                0 => least.into(),
                1 => most.into(),
                _ => (least + random.below(room + 1) as u64).into(),
            }
        }
        other => other.clone(),
    };
    if varied != *seed {
        touched.insert(pointer.to_owned());
    }
    varied
}

/// What does not vary: what names the resource, where it is, and what keeps a test from deleting it.
fn is_fixed(scenario: &Scenario, name: &str) -> bool {
    scenario.minimal.get(name).is_some()
        || name.ends_with("Name") && name != "RoleName"
        || ["Profile", "DataResidency", "LegalHold", "TenantId", "EmptyOnDelete"].contains(&name)
}

#[tokio::test]
async fn any_model_of_the_schema_shows_no_drift() {
    let mut random = Random(20_261_122);
    for scenario in each().await {
        let Scenario { harness, full, minimal, emulator, .. } = &scenario;
        let schema = &harness.schema().json;
        let (name, validator) = (schema["typeName"].as_str().unwrap(), validator(&scenario));
        let (mut taken, mut refused, mut touched) = (0, 0, BTreeSet::new());
        for round in 0..ROUNDS {
            let mut model = minimal.clone();
            let mut varies = BTreeSet::new();
            for (key, value) in full.as_object().unwrap() {
                if name.ends_with("Policy") && key == "Rules" || !is_fixed(&scenario, key) && random.below(2) == 0 {
                    let at = &schema["properties"][key];
                    model[key] = vary(&mut random, schema, at, value, &format!("/{key}"), &mut varies);
                }
            }
            let model = scenario.completed(&model);
            let errors: Vec<String> = validator.iter_errors(&model).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{name} round {round}: made {model}, which is not valid: {errors:?}");
            let before = emulator.resources();
            let created = match harness.create(&model).await {
                Ok(created) => created,
                // Not all that a schema can say goes together: then nothing is made, and the message says why.
                Err(failure) => {
                    assert_eq!(
                        failure.code,
                        Code::InvalidRequest,
                        "{name} round {round}: {model}: {}",
                        failure.message
                    );
                    assert_eq!(emulator.resources(), before, "{name} round {round}: {model}: {}", failure.message);
                    refused += 1;
                    continue;
                }
            };
            let read = harness.read(&created).await.unwrap();
            assert_contains(&visible(&scenario, &model), &read, &format!("{name} round {round}"));
            let errors: Vec<String> = validator.iter_errors(&read).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{name} round {round}: READ answers {read}, which is not valid: {errors:?}");
            let mut gone = changed(&model, "Id", &created["Id"]);
            if schema["properties"].get("EmptyOnDelete").is_some() {
                gone["EmptyOnDelete"] = true.into();
            }
            let deleted = harness.delete(&gone).await;
            // What is locked may not go, which is the point of it.
            let is_kept = model["State"] == "Locked";
            assert_eq!(deleted.is_err(), is_kept, "{name} round {round}: {gone}: {deleted:?}");
            // Azure keeps a disabled encryption scope, which the next round must not meet.
            emulator.remove(created["Id"].as_str().unwrap());
            touched.append(&mut varies);
            taken += 1;
        }
        println!("{name}: {taken} models taken, {refused} refused, {} places varied", touched.len());
        assert!(taken >= ROUNDS / 8, "{name}: only {taken} of {ROUNDS} models were taken");
    }
}
