//! Least squares of several targets on columns that may depend on one another.

use crate::regression::{RANK_TOLERANCE, dot, remove, scale};

/// The columns of a regression, orthogonalised once for any number of targets.
///
/// Columns are taken in order; one that the columns before it explain to the rounding error
/// (its rest is below [`RANK_TOLERANCE`] of its reference) is left out, and its coefficient is 0.
/// Gram–Schmidt, twice, so that no normal equations have to be inverted.
#[derive(Debug, Clone)]
pub(crate) struct LeastSquares {
    /// Mean of each column over the rows, 0 without an intercept.
    means: Vec<f64>,
    intercept: bool,
    /// Of the columns that were kept: index, unit direction, and its components along the
    /// directions before it, then the length of its rest.
    kept: Vec<(usize, Vec<f64>, Vec<f64>)>,
}

/// `intercept + Σ_j slopes[j] · x_j`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// The value where all columns are 0.
    pub intercept: f64,
    /// One for each column.
    pub slopes: Vec<f64>,
}

impl LeastSquares {
    /// With an intercept. The reference of a column is its sum of squares about its mean.
    pub fn with_intercept(columns: Vec<Vec<f64>>) -> Self {
        let centred = columns.into_iter().map(|mut column| {
            let mean = column.iter().sum::<f64>() / column.len() as f64;
            // A constant may leave rounding errors once centred.
            let moves = column.iter().any(|value| *value != column[0]);
            column.iter_mut().for_each(|value| *value = if moves { *value - mean } else { 0.0 });
            (mean, column)
        });
        let (means, columns): (Vec<f64>, Vec<Vec<f64>>) = centred.unzip();
        let references = columns.iter().map(|column| dot(column, column)).collect();
        Self { means, intercept: true, kept: orthogonal(columns, references) }
    }

    /// Through the origin, with the reference of each column.
    pub fn through_origin(columns: Vec<Vec<f64>>, references: Vec<f64>) -> Self {
        Self { means: vec![0.0; columns.len()], intercept: false, kept: orthogonal(columns, references) }
    }

    /// The line that is closest to `target`, a value for each row.
    pub fn fit(&self, target: &[f64]) -> Line {
        let mean = if self.intercept { target.iter().sum::<f64>() / target.len() as f64 } else { 0.0 };
        let mut rest: Vec<f64> = target.iter().map(|value| value - mean).collect();
        let along: Vec<f64> = self
            .kept
            .iter()
            .map(|(_, direction, _)| {
                let along = dot(&rest, direction);
                remove(&mut rest, direction);
                along
            })
            .collect();
        let mut slopes = vec![0.0; self.means.len()];
        // Back substitution, from the last column that was kept.
        for (at, (column, _, own)) in self.kept.iter().enumerate().rev() {
            let later = self.kept[at + 1..].iter().map(|(column, _, of)| of[at] * slopes[*column]);
            slopes[*column] = (along[at] - later.sum::<f64>()) / own[at];
        }
        let intercept = mean - dot(&slopes, &self.means);
        Line { intercept, slopes }
    }
}

impl Line {
    /// The value at a row.
    pub fn at(&self, row: &[f64]) -> f64 {
        self.intercept + dot(&self.slopes, row)
    }
}

fn orthogonal(columns: Vec<Vec<f64>>, references: Vec<f64>) -> Vec<(usize, Vec<f64>, Vec<f64>)> {
    let mut kept: Vec<(usize, Vec<f64>, Vec<f64>)> = Vec::new();
    for ((index, mut column), reference) in columns.into_iter().enumerate().zip(references) {
        let mut components = vec![0.0; kept.len()];
        for _ in 0..2 {
            for ((_, direction, _), component) in kept.iter().zip(&mut components) {
                *component += dot(&column, direction);
                remove(&mut column, direction);
            }
        }
        let rest = dot(&column, &column);
        if rest > RANK_TOLERANCE * reference {
            scale(&mut column, rest.sqrt());
            components.push(rest.sqrt());
            kept.push((index, column, components));
        }
    }
    kept
}

/// Rows as columns.
pub(crate) fn columns_of<R: AsRef<[f64]>>(rows: &[R]) -> Vec<Vec<f64>> {
    let width = rows.first().map_or(0, |row| row.as_ref().len());
    (0..width).map(|at| rows.iter().map(|row| row.as_ref()[at]).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-10, "{a} is not {b}");
    }

    #[test]
    fn an_affine_map_is_found() {
        let columns: Vec<Vec<f64>> =
            vec![(0..9).map(f64::from).collect(), (0..9).map(|i| f64::from(i * i % 7)).collect()];
        let target: Vec<f64> = (0..9).map(|i| 5.0 + 2.0 * columns[0][i] - 3.0 * columns[1][i]).collect();
        let line = LeastSquares::with_intercept(columns).fit(&target);
        close(line.intercept, 5.0);
        close(line.slopes[0], 2.0);
        close(line.slopes[1], -3.0);
        close(line.at(&[10.0, 1.0]), 22.0);
    }

    #[test]
    fn worked_by_hand() {
        // x = 0, 1, 2, 3 and y = 0, 1, 1, 2: slope 0.6, intercept 0.1; through the origin 9/14.
        let (x, y) = (vec![0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 1.0, 2.0]);
        let line = LeastSquares::with_intercept(vec![x.clone()]).fit(&y);
        close(line.slopes[0], 0.6);
        close(line.intercept, 0.1);
        let line = LeastSquares::through_origin(vec![x], vec![14.0]).fit(&y);
        close(line.slopes[0], 9.0 / 14.0);
        assert_eq!(line.intercept, 0.0);
    }

    #[test]
    fn what_is_explained_already_has_no_coefficient() {
        let x: Vec<f64> = (0..8).map(|i| 0.1 * f64::from(i * i)).collect();
        let twice = x.iter().map(|x| 3.0 - 2.0 * x).collect();
        let y: Vec<f64> = (0..8).map(f64::from).collect();
        let columns = vec![vec![0.1; 8], x.clone(), twice, y.clone()];
        let line = LeastSquares::with_intercept(columns).fit(&y);
        assert_eq!((line.slopes[0], line.slopes[2]), (0.0, 0.0));
        close(line.slopes[1], 0.0);
        close(line.slopes[3], 1.0);
        assert_eq!(LeastSquares::through_origin(vec![vec![1e-9; 8]], vec![1.0]).fit(&y).slopes, [0.0]);
        assert_eq!(LeastSquares::with_intercept(vec![]).fit(&[1.0, 3.0]).at(&[]), 2.0);
    }
}
