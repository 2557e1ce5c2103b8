//! The strongest unit of a single map.

use crate::Peak;

/// The peak of one row-major map, of equal units that in the smallest column, then row.
///
/// The error is the index of the first unit that is not finite.
pub(crate) fn peak_of(map: &[f32], width: usize) -> Result<Peak, usize> {
    let strength = finite_maximum(map).ok_or_else(|| {
        let first = map.iter().position(|value| !value.is_finite());
        first.unwrap_or_default()
    })?;
    let (mut row, mut column) = (0, width);
    for (r, line) in map.chunks_exact(width).enumerate() {
        // Rows ascend: a later one only matters where its column is smaller.
        if let Some(c) = line[..column].iter().position(|&value| value == strength) {
            (row, column) = (r, c);
        }
    }
    Ok(Peak {
        row: row as u16,
        column: column as u16,
        strength: strength + 0.0, // −0 becomes 0
    })
}

/// The largest value, or `None` if one is not finite. Values go to separate lanes, which the
/// compiler turns into vector instructions.
fn finite_maximum(values: &[f32]) -> Option<f32> {
    const LANES: usize = 16;
    const EXPONENT: u32 = f32::INFINITY.to_bits(); // all ones in NaN and the infinities only
    let (mut largest, mut faulty) = ([f32::NEG_INFINITY; LANES], [false; LANES]);
    let mut take = |chunk: &[f32]| {
        for ((largest, faulty), &value) in largest.iter_mut().zip(&mut faulty).zip(chunk) {
            *largest = if value > *largest { value } else { *largest };
            *faulty |= value.to_bits() & EXPONENT == EXPONENT;
        }
    };
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    chunks.for_each(&mut take);
    take(rest);
    let maximum = largest.into_iter().fold(f32::NEG_INFINITY, f32::max);
    (!faulty.contains(&true)).then_some(maximum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_looked_at() {
        // 35 units: two full rows of lanes and a rest.
        for unit in 0..35 {
            let mut map = [-1.0; 35];
            map[unit] = 0.5;
            let peak = peak_of(&map, 7).unwrap();
            assert_eq!(usize::from(peak.row) * 7 + usize::from(peak.column), unit);
            assert_eq!(peak.strength, 0.5);
            for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                map[unit] = bad;
                assert_eq!(peak_of(&map, 7), Err(unit));
            }
            map = [f32::MAX; 35];
            map[unit] = f32::MIN;
            let expected = if unit == 0 { [1, 0] } else { [0, 0] };
            let peak = peak_of(&map, 7).unwrap();
            assert_eq!([peak.row, peak.column], expected);
        }
    }

    #[test]
    fn the_first_fault_is_named() {
        assert_eq!(peak_of(&[0.0, f32::INFINITY, f32::NAN], 3), Err(1));
    }
}
