//! `RUN --mount=type=...,...`: parsed after its values were expanded.

use crate::suggest;

/// What a RUN sees for the time it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMount {
    /// Kind of mount with what only that kind has.
    pub kind: MountKind,
    /// Path in the step's root; empty where the kind has a default.
    pub target: String,
}

/// Owner and mode of a file or folder that the mount makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// Permission bits.
    pub mode: Option<u32>,
    /// User.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
}

/// The kinds of mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountKind {
    /// A folder of a stage, an image or the context; what is written is dropped.
    Bind {
        /// Stage, image or context; empty: the context.
        from: String,
        /// Path in it.
        source: String,
        /// Writes are refused.
        read_only: bool,
    },
    /// A folder that later builds see again.
    Cache {
        /// Name; empty: the target.
        id: String,
        /// Where it begins from.
        from: String,
        /// Path in `from`.
        source: String,
        /// Two builds at once.
        sharing: Sharing,
        /// Writes are refused.
        read_only: bool,
        /// Of the folder when it is made.
        owner: Owner,
    },
    /// Memory.
    Tmpfs {
        /// Bytes; `None`: the kernel's default.
        size: Option<u64>,
    },
    /// A file (or a variable) the builder's caller holds.
    Secret {
        /// Its name.
        id: String,
        /// The variable it becomes; with no target, instead of a file.
        env: Option<String>,
        /// The build fails without it.
        required: bool,
        /// Of the file.
        owner: Owner,
    },
    /// A socket to the caller's SSH agent.
    Ssh {
        /// Which of the caller's agents.
        id: String,
        /// The build fails without it.
        required: bool,
        /// Of the socket.
        owner: Owner,
    },
}

/// Two builds that want one cache folder at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Both write it.
    #[default]
    Shared,
    /// The second gets a folder of its own.
    Private,
    /// The second waits.
    Locked,
}

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];
const TYPES: [&str; 5] = ["bind", "cache", "tmpfs", "secret", "ssh"];

#[derive(Default)]
struct Fields {
    kind: String,
    from: String,
    source: String,
    target: String,
    id: String,
    sharing: Option<Sharing>,
    read_only: Option<bool>,
    required: Option<bool>,
    size: Option<u64>,
    env: Option<String>,
    owner: Owner,
}

/// Reads the value of one `--mount`.
pub fn parse(text: &str) -> Result<RunMount, String> {
    let mut fields = Fields { kind: "bind".into(), ..Fields::default() };
    for field in csv(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_ascii_lowercase(), Some(value.to_owned())),
            None => (field.to_ascii_lowercase(), None),
        };
        set(&mut fields, &key, value, &field)?;
    }
    finish(fields)
}

fn set(fields: &mut Fields, key: &str, value: Option<String>, field: &str) -> Result<(), String> {
    let Some(value) = value else {
        match key {
            "readonly" | "ro" => fields.read_only = Some(true),
            "readwrite" | "rw" => fields.read_only = Some(false),
            "required" => fields.required = Some(true),
            _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
        }
        return Ok(());
    };
    let boolean = || parse_bool(&value).ok_or_else(|| format!("invalid value for {key}: {value}"));
    let number = || value.parse::<u32>().map(Some).map_err(|_| format!("invalid value {value} for {key}"));
    match key {
        "type" => {
            let kind = value.to_ascii_lowercase();
            if !TYPES.contains(&kind.as_str()) {
                return Err(suggest::with_nearest(
                    format!("unsupported mount type {value:?}"),
                    &kind,
                    &TYPES,
                ));
            }
            fields.kind = kind;
        }
        "from" => fields.from = value,
        "source" | "src" => fields.source = value,
        "target" | "dst" | "destination" => fields.target = value,
        "readonly" | "ro" => fields.read_only = Some(boolean()?),
        "readwrite" | "rw" => fields.read_only = Some(!boolean()?),
        "required" => fields.required = Some(boolean()?),
        "size" => {
            fields.size = Some(bytes(&value).ok_or_else(|| format!("invalid value for {key}: {value}"))?)
        }
        "id" => fields.id = value,
        "sharing" => {
            fields.sharing = Some(match value.to_ascii_lowercase().as_str() {
                "shared" => Sharing::Shared,
                "private" => Sharing::Private,
                "locked" => Sharing::Locked,
                other => {
                    let known = ["shared", "private", "locked"];
                    return Err(suggest::with_nearest(
                        format!("unsupported sharing value {value:?}"),
                        other,
                        &known,
                    ));
                }
            });
        }
        "mode" => {
            let mode =
                u32::from_str_radix(&value, 8).map_err(|_| format!("invalid value {value} for mode"))?;
            fields.owner.mode = Some(mode);
        }
        "uid" => fields.owner.uid = number()?,
        "gid" => fields.owner.gid = number()?,
        "env" => fields.env = Some(value),
        _ => return Err(suggest::with_nearest(format!("unexpected key '{key}' in '{field}'"), key, &KEYS)),
    }
    Ok(())
}

