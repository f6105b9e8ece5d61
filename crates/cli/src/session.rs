//! One run of the program: its name, its configuration, its engine.

use std::cell::{Cell, OnceCell};
use std::env;
use std::path::{Path, PathBuf};

use gantry_client::{Client, Endpoint, EndpointError, Options, TlsFiles};
use gantry_compose::progress::UnderWay;

use crate::config::{self, ConfigFile, Context, Store};
use crate::failure::Failure;
use crate::flags::Matches;
use crate::print;

/// Our engine's socket.
const OUR_SOCKET: &str = "/run/gantry.sock";

/// Docker's socket: used when we are called as `docker`.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";

/// What every command works with.
pub struct Session {
    /// `gantry`, `docker`, `docker-compose` or `fig`: how the person called us.
    pub program: String,
    globals: Matches,
    /// The flags before the command, as they were typed.
    typed: Vec<String>,
    config: OnceCell<ConfigFile>,
    client: OnceCell<Client>,
    compose: OnceCell<Matches>,
    under_way: UnderWay,
    forwards_signals: Cell<bool>,
}

impl Session {
    pub(crate) fn new(program: String, globals: Matches, typed: &[String]) -> Session {
        Session {
            program,
            globals,
            typed: typed.to_vec(),
            config: OnceCell::new(),
            client: OnceCell::new(),
            compose: OnceCell::new(),
            under_way: UnderWay::default(),
            forwards_signals: Cell::new(false),
        }
    }

    /// What `compose` is doing, as it is told to the person.
    pub(crate) fn under_way(&self) -> &UnderWay {
        &self.under_way
    }

    /// Says whether Ctrl-C is now for somebody else than the verb: a container, or what shows its output.
    pub(crate) fn forward_signals(&self, to_another: bool) {
        self.forwards_signals.set(to_another);
    }

    /// Whether it is.
    pub(crate) fn forwards_signals(&self) -> bool {
        self.forwards_signals.get()
    }

    /// The flags before the command, as they were typed: a plugin takes them as we do.
    pub fn typed(&self) -> &[String] {
        &self.typed
    }

    /// Keeps the flags that stood between `compose` and its verb.
    pub(crate) fn enter_compose(&self, flags: Matches) {
        // A program does one verb.
        let _ = self.compose.set(flags);
    }

    /// The flags that stood between `compose` and its verb.
    pub(crate) fn compose(&self) -> &Matches {
        self.compose.get().expect("a verb of compose runs after its flags are known")
    }

    /// Whether `--debug` is on.
    pub fn debug(&self) -> bool {
        self.globals.on("debug")
    }

    /// The folder of the configuration.
    pub fn config_dir(&self) -> PathBuf {
        if let Some(dir) = self.globals.given("config") {
            return dir.into();
        }
        match env::var_os("DOCKER_CONFIG").filter(|d| !d.is_empty()) {
            Some(dir) => dir.into(),
            None => home().join(".docker"),
        }
    }

    /// The configuration file, read once.
    pub fn config(&self) -> &ConfigFile {
        self.config.get_or_init(|| {
            let (config, complaint) = ConfigFile::load(&self.config_dir());
            if let Some(complaint) = complaint {
                print::err(&format!("WARNING: Error {complaint}"));
            }
            config
        })
    }

    /// The contexts.
    pub fn contexts(&self) -> Store {
        Store::new(&self.config_dir())
    }

    /// The name of the context in use.
    pub fn context_name(&self) -> String {
        if let Some(name) = self.globals.given("context") {
            return name.to_owned();
        }
        if self.globals.changed("host") || var("DOCKER_HOST").is_some() {
            return "default".into();
        }
        if let Some(name) = var("DOCKER_CONTEXT") {
            return name;
        }
        match self.config().text("currentContext") {
            "" => "default".into(),
            name => name.into(),
        }
    }

    /// The default context: what flags and environment say.
    pub fn default_host(&self) -> String {
        let asked = self.globals.given("host").map(str::to_owned).or_else(|| var("DOCKER_HOST"));
        match asked.as_deref().map(str::trim) {
            Some(host) if !matches!(host, "" | "unix://") => host.to_owned(),
            _ if self.program != "gantry" && Path::new(DOCKER_SOCKET).exists() => {
                format!("unix://{DOCKER_SOCKET}")
            }
            _ => format!("unix://{OUR_SOCKET}"),
        }
    }

    /// Whether an address was given by flag or environment, which wins over the configured context.
    pub fn host_is_given(&self) -> bool {
        self.globals.changed("host") || var("DOCKER_HOST").is_some()
    }

    /// Where the engine is.
    pub fn endpoint(&self) -> Result<Endpoint, Failure> {
        if self.globals.changed("host") && self.globals.changed("context") {
            return Err("conflicting options: cannot specify both --host and --context".into());
        }
        if self.globals.all("host").len() > 1 {
            return Err(unresolved("Specify only one -H"));
        }
        let name = self.context_name();
        if name == "default" {
            let host = self.default_host();
            return Endpoint::parse(&with_scheme(&host), self.tls()).map_err(|why| match why {
                EndpointError::Ssh(_) => uninitialized(&why.to_string()),
                _ => unresolved(&format!("invalid bind address format: {host}")),
            });
        }
        let store = self.contexts();
        let context: Context = store.get(&name).map_err(|why| unresolved(&why))?;
        Ok(store.endpoint(&context)?)
    }

