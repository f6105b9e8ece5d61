//! The image `registry`: this very program, called `registry`, with the shared libraries it runs on.
//!
//! Nothing is kept twice: the files are those of the running process, taken when somebody asks for the image. A
//! program with no loader (a static build) is the image's only file but its configuration.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use crate::Content;

/// What Docker's `registry` image says in this file and has a meaning here; people's variables refine it.
const CONFIG: &str = "version: 0.1
storage:
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
";
/// Where the image's second major version has its configuration, and where the third.
pub(crate) const CONFIGS: [&str; 2] = ["/etc/docker/registry/config.yml", "/etc/distribution/config.yml"];
/// Authorities for upstreams and far storage, where this host keeps them.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// `elf(5)`: offsets in the header of a 64-bit object, and in its program headers.
const ELF_TABLE: usize = 0x20;
const ELF_ENTRY_SIZE: usize = 0x36;
const ELF_ENTRIES: usize = 0x38;
const ELF_HEADER: usize = 64;
const PT_INTERP: u32 = 3;

/// The files of the image.
pub(crate) fn files() -> io::Result<Vec<(String, u32, Content)>> {
    let mut files = vec![("bin/registry".to_owned(), 0o755, Content::File("/proc/self/exe".into()))];
    for path in CONFIGS {
        files.push((path.trim_start_matches('/').to_owned(), 0o644, Content::Bytes(CONFIG.into())));
    }
    if fs::exists(AUTHORITIES)? {
        files.push((
            AUTHORITIES.trim_start_matches('/').to_owned(),
            0o644,
            Content::File(AUTHORITIES.into()),
        ));
    }
    let mut libraries = libraries(&fs::read_to_string("/proc/self/maps")?);
    // The kernel looks for the loader by the name in the program, which is seldom where it really lies.
    libraries.extend(loader()?);
    for path in libraries {
        files.push((path.trim_start_matches('/').to_owned(), 0o755, Content::File(path.into())));
    }
    Ok(files)
}

/// The shared objects of `/proc/<pid>/maps`, each once.
fn libraries(maps: &str) -> BTreeSet<String> {
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    paths.filter(|path| path.contains(".so.") || path.ends_with(".so")).map(str::to_owned).collect()
}

/// The program's loader by the name it asks for; `None` when it needs none.
fn loader() -> io::Result<Option<String>> {
    let mut file = fs::File::open("/proc/self/exe")?;
    let mut header = [0; ELF_HEADER];
    file.read_exact(&mut header)?;
    let number = |bytes: &[u8], at: usize, size: usize| {
        bytes[at..at + size].iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let (size, entries) = (number(&header, ELF_ENTRY_SIZE, 2), number(&header, ELF_ENTRIES, 2));
    let mut table = vec![0; (size * entries) as usize];
    file.seek(SeekFrom::Start(number(&header, ELF_TABLE, 8)))?;
    file.read_exact(&mut table)?;
    let named = table.chunks(size.max(56) as usize).find(|entry| number(entry, 0, 4) as u32 == PT_INTERP);
    let Some(entry) = named else { return Ok(None) };
    let mut name = vec![0; number(entry, 32, 8) as usize];
    file.seek(SeekFrom::Start(number(entry, 8, 8)))?;
    file.read_exact(&mut name)?;
    Ok(Some(String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_from_other_mappings() {
        let maps = "7f00-7f01 r-xp 00000000 08:01 1  /usr/lib/x86_64-linux-gnu/libc.so.6\n\
                    7f01-7f02 r--p 00001000 08:01 1  /usr/lib/x86_64-linux-gnu/libc.so.6\n\
                    7f02-7f03 r-xp 00000000 08:01 2  /usr/bin/gantry\n\
                    7f03-7f04 rw-p 00000000 00:00 0  [heap]\n";
        assert_eq!(libraries(maps), BTreeSet::from(["/usr/lib/x86_64-linux-gnu/libc.so.6".to_owned()]));
    }

    #[test]
    fn this_programs_loader_is_a_file_that_is_there() {
        if let Some(loader) = loader().unwrap() {
            assert!(fs::exists(loader).unwrap());
        }
    }
}
