//! The one-dimensional transforms, and a patch through one along both dimensions.

use super::lanes::Lanes;
use super::{KERNEL, PATCH, TILE};

/// Bᵀ x.
#[inline(always)]
pub(super) fn b_transposed(x: [Lanes; PATCH]) -> [Lanes; PATCH] {
    let [x0, x1, x2, x3, x4, x5] = x;
    let (even, odd) = (x4 - x2 * 4.0, x3 - x1 * 4.0);
    let (outer, inner) = (x4 - x2, (x3 - x1) * 2.0);
    [x0 * 4.0 - x2 * 5.0 + x4, even + odd, even - odd, outer + inner, outer - inner, x1 * 4.0 - x3 * 5.0 + x5]
}

/// B v, its adjoint.
#[inline(always)]
pub(super) fn b(v: [Lanes; PATCH]) -> [Lanes; PATCH] {
    let [v0, v1, v2, v3, v4, v5] = v;
    let (sum, difference) = (v1 + v2, v1 - v2);
    let (wide_sum, wide_difference) = (v3 + v4, (v3 - v4) * 2.0);
    [
        v0 * 4.0,
        v5 * 4.0 - difference * 4.0 - wide_difference,
        v0 * -5.0 - sum * 4.0 - wide_sum,
        difference + wide_difference - v5 * 5.0,
        v0 + sum + wide_sum,
        v5,
    ]
}

/// Aᵀ m.
#[inline(always)]
pub(super) fn a_transposed(m: [Lanes; PATCH]) -> [Lanes; TILE] {
    let [m0, m1, m2, m3, m4, m5] = m;
    let (sum, difference) = (m1 + m2, m1 - m2);
    let (wide_sum, wide_difference) = (m3 + m4, m3 - m4);
    [
        m0 + sum + wide_sum,
        difference + wide_difference * 2.0,
        sum + wide_sum * 4.0,
        difference + wide_difference * 8.0 + m5,
    ]
}

/// A y, its adjoint.
#[inline(always)]
pub(super) fn a(y: [Lanes; TILE]) -> [Lanes; PATCH] {
    let [y0, y1, y2, y3] = y;
    let (even, odd) = (y0 + y2, y1 + y3);
    let (wide_even, wide_odd) = (y0 + y2 * 4.0, y1 * 2.0 + y3 * 8.0);
    [y0, even + odd, even - odd, wide_even + wide_odd, wide_even - wide_odd, y3]
}

/// The rows of G are these times those of [`g`], so that all factors but one of a plane are exact.
pub(super) const G_SCALE: [f64; PATCH] = [1.0 / 4.0, -1.0 / 6.0, -1.0 / 6.0, 1.0 / 24.0, 1.0 / 24.0, 1.0];

/// G w, but for the scale of the rows.
#[inline(always)]
pub(super) fn g(w: [Lanes; KERNEL]) -> [Lanes; PATCH] {
    let [w0, w1, w2] = w;
    let (outer, wide_outer, wide_inner) = (w0 + w2, w0 + w2 * 4.0, w1 * 2.0);
    [w0, outer + w1, outer - w1, wide_outer + wide_inner, wide_outer - wide_inner, w2]
}

/// Gᵀ u.
#[inline(always)]
pub(super) fn g_transposed(u: [Lanes; PATCH]) -> [Lanes; KERNEL] {
    let [u0, u1, u2, u3, u4, u5] = u;
    let (sum, difference) = ((u1 + u2) * (1.0 / 6.0), (u2 - u1) * (1.0 / 6.0));
    let (wide_sum, wide_difference) = (u3 + u4, u3 - u4);
    [
        u0 * 0.25 - sum + wide_sum * (1.0 / 24.0),
        difference + wide_difference * (1.0 / 12.0),
        wide_sum * (1.0 / 6.0) - sum + u5,
    ]
}

/// The sum of the sizes of the terms of Gᵀ u, from those of u. They differ from plane to plane by a factor of
/// 500, so that the largest plane says too little of the error.
#[inline(always)]
pub(super) fn g_transposed_terms(u: [Lanes; PATCH]) -> [Lanes; KERNEL] {
    let [u0, u1, u2, u3, u4, u5] = u;
    let (sum, wide_sum) = ((u1 + u2) * (1.0 / 6.0), u3 + u4);
    [
        u0 * 0.25 + sum + wide_sum * (1.0 / 24.0),
        sum + wide_sum * (1.0 / 12.0),
        wide_sum * (1.0 / 6.0) + sum + u5,
    ]
}

/// A one-dimensional transform along both dimensions.
#[inline(always)]
pub(super) fn both<const M: usize, const N: usize>(
    values: &[[Lanes; M]; M],
    along: impl Fn([Lanes; M]) -> [Lanes; N],
) -> [[Lanes; N]; N] {
    let mut columns = [[Lanes::ZERO; M]; N];
    for column in 0..M {
        let mut each = [Lanes::ZERO; M];
        for row in 0..M {
            each[row] = values[row][column];
        }
        let each = along(each);
        for row in 0..N {
            columns[row][column] = each[row];
        }
    }
    let mut result = [[Lanes::ZERO; N]; N];
    for (row, columns) in result.iter_mut().zip(columns) {
        *row = along(columns);
    }
    result
}
