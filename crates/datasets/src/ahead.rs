//! Work done on threads ahead of whoever needs its results.

use std::num::NonZero;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// The threads that the machine can run at once.
pub(crate) fn all_cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Makes something of each item on `workers` threads, ahead of `consume`, which gets the results in the
/// order of the items. Each thread holds at most `ahead` results that wait and one that it is at.
///
/// The threads take turns: of `n` threads, the i-th makes every n-th result from the i-th on and passes it
/// through a channel of its own, so that reading the channels in turn restores the order. They end when all is
/// made or `consume` returns. A panic in one of them is a panic here.
///
/// # Panics
///
/// If there are no workers.
pub(crate) fn make_ahead<I: Sync, T: Send, R>(
    [workers, ahead]: [usize; 2],
    items: &[I],
    make: impl Fn(&I) -> T + Sync,
    consume: impl FnOnce(&mut InOrder<T>) -> R,
) -> R {
    assert!(workers > 0, "nobody would do the work");
    let make = &make;
    thread::scope(|scope| {
        let mut channels = Vec::new();
        for worker in 0..workers.min(items.len()) {
            let (send, receive) = sync_channel(ahead);
            channels.push(receive);
            let own = items[worker..].iter().step_by(workers);
            // Sending fails once the other end is gone: nobody wants the rest.
            scope.spawn(move || own.map(make).try_for_each(|result| send.send(result)));
        }
        consume(&mut InOrder { channels, next: 0, left: items.len() })
    })
}

/// Results in the order of their items.
pub(crate) struct InOrder<T> {
    channels: Vec<Receiver<T>>,
    next: usize,
    left: usize,
}

impl<T> Iterator for InOrder<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        let channel = &self.channels[self.next];
        self.next = (self.next + 1) % self.channels.len();
        // A thread that panicked ends the results; the panic goes on when the threads are joined.
        channel.recv().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    #[test]
    fn results_come_in_order_whoever_is_slow() {
        let items: Vec<u64> = (0..200).collect();
        for workers in [1, 3, 7, 500] {
            let slow = |&i: &u64| {
                thread::sleep(std::time::Duration::from_micros((i * 37) % 5 * 100));
                i * i
            };
            let found = make_ahead([workers, 2], &items, slow, |results| {
                assert_eq!(results.size_hint(), (200, Some(200)));
                results.collect::<Vec<_>>()
            });
            assert_eq!(found, items.iter().map(|i| i * i).collect::<Vec<_>>());
        }
        assert_eq!(make_ahead([4, 0], &[0; 0], |_| (), |results| results.count()), 0);
    }

    /// Something that is counted while it exists.
    struct Counted<'a>(&'a AtomicUsize);

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }

    /// Of a million results, no more exist at any time than the threads and their channels hold.
    #[test]
    fn what_waits_is_bounded_however_many_there_are() {
        let items: Vec<u32> = (0..1_000_000).collect();
        let (alive, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let make = |_: &u32| {
            most.fetch_max(alive.fetch_add(1, SeqCst) + 1, SeqCst);
            Counted(&alive)
        };
        let count = make_ahead([3, 4], &items, make, |results| results.map(drop).count());
        assert_eq!((count, alive.load(SeqCst)), (1_000_000, 0));
        // One in the hands of each thread, four in its channel, and one here.
        assert!(most.load(SeqCst) <= 3 * (4 + 1) + 1, "{most:?}");
    }

    #[test]
    fn threads_end_when_nobody_wants_the_rest() {
        let made = AtomicUsize::new(0);
        let items = vec![(); 100_000];
        let make = |(): &()| made.fetch_add(1, SeqCst);
        assert_eq!(make_ahead([2, 3], &items, make, |results| results.take(10).count()), 10);
        assert!(made.load(SeqCst) < 100, "{made:?}");
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_is_not_lost() {
        let make = |&i: &i32| assert!(i < 50, "the fiftieth");
        make_ahead([2, 1], &(0..100).collect::<Vec<_>>(), make, |results| results.count());
    }
}
