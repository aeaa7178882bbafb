//! A PostgreSQL URL, as libpq reads it.
//!
//! What lives here: which servers it names, and with what to connect. Every parameter that libpq knows is heeded or refused
//! by its name; none is overlooked. Neither a password nor the rest of a URL that cannot be read is ever shown.
//!
//! Source: <https://www.postgresql.org/docs/current/libpq-connect.html>, sections 34.1.1.2 and 34.1.2.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sea_orm::sqlx;
use sea_orm::sqlx::postgres::PgConnectOptions;

use crate::Pooler;

const DEFAULT_PORT: u16 = 5432;

/// Servers, and with what to connect to them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PostgresUrl {
    hosts: Vec<HostAndPort>,
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    target: Option<Target>,
    connect_timeout: Option<Duration>,
    pooler: Option<Pooler>,
    /// What the driver heeds, under the driver's names.
    rest: Vec<(&'static str, String)>,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostAndPort {
    /// None for the driver's default: the local socket, or what the environment says.
    host: Option<String>,
    port: Option<u16>,
}

/// Which of several servers is asked: `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// What is wrong with a PostgreSQL URL. No value is in it, because each may be part of a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPostgresUrl {
    /// What stands between `postgres://` and the parameters cannot be read.
    #[error(
        "it has to be postgres://USER:PASSWORD@HOST:PORT/DATABASE; in a password, each of : / @ ? # % has to be written \
         as % and two hexadecimal digits"
    )]
    Malformed,
    /// A `%` that two hexadecimal digits do not follow, or bytes that are not UTF-8.
    #[error("a % has to be followed by two hexadecimal digits, and the whole to be UTF-8")]
    Encoding,
    /// A port that is not a number between 1 and 65535, or lists of different lengths.
    #[error("there has to be one port, between 1 and 65535, or one for each host")]
    Port,
    /// A parameter without a value, or one that libpq does not know either.
    #[error("its parameter number {0} is not NAME=VALUE with a name that PostgreSQL's own library knows")]
    UnknownParameter(usize),
    /// A parameter that is not heeded here.
    #[error("the parameter {name} cannot be heeded: {reason}")]
    NotHeeded {
        /// Its name.
        name: &'static str,
        /// Why not, and what to do instead.
        reason: &'static str,
    },
    /// A parameter with a value that it does not take.
    #[error("the parameter {name} has to be {expected}")]
    Value {
        /// Its name.
        name: &'static str,
        /// What it takes.
        expected: &'static str,
    },
}

use InvalidPostgresUrl as Invalid;

impl PostgresUrl {
    /// Reads what stands behind `postgres://` or `postgresql://`.
    pub(crate) fn parse(rest: &str) -> Result<Self, Invalid> {
        // libpq looks for the user as far as the first slash, so that a password may have a question mark in it.
        let before_slash = rest.split('/').next().unwrap_or_default();
        let (user, password, rest) = match before_slash.find('@') {
            None => (None, None, rest),
            Some(at) => {
                let (credentials, rest) = (&rest[..at], &rest[at + 1..]);
                let (user, password) = match credentials.split_once(':') {
                    Some((user, password)) => (user, Some(decode(password)?)),
                    None => (credentials, None),
                };
                (Some(decode(user)?).filter(|user| !user.is_empty()), password, rest)
            }
        };
        let (before, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, database) = before.split_once('/').unwrap_or((before, ""));
        // An @ here is the end of a password that was not escaped.
        if before.contains('@') {
            return Err(Invalid::Malformed);
        }
        let mut url = Self {
            hosts: hosts_and_ports(hosts)?,
            user,
            password,
            database: Some(decode(database)?).filter(|database| !database.is_empty()),
            target: None,
            connect_timeout: None,
            pooler: None,
            rest: Vec::new(),
        };
        url.read_parameters(parameters)?;
        Ok(url)
    }

    fn read_parameters(&mut self, parameters: &str) -> Result<(), Invalid> {
        let mut lists = Lists::default();
        let pairs = parameters.split('&').enumerate().filter(|(_, pair)| !pair.is_empty());
        for (number, pair) in pairs {
            let unknown = Invalid::UnknownParameter(number + 1);
            let (name, value) = pair.split_once('=').ok_or_else(|| unknown.clone())?;
            let (name, value) = (decode(name)?, decode(value)?);
            self.read_parameter(&name, value, &mut lists, unknown)?;
        }
        let trusts_system = lists.trusts_system;
        lists.into_hosts(&mut self.hosts)?;
        let verifies = self.rest.iter().any(|(name, value)| *name == "sslmode" && value == "require");
        if verifies && self.rest.iter().any(|(name, _)| *name == "sslrootcert") {
            // As libpq does: who names an authority wants it to be asked.
            self.rest.push(("sslmode", "verify-ca".to_owned()));
        }
        if trusts_system {
            // The driver trusts the public authorities where none is named. Anybody may have a certificate of theirs, so the
            // name has to be the right one, whatever else the URL says.
            self.rest.retain(|(name, _)| *name != "sslrootcert");
            self.rest.push(("sslmode", "verify-full".to_owned()));
        }
        Ok(())
    }

