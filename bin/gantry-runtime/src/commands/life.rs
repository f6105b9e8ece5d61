//! `kill`, `delete`, `pause` and `resume`.

use anyhow::{Result, bail};
use gantry_runtime_lib::Status;

use crate::args::{Args, Global};
use crate::log;
use crate::state::Folder;

pub fn kill(global: &Global, words: Vec<String>) -> Result<u8> {
    let args = Args::parse(words, &[("all", 'a', false)])?;
    let id = args.id()?;
    let signal = signal(args.rest.get(1).map_or("SIGTERM", String::as_str))?;
    let (_, container) = Folder::open(global, id)?.load()?;
    if args.has("all") {
        container.kill_all(signal)?;
        return Ok(0);
    }
    container.kill(signal)?;
    Ok(0)
}

pub fn delete(global: &Global, words: Vec<String>) -> Result<u8> {
    let args = Args::parse(words, &[("force", 'f', false)])?;
    let (id, force) = (args.id()?, args.has("force"));
    let folder = match Folder::open(global, id) {
        Ok(folder) => folder,
        Err(_) if force && !global.root.join(id).exists() => return Ok(0),
        Err(e) => return Err(e),
    };
    let (_, mut container) = match folder.load() {
        Ok(loaded) => loaded,
        // A create that was killed half way.
        Err(_) if force => return folder.forget().map(|()| 0),
        Err(e) => return Err(e),
    };
    match container.status()? {
        Status::Stopped => {}
        _ if force => {}
        Status::Created => {}
        status => bail!("cannot delete container {id} that is not stopped: {}", status.as_str()),
    }
    container.delete()?;
    for warning in container.warnings() {
        log::warn(global, warning);
    }
    folder.remove()?;
    Ok(0)
}

pub fn pause(global: &Global, words: Vec<String>) -> Result<u8> {
    let args = Args::parse(words, &[])?;
    Folder::open(global, args.id()?)?.load()?.1.pause()?;
    Ok(0)
}

pub fn resume(global: &Global, words: Vec<String>) -> Result<u8> {
    let args = Args::parse(words, &[])?;
    Folder::open(global, args.id()?)?.load()?.1.resume()?;
    Ok(0)
}

/// By number or by name, with or without `SIG`, in any case.
fn signal(text: &str) -> Result<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return Ok(number);
    }
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
        "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
        "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(at) = NAMES.iter().position(|n| *n == name) {
        return Ok(at as i32 + 1);
    }
    let real_time = |rest: &str, base: i32, sign: i32| -> Option<i32> {
        let n: i32 = if rest.is_empty() { 0 } else { rest.get(1..)?.parse().ok()? };
        Some(base + sign * n).filter(|s| (34..=64).contains(s))
    };
    let found = if let Some(rest) = name.strip_prefix("RTMIN") {
        real_time(rest, 34, 1)
    } else {
        name.strip_prefix("RTMAX").and_then(|rest| real_time(rest, 64, -1))
    };
    match found {
        Some(signal) => Ok(signal),
        None => bail!("unknown signal \"{text}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::signal;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in
            [("9", 9), ("KILL", 9), ("sigterm", 15), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("RTMIN", 34)]
        {
            assert_eq!(signal(text).unwrap(), number, "{text}");
        }
        assert!(signal("NOPE").is_err() && signal("RTMIN+99").is_err());
    }
}
