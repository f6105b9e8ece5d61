//! Where a container's output is kept, and how it is read again.
//!
//! Drivers: `json-file` (Docker's format to the byte, so that others' tools read it), `local` (Docker's compact
//! format) and `none`. A log is bounded by default: 20 MB a file, five files, the old ones compressed. Beside each file
//! lies a sparse index ([`index`]), so that `--since` and `--tail` do not scan.
//!
//! ```no_run
//! # fn doc() -> Result<(), Box<dyn std::error::Error>> {
//! use gantry_logs::{Config, Driver, ReadOptions, Reader, Stream, Writer, now_ns};
//! let config = Config::parse("json-file", "/data/c1/c1-json.log".as_ref(), &Default::default(), Default::default())?;
//! let mut writer = Writer::open(&config)?;
//! writer.append(Stream::Stdout, now_ns(), b"hello\n")?;           // in memory
//! writer.flush()?;                                                 // one write
//!
//! let mut reader = Reader::open(config.driver, &config.path, ReadOptions { tail: Some(10), ..Default::default() })?;
//! while let Some(entry) = reader.next_entry()? {
//!     print!("{}", String::from_utf8_lossy(&entry.line));
//! }
//! # Ok(()) }
//! ```
//!
//! All of it blocks: the shim writes in its own loop; an async caller reads in a blocking task and ends a following
//! reader by its [`Stop`] handle. Writer and readers are different processes: they meet in the files only (a short
//! `flock` on the folder while names change, inotify to wake a follower).
//!
//! Not here: who may read, multiplexing for HTTP (`server`), drivers that send logs elsewhere.
//! Start reading at [`Writer`], then [`Reader`].

mod attributes;
mod compress;
mod config;
mod entry;
mod escape;
mod files;
mod format;
pub mod index;
mod json_file;
mod lines;
mod local;
mod reader;
mod sizes;
mod time;
mod writer;

pub use attributes::{About, attributes};
pub use compress::compress_rotated;
pub use config::{Config, Driver, Mode, OptionError, validate};
pub use entry::{Entry, Stream};
pub use lines::LONGEST_PIECE;
pub use reader::{Damage, ReadOptions, Reader, Stop};
pub use time::{format_ns, now_ns, parse_ns};
pub use writer::Writer;
