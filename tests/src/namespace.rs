//! A small disk of the test's own, which only the test can see.

use std::path::Path;
use std::process::Command;

/// Set in the process that runs inside the namespace.
const INSIDE: &str = "REPRIEVE_TEST_IN_MOUNT_NAMESPACE";

/// Runs `body` with the path of an empty file system of `kibibytes`, in a mount namespace in which nobody needs to be
/// root: the test binary runs itself there, for the one test that is called `name`, with its module.
pub fn on_a_small_disk(name: &str, kibibytes: u32, body: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    if std::env::var_os(INSIDE).is_some() {
        let size = format!("size={kibibytes}k,mode=700");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()));
        body(folder.path());
        run(Command::new("umount").arg(folder.path()));
        return;
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "--"]).arg(std::env::current_exe().unwrap());
    unshare.args(["--exact", name, "--include-ignored"]).env(INSIDE, "1");
    let output = unshare.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Makes the small disk read-only, or writable again: this mount of it, because the disk itself is root's to change.
pub fn make_read_only(disk: &Path, read_only: bool) {
    let how = if read_only { "remount,bind,ro" } else { "remount,bind,rw" };
    run(Command::new("mount").args(["-o", how]).arg(disk));
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
