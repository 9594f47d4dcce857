//! Faults on purpose: every operation, every fault of `expected`, at the first, the middle and the last of its requests,
//! in transfers of the store and in whole jobs of the pipeline.

mod expected;
mod task;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use crate::support::faults::Fault;
use expected::{Expected, FAULTS, expected_of, told};
use futures_util::{StreamExt, stream};
use karui::s3::{Operation, S3ErrorKind};
use task::{Calls, Failure, JOBS, Task, VERBS, World};

/// Every fault takes effect at once: what takes longer hangs.
const A_CELL: Duration = Duration::from_mins(1);
const AT_ONCE: usize = 8;

/// One fault, where it strikes, and what is to come of it.
#[derive(Debug, Clone)]
struct Cell {
    task: Task,
    operation: Operation,
    /// Number of such requests that the task sends.
    times: usize,
    /// Which of them fails, from 1.
    nth: usize,
    fault: Fault,
    expected: Expected,
    /// Expected error, if any.
    kind: S3ErrorKind,
}

fn cells(tasks: &'static [(Task, Calls)]) -> impl Iterator<Item = Cell> {
    positions(tasks).flat_map(|(task, operation, times, nth)| {
        let columns = FAULTS.into_iter().zip(expected_of(task, operation));
        columns.map(move |((fault, own), expected)| {
            let kind = told(operation, &fault, own);
            Cell { task, operation, times, nth, fault, expected, kind }
        })
    })
}

/// The first, the middle and the last of each task's requests of each operation.
fn positions(tasks: &'static [(Task, Calls)]) -> impl Iterator<Item = (Task, Operation, usize, usize)> {
    tasks.iter().flat_map(|(task, calls)| {
        calls.iter().flat_map(|(operation, times)| {
            let turns = BTreeSet::from([1, times.div_ceil(2), *times]);
            turns.into_iter().map(|nth| (*task, *operation, *times, nth))
        })
    })
}

#[tokio::test]
async fn verb_with_one_fault_fails_as_expected_then_succeeds() {
    hold(cells(VERBS), fails_once).await;
}

#[tokio::test]
async fn job_with_one_fault_succeeds_on_the_retried_event() {
    hold(cells(JOBS), fails_once).await;
}

/// Bytes that change on their way: the store says so of what it is sent, we of what we are sent.
#[tokio::test]
async fn changed_bytes_are_reported_and_never_stored() {
    let changed = positions(VERBS).filter_map(|(task, operation, times, nth)| {
        let fault = match operation {
            Operation::GetObject => Fault::Flip(50),
            Operation::PutObject | Operation::UploadPart | Operation::CompleteMultipartUpload => {
                Fault::Error(400, "BadDigest")
            }
            _ => return None,
        };
        Some(Cell { task, operation, times, nth, fault, expected: Expected::Fails, kind: S3ErrorKind::Corrupted })
    });
    hold(changed, fails_once).await;
}

/// Every way at once, calm and then in a storm of 503: all is done, by no more requests than its repeats are.
#[tokio::test(flavor = "multi_thread")]
async fn job_survives_a_storm_of_faults() {
    let work = async |percent| {
        let count = stream::iter(VERBS.iter().filter(|(task, _)| *task != Task::Tags).cycle().take(30))
            .map(|(task, _)| async move {
                let world = World::new(*task).await;
                world.s3.faults.storm(percent);
                world.run(8).await.unwrap_or_else(|failure| panic!("{task:?}: {failure:?}"));
                world.assert_stored(true);
                assert!(world.s3.open_uploads().is_empty(), "{task:?}");
                world.s3.faults.all_seen().len()
            })
            .buffer_unordered(AT_ONCE);
        count.fold(0, |sum, requests| async move { sum + requests }).await
    };
    let (calm, stormy) = (work(0).await, work(30).await);
    println!("{calm} requests, {stormy} in the storm");
    // One in 0.7 gets through: 1.43 times as many are needed.
    assert!((calm * 12 / 10..calm * 17 / 10).contains(&stormy), "{calm} requests, {stormy} in the storm");
}

/// At the verbs only: no job sees what was repeated away.
#[tokio::test]
async fn transient_fault_is_retried() {
    hold(cells(VERBS), is_repeated_away).await;
}

/// No fault that passes: a permission, which may be missing for one request alone.
#[tokio::test]
async fn refusal_leaves_no_open_upload() {
    let in_parts = positions(VERBS).filter(|(task, operation, ..)| {
        matches!(task, Task::PutInParts | Task::CopyInParts) && *operation != Operation::AbortMultipartUpload
    });
    let refused = in_parts.map(|(task, operation, times, nth)| {
        let (fault, kind) = (Fault::Error(403, "AccessDenied"), S3ErrorKind::AccessDenied);
        Cell { task, operation, times, nth, fault, expected: Expected::Fails, kind }
    });
    hold(refused, fails_once).await;
}

