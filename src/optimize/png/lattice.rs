//! Values that near-lossless residuals are rounded to.

/// Fraction bits of carried errors.
pub const FRACTION: u32 = 4;
/// No more than this of an error is carried, in levels: where values clip, it would pile up.
pub const MOST_CARRIED: i32 = 20;
/// Residuals in a table reach so far from zero; with what is carried none is further.
const REACH: i32 = 255 + 2 * MOST_CARRIED;

/// The values residuals are rounded to, for one distance between them.
pub struct Lattice {
    /// How many distances from zero a residual is, at its sum with [`REACH`].
    nearest: Vec<i16>,
    /// The residual that is so many distances from zero, at that number's sum with the middle.
    values: Vec<i16>,
    /// Below this all channels become zero together, for each degree of business; with fraction.
    pub dead_zone: Vec<i32>,
}

impl Lattice {
    #[must_use]
    pub fn new(distance: f64) -> Self {
        let count = |residual: i32| (f64::from(residual) / distance).round();
        let values = (-REACH..=REACH).map(|i| (f64::from(i) * distance).round().clamp(-999.0, 999.0) as i16).collect();
        // Found by search over photographs; 0.5 would be plain rounding.
        let share = |business: i32| (0.7 + (0.2 * (f64::from(business + 1).ln() - 2.0)).clamp(-0.3, 0.5)) * distance;
        Self {
            nearest: (-REACH..=REACH).map(|residual| count(residual) as i16).collect(),
            values,
            dead_zone: (0..=255).map(|business| (share(business) * f64::from(1 << FRACTION)) as i32).collect(),
        }
    }

    fn value(&self, count: i32) -> i32 {
        self.values[(count + REACH) as usize].into()
    }

    /// The value nearest to what was predicted and a residual.
    #[must_use]
    pub fn round(&self, predicted: i32, residual: i32) -> i32 {
        let count: i32 = self.nearest[(residual.clamp(-REACH, REACH) + REACH) as usize].into();
        let value = predicted + self.value(count);
        let end = value.clamp(0, 255);
        let back = predicted + self.value(count - count.signum());
        let off = |value: i32| (value - predicted - residual).abs();
        if value != end && off(back) <= off(end) + BACKWARDS { back.clamp(0, 255) } else { end }
    }
}

/// A value out of range is replaced by the end of the range, unless the lattice has one that is off by no more than this
/// beyond it: values off the lattice cost bytes, and values far off pile up as a shift of colour.
const BACKWARDS: i32 = 2;
