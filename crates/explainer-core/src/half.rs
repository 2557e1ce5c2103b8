//! Numbers of half precision (IEEE binary16), two in the place of an `f32`.

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

/// The largest number that half precision holds.
pub(crate) const LARGEST: f32 = 65504.0;

/// Places that `count` numbers take.
pub(crate) const fn places(count: usize) -> usize {
    count.div_ceil(2)
}

/// Appends `values` to `row`, rounded to half precision. One that it does not hold is returned.
pub(crate) fn pack(values: &[f32], row: &mut Vec<f32>) -> Result<(), f32> {
    if let Some(&value) = values.iter().find(|value| f16::from_f32(**value).is_infinite()) {
        return Err(value);
    }
    let from = row.len();
    row.resize(from + places(values.len()), 0.0);
    halves_mut(&mut row[from..])[..values.len()].convert_from_f32_slice(values);
    Ok(())
}

/// Appends the first `count` numbers of `row` to `values`.
pub(crate) fn unpack(row: &[f32], count: usize, values: &mut Vec<f32>) {
    let from = values.len();
    values.resize(from + count, 0.0);
    let halves = bytemuck::cast_slice::<f32, u16>(row).reinterpret_cast::<f16>();
    halves[..count].convert_to_f32_slice(&mut values[from..]);
}

fn halves_mut(row: &mut [f32]) -> &mut [f16] {
    bytemuck::cast_slice_mut::<f32, u16>(row).reinterpret_cast_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_rounded_to_eleven_bits() {
        let values = [0.0, -1.0, 1.0 / 3.0, 1e-7, 1e-9, 65519.0, 1234.567];
        let mut row = vec![7.0];
        pack(&values, &mut row).unwrap();
        assert_eq!(row.len(), 1 + places(values.len()));
        let mut back = vec![5.0];
        unpack(&row[1..], values.len(), &mut back);
        assert_eq!(back[0], 5.0);
        for (value, back) in values.iter().zip(&back[1..]) {
            // Half of 2^-10 of the value, or of the least number, 2^-24.
            let tolerance = (value.abs() * 2f32.powi(-11)).max(2f32.powi(-25));
            assert!((value - back).abs() <= tolerance, "{value} became {back}");
        }
        assert_eq!(back[6], LARGEST);
    }

    #[test]
    fn what_is_too_large_is_named() {
        assert_eq!(pack(&[1.0, -7e4], &mut Vec::new()), Err(-7e4));
        assert_eq!(pack(&[65520.0], &mut Vec::new()), Err(65520.0));
    }
}
