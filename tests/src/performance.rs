//! docs/performance.md, in which every benchmark writes its own figures.
//!
//! The page is written by people but for its blocks of figures. A block belongs to one benchmark, which replaces what
//! stands between the block's two marks and leaves the rest of the page alone:
//!
//! ```markdown
//! <!-- figures: name -->
//! <!-- end of figures -->
//! ```

use std::fs;
use std::process::Command;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md");
const END: &str = "<!-- end of figures -->";

/// Whether to measure, as `cargo bench` asks, or only to see that the benchmark runs: `cargo bench -- --test` and
/// `cargo test --benches`. The words are those that criterion goes by.
#[must_use]
pub fn is_measuring() -> bool {
    let has = |word: &str| std::env::args().any(|argument| argument == word);
    has("--bench") && !has("--test")
}

/// Prints the figures and writes them into their block of the page, with the day and the machine.
pub fn publish(block: &str, figures: &str) {
    let day = said_by("date", &["-u", "+%F"]);
    let figures = format!("{}\n\nMeasured {day} on {}.\n", figures.trim(), machine());
    println!("\n{figures}");
    let page = fs::read_to_string(PAGE).unwrap();
    let page = with_block(&page, block, &figures)
        .unwrap_or_else(|| panic!("docs/performance.md has no block of figures with the name {block}"));
    fs::write(PAGE, page).unwrap();
}

/// The page with these figures in this block; nothing if the block is not there.
fn with_block(page: &str, block: &str, figures: &str) -> Option<String> {
    let start = format!("<!-- figures: {block} -->");
    let (before, rest) = page.split_once(&start)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{start}\n{}\n{END}{after}", figures.trim()))
}

/// What the figures depend on: processors, memory, kernel, compiler, and how busy the machine was with other things.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let field = |name: &str| {
        let value = |line: &str| Some(line.strip_prefix(name)?.split_once(':')?.1.trim().to_owned());
        processors.lines().find_map(value).unwrap_or_else(|| "processor of an unknown model".to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = read("/proc/meminfo");
    let memory = memory.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
    let load = read("/proc/loadavg");
    format!(
        "{cores} cores of {}, {} GiB of memory, Linux {}, {}; load average over the minute before {}",
        field("model name"),
        memory.unwrap_or_default().div_ceil(1024 * 1024),
        read("/proc/sys/kernel/osrelease").trim(),
        said_by("rustc", &["-V"]).split(" (").next().unwrap_or_default(),
        load.split(' ').next().unwrap_or_default(),
    )
}

/// What a program prints, in the folder whose toolchain is used.
fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::with_block;

    const PAGE: &str = "one\n<!-- figures: a -->\nold\n<!-- end of figures -->\ntwo\n\
        <!-- figures: b -->\n<!-- end of figures -->\nthree\n";

    #[test]
    fn only_the_named_block_is_replaced() {
        let page = with_block(PAGE, "b", "\nnew\n").unwrap();
        assert_eq!(
            page,
            "one\n<!-- figures: a -->\nold\n<!-- end of figures -->\ntwo\n\
             <!-- figures: b -->\nnew\n<!-- end of figures -->\nthree\n"
        );
        let page = with_block(PAGE, "a", "new").unwrap();
        assert!(
            !page.contains("old")
                && page.ends_with("two\n<!-- figures: b -->\n<!-- end of figures -->\nthree\n")
        );
    }

    #[test]
    fn writing_the_same_figures_again_changes_nothing() {
        let page = with_block(PAGE, "a", "new").unwrap();
        assert_eq!(with_block(&page, "a", "new").unwrap(), page);
    }

    #[test]
    fn a_block_that_is_not_there_is_noticed() {
        assert_eq!(with_block(PAGE, "c", "new"), None);
        assert_eq!(with_block("<!-- figures: c -->", "c", "new"), None);
    }
}
