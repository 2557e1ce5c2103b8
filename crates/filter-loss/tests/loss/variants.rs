//! The released gradient, the population of members, and the memory, against the oracle.

use burn::tensor::{Device, Tensor};
use explainer_filter_loss::{FilterLossConfig, Gradient, Population, Scale, TemplatesConfig};

use super::maps::{SCALES, bools, by_filter, floats, membership, random};
use super::oracle;

const GRADIENTS: [Gradient; 3] = [Gradient::Approximate, Gradient::Exact, Gradient::Released];

/// Whether each image is of a filter's category.
fn of(members: &[bool], filters: usize, filter: usize) -> Vec<bool> {
    members.iter().skip(filter).step_by(filters).copied().collect()
}

fn assert_near(found: &[Vec<f64>], expected: &[Vec<f64>], relative: f64, what: &str) {
    let largest = expected.iter().flatten().fold(0f64, |largest, value| largest.max(value.abs()));
    assert!(largest > 0.0, "{what}: nothing to compare");
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < relative * largest, "{what}: {found} {expected}");
    }
}

#[test]
fn the_released_gradient_is_what_its_definition_says() {
    for (n, largest) in [(1, 3.0), (4, 1.0), (5, 100.0), (7, 200.0)] {
        let maps = random([6, 3, n, n], largest, 2);
        let members = membership([6, 3]);
        let loss = FilterLossConfig::new(n).with_gradient(Gradient::Released).init(&Device::default());
        let gradient = by_filter(loss.gradient(maps.clone(), bools(members.clone(), [6, 3])));
        for (filter, maps) in by_filter(maps).iter().enumerate() {
            let members = of(&members, 3, filter);
            let expected = oracle::released_gradient(maps, &members, 4.0, &TemplatesConfig::new(n));
            assert_near(&gradient[filter], &expected, 2e-4, "released");
        }
    }
}

#[test]
fn the_population_of_members_leaves_the_others_out() {
    let (n, config) = (5, TemplatesConfig::new(5));
    let maps = random([8, 3, n, n], 80.0, 3);
    let members = membership([8, 3]);
    for gradient in GRADIENTS {
        let loss = FilterLossConfig::new(n)
            .with_gradient(gradient)
            .with_population(Population::Members)
            .init(&Device::default());
        let (value, found) = loss.value_and_gradient(maps.clone(), bools(members.clone(), [8, 3]));
        let (value, found) = (floats(value), by_filter(found));
        for (filter, maps) in by_filter(maps.clone()).iter().enumerate() {
            let members = of(&members, 3, filter);
            let inside = oracle::inside(maps, &members);
            let expected = oracle::value(&inside, &config);
            assert!((f64::from(value[filter]) - expected).abs() < 1e-5, "{} {expected}", value[filter]);
            let all = vec![true; inside.len()];
            let expected = match gradient {
                Gradient::Exact => oracle::exact_gradient(&inside, &config),
                Gradient::Approximate => oracle::gradient(&inside, &all, &config),
                _ => oracle::released_gradient(&inside, &all, 4.0, &config),
            };
            assert_near(&oracle::inside(&found[filter], &members), &expected, 2e-4, "members");
            let outside: Vec<bool> = members.iter().map(|member| !member).collect();
            assert!(oracle::inside(&found[filter], &outside).iter().flatten().all(|&value| value == 0.0));
        }
    }
}

#[test]
fn every_variant_is_finite_at_any_magnitude_and_without_members() {
    let n = 6;
    let maps: Vec<Tensor<4>> = [0.0, 1e-45, 1e-38, 1e-30, 1e-10, 1.0, 1e4, 1e10, 1e30]
        .into_iter()
        .flat_map(|magnitude| {
            let random = random([6, 1, n, n], 1.0, 8);
            let hot = random.clone().equal(random.clone().max().reshape([1, 1, 1, 1]).expand([6, 1, n, n]));
            let flat = Tensor::ones([6, 1, n, n], &Device::default());
            [random, hot.float(), flat].map(|maps| maps.mul_scalar(magnitude))
        })
        .collect();
    let filters = maps.len();
    let maps = Tensor::cat(maps, 1);
    for (scale, gradient) in SCALES.iter().flat_map(|scale| GRADIENTS.map(|gradient| (*scale, gradient))) {
        for population in [Population::All, Population::Members] {
            let loss = FilterLossConfig::new(n)
                .with_scale(scale)
                .with_gradient(gradient)
                .with_population(population)
                .with_diversity(0.1)
                .init(&Device::default());
            let mut memory = loss.memory(filters, 0.1);
            for members in [vec![false; 6 * filters], membership([6, filters]), vec![true; 6 * filters]] {
                let members = bools(members, [6, filters]);
                let batch = loss.value_and_gradient(maps.clone(), members.clone());
                let remembered = loss.value_and_gradient_with(&mut memory, maps.clone(), members);
                for (value, slope) in [batch, remembered] {
                    let all = [floats(value), floats(slope)].concat();
                    assert!(all.iter().all(|x| x.is_finite()), "{scale:?} {gradient:?} {population:?}");
                }
            }
        }
    }
}

