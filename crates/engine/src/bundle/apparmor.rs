//! AppArmor: which profile a process gets, and Docker's default one, loaded into the kernel when it is not there.
//!
//! The kernel takes compiled profiles only, and compiling is what the host's own `apparmor_parser` does. Without it the default
//! profile can be used only where somebody has loaded it before.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Host;
use super::security::Security;

/// The default profile's name: Docker's, so that what people know and have loaded holds.
pub const DEFAULT: &str = "docker-default";
const UNCONFINED: &str = "unconfined";

const LOADED: &str = "/sys/kernel/security/apparmor/profiles";
const PARSERS: [&str; 2] = ["/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"];
const MACROS: &str = "/etc/apparmor.d";

/// What the host has of AppArmor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppArmor {
    /// The kernel does not use it.
    Off,
    /// The kernel uses it. Without the parser only what is loaded can be used.
    On {
        /// What compiles and loads profiles.
        parser: Option<PathBuf>,
    },
}

impl AppArmor {
    /// Looks.
    pub fn look() -> AppArmor {
        let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
        if !enabled.is_ok_and(|text| text.starts_with('Y')) || !Path::new(LOADED).exists() {
            return AppArmor::Off;
        }
        let parser = PARSERS.iter().map(PathBuf::from).find(|path| path.exists());
        AppArmor::On { parser }
    }

    /// Whether the default profile can be had.
    pub fn has_default(&self) -> bool {
        match self {
            AppArmor::Off => false,
            AppArmor::On { parser: Some(_) } => true,
            AppArmor::On { parser: None } => is_loaded(),
        }
    }

    /// Sees to it that the kernel has the default profile: others may have unloaded it since the last start.
    pub fn ensure_default(&self) -> io::Result<()> {
        match self {
            AppArmor::On { parser: Some(parser) } if !is_loaded() => load(parser),
            _ => Ok(()),
        }
    }
}

/// The profile of a container's processes; `None` leaves it to the kernel.
pub fn profile(security: &Security, privileged: bool, host: &Host) -> Option<String> {
    if host.apparmor == AppArmor::Off {
        return None;
    }
    match &security.apparmor {
        Some(asked) => Some(asked.clone()),
        None if privileged => Some(UNCONFINED.to_owned()),
        None => host.apparmor.has_default().then(|| DEFAULT.to_owned()),
    }
}

fn is_loaded() -> bool {
    let loaded = fs::read_to_string(LOADED).unwrap_or_default();
    loaded.lines().any(|line| line.split_once(" (").is_some_and(|(name, _)| name == DEFAULT))
}

fn load(parser: &Path) -> io::Result<()> {
    let mut child = Command::new(parser)
        .args(["--skip-cache", "--replace"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let written = match child.stdin.take() {
        Some(mut stdin) => stdin.write_all(text(Path::new(MACROS)).as_bytes()),
        None => Ok(()),
    };
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{}: {}", parser.display(), said.trim())));
    }
    written
}

/// The profile's source. What a container may never do is denied by name; everything else is the business of capabilities,
/// seccomp and namespaces.
fn text(macros: &Path) -> String {
    let has = |name: &str| macros.join(name).exists();
    let globals = if has("tunables/global") { "#include <tunables/global>" } else { "@{PROC}=/proc/" };
    let base = if has("abstractions/base") { "#include <abstractions/base>" } else { "" };
    format!(
        "{globals}
profile {DEFAULT} flags=(attach_disconnected,mediate_deleted) {{
{base}
network,
capability,
file,
umount,
signal (receive) peer=unconfined,
signal (send,receive) peer={DEFAULT},
ptrace (trace,read,tracedby,readby) peer={DEFAULT},
deny mount,
deny @{{PROC}}/* w,
deny @{{PROC}}/{{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9]*}}/** w,
deny @{{PROC}}/sys/[^k]** w,
deny @{{PROC}}/sys/kernel/{{?,??,[^s][^h][^m]**}} w,
deny @{{PROC}}/sysrq-trigger rwklx,
deny @{{PROC}}/kcore rwklx,
deny /sys/[^f]*/** wklx,
deny /sys/f[^s]*/** wklx,
deny /sys/fs/[^c]*/** wklx,
deny /sys/fs/c[^g]*/** wklx,
deny /sys/fs/cg[^r]*/** wklx,
deny /sys/firmware/** rwklx,
deny /sys/devices/virtual/powercap/** rwklx,
deny /sys/kernel/security/** rwklx,
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_compiles() {
        let Some(parser) = PARSERS.iter().find(|path| Path::new(path).exists()) else {
            eprintln!("skipped: no apparmor_parser");
            return;
        };
        for macros in [Path::new(MACROS), Path::new("/nowhere")] {
            let mut child = Command::new(parser)
                .args(["--skip-kernel-load", "--skip-cache", "--stdout", "--quiet"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(text(macros).as_bytes()).unwrap();
            let done = child.wait_with_output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
    }
}
