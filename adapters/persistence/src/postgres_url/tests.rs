use super::*;

fn parse(rest: &str) -> Result<PostgresUrl, Invalid> {
    PostgresUrl::parse(rest)
}

fn hosts(rest: &str) -> Vec<(Option<String>, Option<u16>)> {
    let url = parse(rest).unwrap();
    url.hosts.iter().map(|host| (host.host.clone(), host.port)).collect()
}

fn host(name: &str, port: u16) -> (Option<String>, Option<u16>) {
    (Some(name.to_owned()).filter(|name| !name.is_empty()), Some(port).filter(|port| *port != 0))
}

#[test]
fn hosts_are_read_as_libpq_reads_them() {
    for (rest, expected) in [
        ("", vec![host("", 0)]),
        ("localhost", vec![host("localhost", 0)]),
        ("localhost:5433/db", vec![host("localhost", 5433)]),
        ("h1:1,h2,h3:3/db", vec![host("h1", 1), host("h2", 0), host("h3", 3)]),
        ("[::1]:5433,[fe80::1]/db", vec![host("::1", 5433), host("fe80::1", 0)]),
        ("u@[2001:db8::1]/db", vec![host("2001:db8::1", 0)]),
        ("%2Fvar%2Frun/db", vec![host("/var/run", 0)]),
        ("/db?host=/var/run&port=5433", vec![host("/var/run", 5433)]),
        ("/db?host=h1,h2&port=1,2", vec![host("h1", 1), host("h2", 2)]),
        ("/db?host=h1,h2&port=7", vec![host("h1", 7), host("h2", 7)]),
        ("h1,h2/db?port=7", vec![host("h1", 7), host("h2", 7)]),
        ("/db?hostaddr=127.0.0.1,::1", vec![host("127.0.0.1", 0), host("::1", 0)]),
    ] {
        assert_eq!(hosts(rest), expected, "{rest}");
    }
}

#[test]
fn user_password_and_database_are_read_as_libpq_reads_them() {
    for (rest, user, password, database) in [
        ("ada:hunter2@h/db", Some("ada"), Some("hunter2"), Some("db")),
        ("ada@h", Some("ada"), None, None),
        (":hunter2@h", None, Some("hunter2"), None),
        ("ada:12?34@h/db", Some("ada"), Some("12?34"), Some("db")),
        ("ada:1:2#3@h/db", Some("ada"), Some("1:2#3"), Some("db")),
        ("a%40da:%2F%3f%25@h/d%2fb", Some("a@da"), Some("/?%"), Some("d/b")),
        ("h/db?user=ada&password=a%26b", Some("ada"), Some("a&b"), Some("db")),
        ("h?dbname=other", None, None, Some("other")),
    ] {
        let url = parse(rest).unwrap();
        assert_eq!(url.user.as_deref(), user, "{rest}");
        assert_eq!(url.password.as_deref(), password, "{rest}");
        assert_eq!(url.database.as_deref(), database, "{rest}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_and_nothing_of_it_is_shown() {
    for rest in [
        "ada:12/34secret@h/db",
        "ada:se@cret@h/db",
        "ada:50%secret@h/db",
        "ada:%zzsecret@h/db",
        "ada:%ff@h/secret",
        "h:secret/db",
        "h:0/secret",
        "h:65536/secret",
        "[::1/secret",
        "[secret]/db",
        "[::1]secret/db",
        "se cret/db",
        "h/db?secret",
        "h/db?secret=1",
        "h/db?password=a&secret=1",
        "h/db?sslmode=secret",
        "h/db?target_session_attrs=secret",
        "h/db?connect_timeout=secret",
        "h/db?port=1,2",
        "h/db?hostaddr=127.0.0.1",
        "/db?hostaddr=secret",
        "h/db?load_balance_hosts=secret",
    ] {
        let error = parse(rest).map(|url| url.to_string()).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{rest}: {error}");
    }
}

/// The keywords of libpq 17.
const KEYWORDS: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "passfile",
    "require_auth",
    "channel_binding",
    "connect_timeout",
    "client_encoding",
    "options",
    "application_name",
    "fallback_application_name",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "replication",
    "gssencmode",
    "sslmode",
    "requiressl",
    "sslnegotiation",
    "sslcompression",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcertmode",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "sslsni",
    "requirepeer",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "krbsrvname",
    "gsslib",
    "gssdelegation",
    "service",
    "target_session_attrs",
    "load_balance_hosts",
];

#[test]
fn every_keyword_of_libpq_is_heeded_or_refused_by_its_name() {
    for keyword in KEYWORDS {
        match parse(&format!("h/db?{keyword}=nonsense")) {
            Ok(_) | Err(Invalid::Port) => {}
            Err(Invalid::NotHeeded { name, .. } | Invalid::Value { name, .. }) => {
                assert_eq!(name, *keyword);
            }
            Err(other) => panic!("{keyword}: {other}"),
        }
    }
}

#[test]
fn of_several_hosts_one_that_can_be_written_to_is_asked_unless_the_url_says_otherwise() {
    assert_eq!(parse("h1,h2/db").unwrap().target(), Target::ReadWrite);
    assert_eq!(parse("h1,h2/db?target_session_attrs=any").unwrap().target(), Target::Any);
    assert!(!parse("h1/db").unwrap().is_routed());
    assert!(parse("h1/db?target_session_attrs=primary").unwrap().is_routed());
}

#[test]
fn the_driver_gets_what_the_url_says() {
    let url = parse("ada:a%26b@[::1]:5433/d%2Fb?sslmode=require&sslrootcert=/ca.pem").unwrap();
    let options = url.options(&url.hosts[0]).unwrap();
    assert_eq!(options.get_host(), "::1");
    assert_eq!(options.get_port(), 5433);
    assert_eq!(options.get_username(), "ada");
    assert_eq!(options.get_database(), Some("d/b"));
    assert_eq!(options.get_application_name(), Some("reprieve"));
    assert!(matches!(options.get_ssl_mode(), sqlx::postgres::PgSslMode::VerifyCa));
    for parameters in ["sslrootcert=system&sslmode=require", "sslmode=disable&sslrootcert=system"] {
        let url = parse(&format!("h/db?{parameters}")).unwrap();
        let mode = url.options(&url.hosts[0]).unwrap().get_ssl_mode();
        assert!(matches!(mode, sqlx::postgres::PgSslMode::VerifyFull), "{parameters}");
    }
}
