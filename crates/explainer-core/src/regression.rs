//! Ridge regression on rows that come batch by batch.

use burn::tensor::Tensor;

use crate::cholesky::{Cholesky, NotPositive};

/// Sums over rows x and errors e, from which comes the change V, and the offset v, that minimise
///
/// `Σ_rows ‖Vᵀx + v − e‖² + ridge · E‖x − E x‖² · ‖V‖²`.
///
/// Without centring, v is zero and E x taken to be.
pub(crate) struct Regression {
    centred: bool,
    count: usize,
    /// Σ x `[1, inputs]`, Σ e `[1, outputs]`, Σ x xᵀ and Σ x eᵀ.
    sums: Option<[Tensor<2>; 4]>,
}

impl Regression {
    pub(crate) fn new(centred: bool) -> Self {
        Self { centred, count: 0, sums: None }
    }

    /// Adds rows `[batch, inputs]` with their errors `[batch, outputs]`.
    pub(crate) fn push(&mut self, rows: Tensor<2>, errors: Tensor<2>) {
        self.count += rows.dims()[0];
        let across = rows.clone().transpose();
        let terms = [
            rows.clone().sum_dim(0),
            errors.clone().sum_dim(0),
            across.clone().matmul(rows),
            across.matmul(errors),
        ];
        self.sums = Some(match self.sums.take() {
            None => terms,
            Some(sums) => {
                let mut terms = terms.into_iter();
                sums.map(|sum| sum + terms.next().expect("as many terms as sums"))
            }
        });
    }

    /// Rows so far.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Width of a row.
    ///
    /// # Panics
    /// If there is none yet.
    pub(crate) fn inputs(&self) -> usize {
        self.sums.as_ref().expect("rows").first().expect("four sums").dims()[1]
    }

    /// V and v, from the Gram matrix of the inputs: `V = (XᵀX + penalty)⁻¹ XᵀE`.
    ///
    /// # Panics
    /// If there is no row.
    pub(crate) fn solve(self, ridge: f64) -> Result<[Tensor<2>; 2], NotPositive> {
        let count = self.count as f64;
        let [sum, missed, gram, right] = self.sums.expect("rows");
        let (mean, missing) = match self.centred {
            true => (sum.mul_scalar(1.0 / count), missed.mul_scalar(1.0 / count)),
            false => (sum.mul_scalar(0.0), missed.mul_scalar(0.0)),
        };
        let across = mean.clone().transpose().mul_scalar(count);
        let gram = gram - across.clone().matmul(mean.clone());
        let right = right - across.matmul(missing.clone());
        let identity = Tensor::<2>::eye(gram.dims()[0], &gram.device());
        let energy = f64::from((gram.clone() * identity).sum().into_scalar::<f32>()) / count;
        let change = penalised(gram, ridge * energy)?.solve(right);
        let offset = missing - mean.matmul(change.clone());
        Ok([change, offset])
    }
}

/// [`Regression::solve`] of fewer rows than inputs, from the Gram matrix of the rows:
/// `V = Xᵀ (XXᵀ + penalty)⁻¹ E`. All rows are held at once.
///
/// # Panics
/// If there is no row.
pub(crate) fn of_few(
    batches: impl Iterator<Item = (Tensor<2>, Tensor<2>)>,
    centred: bool,
    ridge: f64,
) -> Result<[Tensor<2>; 2], NotPositive> {
    let (rows, errors): (Vec<_>, Vec<_>) = batches.unzip();
    let (rows, errors) = (Tensor::cat(rows, 0), Tensor::cat(errors, 0));
    let share = f64::from(u8::from(centred));
    let (mean, missing) =
        (rows.clone().mean_dim(0).mul_scalar(share), errors.clone().mean_dim(0).mul_scalar(share));
    let (rows, errors) = (rows - mean.clone(), errors - missing.clone());
    let energy = f64::from(rows.clone().square().sum().into_scalar::<f32>()) / rows.dims()[0] as f64;
    let gram = rows.clone().matmul(rows.clone().transpose());
    let change = rows.transpose().matmul(penalised(gram, ridge * energy)?.solve(errors));
    let offset = missing - mean.matmul(change.clone());
    Ok([change, offset])
}

/// The factor of `gram + penalty`.
fn penalised(gram: Tensor<2>, penalty: f64) -> Result<Cholesky, NotPositive> {
    let identity = Tensor::<2>::eye(gram.dims()[0], &gram.device());
    Cholesky::new(gram + identity.mul_scalar(penalty))
}
