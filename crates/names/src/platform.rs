//! Operating system and processor, as in `linux/arm64/v8`.
//!
//! Source: OCI image-spec `image-index.md`; the aliases are those of containerd's platforms package.

use std::fmt;
use std::str::FromStr;

/// Why a text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// A part is empty or holds a character outside the grammar.
    #[error(
        "\"{text}\" is an invalid component of \"{whole}\": platform specifier component must match \"^[A-Za-z0-9_.-]+$\": invalid argument"
    )]
    Component {
        /// The part.
        text: String,
        /// The whole text.
        whole: String,
    },
    /// One word that is neither a system nor a processor.
    #[error("\"{0}\": unknown operating system or architecture: invalid argument")]
    Unknown(String),
    /// More than three parts.
    #[error("\"{0}\": cannot parse platform specifier: invalid argument")]
    Shape(String),
}

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Platform {
    /// Processor in Go's words: `amd64`, `arm64`, `arm`, `386`, ...
    pub architecture: String,
    /// System in Go's words: `linux`, ...
    pub os: String,
    /// Version of the system (`os.version`), used by Windows images.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features the system must have (`os.features`).
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// Variant of the processor: `v7`, `v8`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

const SYSTEMS: [&str; 8] =
    ["linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "android"];

impl Platform {
    /// The machine this program was built for, on Linux.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self { os: "linux".into(), architecture: architecture.into(), ..Self::default() }.normalize()
    }

    /// Reads `os`, `arch`, `os/arch` or `os/arch/variant`. What is not said is the host's.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        if let Some(bad) = parts.iter().find(|part| !is_component(part)) {
            return Err(PlatformError::Component { text: (*bad).to_owned(), whole: text.to_owned() });
        }
        let host = || std::env::consts::OS.to_owned();
        let make = |os: String, architecture: String, variant: Option<&str>| {
            Self { os, architecture, variant: variant.map(str::to_owned), ..Self::default() }.normalize()
        };
        match parts[..] {
            [one] => {
                let lower = one.to_ascii_lowercase();
                if SYSTEMS.contains(&lower.as_str()) {
                    return Ok(make(lower, Self::host().architecture, None));
                }
                let known = make(host(), lower, None);
                if is_architecture(&known.architecture) {
                    Ok(known)
                } else {
                    Err(PlatformError::Unknown(text.into()))
                }
            }
            [os, arch] => Ok(make(os.into(), arch.into(), None)),
            [os, arch, variant] => Ok(make(os.into(), arch.into(), Some(variant))),
            _ => Err(PlatformError::Shape(text.into())),
        }
    }

    /// The one spelling of each platform: lower case, aliases resolved, default variants dropped.
    pub fn normalize(mut self) -> Self {
        self.os = match self.os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".into(),
            other => other.into(),
        };
        let variant = self.variant.take().map(|v| v.to_ascii_lowercase()).filter(|v| !v.is_empty());
        let (architecture, variant) =
            match (self.architecture.to_ascii_lowercase().as_str(), variant.as_deref()) {
                ("i386" | "386" | "x86", _) => ("386", None),
                ("x86_64" | "x86-64" | "amd64", None | Some("v1")) => ("amd64", None),
                ("x86_64" | "x86-64" | "amd64", other) => ("amd64", other),
                ("aarch64" | "arm64", None | Some("8" | "v8")) => ("arm64", None),
                ("aarch64" | "arm64", other) => ("arm64", other),
                ("armhf", _) => ("arm", Some("v7")),
                ("armel", _) => ("arm", Some("v6")),
                ("arm", None | Some("7")) => ("arm", Some("v7")),
                ("arm", Some("5")) => ("arm", Some("v5")),
                ("arm", Some("6")) => ("arm", Some("v6")),
                ("arm", Some("8")) => ("arm", Some("v8")),
                (other, variant) => {
                    self.variant = variant.map(str::to_owned);
                    self.architecture = other.to_owned();
                    return self;
                }
            };
        self.variant = variant.map(str::to_owned);
        self.architecture = architecture.to_owned();
        self
    }

    /// Whether something built for `self` satisfies `wanted`: same system and processor; a variant only
    /// counts where `wanted` names one, and `arm` machines run older variants.
    pub fn matches(&self, wanted: &Platform) -> bool {
        if self.os != wanted.os || self.architecture != wanted.architecture {
            return false;
        }
        match (&self.variant, &wanted.variant) {
            (_, None) => true,
            (None, Some(_)) => self.architecture != "arm64",
            (Some(have), Some(want)) => have == want || (self.architecture == "arm" && have <= want),
        }
    }
}

fn is_component(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn is_architecture(word: &str) -> bool {
    matches!(
        word,
        "386"
            | "amd64"
            | "arm"
            | "arm64"
            | "loong64"
            | "mips"
            | "mips64"
            | "mips64le"
            | "mipsle"
            | "ppc64"
            | "ppc64le"
            | "riscv64"
            | "s390x"
            | "wasm"
    )
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = PlatformError;
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_platform_has_one_spelling() {
        let shown = |text: &str| Platform::parse(text).unwrap().to_string();
        assert_eq!(shown("linux/x86_64"), "linux/amd64");
        assert_eq!(shown("linux/aarch64"), "linux/arm64");
        assert_eq!(shown("linux/arm64/v8"), "linux/arm64");
        assert_eq!(shown("linux/arm"), "linux/arm/v7");
        assert_eq!(shown("LINUX/ARM/v6"), "linux/arm/v6");
        assert_eq!(shown("arm64"), "linux/arm64");
        assert_eq!(shown("windows/amd64"), "windows/amd64");
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "linux/", "/amd64", "a/b/c/d", "lin ux/amd64", "toaster"] {
            assert!(Platform::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_variant_counts_where_it_is_asked_for() {
        let p = |text: &str| Platform::parse(text).unwrap();
        assert!(p("linux/amd64").matches(&p("linux/amd64")));
        assert!(!p("linux/arm64").matches(&p("linux/amd64")));
        assert!(p("linux/arm/v6").matches(&p("linux/arm/v7")));
        assert!(!p("linux/arm/v7").matches(&p("linux/arm/v6")));
    }
}
