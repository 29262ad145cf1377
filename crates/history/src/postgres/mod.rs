//! STUB
use crate::store::Store;
use crate::{
    AccountId, Buffer, CursorPage, DayCount, DeviceCursor, Entry, Health, Hit, Kinds, NewEntry, Options,
    Position, Range, Refused, Result, Search, Since, Stored, StreamId, StreamWriter, Target,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::path::PathBuf;

pub(crate) struct PostgresStore;
impl PostgresStore {
    pub(crate) async fn open(_url: &str, _o: Options) -> Result<Self> {
        Err(crate::Error::Unavailable(String::new()))
    }
}
#[async_trait]
impl Store for PostgresStore {
    async fn open_stream(&self, account: AccountId, stream: StreamId) -> Result<StreamWriter> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn append(
        &self,
        writer: StreamWriter,
        entries: Vec<NewEntry>,
    ) -> Result<Vec<Result<Stored, Refused>>> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn page(
        &self,
        account: AccountId,
        stream: StreamId,
        buffer: Buffer,
        range: Range,
        kinds: Kinds,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn targets(
        &self,
        account: AccountId,
        stream: StreamId,
        between: (i64, i64),
        kinds: Kinds,
        limit: usize,
    ) -> Result<Vec<Target>> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn since(
        &self,
        account: AccountId,
        stream: StreamId,
        since: Since,
        kinds: Kinds,
        limit: usize,
    ) -> Result<CursorPage> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn latest_position(&self, account: AccountId, stream: StreamId) -> Result<Option<Position>> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn by_msgid(&self, account: AccountId, stream: StreamId, msgid: String) -> Result<Option<Entry>> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn set_read_marker(
        &self,
        account: AccountId,
        stream: StreamId,
        buffer: Buffer,
        ts_ms: i64,
    ) -> Result<i64> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn read_markers(&self, account: AccountId, stream: StreamId) -> Result<Vec<(Buffer, i64)>> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn set_device_cursor(
        &self,
        account: AccountId,
        stream: StreamId,
        device: Bytes,
        position: Position,
    ) -> Result<()> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn device_cursors(&self, account: AccountId, stream: StreamId) -> Result<Vec<DeviceCursor>> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn forget_device(&self, account: AccountId, device: Bytes) -> Result<()> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn redact(&self, account: AccountId, stream: StreamId, msgid: String) -> Result<Position> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn prune(&self, account: AccountId, before_ms: i64) -> Result<u64> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn search(&self, account: AccountId, search: Search) -> Result<Vec<Hit>> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn streams(&self, account: AccountId) -> Result<Vec<StreamId>> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn counts(&self, account: AccountId, since_day: i64) -> Result<Vec<DayCount>> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn export(
        &self,
        account: AccountId,
        stream: StreamId,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Entry, Vec<Buffer>)>> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn delete_stream(&self, account: AccountId, stream: StreamId) -> Result<()> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn delete_account(&self, account: AccountId) -> Result<()> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn backup(&self, into: PathBuf) -> Result<()> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn raise_epochs(&self) -> Result<()> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn health(&self) -> Health {
        Health { engine: "", writable: false, last_error: None, queued: 0, commits: 0, appended: 0 }
    }
    async fn settle(&self) -> Result<()> {
        Err(crate::Error::Unavailable(String::new()))
    }
    async fn close(&self) {}
}
