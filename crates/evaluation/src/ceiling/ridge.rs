//! Ridge regression from running sums, in `f64`.

/// The sums a ridge regression of one target on C inputs needs: count, Σz, Σzzᵀ, Σy and Σzy.
///
/// Sums of disjoint sets add up, so that the regression on all sets but one costs no second pass.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sums {
    width: usize,
    count: f64,
    inputs: Vec<f64>,
    /// Σzzᵀ, row-major, both triangles.
    products: Vec<f64>,
    target: f64,
    mixed: Vec<f64>,
}

/// A regression: `y ≈ w · z + b`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weights {
    pub(crate) weights: Vec<f64>,
    pub(crate) intercept: f64,
}

/// A pivot of the Cholesky factor that is not positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NotPositive {
    pub(crate) pivot: f64,
}

impl Sums {
    pub(crate) fn new(width: usize) -> Self {
        let zeros = |count| vec![0.0; count];
        Self {
            width,
            count: 0.0,
            inputs: zeros(width),
            products: zeros(width * width),
            target: 0.0,
            mixed: zeros(width),
        }
    }

    /// Adds what was summed over some rows: their number, Σz, Σzzᵀ, Σy and Σzy.
    pub(crate) fn add(&mut self, count: usize, inputs: &[f32], products: &[f32], target: f64, mixed: &[f64]) {
        self.count += count as f64;
        self.target += target;
        accumulate(&mut self.inputs, inputs);
        accumulate(&mut self.products, products);
        self.mixed.iter_mut().zip(mixed).for_each(|(sum, value)| *sum += value);
    }

    /// Adds the sums of another set.
    pub(crate) fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.target += other.target;
        let pairs = [
            (&mut self.inputs, &other.inputs),
            (&mut self.products, &other.products),
            (&mut self.mixed, &other.mixed),
        ];
        for (own, other) in pairs {
            own.iter_mut().zip(other).for_each(|(sum, value)| *sum += value);
        }
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0.0
    }

    /// Minimises `Σ (w · z + b − y)² + λ‖w‖²`; b is not penalised.
    ///
    /// With means z̄ and ȳ: `(Σzzᵀ − n z̄z̄ᵀ + λI) w = Σzy − n z̄ȳ` and `b = ȳ − w · z̄`.
    pub(crate) fn ridge(&self, strength: f64) -> Result<Weights, NotPositive> {
        let (n, width) = (self.count, self.width);
        let means: Vec<f64> = self.inputs.iter().map(|sum| sum / n).collect();
        let mean = self.target / n;
        let mut matrix = self.products.clone();
        for (i, row) in matrix.chunks_exact_mut(width).enumerate() {
            row.iter_mut().zip(&means).for_each(|(value, other)| *value -= n * means[i] * other);
            row[i] += strength;
        }
        let right: Vec<f64> = self.mixed.iter().zip(&means).map(|(sum, z)| sum - n * z * mean).collect();
        let weights = solve(matrix, right)?;
        let intercept = mean - dot(&weights, &means);
        Ok(Weights { weights, intercept })
    }
}

fn accumulate(sums: &mut [f64], values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += f64::from(value));
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Lanes of their own, so that the compiler may use vector instructions.
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        (0..LANES).for_each(|lane| sums[lane] += a[lane] * b[lane]);
    }
    sums.iter().sum::<f64>() + rest
}

/// What a pivot keeps of its diagonal entry at least: what is less is rounding.
const LEAST: f64 = 64.0 * f64::EPSILON;

