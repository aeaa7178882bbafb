//! URLs of PostgreSQL, in every spelling that its own programs take: heeded, or refused by name; and no part of a password is
//! ever shown.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use reprieve_tests::{Outcome, PrivatePostgres, Sandbox, Service, Sql};

/// A port that was free a moment ago.
fn dead_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server with a migrated database in which whoever comes is let in.
struct Server {
    postgres: PrivatePostgres,
    sandbox: Sandbox,
    live: String,
    dead: u16,
    folder: String,
}

impl Server {
    fn start() -> Self {
        let postgres = PrivatePostgres::start();
        let mut sql = Sql::open(&postgres.url());
        sql.execute("CREATE DATABASE reprieve");
        sql.execute("CREATE ROLE \"ad a@é\" SUPERUSER LOGIN PASSWORD 'per%cent/ó'");
        let live = postgres.address().rsplit(':').next().unwrap().to_owned();
        let sandbox = Sandbox::new();
        let folder = postgres.socket().parent().unwrap().display().to_string();
        let server = Self { postgres, sandbox, live, dead: dead_port(), folder };
        let _ = server.run("database migrate", &server.plain("")).succeeded();
        let _ = server.run("identity status", &server.plain("")).succeeded();
        server
    }

    fn plain(&self, parameters: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/reprieve{parameters}", self.live)
    }

    fn run(&self, line: &str, url: &str) -> Outcome {
        self.sandbox.variant().on(url).line(line)
    }

    fn fill_in(&self, url: &str) -> String {
        url.replace("LIVE", &self.live)
            .replace("DEAD", &self.dead.to_string())
            .replace("FOLDER", &self.folder)
            .replace("ESCAPED", &self.folder.replace('/', "%2F"))
    }
}

/// Whether a command succeeded without a word beside its answer.
fn silently_done(outcome: &Outcome) -> bool {
    outcome.code == 0 && outcome.stderr.is_empty()
}

