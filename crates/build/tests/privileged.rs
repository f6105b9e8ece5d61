//! Whole builds over real layers. Steps are run by a plain chroot, so that a build is proven without an engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use gantry_archive::{Entry, Kind, Writer};
use gantry_build::progress::{Event, Output, Progress};
use gantry_build::prune::Policy;
use gantry_build::request::{BuildRequest, Given, NoCache, StepLimits};
use gantry_build::step::{ImageWanted, Outside, Refusal, Step, Task};
use gantry_build::{BuildError, Builder};
use gantry_content::ContentStore;
use gantry_errdefs::Class;
use gantry_images::{ImageStore, ImportOptions};
use gantry_names::{ImageId, Reference};
use gantry_snapshots::{RootView, Snapshotter};
use gantry_store::Store;

/// Runs a step by chroot into its root: enough for what a build itself has to prove.
struct Chroot {
    images: ImageStore,
    ran: Mutex<Vec<String>>,
    /// What somebody else does while the next step runs.
    meanwhile: Mutex<Option<Meanwhile>>,
}

type Meanwhile = Box<dyn FnOnce(&ImageStore) + Send>;

impl Outside for Chroot {
    fn tagged(&self, _: &gantry_names::ImageId, _: &gantry_names::Reference) {}

    fn run(&self, step: Step, output: Output) -> Task<'_, Result<i32, Refusal>> {
        Box::pin(async move {
            self.ran.lock().unwrap().push(step.args.join(" "));
            if let Some(deed) = self.meanwhile.lock().unwrap().take() {
                deed(&self.images);
            }
            let rootfs = self.images.snapshots().rootfs(step.snapshot.as_str()).unwrap();
            let root = RootView::of(&rootfs).unwrap().root().open_dir(b"").unwrap();
            let done = std::process::Command::new("chroot")
                .arg(format!("/proc/{}/fd/{}", std::process::id(), root.as_raw_fd()))
                .args(["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", &step.working_dir])
                .args(&step.args)
                .env_clear()
                .envs(step.env.iter().filter_map(|line| line.split_once('=')))
                .stdin(Stdio::null())
                .output()
                .unwrap();
            output.put(false, &done.stdout).await;
            output.put(true, &done.stderr).await;
            Ok(done.status.code().unwrap_or(-1))
        })
    }

    fn image(&self, wanted: ImageWanted, _: Output) -> Task<'_, Result<ImageId, Refusal>> {
        let found = self.images.resolve(&wanted.name);
        Box::pin(async move {
            found.map_err(|error| Refusal { class: Class::NotFound, message: error.to_string() })
        })
    }

    fn discard(&self, image: ImageId) -> Task<'_, ()> {
        let _gone = self.images.remove(image.as_str(), Default::default(), &|_| Vec::new());
        Box::pin(async {})
    }
}

struct House {
    builder: Builder,
    chroot: Arc<Chroot>,
    snapshots: Arc<dyn Snapshotter>,
    context: tempfile::TempDir,
    events: Arc<Mutex<Vec<Event>>>,
    _folder: tempfile::TempDir,
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let snapshots = gantry_snapshots::open("overlay", &at("snapshots")).unwrap();
    let store = Store::open(&at("store.db")).unwrap();
    let content = ContentStore::open(&at("content")).unwrap();
    let images = ImageStore::open(store.clone(), content, Arc::clone(&snapshots)).unwrap();
    let busybox = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    let mut tar = Writer::new(Vec::new());
    tar.append_bytes(&Entry::dir("bin"), b"").unwrap();
    tar.append_bytes(&Entry { mode: 0o755, ..Entry::file("bin/busybox", busybox.len() as u64) }, &busybox)
        .unwrap();
    for name in ["sh", "cat", "echo", "ls", "stat", "mkdir"] {
        tar.append_bytes(&Entry::new(format!("bin/{name}"), Kind::Symlink, 0o777).linked("busybox"), b"")
            .unwrap();
    }
    tar.append_bytes(&Entry::dir("etc"), b"").unwrap();
    tar.append_bytes(&Entry::file("etc/passwd", 23), b"web:x:33:44::/:/bin/sh\n").unwrap();
    let options =
        ImportOptions { reference: Some(Reference::parse("busybox").unwrap()), ..ImportOptions::default() };
    images.import(Cursor::new(tar.finish().unwrap()), &options).unwrap();
    let chroot =
        Arc::new(Chroot { images: images.clone(), ran: Mutex::default(), meanwhile: Mutex::default() });
    let builder = Builder::open(images, &store, chroot.clone(), at("build")).unwrap();
    House {
        builder,
        chroot,
        snapshots,
        context: tempfile::tempdir().unwrap(),
        events: Arc::default(),
        _folder: folder,
    }
}

