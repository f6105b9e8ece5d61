//! What users may do with which repositories: rules in order, and grants out of tokens.

use serde::{Deserialize, Serialize};

use super::Action;
use crate::name::RepositoryName;
use crate::pattern::Pattern;

/// One rule.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// Repositories it speaks of; none means all.
    pub repositories: Vec<Pattern>,
    /// Users it speaks of: names, `*` for anybody who logged in; none means everybody, logged in or not.
    pub users: Vec<String>,
    /// What they may do.
    pub actions: Vec<Action>,
}

/// The rules of a registry.
#[derive(Debug, Default)]
pub struct Rights {
    /// The first that speaks of repository and user counts.
    pub rules: Vec<Rule>,
    /// Where no rule speaks, reading needs no login.
    pub anonymous_pull: bool,
    /// There are no users: everybody counts as logged in.
    pub open: bool,
}

impl Rule {
    fn speaks_of(&self, user: Option<&str>, name: &RepositoryName) -> bool {
        let repository = self.repositories.is_empty()
            || self.repositories.iter().any(|known| known.matches(name.as_str()));
        let person = self.users.is_empty()
            || user.is_some_and(|user| self.users.iter().any(|known| known == "*" || known == user));
        repository && person
    }
}

impl Rights {
    /// Whether a user (`None`: not logged in) may.
    pub fn allow(&self, user: Option<&str>, name: &RepositoryName, action: Action) -> bool {
        if let Some(rule) = self.rules.iter().find(|rule| rule.speaks_of(user, name)) {
            return rule.actions.contains(&action);
        }
        if action == Action::Pull && self.anonymous_pull {
            return true;
        }
        // Without rules whoever is let in may do everything; with rules what none allows is forbidden.
        self.rules.is_empty() && (user.is_some() || self.open)
    }
}

/// One entry of a token's `access`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The repository's name, or `catalog`.
    pub name: String,
    /// pull, push, delete, or `*`.
    #[serde(default)]
    pub actions: Vec<String>,
}

impl Grant {
    pub(super) fn repository(&self, name: &RepositoryName, action: Action) -> bool {
        self.kind == "repository"
            && self.name == name.as_str()
            && self.actions.iter().any(|known| known == "*" || known == action.as_str())
    }

    pub(super) fn catalog(&self) -> bool {
        self.kind == "registry" && self.name == "catalog" && self.actions.iter().any(|known| known == "*")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_speaks_counts() {
        let name = |text| RepositoryName::parse(text).unwrap();
        let rights = Rights {
            rules: vec![
                Rule {
                    repositories: vec![Pattern::new("team/**")],
                    users: vec!["ann".into()],
                    actions: vec![Action::Pull, Action::Push],
                },
                Rule {
                    repositories: vec![Pattern::new("team/**")],
                    users: vec!["*".into()],
                    actions: vec![Action::Pull],
                },
                Rule { repositories: vec![Pattern::new("secret/*")], ..Rule::default() },
            ],
            anonymous_pull: true,
            open: false,
        };
        assert!(rights.allow(Some("ann"), &name("team/a"), Action::Push));
        assert!(!rights.allow(Some("ann"), &name("team/a"), Action::Delete));
        assert!(rights.allow(Some("bob"), &name("team/a"), Action::Pull));
        assert!(!rights.allow(Some("bob"), &name("team/a"), Action::Push));
        assert!(rights.allow(None, &name("team/a"), Action::Pull), "no rule speaks of strangers there");
        assert!(!rights.allow(None, &name("secret/a"), Action::Pull));
        assert!(!rights.allow(Some("ann"), &name("other"), Action::Push));
    }

    #[test]
    fn without_rules_a_login_is_enough_and_an_open_registry_needs_none() {
        let name = RepositoryName::parse("a").unwrap();
        let mut rights = Rights::default();
        assert!(rights.allow(Some("ann"), &name, Action::Push));
        assert!(!rights.allow(None, &name, Action::Pull));
        rights.open = true;
        assert!(rights.allow(None, &name, Action::Delete));
    }
}