    fn read_parameter(
        &mut self,
        name: &str,
        value: String,
        lists: &mut Lists,
        unknown: Invalid,
    ) -> Result<(), Invalid> {
        const BY_LIMITS: &str =
            "connections that do not answer are given up after database.timeout_in_seconds";
        match name {
            "host" => lists.hosts = Some(value),
            "hostaddr" => lists.addresses = Some(value),
            "port" => lists.ports = Some(value),
            "user" => self.user = Some(value),
            "password" => self.password = Some(value),
            "dbname" => self.database = Some(value),
            "target_session_attrs" => self.target = Some(value.parse()?),
            "connect_timeout" => self.connect_timeout = connect_timeout(&value)?,
            "load_balance_hosts" => match value.as_str() {
                "disable" => {}
                "random" => lists.shuffled = true,
                _ => {
                    return Err(Invalid::Value { name: "load_balance_hosts", expected: "disable or random" });
                }
            },
            "sslmode" => {
                const MODES: [&str; 6] =
                    ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
                if !MODES.contains(&value.as_str()) {
                    return Err(Invalid::Value {
                        name: "sslmode",
                        expected: "disable, allow, prefer, require, verify-ca or verify-full",
                    });
                }
                self.rest.push(("sslmode", value));
            }
            "sslrootcert" if value == "system" => lists.trusts_system = true,
            "sslrootcert" => self.rest.push(("sslrootcert", value)),
            "sslcert" => self.rest.push(("sslcert", value)),
            "sslkey" => self.rest.push(("sslkey", value)),
            "application_name" => self.rest.push(("application_name", value)),
            "fallback_application_name" => self.rest.insert(0, ("application_name", value)),
            "options" => self.rest.push(("options", value)),
            // Not libpq's, but written into many URLs.
            "statement-cache-capacity" => {
                let _: usize = value
                    .parse()
                    .map_err(|_| Invalid::Value { name: "statement-cache-capacity", expected: "a number" })?;
                self.rest.push(("statement-cache-capacity", value));
            }
            "pgbouncer" => self.pooler = (value == "true").then_some(Pooler::Transaction),
            "client_encoding" => only("client_encoding", &value, &["UTF8", "utf8", "UTF-8", "auto"])?,
            "channel_binding" => only("channel_binding", &value, &["disable", "prefer"])?,
            "gssencmode" => only("gssencmode", &value, &["disable", "prefer"])?,
            "gssdelegation" => only("gssdelegation", &value, &["0"])?,
            "sslcompression" => only("sslcompression", &value, &["0"])?,
            "sslsni" => only("sslsni", &value, &["1"])?,
            "sslcertmode" => only("sslcertmode", &value, &["allow"])?,
            "sslnegotiation" => only("sslnegotiation", &value, &["postgres"])?,
            "ssl_min_protocol_version" => only("ssl_min_protocol_version", &value, &["TLSv1.2"])?,
            "ssl_max_protocol_version" => only("ssl_max_protocol_version", &value, &["TLSv1.3"])?,
            "min_protocol_version" => only("min_protocol_version", &value, &["3.0"])?,
            "max_protocol_version" => only("max_protocol_version", &value, &["3.0", "3.2", "latest"])?,
            "replication" => only("replication", &value, &["false", "off", "no", "0"])?,
            "keepalives" => only("keepalives", &value, &["1"])?,
            "keepalives_idle" => return not_heeded("keepalives_idle", BY_LIMITS),
            "keepalives_interval" => return not_heeded("keepalives_interval", BY_LIMITS),
            "keepalives_count" => return not_heeded("keepalives_count", BY_LIMITS),
            "tcp_user_timeout" => return not_heeded("tcp_user_timeout", BY_LIMITS),
            "passfile" => return not_heeded("passfile", "set the environment variable PGPASSFILE"),
            "service" => return not_heeded("service", "write what the service says into the URL"),
            "servicefile" => return not_heeded("servicefile", "write what the service says into the URL"),
            "requiressl" => return not_heeded("requiressl", "use sslmode=require"),
            "require_auth" => return not_heeded("require_auth", "use sslmode=verify-full"),
            "requirepeer" => return not_heeded("requirepeer", "protect the folder of the socket"),
            "sslcrl" => return not_heeded("sslcrl", "lists of revoked certificates are not read"),
            "sslcrldir" => return not_heeded("sslcrldir", "lists of revoked certificates are not read"),
            "sslpassword" => return not_heeded("sslpassword", "the key must not be encrypted"),
            "sslkeylogfile" => {
                return not_heeded("sslkeylogfile", "keys of connections are not written down");
            }
            "krbsrvname" => return not_heeded("krbsrvname", "Kerberos is not spoken"),
            "gsslib" => return not_heeded("gsslib", "Kerberos is not spoken"),
            "scram_client_key" => return not_heeded("scram_client_key", "use a password"),
            "scram_server_key" => return not_heeded("scram_server_key", "use a password"),
            "oauth_issuer" => return not_heeded("oauth_issuer", "OAuth is not spoken"),
            "oauth_client_id" => return not_heeded("oauth_client_id", "OAuth is not spoken"),
            "oauth_client_secret" => return not_heeded("oauth_client_secret", "OAuth is not spoken"),
            "oauth_scope" => return not_heeded("oauth_scope", "OAuth is not spoken"),
            _ => return Err(unknown),
        }
        Ok(())
    }

