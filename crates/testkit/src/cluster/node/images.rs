//! What an image name stands for: programs of this machine in a root folder made for them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::parts::Part;

/// Folders of the host that every container sees, read-only. `/usr/local`, `/opt` and `/app` are an image's own.
pub const HOST_FOLDERS: &[&str] =
    &["/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/share"];

/// One image: the host's tools and libraries, read-only, and files of its own.
#[derive(Clone, Debug)]
pub struct Image {
    pub(crate) files: Vec<(PathBuf, PathBuf)>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) user: (u32, u32),
    pub(crate) folder: String,
}

impl Image {
    /// An image with the host's shell and tools, run by root in `/`, which starts `entrypoint`.
    pub fn new(entrypoint: &[&str]) -> Self {
        Self {
            files: Vec::new(),
            entrypoint: entrypoint.iter().map(|word| (*word).to_owned()).collect(),
            arguments: Vec::new(),
            environment: vec![("PATH".into(), PATH.into())],
            user: (0, 0),
            folder: "/".into(),
        }
    }

    /// An image whose program is `program` of this machine, to be found at `/usr/local/bin/<name>`.
    pub fn program(name: &str, program: impl Into<PathBuf>) -> Self {
        let inside = format!("/usr/local/bin/{name}");
        Self::new(&[&inside]).file(program, &inside)
    }

    /// With the host's file or folder at `inside`, read-only. It must lie outside of what is the host's: see
    /// [`HOST_FOLDERS`].
    #[must_use]
    pub fn file(mut self, host: impl Into<PathBuf>, inside: &str) -> Self {
        let hidden = HOST_FOLDERS.iter().find(|folder| Path::new(inside).starts_with(folder));
        assert!(
            hidden.is_none(),
            "{inside} would lie in the host's own {hidden:?}: choose /usr/local, /opt or /app"
        );
        self.files.push((host.into(), inside.into()));
        self
    }

    /// With these words after the entrypoint, unless the Pod gives `args` or `command`.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// With a variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Run by this user and group unless the Pod says otherwise.
    #[must_use]
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.user = (uid, gid);
        self
    }

    /// Started in this folder.
    #[must_use]
    pub fn folder(mut self, folder: &str) -> Self {
        self.folder = folder.into();
        self
    }
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The table image name -> image.
#[derive(Clone, Debug, Default)]
pub struct Images(BTreeMap<String, Image>);

impl Images {
    /// What every test has: `shell` (the host's shell and tools), and `soju:0.11.1` and `ergo:2.18` if they are there.
    ///
    /// soju is `/usr/local/bin/soju` (with `sojuctl` and `sojudb` beside it), Ergo is `/usr/local/bin/ergo` with its
    /// languages in `/opt/ergo/languages`; both run as root unless the Pod says otherwise, as their own images do.
    pub fn standard() -> Self {
        let mut images = Self::default().with("shell", Image::new(&["/bin/sh"]));
        if let Some(soju) = Part::Soju.find() {
            let mut image = Image::program("soju", &soju);
            for tool in ["sojuctl", "sojudb"] {
                let beside = soju.with_file_name(tool);
                if beside.exists() {
                    image = image.file(beside, &format!("/usr/local/bin/{tool}"));
                }
            }
            images = images.with("soju:0.11.1", image);
        }
        if let Some(ergo) = Part::Ergo.find() {
            let languages = ergo.with_file_name("../share/ergochat/languages");
            let mut image = Image::program("ergo", &ergo);
            if languages.exists() {
                image = image.file(languages, "/opt/ergo/languages");
            }
            images = images.with("ergo:2.18", image);
        }
        images
    }

    /// With one image more (or another one of that name).
    #[must_use]
    pub fn with(mut self, name: &str, image: Image) -> Self {
        self.0.insert(name.to_owned(), image);
        self
    }

    /// The image of that name.
    pub fn get(&self, name: &str) -> Option<&Image> {
        self.0.get(name)
    }
}
