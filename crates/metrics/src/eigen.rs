//! Eigenvectors of a symmetric matrix without negative eigenvalues, such as a covariance.

/// Rows are orthogonal where their cosine is below this.
const ORTHOGONAL: f64 = 1e-12;
/// Sweeps over all pairs; some ten are needed.
const SWEEPS: usize = 60;

/// The eigenvalues of a symmetric matrix without negative ones, from the largest down, and their
/// eigenvectors of length 1. Those that are 0 up to rounding are left out.
///
/// One-sided Jacobi: rotations Jᵀ of pairs of rows make the rows of `JᵀA` orthogonal. With `A = Q Λ Qᵀ` that
/// is `Λ Qᵀ`: the rows' lengths are the eigenvalues, their directions the eigenvectors.
///
/// Source: Hestenes 1958; one-sided, so that everything is done on whole rows, n³ operations a sweep.
///
/// # Panics
/// If `matrix` is not `[size][size]`, row by row.
pub fn eigenvectors(mut matrix: Vec<f64>, size: usize) -> Vec<(f64, Vec<f64>)> {
    assert_eq!(matrix.len(), size * size, "a matrix of {size} rows and columns");
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let longest = matrix.chunks_exact(size.max(1)).map(|row| dot(row, row)).fold(0.0, f64::max);
    let nothing = longest * (f64::EPSILON * size as f64).powi(2);
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for first in 0..size {
            for second in first + 1..size {
                let (above, below) = matrix.split_at_mut(second * size);
                let (p, q) = (&mut above[first * size..][..size], &mut below[..size]);
                let (pp, qq, pq) = (dot(p, p), dot(q, q), dot(p, q));
                if pp <= nothing || qq <= nothing || pq.abs() <= ORTHOGONAL * (pp * qq).sqrt() {
                    continue;
                }
                rotated = true;
                // The smaller of the two angles that make p·q 0.
                let zeta = (qq - pp) / (2.0 * pq);
                let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = cosine * tangent;
                for (p, q) in p.iter_mut().zip(q) {
                    (*p, *q) = (cosine * *p - sine * *q, sine * *p + cosine * *q);
                }
            }
        }
        if !rotated {
            break;
        }
    }
    let mut pairs: Vec<(f64, Vec<f64>)> = matrix
        .chunks_exact(size.max(1))
        .map(|row| (dot(row, row), row))
        .filter(|&(square, _)| square > nothing)
        .map(|(square, row)| (square.sqrt(), row))
        .map(|(length, row)| (length, row.iter().map(|value| value / length).collect()))
        .collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn worked_by_hand() {
        // (1, 1)/√2 with 3 and (1, −1)/√2 with 1.
        let found = eigenvectors(vec![2.0, 1.0, 1.0, 2.0], 2);
        let half = 0.5f64.sqrt();
        for ((value, vector), (expected, direction)) in
            found.iter().zip([(3.0, [half, half]), (1.0, [half, -half])])
        {
            let cosine = vector[0] * direction[0] + vector[1] * direction[1];
            assert!((value - expected).abs() < 1e-14 && (cosine.abs() - 1.0).abs() < 1e-14);
        }
        // Of rank 1, and of nothing.
        let found = eigenvectors(vec![1.0, 2.0, 2.0, 4.0], 2);
        assert!(found.len() == 1 && (found[0].0 - 5.0).abs() < 1e-14);
        assert!(eigenvectors(vec![0.0; 9], 3).is_empty() && eigenvectors(Vec::new(), 0).is_empty());
    }

    #[test]
    fn they_are_eigenvectors() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        // More rows than columns, and fewer; and the identity, all of whose eigenvalues are the same.
        for (rows, size) in [(60, 30), (12, 30), (0, 30)] {
            let data: Vec<f64> = (0..rows * size).map(|_| rng.random_range(-1.0..1.0)).collect();
            let product = |i: usize, j: usize| -> f64 {
                match rows {
                    0 => f64::from(i == j),
                    _ => data.chunks(size).map(|row| row[i] * row[j]).sum(),
                }
            };
            let matrix: Vec<f64> = (0..size * size).map(|at| product(at / size, at % size)).collect();
            let found = eigenvectors(matrix.clone(), size);
            assert_eq!(found.len(), if rows == 12 { 12 } else { size });
            assert!(found.is_sorted_by(|a, b| a.0 >= b.0));
            let trace: f64 = (0..size).map(|i| matrix[i * size + i]).sum();
            assert!((found.iter().map(|(value, _)| value).sum::<f64>() - trace).abs() < 1e-10 * trace);
            for (k, (value, vector)) in found.iter().enumerate() {
                for (row, expected) in matrix.chunks(size).zip(vector) {
                    let product: f64 = row.iter().zip(vector).map(|(a, b)| a * b).sum();
                    assert!((product - value * expected).abs() < 1e-9 * found[0].0);
                }
                for (l, (_, other)) in found.iter().enumerate() {
                    let product: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                    assert!((product - f64::from(k == l)).abs() < 1e-9, "{k} {l} {product}");
                }
            }
        }
    }
}
