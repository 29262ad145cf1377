//! The one writer of new pastes: whatever waits goes into one transaction, and each is answered after its commit.

use entitlements::Amount;
use service::db::{Database, Engine, Tx};
use service::shutdown::Shutdown;
use sqlx::Row as _;
use tokio::sync::{mpsc, oneshot};

use super::{COUNT, PasteRow, StoreError, StoreResult};

/// How many may wait; whoever comes then waits for a place.
const WAITING: usize = 512;
/// How many go into one transaction.
const AT_ONCE: usize = 128;

// Raised before pastes are counted, so that two replicas never count for one owner side by side.
const RAISE: &str = "INSERT INTO paste_owner (owner, writes) VALUES ($1, 1) \
     ON CONFLICT (owner) DO UPDATE SET writes = paste_owner.writes + 1";
const INSERT: &str = "INSERT INTO paste (id, owner, manage, title, language, body, size, hash, seal, salt, burn, parent, \
     revision, created_at, changed_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

struct Wish {
    row: PasteRow,
    room: Amount,
    answer: oneshot::Sender<StoreResult<()>>,
}

/// A handle on the writer. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    wishes: mpsc::Sender<Wish>,
}

impl Writer {
    /// Starts it; it ends when the last handle is gone, or with the process once nothing waits any more.
    pub fn start(db: Database, shutdown: &Shutdown) -> Self {
        let (wishes, mut waiting) = mpsc::channel(WAITING);
        let ended = shutdown.clone();
        shutdown.spawn("paste writer", async move {
            let mut batch = Vec::new();
            loop {
                tokio::select! {
                    biased;
                    count = waiting.recv_many(&mut batch, AT_ONCE) => {
                        if count == 0 {
                            return;
                        }
                        commit(&db, std::mem::take(&mut batch)).await;
                    }
                    () = ended.cancelled() => return,
                }
            }
        });
        Self { wishes }
    }

    /// Keeps a paste; on disk when it returns.
    pub async fn create(&self, row: PasteRow, room: Amount) -> StoreResult<()> {
        let (answer, answered) = oneshot::channel();
        let gone = || StoreError::from(sqlx::Error::PoolClosed);
        self.wishes.send(Wish { row, room, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

async fn commit(db: &Database, mut wishes: Vec<Wish>) {
    // Who locks owners in the same order never waits for each other in a circle.
    wishes.sort_by(|a, b| a.row.owner.cmp(&b.row.owner));
    match together(db, &wishes).await {
        Ok(answers) => tell(wishes, answers),
        // One of them is at fault, or the database is: each for itself, so that it fails alone.
        Err(_) if wishes.len() > 1 => {
            for wish in wishes {
                let wishes = [wish];
                let answer = together(db, &wishes).await;
                let [wish] = wishes;
                tell(vec![wish], answer.unwrap_or_else(|error| vec![Err(error)]));
            }
        }
        Err(error) => tell(wishes, vec![Err(error)]),
    }
}

fn tell(wishes: Vec<Wish>, answers: Vec<StoreResult<()>>) {
    for (wish, answer) in wishes.into_iter().zip(answers) {
        // Who asked may have gone away.
        wish.answer.send(answer).ok();
    }
}

async fn together(db: &Database, wishes: &[Wish]) -> StoreResult<Vec<StoreResult<()>>> {
    let mut tx = db.begin().await?;
    let mut answers = Vec::with_capacity(wishes.len());
    for wish in wishes {
        answers.push(match has_room(db.engine(), &mut tx, wish).await? {
            true => Ok(insert(&mut tx, &wish.row).await?),
            false => Err(StoreError::Full),
        });
    }
    tx.commit().await?;
    Ok(answers)
}

async fn has_room(engine: Engine, tx: &mut Tx, wish: &Wish) -> StoreResult<bool> {
    let Amount::AtMost(most) = wish.room else { return Ok(true) };
    if engine == Engine::Postgres {
        sqlx::query(RAISE).bind(wish.row.owner.clone()).execute(&mut **tx).await?;
    }
    let row = sqlx::query(COUNT)
        .bind(wish.row.owner.clone())
        .bind(wish.row.created_us)
        .fetch_one(&mut **tx)
        .await?;
    Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default() < most)
}

async fn insert(tx: &mut Tx, row: &PasteRow) -> StoreResult<()> {
    sqlx::query(INSERT)
        .bind(row.id.to_string())
        .bind(row.owner.clone())
        .bind(row.manage.clone())
        .bind(row.title.clone())
        .bind(row.language.clone())
        .bind(row.body.to_vec())
        .bind(i64::try_from(row.size).unwrap_or(i64::MAX))
        .bind(row.hash.clone())
        .bind(row.seal.key())
        .bind(row.salt.clone())
        .bind(i64::from(row.burn))
        .bind(row.parent.map(|id| id.to_string()))
        .bind(i64::try_from(row.revision).unwrap_or(i64::MAX))
        .bind(row.created_us)
        .bind(row.changed_us)
        .bind(row.expires_us)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