    /// TLS by flags, else by variables. `--tlsverify` means TLS whatever its value is, as with Docker's client.
    fn tls(&self) -> Option<TlsFiles> {
        let flag_or = |flag: &str, variable: &str| match self.globals.changed(flag) {
            true => self.globals.on(flag),
            false => var(variable).is_some(),
        };
        let verify = flag_or("tlsverify", "DOCKER_TLS_VERIFY");
        if !verify && !self.globals.changed("tlsverify") && !flag_or("tls", "DOCKER_TLS") {
            return None;
        }
        let dir = var("DOCKER_CERT_PATH").map_or_else(|| self.config_dir(), PathBuf::from);
        let file = |flag: &str, name: &str| match self.globals.given(flag) {
            Some(path) => Some(PathBuf::from(path)),
            None => Some(dir.join(name)).filter(|p| p.exists()),
        };
        Some(TlsFiles {
            // Whom to trust is asked for by name: without the file nobody is, which its absence tells best.
            ca: file("tlscacert", "ca.pem").or_else(|| verify.then(|| dir.join("ca.pem"))),
            cert: file("tlscert", "cert.pem"),
            key: file("tlskey", "key.pem"),
            verify,
        })
    }

    /// The variable by which another program finds the same engine.
    pub fn engine_variable(&self) -> (&'static str, String) {
        let name = self.context_name();
        match self.endpoint() {
            Ok(endpoint) if name == "default" => ("DOCKER_HOST", endpoint.to_string()),
            _ => ("DOCKER_CONTEXT", name),
        }
    }

    /// The engine's client, made once.
    pub fn client(&self) -> Result<&Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::new(self.endpoint()?, self.options()?);
        Ok(self.client.get_or_init(|| client))
    }

    /// The client of another engine: a context's name or an address.
    pub fn client_of(&self, engine: &str) -> Result<Client, Failure> {
        let endpoint = if engine.contains("://") || engine.starts_with('/') {
            let host = if engine.starts_with('/') { format!("unix://{engine}") } else { engine.to_owned() };
            Endpoint::parse(&host, self.tls()).map_err(|why| Failure::text(1, why.to_string()))?
        } else {
            let store = self.contexts();
            let context: Context = store.get(engine).map_err(|why| Failure::text(1, why))?;
            store.endpoint(&context)?
        };
        Ok(Client::new(endpoint, self.options()?))
    }

    fn options(&self) -> Result<Options, Failure> {
        let headers = match var("DOCKER_CUSTOM_HEADERS") {
            Some(text) => config::headers(&text).map_err(|why| uninitialized(&why))?,
            None => self.config().pairs("HttpHeaders"),
        };
        Ok(Options {
            api_version: var("DOCKER_API_VERSION"),
            headers,
            user_agent: format!("Gantry-Client/{} (linux)", env!("CARGO_PKG_VERSION")),
        })
    }

    /// The platform that a command is to use: the flag's, else the variable's, else none.
    pub fn platform(&self, flag: &str) -> String {
        match flag {
            "" => var("DOCKER_DEFAULT_PLATFORM").unwrap_or_default(),
            given => given.to_owned(),
        }
    }

    /// The header of an image's registry, with the credentials that are stored for it.
    pub fn registry_auth(&self, image: &str) -> String {
        let registry = config::registry_of(image);
        match config::lookup(self.config(), &registry) {
            Ok(auth) => config::registry_header(auth.as_ref(), &registry),
            Err(why) => {
                print::err(&format!("WARNING: {why}"));
                config::registry_header(None, &registry)
            }
        }
    }

    /// The detach keys: the flag's, the configuration's or Docker's.
    pub fn detach_keys(&self, flag: &str) -> Result<(String, crate::terminal::DetachKeys), Failure> {
        let text = if flag.is_empty() { self.config().text("detachKeys") } else { flag };
        Ok((text.to_owned(), crate::terminal::parse_detach_keys(text)?))
    }
}

fn uninitialized(why: &str) -> Failure {
    Failure::text(1, format!("Failed to initialize: {why}"))
}

fn unresolved(why: &str) -> Failure {
    uninitialized(&format!("unable to resolve docker endpoint: {why}"))
}

fn var(name: &str) -> Option<String> {
    env::var(name).ok().filter(|v| !v.is_empty())
}

fn home() -> PathBuf {
    // `std` asks the users' database where the variable is not set.
    env::home_dir().filter(|home| !home.as_os_str().is_empty()).unwrap_or_else(|| PathBuf::from("/"))
}

/// `-H :2375` and `-H host:2375` mean TCP.
fn with_scheme(host: &str) -> String {
    match host {
        host if host.contains("://") => host.to_owned(),
        host if host.starts_with('/') => host.to_owned(),
        host => format!("tcp://{host}"),
    }
}
