//! How many different hashes were shown, in a few kilobytes: a HyperLogLog.
//!
//! Own, because the hashes are there already and what is left is short: the registers of Flajolet and others (2007), and Ertl's
//! estimator for them (<https://arxiv.org/abs/1702.01284>, algorithm 6), which has no bias to be corrected from tables at any size. With
//! `m` registers the standard error is `1.04 / √m`.

/// Counts different hashes.
#[derive(Debug)]
pub(super) struct Sketch {
    /// For each part of the hashes the longest run of zeros seen, plus one. Their number is a power of two.
    registers: Box<[u8]>,
}

impl Sketch {
    /// An empty one of `2^bits` registers, a byte each.
    pub(super) fn new(bits: u32) -> Self {
        Self { registers: vec![0; 1 << bits].into_boxed_slice() }
    }

    /// Which register a hash belongs to: its first bits.
    fn bits(&self) -> u32 {
        self.registers.len().trailing_zeros()
    }

    /// Shows it a hash; all its 64 bits must be good ones.
    pub(super) fn insert(&mut self, hash: u64) {
        let bits = self.bits();
        let register = (hash >> (u64::BITS - bits)) as usize;
        let run = (hash << bits).leading_zeros().min(u64::BITS - bits) + 1;
        // At most 65.
        self.registers[register] = self.registers[register].max(run as u8);
    }

    /// How many different hashes it was shown, about.
    pub(super) fn estimate(&self) -> u64 {
        let longest = u64::BITS - self.bits();
        let registers = self.registers.len() as f64;
        let mut counts = [0_u32; u64::BITS as usize + 2];
        for &register in &self.registers {
            counts[usize::from(register)] += 1;
        }
        let share = |value: u32| f64::from(counts[value as usize]) / registers;
        let mut sum = tau(1.0 - share(longest + 1)) * registers;
        for value in (1..=longest).rev() {
            sum = (sum + f64::from(counts[value as usize])) * 0.5;
        }
        sum += registers * sigma(share(0));
        // Infinite where no register was touched, and then the answer is 0.
        (registers * registers / (2.0 * std::f64::consts::LN_2) / sum).round() as u64
    }
}

/// What untouched registers say.
fn sigma(share: f64) -> f64 {
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut weight, mut sum) = (share, 1.0, share);
    loop {
        let before = sum;
        power *= power;
        sum += power * weight;
        weight += weight;
        if sum <= before {
            return sum;
        }
    }
}

/// What registers that cannot grow any more say.
fn tau(share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    let (mut root, mut weight, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        let before = sum;
        root = root.sqrt();
        weight *= 0.5;
        sum -= (1.0 - root) * (1.0 - root) * weight;
        if sum >= before {
            return sum / 3.0;
        }
    }
}
