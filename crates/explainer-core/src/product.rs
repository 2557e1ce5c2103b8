//! Matrix products of slices, by the crate that Burn's CPU backend has its own from.
//!
//! Burn's `matmul` fills its output with zeros and copies it before it is written to, which takes time where outputs
//! are as large as those of a fitting step.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// A matrix within a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    shape: [usize; 2],
    strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// The element in row i and column j is `values[i · strides[0] + j · strides[1]]`.
    ///
    /// # Panics
    /// If that lies beyond the slice.
    pub(crate) fn new(values: &'a [f32], shape: [usize; 2], strides: [usize; 2]) -> Self {
        if !shape.contains(&0) {
            let last = (shape[0] - 1) * strides[0] + (shape[1] - 1) * strides[1];
            assert!(last < values.len(), "{shape:?} by {strides:?} of {} values", values.len());
        }
        Self { values, shape, strides }
    }

    pub(crate) fn transposed(self) -> Self {
        let Self { values, shape: [rows, columns], strides: [down, across] } = self;
        Self { values, shape: [columns, rows], strides: [across, down] }
    }
}

/// `lhs(i) · rhs(i)` for every i below `count`, each `shape`, one behind the other in row-major order.
///
/// # Panics
/// If a product is of another shape.
pub(crate) fn products<'a>(
    count: usize,
    shape: [usize; 2],
    lhs: impl Fn(usize) -> Matrix<'a> + Sync,
    rhs: impl Fn(usize) -> Matrix<'a> + Sync,
) -> Vec<f32> {
    let mut output = Vec::new();
    append_products(&mut output, count, shape, lhs, rhs, |_, _| ());
    output
}

/// [`products`] behind what `output` holds already. Each goes through `finish`, with its number, while it is in a
/// core's cache.
///
/// # Panics
/// If a product is of another shape.
pub(crate) fn append_products<'a>(
    output: &mut Vec<f32>,
    count: usize,
    shape: [usize; 2],
    lhs: impl Fn(usize) -> Matrix<'a> + Sync,
    rhs: impl Fn(usize) -> Matrix<'a> + Sync,
    finish: impl Fn(usize, &mut [f32]) + Sync,
) {
    let (before, length) = (output.len(), shape[0] * shape[1]);
    output.reserve_exact(count * length);
    let unwritten = &mut output.spare_capacity_mut()[..count * length];
    unwritten.par_chunks_exact_mut(length.max(1)).enumerate().for_each(|(index, unwritten)| {
        write(lhs(index), rhs(index), shape, unwritten);
        // SAFETY: `write` has written to every element.
        #[expect(unsafe_code, reason = "what `write` has filled is not filled twice")]
        finish(index, unsafe { unwritten.assume_init_mut() });
    });
    // SAFETY: the chunks make up all of this length, and `write` has written to every element of each.
    #[expect(unsafe_code, reason = "what `write` has filled is not filled twice")]
    unsafe {
        output.set_len(before + count * length);
    }
}

/// Writes `lhs · rhs` of `shape` over all of `output` in row-major order.
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn product_into(lhs: Matrix<'_>, rhs: Matrix<'_>, shape: [usize; 2], output: &mut [f32]) {
    // SAFETY: what is initialised is a valid `MaybeUninit`, and `write` leaves no element without a value.
    #[expect(unsafe_code, reason = "a slice of numbers is one of numbers that may be overwritten")]
    let output = unsafe { &mut *(std::ptr::from_mut(output) as *mut [MaybeUninit<f32>]) };
    write(lhs, rhs, shape, output);
}

