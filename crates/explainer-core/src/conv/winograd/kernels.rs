//! From kernels to planes, and the adjoint.

use rayon::prelude::*;

use super::lanes::{LANES, Lanes, load_planes};
use super::transforms::{G_SCALE, both, g, g_transposed, g_transposed_terms};
use super::{KERNEL, PATCH, PLANES};
use crate::memory::{chunks, vectorized};

/// The error of a weight's gradient, in units of the sum of the sizes of its terms: 2⁻²⁰, 16 times that of one
/// `f32` operation.
///
/// What is within rounding of 0 is 0. The direct algorithm gives exactly 0 where maps and gradients have nothing in
/// common, and of a tiny gradient in its place Adam would make a whole step.
const ROUNDING: f32 = 1.0 / 1_048_576.0;

/// G w Gᵀ of kernels `[D, inputs, 3, 3]`: `[D, 36, inputs]`.
pub(in super::super) fn kernel_planes(kernels: &[f32], inputs: usize) -> Vec<f32> {
    let outputs = kernels.len() / (inputs * KERNEL * KERNEL);
    let length = inputs * KERNEL * KERNEL;
    chunks(
        outputs,
        PLANES * inputs,
        || (),
        |(), output, planes| {
            vectorized(
                #[inline(always)]
                || planes_of_kernels(&kernels[output * length..][..length], inputs, planes),
            );
        },
    )
}

/// Those of one output.
#[inline(always)]
fn planes_of_kernels(kernels: &[f32], inputs: usize, planes: &mut [f32]) {
    for (at, kernels) in kernels.chunks(LANES * KERNEL * KERNEL).enumerate() {
        let mut weights = [[Lanes::ZERO; KERNEL]; KERNEL];
        let (kernels, _) = kernels.as_chunks::<{ KERNEL * KERNEL }>();
        for (lane, kernel) in kernels.iter().enumerate() {
            for (lanes, weight) in weights.as_flattened_mut().iter_mut().zip(kernel) {
                lanes.0[lane] = *weight;
            }
        }
        for (plane, lanes) in both(&weights, g).as_flattened().iter().enumerate() {
            let scale = G_SCALE[plane / PATCH] * G_SCALE[plane % PATCH];
            (*lanes * scale as f32).store(&mut planes[plane * inputs + at * LANES..], kernels.len());
        }
    }
}

/// The adjoint of [`kernel_planes`]: Gᵀ U G of the planes U of kernels, from `[36, kernels]` to
/// `[kernels, 3, 3]`.
pub(in super::super) fn kernel_adjoint(planes: &[f32]) -> Vec<f32> {
    let all = planes.len() / PLANES;
    let mut kernels = vec![0.0; all * KERNEL * KERNEL];
    kernels.par_chunks_mut(LANES * KERNEL * KERNEL).enumerate().for_each(|(chunk, kernels)| {
        vectorized(
            #[inline(always)]
            || kernels_of_planes(planes, all, chunk * LANES, kernels),
        );
    });
    kernels
}

/// Sixteen of them, or fewer.
#[inline(always)]
fn kernels_of_planes(planes: &[f32], all: usize, first: usize, kernels: &mut [f32]) {
    let count = kernels.len() / (KERNEL * KERNEL);
    let mut planes = load_planes(planes, all, first, count);
    let weights = both(&planes, g_transposed);
    for plane in planes.as_flattened_mut() {
        *plane = plane.map(f32::abs);
    }
    let terms = both(&planes, g_transposed_terms);
    for (at, (weight, terms)) in weights.as_flattened().iter().zip(terms.as_flattened()).enumerate() {
        let weight = weight.silenced(*terms * ROUNDING);
        for lane in 0..count {
            kernels[lane * KERNEL * KERNEL + at] = weight.0[lane];
        }
    }
}
