//! The best one-to-one assignment: the Hungarian algorithm.

/// The one-to-one assignment of rows to columns whose scores have the largest sum: for each row its
/// column, `None` for the rows that are left over where there are more rows than columns.
///
/// `max_π Σ_r scores[r][π(r)]`, π injective on the smaller side.
///
/// The Hungarian algorithm in its O(n²m) form, by shortest augmenting paths (Kuhn 1955, Munkres 1957; Jonker
/// and Volgenant 1987): rows are assigned one after another; each takes the path along which the reduced
/// costs `−score − u_r − v_c ≥ 0` change least, and the potentials u, v move so that those of assigned
/// pairs stay 0. 512 rows and columns take a fraction of a second.
///
/// # Shapes
///
/// `scores`: `[rows][columns]`.
///
/// # Panics
///
/// If rows have different lengths, or a score is not finite.
pub fn best_assignment(scores: &[Vec<f64>]) -> Vec<Option<usize>> {
    let (rows, columns) = (scores.len(), scores.first().map_or(0, Vec::len));
    for (row, scores) in scores.iter().enumerate() {
        assert_eq!(scores.len(), columns, "row {row} has {} scores, row 0 has {columns}", scores.len());
        if let Some(column) = scores.iter().position(|score| !score.is_finite()) {
            panic!("row {row}, column {column}: the score {} is not finite", scores[column]);
        }
    }
    if rows <= columns {
        return smallest_cost(rows, columns, |row, column| -scores[row][column])
            .into_iter()
            .map(Some)
            .collect();
    }
    let mut of_row = vec![None; rows];
    let of_column = smallest_cost(columns, rows, |column, row| -scores[row][column]);
    for (column, row) in of_column.into_iter().enumerate() {
        of_row[row] = Some(column);
    }
    of_row
}

/// What is known of the columns while rows are assigned.
struct Columns {
    /// The row of each, if it has one.
    row: Vec<Option<usize>>,
    /// v.
    potential: Vec<f64>,
}

/// The column of each row; there are at least as many columns as rows.
fn smallest_cost(rows: usize, columns: usize, cost: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    let mut of = Columns { row: vec![None; columns], potential: vec![0.0; columns] };
    let mut row_potential = vec![0.0; rows];
    for row in 0..rows {
        augment(row, &mut of, &mut row_potential, &cost);
    }
    let mut of_row = vec![0; rows];
    for (column, row) in of.row.iter().enumerate() {
        if let Some(row) = *row {
            of_row[row] = column;
        }
    }
    of_row
}

/// Assigns `start`, and others anew along the shortest path to a free column.
fn augment(start: usize, of: &mut Columns, row_potential: &mut [f64], cost: &impl Fn(usize, usize) -> f64) {
    let columns = of.row.len();
    // Of each column not yet reached: the length of the shortest path to it, and the column before it.
    let (mut length, mut before) = (vec![f64::INFINITY; columns], vec![None; columns]);
    let mut reached: Vec<usize> = Vec::new();
    let mut is_reached = vec![false; columns];
    let (mut row, mut last) = (start, None);
    let free = loop {
        let mut nearest: Option<usize> = None;
        for column in (0..columns).filter(|&column| !is_reached[column]) {
            let reduced = cost(row, column) - row_potential[row] - of.potential[column];
            if reduced < length[column] {
                (length[column], before[column]) = (reduced, last);
            }
            if nearest.is_none_or(|nearest| length[column] < length[nearest]) {
                nearest = Some(column);
            }
        }
        let column = nearest.expect("there are at least as many columns as rows");
        let step = length[column];
        row_potential[start] += step;
        for &column in &reached {
            of.potential[column] -= step;
            if let Some(row) = of.row[column] {
                row_potential[row] += step;
            }
        }
        (0..columns).filter(|&column| !is_reached[column]).for_each(|column| length[column] -= step);
        is_reached[column] = true;
        match of.row[column] {
            Some(next) => {
                reached.push(column);
                (row, last) = (next, Some(column));
            }
            None => break column,
        }
    };
    let mut column = free;
    while let Some(previous) = before[column] {
        of.row[column] = of.row[previous];
        column = previous;
    }
    of.row[column] = Some(start);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn total(scores: &[Vec<f64>], assignment: &[Option<usize>]) -> f64 {
        assignment.iter().zip(scores).filter_map(|(column, scores)| column.map(|at| scores[at])).sum()
    }

    /// The largest sum over all ways to assign the rows from `row` on to the columns that are left.
    fn by_trying(scores: &[Vec<f64>], row: usize, taken: &mut [bool], spare: usize) -> f64 {
        let Some(own) = scores.get(row) else { return 0.0 };
        let mut best = f64::NEG_INFINITY;
        for column in 0..own.len() {
            if !std::mem::replace(&mut taken[column], true) {
                best = best.max(own[column] + by_trying(scores, row + 1, taken, spare));
                taken[column] = false;
            }
        }
        if spare > 0 {
            best = best.max(by_trying(scores, row + 1, taken, spare - 1));
        }
        best
    }

    #[test]
    fn worked_by_hand() {
        // The largest score of all, 9, would leave 1 + 2; 8 + 7 + 3 is more.
        let scores = vec![vec![9.0, 8.0, 1.0], vec![7.0, 2.0, 1.0], vec![4.0, 2.0, 3.0]];
        assert_eq!(best_assignment(&scores), [Some(1), Some(0), Some(2)]);
        assert_eq!(best_assignment(&[vec![1.0], vec![3.0], vec![2.0]]), [None, Some(0), None]);
        assert_eq!(best_assignment(&[vec![-1.0, -3.0, -0.5]]), [Some(2)]);
        assert!(best_assignment(&[]).is_empty());
        assert_eq!(best_assignment(&[vec![], vec![]]), [None, None]);
    }

    #[test]
    fn no_assignment_is_better() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for case in 0..200 {
            let (rows, columns) = (rng.random_range(1..7), rng.random_range(1..7));
            // Whole numbers in every other case, so that ties abound.
            let mut score = || match case % 2 {
                0 => rng.random_range(-1.0..1.0),
                _ => f64::from(rng.random_range(-3..4)),
            };
            let scores: Vec<Vec<f64>> = (0..rows).map(|_| (0..columns).map(|_| score()).collect()).collect();
            let found = best_assignment(&scores);
            let mut used: Vec<usize> = found.iter().flatten().copied().collect();
            used.sort_unstable();
            used.dedup();
            assert_eq!(used.len(), rows.min(columns));
            let spare = rows.saturating_sub(columns);
            let best = by_trying(&scores, 0, &mut vec![false; columns], spare);
            assert!((total(&scores, &found) - best).abs() < 1e-12, "{scores:?}");
        }
    }

    #[test]
    #[should_panic(expected = "row 1, column 0")]
    fn scores_are_finite() {
        best_assignment(&[vec![0.0, 0.0], vec![f64::NAN, 0.0]]);
    }
}
