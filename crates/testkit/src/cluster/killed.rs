//! `kill -9` at every step: an operator dies after each of its writes once, is started again, and the
//! world becomes what it would have been: no orphan, no duplicate, no lost database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use serde_json::Value;

use super::stage::{self, HOME, ROWS, Stage, title};
use super::{Inventory, Namespace};
use crate::lives::{Fate, Life, until_one_gets_through};
use crate::wait::eventually;

/// How many lives are lived at once.
const AT_ONCE: usize = 4;
/// The resource's name.
const NAME: &str = "alice";
/// Made by other controllers, which copy labels.
const OTHERS: [&str; 5] = ["ReplicaSet", "ControllerRevision", "Pod", "EndpointSlice", "Endpoints"];

/// A spec, by the namespace it is for.
pub type Spec = Arc<dyn Fn(&str) -> Value + Send + Sync>;

/// Which operator, and what it is made to do.
pub struct Plot {
    /// The resource's kind.
    pub kind: &'static str,
    /// The ignored test that runs the operator in a process of its own.
    pub life: &'static str,
    /// The spec it begins with, in this namespace. It has a database.
    pub first: Spec,
    /// What is changed then. The host name becomes another one.
    pub second: Spec,
    /// Whether everything is made.
    pub is_made: fn(&DynamicObject) -> bool,
    /// What the names of objects outside its namespace begin with; its UID follows.
    pub outside: String,
    /// The Secret in its namespace with the database's password.
    pub password: Option<&'static str>,
    /// The kinds of which one each is left in the end.
    pub left: &'static [&'static str],
}

/// One resource for each life, each in a namespace of its own.
pub struct Story {
    stage: Stage,
    plot: Plot,
    inventory: Inventory,
    spaces: Mutex<BTreeMap<usize, Namespace>>,
    /// What there was when the operator died: title and UID of each object.
    left: Mutex<BTreeMap<usize, BTreeMap<String, String>>>,
}

impl Story {
    /// Begins, on a stage that has every kind.
    pub async fn begin(stage: Stage, plot: Plot) -> Result<Arc<Self>> {
        let inventory = stage.cluster.inventory().await?;
        Ok(Arc::new(Self { stage, plot, inventory, spaces: Mutex::default(), left: Mutex::default() }))
    }

    /// Where it plays.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The operator dies at every step of making a resource. Returns the steps.
    pub async fn makes(self: &Arc<Self>) -> Result<BTreeSet<String>> {
        until_one_gets_through(AT_ONCE, |number, fate| {
            let story = Arc::clone(self);
            async move {
                let space = story.stage.cluster.namespace("life").await?;
                let name = space.name().to_owned();
                lock(&story.spaces).insert(number, space);
                let spec = (story.plot.first)(&name);
                stage::make(&story.stage.client, story.plot.kind, &name, NAME, &spec).await?;
                story.life(number, &fate, || story.is_made(&name)).await
            }
        })
        .await
    }

    /// The operator dies at every step of changing one. Returns the steps. In the end all are changed.
    pub async fn changes(self: &Arc<Self>) -> Result<BTreeSet<String>> {
        let steps = until_one_gets_through(AT_ONCE, |number, fate| {
            let story = Arc::clone(self);
            async move {
                let space = story.space(number)?;
                story.change(&space).await?;
                story.life(number, &fate, || story.is_made(&space)).await
            }
        })
        .await?;
        for space in self.all() {
            self.change(&space).await?;
        }
        Ok(steps)
    }

    /// The operator dies at every step of ending one. Returns the steps. In the end all are deleted.
    pub async fn ends(self: &Arc<Self>) -> Result<BTreeSet<String>> {
        let steps = until_one_gets_through(AT_ONCE, |number, fate| {
            let story = Arc::clone(self);
            async move {
                let space = story.space(number)?;
                let api = story.stage.objects(story.plot.kind, &space);
                api.delete(NAME, &DeleteParams::default()).await?;
                story.life(number, &fate, || async { matches!(api.get_opt(NAME).await, Ok(None)) }).await
            }
        })
        .await?;
        for space in self.all() {
            let api = self.stage.objects(self.plot.kind, &space);
            // Those whose operator got through are gone already.
            let _ = api.delete(NAME, &DeleteParams::default()).await;
        }
        Ok(steps)
    }

