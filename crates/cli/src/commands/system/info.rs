//! `info`: what the engine says of itself and its machine.

use serde_json::{Value, json};

use crate::command::{COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, text};
use crate::format::Listing;
use crate::parse::size;
use crate::plugins::{self, Plugin};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[text("format", "Format of the output: 'json' or a Go template").short('f')];

pub static INFO: Command = Command {
    usage: "[OPTIONS]",
    short: "Display system-wide information",
    examples: &[("-f '{{.Driver}} {{.CgroupVersion}}'", "Two things of it")],
    aliases: &["system info", "info"],
    flags: &[FLAGS],
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let plugins = plugins::listed(s);
    let client = json!({
        "Debug": s.debug(),
        "Version": env!("CARGO_PKG_VERSION"),
        "Context": s.context_name(),
        "Plugins": plugins.iter().map(Plugin::to_json).collect::<Vec<_>>(),
        "Warnings": null,
    });
    let answer = s.client()?.info().await;
    if !m.text("format").is_empty() {
        let mut all = answer?;
        all["ClientInfo"] = client;
        print::line(&Listing::json(m.text("format"), &all).map_err(bare)?);
        return Ok(());
    }
    let mut out = Page::default();
    out.line(0, "Client:");
    out.pair(1, "Version:   ", env!("CARGO_PKG_VERSION"));
    out.pair(1, "Context:   ", &s.context_name());
    out.pair(1, "Debug Mode:", if s.debug() { "true" } else { "false" });
    let (good, bad): (Vec<_>, Vec<_>) = plugins.iter().partition(|plugin| plugin.metadata.is_ok());
    if !good.is_empty() {
        out.line(1, "Plugins:");
    }
    for plugin in good {
        out.line(
            2,
            &format!("{}: {} ({})", plugin.name, plugin.word("ShortDescription"), plugin.word("Vendor")),
        );
        out.pair(3, " Version: ", plugin.word("Version"));
        out.pair(3, " Path:    ", &plugin.path.display().to_string());
    }
    for plugin in bad {
        let why = plugin.metadata.as_ref().err().map_or("", String::as_str);
        print::err(&format!("WARNING: Plugin {:?} is not valid: {why}", plugin.path.display().to_string()));
    }
    out.line(0, "\nServer:");
    match &answer {
        Ok(info) => server(info, &mut out),
        Err(err) => {
            print::out(&out.0);
            print::err(&format!("{err}\nerrors pretty printing info"));
            return Err(Failure::silent(1));
        }
    }
    print::out(&out.0);
    for warning in answer?["Warnings"].as_array().into_iter().flatten() {
        print::err(warning.as_str().unwrap_or_default());
    }
    Ok(())
}