trait Linked {
    fn linked(self, target: &str) -> Self;
}
impl Linked for Entry {
    fn linked(mut self, target: &str) -> Self {
        self.link = target.into();
        self
    }
}

impl House {
    fn write(&self, name: &str, text: &str) {
        let path = self.context.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn request(&self, dockerfile: &str) -> BuildRequest {
        BuildRequest {
            dockerfile: dockerfile.into(),
            dockerfile_name: "Dockerfile".into(),
            context: Some(self.context.path().to_owned()),
            contexts: BTreeMap::new(),
            args: BTreeMap::new(),
            labels: BTreeMap::new(),
            tags: vec![Reference::parse("built").unwrap()],
            target: None,
            platform: None,
            no_cache: NoCache::Nothing,
            cache_from: Vec::new(),
            cache_only_from: false,
            imports: Vec::new(),
            pull: false,
            squash: false,
            caller: Arc::new(Given::default()),
            keep_failed: false,
            epoch: None,
            rewrite_timestamp: false,
            inline_cache: false,
            granted: Default::default(),
            limits: StepLimits::default(),
        }
    }

    fn try_build(&self, request: BuildRequest) -> Result<ImageId, BuildError> {
        self.events.lock().unwrap().clear();
        self.chroot.ran.lock().unwrap().clear();
        let events = Arc::clone(&self.events);
        let progress = Progress::new(move |event| events.lock().unwrap().push(event));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(self.builder.build(request, progress))
    }

    fn build(&self, dockerfile: &str) -> ImageId {
        self.try_build(self.request(dockerfile)).unwrap_or_else(|error| panic!("{dockerfile}\n{error}"))
    }

    fn refusal(&self, dockerfile: &str) -> String {
        self.try_build(self.request(dockerfile)).unwrap_err().to_string()
    }

    fn ran(&self) -> usize {
        self.chroot.ran.lock().unwrap().len()
    }

    fn file(&self, id: &ImageId, path: &str) -> String {
        let chain = self.builder.images.get(id).unwrap().chain_id().unwrap();
        let view = RootView::of(&self.snapshots.rootfs(chain.as_str()).unwrap()).unwrap();
        let root = view.root().open_dir(b"").unwrap();
        let path = format!("/proc/self/fd/{}/{path}", root.as_raw_fd());
        std::fs::read_to_string(Path::new(&path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn leftovers(&self) -> Vec<String> {
        let infos = self.snapshots.walk().unwrap();
        infos.into_iter().map(|info| info.name).filter(|name| !name.starts_with("sha256:")).collect()
    }
}

#[test]
fn a_dockerfile_becomes_an_image() {
    let house = house();
    house.write("app/main", "hello");
    let id = house.build(
        "ARG BASE=busybox\nFROM $BASE\nARG WHO=world\nENV GREETING=\"hi $WHO\"\nWORKDIR /srv\nCOPY app/ .\n\
         RUN echo \"$GREETING\" > greeting; cat main >> greeting\nRUN cat > /script <<EOF\nline $GREETING\nEOF\n\
         COPY --chown=web --chmod=600 <<inline /etc/conf\nvalue=$WHO\ninline\nCMD [\"cat\", \"greeting\"]\n",
    );
    assert_eq!(house.file(&id, "etc/conf"), "value=world\n");
    assert_eq!(house.file(&id, "script"), "line hi world\n");
    let config = house.builder.images.get(&id).unwrap().config.config.clone().unwrap();
    assert_eq!(
        (config.working_dir.as_str(), config.cmd.unwrap().join(" ").as_str()),
        ("/srv", "cat greeting")
    );
    assert!(config.env.unwrap().contains(&"GREETING=hi world".to_owned()));
    assert_eq!(house.builder.images.resolve("built").unwrap(), id);
    assert_eq!(house.leftovers(), Vec::<String>::new());
}

#[test]
fn nothing_is_done_twice_and_a_change_is_named() {
    let house = house();
    house.write("a", "one");
    let file = "FROM busybox\nRUN echo first > /first\nCOPY a /a\nRUN cat /a > /b\nENV X=1\n";
    let first = house.build(file);
    assert_eq!(house.ran(), 2);
    assert_eq!(house.build(file), first, "the same image, to the digest");
    assert_eq!(house.ran(), 0);
    house.write("a", "two");
    let second = house.build(file);
    assert_eq!((house.ran(), house.file(&second, "b").as_str()), (1, "two"));
    let events = house.events.lock().unwrap();
    let because = events.iter().find_map(|event| match event {
        Event::Missed { because, .. } => Some(because.clone()),
        _ => None,
    });
    assert_eq!(because.as_deref(), Some("changed: files a"));
    drop(events);
    let again = BuildRequest { no_cache: NoCache::All, ..house.request(file) };
    house.try_build(again).unwrap();
    assert_eq!(house.ran(), 2);
}

#[test]
fn a_base_that_is_removed_meanwhile_stays_below_what_is_built_on_it() {
    let house = house();
    let images = &house.builder.images;
    *house.chroot.meanwhile.lock().unwrap() = Some(Box::new(|images| {
        images.remove("busybox", Default::default(), &|_| Vec::new()).unwrap();
        images.sweep(std::time::Duration::ZERO).unwrap();
    }));
    let id = house.build("FROM busybox\nRUN echo x > /x\n");
    assert!(images.resolve("busybox").is_err(), "it was removed");
    images.sweep(std::time::Duration::ZERO).unwrap();
    let layers = images.get(&id).unwrap().record.layers;
    let gone: Vec<_> = layers.iter().filter(|layer| !images.content().contains(&layer.blob)).collect();
    assert!(layers.len() == 2 && gone.is_empty(), "{gone:?}");
}

#[test]
fn a_base_that_is_not_unpacked_is_unpacked() {
    let house = house();
    let base = house.builder.images.resolve("busybox").unwrap();
    let chain = house.builder.images.get(&base).unwrap().chain_id().unwrap();
    house.snapshots.remove(chain.as_str()).unwrap();
    let id = house.build("FROM busybox\nRUN echo x > /x\n");
    assert_eq!(house.file(&id, "x"), "x\n");
}

#[test]
fn stages_give_each_other_files_and_only_needed_ones_are_built() {
    let house = house();
    let file = "FROM busybox AS one\nRUN echo 1 > /one\nFROM busybox AS unused\nRUN echo never\n\
        FROM busybox AS two\nRUN --mount=type=bind,from=one,source=/one,target=/seen echo 2 > /two\n\
        FROM scratch\nCOPY --from=one /one /\nCOPY --from=two /two /sub/\n";
    let id = house.build(file);
    assert_eq!((house.file(&id, "one").as_str(), house.file(&id, "sub/two").as_str()), ("1\n", "2\n"));
    assert_eq!(house.ran(), 2);
    assert_eq!(house.leftovers(), Vec::<String>::new());
}

#[test]
fn ignored_files_stay_out_and_archives_are_unpacked_by_add() {
    let house = house();
    house.write(".dockerignore", "secret\n*.log\n");
    for name in ["secret", "a.log", "kept"] {
        house.write(name, name);
    }
    let mut tar = Writer::new(Vec::new());
    tar.append_bytes(&Entry::file("inside", 2), b"in").unwrap();
    std::fs::write(house.context.path().join("files.tar"), tar.finish().unwrap()).unwrap();
    let id = house.build("FROM busybox\nCOPY . /all/\nADD files.tar /unpacked/\nRUN ls /all > /list\n");
    assert_eq!(house.file(&id, "unpacked/inside"), "in");
    assert_eq!(house.file(&id, "list"), "files.tar\nkept\n");
}

#[test]
fn failures_name_file_line_and_cause_and_leave_nothing() {
    let house = house();
    house.write("a", "x");
    for (file, told) in [
        (
            "FROM busybox\n\nRUN exit 3\n",
            "Dockerfile:3: The command '/bin/sh -c exit 3' returned a non-zero code: 3",
        ),
        ("FROM busybox\nCOPY none /\n", "Dockerfile:2: COPY failed: file not found in build context"),
        (
            "FROM busybox\nCOPY ../x /\n",
            "Dockerfile:2: COPY failed: forbidden path outside the build context",
        ),
        (
            "FROM busybox\nCOPY a a /b\n",
            "Dockerfile:2: COPY failed: When using COPY with more than one source file",
        ),
        ("FROM nothing-here\n", "Dockerfile:1: No such image: nothing-here"),
        ("FROM busybox\nENV A=${B:?unset}\n", "Dockerfile:2: failed to process"),
        (
            "FROM busybox\nFORM x\n",
            "Dockerfile:2: dockerfile parse error on line 2: unknown instruction: FORM",
        ),
        (
            "FROM busybox\nCOPY --chown=ghost a /\n",
            "Dockerfile:2: COPY failed: ghost: unable to convert user ghost",
        ),
    ] {
        let found = house.refusal(file);
        assert!(found.starts_with(told), "{found}");
    }
    assert_eq!(house.leftovers(), Vec::<String>::new());
    assert!(house.builder.images.resolve("built").is_err());
}

#[test]
fn a_pruned_cache_gives_its_layers_back() {
    let house = house();
    let id = house.build("FROM busybox\nRUN echo big > /big\n");
    house.builder.images.remove("built", Default::default(), &|_| Vec::new()).unwrap();
    assert!(house.builder.images.get(&id).is_err());
    let before = house.snapshots.walk().unwrap().len();
    let pruned = house.builder.prune(&Policy::default()).unwrap();
    assert!(!pruned.ids.is_empty() && pruned.bytes > 0);
    assert!(house.snapshots.walk().unwrap().len() < before);
}
