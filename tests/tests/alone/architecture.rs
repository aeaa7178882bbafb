//! Arrows point inwards only: adapters → application → domain, adapters never see each other, but for the one that says how
//! to call somebody (docs/adr/0016), and only the binary and the tests see them all. Dependencies of tests do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const DOMAIN: &str = "reprieve-domain";
const APPLICATION: &str = "reprieve-application";
const OUTBOUND: &str = "reprieve-outbound";
/// See docs/adr/0006: whoever adds to it has a reason and writes it down there.
const DOMAIN_MAY_USE: [&str; 5] = ["chrono", "hmac", "serde", "sha2", "thiserror"];

/// Folder and normal dependencies of each package of the workspace.
type Packages = BTreeMap<String, (String, BTreeSet<String>)>;

fn packages() -> Packages {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let root = Path::new(metadata["workspace_root"].as_str().unwrap());
    let package = |package: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let manifest = text(&package["manifest_path"]);
        let folder = Path::new(&manifest).parent().unwrap().strip_prefix(root).unwrap().display().to_string();
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        // Normal ones have no kind; those of tests and of build scripts have one.
        let normal = dependencies.filter(|dependency| dependency["kind"].is_null());
        (text(&package["name"]), (folder, normal.map(|dependency| text(&dependency["name"])).collect()))
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

/// What is wrong with the arrows.
fn mistakes(packages: &Packages) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (name, (folder, dependencies)) in packages {
        let of_workspace: Vec<&String> =
            dependencies.iter().filter(|name| packages.contains_key(*name)).collect();
        let allowed = |wanted: &str| match folder.as_str() {
            "domain" => false,
            "application" => wanted == DOMAIN,
            "app" | "tests" => true,
            "adapters/outbound" => [DOMAIN, APPLICATION].contains(&wanted),
            folder if folder.starts_with("adapters/") => [DOMAIN, APPLICATION, OUTBOUND].contains(&wanted),
            _ => false,
        };
        for wanted in of_workspace {
            if !allowed(wanted) {
                mistakes.push(format!("{name} ({folder}) must not depend on {wanted}"));
            }
        }
        if folder == "domain" {
            let others = dependencies.iter().filter(|wanted| !DOMAIN_MAY_USE.contains(&wanted.as_str()));
            mistakes.extend(others.map(|wanted| format!("{name} must not depend on {wanted}")));
        }
    }
    mistakes
}

#[test]
fn every_arrow_points_inwards() {
    let packages = packages();
    assert_eq!(mistakes(&packages), Vec::<String>::new());
}

#[test]
fn every_package_has_its_place() {
    let packages = packages();
    let folder = |name: &str| packages[name].0.as_str();
    assert_eq!((folder(DOMAIN), folder(APPLICATION)), ("domain", "application"));
    for (name, (folder, _)) in &packages {
        let expected = match folder.as_str() {
            "app" => "reprieve".to_owned(),
            folder => format!("reprieve-{}", folder.trim_start_matches("adapters/")),
        };
        assert_eq!(*name, expected);
    }
}

#[test]
fn whoever_calls_somebody_may_see_how() {
    let sound = packages();
    for name in ["reprieve-erasure", "reprieve-remote"] {
        assert!(sound[name].1.contains(OUTBOUND), "{name} has its own way to call somebody");
    }
}

#[test]
fn an_arrow_that_turns_is_seen() {
    let sound = packages();
    for (from, to) in [
        (DOMAIN, APPLICATION),
        (DOMAIN, "reprieve-system"),
        (DOMAIN, "getrandom"),
        (APPLICATION, "reprieve-persistence"),
        ("reprieve-cli", "reprieve-persistence"),
        ("reprieve-persistence", "reprieve-system"),
        ("reprieve-system", "reprieve"),
        ("reprieve-cli", "reprieve-tests"),
        ("reprieve-erasure", "reprieve-remote"),
        (OUTBOUND, "reprieve-system"),
        (OUTBOUND, "reprieve-erasure"),
        (DOMAIN, OUTBOUND),
        (APPLICATION, OUTBOUND),
    ] {
        let mut turned = sound.clone();
        turned.get_mut(from).unwrap().1.insert(to.to_owned());
        assert!(
            mistakes(&turned).iter().any(|mistake| mistake.contains(from) && mistake.contains(to)),
            "{from} → {to}"
        );
    }
}
