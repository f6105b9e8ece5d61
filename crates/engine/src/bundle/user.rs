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

fn number(text: &str) -> Option<Result<u32, UserError>> {
    let value: i64 = text.parse().ok()?;
    Some(u32::try_from(value).ok().filter(|id| *id <= i32::MAX as u32).ok_or(UserError::Range))
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
        (_, Some(uid)) => entry.uid == uid || entry.name == user,
        (name, None) => entry.name == name,
    });
    let mut resolved = match (&entry, as_number) {
        (Some(entry), _) => {
            ResolvedUser { uid: entry.uid, gid: entry.gid, groups: Vec::new(), home: entry.home.to_owned() }
        }
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
            resolved.groups.extend(groups(group_text).filter(member).map(|group| group.gid));
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
    if let Some(group) = groups(text).find(|group| group.name == asked) {
        return Ok(group.gid);
    }
    number(asked).unwrap_or_else(|| Err(UserError::Group(asked.to_owned())))
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
