//! Making and ending the containers of a Pod: volumes, bundle, probes, signals.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Container, ServiceAccount, Volume, VolumeMount};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Api, PostParams};

use super::super::bundle::{self, Inputs, Mount};
use super::super::runc::{make_place, make_root};
use super::super::volumes::{self, File, Kind, TokenWish};
use super::super::{env, probe, slot, tree};
use super::{Event, Run, Worker, publish};

/// How often the node looks whether a container is up.
const LOOK: Duration = Duration::from_millis(10);
/// How much of a termination message is kept, as with the kubelet.
const MESSAGE: usize = 4096;

/// The volume of a Pod's API access, by a name no volume of a Pod can have, and where it is seen.
const API_ACCESS: &str = ".api-access";
const API_ACCESS_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Why a container waits: a word and a sentence.
type Waits = (String, String);

fn waits(reason: &str) -> impl Fn(anyhow::Error) -> Waits {
    move |error| (reason.to_owned(), format!("{error:#}"))
}

impl Worker {
    /// Makes container `index` and starts it. What it told before it ended comes as events.
    pub(super) async fn launch(&mut self, index: usize) -> Result<(), Waits> {
        let container = self.plan.containers[index].clone();
        let name = container.spec.image.clone().unwrap_or_default();
        let image = self.shared.images.get(&name).cloned().ok_or_else(|| {
            let text = format!("image {name:?} is not in the node's table: add it with Images::with");
            ("ErrImagePull".to_owned(), text)
        })?;
        self.take_tokens().await.map_err(waits("ContainerCreating"))?;
        self.write_volumes().map_err(waits("ContainerCreating"))?;
        let refused = waits("CreateContainerConfigError");
        let rights = container.rights(&image).map_err(|error| refused(error.into()))?;
        let environment = env::resolve(
            &self.pod,
            &container.spec,
            &image,
            &self.plan.hostname,
            &self.addresses,
            &self.shared.world,
        )
        .map_err(|error| refused(error.into()))?;
        self.count += 1;
        let number = self.count;
        let bundle = self.folder.join(format!("{}-{number}", container.spec.name));
        let root = bundle.join("rootfs");
        let failed = waits("CreateContainerError");
        let make = || -> Result<Vec<Mount>> {
            make_root(&root, &image, &rights)?;
            let mut mounts = self.own_files(&container.spec, &bundle, rights.read_only_root)?;
            mounts.extend(self.volume_mounts(&container.spec)?);
            for mount in &mounts {
                make_place(&root.join(mount.inside.trim_start_matches('/')), mount.host.is_dir())?;
            }
            Ok(mounts)
        };
        let mounts = make().map_err(failed)?;
        let id = format!("{}-{}-{number}", self.plan.key.uid, container.spec.name);
        let cgroup = format!("{}/{id}", self.shared.cgroup);
        let inputs = Inputs {
            image: &image,
            rights: &rights,
            environment: &environment,
            mounts: &mounts,
            root: &root,
            network: &self.network.path(),
            cgroup: &cgroup,
        };
        let config = bundle::config(&self.plan, &container, &inputs);
        let log = self
            .shared
            .new_log(&self.plan.key, &container.spec.name)
            .map_err(waits("CreateContainerError"))?;
        let running = self.shared.runc.start(&id, &bundle, &config, &log);
        let mut running = running.map_err(waits("RunContainerError"))?;
        let tell = self.tell.clone();
        tokio::spawn(async move {
            let mut up = false;
            let ended = loop {
                let is_up = running.is_up();
                if is_up && !up {
                    up = true;
                    let _ = tell.send(Event::Up(index, number));
                }
                // Until it is up this looks again and again, from then on it waits for the end.
                if up {
                    break running.wait().await;
                }
                if let Ok(ended) = tokio::time::timeout(LOOK, running.wait()).await {
                    break ended;
                }
            };
            let ended = ended.unwrap_or_else(|error| super::Ended {
                code: 255,
                refused: Some(format!("waiting for runc: {error:#}")),
            });
            // Nobody listens once the Pod is gone.
            let _ = tell.send(Event::Ended(index, number, ended));
        });
        let began = Timestamp::now();
        self.runs[index] = Some(Run { id, number, began, bundle, log, probes: None, stop: None });
        Ok(())
    }

