//! Whose namespaces a container lives in. `container:` modes carry what the person typed until `create` resolves it
//! to a full id.

use serde::{Deserialize, Serialize};

/// The network namespace and its first network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// The engine's default network (`bridge`).
    #[default]
    Default,
    /// Only a loopback.
    None,
    /// Was made with `none` and taken off it: its endpoints alone say where it is.
    LeftNone,
    /// The host's.
    Host,
    /// Another container's, by its name or id.
    Container(String),
    /// A network by name or id (`bridge` too).
    Named(String),
}

impl NetworkMode {
    /// Reads Docker's word.
    pub fn parse(text: &str) -> NetworkMode {
        match text {
            "" | "default" => NetworkMode::Default,
            "none" => NetworkMode::None,
            "host" => NetworkMode::Host,
            other => match other.strip_prefix("container:") {
                Some(whose) => NetworkMode::Container(whose.to_owned()),
                None => NetworkMode::Named(other.to_owned()),
            },
        }
    }
}

impl std::fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NetworkMode::Default => f.write_str("default"),
            NetworkMode::None | NetworkMode::LeftNone => f.write_str("none"),
            NetworkMode::Host => f.write_str("host"),
            NetworkMode::Container(whose) => write!(f, "container:{whose}"),
            NetworkMode::Named(name) => f.write_str(name),
        }
    }
}

/// The ipc namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpcMode {
    /// The engine's default: private.
    #[default]
    Default,
    /// Its own, without `/dev/shm`.
    None,
    /// Its own.
    Private,
    /// Its own, which others may join.
    Shareable,
    /// The host's.
    Host,
    /// Another container's.
    Container(String),
}

impl IpcMode {
    /// Reads Docker's word; `None` for one it does not know.
    pub fn parse(text: &str) -> Option<IpcMode> {
        Some(match text {
            "" => IpcMode::Default,
            "none" => IpcMode::None,
            "private" => IpcMode::Private,
            "shareable" => IpcMode::Shareable,
            "host" => IpcMode::Host,
            other => {
                IpcMode::Container(other.strip_prefix("container:").filter(|w| !w.is_empty())?.to_owned())
            }
        })
    }
}

impl std::fmt::Display for IpcMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            IpcMode::Default => Ok(()),
            IpcMode::None => f.write_str("none"),
            IpcMode::Private => f.write_str("private"),
            IpcMode::Shareable => f.write_str("shareable"),
            IpcMode::Host => f.write_str("host"),
            IpcMode::Container(whose) => write!(f, "container:{whose}"),
        }
    }
}

/// The pid namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PidMode {
    /// Its own.
    #[default]
    Private,
    /// The host's.
    Host,
    /// Another container's.
    Container(String),
}

impl PidMode {
    /// Reads Docker's word; `None` for one it does not know.
    pub fn parse(text: &str) -> Option<PidMode> {
        Some(match text {
            "" => PidMode::Private,
            "host" => PidMode::Host,
            other => {
                PidMode::Container(other.strip_prefix("container:").filter(|w| !w.is_empty())?.to_owned())
            }
        })
    }
}

impl std::fmt::Display for PidMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PidMode::Private => Ok(()),
            PidMode::Host => f.write_str("host"),
            PidMode::Container(whose) => write!(f, "container:{whose}"),
        }
    }
}

macro_rules! own_or_host {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name {
            /// The engine's default.
            #[default]
            Default,
            $($(#[$vdoc])* $variant),+
        }
        impl $name {
            /// Reads Docker's word; `None` for one it does not know.
            pub fn parse(text: &str) -> Option<$name> {
                match text {
                    "" => Some($name::Default),
                    $($word => Some($name::$variant),)+
                    _ => None,
                }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $name::Default => "", $($name::$variant => $word),+ })
            }
        }
    };
}

own_or_host! {
    /// The uts namespace (host name).
    UtsMode {
        /// The host's.
        Host = "host",
    }
}
own_or_host! {
    /// The user namespace.
    UsernsMode {
        /// The host's, even when the engine remaps.
        Host = "host",
    }
}
own_or_host! {
    /// The cgroup namespace. The default is private on cgroup v2 and the host's on v1.
    CgroupnsMode {
        /// Its own.
        Private = "private",
        /// The host's.
        Host = "host",
    }
}
