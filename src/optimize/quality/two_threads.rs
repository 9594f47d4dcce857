//! One picture on two threads: rows are made on one and judged on the other. What comes out does not depend on it.

use std::panic::resume_unwind;
use std::sync::mpsc::{SyncSender, sync_channel};

use super::score::Judge;
use crate::optimize::picture::Row;

/// Takes rows of a reference and of what is judged by it.
pub type Sink<'a> = dyn FnMut(Row<'_>, Row<'_>) + 'a;

/// Rows that go from one thread to the other at a time.
const BATCH: usize = 16;
/// Batches that wait at the most: making rows takes about as long as judging them.
const WAITING: usize = 2;

/// Scores the rows that `rows` produces, top to bottom; `None` if it fails.
pub fn judged(
    mut judge: Judge,
    threads: usize,
    rows: impl FnOnce(&mut Sink<'_>) -> Option<()> + Send,
) -> Option<Judge> {
    if threads < 2 {
        rows(&mut |reference, distorted| judge.push(reference, distorted))?;
        return Some(judge);
    }
    std::thread::scope(|scope| {
        let (send, batches) = sync_channel(WAITING);
        let maker = scope.spawn(move || {
            let mut batch = Batch::new(send);
            rows(&mut |reference, distorted| batch.push(reference, distorted))?;
            batch.send();
            Some(())
        });
        for rows in batches {
            for [reference, distorted] in &rows {
                judge.push(reference.each_ref().map(Vec::as_slice), distorted.each_ref().map(Vec::as_slice));
            }
        }
        maker.join().unwrap_or_else(|panic| resume_unwind(panic)).map(|()| judge)
    })
}

/// Rows of both pictures.
type Rows = Vec<[[Vec<u8>; 3]; 2]>;

/// Rows on their way to the other thread.
struct Batch {
    rows: Rows,
    send: SyncSender<Rows>,
}

impl Batch {
    fn new(send: SyncSender<Rows>) -> Self {
        Self { rows: Vec::with_capacity(BATCH), send }
    }

    fn push(&mut self, reference: Row<'_>, distorted: Row<'_>) {
        self.rows.push([reference, distorted].map(|row| row.map(<[u8]>::to_vec)));
        if self.rows.len() == BATCH {
            self.send();
        }
    }

    fn send(&mut self) {
        // The other thread takes all there are, or panics, and then nobody wants them.
        let _ = self.send.send(std::mem::replace(&mut self.rows, Vec::with_capacity(BATCH)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_threads_judge_as_one_does() {
        let (width, height) = (61, 75);
        let score = |threads| {
            let rows = |sink: &mut Sink<'_>| {
                for y in 0..height {
                    let row: Vec<u8> = (0..width).map(|x| (x * y % 251) as u8).collect();
                    let other: Vec<u8> = row.iter().map(|v| v / 8 * 8).collect();
                    sink([&row; 3], [&other; 3]);
                }
                Some(())
            };
            judged(Judge::new(width, height).unwrap(), threads, rows).unwrap().finish(f64::MAX).whole
        };
        assert!(score(1) < 100.0);
        assert_eq!(score(1).to_bits(), score(2).to_bits());
    }

    #[test]
    fn rows_that_cannot_be_made_have_no_score() {
        for threads in [1, 2] {
            assert!(judged(Judge::new(8, 8).unwrap(), threads, |_| None).is_none());
        }
    }

    #[test]
    #[should_panic(expected = "a codec's")]
    fn a_panic_arrives_where_it_is_caught() {
        judged(Judge::new(8, 8).unwrap(), 2, |_| panic!("a codec's"));
    }
}