#[test]
fn a_scale_free_gradient_of_any_kind_is_orthogonal_to_the_maps() {
    let maps = random([6, 3, 5, 5], 7.0, 12);
    for (scale, kind) in SCALES[1..].iter().flat_map(|scale| GRADIENTS.map(|kind| (*scale, kind))) {
        let loss = FilterLossConfig::new(5).with_scale(scale).with_gradient(kind).init(&Device::default());
        let gradient = by_filter(loss.gradient(maps.clone(), bools(membership([6, 3]), [6, 3])));
        for (maps, gradient) in by_filter(maps.clone()).iter().zip(&gradient) {
            let products = || maps.iter().flatten().zip(gradient.iter().flatten()).map(|(x, g)| x * g);
            let (along, size): (f64, f64) = (products().sum(), products().map(f64::abs).sum());
            assert!(size > 0.0 && along.abs() < 1e-5 * size, "{scale:?} {kind:?}: {along} of {size}");
        }
    }
}

/// Maps that go down the gradient, by a hundredth of their own size a step.
#[test]
fn only_a_loss_of_maps_as_they_are_drives_their_magnitude() {
    let shape = [8, 1, 5, 5];
    let members = bools(membership([8, 1]), [8, 1]);
    let norm = |maps: Tensor<4>| maps.square().sum().sqrt().into_scalar::<f32>();
    for (scale, kind) in SCALES.iter().flat_map(|scale| GRADIENTS.map(|kind| (*scale, kind))) {
        let loss = FilterLossConfig::new(5).with_scale(scale).with_gradient(kind).init(&Device::default());
        let start = random(shape, 1.0, 21);
        let maps = (0..300).fold(start.clone(), |maps, _| {
            let gradient = loss.gradient(maps.clone(), members.clone());
            let step = 0.01 * norm(maps.clone()) / norm(gradient.clone());
            (maps - gradient * step).clamp_min(0.0)
        });
        let growth = norm(maps) / norm(start);
        match scale {
            // Up or down.
            Scale::AsIs => assert!((growth - 1.0).abs() > 0.2, "{kind:?}: {growth}"),
            _ => assert!((growth - 1.0).abs() < 0.1, "{scale:?}, {kind:?}: {growth}"),
        }
    }
}

/// log Z_T and KL_T of a batch in `f64`, with Z_T as a mean over maps.
fn batch_statistics(
    maps: &[Vec<f64>],
    partition: Option<&[f64]>,
    config: &TemplatesConfig,
) -> Vec<(f64, f64)> {
    let values = config.values();
    let count = maps.len() as f64;
    let traces: Vec<Vec<f64>> = values
        .chunks(config.units())
        .map(|template| maps.iter().map(|map| map.iter().zip(template).map(|(x, t)| x * t).sum()).collect())
        .collect();
    let own: Vec<f64> =
        traces.iter().map(|row| row.iter().map(|trace: &f64| trace.exp()).sum::<f64>() / count).collect();
    let partition = partition.unwrap_or(&own);
    let density = |t: usize, x: usize| traces[t][x].exp() / partition[t];
    let marginal = |x: usize| (0..traces.len()).map(|t| density(t, x)).sum::<f64>() / traces.len() as f64;
    (0..traces.len())
        .map(|t| {
            let terms = (0..maps.len()).map(|x| density(t, x) * (density(t, x) / marginal(x)).ln());
            (own[t], terms.sum::<f64>() / count)
        })
        .collect()
}

