//! A small disk and a network of the test's own, which only the test can see.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::private_postgres::give_to_its_user;

/// Set in the process that runs inside the namespace.
const INSIDE: &str = "REPRIEVE_TEST_IN_NAMESPACE";

/// What is set if there is nothing else to tell.
const INSIDE_ONLY: &str = "1";

/// Some are for root only, by custom.
const PROGRAMS: &str = "/usr/sbin:/sbin:/usr/bin:/bin";

/// Runs `body` with the path of an empty file system of `kibibytes`, in a mount namespace in which nobody needs to be
/// root: the test binary runs itself there, for the one test that is called `name`, with its module.
pub fn on_a_small_disk(name: &str, kibibytes: u32, body: impl FnOnce(&Path)) {
    if is_inside() {
        let size = format!("size={kibibytes}k,mode=700");
        with_mounted(&["-t", "tmpfs", "-o", &size, "tmpfs"], body);
    } else {
        go_inside(name, &["--user", "--map-root-user", "--mount", "--"], INSIDE_ONLY);
    }
}

/// The same with an ext4 file system in an image, which only root can mount; whoever isn't root gets the other one, and the
/// output says so.
pub fn on_a_small_ext4(name: &str, kibibytes: u32, body: impl FnOnce(&Path)) {
    const EXT4: &str = "ext4";
    if std::env::var_os(INSIDE).is_some_and(|inside| inside == EXT4) {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(u64::from(kibibytes) << 10).unwrap();
        let mut make = Command::new("mkfs.ext4");
        run(make.args(["-q", "-F", "-m", "0"]).arg(image.path()).env("PATH", PROGRAMS));
        with_mounted(&["-t", "ext4", "-o", "loop", &image.path().display().to_string()], body);
    } else if is_inside() || !rustix::process::geteuid().is_root() {
        println!("nobody but root mounts an ext4 file system: a tmpfs instead");
        on_a_small_disk(name, kibibytes, body);
    } else {
        go_inside(name, &["--mount", "--"], EXT4);
    }
}

/// Runs `body` with an empty file system of `kibibytes` that the servers of the tests can keep data in. Nobody needs to be
/// root, and who isn't is himself there, because those servers refuse to be run by root.
pub fn on_a_small_disk_for_servers(name: &str, kibibytes: u32, body: impl FnOnce(&Path)) {
    if let Some(folder) = std::env::var_os(INSIDE) {
        give_to_its_user(Path::new(&folder));
        body(Path::new(&folder));
        return;
    }
    let folder = tempfile::Builder::new().prefix("reprieve-disk.").tempdir_in("/tmp").unwrap();
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let mount = format!("mount -t tmpfs -o size={kibibytes}k tmpfs '{}'", folder.path().display());
    let (namespaces, then): (&[&str], _) = if user.is_root() {
        (&["--mount"], String::new())
    } else {
        let again = format!("unshare --user --map-user={} --map-group={} --", user.as_raw(), group.as_raw());
        (&["--user", "--map-root-user", "--mount"], again)
    };
    let script = format!("{mount} && exec {then} \"$@\"");
    let mut arguments = namespaces.to_vec();
    arguments.extend(["--", "sh", "-c", &script, "sh"]);
    go_inside(name, &arguments, &folder.path().display().to_string());
}

/// Runs `body` in a network of its own, in which nobody but the test is and nobody needs to be root; it gets what
/// `outside` returned, which is the way to a socket of a server outside.
pub fn on_a_network_of_its_own<T>(
    name: &str,
    outside: impl FnOnce() -> (T, PathBuf),
    body: impl FnOnce(&Path),
) {
    if let Some(socket) = std::env::var_os(INSIDE) {
        run(Command::new("ip").args(["link", "set", "lo", "up"]).env("PATH", PROGRAMS));
        body(Path::new(&socket));
        return;
    }
    let (kept, socket) = outside();
    go_inside(name, &["--user", "--map-root-user", "--net", "--"], &socket.display().to_string());
    drop(kept);
}

/// Drops every packet of the connections that there are to this port; new ones are as before.
pub fn drop_packets(port: u16) {
    let mut rules = String::new();
    let hexadecimal = format!(":{port:04X}");
    for line in std::fs::read_to_string("/proc/net/tcp").unwrap().lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, remote, state) = (fields[1], fields[2], fields[3]);
        if remote.ends_with(&hexadecimal) && state == "01" {
            let other = u16::from_str_radix(local.rsplit(':').next().unwrap(), 16).unwrap();
            for ports in
                [format!("dport {port} tcp sport {other}"), format!("sport {port} tcp dport {other}")]
            {
                rules.extend(["add rule inet vanished input tcp ", &ports, " drop\n"]);
            }
        }
    }
    let table = "add table inet vanished\n\
        add chain inet vanished input { type filter hook input priority 0; }\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{table}{rules}")).unwrap();
    run(Command::new("nft").arg("-f").arg(file.path()).env("PATH", PROGRAMS));
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

fn go_inside(name: &str, namespaces: &[&str], inside: &str) {
    let mut unshare = Command::new("unshare");
    unshare.args(namespaces).arg(std::env::current_exe().unwrap());
    unshare.args(["--exact", name, "--include-ignored", "--nocapture"]).env(INSIDE, inside);
    let output = unshare.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    print!("{said}");
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
