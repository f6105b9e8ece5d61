//! From what was asked to resolved mounts: names become volumes, cascades are followed, missing folders are made.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;

use gantry_events::Kind;
use gantry_names::ContainerId;
use gantry_shim_client::{ImageMount, RootMount};
use gantry_snapshots::Rootfs;
use gantry_volumes::VolumeRequest;
use rustix::fs::OFlags;

use super::root::{self, Access};
use crate::bundle::BoundMount;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::{ContainerRecord, MountPoint, MountPointKind};
use crate::spec::{BindSource, ContainerSpec, MountKind, ReadOnly};

/// An absolute path without `.`, `..`, doubled and trailing slashes.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// A mount decided but not made yet.
pub(super) struct Planned {
    pub(super) point: MountPoint,
    /// The volume to make or find, for volumes.
    volume: Option<VolumeRequest>,
    nocopy: bool,
    /// Make the host folder when it is missing.
    create_source: bool,
}

fn point(kind: MountPointKind, source: &str, target: &str) -> MountPoint {
    MountPoint {
        kind,
        name: String::new(),
        source: source.to_owned(),
        target: clean(target),
        driver: String::new(),
        mode: String::new(),
        read_only: ReadOnly::No,
        propagation: None,
        non_recursive: false,
        subpath: String::new(),
        options: String::new(),
        anonymous: false,
    }
}

