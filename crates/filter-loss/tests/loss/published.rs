//! Value, gradients, scales and diversity over the batch as population.

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use explainer_filter_loss::{
    FilterLoss, FilterLossConfig, Gradient, Scale, TemplatesConfig, inject, strongest_units,
};

use super::maps::{SCALES, bools, by_filter, floats, has_bf16, membership, random};
use super::oracle;

fn loss(n: usize, scale: Scale) -> FilterLoss {
    FilterLossConfig::new(n).with_scale(scale).init(&Device::default())
}

#[test]
fn the_value_is_the_papers() {
    for scale in SCALES {
        for (n, largest) in [(1, 3.0), (4, 1.0), (5, 100.0), (7, 400.0)] {
            let maps = random([6, 3, n, n], largest, 1);
            let values = floats(loss(n, scale).value(maps.clone(), bools(membership([6, 3]), [6, 3])));
            let config = TemplatesConfig::new(n);
            for (filter, maps) in by_filter(maps).iter().enumerate() {
                let expected = oracle::value(&oracle::scaled(maps, scale, &config), &config);
                let error = (f64::from(values[filter]) - expected).abs();
                assert!(error < 1e-5 * expected.abs() + 1e-7, "{scale:?} {n}: {} {expected}", values[filter]);
            }
        }
    }
}

#[test]
fn the_approximate_gradient_is_the_papers() {
    for (n, largest) in [(1, 3.0), (4, 1.0), (5, 100.0), (7, 400.0)] {
        let maps = random([6, 3, n, n], largest, 2);
        let members = membership([6, 3]);
        let gradient = loss(n, Scale::AsIs).gradient(maps.clone(), bools(members.clone(), [6, 3]));
        assert_eq!(gradient.dims(), [6, 3, n, n]);
        let gradient = by_filter(gradient);
        for (filter, maps) in by_filter(maps).iter().enumerate() {
            let members: Vec<bool> = members.iter().skip(filter).step_by(3).copied().collect();
            let expected = oracle::gradient(maps, &members, &TemplatesConfig::new(n));
            let largest = expected.iter().flatten().fold(0f64, |largest, value| largest.max(value.abs()));
            for (value, expected) in gradient[filter].iter().flatten().zip(expected.iter().flatten()) {
                assert!((value - expected).abs() < 2e-4 * largest, "{n}: {value} {expected}");
            }
        }
    }
}

/// The derivative of the value at one unit, by central differences in `f64`.
fn difference(maps: &[Vec<f64>], image: usize, unit: usize, value: impl Fn(&[Vec<f64>]) -> f64) -> f64 {
    let moved = |step: f64| {
        let mut moved = maps.to_vec();
        moved[image][unit] += step;
        value(&moved)
    };
    (moved(1e-4) - moved(-1e-4)) / 2e-4
}

#[test]
fn the_exact_gradients_formula_is_the_derivative_of_the_value() {
    for (n, largest) in [(1, 3.0), (4, 30.0), (5, 100.0)] {
        let config = TemplatesConfig::new(n);
        for maps in by_filter(random([6, 2, n, n], largest, 9)) {
            let expected = oracle::exact_gradient(&maps, &config);
            let largest = expected.iter().flatten().fold(0f64, |largest, value| largest.max(value.abs()));
            assert!(largest > 1e-6, "{n}: nothing to compare");
            for (image, row) in expected.iter().enumerate() {
                for (unit, expected) in row.iter().enumerate() {
                    let found = difference(&maps, image, unit, |maps| oracle::value(maps, &config));
                    assert!((found - expected).abs() < 1e-6 * largest, "{n}: {found} {expected}");
                }
            }
        }
    }
}