#[test]
#[ignore = "needs the programs of PostgreSQL: tests/run"]
fn every_spelling_of_an_address_leads_there() {
    let server = Server::start();
    let mut wrong = Vec::new();
    let mut urls = vec![
        "postgres://postgres@127.0.0.1:LIVE/reprieve",
        "postgresql://postgres@127.0.0.1:LIVE/reprieve",
        "postgres://postgres@localhost:LIVE/reprieve",
        "postgres://postgres:@127.0.0.1:LIVE/reprieve",
        // Several hosts.
        "postgres://postgres@127.0.0.1:DEAD,127.0.0.1:LIVE/reprieve",
        "postgres://postgres@127.0.0.1:LIVE,127.0.0.1:DEAD/reprieve",
        "postgresql://postgres@127.0.0.1:DEAD,localhost:DEAD,127.0.0.1:LIVE/reprieve",
        "postgres://postgres@nowhere.invalid:LIVE,127.0.0.1:LIVE/reprieve",
        "postgres://postgres@127.0.0.1:DEAD,127.0.0.1:LIVE/reprieve?target_session_attrs=read-write",
        "postgres://postgres@127.0.0.1:DEAD,127.0.0.1:LIVE/reprieve?target_session_attrs=any",
        "postgres://postgres@127.0.0.1:DEAD,127.0.0.1:LIVE/reprieve?target_session_attrs=primary",
        "postgres:///reprieve?host=127.0.0.1,127.0.0.1&port=DEAD,LIVE&user=postgres",
        "postgres://postgres@/reprieve?host=127.0.0.1&port=LIVE",
        "postgres://postgres@127.0.0.1:LIVE?dbname=reprieve",
        "postgres://127.0.0.1:LIVE/reprieve?user=postgres",
        // One port for all.
        "postgres://postgres@/reprieve?host=nowhere.invalid,127.0.0.1&port=LIVE",
        // Sockets.
        "postgres://postgres@ESCAPED:LIVE/reprieve",
        "postgres://postgres@/reprieve?host=FOLDER&port=LIVE",
        "postgres:///reprieve?host=FOLDER&port=LIVE&user=postgres",
        "postgres://postgres@127.0.0.1:DEAD,ESCAPED:LIVE/reprieve",
        // What is percent-encoded.
        "postgres://ad%20a%40%C3%A9:per%25cent%2F%C3%B3@127.0.0.1:LIVE/reprieve",
        "postgres://p%6Fstgres@127.0.0.1:LIVE/%72eprieve",
        "postgres://postgres@127.0.0.1:LIVE/reprieve?application_name=a%20b%26c",
        "postgres://postgres@127.0.0.1:LIVE/reprieve?",
    ];
    if std::net::TcpStream::connect(format!("[::1]:{}", server.live)).is_ok() {
        urls.extend([
            "postgres://postgres@[::1]:LIVE/reprieve",
            "postgres://postgres@[::1]:DEAD,[::1]:LIVE/reprieve",
            "postgres://postgres@[::1]:DEAD,127.0.0.1:LIVE/reprieve",
            "postgres://postgres@[0:0:0:0:0:0:0:1]:LIVE/reprieve",
            "postgres://postgres@/reprieve?host=::1&port=LIVE",
        ]);
    } else {
        println!("this machine has no IPv6: literals of it were not tried");
    }
    for url in urls {
        let outcome = server.run("identity status", &server.fill_in(url));
        if !silently_done(&outcome) {
            wrong.push(format!("{url}: {}", outcome.stderr.trim_end()));
        }
    }
    assert!(wrong.is_empty(), "{} do not lead there:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
#[ignore = "needs the programs of PostgreSQL: tests/run"]
fn what_is_no_address_is_refused_and_does_not_fall_back_to_another() {
    let server = Server::start();
    let mut wrong = Vec::new();
    for url in [
        "postgres://postgres@127.0.0.1:DEAD,127.0.0.1:DEAD/reprieve",
        "postgres://postgres@127.0.0.1:LIVE,127.0.0.1:LIVE/reprieve?port=LIVE,LIVE,LIVE",
        "postgres://postgres@/reprieve?host=127.0.0.1,127.0.0.1&port=LIVE,LIVE,LIVE",
        "postgres://postgres@127.0.0.1:LIVE,/reprieve?host=127.0.0.1:LIVE:LIVE",
        "postgres://postgres@[::1:LIVE/reprieve",
        "postgres://postgres@127.0.0.1:99999/reprieve",
        "postgres://postgres@127.0.0.1:LIVEx/reprieve",
        "postgres://postgres@127.0.0.1:LIVE/%zzreprieve",
        "postgres://postgres@127.0.0.1:LIVE/reprieve%00",
        "postgres://postgres@127.0.0.1:LIVE/reprieve?target_session_attrs=read-only",
        "postgres://postgres@127.0.0.1:LIVE/reprieve?target_session_attrs=standby",
        "postgres://postgres@127.0.0.1:LIVE/reprieve?target_session_attrs=sometimes",
        "postgres://postgres@127.0.0.1:LIVE/reprieve?sslmode=require",
        "postgres://postgres@127.0.0.1:LIVE/reprieve?sslmode=verify-full",
        "postgres://postgres@127.0.0.1:LIVE/reprieve?sslmode=nonsense",
        "postgres://postgres@127.0.0.1:LIVE/reprieve?channel_binding=require",
        "postgres://postgres@127.0.0.1:LIVE/reprieve?require_auth=scram-sha-256",
        "postgres://postgres@127.0.0.1:LIVE/reprieve?gssencmode=require",
        "postgres://postgres@127.0.0.1:LIVE/reprieve?service=nowhere",
    ] {
        let outcome = server.run("identity status", &server.fill_in(url));
        if outcome.code == 0 {
            wrong.push(url);
        }
    }
    assert!(wrong.is_empty(), "{} are let through:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every parameter of a connection that PostgreSQL's own library knows, with a value under which it would connect.
const PARAMETERS: [(&str, &str); 45] = [
    ("host", "127.0.0.1"),
    ("hostaddr", "127.0.0.1"),
    ("port", "LIVE"),
    ("dbname", "reprieve"),
    ("user", "postgres"),
    ("password", "unneeded"),
    ("passfile", "/nowhere/pgpass"),
    ("require_auth", "none"),
    ("channel_binding", "prefer"),
    ("connect_timeout", "3"),
    ("client_encoding", "UTF8"),
    ("options", "-c%20statement_timeout%3D60000"),
    ("application_name", "mine"),
    ("fallback_application_name", "mine"),
    ("keepalives", "1"),
    ("keepalives_idle", "30"),
    ("keepalives_interval", "10"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "5000"),
    ("replication", "false"),
    ("gssencmode", "disable"),
    ("sslmode", "prefer"),
    ("requiressl", "0"),
    ("sslnegotiation", "postgres"),
    ("sslcompression", "0"),
    ("sslcert", "/nowhere/cert"),
    ("sslkey", "/nowhere/key"),
    ("sslkeylogfile", "/nowhere/log"),
    ("sslpassword", "unneeded"),
    ("sslcertmode", "allow"),
    ("sslrootcert", "/nowhere/root"),
    ("sslcrl", "/nowhere/crl"),
    ("sslcrldir", "/nowhere/crls"),
    ("sslsni", "1"),
    ("requirepeer", "postgres"),
    ("ssl_min_protocol_version", "TLSv1.2"),
    ("ssl_max_protocol_version", "TLSv1.3"),
    ("min_protocol_version", "3.0"),
    ("max_protocol_version", "3.0"),
    ("krbsrvname", "postgres"),
    ("gsslib", "gssapi"),
    ("gssdelegation", "0"),
    ("service", ""),
    ("target_session_attrs", "any"),
    ("load_balance_hosts", "disable"),
];

#[test]
#[ignore = "needs the programs of PostgreSQL: tests/run"]
fn every_parameter_is_heeded_or_refused_by_name() {
    let server = Server::start();
    let mut wrong = Vec::new();
    for (name, value) in PARAMETERS {
        let value = value.replace("LIVE", &server.live);
        let outcome = server.run("identity status -vv", &server.plain(&format!("?{name}={value}")));
        let said = outcome.stderr.to_lowercase();
        // What the driver leaves out it says in the log.
        let left_out = outcome.code == 0 && (said.contains("ignoring") || said.contains("unrecognized"));
        let refused = outcome.code != 0 && outcome.stderr.contains(name);
        if left_out || !(outcome.code == 0 || refused) {
            wrong.push(format!("{name}: exit code {}, {}", outcome.code, outcome.stderr.trim_end()));
        }
    }
    // One that nobody knows is refused without its name, which might be a part of a password.
    for name in ["nonsense", "Host", "statement-cache-capacities"] {
        let outcome = server.run("identity status", &server.plain(&format!("?{name}=1")));
        let _ = outcome.failed(1, "error.reprieve.configuration.invalid");
    }
    assert!(wrong.is_empty(), "{} are not:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is said to be heeded is, as far as one can see it from outside.
#[test]
#[ignore = "needs the programs of PostgreSQL: tests/run"]
fn parameters_that_are_accepted_have_their_effect() {
    let server = Server::start();
    let mut wrong = Vec::new();
    let named = |parameter: &str, outcome: &Outcome| outcome.code != 0 && outcome.stderr.contains(parameter);

    let url = server.plain("?application_name=mine");
    server.sandbox.configure("");
    match Service::try_start(server.sandbox.variant().on(&url).command().arg("start")) {
        Ok(service) => {
            let theirs = "pg_stat_activity WHERE datname = 'reprieve' AND application_name LIKE '%mine%'";
            if Sql::open(&server.postgres.url()).count(theirs) == 0 {
                wrong.push("application_name".to_owned());
            }
            assert_eq!(service.stop().code, 0);
        }
        Err(outcome) if named("application_name", &outcome) => {}
        Err(outcome) => wrong.push(format!("application_name: {outcome:?}")),
    }

    // It listens, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let start = Instant::now();
    let url = format!("postgres://postgres@127.0.0.1:{port}/reprieve?connect_timeout=1");
    let outcome = server.run("identity status", &url);
    if start.elapsed() > Duration::from_secs(3) && !named("connect_timeout", &outcome) {
        wrong.push(format!("connect_timeout: given up after {:?}", start.elapsed()));
    }
    // A host that is silent is passed over.
    for parameters in ["", "?connect_timeout=1", "?target_session_attrs=read-write"] {
        let hosts = format!("127.0.0.1:{port},127.0.0.1:{}", server.live);
        let url = format!("postgres://postgres@{hosts}/reprieve{parameters}");
        let outcome = server.run("identity status", &url);
        if !silently_done(&outcome) && !named("connect_timeout", &outcome) {
            wrong.push(format!("a silent host is not passed over ({parameters}): {}", outcome.stderr));
        }
    }

    let url = format!("postgres://postgres@nowhere.invalid:{}/reprieve?hostaddr=127.0.0.1", server.live);
    let outcome = server.run("identity status", &url);
    if !silently_done(&outcome) && !named("hostaddr", &outcome) {
        wrong.push(format!("hostaddr: {}", outcome.stderr));
    }

    let outcome = server.run("identity status", &server.plain("?options=-c%20search_path%3Dnowhere"));
    if outcome.code == 0 {
        wrong.push("options: a search path without the tables finds them".to_owned());
    }
    let outcome = server.run("identity status", &server.plain("?client_encoding=SQL_ASCII"));
    if outcome.code != 0 && !named("client_encoding", &outcome) {
        wrong.push(format!("client_encoding: {}", outcome.stderr));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs the programs of PostgreSQL: tests/run"]
fn of_a_standby_and_a_primary_the_one_that_is_asked_for_is_taken() {
    let server = Server::start();
    let standby = server.postgres.standby();
    let follower = standby.address();
    let mut wrong = Vec::new();
    for (order, attributes) in [
        (format!("{follower},127.0.0.1:{}", server.live), "read-write"),
        (format!("{follower},127.0.0.1:{}", server.live), "primary"),
        (format!("127.0.0.1:{},{follower}", server.live), "read-write"),
    ] {
        let url = format!("postgres://postgres@{order}/reprieve?target_session_attrs={attributes}");
        for line in ["identityDeletion init", "identityDeletion cancel"] {
            let outcome = server.run(line, &url);
            if !silently_done(&outcome) {
                wrong.push(format!("{attributes}: {line}: {}", outcome.stderr));
            }
        }
    }
    drop(standby);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Two halves of a password, each of them long and odd enough to be found wherever it is. Digits in front could be a port.
const HALVES: [[&str; 2]; 2] = [["qwxJuniper", "ZebraFlute9"], ["48151", "62342Kazoo"]];

/// Everything that is said about a URL with a secret in it, on every way on which the binary takes one.
fn said_about(url: &str) -> Vec<(&'static str, Outcome)> {
    let plain = Sandbox::new().with("REPRIEVE__DATABASE__TIMEOUT_IN_SECONDS", "0.2");
    let from_file = Sandbox::new().with("REPRIEVE__DATABASE__TIMEOUT_IN_SECONDS", "0.2");
    let quoted = url.replace('\\', "\\\\").replace('"', "\\\"");
    from_file.configure(&format!("database.url = \"{quoted}\""));
    let mut said = vec![
        ("DATABASE_URL, config show", plain.variant().on(url).line("config show")),
        ("DATABASE_URL, config show, JSON", plain.variant().on(url).line("config show --output json")),
        ("DATABASE_URL", plain.variant().on(url).line("identity status -vvv")),
        ("--database-url", plain.run(["identity", "status", "-vvv", "--database-url", url])),
        (
            "REPRIEVE__DATABASE__URL",
            plain.variant().with("REPRIEVE__DATABASE__URL", url).line("database migrate -vvv"),
        ),
        ("file", from_file.line("config show")),
        ("file", from_file.line("audit verify -vvv")),
    ];
    let mut start = from_file.command();
    start.args(["start", "-vvv", "--output", "json"]);
    match Service::try_start(&mut start) {
        Ok(service) => said.push(("start", service.stop())),
        Err(outcome) => said.push(("start", outcome)),
    }
    said
}

fn leaks(url: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (how, outcome) in said_about(url) {
        let all = format!("{}{}", outcome.stdout, outcome.stderr).to_lowercase();
        for half in HALVES.into_iter().flatten() {
            if let Some(at) = all.find(&half.to_lowercase()) {
                let line = all[..at].rfind('\n').map_or(0, |at| at + 1);
                let shown: String = all[line..].chars().take(300).collect();
                found.push(format!("{url}, {how}: {}", shown.lines().next().unwrap_or_default()));
            }
        }
    }
    found
}

#[test]
fn no_part_of_a_password_that_should_have_been_escaped_is_shown() {
    let port = dead_port();
    let mut found = Vec::new();
    for [one, other] in HALVES {
        for between in [
            "?", "/", "#", "@", "%", "%zz", ":", "[", "]", "\\", "&", "=", ",", " ", "\"", "'", "é", "%40",
            ";",
        ] {
            let password = format!("{one}{between}{other}");
            found.extend(leaks(&format!("postgres://ada:{password}@127.0.0.1:{port}/reprieve")));
        }
    }
    assert!(found.is_empty(), "{} leaks:\n{}", found.len(), found.join("\n"));
}

#[test]
fn no_part_of_a_query_string_is_shown() {
    let [one, other] = HALVES[0];
    let port = dead_port();
    let mut found = Vec::new();
    for (authority, query) in [
        ("ada@127.0.0.1", format!("?password={one}{other}")),
        ("ada@127.0.0.1", format!("?sslpassword={one}&sslkey=/nowhere")),
        ("ada@127.0.0.1", format!("?passwrod={one}{other}")),
        ("ada@127.0.0.1", format!("?password={one}?{other}")),
        ("ada@127.0.0.1", format!("?password={one}#{other}")),
        ("ada@127.0.0.1", format!("?password={one}&{other}=1")),
        ("ada@127.0.0.1", format!("?options=-c%20secret.key%3D{one}")),
        ("ada@127.0.0.1", format!("?password={one}%zz{other}")),
        ("ada:{other}@127.0.0.1,127.0.0.1", format!("?password={one}")),
        ("ada", format!("?host=127.0.0.1&passfile=/nowhere/{one}")),
    ] {
        let authority = authority.replace("{other}", other);
        found.extend(leaks(&format!("postgres://{authority}:{port}/reprieve{query}")));
    }
    assert!(found.is_empty(), "{} leaks:\n{}", found.len(), found.join("\n"));
}

/// The driver logs a line that it cannot read as it is.
#[test]
fn no_line_of_a_password_file_is_shown() {
    let secret = HALVES[0].concat();
    let sandbox = Sandbox::new().with("REPRIEVE__DATABASE__TIMEOUT_IN_SECONDS", "0.2");
    let file = sandbox.home().join("passwords");
    std::fs::write(&file, format!("127.0.0.1:{secret}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let url = format!("postgres://ada@127.0.0.1:{}/reprieve", dead_port());
    let sandbox = sandbox.with("PGPASSFILE", file.to_str().unwrap());
    let mut start = sandbox.variant().on(&url).command();
    start.args(["start", "-vvv", "--output", "json"]);
    let started = match Service::try_start(&mut start) {
        Ok(service) => service.stop(),
        Err(outcome) => outcome,
    };
    for outcome in [sandbox.variant().on(&url).line("identity status -vvv"), started] {
        assert!(!outcome.stderr.contains(&secret), "{}", outcome.stderr);
        assert!(!outcome.stdout.contains(&secret), "{}", outcome.stdout);
    }
}