#[tokio::test]
async fn tasks_send_their_declared_and_together_all_requests() {
    let mut operations = HashSet::new();
    for (task, calls) in VERBS.iter().chain(JOBS) {
        let (good, bad) = (World::new(*task).await, World::new(*task).await);
        bad.parts_fail();
        good.run(1).await.unwrap();
        let _ = bad.run(1).await;
        for (operation, times) in *calls {
            let world = if *operation == Operation::AbortMultipartUpload { &bad } else { &good };
            assert_eq!(world.s3.faults.calls(*operation), *times, "{task:?} {operation}");
            operations.insert(*operation);
        }
        good.assert_stored(true);
    }
    assert_eq!(operations.len(), 13, "{operations:?}");
}

async fn fails_once(cell: Cell) {
    let world = World::new(cell.task).await;
    world.strike(cell.operation, cell.nth, cell.fault.clone());
    let result = world.run(1).await;
    assert!(world.s3.faults.calls(cell.operation) >= cell.nth, "the fault did not strike");
    world.s3.faults.clear();

    if cell.expected.succeeds() {
        result.expect("harmless");
    } else {
        assert_failed(result, &cell);
    }
    world.assert_stored(cell.expected.is_done());
    assert_eq!(world.s3.open_uploads().len(), cell.expected.open_uploads(), "open uploads");

    world.run(1).await.expect("the same again");
    world.assert_stored(true);
    assert_eq!(world.s3.open_uploads().len(), cell.expected.open_uploads(), "open uploads, after the same again");
}

async fn is_repeated_away(cell: Cell) {
    let world = World::new(cell.task).await;
    world.strike(cell.operation, cell.nth, cell.fault.clone());
    let result = world.run(3).await;
    let repeated = world.s3.faults.calls(cell.operation) > cell.times;
    world.s3.faults.clear();

    // An aborted upload has failed before, always in its parts.
    let aborts = cell.operation == Operation::AbortMultipartUpload;
    if aborts {
        assert_failed(result, &cell);
    } else {
        result.expect("repeated away");
    }
    world.assert_stored(!aborts);
    let orphans = usize::from(cell.expected == Expected::Orphaned);
    assert_eq!(world.s3.open_uploads().len(), orphans, "open uploads");
    let bodiless = aborts && matches!(cell.fault, Fault::Cut(_));
    assert!(repeated || cell.expected.succeeds() || bodiless, "it was not repeated");
}

/// So it fails, and the record that failed comes again.
fn assert_failed(result: Result<(), Failure>, cell: &Cell) {
    let failure = result.expect_err("no harm was done");
    let (operation, expected) = (cell.operation, &cell.kind);
    assert_eq!(failure.class, "retryable", "{failure:?}");
    let at = if operation == Operation::AbortMultipartUpload { "UploadPart" } else { &operation.to_string() };
    // When one hangs, time runs out for all that are under way: a relay reads and writes at once.
    let ours = ["UploadPart", "GetObject"].iter().any(|other| failure.reason.starts_with(other));
    let beside = cell.task == Task::Relay && cell.fault == Fault::Hang && ours;
    assert!(beside || failure.reason.starts_with(at), "{failure:?}");
    let same = |kind| std::mem::discriminant(kind) == std::mem::discriminant(expected);
    assert!(failure.kind.as_ref().is_none_or(same), "want {expected:?}, got {failure:?}");
}

/// Judges all cells, and then tells of all that do not hold.
async fn hold<F>(cells: impl Iterator<Item = Cell>, judge: impl Fn(Cell) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let answers = stream::iter(cells).map(|cell| {
        let Cell { task, operation, times, nth, fault, .. } = &cell;
        let name = format!("{task:?}: {operation} {nth} of {times}, {fault:?}");
        let judgement = tokio::time::timeout(A_CELL, tokio::spawn(judge(cell)));
        async move {
            match judgement.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(panic)) => Err(format!("{name}: {}", words(panic))),
                Err(_) => Err(format!("{name}: hangs")),
            }
        }
    });
    let answers: Vec<_> = answers.buffer_unordered(AT_ONCE).collect().await;
    let count = answers.len();
    let broken: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    println!("{count} cells");
    assert!(broken.is_empty(), "{} of {count} cells do not hold:\n{}", broken.len(), broken.join("\n"));
}

fn words(panic: tokio::task::JoinError) -> String {
    let panic = panic.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}
