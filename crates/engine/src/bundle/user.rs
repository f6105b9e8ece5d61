//! `--user` and `--group-add` resolved by the container's own `/etc/passwd` and `/etc/group`. Pure: the texts come in.

/// Ids to run with, and the home folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedUser {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups, sorted, without a repetition.
    pub groups: Vec<u32>,
    /// For `HOME`; `/` when unknown.
    pub home: String,
}

/// Docker's refusals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// A name that is not in passwd.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    User(String),
    /// A name that is not in group.
    #[error("unable to find group {0}: no matching entries in group file")]
    Group(String),
    /// A number out of range.
    #[error("uids and gids must be in range 0-2147483647")]
    Range,
}

struct Passwd<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn passwd(text: &str) -> impl Iterator<Item = Passwd<'_>> {
    text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let [name, _, uid, gid, ..] = fields[..] else { return None };
        let home = fields.get(5).copied().unwrap_or("");
        Some(Passwd { name, uid: uid.parse().ok()?, gid: gid.parse().ok()?, home })
    })
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn groups(text: &str) -> impl Iterator<Item = Group<'_>> {
    text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let [name, _, gid, ..] = fields[..] else { return None };
        Some(Group { name, gid: gid.parse().ok()?, members: fields.get(3).copied().unwrap_or("") })
    })
}

/// What is written as a number is one, whatever the image's lists call so (CVE-2016-3697), and however long it is
/// (CVE-2026-46680).
fn number(text: &str) -> Option<Result<u32, UserError>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let numeric = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    numeric.then(|| text.parse().map_err(|_| UserError::Range).and_then(in_range))
}

/// The kernel takes the highest number for "as it is now", which is root (CVE-2024-40635).
fn in_range(id: u32) -> Result<u32, UserError> {
    if id <= i32::MAX as u32 { Ok(id) } else { Err(UserError::Range) }
}

/// Resolves `user[:group]` and the added groups.
pub fn resolve(
    asked: &str,
    added: &[String],
    passwd_text: &str,
    group_text: &str,
) -> Result<ResolvedUser, UserError> {
    let (user, group) = asked.split_once(':').unwrap_or((asked, ""));
    let as_number = number(user).transpose()?;
    let entry = passwd(passwd_text).find(|entry| match (user, as_number) {
        ("", _) => entry.uid == 0,
        (_, Some(uid)) => entry.uid == uid,
        (name, None) => entry.name == name,
    });
    let mut resolved = match (&entry, as_number) {
        (Some(entry), _) => ResolvedUser {
            uid: in_range(entry.uid)?,
            gid: in_range(entry.gid)?,
            groups: Vec::new(),
            home: entry.home.to_owned(),
        },
        (None, Some(uid)) => ResolvedUser { uid, ..ResolvedUser::default() },
        (None, None) if user.is_empty() => {
            ResolvedUser { home: "/root".to_owned(), ..ResolvedUser::default() }
        }
        (None, None) => return Err(UserError::User(user.to_owned())),
    };
    if group.is_empty() {
        // A user without a group of its own asked for is in all the groups that list it.
        let name = entry.as_ref().map_or(user, |entry| entry.name);
        if !name.is_empty() {
            let member = |group: &Group<'_>| group.members.split(',').any(|member| member == name);
            for group in groups(group_text).filter(member) {
                resolved.groups.push(in_range(group.gid)?);
            }
        }
    } else {
        resolved.gid = group_id(group, group_text)?;
    }
    for group in added {
        resolved.groups.push(group_id(group, group_text)?);
    }
    // The first group is a supplementary one, too: a program that drops it must not gain by it (CVE-2022-36109).
    resolved.groups.push(resolved.gid);
    resolved.groups.sort_unstable();
    resolved.groups.dedup();
    if resolved.home.is_empty() {
        resolved.home = "/".to_owned();
    }
    Ok(resolved)
}

fn group_id(asked: &str, text: &str) -> Result<u32, UserError> {
    if let Some(number) = number(asked) {
        return number;
    }
    let group = groups(text).find(|group| group.name == asked);
    in_range(group.ok_or_else(|| UserError::Group(asked.to_owned()))?.gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# note\nweb:x:33:34:web:/srv/web:/bin/sh\nbroken\n";
    const GROUP: &str = "root:x:0:root\nweb:x:34:\nlog:x:50:web,root\naudio:x:29:\n";

    fn get(asked: &str) -> Result<ResolvedUser, UserError> {
        resolve(asked, &[], PASSWD, GROUP)
    }

    #[test]
    fn names_and_numbers_are_resolved_as_docker_does() {
        let web = get("web").unwrap();
        assert_eq!((web.uid, web.gid, web.groups, web.home.as_str()), (33, 34, vec![34, 50], "/srv/web"));
        let root = get("").unwrap();
        assert_eq!((root.uid, root.gid, root.groups), (0, 0, vec![0, 50]));
        let number = get("1234").unwrap();
        assert_eq!((number.uid, number.gid, number.home.as_str()), (1234, 0, "/"));
        let both = get("web:audio").unwrap();
        assert_eq!((both.uid, both.gid, both.groups), (33, 29, vec![29]));
        assert_eq!(get("33").unwrap().gid, 34);
        let added = resolve("1:2", &["log".into(), "7".into()], PASSWD, GROUP).unwrap();
        assert_eq!(added.groups, [2, 7, 50]);
    }

    /// CVE-2016-3697, CVE-2026-46680, CVE-2024-40635: an image's lists make root of whom its caller thinks to be nobody.
    #[test]
    fn what_is_written_as_a_number_is_never_a_name() {
        let passwd = "1000:x:0:0::/:\n99999999999999999999:x:0:0::/:\nleast:x:4294967295:5::/:\nlast:x:5:4294967295::/:\n";
        let group = "7:x:0:\n88888888888888888888:x:0:\nleast:x:4294967295:extra\nextra:x:9:\n";
        let get = |asked: &str, added: &[&str]| {
            let added: Vec<String> = added.iter().map(|&name| name.to_owned()).collect();
            resolve(asked, &added, passwd, group)
        };
        assert_eq!(get("1000", &[]).unwrap().uid, 1000);
        assert_eq!(get("6:7", &["7"]).unwrap().groups, [7]);
        for (asked, added) in [
            ("99999999999999999999", ""),
            ("1:88888888888888888888", ""),
            ("1", "88888888888888888888"),
            ("-99999999999999999999", ""),
            ("4294967295", ""),
            ("2147483648", ""),
            ("1:4294967295", ""),
            ("1:-1", ""),
            ("least", ""),
            ("last", ""),
            ("1:least", ""),
            ("1", "least"),
        ] {
            let added: Vec<&str> = Some(added).filter(|name| !name.is_empty()).into_iter().collect();
            assert_eq!(get(asked, &added), Err(UserError::Range), "{asked} {added:?}");
        }
    }

    #[test]
    fn unknown_names_are_told_in_dockers_words() {
        assert_eq!(
            get("nobody").unwrap_err().to_string(),
            "unable to find user nobody: no matching entries in passwd file"
        );
        assert_eq!(get("web:x").unwrap_err(), UserError::Group("x".into()));
        assert_eq!(get("-1").unwrap_err(), UserError::Range);
        assert_eq!(resolve("", &[], "", "").unwrap().home, "/root");
    }
}
