//! What README promises of each type is there.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use contract_tests::stage;
use sandbox::tools::root;
use std::fs;

#[test]
fn every_type_has_a_row_a_page_and_an_example() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let types = stage::types().unwrap();
    for name in &types {
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("README has no row for {name}"));
        let linked = |ending: &str| {
            let mut links = row.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            let link = links.find(|link| link.ends_with(ending)).unwrap_or_else(|| panic!("{name} links no {ending}"));
            fs::read_to_string(root().join(link)).unwrap_or_else(|error| panic!("{name}, {link}: {error}"))
        };
        assert!(linked(".md").contains(&format!("# {name}\n")), "{name}'s page is another type's");
        assert!(linked("template.yaml").contains(&format!("Type: {name}\n")), "{name} is not in its example");
    }
    let rows = readme.lines().filter(|line| line.starts_with("| `") && line.contains("::")).count();
    assert_eq!(rows, types.len(), "README has a row for a type that there is not");
}