    pub(crate) fn hosts(&self) -> &[HostAndPort] {
        &self.hosts
    }

    /// Which host is asked. This program writes, so of several it is one that can be written to unless the URL says
    /// otherwise (libpq: any).
    pub(crate) fn target(&self) -> Target {
        self.target.unwrap_or(if self.hosts.len() > 1 { Target::ReadWrite } else { Target::Any })
    }

    /// Whether a host has to be chosen, or to be asked whether it will do.
    pub(crate) fn is_routed(&self) -> bool {
        self.hosts.len() > 1 || self.target() != Target::Any
    }

    pub(crate) fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    pub(crate) fn pooler(&self) -> Option<Pooler> {
        self.pooler
    }

    /// The driver's options for one of the hosts. What the URL leaves open comes from the environment (`PGUSER`,
    /// `PGPASSWORD`, `PGSSLMODE` …) and from the password file.
    pub(crate) fn options(&self, host: &HostAndPort) -> Result<PgConnectOptions, sqlx::Error> {
        let mut parameters = vec![("application_name", "reprieve".to_owned())];
        parameters.extend(self.rest.iter().cloned());
        parameters.extend(host.host.clone().map(|host| ("host", host)));
        parameters.extend(host.port.map(|port| ("port", port.to_string())));
        parameters.extend(self.user.clone().map(|user| ("user", user)));
        parameters.extend(self.password.clone().map(|password| ("password", password)));
        parameters.extend(self.database.clone().map(|database| ("dbname", database)));
        let encode = |value: &str| utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
        let parameters: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        format!("postgres://?{}", parameters.join("&")).parse()
    }
}

/// Lists in parameters, which take the place of what stands before them.
#[derive(Default)]
struct Lists {
    hosts: Option<String>,
    addresses: Option<String>,
    ports: Option<String>,
    shuffled: bool,
    trusts_system: bool,
}

impl Lists {
    fn into_hosts(self, hosts: &mut Vec<HostAndPort>) -> Result<(), Invalid> {
        const ADDRESSES: Invalid = Invalid::NotHeeded {
            name: "hostaddr",
            reason: "beside a host it would hide which name the certificate has to be for; use one of the two",
        };
        let has_names = self.hosts.is_some() || hosts.iter().any(|host| host.host.is_some());
        let names = match (self.hosts, self.addresses) {
            (_, Some(_)) if has_names => return Err(ADDRESSES),
            (None, Some(addresses)) => {
                if addresses.split(',').any(|address| address.parse::<IpAddr>().is_err()) {
                    return Err(Invalid::Value { name: "hostaddr", expected: "an IP address for each host" });
                }
                Some(addresses)
            }
            (names, _) => names,
        };
        if let Some(names) = names {
            let port = if hosts.len() == 1 { hosts.first().and_then(|host| host.port) } else { None };
            *hosts = names
                .split(',')
                .map(|name| HostAndPort { host: Some(name.to_owned()).filter(|name| !name.is_empty()), port })
                .collect();
        }
        if let Some(ports) = self.ports {
            let ports = ports.split(',').map(port).collect::<Result<Vec<_>, _>>()?;
            match ports.as_slice() {
                [port] => hosts.iter_mut().for_each(|host| host.port = *port),
                ports if ports.len() == hosts.len() => {
                    hosts.iter_mut().zip(ports).for_each(|(host, port)| host.port = *port);
                }
                _ => return Err(Invalid::Port),
            }
        }
        if self.shuffled {
            use std::hash::{BuildHasher, RandomState};
            let random = RandomState::new();
            let mut keyed: Vec<_> = hosts.drain(..).enumerate().collect();
            keyed.sort_by_key(|(place, _)| random.hash_one(place));
            hosts.extend(keyed.into_iter().map(|(_, host)| host));
        }
        Ok(())
    }
}