#[test]
fn the_exact_gradient_is_the_derivative_of_the_value_at_every_scale() {
    let n = 5;
    let config = TemplatesConfig::new(n);
    for scale in SCALES {
        let maps = random([6, 2, n, n], 30.0, 10);
        let loss = FilterLossConfig::new(n).with_scale(scale).with_gradient(Gradient::Exact);
        let gradient = by_filter(
            loss.init(&Device::default()).gradient(maps.clone(), bools(membership([6, 2]), [6, 2])),
        );
        for (maps, gradient) in by_filter(maps).iter().zip(&gradient) {
            let value = |maps: &[Vec<f64>]| oracle::value(&oracle::scaled(maps, scale, &config), &config);
            let expected: Vec<f64> = (0..6 * n * n)
                .map(|index| difference(maps, index / (n * n), index % (n * n), value))
                .collect();
            let largest = expected.iter().fold(0f64, |largest, value| largest.max(value.abs()));
            for (found, expected) in gradient.iter().flatten().zip(&expected) {
                assert!((found - expected).abs() < 1e-4 * largest, "{scale:?}: {found} {expected}");
            }
        }
    }
}

/// The scale-free gradient is (∂x̃/∂x)ᵀ g̃(x̃): its component at a unit is the derivative of ⟨x̃(x), g̃⟩
/// with g̃ held, here by central differences of the definition of x̃.
/// Members as the oracle takes them, image by image.
fn by_image(members: &[bool], filters: usize) -> Vec<Vec<bool>> {
    members.chunks(filters).map(<[bool]>::to_vec).collect()
}

#[test]
fn the_diversity_is_what_its_definition_says() {
    for (scale, largest) in [(Scale::AsIs, 60.0), (Scale::Mass { trace: 4.0 }, 1.0)] {
        let (maps, config) = (random([6, 5, 4, 4], largest, 11), TemplatesConfig::new(4));
        let members = membership([6, 5]);
        let found = loss(4, scale).negative_diversity(maps.clone(), bools(members.clone(), [6, 5]));
        let scaled: Vec<_> =
            by_filter(maps).iter().map(|maps| oracle::scaled(maps, scale, &config)).collect();
        let expected = oracle::negative_diversity(&scaled, &by_image(&members, 5), &config);
        for (found, expected) in floats(found).into_iter().zip(expected) {
            assert!(expected < -1e-3, "the test needs filters that differ: {expected}");
            assert!((f64::from(found) / expected - 1.0).abs() < 1e-4, "{found} {expected}");
        }
    }
}

#[test]
fn the_gradient_of_the_diversity_is_the_derivative_of_its_value() {
    const KAPPA: f64 = 0.7;
    let shape = [5, 4, 3, 3];
    let config = TemplatesConfig::new(3);
    for (scale, largest) in [(Scale::AsIs, 40.0), (Scale::Mass { trace: 3.0 }, 1.0)] {
        let maps = random(shape, largest, 12).add_scalar(0.05 * largest);
        let flags = membership([5, 4]);
        let members = || bools(flags.clone(), [5, 4]);
        let with = |diversity| {
            let config = FilterLossConfig::new(3).with_scale(scale).with_gradient(Gradient::Exact);
            config.with_diversity(diversity).init(&Device::default()).gradient(maps.clone(), members())
        };
        let own = by_filter(with(KAPPA) - with(0.0));
        let total = |filters: &[Vec<Vec<f64>>]| {
            let scaled: Vec<_> = filters.iter().map(|maps| oracle::scaled(maps, scale, &config)).collect();
            let sum: f64 = oracle::negative_diversity(&scaled, &by_image(&flags, 4), &config).iter().sum();
            KAPPA * sum
        };
        let filters = by_filter(maps.clone());
        let largest_derivative = own.iter().flatten().flatten().fold(0.0, |most: f64, g| most.max(g.abs()));
        for filter in 0..4 {
            for (image, unit) in [(0, 0), (1, 4), (2, 8), (4, 3)] {
                let expected = difference(&filters[filter], image, unit, |moved| {
                    let mut filters = filters.clone();
                    filters[filter] = moved.to_vec();
                    total(&filters)
                });
                let found = own[filter][image][unit];
                assert!((found - expected).abs() < 2e-4 * largest_derivative, "{found} {expected}");
            }
        }
    }
}