    /// The container's own program has been started.
    pub(super) fn up(&mut self, index: usize) {
        self.machine.started(index, Timestamp::now());
        let container = &self.plan.containers[index];
        let Some(run) = &mut self.runs[index] else { return };
        self.shared.entered(&self.plan.key, &container.spec.name, &run.id);
        let subject = probe::Subject {
            address: self.addresses.pod.clone(),
            id: run.id.clone(),
            runc: self.shared.runc.clone(),
        };
        let (tell, number) = (self.tell.clone(), run.number);
        let tell = move |kind, healthy| {
            let _ = tell.send(Event::Probed(index, number, kind, healthy));
        };
        let probes = container.probes.clone();
        run.probes = Some(tokio::spawn(probe::watch(subject, probes, tell)).abort_handle());
    }

    /// The way of a container to its end: its last command, SIGTERM, and SIGKILL once `grace` is over.
    pub(super) fn stop(&mut self, index: usize, grace: Duration) {
        let lifecycle = self.plan.containers[index].spec.lifecycle.clone();
        let before = lifecycle.and_then(|lifecycle| lifecycle.pre_stop);
        let Some(run) = &mut self.runs[index] else { return };
        // One that is under way had a longer grace.
        if let Some(earlier) = run.stop.take() {
            earlier.abort();
        }
        let (runc, id) = (self.shared.runc.clone(), run.id.clone());
        let task = tokio::spawn(async move {
            let end = tokio::time::Instant::now() + grace;
            let hook = async {
                if let Some(exec) = before.as_ref().and_then(|hook| hook.exec.as_ref()) {
                    // Its failure does not keep the container.
                    let _ = runc.exec(&id, exec.command.as_deref().unwrap_or_default(), grace).await;
                }
                if let Some(sleep) = before.as_ref().and_then(|hook| hook.sleep.as_ref()) {
                    tokio::time::sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0))).await;
                }
            };
            if grace > Duration::ZERO {
                let _ = tokio::time::timeout_at(end, hook).await;
                let _ = runc.signal(&id, "TERM").await;
                tokio::time::sleep_until(end).await;
            }
            let _ = runc.signal(&id, "KILL").await;
        });
        run.stop = Some(task.abort_handle());
    }

    /// What a run left in its termination message, or at the end of its log where it may.
    pub(super) fn last_words(&self, index: usize, run: &Run, failed: bool) -> String {
        let spec = &self.plan.containers[index].spec;
        let mut text = fs::read(run.bundle.join("termination")).unwrap_or_default();
        if text.is_empty()
            && failed
            && spec.termination_message_policy.as_deref() == Some("FallbackToLogsOnError")
        {
            text = fs::read(&run.log).unwrap_or_default();
            text = text.split_off(text.len().saturating_sub(2048));
        }
        text.truncate(MESSAGE);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The files the node itself puts into a container.
    fn own_files(&self, container: &Container, bundle: &Path, read_only: bool) -> Result<Vec<Mount>> {
        fs::write(self.folder.join("hostname"), format!("{}\n", self.plan.hostname))?;
        let message = bundle.join("termination");
        fs::write(&message, "")?;
        fs::set_permissions(&message, fs::Permissions::from_mode(0o666))?;
        let mount = |host: PathBuf, inside: &str, read_only| Mount { host, inside: inside.into(), read_only };
        let path = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
        let mut mounts = vec![
            mount(self.folder.join("hosts"), "/etc/hosts", read_only),
            mount(self.folder.join("hostname"), "/etc/hostname", read_only),
            mount(message, path, false),
        ];
        let taken = container.volume_mounts.iter().flatten().any(|mount| mount.mount_path == API_ACCESS_PATH);
        if self.api_access && !taken {
            mounts.push(mount(self.volume_folder(API_ACCESS), API_ACCESS_PATH, true));
        }
        Ok(mounts)
    }

    fn volume_mounts(&self, container: &Container) -> Result<Vec<Mount>> {
        container.volume_mounts.iter().flatten().map(|mount| self.volume_mount(mount)).collect()
    }

    fn volume_mount(&self, mount: &VolumeMount) -> Result<Mount> {
        let mut volumes = self.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let volume = volumes.find(|volume| volume.name == mount.name);
        let volume = volume.with_context(|| format!("the Pod has no volume {:?}", mount.name))?;
        let (mut host, always_read_only) = match self.read(volume)? {
            Kind::Files(_) => (self.volume_folder(&volume.name), true),
            Kind::Empty { .. } => (self.volume_folder(&volume.name), false),
            Kind::Claim { name, read_only } => (self.claim_folder(&name)?, read_only),
        };
        if let Some(path) = mount.sub_path.as_deref().filter(|path| !path.is_empty()) {
            let plain =
                Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
            if !plain {
                bail!("subPath {path:?} leaves its volume");
            }
            host.push(path);
            if !host.exists() && !always_read_only {
                fs::create_dir_all(&host)?;
            }
            // What a link in the volume points to must lie in it too.
            host = host
                .canonicalize()
                .with_context(|| format!("subPath {path:?} of volume {:?}", volume.name))?;
        }
        let read_only = always_read_only || mount.read_only == Some(true);
        Ok(Mount { host, inside: mount.mount_path.clone(), read_only })
    }

    fn read(&self, volume: &Volume) -> Result<Kind> {
        Ok(volumes::read(&self.pod, volume, &self.addresses, &self.tokens, &self.shared.world)?)
    }

    fn volume_folder(&self, name: &str) -> PathBuf {
        self.folder.join("volumes").join(name)
    }

    fn claim_folder(&self, name: &str) -> Result<PathBuf> {
        let claim = self.shared.world.claim(&self.plan.key.namespace, name);
        let claim = claim.with_context(|| format!("persistentvolumeclaim {name:?} not found"))?;
        let bound = claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
        let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_ref()).filter(|_| bound);
        let volume = volume.with_context(|| env::Missing::Claim(name.to_owned()).to_string())?;
        Ok(self.shared.claims_folder().join(volume))
    }

    /// Makes every volume of the Pod, or says what it waits for.
    fn write_volumes(&mut self) -> Result<()> {
        let volumes = self.pod.spec.as_ref().and_then(|spec| spec.volumes.clone()).unwrap_or_default();
        for volume in &volumes {
            let folder = self.volume_folder(&volume.name);
            match self.read(volume).with_context(|| format!("volume {:?}", volume.name))? {
                Kind::Files(files) => self.write_files(&volume.name, files)?,
                Kind::Empty { bytes, memory } => {
                    if !folder.exists() {
                        make_empty(&folder, bytes, memory)?;
                        self.give(&folder)?;
                    }
                }
                Kind::Claim { name, .. } => {
                    let folder = self.claim_folder(&name)?;
                    if !folder.exists() {
                        bail!("the volume of claim {name:?} is not this node's");
                    }
                    self.give(&folder)?;
                }
            }
        }
        if self.api_access {
            let token = self.tokens.get(&api_token()).context("the Pod's token was not given yet")?;
            let parts = [
                ("token", token.as_str()),
                ("ca.crt", self.shared.authority.as_str()),
                ("namespace", self.plan.key.namespace.as_str()),
            ];
            let file = |text: &str| File { content: text.as_bytes().to_vec(), mode: 0o644 };
            let files = parts.into_iter().map(|(name, text)| (name.to_owned(), file(text))).collect();
            self.write_files(API_ACCESS, files)?;
        }
        Ok(())
    }

    /// Brings volumes that are there to what their sources say now. A source that has gone leaves its files.
    pub(super) fn follow_sources(&mut self) -> Result<()> {
        let volumes = self.pod.spec.as_ref().and_then(|spec| spec.volumes.clone()).unwrap_or_default();
        for volume in
            volumes.iter().filter(|volume| self.written.contains_key(&volume.name)).collect::<Vec<_>>()
        {
            if let Ok(Kind::Files(files)) = self.read(volume) {
                self.write_files(&volume.name, files)?;
            }
        }
        Ok(())
    }

    fn write_files(&mut self, volume: &str, files: volumes::Files) -> Result<()> {
        if self.written.get(volume) == Some(&files) {
            return Ok(());
        }
        let folder = self.volume_folder(volume);
        fs::DirBuilder::new().recursive(true).mode(0o755).create(&folder)?;
        self.version += 1;
        tree::write(&folder, &files, self.plan.fs_group, &format!("data_{}", self.version))?;
        self.written.insert(volume.to_owned(), files);
        Ok(())
    }

    fn give(&self, folder: &Path) -> Result<()> {
        if let Some(group) = self.plan.fs_group {
            tree::give_to_group(folder, group, self.plan.fs_group_on_mismatch)?;
        }
        Ok(())
    }

    /// Sees to the tokens the Pod wants, again when four fifths of their time are over.
    async fn take_tokens(&mut self) -> Result<()> {
        if self.tokens_until.is_some_and(|until| Timestamp::now() < until) {
            return Ok(());
        }
        let asked = self.ask_for_tokens().await;
        // While the API server is away, what was given before will do.
        if self.tokens_until.is_some() { Ok(()) } else { asked }
    }

    async fn ask_for_tokens(&mut self) -> Result<()> {
        let spec = self.pod.spec.as_ref();
        let account = spec.and_then(|spec| spec.service_account_name.clone());
        let account = account.filter(|name| !name.is_empty()).unwrap_or_else(|| "default".into());
        let api: Api<ServiceAccount> =
            Api::namespaced(self.shared.world.client.clone(), &self.plan.key.namespace);
        let mut wishes = volumes::wishes(&self.pod);
        self.api_access = match spec.and_then(|spec| spec.automount_service_account_token) {
            Some(wanted) => wanted,
            None => {
                let found = tokio::time::timeout(publish::LIMIT, api.get_opt(&account)).await;
                let found = found.context("the API server is silent")??;
                let found = found.with_context(|| format!("service account {account:?} not found"))?;
                found.automount_service_account_token != Some(false)
            }
        };
        if self.api_access {
            wishes.push(api_token());
        }
        // The API server binds a token only to a Pod that names the account; without its admission plugin an empty name
        // stays empty.
        let named = spec.is_some_and(|spec| spec.service_account_name.as_deref() == Some(account.as_str()));
        let bound = named.then(|| BoundObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            name: Some(self.plan.key.name.clone()),
            uid: Some(self.plan.key.uid.clone()),
        });
        let mut until = Timestamp::MAX;
        for wish in wishes {
            let spec = TokenRequestSpec {
                audiences: Some(wish.audience.iter().cloned().collect()),
                expiration_seconds: Some(wish.seconds.max(600)),
                attestations: None,
                bound_object_ref: bound.clone(),
            };
            let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
            let parameters = PostParams::default();
            let answer = api.create_token_request(&account, &parameters, &request);
            let answer =
                tokio::time::timeout(publish::LIMIT, answer).await.context("the API server is silent")?;
            let answer = answer.with_context(|| format!("a token of service account {account:?}"))?;
            let token = answer.status.and_then(|status| status.token).context("the answer holds no token")?;
            let lasts = SignedDuration::from_secs(wish.seconds.max(600) / 5 * 4);
            until = until.min(Timestamp::now().checked_add(lasts).unwrap_or(Timestamp::MAX));
            self.tokens.insert(wish, token);
        }
        self.tokens_until = Some(until);
        Ok(())
    }
}

/// The token of a Pod's API access, as a cluster's admission plugin asks for it.
fn api_token() -> TokenWish {
    TokenWish { audience: None, seconds: 3607 }
}

/// An empty folder for everyone; with a bound, or in memory, a file system of its own.
fn make_empty(folder: &Path, bytes: Option<u64>, memory: bool) -> Result<()> {
    fs::create_dir_all(folder)?;
    if memory || bytes.is_some() {
        let size = bytes.map_or_else(|| "size=50%".to_owned(), |bytes| format!("size={bytes}"));
        let options = format!("{size},mode=1777,nosuid,nodev");
        slot::run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder))?;
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777))?;
    Ok(())
}