/// Writes to every element of `output`.
fn write(lhs: Matrix<'_>, rhs: Matrix<'_>, shape: [usize; 2], output: &mut [MaybeUninit<f32>]) {
    let ([rows, depth], [depth_too, columns]) = (lhs.shape, rhs.shape);
    assert_eq!((depth, [rows, columns]), (depth_too, shape), "{lhs:?} and {rhs:?} have no such product");
    assert_eq!(output.len(), rows * columns, "the product's elements");
    let [lhs_down, lhs_across] = lhs.strides.map(|stride| stride as isize);
    let [rhs_down, rhs_across] = rhs.strides.map(|stride| stride as isize);
    // SAFETY: `Matrix::new` has seen that all elements of the factors lie in their slices, and the output has
    // rows · columns of them, which nothing else refers to. As `read_dst` is false the output is not read before it
    // is written to, and with α = 0 and β = 1 every element of it is, be the depth 0.
    #[expect(unsafe_code, reason = "`gemm` takes pointers")]
    unsafe {
        gemm::gemm(
            rows,
            columns,
            depth,
            output.as_mut_ptr().cast::<f32>(),
            1,
            columns as isize,
            false,
            lhs.values.as_ptr(),
            lhs_across,
            lhs_down,
            rhs.values.as_ptr(),
            rhs_across,
            rhs_down,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, from: f32) -> Vec<f32> {
        (0..count).map(|at| (at as f32 * 0.7 + from).sin()).collect()
    }

    /// From the definition.
    fn oracle(lhs: Matrix<'_>, rhs: Matrix<'_>) -> Vec<f64> {
        let at =
            |of: Matrix<'_>, row, column| f64::from(of.values[row * of.strides[0] + column * of.strides[1]]);
        let ([rows, depth], [_, columns]) = (lhs.shape, rhs.shape);
        let sum = |row, column| (0..depth).map(|k| at(lhs, row, k) * at(rhs, k, column)).sum();
        (0..rows * columns).map(|index| sum(index / columns, index % columns)).collect()
    }

    /// Of every kind of kernel: vectors, shallow and deep, larger than a block; strided and transposed.
    #[test]
    fn they_are_their_definition() {
        for [rows, depth, columns] in [
            [1, 1, 1],
            [3, 0, 2],
            [5, 1, 7],
            [4, 2, 9],
            [1, 6, 8],
            [8, 6, 1],
            [7, 33, 5],
            [40, 32, 70],
            [17, 600, 33],
        ] {
            let (wide, count) = (depth + 3, 3);
            let (left, right) = (values(count * rows * wide, 0.0), values(count * depth * columns, 1.0));
            let lhs = |index: usize| Matrix::new(&left[index * rows * wide..], [rows, depth], [wide, 1]);
            let rhs =
                |index: usize| Matrix::new(&right[index * depth * columns..], [depth, columns], [columns, 1]);
            let turned = |index: usize| {
                Matrix::new(&right[index * depth * columns..], [columns, depth], [1, columns]).transposed()
            };
            let found = products(count, [rows, columns], lhs, rhs);
            assert_eq!(found, products(count, [rows, columns], lhs, turned));
            let expected: Vec<f64> = (0..count).flat_map(|index| oracle(lhs(index), rhs(index))).collect();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (f64::from(*found) - expected).abs() < 1e-4,
                    "{rows}, {depth}, {columns}: {found} {expected}"
                );
            }
            let mut over = vec![f32::NAN; rows * columns];
            product_into(lhs(1), rhs(1), [rows, columns], &mut over);
            assert_eq!(over, found[rows * columns..2 * rows * columns]);
        }
    }

    #[test]
    #[should_panic(expected = "[3, 4] by [4, 1] of 11 values")]
    fn a_matrix_that_is_larger_than_its_slice_is_none() {
        Matrix::new(&[0.0; 11], [3, 4], [4, 1]);
    }

    #[test]
    #[should_panic(expected = "have no such product")]
    fn factors_that_do_not_fit_have_no_product() {
        let values = [0.0; 12];
        product_into(
            Matrix::new(&values, [3, 4], [4, 1]),
            Matrix::new(&values, [3, 4], [4, 1]),
            [3, 4],
            &mut [0.0; 12],
        );
    }
}
