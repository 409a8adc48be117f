//! `hansard init`: a working folder for a database, and the commands that come next.
//!
//! Invariant: nothing is overwritten, and the database's password is in the secret file alone, which its owner alone can
//! read: neither in the configuration nor in what is printed.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hansard_ingest_proxy::{OptionsError, UpstreamOptions};

use crate::check::free_after;
use crate::cli::Init;
use crate::failure::Failure;
use crate::{output, token};

/// Where jobs and browsers would look first.
const JOBS: u16 = 6432;
const WEB: u16 = 8080;

pub(crate) fn run(asked: &Init) -> Result<(), Failure> {
    let database = Database::read(asked)?;
    let folder = &asked.folder;
    let name = database.target_name();
    let secret = format!("secrets/{name}");
    let [configuration, private, public, secret_file] =
        ["hansard.toml", "keys/private.pem", "keys/jwks.json", &secret].map(|file| folder.join(file));
    for file in [&configuration, &private, &public, &secret_file] {
        if file.symlink_metadata().is_ok() {
            return Err(Failure::usage(format!(
                "{} exists already, and is not overwritten; name another folder: hansard init --database URL FOLDER",
                file.display()
            )));
        }
    }
    let (jobs, web) = (free(JOBS), free(WEB));
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Failure::usage(format!("cannot make {}: {error}", folder.display())))?;
    token::make_pair(&private, &public)?;
    let mut written = vec![&configuration, &private, &public];
    if let Some(password) = &database.password {
        token::write_new(&secret_file, format!("{password}\n").as_bytes(), 0o600)?;
        written.push(&secret_file);
    }
    let secret = database.password.is_some().then_some(secret.as_str());
    let text = configuration_text(&name, &database.url, secret, jobs, web);
    token::write_new(&configuration, text.as_bytes(), 0o644)?;
    tell(asked, &database, &configuration, &written, jobs)
}

/// The database, as it was named.
#[derive(Debug)]
struct Database {
    /// Without its password.
    url: String,
    password: Option<String>,
    options: UpstreamOptions,
    /// Nobody said which.
    is_guessed: bool,
}

impl Database {
    fn read(asked: &Init) -> Result<Database, Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        match &asked.database {
            Some(url) => Database::of(url, variable("PGPASSWORD"), false),
            None => Database::of(&usual(&variable), variable("PGPASSWORD"), true),
        }
    }

    fn of(url: &str, password: Option<String>, is_guessed: bool) -> Result<Database, Failure> {
        let options: UpstreamOptions = url.parse().map_err(|error: OptionsError| {
            Failure::usage(format!("--database {}", error.to_string().trim_start_matches("upstream ")))
        })?;
        let (bare, query) = without_password(url);
        // The proxy's own reading has found it good.
        let given = tokio_postgres::Config::from_str(url.strip_suffix(query).unwrap_or(url)).ok();
        let given =
            given.and_then(|config| config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
        Ok(Database { url: bare, password: given.or(password), options, is_guessed })
    }

    /// For a section, a file and a page: plain letters.
    fn target_name(&self) -> String {
        let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
        let name: String = self.database().chars().take(40).map(plain).collect();
        match name.trim_matches('-') {
            "" => "database".to_owned(),
            name => name.to_owned(),
        }
    }

    /// As psql would connect to.
    fn database(&self) -> &str {
        self.options.database.as_deref().unwrap_or(&self.options.user)
    }
}

/// What libpq would connect to, by its variables and defaults, over TCP.
fn usual(variable: &dyn Fn(&str) -> Option<String>) -> String {
    let user = variable("PGUSER").or_else(|| variable("USER")).unwrap_or_else(|| "postgres".to_owned());
    let database = variable("PGDATABASE").unwrap_or_else(|| user.clone());
    // A folder is a local socket's, which Hansard does not connect to.
    let host = variable("PGHOST").filter(|host| !host.starts_with('/')).unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = variable("PGPORT").unwrap_or_else(|| "5432".to_owned());
    format!("postgres://{user}@{host}:{port}/{database}")
}

/// The URL without its password, and what in it follows the question mark, that mark included.
fn without_password(url: &str) -> (String, &str) {
    let start = url.find("://").map_or(0, |at| at + 3);
    let Some(host) = url[start..].find('@').map(|at| start + at) else { return (url.to_owned(), "") };
    let query = url[host..].find('?').map_or("", |at| &url[host + at..]);
    let user = url[start..host].split(':').next().unwrap_or_default();
    (format!("{}{user}{}", &url[..start], &url[host..]), query)
}

