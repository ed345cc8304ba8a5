//! Many studies, some at a time, each answer on the disk as soon as it is there.

use super::EvaluateError;
use super::cohort::Task;
use super::journal::Journal;
use super::one::Bench;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

/// Hears how many studies are done, of how many.
pub type Tell<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// Judges `tasks`, `jobs` at a time. Each job has its share of the processors: whole studies side
/// by side waste less than slices do, and cost the memory of as many studies.
///
/// # Errors
/// [`EvaluateError`] when an answer cannot be kept. Studies at work are finished first.
pub fn answer_all(
    tasks: &[&Task],
    bench: &Bench,
    journal: &mut Journal,
    jobs: usize,
    done_before: usize,
    tell: &Tell,
) -> Result<(), EvaluateError> {
    let jobs = jobs.clamp(1, tasks.len().max(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut pools = Vec::with_capacity(jobs);
    for _ in 0..jobs {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads((cores / jobs).max(1))
            .build()
            .map_err(|e| EvaluateError::Threads(e.to_string()))?;
        pools.push(pool);
    }
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let of = done_before + tasks.len();
    let (send, answers) = sync_channel(jobs);
    std::thread::scope(|scope| {
        for pool in pools {
            let (send, next, stop) = (send.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        break;
                    };
                    if send.send(pool.install(|| bench.answer(task))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        let mut kept = Ok(());
        let mut done = done_before;
        for answer in answers {
            if kept.is_ok() {
                kept = journal.add(&answer);
                done += 1;
                tell(done, of);
            }
            if kept.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        kept
    })
}