/// Here Docker ends the line it began and tells the template's mistake without a preamble.
pub fn bare(failure: Failure) -> Failure {
    print::line("");
    let text = failure.to_string();
    Failure::text(1, text.trim_start_matches("template parsing error: "))
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, depth: usize, text: &str) {
        self.0.push_str(&" ".repeat(depth));
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn pair(&mut self, depth: usize, name: &str, value: &str) {
        self.line(depth, &format!("{name} {value}"));
    }

    /// A line unless the value is empty.
    fn some(&mut self, depth: usize, name: &str, value: &str) {
        if !value.is_empty() {
            self.pair(depth, name, value);
        }
    }
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn server(info: &Value, out: &mut Page) {
    let word = |key: &str| info[key].as_str().unwrap_or_default();
    let number = |key: &str| info[key].as_i64().unwrap_or(0).to_string();
    let truth = |key: &str| info[key].as_bool().unwrap_or(false).to_string();
    out.pair(1, "Containers:", &number("Containers"));
    out.pair(2, "Running:", &number("ContainersRunning"));
    out.pair(2, "Paused:", &number("ContainersPaused"));
    out.pair(2, "Stopped:", &number("ContainersStopped"));
    out.pair(1, "Images:", &number("Images"));
    out.some(1, "Server Version:", word("ServerVersion"));
    out.pair(1, "Storage Driver:", word("Driver"));
    for pair in info["DriverStatus"].as_array().into_iter().flatten() {
        let cell = |at: usize| pair[at].as_str().unwrap_or_default();
        out.pair(2, &format!("{}:", cell(0)), cell(1));
    }
    out.some(1, "Logging Driver:", word("LoggingDriver"));
    out.some(1, "Cgroup Driver:", word("CgroupDriver"));
    out.some(1, "Cgroup Version:", word("CgroupVersion"));
    out.line(1, "Plugins:");
    out.pair(2, "Volume:", &texts(&info["Plugins"]["Volume"]).join(" "));
    out.pair(2, "Network:", &texts(&info["Plugins"]["Network"]).join(" "));
    let authorization = texts(&info["Plugins"]["Authorization"]);
    if !authorization.is_empty() {
        out.pair(2, "Authorization:", &authorization.join(" "));
    }
    out.pair(2, "Log:", &texts(&info["Plugins"]["Log"]).join(" "));
    let devices: Vec<&Value> = info["DiscoveredDevices"].as_array().into_iter().flatten().collect();
    if !devices.is_empty() {
        out.line(1, "Discovered Devices:");
        for device in devices {
            let cell = |key: &str| device[key].as_str().unwrap_or_default();
            out.line(2, &format!("{}: {}", cell("Source"), cell("ID")));
        }
    }
    let specs = texts(&info["CDISpecDirs"]);
    if !specs.is_empty() {
        out.line(1, "CDI spec directories:");
        specs.iter().for_each(|folder| out.line(2, folder));
    }
    swarm(&info["Swarm"], out);
    if let Some(runtimes) = info["Runtimes"].as_object().filter(|r| !r.is_empty()) {
        let mut names: Vec<&str> = runtimes.keys().map(String::as_str).collect();
        names.sort_unstable();
        out.pair(1, "Runtimes:", &names.join(" "));
        out.pair(1, "Default Runtime:", word("DefaultRuntime"));
    }
    out.pair(1, "Init Binary:", word("InitBinary"));
    for (key, title) in [("ContainerdCommit", "containerd"), ("RuncCommit", "runc"), ("InitCommit", "init")] {
        out.pair(1, &format!("{title} version:"), info[key]["ID"].as_str().unwrap_or_default());
    }
    let security = texts(&info["SecurityOptions"]);
    if !security.is_empty() {
        out.line(1, "Security Options:");
        for option in security {
            // `name=seccomp,profile=builtin`: the name alone, its settings below.
            for part in option.split(',') {
                match part.split_once('=') {
                    Some(("name", name)) => out.line(2, name),
                    Some((key, value)) => {
                        let title: String = key
                            .chars()
                            .take(1)
                            .flat_map(char::to_uppercase)
                            .chain(key.chars().skip(1))
                            .collect();
                        out.pair(3, &format!("{title}:"), value);
                    }
                    None => out.line(2, part),
                }
            }
        }
    }
    out.some(1, "Kernel Version:", word("KernelVersion"));
    out.some(1, "Operating System:", word("OperatingSystem"));
    out.some(1, "OSType:", word("OSType"));
    out.some(1, "Architecture:", word("Architecture"));
    out.pair(1, "CPUs:", &number("NCPU"));
    out.pair(1, "Total Memory:", &size::binary(info["MemTotal"].as_f64().unwrap_or(0.0)));
    out.some(1, "Name:", word("Name"));
    out.some(1, "ID:", word("ID"));
    out.pair(1, "Docker Root Dir:", word("DockerRootDir"));
    out.pair(1, "Debug Mode:", &truth("Debug"));
    if info["Debug"] == true {
        out.pair(2, "File Descriptors:", &number("NFd"));
        out.pair(2, "Goroutines:", &number("NGoroutines"));
        out.pair(2, "System Time:", word("SystemTime"));
        out.pair(2, "EventsListeners:", &number("NEventsListener"));
    }
    out.some(1, "HTTP Proxy:", word("HttpProxy"));
    out.some(1, "HTTPS Proxy:", word("HttpsProxy"));
    out.some(1, "No Proxy:", word("NoProxy"));
    let labels = texts(&info["Labels"]);
    if !labels.is_empty() {
        out.line(1, "Labels:");
        labels.iter().for_each(|label| out.line(2, label));
    }
    out.pair(1, "Experimental:", &truth("ExperimentalBuild"));
    let registry = &info["RegistryConfig"];
    let mut insecure = Vec::new();
    for (name, index) in registry["IndexConfigs"].as_object().into_iter().flatten() {
        if index["Secure"] == false {
            insecure.push(name.as_str());
        }
    }
    insecure.extend(texts(&registry["InsecureRegistryCIDRs"]));
    if !insecure.is_empty() {
        out.line(1, "Insecure Registries:");
        insecure.iter().for_each(|name| out.line(2, name));
    }
    let mirrors = texts(&registry["Mirrors"]);
    if !mirrors.is_empty() {
        out.line(1, "Registry Mirrors:");
        mirrors.iter().for_each(|mirror| out.line(2, mirror));
    }
    out.pair(1, "Live Restore Enabled:", &truth("LiveRestoreEnabled"));
    out.some(1, "Product License:", word("ProductLicense"));
    if let Some(pools) = info["DefaultAddressPools"].as_array().filter(|p| !p.is_empty()) {
        out.line(1, "Default Address Pools:");
        for pool in pools {
            let base = pool["Base"].as_str().unwrap_or_default();
            out.line(3, &format!("Base: {base}, Size: {}", pool["Size"].as_i64().unwrap_or(0)));
        }
    }
    out.some(1, "Firewall Backend:", info["FirewallBackend"]["Driver"].as_str().unwrap_or_default());
    out.line(0, "");
}

fn swarm(swarm: &Value, out: &mut Page) {
    let state = swarm["LocalNodeState"].as_str().unwrap_or_default();
    out.pair(1, "Swarm:", state);
    if matches!(state, "" | "inactive" | "locked") {
        return;
    }
    out.pair(2, "NodeID:", swarm["NodeID"].as_str().unwrap_or_default());
    out.some(2, "Error:", swarm["Error"].as_str().unwrap_or_default());
    out.pair(2, "Is Manager:", &swarm["ControlAvailable"].as_bool().unwrap_or(false).to_string());
    if swarm["ControlAvailable"] == true {
        out.some(2, "ClusterID:", swarm["Cluster"]["ID"].as_str().unwrap_or_default());
        out.pair(2, "Managers:", &swarm["Managers"].as_i64().unwrap_or(0).to_string());
        out.pair(2, "Nodes:", &swarm["Nodes"].as_i64().unwrap_or(0).to_string());
    }
    out.pair(2, "Node Address:", swarm["NodeAddr"].as_str().unwrap_or_default());
}
