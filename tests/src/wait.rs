//! Waiting for something to become true, never longer than a limit.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// Calls `look` until it returns a value, at least once, and returns that and the time it took.
/// `None` after `limit`.
pub fn until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<(T, Duration)> {
    let start = Instant::now();
    loop {
        if let Some(value) = look() {
            return Some((value, start.elapsed()));
        }
        if start.elapsed() >= limit {
            return None;
        }
        thread::sleep(INTERVAL);
    }
}

/// Like [`until`], for a condition without a value.
pub fn until_true(limit: Duration, mut condition: impl FnMut() -> bool) -> Option<Duration> {
    until(limit, || condition().then_some(())).map(|((), took)| took)
}