#[test]
fn filters_that_agree_have_no_diversity_and_filters_that_differ_have() {
    let members = || bools(vec![true; 12], [4, 3]);
    let strong = FilterLossConfig::new(4).with_scale(Scale::AsIs).init(&Device::default());
    let one = template_maps(4, &[0, 5, 10, 15], 3000.0);
    let alike = strong.negative_diversity(one.clone().repeat_dim(1, 3), members());
    assert!(floats(alike).iter().all(|value| value.abs() < 1e-5));
    // Three filters, each at another unit of the same image. Of three the diversity is at most log 3.
    let others = [[5, 10, 15, 0], [10, 15, 0, 5]].map(|centers| template_maps(4, &centers, 3000.0));
    let [second, third] = others;
    let apart = strong.negative_diversity(Tensor::cat(vec![one, second, third], 1), members());
    for value in floats(apart) {
        assert!((-3f32.ln() - 1e-4..-0.4).contains(&value), "{value}");
    }
    let none = bools(vec![false; 12], [4, 3]);
    let nobody = strong.negative_diversity(random([4, 3, 4, 4], 10.0, 3), none);
    assert_eq!(floats(nobody), [0.0; 3]);
}

#[test]
fn the_scale_free_gradient_goes_through_the_normalisation() {
    let n = 4;
    let config = TemplatesConfig::new(n);
    for scale in &SCALES[1..] {
        let maps = random([5, 2, n, n], 3.0, 3);
        let members = membership([5, 2]);
        let gradient = by_filter(loss(n, *scale).gradient(maps.clone(), bools(members.clone(), [5, 2])));
        for (filter, maps) in by_filter(maps).iter().enumerate() {
            let members: Vec<bool> = members.iter().skip(filter).step_by(2).copied().collect();
            let held = oracle::gradient(&oracle::scaled(maps, *scale, &config), &members, &config);
            for image in 0..5 {
                for unit in 0..n * n {
                    let aligned = |step: f64| {
                        let mut moved = maps.clone();
                        moved[image][unit] += step;
                        let moved = oracle::scaled(&moved, *scale, &config);
                        moved.iter().flatten().zip(held.iter().flatten()).map(|(x, g)| x * g).sum::<f64>()
                    };
                    let expected = (aligned(1e-4) - aligned(-1e-4)) / 2e-4;
                    let value = gradient[filter][image][unit];
                    assert!((value - expected).abs() < 1e-6, "{scale:?}: {value} {expected}");
                }
            }
        }
    }
}

#[test]
fn the_scale_free_gradient_is_orthogonal_to_the_maps_of_each_filter() {
    for scale in &SCALES[1..] {
        for magnitude in [1e-30, 1.0, 1e4] {
            let maps = random([8, 4, 6, 6], 1.0, 4);
            let gradient = loss(6, *scale)
                .gradient(maps.clone().mul_scalar(magnitude), bools(membership([8, 4]), [8, 4]));
            let gradient = by_filter(gradient.mul_scalar(magnitude));
            for (maps, gradient) in by_filter(maps).iter().zip(&gradient) {
                let products = maps.iter().flatten().zip(gradient.iter().flatten()).map(|(x, g)| x * g);
                let size: f64 = products.clone().map(f64::abs).sum();
                assert!(size > 1e-4, "{scale:?} {magnitude}: nothing to compare, {size}");
                assert!(products.sum::<f64>().abs() < 1e-5 * size, "{scale:?} {magnitude}");
            }
        }
    }
}

#[test]
fn value_and_gradient_are_those_asked_for_apart() {
    for scale in SCALES {
        let maps = random([5, 3, 6, 6], 50.0, 5);
        let members = bools(membership([5, 3]), [5, 3]);
        let loss = loss(6, scale);
        let (value, gradient) = loss.value_and_gradient(maps.clone(), members.clone());
        assert_eq!(floats(value), floats(loss.value(maps.clone(), members.clone())));
        assert_eq!(floats(gradient), floats(loss.gradient(maps, members)));
    }
}