impl Engine {
    /// Decides all mounts of a new container, down to the names of anonymous volumes. Nothing is made.
    pub(super) fn plan_mounts(&self, spec: &ContainerSpec) -> Result<Vec<Planned>> {
        let mut plan: BTreeMap<String, Planned> = BTreeMap::new();
        for from in &spec.volumes_from {
            let wrong = |err: Error| Error::Invalid(err.to_string());
            let other = self.find(&from.container).map_err(wrong)?.record();
            for taken in &other.mounts {
                let mut point = MountPoint { anonymous: false, ..taken.clone() };
                if from.read_only == Some(true) {
                    point.read_only = ReadOnly::Yes;
                }
                if !from.mode.is_empty() {
                    point.mode.clone_from(&from.mode);
                }
                // The same volume by its name: it exists, so nothing new is made.
                let volume = (point.kind == MountPointKind::Volume)
                    .then(|| VolumeRequest { name: point.name.clone(), ..VolumeRequest::default() });
                plan.insert(
                    point.target.clone(),
                    Planned { point, volume, nocopy: true, create_source: false },
                );
            }
        }
        for bind in &spec.binds {
            let mut planned = match &bind.source {
                BindSource::Path(path) => Planned {
                    point: MountPoint {
                        non_recursive: bind.options.non_recursive,
                        ..point(MountPointKind::Bind, &clean(path), &bind.target)
                    },
                    volume: None,
                    nocopy: true,
                    create_source: true,
                },
                BindSource::Volume(name) => Planned {
                    point: point(MountPointKind::Volume, "", &bind.target),
                    volume: Some(VolumeRequest {
                        name: name.clone(),
                        driver: spec.volume_driver.clone(),
                        ..VolumeRequest::default()
                    }),
                    nocopy: bind.options.nocopy,
                    create_source: false,
                },
            };
            planned.point.mode.clone_from(&bind.mode);
            planned.point.read_only = bind.options.read_only;
            planned.point.propagation = bind.options.propagation;
            plan.insert(planned.point.target.clone(), planned);
        }
        for mount in &spec.mounts {
            let read_only = if mount.read_only { ReadOnly::Yes } else { ReadOnly::No };
            let planned = match &mount.kind {
                MountKind::Bind(options) => Planned {
                    point: MountPoint {
                        read_only: if mount.read_only && options.read_only != ReadOnly::No {
                            options.read_only
                        } else {
                            read_only
                        },
                        propagation: options.propagation,
                        non_recursive: options.non_recursive,
                        ..point(MountPointKind::Bind, &clean(&mount.source), &mount.target)
                    },
                    volume: None,
                    nocopy: true,
                    create_source: options.create_source,
                },
                MountKind::Volume(options) => Planned {
                    point: MountPoint {
                        read_only,
                        subpath: options.subpath.clone(),
                        anonymous: mount.source.is_empty(),
                        ..point(MountPointKind::Volume, "", &mount.target)
                    },
                    volume: Some(VolumeRequest {
                        name: mount.source.clone(),
                        driver: options.driver.clone(),
                        labels: options.labels.clone(),
                        options: options.driver_opts.clone(),
                    }),
                    nocopy: options.nocopy || !options.subpath.is_empty(),
                    create_source: false,
                },
                MountKind::Tmpfs(options) => {
                    let mut words: Vec<String> = options.options.iter().map(|pair| pair.join("=")).collect();
                    if options.size_bytes > 0 {
                        words.push(format!("size={}", options.size_bytes));
                    }
                    if options.mode != 0 {
                        words.push(format!("mode={:o}", options.mode));
                    }
                    if mount.read_only {
                        words.push("ro".to_owned());
                    }
                    Planned {
                        point: MountPoint {
                            read_only,
                            options: words.join(","),
                            ..point(MountPointKind::Tmpfs, "", &mount.target)
                        },
                        volume: None,
                        nocopy: true,
                        create_source: false,
                    }
                }
                MountKind::Image(options) => Planned {
                    point: MountPoint {
                        name: mount.source.clone(),
                        read_only: ReadOnly::Yes,
                        subpath: options.subpath.clone(),
                        ..point(MountPointKind::Image, "", &mount.target)
                    },
                    volume: None,
                    nocopy: true,
                    create_source: false,
                },
            };
            plan.insert(planned.point.target.clone(), planned);
        }
        for target in &spec.volumes {
            let target = clean(target);
            // An image may ask for it.
            if target == "/" {
                return Err(Error::Invalid("invalid specification: destination can't be '/'".to_owned()));
            }
            // A place that is mounted already needs no anonymous volume; a tmpfs covers it, too.
            if plan.contains_key(&target) || spec.tmpfs.keys().any(|tmpfs| clean(tmpfs) == target) {
                continue;
            }
            let planned = Planned {
                point: MountPoint { anonymous: true, ..point(MountPointKind::Volume, "", &target) },
                volume: Some(VolumeRequest {
                    driver: spec.volume_driver.clone(),
                    ..VolumeRequest::default()
                }),
                nocopy: false,
                create_source: false,
            };
            plan.insert(target, planned);
        }
        for Planned { point, volume, .. } in plan.values_mut() {
            let Some(request) = volume.take().map(VolumeRequest::drawn) else { continue };
            point.source = self.inner.volumes.data_path(&request.name).display().to_string();
            point.name.clone_from(&request.name);
            point.driver = "local".to_owned();
            *volume = Some(request);
        }
        Ok(plan.into_values().collect())
    }

    /// Makes what the container mounts: volumes (held by it), missing host folders, and copies the image's content into
    /// empty volumes. Blocking.
    pub(super) fn make_mounts(
        &self,
        id: &ContainerId,
        plan: Vec<Planned>,
        rootfs: &Rootfs,
    ) -> Result<Vec<MountPoint>> {
        let mut made = Vec::new();
        for Planned { mut point, volume, nocopy, create_source } in plan {
            if let Some(request) = volume {
                let (volume, new) = self.inner.volumes.take(request, id)?;
                if new {
                    self.volume_event(&volume.name, "create", &[]);
                }
                if !nocopy {
                    self.copy_up(id, &point, rootfs)?;
                }
            } else if point.kind == MountPointKind::Image {
                let image = self.inner.images.inspect(&point.name, None)?;
                point.source = image.id.to_string();
            } else if point.kind == MountPointKind::Bind && create_source {
                std::fs::create_dir_all(&point.source)
                    .or_else(|err| if Path::new(&point.source).exists() { Ok(()) } else { Err(err) })
                    .map_err(Error::io(format!(
                        "error while creating mount source path '{}': mkdir {}",
                        point.source, point.source
                    )))?;
            }
            made.push(point);
        }
        Ok(made)
    }