    /// Waits until an operator that runs now has made all alike, and looks whether anything is lost or left over.
    ///
    /// # Panics
    /// If they do not become alike.
    pub async fn all_become_alike(&self) -> Result<()> {
        let mut first: Option<BTreeSet<String>> = None;
        for (life, space) in self.lives() {
            let is_made = self.plot.is_made;
            let kind = self.plot.kind;
            let made = stage::until(&self.stage.client, kind, &space, NAME, "converges", is_made).await;
            let uid: String =
                made.uid().unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect();
            eventually(format!("{space} is like the others: {first:?}"), || async {
                let alike = self.alike(&space, &uid).await.ok()?;
                first.as_ref().is_none_or(|first| *first == alike).then_some(())
            })
            .await;
            first.get_or_insert(self.alike(&space, &uid).await?);
            // What was there is the same one still.
            let now = self.titles(&space).await?;
            for (object, uid) in lock(&self.left).get(&life).into_iter().flatten() {
                let kept = ["Database", "Secret", "Deployment", "StatefulSet", "PersistentVolumeClaim"];
                if kept.iter().any(|kind| object.starts_with(kind)) {
                    ensure!(
                        now.get(object) == Some(uid),
                        "{object} of {space} is not the one that was there"
                    );
                }
            }
            if let Some(secret) = self.plot.password {
                let ours = self.password_in(&space, &format!("{NAME}{secret}")).await?;
                let told = self.password_in(ROWS, &format!("{}{uid}", self.plot.outside)).await?;
                ensure!(ours.is_some() && ours == told, "the passwords of {space} differ");
            }
        }
        for claim in self.claims().await? {
            let used = self.all().iter().any(|space| claim.contains(space.as_str()));
            ensure!(used, "{claim} is claimed and nobody uses it");
        }
        ensure!(
            self.claims().await?.len() == self.all().len(),
            "one host name each: {:?}",
            self.claims().await?
        );
        Ok(())
    }

    /// Waits until an operator that runs now has ended all, and looks whether anything is left over.
    ///
    /// # Panics
    /// If they do not go.
    pub async fn all_are_gone(&self) -> Result<()> {
        for space in self.all() {
            let api = self.stage.objects(self.plot.kind, &space);
            eventually(format!("{space} is gone"), || async {
                matches!(api.get_opt(NAME).await, Ok(None)).then_some(())
            })
            .await;
            let mut left = Vec::new();
            for object in self.there(&space).await? {
                if object.owner_references().is_empty() && object.metadata.deletion_timestamp.is_none() {
                    left.push(kind(&object).to_owned());
                } else {
                    // The garbage collector takes it.
                    ensure!(object.namespace().as_deref() == Some(&*space), "{} crosses", title(&object));
                }
            }
            left.sort();
            ensure!(left == self.plot.left, "of {space} there is left: {left:?}");
        }
        ensure!(self.claims().await?.is_empty(), "claims are left: {:?}", self.claims().await?);
        Ok(())
    }

    fn lives(&self) -> Vec<(usize, String)> {
        lock(&self.spaces).iter().map(|(life, space)| (*life, space.name().to_owned())).collect()
    }

    fn all(&self) -> Vec<String> {
        self.lives().into_iter().map(|(_, space)| space).collect()
    }

    fn space(&self, life: usize) -> Result<String> {
        let spaces = lock(&self.spaces);
        Ok(spaces.get(&life).context("it has more steps than there are resources")?.name().to_owned())
    }

    async fn change(&self, space: &str) -> Result<()> {
        stage::change(&self.stage.client, self.plot.kind, space, NAME, &(self.plot.second)(space)).await
    }

    async fn is_made(&self, space: &str) -> bool {
        let found = self.stage.objects(self.plot.kind, space).get(NAME).await;
        found.is_ok_and(|object| (self.plot.is_made)(&object))
    }

    /// A life that ends at a step of what brings about `done`.
    async fn life<F: Future<Output = bool>>(
        &self,
        number: usize,
        fate: &Fate,
        done: impl Fn() -> F,
    ) -> Result<Option<String>> {
        let space = self.space(number)?;
        let told = self.stage.told(&format!("life-{number}"), Some(&space));
        let died = Life::start(self.plot.life, &told, Some(fate))?.end(done).await?;
        let left = self.titles(&space).await?;
        lock(&self.left).insert(number, left);
        Ok(died)
    }

    /// Everything the operator made for the resource of a namespace, wherever it is.
    async fn there(&self, space: &str) -> Result<Vec<DynamicObject>> {
        let mut all = self.inventory.labelled(&format!("irc.now/owner-namespace={space}")).await?;
        all.retain(|object| !OTHERS.contains(&kind(object)));
        Ok(all)
    }

    async fn titles(&self, space: &str) -> Result<BTreeMap<String, String>> {
        let there = self.there(space).await?;
        Ok(there.iter().map(|object| (title(object), object.uid().unwrap_or_default())).collect())
    }

    /// What there is, with names that are alike for all resources.
    async fn alike(&self, space: &str, uid: &str) -> Result<BTreeSet<String>> {
        let there = self.there(space).await?;
        let short: String = uid.chars().take(8).collect();
        let named = |object: &DynamicObject| {
            title(object).replace(space, "HERE").replace(uid, "UID").replace(&short, "ID")
        };
        Ok(there.iter().map(named).collect())
    }

    async fn password_in(&self, namespace: &str, name: &str) -> Result<Option<String>> {
        let secret = self.stage.objects("Secret", namespace).get_opt(name).await?;
        Ok(secret.and_then(|secret| Some(secret.data["data"]["password"].as_str()?.to_owned())))
    }

    /// The host names that are claimed.
    async fn claims(&self) -> Result<Vec<String>> {
        let leases = self.stage.objects("Lease", HOME).list(&ListParams::default()).await?;
        Ok(leases.items.iter().filter_map(|is| is.annotations().get("irc.now/hostname").cloned()).collect())
    }
}

fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map(|types| types.kind.as_str()).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