/// Maps that are the positive part of a template, at one position for each image.
fn template_maps(n: usize, centers: &[usize], strength: f64) -> Tensor<4> {
    let config = TemplatesConfig::new(n);
    let (values, units) = (config.values(), config.units());
    let rows = centers.iter().flat_map(|&center| &values[center * units..(center + 1) * units]);
    let maps: Vec<f32> = rows.map(|value| (strength * value.max(0.0) / config.tau()) as f32).collect();
    Tensor::from_data(TensorData::new(maps, [centers.len(), 1, n, n]), &Device::default())
}

#[test]
fn information_lies_between_zero_and_both_entropies() {
    for scale in SCALES {
        for largest in [1e-3, 1.0, 1e3, 1e5] {
            let members = bools(membership([9, 4]), [9, 4]);
            let values = floats(loss(6, scale).value(random([9, 4, 6, 6], largest, 6), members));
            for information in values.iter().map(|value| -value) {
                assert!(information > -1e-6, "{scale:?} {largest}: {information}");
                assert!(information < 9f32.ln().min(37f32.ln()) + 1e-5, "{scale:?} {largest}: {information}");
            }
        }
    }
}

#[test]
fn maps_of_templates_at_different_places_are_more_informative_than_noise() {
    let n = 7;
    let centers = [8, 12, 17, 24, 30, 36, 40, 45];
    let parts = template_maps(n, &centers, 1.0);
    let same_place = template_maps(n, &[24; 8], 1.0);
    let noise = random([8, 1, n, n], 1.0, 7);
    for scale in [Scale::Mass { trace: 10.0 }, Scale::Energy { trace: 10.0 }] {
        let information =
            |maps: &Tensor<4>| -floats(loss(n, scale).value(maps.clone(), bools(vec![true; 8], [8, 1])))[0];
        let (parts, same_place, noise) = (information(&parts), information(&same_place), information(&noise));
        assert!(parts > 3.0 * noise, "{scale:?}: {parts} against noise of {noise}");
        assert!(same_place.abs() < 1e-5, "{scale:?}: {same_place} from images that are all the same");
    }
}

#[test]
fn a_part_that_moves_takes_its_gradient_along() {
    let n = 9;
    // The first image's part moves by (1, 2); away from borders its gradient does, inside the margin.
    let gradient = |center: usize| {
        let maps = template_maps(n, &[center, 20], 30.0);
        let members = bools(vec![true, true], [2, 1]);
        by_filter(loss(n, Scale::AsIs).gradient(maps, members)).remove(0).remove(0)
    };
    let (at, moved) = (gradient(3 * n + 3), gradient(4 * n + 5));
    // The weight depends on how the two maps overlap; the form may not.
    let factor = moved[4 * n + 5] / at[3 * n + 3];
    assert!(factor > 0.0 && at[3 * n + 3] < 0.0, "a member's strongest unit is to grow: {at:?}");
    for i in 0..n - 1 {
        for j in 0..n - 2 {
            let (before, after) = (at[i * n + j], moved[(i + 1) * n + j + 2]);
            assert!((after - factor * before).abs() < 1e-5 * at[3 * n + 3].abs() * factor, "{i} {j}");
        }
    }
}

#[test]
fn members_are_pulled_to_a_place_and_others_pushed_down_everywhere() {
    // Two images with a part and two that show nothing; the loss wants to keep it so.
    let parts = template_maps(5, &[7, 16], 60.0);
    let maps = Tensor::cat(vec![parts, Tensor::zeros([2, 1, 5, 5], &Device::default())], 0);
    let members = bools(vec![true, true, false, false], [4, 1]);
    let gradient = by_filter(loss(5, Scale::AsIs).gradient(maps, members)).remove(0);
    assert!(gradient[0][7] < 0.0 && gradient[0][24] > 0.0, "{:?}", gradient[0]);
    assert!(gradient[1][16] < 0.0 && gradient[1][0] > 0.0, "{:?}", gradient[1]);
    for silent in &gradient[2..] {
        assert!(silent.iter().all(|&value| value > 0.0 && value == silent[0]), "{silent:?}");
    }
}

