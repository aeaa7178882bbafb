//! Several processes that race on one database.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::reprieve_binary;

/// Processes of the binary `contender`. They end with this.
pub struct Contenders {
    processes: Vec<Contender>,
}

struct Contender {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Contenders {
    /// Starts `count` processes on a migrated database.
    #[must_use]
    pub fn start(count: usize, database_url: &str, audit_key: &str) -> Self {
        let binary = reprieve_binary().with_file_name("contender");
        let start = |_| {
            let mut command = Command::new(&binary);
            command.args([database_url, audit_key]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut process = command.spawn().unwrap();
            let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
            Contender { process, input, output: BufReader::new(output) }
        };
        Self { processes: (0..count).map(start).collect() }
    }

    /// Lets the tasks race, dealt out to all processes in turn; returns `ok` or an error code for each, in their order.
    pub fn race(&mut self, tasks: &[String]) -> Vec<String> {
        let count = self.processes.len();
        for (number, contender) in self.processes.iter_mut().enumerate() {
            let own: Vec<&str> = tasks.iter().skip(number).step_by(count).map(String::as_str).collect();
            assert!(!own.is_empty(), "a process without a task");
            contender.say(&own.join(";"));
        }
        for contender in &mut self.processes {
            assert_eq!(contender.hear(), "ready");
        }
        for contender in &mut self.processes {
            contender.say("go");
        }
        let mut outcomes = vec![String::new(); tasks.len()];
        for (number, contender) in self.processes.iter_mut().enumerate() {
            let heard = contender.hear();
            for (place, outcome) in heard.split(' ').enumerate() {
                outcome.clone_into(&mut outcomes[number + place * count]);
            }
        }
        outcomes
    }
}

impl Contender {
    fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
        self.input.flush().unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "a contender died");
        line.trim_end().to_owned()
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        // What it failed with was said by the test that waited for it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
