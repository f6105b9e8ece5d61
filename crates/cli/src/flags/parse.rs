//! The words of a command line, taken apart.

use super::{Flag, Kind};

/// Why a command line is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagError {
    /// The text for the person.
    Text(String),
}

/// What was asked for besides the command's own work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The command itself.
    Run,
    /// Its help.
    Help,
}

/// A command line taken apart.
#[derive(Debug)]
pub struct Parsed {
    /// Given flags by index into the table, in order.
    pub given: Vec<(&'static str, String)>,
    /// The words that are no flags.
    pub words: Vec<String>,
    /// Whether help was asked for.
    pub asked: Asked,
}

/// Takes `args` apart. Without `interspersed`, everything behind the first word is a word (`run IMAGE -x`).
pub fn parse(tables: &[&'static [Flag]], interspersed: bool, args: &[String]) -> Result<Parsed, FlagError> {
    let mut parsed = Parsed { given: Vec::new(), words: Vec::new(), asked: Asked::Run };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "--" {
            parsed.words.extend(rest.cloned());
            break;
        }
        if let Some(long) = arg.strip_prefix("--") {
            long_flag(tables, long, arg, &mut rest, &mut parsed)?;
        } else if let Some(letters) = arg.strip_prefix('-').filter(|l| !l.is_empty()) {
            short_flags(tables, letters, &mut rest, &mut parsed)?;
        } else {
            parsed.words.push(arg.clone());
            if !interspersed {
                parsed.words.extend(rest.cloned());
                break;
            }
        }
        if parsed.asked == Asked::Help {
            break;
        }
    }
    Ok(parsed)
}

fn find<'t>(tables: &[&'t [Flag]], wanted: impl Fn(&Flag) -> bool) -> Option<&'t Flag> {
    tables.iter().flat_map(|t| t.iter()).find(|f| wanted(f))
}

fn long_flag(
    tables: &[&'static [Flag]],
    long: &str,
    whole: &str,
    rest: &mut std::slice::Iter<'_, String>,
    parsed: &mut Parsed,
) -> Result<(), FlagError> {
    let (name, inline) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (long, None),
    };
    if name.is_empty() || name.starts_with('-') {
        return Err(FlagError::Text(format!("bad flag syntax: {whole}")));
    }
    let Some(flag) = find(tables, |f| f.long == name) else {
        if name == "help" {
            parsed.asked = Asked::Help;
            return Ok(());
        }
        return Err(FlagError::Text(format!("unknown flag: --{name}")));
    };
    let value = match (inline, flag.kind) {
        (Some(value), _) => value,
        (None, Kind::Bool) => "true".into(),
        (None, _) => match rest.next() {
            Some(value) => value.clone(),
            None => return Err(FlagError::Text(format!("flag needs an argument: --{name}"))),
        },
    };
    set(flag, value, parsed)
}

fn short_flags(
    tables: &[&'static [Flag]],
    letters: &str,
    rest: &mut std::slice::Iter<'_, String>,
    parsed: &mut Parsed,
) -> Result<(), FlagError> {
    let mut left = letters;
    while let Some(letter) = left.chars().next() {
        left = &left[letter.len_utf8()..];
        let Some(flag) = find(tables, |f| f.short == Some(letter)) else {
            if letter == 'h' {
                parsed.asked = Asked::Help;
                return Ok(());
            }
            return Err(FlagError::Text(format!("unknown shorthand flag: '{letter}' in -{letter}{left}")));
        };
        let value = if let Some(value) = left.strip_prefix('=') {
            std::mem::take(&mut left);
            value.to_owned()
        } else if flag.kind == Kind::Bool {
            "true".into()
        } else if !left.is_empty() {
            std::mem::take(&mut left).to_owned()
        } else {
            match rest.next() {
                Some(value) => value.clone(),
                None => {
                    let text = format!("flag needs an argument: '{letter}' in -{letter}");
                    return Err(FlagError::Text(text));
                }
            }
        };
        set(flag, value, parsed)?;
    }
    Ok(())
}

fn set(flag: &Flag, value: String, parsed: &mut Parsed) -> Result<(), FlagError> {
    let checked = flag.kind.check(&value).and_then(|()| flag.check.map_or(Ok(()), |check| check(&value)));
    if let Err(why) = checked {
        let title = flag.title();
        return Err(FlagError::Text(format!("invalid argument {value:?} for \"{title}\" flag: {why}")));
    }
    if flag.long == "help" {
        parsed.asked = Asked::Help;
    }
    parsed.given.push((flag.long, value));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{flag, list, switch, text};
    use super::*;

    static FLAGS: &[Flag] = &[
        switch("interactive", "").short('i'),
        switch("tty", "").short('t'),
        switch("rm", ""),
        list("publish", "").short('p'),
        text("name", ""),
        flag("memory", Kind::Bytes, "").short('m'),
    ];

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn go(line: &str, interspersed: bool) -> Result<Parsed, String> {
        parse(&[FLAGS], interspersed, &words(line)).map_err(|FlagError::Text(t)| t)
    }

    #[test]
    fn letters_may_stand_together_and_values_may_touch() {
        let p = go("-it -p80:80 -p=81:81 --name=x --rm=false busybox -it", false).unwrap();
        let given: Vec<String> = p.given.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            given,
            ["interactive=true", "tty=true", "publish=80:80", "publish=81:81", "name=x", "rm=false"]
        );
        assert_eq!(p.words, ["busybox", "-it"]);
        assert_eq!(go("a -t b -- -x", true).unwrap().words, ["a", "b", "-x"]);
    }

    #[test]
    fn mistakes_are_told_in_dockers_words() {
        assert_eq!(go("--foo", true).unwrap_err(), "unknown flag: --foo");
        assert_eq!(go("-tz", true).unwrap_err(), "unknown shorthand flag: 'z' in -z");
        assert_eq!(go("--name", true).unwrap_err(), "flag needs an argument: --name");
        assert_eq!(go("-p", true).unwrap_err(), "flag needs an argument: 'p' in -p");
        assert_eq!(
            go("-m abc", true).unwrap_err(),
            "invalid argument \"abc\" for \"-m, --memory\" flag: invalid size: 'abc'"
        );
        assert_eq!(
            go("--rm=maybe", true).unwrap_err(),
            "invalid argument \"maybe\" for \"--rm\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax"
        );
        assert_eq!(go("-t --help", true).unwrap().asked, Asked::Help);
    }
}
