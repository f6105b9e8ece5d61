//! Docker's volume filters. Pure.

use crate::{Volume, VolumeError};

/// Conditions of `volume ls` and `volume prune`: all keys must hold, with any one of a key's values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeFilter {
    dangling: Option<bool>,
    all: bool,
    drivers: Vec<String>,
    names: Vec<String>,
    labels: Vec<String>,
    labels_not: Vec<String>,
}

impl VolumeFilter {
    /// Adds a condition of `volume ls`.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), VolumeError> {
        match key {
            "dangling" => self.dangling = Some(truth(key, value)?),
            "driver" => self.drivers.push(value.to_owned()),
            "name" => self.names.push(value.to_owned()),
            "label" => self.labels.push(value.to_owned()),
            _ => return Err(VolumeError::Filter(key.to_owned())),
        }
        Ok(())
    }

    /// Adds a condition of `volume prune`.
    pub fn add_for_prune(&mut self, key: &str, value: &str) -> Result<(), VolumeError> {
        match key {
            "all" => self.all = truth(key, value)?,
            "label" => self.labels.push(value.to_owned()),
            "label!" => self.labels_not.push(value.to_owned()),
            _ => return Err(VolumeError::Filter(key.to_owned())),
        }
        Ok(())
    }

    /// Whether `prune` takes named volumes too.
    pub(crate) fn takes_named(&self) -> bool {
        self.all
    }

    /// Whether the volume is wanted; `used` says whether a container names it.
    pub fn matches(&self, volume: &Volume, used: bool) -> bool {
        let any =
            |values: &[String], hit: &dyn Fn(&String) -> bool| values.is_empty() || values.iter().any(hit);
        self.dangling.is_none_or(|dangling| dangling != used)
            && any(&self.drivers, &|driver| driver == "local")
            && any(&self.names, &|name| volume.name.contains(name.as_str()))
            && self.labels.iter().all(|label| has_label(volume, label))
            && !self.labels_not.iter().any(|label| has_label(volume, label))
    }
}

fn has_label(volume: &Volume, label: &str) -> bool {
    match label.split_once('=') {
        Some((name, value)) => volume.labels.get(name).is_some_and(|have| have == value),
        None => volume.labels.contains_key(label),
    }
}

fn truth(key: &str, value: &str) -> Result<bool, VolumeError> {
    match value {
        "1" | "true" | "True" | "TRUE" | "t" | "T" => Ok(true),
        "0" | "false" | "False" | "FALSE" | "f" | "F" => Ok(false),
        _ => Err(VolumeError::FilterValue(key.to_owned(), value.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(filters: &[(&str, &str)], used: bool) -> bool {
        let volume = Volume {
            name: "web-data".into(),
            created: jiff::Timestamp::UNIX_EPOCH,
            labels: [("tier".to_owned(), "db".to_owned())].into(),
            options: Default::default(),
        };
        let mut filter = VolumeFilter::default();
        for (key, value) in filters {
            filter.add(key, value).unwrap();
        }
        filter.matches(&volume, used)
    }

    #[test]
    fn each_filter_keeps_and_drops() {
        assert!(wanted(&[], true));
        assert!(wanted(&[("dangling", "true")], false) && !wanted(&[("dangling", "1")], true));
        assert!(wanted(&[("dangling", "false")], true) && !wanted(&[("dangling", "0")], false));
        assert!(wanted(&[("name", "data")], true) && !wanted(&[("name", "cache")], true));
        assert!(wanted(&[("driver", "local")], true) && !wanted(&[("driver", "nfs")], true));
        assert!(wanted(&[("label", "tier")], true) && wanted(&[("label", "tier=db")], true));
        assert!(
            !wanted(&[("label", "tier=web")], true) && !wanted(&[("label", "tier"), ("label", "x")], true)
        );
    }

    #[test]
    fn unknown_filters_are_refused_in_dockers_words() {
        let mut filter = VolumeFilter::default();
        assert_eq!(filter.add("colour", "red").unwrap_err().to_string(), "invalid filter 'colour'");
        assert_eq!(
            filter.add("dangling", "maybe").unwrap_err().to_string(),
            "invalid filter 'dangling=maybe'"
        );
        assert!(filter.add_for_prune("name", "x").is_err());
    }
}