#[test]
fn maps_of_any_magnitude_have_finite_values_and_gradients() {
    let n = 13;
    let mut maps = vec![];
    for magnitude in [0.0, 1e-45, 1e-38, 1e-30, 1e-10, 1.0, 1e4, 1e10, 1e30] {
        maps.push(random([6, 1, n, n], 1.0, 8).mul_scalar(magnitude));
        maps.push(Tensor::ones([6, 1, n, n], &Device::default()).mul_scalar(magnitude));
        let hot = template_maps(n, &[0, 1, 84, 84, 168, 3], 1.0).greater_equal_scalar(1.0).float();
        maps.push(hot.clone().mul_scalar(magnitude));
        maps.push(Tensor::cat(
            vec![hot.narrow(0, 0, 1).mul_scalar(magnitude), Tensor::zeros([5, 1, n, n], &Device::default())],
            0,
        ));
    }
    let filters = maps.len();
    let maps = Tensor::cat(maps, 1);
    for scale in SCALES {
        for members in [vec![true; 6 * filters], vec![false; 6 * filters], membership([6, filters])] {
            let (value, gradient) =
                loss(n, scale).value_and_gradient(maps.clone(), bools(members, [6, filters]));
            assert!(floats(value).iter().all(|value| value.is_finite()), "{scale:?}");
            let gradient = by_filter(gradient);
            for (filter, gradient) in gradient.iter().enumerate() {
                assert!(gradient.iter().flatten().all(|value| value.is_finite()), "{scale:?} {filter}");
            }
            assert!(gradient[..4].iter().flatten().flatten().all(|&value| value == 0.0), "{scale:?}: silent");
        }
        for members in [vec![true; 6 * filters], vec![false; 6 * filters], membership([6, filters])] {
            let diverse =
                FilterLossConfig::new(n).with_scale(scale).with_diversity(0.5).init(&Device::default());
            let members = bools(members, [6, filters]);
            let value = diverse.negative_diversity(maps.clone(), members.clone());
            let gradient = diverse.gradient(maps.clone(), members);
            let all = [floats(value), floats(gradient)].concat();
            assert!(all.iter().all(|value| value.is_finite()), "{scale:?}: diversity");
        }
    }
}

#[test]
fn a_nan_is_not_hidden_and_stays_in_its_filter() {
    let mut values = floats(random([4, 2, 5, 5], 10.0, 18));
    values[60] = f32::NAN;
    let maps = Tensor::from_data(TensorData::new(values, [4, 2, 5, 5]), &Device::default());
    for scale in SCALES {
        let (value, gradient) = loss(5, scale).value_and_gradient(maps.clone(), bools(vec![true; 8], [4, 2]));
        let value = floats(value);
        assert!(value[0].is_nan() && value[1].is_finite(), "{scale:?}: {value:?}");
        let gradient = by_filter(gradient);
        assert!(gradient[0].iter().flatten().any(|value| value.is_nan()), "{scale:?}");
        assert!(gradient[1].iter().flatten().all(|value| value.is_finite()), "{scale:?}");
    }
}

#[test]
fn a_batch_of_one_tells_nothing() {
    for scale in SCALES {
        let (value, gradient) = loss(5, scale)
            .value_and_gradient(random([1, 2, 5, 5], 10.0, 9), bools(vec![true, false], [1, 2]));
        assert_eq!(floats(value), [0.0, 0.0]);
        assert_eq!(floats(gradient), [0.0; 50]);
    }
}

#[test]
fn half_floats_are_computed_in_single_precision() {
    let half = if has_bf16() { FloatDType::BF16 } else { FloatDType::F16 };
    let maps = random([6, 3, 5, 5], 50.0, 10).cast(half);
    let members = bools(membership([6, 3]), [6, 3]);
    for scale in SCALES {
        let (value, gradient) = loss(5, scale).value_and_gradient(maps.clone(), members.clone());
        let single = loss(5, scale).value_and_gradient(maps.clone().cast(FloatDType::F32), members.clone());
        assert_eq!(value.dtype(), burn::tensor::DType::F32);
        assert_eq!(floats(value), floats(single.0));
        assert_eq!(floats(gradient), floats(single.1));
    }
}

