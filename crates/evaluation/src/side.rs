//! Which way an object faces, without labels.

/// Rounds of the power iteration.
const ROUNDS: usize = 300;

/// Which way each image's object faces, 0 or 1, from how its features differ from their mirror image: the sign along
/// the first principal axis of these differences. The axis has no sign of its own: an image and its mirror image are
/// on different sides, and which of them is called 1 is up to the first image whose difference is not 0.
///
/// `differences` has a row for each image; all rows are of one length. Rows without any difference are 0.
pub(crate) fn facing(differences: &[Vec<f32>]) -> Vec<usize> {
    let count = differences.len();
    // The axis's scores are the first eigenvector of the products of rows.
    let product = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum() };
    let mut products = vec![0.0; count * count];
    for i in 0..count {
        for j in 0..=i {
            let value = product(&differences[i], &differences[j]);
            products[i * count + j] = value;
            products[j * count + i] = value;
        }
    }
    // The longest column starts nearer to the first eigenvector than any other one.
    let longest = (0..count).max_by(|&a, &b| products[a * count + a].total_cmp(&products[b * count + b]));
    let Some(longest) = longest else { return Vec::new() };
    let mut scores: Vec<f64> = products[longest * count..][..count].to_vec();
    for _ in 0..ROUNDS {
        let length = scores.iter().map(|score| score * score).sum::<f64>().sqrt();
        if length == 0.0 {
            return vec![0; count];
        }
        scores.iter_mut().for_each(|score| *score /= length);
        let row = |row: &[f64]| row.iter().zip(&scores).map(|(a, b)| a * b).sum();
        scores = products.chunks_exact(count).map(row).collect();
    }
    let sign = scores.iter().copied().find(|&score| score != 0.0).map_or(1.0, f64::signum);
    scores.into_iter().map(|score| usize::from(score * sign > 0.0)).collect()
}

/// Row of [`facing`]: the mean over rows of maps less that of their mirror image, for the left half of the columns.
/// `maps` is `[channels, height, width]` of one image.
pub(crate) fn difference(maps: &[f32], [height, width]: [usize; 2]) -> Vec<f32> {
    let half = width / 2;
    let mut found = Vec::with_capacity(maps.len() / height.max(1));
    for map in maps.chunks_exact(height * width) {
        found.extend((0..half).map(|column| {
            let across = |row: &[f32]| row[column] - row[width - 1 - column];
            map.chunks_exact(width).map(across).sum::<f32>() / height as f32
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_image_faces_the_other_way() {
        // One channel of 2 × 4: something bright on the left in even images, on the right in odd ones.
        let image = |at: usize| {
            let mut map = vec![0.1; 8];
            map[if at.is_multiple_of(2) { 4 } else { 7 }] = 1.0 + at as f32 / 10.0;
            difference(&map, [2, 4])
        };
        assert_eq!(image(0), [0.45, 0.0]);
        let rows: Vec<Vec<f32>> = (0..9).map(image).collect();
        let sides = facing(&rows);
        assert_eq!(sides, [1, 0, 1, 0, 1, 0, 1, 0, 1]);
        assert!(facing(&[]).is_empty());
        assert_eq!(facing(&[vec![0.0; 3], vec![0.0; 3]]), [0, 0]);
    }

    #[test]
    fn the_axis_is_the_one_with_most_variance() {
        // Two axes; the first has three times the spread.
        let rows = [[3.0, 1.0], [-3.0, 1.0], [3.0, -1.0], [-3.0, -1.0]].map(|row| row.to_vec());
        assert_eq!(facing(&rows), [1, 0, 1, 0]);
    }
}
