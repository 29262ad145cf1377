//! One upload, from its first byte to its row.
//!
//! In this order: room in the owner's plan, the bytes into a folder of this upload, the worker, the objects, one transaction
//! that makes the row out of the room. Whatever ends it earlier (a client that goes away, a full disk, a picture nobody can
//! decode, the end of the process) leaves nothing: the folder goes with [`Upload`], the room is given back, and objects
//! without a row are taken away at once, or by the sweeper where even that was not possible.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use contracts::Account;
use futures_util::{Stream, StreamExt as _};
use http::StatusCode;
use pics_core::{HEAD, Refused, sniff};
use service::web::Problem;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use crate::app::App;
use crate::objects::{CLEAN, ObjectsError};
use crate::store::{NewContent, Put, Reservation, Said, StoreError};
use crate::worker::pool::{Made, MakeError};

/// No name is longer.
const MOST_NAME: usize = 200;

/// What comes with the bytes.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// How many they are, where that is known.
    pub length: Option<u64>,
    /// What the file is called.
    pub name: String,
    /// What its owner says of it.
    pub said: Said,
}

/// Why an upload did not become a picture.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It is no picture we take.
    #[error(transparent)]
    Kind(#[from] Refused),
    /// It is longer than one may be, or than it said.
    #[error("A picture may have {} MB at most.", .0 / 1_000_000)]
    TooLong(u64),
    /// It is longer than there is room.
    #[error("Your plan has no room for all of it. Delete something, or change your plan.")]
    NoRoom,
    /// A moderator does not want it back.
    #[error("This picture was taken down before, and may not be put up again.")]
    Blocked,
    /// The bytes stopped coming.
    #[error("The picture did not come whole. Send it again.")]
    CutShort,
    /// Looking at it.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// The rows.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes' place.
    #[error("the objects of a picture cannot be kept")]
    Objects(#[from] ObjectsError),
    /// Our own disk.
    #[error("an upload cannot be kept")]
    Disk(#[from] std::io::Error),
    /// The task ended.
    #[error("an upload was stopped")]
    Stopped,
}

impl UploadError {
    /// The answer.
    pub fn problem(self) -> Problem {
        let status = match &self {
            Self::Kind(Refused::Unknown | Refused::Svg | Refused::Heic) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Kind(_) | Self::Make(MakeError::Refused(_) | MakeError::TooHard) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::TooLong(_) | Self::NoRoom | Self::Store(StoreError::Full(_)) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Blocked => StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS,
            Self::CutShort => StatusCode::BAD_REQUEST,
            Self::Make(MakeError::Busy) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Make(MakeError::Io(_))
            | Self::Store(_)
            | Self::Objects(_)
            | Self::Disk(_)
            | Self::Stopped => {
                tracing::error!(error = %chain(&self), "an upload failed");
                return Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The picture cannot be kept right now. Nothing of it was.",
                    "Send it again in a moment.",
                );
            }
        };
        Problem::new(status, self.to_string(), "")
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

impl IntoResponse for UploadError {
    fn into_response(self) -> Response {
        self.problem().into_response()
    }
}

/// An upload under way. Dropped, it leaves nothing.
struct Upload {
    app: Arc<App>,
    room: Option<Reservation>,
    folder: TempDir,
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(room) = self.room.take() {
            let app = Arc::clone(&self.app);
            tokio::spawn(async move {
                if let Err(error) = app.store.release(&room).await {
                    tracing::warn!(%error, "the room of an upload stays taken until the sweeper comes");
                }
            });
        }
    }
}

/// Takes the bytes of one picture and puts it up.
pub async fn take<E>(
    app: &Arc<App>,
    account: &Account,
    sent: Sent,
    body: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<Put, UploadError> {
    let most = app.largest;
    if sent.length.is_some_and(|length| length > most) {
        return Err(UploadError::TooLong(most));
    }
    // Where a client does not say how much comes, the most that may is taken, or all that is left.
    let room = match sent.length {
        Some(length) => length.max(1),
        None => app.room_left(account).await?.min(most).max(1),
    };
    let reservation = app.store.reserve(account.sub, room, &account.limits).await?;
    let folder = tempfile::Builder::new().prefix("upload").tempdir_in(&app.spool);
    let folder = match folder {
        Ok(folder) => folder,
        Err(error) => {
            app.store.release(&reservation).await?;
            return Err(error.into());
        }
    };
    let upload = Upload { app: Arc::clone(app), room: Some(reservation), folder };
    receive(&upload, room, most, body).await?;
    // From here on nobody's going away stops it halfway.
    let (limits, sub) = (account.limits.clone(), account.sub);
    let finished = tokio::spawn(async move {
        let put = finish(upload, sent, &limits).await;
        if let Ok(put) = &put {
            tracing::info!(%sub, bytes = put.picture.bytes, kind = put.picture.told.kind, "a picture was put up");
        }
        put
    });
    finished.await.map_err(|_| UploadError::Stopped)?
}

/// The bytes into the upload's folder, no more of them than there is room for.
async fn receive<E>(
    upload: &Upload,
    room: u64,
    most: u64,
    mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<(), UploadError> {
    let mut file = tokio::fs::File::create(upload.folder.path().join("sent")).await?;
    let (mut came, mut head) = (0_u64, Vec::new());
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| UploadError::CutShort)?;
        came = came.saturating_add(piece.len() as u64);
        if came > room {
            return Err(if room == most { UploadError::TooLong(most) } else { UploadError::NoRoom });
        }
        if head.len() < HEAD {
            head.extend_from_slice(&piece[..piece.len().min(HEAD - head.len())]);
            // What is no picture is refused before the rest of it comes.
            if head.len() == HEAD {
                sniff(&head)?;
            }
        }
        file.write_all(&piece).await?;
    }
    sniff(&head)?;
    file.flush().await?;
    Ok(())
}

/// Everything after the last byte.
async fn finish(mut upload: Upload, sent: Sent, limits: &entitlements::Limits) -> Result<Put, UploadError> {
    let app = Arc::clone(&upload.app);
    let made = app.workers.make(&upload.folder.path().join("sent"), upload.folder.path()).await?;
    if app.abuse.is_blocked(&made.hash).await.map_err(StoreError::from)? {
        return Err(UploadError::Blocked);
    }
    let Some(room) = upload.room else { return Err(UploadError::Stopped) };
    let key = Uuid::now_v7();
    let put = match keep(&app, &upload, key, &made).await {
        Ok(()) => {
            let content = NewContent {
                key,
                hash: made.hash,
                bytes: made.length,
                told: made.told,
                views: made.views.into_iter().map(|(view, _)| view).collect(),
            };
            let name: String =
                sent.name.chars().filter(|letter| !letter.is_control()).take(MOST_NAME).collect();
            app.store.put(&room, &content, &name, sent.said, limits).await.map_err(UploadError::from)
        }
        Err(error) => Err(error.into()),
    };
    // A row was made of the room; or else it goes with the upload.
    if put.is_ok() {
        upload.room = None;
    }
    let used = put.as_ref().is_ok_and(|put| put.is_first);
    if !used && let Err(error) = app.objects.delete(key).await {
        tracing::warn!(%error, "objects nobody needs stay until the sweeper comes");
    }
    put
}

async fn keep(app: &App, upload: &Upload, key: Uuid, made: &Made) -> Result<(), ObjectsError> {
    let names = made.views.iter().map(|(view, _)| view.side.to_string()).chain([CLEAN.to_owned()]);
    for name in names {
        app.objects.put(key, &name, &upload.folder.path().join(&name)).await?;
    }
    Ok(())
}
