//! Linear regression of a position on another.

/// Below this share of the larger predictor's sum of squares, what is left of the other one after
/// projection counts as rounding: both lie on one line. Positions on a grid of up to 100 units
/// over up to 10,000 points leave more than 1e-10, rounding less than 1e-14.
pub(crate) const RANK_TOLERANCE: f64 = 1e-12;

/// Adjusted R² of the least-squares regression `target ≈ a + B · predictor` with an intercept and
/// a 2×2 matrix, both axes of the target summed:
///
/// `1 − (RSS / (n − 1 − r)) / (TSS / (n − 1))`.
///
/// r is the rank of the centred predictors: 2, or 1 where they all lie on one line and a second
/// coefficient would explain nothing. Solved by an orthogonal basis of the centred predictors
/// (Gram–Schmidt, the larger one first), so that no normal equations have to be inverted.
///
/// - `Some(0.0)` where the predictor does not move (r = 0),
/// - `None` where there is nothing to explain (TSS = 0, or no point), or nothing left to judge
///   by (n ≤ 1 + r).
pub(crate) fn adjusted_r2(predictor: &[[f64; 2]], target: &[[f64; 2]]) -> Option<f64> {
    let n = target.len();
    let [tx, ty] = centered(target);
    let total = dot(&tx, &tx) + dot(&ty, &ty);
    // A target that does not move may leave rounding errors once centred.
    if n < 2 || target.iter().all(|point| *point == target[0]) {
        return None;
    }
    if predictor.iter().all(|point| *point == predictor[0]) {
        return Some(0.0);
    }
    let basis = orthonormal(centered(predictor));
    let degrees = n.checked_sub(1 + basis.len()).filter(|&d| d > 0)?;
    let residual: f64 = [tx, ty]
        .into_iter()
        .map(|mut axis| {
            for direction in &basis {
                remove(&mut axis, direction);
            }
            dot(&axis, &axis)
        })
        .sum();
    Some(1.0 - (residual / degrees as f64) / (total / (n - 1) as f64))
}

/// The two axes of `points`, each minus its mean.
fn centered(points: &[[f64; 2]]) -> [Vec<f64>; 2] {
    [0, 1].map(|axis| {
        let mean = points.iter().map(|p| p[axis]).sum::<f64>() / points.len() as f64;
        points.iter().map(|p| p[axis] - mean).collect()
    })
}

/// An orthonormal basis of the span of two vectors that are not both zero: one or two vectors.
fn orthonormal([a, b]: [Vec<f64>; 2]) -> Vec<Vec<f64>> {
    let (mut first, mut second) = if dot(&a, &a) >= dot(&b, &b) { (a, b) } else { (b, a) };
    let largest = dot(&first, &first);
    scale(&mut first, largest.sqrt());
    // Twice is enough: the second pass removes what rounding left of the first.
    remove(&mut second, &first);
    remove(&mut second, &first);
    let rest = dot(&second, &second);
    if rest <= RANK_TOLERANCE * largest {
        return vec![first];
    }
    scale(&mut second, rest.sqrt());
    vec![first, second]
}

/// Subtracts from `vector` its component along the unit vector `direction`.
pub(crate) fn remove(vector: &mut [f64], direction: &[f64]) {
    let along = dot(vector, direction);
    for (v, d) in vector.iter_mut().zip(direction) {
        *v -= along * d;
    }
}

pub(crate) fn scale(vector: &mut [f64], length: f64) {
    for v in vector {
        *v /= length;
    }
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        // The corners of a square; the target's x is the predictor's, its y is orthogonal to
        // both axes (1, −1, −1, 1): TSS = 1 + 4, RSS = 4; with n = 4 and r = 2:
        // 1 − (4/1) / (5/3) = −1.4.
        let corners = [[0., 0.], [1., 0.], [0., 1.], [1., 1.]];
        let target = [[0., 1.], [1., -1.], [0., -1.], [1., 1.]];
        assert!((adjusted_r2(&corners, &target).unwrap() + 1.4).abs() < 1e-14);
    }

    #[test]
    fn one_line_costs_one_degree() {
        // x = 0, 1, 2, 3 on the diagonal; target y = 0, 1, 1, 2: slope 0.6, TSS = 2,
        // RSS = 2 − 0.6² · 5 = 0.2; with r = 1: 1 − (0.2/2) / (2/3) = 0.85.
        let line = [0., 1., 2., 3.].map(|x| [3.0 * x, -7.0 * x]);
        let target = [0., 1., 1., 2.].map(|y| [5.0, y]);
        assert!((adjusted_r2(&line, &target).unwrap() - 0.85).abs() < 1e-14);
        let along_an_axis = [0., 1., 2., 3.].map(|x| [2.0, x]);
        assert!((adjusted_r2(&along_an_axis, &target).unwrap() - 0.85).abs() < 1e-14);
    }

    #[test]
    fn degenerate_cases() {
        let moving = [[0., 0.], [1., 0.], [0., 1.], [1., 1.]];
        let still = [[0.1, 0.7]; 4];
        assert_eq!(adjusted_r2(&still, &moving), Some(0.0));
        assert_eq!(adjusted_r2(&moving, &still), None);
        assert_eq!(adjusted_r2(&moving[..3], &moving[..3]), None); // three points fit exactly
        assert_eq!(adjusted_r2(&moving[..1], &moving[..1]), None);
        assert_eq!(adjusted_r2(&[], &[]), None);
    }

    #[test]
    fn an_affine_map_is_tracked_exactly() {
        let peaks: Vec<[f64; 2]> = (0..50).map(|i| [(i % 13) as f64, (i / 13) as f64]).collect();
        let target: Vec<[f64; 2]> =
            peaks.iter().map(|[x, y]| [1e4 + 16.0 * x - 3.0 * y, 2.0 * x + 15.5 * y]).collect();
        assert!((adjusted_r2(&peaks, &target).unwrap() - 1.0).abs() < 1e-12);
    }
}
