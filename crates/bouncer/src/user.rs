//! One account in memory: its task, its mailbox, and the board others read.
//!
//! All state of an account belongs to one task ([`actor::Actor`]). Everything reaches it as a [`Msg`] through a bounded
//! mailbox: whoever has more to say waits there, and slows down only itself. The task never waits for a socket, a
//! store or another task: what takes time runs beside it and comes back as a result.

mod actor;
mod devices;
mod networks;
mod requests;
mod streams;
mod upstream;

pub use networks::deleted;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bouncer_core::{Attach, ConnId};
use bytes::Bytes;
use contracts::{Account, CallError, CallResult, NetworkId, Sub};
use futures_util::FutureExt as _;
use irc_server::Outbox;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use crate::board::Board;
use crate::context::Context;
use crate::store::DeviceRow;

/// Messages that may wait for an account's task.
const MAILBOX: usize = 256;
/// How long gatekeeper's word of an account is taken without asking again.
const FRESH: Duration = Duration::from_secs(30);

/// What reaches an account's task.
pub enum Msg {
    /// A device's connection has registered.
    Attach(Box<Attaching>),
    /// Lines of a device.
    Lines(ConnId, Vec<Bytes>),
    /// A device's capabilities are others now.
    Caps(ConnId, irc::cap::CapSet),
    /// A device that lagged has read on.
    Drained(ConnId),
    /// A device's connection is over.
    Closed(ConnId),
    /// An upstream connection tells something. The number says which of the network's connections it is.
    Upstream(NetworkId, u64, irc_client::Event),
    /// A network's rows were changed: read them again.
    Refresh(NetworkId, oneshot::Sender<()>),
    /// Connect anew, whatever the back-off says.
    Reconnect(NetworkId, oneshot::Sender<bool>),
    /// Gatekeeper says the account is this now.
    Account(Box<Account>),
    /// A credential was revoked: whoever logged in with it goes.
    Revoked(Uuid),
    /// The account goes elsewhere: close everything in order, with these words.
    Leave(String),
    /// The process ends: close everything in order.
    Stop,
    /// The account is gone: close everything now.
    Gone,
}

/// A connection that joins its account.
pub struct Attaching {
    /// Its number.
    pub conn: ConnId,
    /// What the core is told.
    pub attach: Attach,
    /// Its device.
    pub device: DeviceRow,
    /// The way to it.
    pub outbox: Outbox,
}

/// An account in memory, as everybody but its own task sees it.
pub struct Resident {
    /// Whose.
    pub sub: Sub,
    /// What the portal sees.
    pub board: Arc<Board>,
    mailbox: mpsc::Sender<Msg>,
    known: Mutex<Known>,
    begun: watch::Sender<bool>,
}

struct Known {
    account: Account,
    asked: Option<Instant>,
}

impl Resident {
    /// Puts the account into memory and starts its task.
    pub fn start(
        context: Arc<Context>,
        account: Account,
        tasks: &tokio_util::task::TaskTracker,
    ) -> Arc<Self> {
        let (mailbox, inbox) = mpsc::channel(MAILBOX);
        let resident = Arc::new(Self {
            sub: account.sub,
            board: Arc::new(Board::new()),
            mailbox,
            known: Mutex::new(Known { account, asked: None }),
            begun: watch::Sender::new(false),
        });
        tasks.spawn(supervise(context, Arc::clone(&resident), inbox));
        resident
    }

    /// Tells the account's task; waits while its mailbox is full.
    pub async fn tell(&self, msg: Msg) -> CallResult<()> {
        self.mailbox.send(msg).await.map_err(|_| away())
    }

    /// The way into the mailbox, for what tells much.
    pub fn mailbox(&self) -> mpsc::Sender<Msg> {
        self.mailbox.clone()
    }

    /// Waits until the task has begun: from then on the board is filled.
    pub async fn settled(&self) -> CallResult<()> {
        self.begun.subscribe().wait_for(|begun| *begun).await.map(drop).map_err(|_| away())
    }

    /// Lets the task read a network's rows again, and waits until the board shows them.
    pub async fn refresh(&self, id: NetworkId) -> CallResult<()> {
        let (done, wait) = oneshot::channel();
        self.tell(Msg::Refresh(id, done)).await?;
        wait.await.map_err(|_| away())
    }

    /// The account as last known.
    pub fn last_known(&self) -> Account {
        self.known().account.clone()
    }

    /// The account if gatekeeper was asked in the last half minute.
    pub fn fresh(&self) -> Option<Account> {
        let known = self.known();
        known.asked.filter(|at| at.elapsed() < FRESH).map(|_| known.account.clone())
    }

    /// Gatekeeper was asked and said this. An older word than the last changes nothing; `true` if it was news.
    pub fn heard(&self, account: &Account) -> bool {
        let mut known = self.known();
        if account.version < known.account.version {
            return false;
        }
        known.asked = Some(Instant::now());
        let news = known.account != *account;
        known.account = account.clone();
        news
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn away() -> CallError {
    CallError::unavailable("Your bouncer is being restarted. Try again in a moment.")
}

/// Keeps the account's task running: a panic ends its connections, is logged, and is followed by a new start from the
/// rows. Nobody else notices.
async fn supervise(context: Arc<Context>, resident: Arc<Resident>, mut inbox: mpsc::Receiver<Msg>) {
    let mut pause = Duration::from_secs(1);
    context.metrics.users.inc();
    loop {
        let began = Instant::now();
        let life = AssertUnwindSafe(live(&context, &resident, &mut inbox)).catch_unwind().await;
        match life {
            Ok(Ok(())) => break,
            Ok(Err(error)) => {
                tracing::error!(sub = %resident.sub, %error, "an account could not be started; trying again");
            }
            Err(_) => {
                context.metrics.panics.inc();
                tracing::error!(sub = %resident.sub, "an account's task panicked; starting it again");
            }
        }
        if began.elapsed() > Duration::from_secs(60) {
            pause = Duration::from_secs(1);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(60));
    }
    context.metrics.users.dec();
    resident.board.close();
}

async fn live(
    context: &Arc<Context>,
    resident: &Arc<Resident>,
    inbox: &mut mpsc::Receiver<Msg>,
) -> Result<(), actor::StartError> {
    let mut actor = actor::Actor::start(Arc::clone(context), Arc::clone(resident)).await?;
    resident.begun.send_replace(true);
    actor.run(inbox).await;
    Ok(())
}