#[test]
fn a_memory_is_the_running_mean_of_its_definition() {
    let (n, momentum) = (4, 0.4);
    let config = TemplatesConfig::new(n);
    let loss = FilterLossConfig::new(n).with_gradient(Gradient::Exact).init(&Device::default());
    let mut memory = loss.memory(2, momentum);
    let mut known = [(); 2].map(|()| (vec![0.0; config.count()], vec![0.0; config.count()]));
    for batch in 1..=5 {
        let maps = random([6, 2, n, n], 60.0, 20 + batch);
        let members = bools(membership([6, 2]), [6, 2]);
        let (value, gradient) = loss.value_and_gradient_with(&mut memory, maps.clone(), members);
        let (value, gradient) = (floats(value), by_filter(gradient));
        let weight = momentum.max(1.0 / batch as f64);
        for (filter, maps) in by_filter(maps).iter().enumerate() {
            let (partition, divergence) = &mut known[filter];
            for (known, (own, _)) in partition.iter_mut().zip(batch_statistics(maps, None, &config)) {
                *known = (1.0 - weight) * *known + weight * own;
            }
            for (known, (_, own)) in
                divergence.iter_mut().zip(batch_statistics(maps, Some(partition), &config))
            {
                *known = (1.0 - weight) * *known + weight * own;
            }
            let information = divergence.iter().sum::<f64>() / config.count() as f64;
            assert!((f64::from(value[filter]) + information).abs() < 1e-5, "{} {information}", value[filter]);
            let expected = oracle::exact_gradient_with(maps, partition, divergence, &config);
            assert_near(&gradient[filter], &expected, 2e-4, "memory");
        }
    }
}

#[test]
fn a_filter_without_images_keeps_its_memory() {
    let loss = FilterLossConfig::new(4).with_population(Population::Members).init(&Device::default());
    let mut memory = loss.memory(2, 0.3);
    let maps = |seed| random([4, 2, 4, 4], 40.0, seed);
    let first = [true, true].repeat(4);
    let (before, _) = loss.value_and_gradient_with(&mut memory, maps(1), bools(first, [4, 2]));
    let second = [true, false].repeat(4);
    let (after, gradient) = loss.value_and_gradient_with(&mut memory, maps(2), bools(second, [4, 2]));
    let (before, after) = (floats(before), floats(after));
    assert_eq!(before[1], after[1]);
    assert_ne!(before[0], after[0]);
    assert!(by_filter(gradient)[1].iter().flatten().all(|&value| value == 0.0));
}

/// Batches of a fixed set of maps: with a memory their gradients add up to the gradient of the whole set,
/// more closely than without.
#[test]
fn a_memory_brings_the_gradient_of_batches_close_to_that_of_all_maps() {
    let (n, images, size) = (5, 64, 8);
    for kind in [Gradient::Exact, Gradient::Approximate] {
        let loss = FilterLossConfig::new(n).with_gradient(kind).init(&Device::default());
        let maps = random([images, 1, n, n], 120.0, 30);
        let members = |count| bools(vec![true; count], [count, 1]);
        let whole = by_filter(loss.gradient(maps.clone(), members(images))).concat().concat();
        let mut memory = loss.memory(1, 0.02);
        let batch = |start: usize| maps.clone().narrow(0, start, size);
        for start in (0..12).flat_map(|_| (0..images).step_by(size)) {
            loss.value_and_gradient_with(&mut memory, batch(start), members(size));
        }
        let (mut with, mut without) = (vec![], vec![]);
        for start in (0..images).step_by(size) {
            let (_, gradient) = loss.value_and_gradient_with(&mut memory, batch(start), members(size));
            with.extend(by_filter(gradient).concat().concat());
            without.extend(by_filter(loss.gradient(batch(start), members(size))).concat().concat());
        }
        let cosine = |found: &[f64]| {
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            dot(found, &whole) / (dot(found, found) * dot(&whole, &whole)).sqrt()
        };
        assert!(cosine(&with) > 0.98, "{kind:?}: {}", cosine(&with));
        assert!(cosine(&with) > cosine(&without), "{kind:?}: {} {}", cosine(&with), cosine(&without));
    }
}

#[test]
#[should_panic(expected = "memory of 3 filters")]
fn a_memory_of_other_filters_is_refused() {
    let loss = FilterLossConfig::new(4).with_scale(Scale::AsIs).init(&Device::default());
    let mut memory = loss.memory(3, 0.1);
    loss.value_and_gradient_with(&mut memory, random([2, 2, 4, 4], 1.0, 1), bools(vec![true; 4], [2, 2]));
}