/// `h1:p1,h2,[::1]:p3`; always at least one, which may be empty.
fn hosts_and_ports(text: &str) -> Result<Vec<HostAndPort>, Invalid> {
    text.split(',')
        .map(|one| {
            let (host, port_text) = match one.strip_prefix('[') {
                Some(rest) => {
                    let (host, behind) = rest.split_once(']').ok_or(Invalid::Malformed)?;
                    host.parse::<IpAddr>().map_err(|_| Invalid::Malformed)?;
                    let port = if behind.is_empty() {
                        None
                    } else {
                        Some(behind.strip_prefix(':').ok_or(Invalid::Malformed)?)
                    };
                    (host.to_owned(), port)
                }
                None => match one.split_once(':') {
                    Some((host, port)) => (decode(host)?, Some(port)),
                    None => (decode(one)?, None),
                },
            };
            let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
            if !host.starts_with('/') && !host.chars().all(is_name) {
                return Err(Invalid::Malformed);
            }
            let port = port_text.map_or(Ok(None), port)?;
            Ok(HostAndPort { host: Some(host).filter(|host| !host.is_empty()), port })
        })
        .collect()
}

/// Empty for the default.
fn port(text: &str) -> Result<Option<u16>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    let port = text.parse().ok().filter(|port| *port > 0 && text.bytes().all(|digit| digit.is_ascii_digit()));
    port.map(Some).ok_or(Invalid::Port)
}

/// As libpq: zero, a negative number or nothing is no limit of its own, and one second counts as two.
fn connect_timeout(text: &str) -> Result<Option<Duration>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    let seconds: i32 = text
        .trim()
        .parse()
        .map_err(|_| Invalid::Value { name: "connect_timeout", expected: "a number of seconds" })?;
    Ok(u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Duration::from_secs(seconds.max(2))))
}

fn only(name: &'static str, value: &str, known: &[&str]) -> Result<(), Invalid> {
    if known.contains(&value) {
        return Ok(());
    }
    not_heeded(name, "leave it out; only its usual value is known here")
}

fn not_heeded(name: &'static str, reason: &'static str) -> Result<(), Invalid> {
    Err(Invalid::NotHeeded { name, reason })
}

fn decode(text: &str) -> Result<String, Invalid> {
    let bytes = text.as_bytes();
    let well_formed = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    // As libpq: text ends at a zero.
    if !well_formed || text.contains("%00") || text.contains('\0') {
        return Err(Invalid::Encoding);
    }
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| Invalid::Encoding)
}

impl std::str::FromStr for Target {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(match text {
            "any" => Self::Any,
            "read-write" => Self::ReadWrite,
            "read-only" => Self::ReadOnly,
            "primary" => Self::Primary,
            "standby" => Self::Standby,
            "prefer-standby" => Self::PreferStandby,
            _ => {
                return Err(Invalid::Value {
                    name: "target_session_attrs",
                    expected: "any, read-write, read-only, primary, standby or prefer-standby",
                });
            }
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Any => "any",
            Self::ReadWrite => "read-write",
            Self::ReadOnly => "read-only",
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::PreferStandby => "prefer-standby",
        })
    }
}

impl fmt::Display for HostAndPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) if host.starts_with('/') => {
                formatter.write_str(&utf8_percent_encode(host, NON_ALPHANUMERIC).to_string())?;
            }
            Some(host) if host.contains(':') => write!(formatter, "[{host}]")?,
            Some(host) => formatter.write_str(host)?,
            None => {}
        }
        match self.port {
            Some(port) if port != DEFAULT_PORT => write!(formatter, ":{port}"),
            _ => Ok(()),
        }
    }
}

/// Who connects, to which servers, to which database: what tells an operator which one it is. A password is shown as
/// `***`, and the parameters are left out.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encode = |text: &str| utf8_percent_encode(text, SHOWN).to_string();
        formatter.write_str("postgres://")?;
        if self.user.is_some() || self.password.is_some() {
            formatter.write_str(&self.user.as_deref().map(encode).unwrap_or_default())?;
            formatter.write_str(if self.password.is_some() { ":***@" } else { "@" })?;
        }
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        formatter.write_str(&hosts.join(","))?;
        if let Some(database) = &self.database {
            write!(formatter, "/{}", encode(database))?;
        }
        Ok(())
    }
}

const SHOWN: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[cfg(test)]
mod tests;