/// Solves `A x = b` for a symmetric positive definite A by its Cholesky factor, A = L Lᵀ.
fn solve(mut matrix: Vec<f64>, mut right: Vec<f64>) -> Result<Vec<f64>, NotPositive> {
    let size = right.len();
    for i in 0..size {
        let (above, from) = matrix.split_at_mut(i * size);
        let row = &mut from[..size];
        let least = LEAST * row[i];
        for j in 0..i {
            let other = &above[j * size..(j + 1) * size];
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let pivot = row[i] - dot(&row[..i], &row[..i]);
        // Not a number is not positive either.
        if pivot.is_nan() || pivot <= least {
            return Err(NotPositive { pivot });
        }
        row[i] = pivot.sqrt();
        right[i] = (right[i] - dot(&row[..i], &right[..i])) / row[i];
    }
    for i in (0..size).rev() {
        right[i] /= matrix[i * size + i];
        let value = right[i];
        let row = &matrix[i * size..i * size + i];
        right[..i].iter_mut().zip(row).for_each(|(rest, entry)| *rest -= entry * value);
    }
    Ok(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Sums of rows.
    fn sums(rows: &[(Vec<f64>, f64)]) -> Sums {
        let width = rows[0].0.len();
        let mut sums = Sums::new(width);
        for (z, y) in rows {
            let single: Vec<f32> = z.iter().map(|&value| value as f32).collect();
            let products: Vec<f32> = single.iter().flat_map(|a| single.iter().map(move |b| a * b)).collect();
            let mixed: Vec<f64> = z.iter().map(|value| value * y).collect();
            sums.add(1, &single, &products, *y, &mixed);
        }
        sums
    }

    #[test]
    fn worked_by_hand() {
        // z = 0, 2 and y = 1, 5: means 1 and 3, Σ(z − z̄)² = 2, Σ(z − z̄)(y − ȳ) = 4.
        let sums = sums(&[(vec![0.0], 1.0), (vec![2.0], 5.0)]);
        for (strength, weight, offset) in [(0.0, 2.0, 1.0), (2.0, 1.0, 2.0)] {
            let Weights { weights, intercept } = sums.ridge(strength).expect("positive definite");
            assert!((weights[0] - weight).abs() < 1e-12 && (intercept - offset).abs() < 1e-12);
        }
    }

    /// At the minimum every derivative is 0.
    #[test]
    fn the_gradient_vanishes() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let eighth = |value: f64| (8.0 * value).round() / 8.0;
        let rows: Vec<(Vec<f64>, f64)> = (0..60)
            .map(|_| {
                let z: Vec<f64> = (0..19).map(|_| eighth(rng.random_range(-2.0..2.0))).collect();
                let y = z[3] - 0.5 * z[18] + rng.random_range(-0.1..0.1);
                (z, y)
            })
            .collect();
        let strength = 0.7;
        let Weights { weights, intercept } = sums(&rows).ridge(strength).expect("positive definite");
        let residual: Vec<f64> = rows.iter().map(|(z, y)| dot(&weights, z) + intercept - y).collect();
        assert!(residual.iter().sum::<f64>().abs() < 1e-9, "of the intercept");
        for (at, weight) in weights.iter().enumerate() {
            let slope: f64 = rows.iter().zip(&residual).map(|((z, _), residual)| z[at] * residual).sum();
            assert!((slope + strength * weight).abs() < 1e-9, "weight {at}");
        }
    }

    #[test]
    fn joined_sums_are_those_of_all_rows() {
        let row = |at: usize| (vec![at as f64, (at * at) as f64], at as f64 - 1.0);
        let all: Vec<_> = (0..6).map(row).collect();
        let mut joined = sums(&all[..2]);
        joined.join(&sums(&all[2..]));
        assert_eq!(joined, sums(&all));
        assert!(Sums::new(3).is_empty() && !joined.is_empty());
    }

    #[test]
    fn a_singular_system_is_refused() {
        let sums = sums(&[(vec![1.0, 1.0], 0.0), (vec![2.0, 2.0], 1.0)]);
        assert!(sums.ridge(0.0).is_err());
        assert!(sums.ridge(1e-3).is_ok());
        let Err(singular) = sums.ridge(f64::NAN) else { panic!("no number") };
        assert!(singular.pivot.is_nan());
    }
}
