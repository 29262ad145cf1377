//! What an engine does for [`crate::History`], which has checked and bounded the arguments.

use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    AccountId, Buffer, CursorPage, DayCount, DeviceCursor, Entry, Found, Health, Kinds, NewEntry, Position,
    Range, Refused, Result, Search, Since, Stored, StreamId, StreamWriter, Target,
};

#[async_trait]
pub(crate) trait Store: Send + Sync + 'static {
    async fn open_stream(&self, account: AccountId, stream: StreamId) -> Result<StreamWriter>;
    async fn append(
        &self,
        writer: StreamWriter,
        entries: Vec<NewEntry>,
    ) -> Result<Vec<Result<Stored, Refused>>>;
    async fn page(
        &self,
        account: AccountId,
        stream: StreamId,
        buffer: Buffer,
        range: Range,
        kinds: Kinds,
        limit: usize,
    ) -> Result<Vec<Entry>>;
    async fn targets(
        &self,
        account: AccountId,
        stream: StreamId,
        between: (i64, i64),
        kinds: Kinds,
        limit: usize,
    ) -> Result<Vec<Target>>;
    async fn since(
        &self,
        account: AccountId,
        stream: StreamId,
        since: Since,
        kinds: Kinds,
        limit: usize,
    ) -> Result<CursorPage>;
    async fn latest_position(&self, account: AccountId, stream: StreamId) -> Result<Option<Position>>;
    async fn by_msgid(&self, account: AccountId, stream: StreamId, msgid: String) -> Result<Option<Entry>>;
    async fn set_read_marker(
        &self,
        account: AccountId,
        stream: StreamId,
        buffer: Buffer,
        ts_ms: i64,
    ) -> Result<i64>;
    async fn read_markers(&self, account: AccountId, stream: StreamId) -> Result<Vec<(Buffer, i64)>>;
    async fn set_device_cursor(
        &self,
        account: AccountId,
        stream: StreamId,
        device: Bytes,
        position: Position,
    ) -> Result<()>;
    async fn device_cursors(&self, account: AccountId, stream: StreamId) -> Result<Vec<DeviceCursor>>;
    async fn forget_device(&self, account: AccountId, device: Bytes) -> Result<()>;
    async fn redact(&self, account: AccountId, stream: StreamId, msgid: String) -> Result<Position>;
    async fn prune(&self, account: AccountId, before_ms: i64) -> Result<u64>;
    async fn search(&self, account: AccountId, search: Search) -> Result<Found>;
    async fn streams(&self, account: AccountId) -> Result<Vec<StreamId>>;
    async fn counts(&self, account: AccountId, since_day: i64) -> Result<Vec<DayCount>>;
    /// About how many entries there are: from the first to the last of each epoch.
    async fn about(&self, account: AccountId) -> Result<u64>;
    /// A piece of a stream in position order with the buffers each entry belongs to.
    async fn export(
        &self,
        account: AccountId,
        stream: StreamId,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Entry, Vec<Buffer>)>>;
    async fn delete_stream(&self, account: AccountId, stream: StreamId) -> Result<()>;
    async fn delete_account(&self, account: AccountId) -> Result<()>;
    async fn backup(&self, into: PathBuf) -> Result<()>;
    async fn raise_epochs(&self) -> Result<()>;
    async fn health(&self) -> Health;
    async fn settle(&self) -> Result<()>;
    async fn close(&self);
}