fn free(port: u16) -> SocketAddr {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if TcpListener::bind(address).is_ok() { address } else { free_after(address).unwrap_or(address) }
}

fn configuration_text(name: &str, url: &str, secret: Option<&str>, jobs: SocketAddr, web: SocketAddr) -> String {
    // A text of JSON is one of TOML.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let password = match secret {
        Some(file) => format!("upstream_password_file = {}", quoted(file)),
        None => format!("# where the role has a password:\n# upstream_password_file = \"secrets/{name}\""),
    };
    format!(
        r#"# Every key is described in docs/configuration.md.

[event_log]
path = "data/log"

[lake]
url = "file:data/lake"
catalog = "sqlite:data/catalog.db"

[policy]
unrestricted = true          # this version records and does not restrict

# For development: `hansard token` makes tokens with the private key. In production this is your identity provider, without
# jwks_file and private_key_file: see docs/identity.md.
[[identity.issuers]]
name = "development"
issuer = "https://development.invalid"
audience = "hansard"
jwks_file = "keys/jwks.json"
private_key_file = "keys/private.pem"

[[targets]]
name = {name}
listen = "{jobs}"
upstream = {url}
{password}

[web]
listen = "{web}"
"#,
        name = quoted(name),
        url = quoted(url),
    )
}

fn tell(
    asked: &Init,
    database: &Database,
    configuration: &Path,
    written: &[&PathBuf],
    jobs: SocketAddr,
) -> Result<(), Failure> {
    let files: Vec<String> = written.iter().map(|file| file.display().to_string()).collect();
    output::line(&format!("wrote {}", files.join(", ")))?;
    if database.is_guessed {
        output::line(&format!("the database is {}; for another one: --database URL", database.url))?;
    }
    if database.password.is_none() {
        output::line("no password was given: where the role has one, see upstream_password_file in hansard.toml")?;
    }
    let program = std::env::args().next().filter(|program| program.contains('/'));
    let program = quote(program.as_deref().unwrap_or("hansard"));
    let config = match asked.folder == Path::new(".") {
        true => String::new(),
        false => format!(" --config {}", quote(&configuration.display().to_string())),
    };
    let (user, name) = (quote(&database.options.user), quote(database.database()));
    output::line(&format!(
        "\nStart it, in a terminal of its own, and wait until it says ready:\n\n  \
         {program} up{config}\n\n\
         Connect as a job, whose password is its token:\n\n  \
         PGPASSWORD=$({program} token{config} --subject me) psql -h {} -p {} -U {user} {name}\n\n\
         See what is in the record:\n\n  \
         {program} sessions{config}",
        jobs.ip(),
        jobs.port(),
    ))
}

/// As a shell reads it as one word.
fn quote(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+=,".contains(&byte);
    if !word.is_empty() && !word.starts_with('-') && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_leaves_the_url() {
        for (url, bare, password) in [
            (
                "postgres://app:s%40c?ret@db:5433/shop?sslmode=require",
                "postgres://app@db:5433/shop?sslmode=require",
                Some("s@c?ret"),
            ),
            ("postgresql://app@127.0.0.1/shop", "postgresql://app@127.0.0.1/shop", None),
            ("postgres://app:@127.0.0.1", "postgres://app@127.0.0.1", Some("")),
        ] {
            let database = Database::of(url, None, false).unwrap();
            assert_eq!((database.url.as_str(), database.password.as_deref()), (bare, password));
        }
        let error = Database::of("postgres://app:hunter2@h:1:2/x", None, false).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn without_a_url_it_is_libpqs_usual_database() {
        let variables = |name: &str| match name {
            "PGUSER" => Some("reranker".to_owned()),
            "PGHOST" => Some("/var/run/postgresql".to_owned()),
            _ => None,
        };
        assert_eq!(usual(&variables), "postgres://reranker@127.0.0.1:5432/reranker");
    }

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(quote("shop-record/hansard.toml"), "shop-record/hansard.toml");
        assert_eq!(quote("my shop"), "'my shop'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote("-x"), "'-x'");
    }
}
