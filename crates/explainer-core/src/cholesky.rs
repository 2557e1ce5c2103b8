//! Linear systems of a symmetric positive definite matrix, solved directly.

use burn::tensor::{Device, Tensor, TensorData};

use crate::features::floats;

/// Rows of a block: its own factor is computed in `f64` on the host, all else is products on the device.
const BLOCK: usize = 256;
/// Rounds of iterative refinement: each solves again for what is left.
const REFINEMENTS: usize = 2;

/// What a pivot keeps of its diagonal entry at least: what is less is rounding.
const LEAST: f64 = 64.0 * f32::EPSILON as f64;

/// A pivot that is not positive beyond rounding: the matrix is singular, or not to be told from one in `f32`.
#[derive(Debug)]
pub(crate) struct NotPositive {
    pub pivot: f64,
}

/// `A = L Lᵀ` with L lower triangular, by block columns.
pub(crate) struct Cholesky {
    matrix: Tensor<2>,
    columns: Vec<Column>,
}

/// A block column of L.
struct Column {
    /// The inverse of its block on the diagonal, `[b, b]`.
    inverse: Tensor<2>,
    /// What lies below, `[rows, b]`; nothing below the last.
    below: Option<Tensor<2>>,
}

impl Cholesky {
    /// Factorises A, `[n, n]`: `2n³/3` multiplications, half of which symmetry would save.
    pub fn new(matrix: Tensor<2>) -> Result<Self, NotPositive> {
        let size = matrix.dims()[0];
        let mut columns = Vec::new();
        let mut rest = matrix.clone();
        for start in (0..size).step_by(BLOCK) {
            let (left, width) = (size - start, BLOCK.min(size - start));
            let corner = rest.clone().slice([0..width, 0..width]);
            let whole = matrix.clone().slice([start..start + width, start..start + width]);
            let least: Vec<f64> =
                floats(whole).iter().step_by(width + 1).map(|&entry| LEAST * f64::from(entry)).collect();
            let inverse = inverse_factor(corner, &least)?;
            let below = (left > width).then(|| {
                let panel = rest.clone().slice([width..left, 0..width]);
                panel.matmul(inverse.clone().transpose())
            });
            if let Some(below) = &below {
                let corner = rest.clone().slice([width..left, width..left]);
                rest = corner - below.clone().matmul(below.clone().transpose());
            }
            columns.push(Column { inverse, below });
        }
        Ok(Self { matrix, columns })
    }

    /// `A⁻¹ right`, with `right` `[n, columns]`.
    pub fn solve(&self, right: Tensor<2>) -> Tensor<2> {
        let mut solution = self.substituted(right.clone());
        for _ in 0..REFINEMENTS {
            let rest = right.clone() - self.matrix.clone().matmul(solution.clone());
            solution = solution + self.substituted(rest);
        }
        solution
    }

    /// `(L Lᵀ)⁻¹ right`, as exact as L is.
    fn substituted(&self, right: Tensor<2>) -> Tensor<2> {
        let mut rest = right;
        let mut forward = Vec::with_capacity(self.columns.len());
        for Column { inverse, below } in &self.columns {
            let ([rows, _], [width, _]) = (rest.dims(), inverse.dims());
            let solved = inverse.clone().matmul(rest.clone().narrow(0, 0, width));
            if let Some(below) = below {
                rest = rest.narrow(0, width, rows - width) - below.clone().matmul(solved.clone());
            }
            forward.push(solved);
        }
        let mut solution: Option<Tensor<2>> = None;
        for (Column { inverse, below }, known) in self.columns.iter().zip(forward).rev() {
            let known = match (&solution, below) {
                (Some(solved), Some(below)) => known - below.clone().transpose().matmul(solved.clone()),
                _ => known,
            };
            let solved = inverse.clone().transpose().matmul(known);
            solution = Some(match solution {
                Some(below) => Tensor::cat(vec![solved, below], 0),
                None => solved,
            });
        }
        solution.expect("a matrix has a block at least")
    }
}

/// The inverse of the Cholesky factor of one block, whose pivots are to be larger than `least`.
fn inverse_factor(block: Tensor<2>, least: &[f64]) -> Result<Tensor<2>, NotPositive> {
    let size = least.len();
    let device: Device = block.device();
    let block: Vec<f64> = floats(block).into_iter().map(f64::from).collect();
    let mut factor = vec![0.0; size * size];
    for i in 0..size {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| factor[i * size + k] * factor[j * size + k]).sum();
            let value = block[i * size + j] - known;
            factor[i * size + j] = if i > j {
                value / factor[j * size + j]
            } else if value > least[i] {
                value.sqrt()
            } else {
                // Not a number is not positive either.
                return Err(NotPositive { pivot: value });
            };
        }
    }
    // Column by column, L · inverse = 1.
    let mut inverse = vec![0.0; size * size];
    for column in 0..size {
        inverse[column * size + column] = 1.0 / factor[column * size + column];
        for i in column + 1..size {
            let known: f64 = (column..i).map(|k| factor[i * size + k] * inverse[k * size + column]).sum();
            inverse[i * size + column] = -known / factor[i * size + i];
        }
    }
    let inverse: Vec<f32> = inverse.into_iter().map(|value| value as f32).collect();
    Ok(Tensor::from_data(TensorData::new(inverse, [size, size]), &device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::Initializer;

    /// A matrix of `size` rows of which `few` have length, so that most eigenvalues are the penalty.
    fn matrix(size: usize, few: usize, penalty: f64) -> Tensor<2> {
        let rows = Initializer::new(3, &Device::flex()).linear(size, few).weight.val();
        let gram = rows.clone().matmul(rows.transpose());
        gram + Tensor::<2>::eye(size, &Device::flex()).mul_scalar(penalty)
    }

    fn largest(tensor: Tensor<2>) -> f32 {
        tensor.abs().max().into_scalar()
    }

    /// One block, several, and a last one of a single row.
    #[test]
    fn it_solves() {
        for (size, few, penalty) in [(7, 3, 0.1), (BLOCK, 40, 1e-2), (2 * BLOCK + 1, 300, 1e-3)] {
            let matrix = matrix(size, few, penalty);
            let wanted = Initializer::new(5, &Device::flex()).linear(size, 6).weight.val();
            let right = matrix.clone().matmul(wanted.clone());
            let found = Cholesky::new(matrix.clone()).unwrap().solve(right.clone());
            let left = matrix.matmul(found.clone()) - right.clone();
            assert!(largest(left.clone()) < 1e-5 * largest(right), "{size}: {}", largest(left));
            let error = largest(found - wanted.clone()) / largest(wanted);
            assert!(error < 2e-3, "{size}: {error}");
        }
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_is_refused() {
        let singular = matrix(2 * BLOCK, 20, -1e-2);
        let NotPositive { pivot } = Cholesky::new(singular).err().expect("no factor");
        assert!(pivot < 1e-3);
        // Rounding leaves a pivot a little off 0.
        assert!(Cholesky::new(matrix(2 * BLOCK, 20, 0.0)).is_err());
        let unknown = matrix(9, 3, f64::NAN);
        assert!(Cholesky::new(unknown).err().expect("no factor").pivot.is_nan());
    }
}