#[test]
fn nothing_is_tracked_on_an_autodiff_device() {
    let device = Device::default().autodiff();
    let maps = Tensor::from_inner(random([6, 3, 5, 5], 50.0, 11)).require_grad();
    let members = Tensor::from_data(TensorData::new(membership([6, 3]), [6, 3]), &device);
    for scale in SCALES {
        let config = FilterLossConfig::new(5).with_scale(scale);
        // The loss may have been made on either device, and the maps be a leaf or a result.
        for loss in [config.init(&device), config.init(&Device::default())] {
            for maps in [maps.clone(), maps.clone().mul_scalar(1.0)] {
                let (value, gradient) = loss.value_and_gradient(maps.clone(), members.clone());
                assert!(!value.is_autodiff() && !value.is_require_grad());
                assert!(!gradient.is_autodiff() && !gradient.is_require_grad());
                assert!(!strongest_units(maps).is_autodiff());
            }
        }
    }
}

#[test]
fn an_injected_gradient_arrives_with_the_value() {
    let loss = loss(5, Scale::Mass { trace: 2.0 });
    let members = bools(membership([6, 3]), [6, 3]);
    // These gradients are too small for the other half floats.
    let bf16 = has_bf16().then_some(FloatDType::BF16);
    for dtype in [FloatDType::F32].into_iter().chain(bf16) {
        let leaf = Tensor::from_inner(random([6, 3, 5, 5], 50.0, 12).cast(dtype)).require_grad();
        let maps = leaf.clone().mul_scalar(2.0);
        let (value, gradient) = loss.value_and_gradient(maps.clone(), members.clone());
        let term = inject(maps, gradient.clone(), value.clone().sum());
        assert_eq!(floats(term.clone()), floats(value.sum()));
        let arrived = floats(leaf.grad(&term.backward()).unwrap());
        for (value, expected) in arrived.iter().zip(floats(gradient)) {
            let rounding = if dtype == FloatDType::F32 { 1e-6 } else { 2e-2 };
            assert!((value - 2.0 * expected).abs() <= rounding * expected.abs(), "{value} {expected}");
        }
    }
}

#[test]
fn a_leaf_that_requires_gradients_gets_the_injected_one_only() {
    let leaf = Tensor::from_inner(random([2, 1, 3, 3], 1.0, 13)).require_grad();
    let gradient = random([2, 1, 3, 3], 1.0, 14);
    let value = Tensor::<1>::from_floats([-0.75], &Device::default());
    let term = inject(leaf.clone(), gradient.clone(), value);
    assert_eq!(floats(term.clone()), [-0.75]);
    assert_eq!(floats(leaf.grad(&term.backward()).unwrap()), floats(gradient));
}

#[test]
#[should_panic(expected = "5 × 5")]
fn maps_of_another_size_are_refused() {
    loss(5, Scale::AsIs).value(random([2, 1, 4, 4], 1.0, 15), bools(vec![true; 2], [2, 1]));
}

#[test]
#[should_panic(expected = "`members` needs one entry")]
fn members_of_other_maps_are_refused() {
    loss(4, Scale::AsIs).gradient(random([2, 1, 4, 4], 1.0, 16), bools(vec![true; 3], [3, 1]));
}

#[test]
#[should_panic(expected = "the shape of the maps")]
fn a_gradient_of_other_maps_is_not_injected() {
    let value = Tensor::<1>::from_floats([0.0], &Device::default());
    inject(random([2, 1, 3, 3], 1.0, 17), random([2, 1, 4, 4], 1.0, 17), value);
}

#[test]
#[should_panic(expected = "diversity is -1")]
fn a_negative_weight_of_diversity_is_refused() {
    FilterLossConfig::new(4).with_diversity(-1.0).init(&Device::default());
}

#[test]
fn it_shows_its_settings() {
    let loss = loss(4, Scale::Energy { trace: 2.5 });
    assert!(format!("{loss}").contains("FilterLoss"), "{loss}");
    assert!(format!("{}", loss.config()).contains("2.5"), "{}", loss.config());
}
