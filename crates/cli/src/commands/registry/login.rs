//! `login`.

use std::io::Read;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::json;

use crate::command::{Arity, COMMAND, Command};
use crate::config::{self, Auth};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch, text};
use crate::print;
use crate::session::Session;
use crate::terminal;
use crate::work;

static FLAGS: &[Flag] = &[
    text("password", "Password or personal access token").short('p'),
    switch("password-stdin", "Read the password from STDIN"),
    text("username", "Login name").short('u'),
];

pub static LOGIN: Command = Command {
    usage: "[OPTIONS] [SERVER]",
    short: "Authenticate to a registry",
    examples: &[(
        "-u ann --password-stdin registry:5000",
        "The password from a pipe: it is in no list of processes",
    )],
    long: "Authenticate to a registry. Without a server, Docker Hub is meant.",
    flags: &[FLAGS],
    arity: Arity::AtMost(1),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut password = m.text("password").to_owned();
    let mut username = m.text("username").to_owned();
    if m.changed("password") {
        if m.on("password-stdin") {
            return Err("conflicting options: cannot specify both --password and --password-stdin".into());
        }
        print::err("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    }
    if m.on("password-stdin") {
        if username.is_empty() {
            return Err("the --password-stdin option requires --username to be set".into());
        }
        std::io::stdin().read_to_string(&mut password)?;
        password = password.trim_end_matches(['\r', '\n']).to_owned();
    }
    let registry = m.words.first().map_or("docker.io", String::as_str);
    let known = config::lookup(s.config(), registry)?;
    if username.is_empty()
        && password.is_empty()
        && let Some(auth) = &known
    {
        // What is stored may still be good.
        print::line("Authenticating with existing credentials...");
        if let Ok(status) = try_login(s, registry, auth).await {
            print::line(&status);
            return Ok(());
        }
    }
    if username.is_empty() {
        if !terminal::stdin_is() {
            return Err("Error: Cannot perform an interactive login from a non TTY device".into());
        }
        let before = known.as_ref().map(|a| a.username.clone()).unwrap_or_default();
        let hint = if before.is_empty() { String::new() } else { format!(" ({before})") };
        username = ask(&format!("Username{hint}: "), true).await?;
        if username.is_empty() {
            username = before;
        }
        if username.is_empty() {
            return Err("Error: Non-null Username Required".into());
        }
    }
    if password.is_empty() {
        if !terminal::stdin_is() {
            return Err("Error: Cannot perform an interactive login from a non TTY device".into());
        }
        password = ask("Password: ", false).await?;
        print::line("");
        if password.is_empty() {
            return Err("Error: Password Required".into());
        }
    }
    let auth = Auth { username, password, ..Auth::default() };
    let client = s.client()?;
    let body = json!({
        "username": auth.username, "password": auth.password, "serveraddress": config::server_key(registry),
    });
    let answer = client.login(&body).await?;
    let mut stored = auth;
    if let Some(token) = answer["IdentityToken"].as_str().filter(|t| !t.is_empty()) {
        stored.password.clear();
        stored.identity_token = token.to_owned();
    }
    let mut file = s.config().clone();
    let place = config::save(&mut file, registry, &stored)
        .map_err(|why| Failure::text(1, format!("Error saving credentials: {why}")))?;
    if place.is_none() {
        let path = file.dir().join("config.json");
        print::err(&format!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n",
            path.display()
        ));
    }
    if let Some(status) = answer["Status"].as_str().filter(|t| !t.is_empty()) {
        print::line(status);
    }
    Ok(())
}

async fn try_login(s: &Session, registry: &str, auth: &Auth) -> Result<String, Failure> {
    let body = json!({
        "username": auth.username, "password": auth.password, "identitytoken": auth.identity_token,
        "serveraddress": config::server_key(registry),
    });
    let answer = s.client()?.login(&body).await?;
    Ok(answer["Status"].as_str().unwrap_or("Login Succeeded").to_owned())
}

/// Asks for a line; a secret is not shown while it is typed, and what is typed after it, or after Ctrl-C, is.
async fn ask(question: &str, shown: bool) -> Result<String, Failure> {
    // Before the question: whoever answers at once is not shown either.
    let quiet = if shown { None } else { Quiet::enter()? };
    print::out(question);
    let line = terminal::until_told(async {
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|_| line)
        });
        let line = read.await.map_err(|why| Failure::text(1, why.to_string()))??;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    });
    let line = line.await;
    drop(quiet);
    if line.is_err() {
        print::line("");
    }
    line
}

/// A terminal that does not show what is typed, until dropped.
struct Quiet {
    before: Termios,
}

impl Quiet {
    /// Nothing where standard input is no terminal.
    fn enter() -> std::io::Result<Option<Quiet>> {
        let Ok(before) = tcgetattr(std::io::stdin()) else { return Ok(None) };
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &quiet)?;
        Ok(Some(Quiet { before }))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nobody is left to tell when even this fails.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}
