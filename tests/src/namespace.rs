//! A small disk of the test's own, which only the test can see.

use std::path::Path;
use std::process::Command;

/// Set in the process that runs inside the namespace.
const INSIDE: &str = "REPRIEVE_TEST_IN_MOUNT_NAMESPACE";

/// Runs `body` with the path of an empty file system of `kibibytes`, in a mount namespace in which nobody needs to be
/// root: the test binary runs itself there, for the one test that is called `name`.
pub fn on_a_small_disk(name: &str, kibibytes: u32, body: impl FnOnce(&Path)) {
    if is_inside() {
        let size = format!("size={kibibytes}k,mode=700");
        with_mounted(&["-t", "tmpfs", "-o", &size, "tmpfs"], body);
    } else {
        go_inside(name, &["--user", "--map-root-user", "--mount"]);
    }
}

/// The same with an ext4 file system in an image, which only root can mount.
pub fn on_a_small_ext4(name: &str, kibibytes: u32, body: impl FnOnce(&Path)) {
    if is_inside() {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(u64::from(kibibytes) << 10).unwrap();
        let mut make = Command::new("mkfs.ext4");
        run(make
            .args(["-q", "-F", "-m", "0"])
            .arg(image.path())
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin"));
        with_mounted(&["-t", "ext4", "-o", "loop", &image.path().display().to_string()], body);
    } else {
        go_inside(name, &["--mount"]);
    }
}

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

fn with_mounted(what: &[&str], body: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    run(Command::new("mount").args(what).arg(folder.path()));
    body(folder.path());
    run(Command::new("umount").arg(folder.path()));
}

fn go_inside(name: &str, namespaces: &[&str]) {
    let mut unshare = Command::new("unshare");
    unshare.args(namespaces).arg("--").arg(std::env::current_exe().unwrap());
    unshare.args(["--exact", name, "--include-ignored", "--nocapture"]).env(INSIDE, "1");
    let output = unshare.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    print!("{said}");
}

/// Makes the small disk read-only, or writable again.
pub fn make_read_only(disk: &Path, read_only: bool) {
    let how = if read_only { "remount,ro" } else { "remount,rw" };
    run(Command::new("mount").args(["-o", how]).arg(disk));
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
