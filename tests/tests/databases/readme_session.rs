//! The README's commands, executed as they stand there, do what it shows.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use reprieve_tests::{Outcome, Sandbox, reprieve_binary};

/// The fenced blocks of the README in this language, in order.
fn blocks(language: &str) -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let fence = format!("```{language}\n");
    readme.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// Runs a script in a checkout whose binary is built already: `cargo build --release` puts it where Cargo would.
fn run(sandbox: &Sandbox, script: &str) -> Outcome {
    let tools = tempfile::tempdir().unwrap();
    let cargo = tools.path().join("cargo");
    std::fs::write(
        &cargo,
        "#!/bin/sh\n[ \"$*\" = 'build --release' ] && mkdir -p target/release && ln -sf \"$BUILT\" target/release/reprieve\n",
    )
    .unwrap();
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
    let system = std::env::var("PATH").unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-euc", script]).current_dir(sandbox.home()).env_clear();
    shell.env("HOME", sandbox.home()).env("BUILT", reprieve_binary());
    shell.env("PATH", format!("{}:{system}", tools.path().display()));
    Outcome::of(&mut shell)
}

/// What differs from run to run, replaced: instants, and what identifies an identity.
fn without_chance(text: &str) -> String {
    let word = |word: &str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        if word.ends_with('Z') && word.len() == 27 && digits == 20 {
            return "INSTANT".to_owned();
        }
        match word.strip_prefix("did:e:localhost:dids:") {
            Some(rest) if rest.len() == 22 => "ADDRESS".to_owned(),
            _ => word.to_owned(),
        }
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_quick_start_does_what_it_shows() {
    let sandbox = Sandbox::new();
    let (script, shown) = (blocks("sh").remove(0), blocks("text").remove(0));
    assert!(script.starts_with("cargo build --release"), "{script}");
    let outcome = run(&sandbox, &script).succeeded();
    assert_eq!(without_chance(&outcome.stdout), without_chance(&shown));
    assert!(shown.contains("did:e:localhost:dids:") && without_chance(&shown).contains("INSTANT"), "{shown}");

    // The end of the grace period is the same when it is set and when it is looked at, here as there.
    for text in [&outcome.stdout, &shown] {
        let lines: Vec<&str> = text.lines().collect();
        let instant = |number: usize| lines[number].split(' ').nth(4).unwrap();
        assert_eq!(instant(1), instant(4));
        assert_eq!(lines[2], lines[6]);
    }
    // It keeps to the folder it was run in.
    assert!(sandbox.home().join("target/try/reprieve.db").is_file());
    assert!(!sandbox.home().join(".local").exists());
}

#[test]
fn without_configuration_everything_is_where_the_readme_says() {
    let sandbox = Sandbox::new();
    let _ = sandbox.line("identity status").succeeded();
    let folder = sandbox.home().join(".local/share/reprieve");
    let files: Vec<_> = sandbox.files().into_iter().filter(|(_, content)| content.is_some()).collect();
    let files: Vec<_> = files.into_iter().map(|(path, _)| path).collect();
    assert_eq!(files, [folder.join("reprieve.db"), folder.join("reprieve.db.audit-key")]);
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn the_commands_for_postgres_do_what_they_say() {
    let sandbox = Sandbox::unmigrated_postgres();
    let script = blocks("sh").into_iter().find(|block| block.contains("postgres://")).unwrap();
    let example = "postgres://reprieve@db.example.org/reprieve";
    assert!(script.contains(example), "{script}");
    // Only the server is another one.
    let script = script.replace(example, &format!("'{}'", sandbox.database_url()));
    let binaries = sandbox.home().join("bin");
    std::fs::create_dir(&binaries).unwrap();
    symlink(reprieve_binary(), binaries.join("reprieve")).unwrap();
    let outcome = run(&sandbox, &format!("PATH=\"$HOME/bin:$PATH\"\n{script}")).succeeded();
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert!(lines[0].starts_with("Applied m"), "{outcome:?}");
    assert!(lines.contains(&"Identity deletion initiated"), "{outcome:?}");
}