    /// Docker fills an empty volume with what the image has at its place.
    fn copy_up(&self, id: &ContainerId, point: &MountPoint, rootfs: &Rootfs) -> Result<()> {
        let what = || format!("copy the image's content at {} into volume {}", point.target, point.name);
        let image_root = root::of_snapshot(rootfs, Access::Read).map_err(Error::io(what()))?;
        match root::open_inside(image_root.as_fd(), &point.target, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(content) => {
                self.inner.volumes.mount(&point.name, id)?;
                let copied = self.inner.volumes.copy_up(&point.name, content.as_fd());
                self.inner.volumes.unmount(&point.name, id)?;
                copied?;
                Ok(())
            }
            // The image has nothing there.
            Err(_) => Ok(()),
        }
    }

    /// Sources on the host for a start, and the images the shim is to mount for some of them; volumes are mounted for this
    /// container. Blocking.
    pub(super) fn bind_mounts(&self, record: &ContainerRecord) -> Result<(Vec<BoundMount>, Vec<ImageMount>)> {
        let mut bound = Vec::new();
        let mut images = Vec::new();
        for point in &record.mounts {
            let source = match point.kind {
                MountPointKind::Tmpfs => {
                    bound.push(BoundMount::Tmpfs {
                        target: point.target.clone(),
                        options: point.options.clone(),
                    });
                    continue;
                }
                MountPointKind::Volume => {
                    let path = self.inner.volumes.mount(&point.name, &record.id)?;
                    if point.subpath.is_empty() {
                        path
                    } else {
                        self.inner.volumes.subpath(&point.name, &point.subpath)?
                    }
                }
                MountPointKind::Bind => {
                    if !Path::new(&point.source).exists() {
                        return Err(Error::Invalid(format!(
                            "invalid mount config for type \"bind\": bind source path does not exist: {}",
                            point.source
                        )));
                    }
                    point.source.clone().into()
                }
                MountPointKind::Image => {
                    let name = format!("image-{}", images.len());
                    let source = self.inner.shims.bundle(&record.id).join(&name);
                    images.push(ImageMount {
                        name,
                        root: self.image_root(&point.source, record)?,
                        subpath: point.subpath.clone(),
                    });
                    source
                }
            };
            self.relabel_mount(&source, point, record)?;
            bound.push(BoundMount::Bind {
                source,
                target: point.target.clone(),
                read_only: point.read_only,
                propagation: point.propagation,
                non_recursive: point.non_recursive,
            });
        }
        for (target, options) in &record.spec.tmpfs {
            bound.push(BoundMount::Tmpfs { target: clean(target), options: options.clone() });
        }
        Ok((bound, images))
    }

    /// The root of an image by its id.
    fn image_root(&self, id: &str, record: &ContainerRecord) -> Result<RootMount> {
        let images = &self.inner.images;
        let image = images.inspect(id, None)?;
        let chain = images.unpack(&images.lease(), &image.id)?;
        let chain = chain.ok_or_else(|| Error::Invalid(format!("image {id} has no files to mount")))?;
        let rootfs = images.snapshots().rootfs(chain.as_str())?;
        Ok(super::start::root_mount(self.labelled_root(rootfs, record)?))
    }

    /// Undoes [`Engine::bind_mounts`]. Blocking; failures are told in the log.
    pub(super) fn unbind_mounts(&self, record: &ContainerRecord) {
        for point in record.mounts.iter().filter(|point| point.kind == MountPointKind::Volume) {
            if let Err(err) = self.inner.volumes.unmount(&point.name, &record.id) {
                tracing::warn!(%err, volume = point.name, "unmount volume");
            }
        }
    }

    pub(crate) fn volume_event(&self, name: &str, action: &str, more: &[(&str, String)]) {
        let mut attributes = BTreeMap::from([("driver".to_owned(), "local".to_owned())]);
        attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.publish(Kind::Volume, action, name, attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn paths_are_cleaned_and_cannot_climb() {
        for (path, wanted) in [("/a//b/./c/", "/a/b/c"), ("/a/../../b", "/b"), ("/", "/"), ("a", "/a")] {
            assert_eq!(clean(path), wanted, "{path}");
        }
    }
}
