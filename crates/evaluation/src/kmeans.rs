//! The control *k-means of the target layer*.

use burn::tensor::{Device, Int, Tensor, TensorData};
use explainer_baselines::{Dictionary, KMeansConfig};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::ceiling::directions;
use crate::probe::Directions;
use crate::{EvaluationError, EvidenceConfig};

/// Clusters the L2-normalised vectors of units drawn from these target features, each `[batch, C, h, w]`; an atom's
/// map is the cosine between a unit's vector and the centre.
///
/// `None` where there are fewer units than atoms.
pub(crate) fn fit(
    targets: &[Tensor<4>],
    config: &EvidenceConfig,
    device: &Device,
) -> Result<Option<Directions>, EvaluationError> {
    let units: Vec<usize> = targets.iter().map(units).collect();
    let all: usize = units.iter().sum();
    if all < config.atoms {
        return Ok(None);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let mut drawn = rand::seq::index::sample(&mut rng, all, config.vectors.min(all)).into_vec();
    drawn.sort_unstable();
    let (mut first, mut left, mut rows) = (0, &drawn[..], Vec::new());
    for (target, count) in targets.iter().zip(units) {
        let (here, behind) = left.split_at(left.partition_point(|&at| at < first + count));
        left = behind;
        if !here.is_empty() {
            let places: Vec<i64> = here.iter().map(|at| (at - first) as i64).collect();
            let places = Tensor::<1, Int>::from_data(TensorData::new(places, [here.len()]), device);
            rows.push(vectors(target.clone()).select(0, places));
        }
        first += count;
    }
    let fitted = KMeansConfig::new(config.atoms).with_seed(config.seed).fit(Tensor::cat(rows, 0))?;
    // What single codes are decoded to is the atoms, which have length 1.
    Ok(Some(Directions { atoms: fitted.decode(Tensor::eye(config.atoms, device)) }))
}

/// The number of units of maps.
fn units(maps: &Tensor<4>) -> usize {
    let [batch, _, height, width] = maps.dims();
    batch * height * width
}

/// The L2-normalised vectors of all units, `[n, C]`.
fn vectors(maps: Tensor<4>) -> Tensor<2> {
    let ([_, channels, _, _], count) = (maps.dims(), units(&maps));
    directions(maps).permute([0, 2, 3, 1]).reshape([count, channels])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors::floats;

    #[test]
    fn atoms_are_directions_and_their_maps_are_cosines() {
        // Units along (1, 0) and (0.6, 0.8), of any length.
        let device = Device::flex();
        let values = [1.0f32, 3.0, 0.6, 6.0, 0.0, 0.0, 0.8, 8.0];
        let target = Tensor::<1>::from_floats(values, &device).reshape([1, 2, 2, 2]);
        let config = EvidenceConfig::new().with_atoms(2);
        let atoms = fit(&[target.clone(), target.clone()], &config, &device).unwrap().expect("enough units");
        let maps = floats(atoms.maps(target));
        let order = if maps[0] > 0.9 { [0, 1] } else { [1, 0] };
        for (atom, expected) in order.into_iter().zip([[1.0, 1.0, 0.6, 0.6], [0.6, 0.6, 1.0, 1.0]]) {
            for (found, expected) in maps[4 * atom..4 * atom + 4].iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{maps:?}");
            }
        }
        let many = EvidenceConfig::new().with_atoms(9);
        assert!(fit(&[Tensor::ones([1, 2, 2, 2], &device)], &many, &device).unwrap().is_none());
    }
}
