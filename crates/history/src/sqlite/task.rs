//! A small write whose answer somebody waits for.

use tokio::sync::oneshot;

use super::writer::{Tx, Work};
use crate::Result;

type Run<T> = Box<dyn FnMut(&mut Tx<'_>) -> rusqlite::Result<Result<T>> + Send>;

/// A write made of a closure. The closure may run twice, if a neighbour in its group is refused.
pub(super) struct Task<T> {
    run: Run<T>,
    result: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T: Send + 'static> Task<T> {
    pub(super) fn new(
        run: impl FnMut(&mut Tx<'_>) -> rusqlite::Result<Result<T>> + Send + 'static,
    ) -> (Box<Self>, oneshot::Receiver<Result<T>>) {
        let (answer, waits) = oneshot::channel();
        (Box::new(Self { run: Box::new(run), result: None, answer }), waits)
    }
}

impl<T: Send + 'static> Work for Task<T> {
    fn weight(&self) -> usize {
        1
    }

    fn abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        self.result = Some((self.run)(tx)?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<()>) {
        let Self { result, answer, .. } = *self;
        let result = outcome.and_then(|()| {
            result.unwrap_or_else(|| Err(crate::Error::Unavailable("the write was given up".to_owned())))
        });
        // Whoever asked may have given up meanwhile.
        let _ = answer.send(result);
    }
}