fn finish(fields: Fields) -> Result<RunMount, String> {
    let kind = fields.kind.as_str();
    let owned = matches!(kind, "secret" | "ssh" | "cache");
    let refuse = |wrong: bool, message: String| if wrong { Err(message) } else { Ok(()) };
    let unexpected = |key: &str| format!("unexpected key '{key}' for mount type '{kind}'");
    refuse(fields.required.is_some() && !matches!(kind, "secret" | "ssh"), unexpected("required"))?;
    refuse(fields.size.is_some() && kind != "tmpfs", unexpected("size"))?;
    refuse(!owned && fields.owner.mode.is_some(), format!("mode not allowed for {kind:?} type mounts"))?;
    refuse(!owned && fields.owner.uid.is_some(), format!("uid not allowed for {kind:?} type mounts"))?;
    refuse(!owned && fields.owner.gid.is_some(), format!("gid not allowed for {kind:?} type mounts"))?;
    if kind == "secret" {
        refuse(!fields.from.is_empty(), "secret mount should not have a from".into())?;
        refuse(fields.sharing.is_some(), "secret mount should not define sharing".into())?;
        let nameless = fields.source.is_empty() && fields.target.is_empty() && fields.id.is_empty();
        refuse(nameless, "invalid secret mount. one of source, target required".into())?;
        let twice = !fields.source.is_empty() && !fields.id.is_empty();
        refuse(twice, "both source and id can't be set".into())?;
    }
    refuse(
        fields.sharing.is_some() && kind != "cache",
        format!("invalid cache sharing set for {kind} mount"),
    )?;

    let required = fields.required.unwrap_or(false);
    let (source, from, owner) = (fields.source, fields.from, fields.owner);
    let kind = match kind {
        "cache" => MountKind::Cache {
            id: fields.id,
            from,
            source,
            sharing: fields.sharing.unwrap_or_default(),
            read_only: fields.read_only.unwrap_or(false),
            owner,
        },
        "tmpfs" => MountKind::Tmpfs { size: fields.size },
        "secret" => {
            let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
            let id = [fields.id, source].into_iter().find(|text| !text.is_empty());
            MountKind::Secret {
                id: id.unwrap_or_else(|| base(&fields.target)),
                env: fields.env,
                required,
                owner,
            }
        }
        "ssh" => MountKind::Ssh {
            id: if fields.id.is_empty() { "default".into() } else { fields.id },
            required,
            owner,
        },
        _ => MountKind::Bind { from, source, read_only: fields.read_only.unwrap_or(true) },
    };
    Ok(RunMount { kind, target: fields.target })
}

/// Fields between commas; `"` quotes one, doubled inside.
fn csv(text: &str) -> Result<Vec<String>, String> {
    let bad = || "failed to parse csv mounts".to_owned();
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
            Some(mut quoted) => {
                let mut field = String::new();
                loop {
                    let end = quoted.find('"').ok_or_else(bad)?;
                    field.push_str(&quoted[..end]);
                    quoted = &quoted[end + 1..];
                    match quoted.strip_prefix('"') {
                        Some(more) => {
                            field.push('"');
                            quoted = more;
                        }
                        None => break,
                    }
                }
                (field, quoted)
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(fields),
            None => return Err(bad()),
        }
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// `64m`, `1GiB`, `512`: powers of 1024.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = text[end..].trim().trim_end_matches('b').trim_end_matches('i');
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    Some((number * 1024f64.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_read_with_its_defaults() {
        let cache = parse("type=cache,target=/root/.cache,sharing=locked,mode=0755").unwrap();
        assert_eq!(cache.target, "/root/.cache");
        let MountKind::Cache { sharing, owner, read_only, .. } = cache.kind else { panic!() };
        assert_eq!((sharing, owner.mode, read_only), (Sharing::Locked, Some(0o755), false));
        assert!(matches!(parse("target=/a").unwrap().kind, MountKind::Bind { read_only: true, .. }));
        assert!(matches!(
            parse("type=tmpfs,target=/t,size=1g").unwrap().kind,
            MountKind::Tmpfs { size: Some(0x4000_0000) }
        ));
        let MountKind::Secret { id, .. } = parse("type=secret,target=/run/x/token").unwrap().kind else {
            panic!()
        };
        assert_eq!(id, "token");
        // The working folder, then.
        assert_eq!(parse("from=made").unwrap().target, "");
        assert!(matches!(parse("type=ssh").unwrap().kind, MountKind::Ssh { id, .. } if id == "default"));
    }

    #[test]
    fn wrong_mounts_are_told() {
        for (text, message) in [
            ("type=bnd,target=/a", "unsupported mount type \"bnd\" (did you mean bind?)"),
            ("target=/a,taget=/b", "unexpected key 'taget' in 'taget=/b' (did you mean target?)"),
            ("type=bind,target=/a,size=1", "unexpected key 'size' for mount type 'bind'"),
            ("type=bind,target=/a,uid=1", "uid not allowed for \"bind\" type mounts"),
            ("type=secret", "invalid secret mount. one of source, target required"),
            ("type=bind,target=/a,sharing=shared", "invalid cache sharing set for bind mount"),
            ("nonsense", "invalid field 'nonsense' must be a key=value pair"),
            ("\"open", "failed to parse csv mounts"),
        ] {
            assert_eq!(parse(text).unwrap_err(), message);
        }
    }
}
