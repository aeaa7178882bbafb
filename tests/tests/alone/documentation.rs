//! Links in the documentation lead somewhere, and the README names what is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reprieve_tests::Sandbox;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every page, but for what is built.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension() == Some("md".as_ref()) {
                pages.push(path);
            }
        }
    }
    pages
}

/// What stands in `](…)`, outside code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        if !in_code {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            links.extend(targets.map(str::to_owned));
        }
    }
    links
}

/// The anchor of each heading, as GitHub makes it.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    headings
        .map(|heading| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            heading.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
        })
        .collect()
}

#[test]
fn every_link_leads_to_something_that_is_there() {
    let pages = pages();
    assert!(pages.contains(&root().join("README.md")) && pages.len() > 5, "{pages:?}");
    let mut dead = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in links(&text).into_iter().filter(|link| !link.starts_with("https://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            let found = target.exists()
                && (anchor.is_empty()
                    || anchors(&std::fs::read_to_string(&target).unwrap()).contains(anchor));
            if !found {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert_eq!(dead, Vec::<String>::new());
}

#[test]
fn dead_links_are_seen() {
    assert_eq!(links("[a](b) and [c](d#e)\n```\n[not](this)\n```\n[f](g)"), ["b", "d#e", "g"]);
    assert_eq!(
        anchors("# A b\n## What `c` is, exactly\n"),
        ["a-b", "what-c-is-exactly"].map(str::to_owned).into()
    );
}

/// The commands that stand in the README as `reprieve …`, without what is optional or a placeholder.
fn commands_of_the_readme() -> BTreeSet<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let spans = readme.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("reprieve "));
    let is_command = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
    let commands = spans.map(|line| line.split(' ').take_while(is_command).collect::<Vec<_>>().join(" "));
    // What starts with an option stands for any command.
    commands.filter(|command| !command.is_empty()).collect()
}

#[test]
fn every_command_of_the_readme_is_one() {
    let commands = commands_of_the_readme();
    assert!(commands.contains("identityDeletion cancel") && commands.len() > 5, "{commands:?}");
    for command in commands {
        let _ = Sandbox::new().run(command.split(' ').chain(["--help"])).succeeded();
    }
}

#[test]
fn every_key_of_the_configuration_is_documented() {
    let page = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let pages = page("README.md")
        + &page("docs/http.md")
        + &page("docs/deletion.md")
        + &page("docs/events.md")
        + &page("docs/restoring.md");
    let shown = Sandbox::new().json("config show");
    for (table, keys) in shown.as_object().unwrap() {
        for key in keys.as_object().unwrap().keys() {
            let named = [format!("`{table}.{key}`"), format!("`….{key}`")];
            assert!(named.iter().any(|name| pages.contains(name)), "{table}.{key}");
        }
    }
}
