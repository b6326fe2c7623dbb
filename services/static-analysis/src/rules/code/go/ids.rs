//! Maps by a node's number, which is an address: spread already, and asked for at every node, so that hashing it well would take
//! longer than all else.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Something for each of some nodes.
pub(super) type ById<T> = HashMap<usize, T, BuildHasherDefault<IdHasher>>;

/// Fibonacci hashing, with the upper bits brought down to where the map looks first.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        let map: ById<usize> = (0..10_000).map(|number| (number * 8, number)).collect();
        assert!((0..10_000).all(|number| map.get(&(number * 8)) == Some(&number)) && !map.contains_key(&4));
    }
}
