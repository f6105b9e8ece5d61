//! The instructions, typed. Values are unexpanded text: the builder expands them with a stage's variables.

use crate::Span;
pub use crate::healthcheck::Healthcheck;
use crate::source::Heredoc;
use crate::words::Pair;

/// An instruction and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Its lines.
    pub span: Span,
    /// The logical line as written, continuation joined.
    pub original: String,
    /// What it says.
    pub instruction: Instruction,
}

/// Every instruction but FROM, which begins a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Files from the context, addresses, git or inline text.
    Add(Add),
    /// Build arguments: name and default.
    Arg(Vec<(String, Option<String>)>),
    /// Default command.
    Cmd(Command),
    /// Files from the context, a stage, an image or inline text.
    Copy(Copy),
    /// Default program.
    Entrypoint(Command),
    /// Variables.
    Env(Vec<Pair>),
    /// Ports, sorted.
    Expose(Vec<String>),
    /// How to see whether the container is well.
    Healthcheck(Healthcheck),
    /// Labels.
    Label(Vec<Pair>),
    /// The author.
    Maintainer(String),
    /// An instruction for builds on this image, as text.
    Onbuild(String),
    /// A step.
    Run(Run),
    /// The shell of shell forms.
    Shell(Vec<String>),
    /// The signal that stops the container.
    StopSignal(String),
    /// User and group.
    User(String),
    /// Mount points.
    Volume(Vec<String>),
    /// Working folder.
    Workdir(String),
}

/// A command line: `["a", "b"]`, or text for the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// To be run as it stands.
    Exec(Vec<String>),
    /// To be run by the stage's shell; heredocs are part of the text.
    Shell {
        /// The line.
        line: String,
        /// Bodies of its `<<WORD`s.
        heredocs: Vec<Heredoc>,
    },
}

/// RUN and its flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What to run.
    pub command: Command,
    /// Values of `--mount`, to be expanded and then read by [`crate::mount::parse`].
    pub mounts: Vec<String>,
    /// `--network`: `default`, `none`, `host`.
    pub network: Option<String>,
    /// `--security`: `sandbox`, `insecure`.
    pub security: Option<String>,
    /// Values of `--device`.
    pub devices: Vec<String>,
}

/// What COPY and ADD take from where to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Paths and patterns.
    pub paths: Vec<String>,
    /// Inline files: each heredoc's name is the file's name.
    pub inline: Vec<Heredoc>,
    /// Where they go.
    pub target: String,
    /// `--chown`.
    pub chown: String,
    /// `--chmod`.
    pub chmod: String,
    /// `--link`.
    pub link: bool,
    /// `--exclude`.
    pub exclude: Vec<String>,
}

impl Sources {
    /// The texts in which variables are expanded.
    pub fn texts(&self) -> Vec<&str> {
        self.paths.iter().chain([&self.target, &self.chown, &self.chmod]).map(String::as_str).collect()
    }
}

/// COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What and where to.
    pub sources: Sources,
    /// `--from`: stage, image or named context; empty: the context.
    pub from: String,
    /// `--parents`.
    pub parents: bool,
}

/// ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// What and where to.
    pub sources: Sources,
    /// `--checksum`.
    pub checksum: String,
    /// `--keep-git-dir`.
    pub keep_git_dir: Option<bool>,
    /// `--unpack`.
    pub unpack: Option<bool>,
}

/// FROM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// Image, stage, or `scratch`; unexpanded.
    pub base: String,
    /// `AS name`, lower case.
    pub name: Option<String>,
    /// `--platform`; unexpanded.
    pub platform: String,
}
