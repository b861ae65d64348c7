//! Small numbers for things that have long names, given out and taken back.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// A table has no free number left.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the table of {what} is full: it holds {capacity}; start the gateway with a larger --max-mappings")]
pub struct Full {
    what: &'static str,
    capacity: u32,
}

impl Full {
    /// Fails if `count` entries are more than `capacity`; `what` is plural, for messages.
    ///
    /// # Errors
    /// [`Full`] itself.
    pub const fn check(what: &'static str, count: usize, capacity: u32) -> Result<(), Self> {
        if count > capacity as usize { Err(Self { what, capacity }) } else { Ok(()) }
    }
}

/// Numbers from 1 up, one a key. 0 is never given out.
///
/// A number that was taken back rests before it is given out again, so that no packet in flight can
/// take the new meaning for the old.
#[derive(Debug)]
pub struct Numbers<K> {
    what: &'static str,
    capacity: u32,
    given: HashMap<K, u32>,
    fresh: u32,
    returned: VecDeque<(u32, Instant)>,
}

impl<K: Eq + Hash + Clone> Numbers<K> {
    /// How long a returned number rests. Packets are in flight for microseconds.
    const REST: Duration = Duration::from_millis(100);

    /// Numbers below `slots` for `what` (plural, for messages).
    #[must_use]
    pub fn new(what: &'static str, slots: u32) -> Self {
        Self {
            what,
            capacity: slots.saturating_sub(1),
            given: HashMap::new(),
            fresh: 1,
            returned: VecDeque::new(),
        }
    }

    /// Whether as many keys can have a number at once.
    ///
    /// # Errors
    /// [`Full`] if they can't.
    pub const fn fit(&self, count: usize) -> Result<(), Full> {
        Full::check(self.what, count, self.capacity)
    }

    /// The key's number, if it has one.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<u32> {
        self.given.get(key).copied()
    }

    /// The key's number, a new one if need be; true if it is new.
    ///
    /// # Errors
    /// [`Full`] if every number is in use.
    pub fn give(&mut self, key: &K) -> Result<(u32, bool), Full> {
        if let Some(number) = self.get(key) {
            return Ok((number, false));
        }
        let number = if self.fresh <= self.capacity {
            self.fresh += 1;
            self.fresh - 1
        } else if let Some((number, since)) = self.returned.pop_front() {
            std::thread::sleep(Self::REST.saturating_sub(since.elapsed()));
            number
        } else {
            return Err(Full { what: self.what, capacity: self.capacity });
        };
        self.given.insert(key.clone(), number);
        Ok((number, true))
    }

    /// Takes back a number at once, because what it stands for was never written.
    pub fn withdraw(&mut self, key: &K) {
        if let Some(number) = self.given.remove(key) {
            self.returned.push_back((number, Instant::now()));
        }
    }

    /// Takes back the numbers of all keys that are not wanted any more, and returns them.
    pub fn retain(&mut self, mut wanted: impl FnMut(&K) -> bool) -> Vec<(K, u32)> {
        let now = Instant::now();
        let dropped: Vec<(K, u32)> =
            self.given.iter().filter(|(key, _)| !wanted(key)).map(|(key, n)| (key.clone(), *n)).collect();
        for (key, number) in &dropped {
            self.given.remove(key);
            self.returned.push_back((*number, now));
        }
        dropped
    }

    /// All keys and their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&K, u32)> {
        self.given.iter().map(|(key, number)| (key, *number))
    }
}
