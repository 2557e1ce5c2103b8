//! What becomes of images, and what is kept of it.

use super::*;
use crate::testing::{SIZE, TinyPerformer, features, images};

#[test]
fn rows_are_what_the_performer_makes_of_images_and_their_mirror_images() {
    let (performer, device) = (TinyPerformer::new(1), Device::flex());
    let cached = features(&performer, 5, &FeatureConfig::plain().with_mirror(true).with_batch_size(4));
    assert_eq!((cached.len(), cached.is_mapped()), (10, false));
    for (index, image) in images(5, 1).into_iter().enumerate() {
        let batch = cached.batch(&[2 * index, 2 * index + 1]);
        assert_eq!(batch.categories, [image.category; 2]);
        let upright = performer.preprocessing().batch(&[&image.pixels], &device).unwrap();
        let tapped = performer.tap(Tensor::cat(vec![upright.clone(), upright.flip([3])], 0));
        for (own, expected) in [
            (batch.target.flatten::<2>(1, 3), tapped.target.flatten(1, 3)),
            (batch.upper[0].clone(), tapped.upper[0].clone()),
            (batch.upper[1].clone(), tapped.upper[1].clone()),
            (batch.scores, tapped.scores),
        ] {
            let difference = (own - expected).abs().max().into_scalar::<f32>();
            assert!(difference < 1e-5, "{difference}");
        }
    }
}

#[test]
fn crops_follow_their_image_and_keep_its_category() {
    let (performer, plain) = (TinyPerformer::new(1), FeatureConfig::plain());
    let config = plain.clone().with_crops(2).with_batch_size(4);
    let cached = features(&performer, 5, &config);
    let alone = features(&performer, 5, &plain);
    assert_eq!((config.views(), cached.len(), alone.len()), (3, 15, 5));
    for image in 0..5 {
        let rows = cached.batch(&[3 * image, 3 * image + 1, 3 * image + 2]);
        assert_eq!(rows.categories, [alone.categories()[image]; 3]);
        let own = floats(alone.batch(&[image]).target);
        let target: Vec<Vec<f32>> = floats(rows.target).chunks(own.len()).map(<[f32]>::to_vec).collect();
        let distance = |other: &[f32]| own.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(distance(&target[0]) < 1e-5);
        assert!(distance(&target[1]) > 1e-3 && target[1] != target[2]);
    }
    let again = features(&performer, 5, &config);
    assert_eq!(floats(again.batch(&[4]).target), floats(cached.batch(&[4]).target));
    let other = features(&performer, 5, &config.with_seed(1));
    assert_ne!(floats(other.batch(&[4]).target), floats(cached.batch(&[4]).target));
}

#[test]
fn shuffled_upper_features_are_another_images_view_by_view() {
    let performer = TinyPerformer::new(1);
    let own = features(&performer, 7, &FeatureConfig::plain().with_mirror(true));
    let shuffled = own.with_shuffled_upper(3).unwrap();
    let all: Vec<usize> = (0..own.len()).collect();
    let (before, after) = (own.batch(&all), shuffled.batch(&all));
    assert_eq!(floats(after.target), floats(before.target));
    assert_eq!(after.categories, before.categories);
    let rows = |values: Tensor<2>| -> Vec<Vec<f32>> {
        let width = values.dims()[1];
        floats(values).chunks_exact(width).map(<[f32]>::to_vec).collect()
    };
    let (scores, shuffled_scores) = (rows(before.scores), rows(after.scores));
    let (upper, shuffled_upper) = (rows(before.upper[0].clone()), rows(after.upper[0].clone()));
    let mut images = Vec::new();
    for row in all {
        // Upper features and scores stay together.
        let from = scores.iter().position(|other| *other == shuffled_scores[row]).expect("another row's");
        assert_eq!(shuffled_upper[row], upper[from]);
        assert_ne!(from / 2, row / 2, "no image keeps its own");
        assert_eq!(from % 2, row % 2, "mirror images beside mirror images");
        assert_eq!(shuffled.upper(row).next().unwrap(), upper[from]);
        assert_eq!(shuffled.scores(row), scores[from]);
        images.push(from / 2);
    }
    images.sort_unstable();
    assert_eq!(images, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6], "each once");
    assert_ne!(shuffled.checksum(), own.checksum());
    assert_eq!(shuffled.checksum(), own.with_shuffled_upper(3).unwrap().checksum());
    let error = features(&performer, 1, &FeatureConfig::plain()).with_shuffled_upper(0).err();
    assert!(error.unwrap().to_string().contains("expected at least 2, found 1"));
}

#[test]
fn permuted_categories_are_as_many_and_of_whole_images() {
    let own = features(&TinyPerformer::new(1), 9, &FeatureConfig::plain().with_crops(2));
    let permuted = own.with_permuted_categories(1);
    assert_ne!(permuted.categories(), own.categories());
    let sorted = |features: &Features| {
        let mut categories = features.categories().to_vec();
        categories.sort_unstable();
        categories
    };
    assert_eq!(sorted(&permuted), sorted(&own));
    assert!(permuted.categories().chunks(3).all(|views| views.iter().all(|view| *view == views[0])));
    assert_eq!(floats(permuted.batch(&[4]).scores), floats(own.batch(&[4]).scores));
    assert_ne!(permuted.checksum(), own.checksum());
}

#[test]
fn rows_from_disk_are_those_from_memory() {
    let performer = TinyPerformer::new(1);
    let memory = features(&performer, 4, &FeatureConfig::plain().with_mirror(true));
    let disk = features(&performer, 4, &FeatureConfig::plain().with_mirror(true).with_memory_limit(1000));
    assert!(disk.is_mapped() && !memory.is_mapped());
    let rows = [7, 0, 3];
    assert_eq!(floats(disk.batch(&rows).target), floats(memory.batch(&rows).target));
    assert_eq!(floats(disk.batch(&rows).scores), floats(memory.batch(&rows).scores));
}

#[test]
fn target_features_of_half_precision_are_near_and_the_others_alike() {
    let performer = TinyPerformer::new(1);
    let config = FeatureConfig::plain().with_mirror(true);
    let single = features(&performer, 4, &config);
    for limit in [1 << 30, 1000] {
        let half = features(&performer, 4, &config.clone().with_half(true).with_memory_limit(limit));
        assert_eq!(half.is_mapped(), limit == 1000);
        let [single, half] = [&single, &half].map(|features| features.batch(&[7, 0, 3]));
        assert_eq!(floats(half.scores), floats(single.scores));
        assert_eq!(floats(half.upper[1].clone()), floats(single.upper[1].clone()));
        let (single, half) = (floats(single.target), floats(half.target));
        assert_ne!(single, half);
        for (single, half) in single.iter().zip(&half) {
            let tolerance = (single.abs() * 2f32.powi(-11)).max(2f32.powi(-25));
            assert!((single - half).abs() <= tolerance, "{single} became {half}");
        }
    }
}

#[test]
fn target_features_beyond_half_precision_are_refused() {
    let mut performer = TinyPerformer::new(1);
    let weight = performer.convs[0].weight.clone();
    performer.convs[0].weight = weight.map(|weight| weight * 1e6);
    let extract = |config: &FeatureConfig| {
        let images = images(2, 1).into_iter().map(Ok::<_, std::io::Error>);
        Features::extract(&performer, images, config, &Device::flex()).err().map(|e| e.to_string())
    };
    assert_eq!(extract(&FeatureConfig::plain()), None);
    let error = extract(&FeatureConfig::plain().with_half(true)).expect("too large");
    assert!(error.contains("row 0") && error.contains("65504"), "{error}");
}

#[test]
fn what_cannot_be_read_is_named_by_its_number() {
    let (performer, config, device) =
        (TinyPerformer::new(1), FeatureConfig::plain().with_mirror(true), Device::flex());
    let good = images(1, 1).remove(0);
    let small = LabelledImage { pixels: vec![0; 3], category: None };
    let extract = |images: Vec<Result<LabelledImage, String>>| {
        let error = Features::extract(&performer, images, &config, &device).err().expect("an error");
        error.to_string()
    };
    assert!(extract(vec![Ok(good.clone()), Ok(small)]).contains("image 1 has 3 bytes"));
    assert!(extract(vec![Ok(good), Err("gone".into())]).contains("image 1 could not be read"));
    assert!(extract(Vec::new()).contains("expected at least 1, found 0"));
}

#[test]
fn a_performer_that_contradicts_itself_is_refused() {
    let device = Device::flex();
    let extract = |performer: &TinyPerformer| {
        let images = images(2, 1).into_iter().map(Ok::<_, std::io::Error>);
        Features::extract(performer, images, &FeatureConfig::plain().with_mirror(true), &device)
            .err()
            .map(|e| e.to_string())
    };
    let claiming = |claims| extract(&TinyPerformer { claims, ..TinyPerformer::new(1) });
    assert_eq!(claiming((SIZE, 1.0)), None);
    let error = claiming((SIZE - 2, 1.0)).expect("another L");
    assert!(error.contains("target features") && error.contains("[4, 5, 8, 8]"), "{error}");
    let error = claiming((SIZE, 1.1)).expect("another head");
    assert!(error.contains("head's scores"), "{error}");
    let mut performer = TinyPerformer::new(1);
    performer.last.weight = performer.last.weight.map(|weight| weight * f32::INFINITY);
    let error = extract(&performer).expect("infinite scores");
    assert!(error.contains("a feature of the performer"), "{error}");
}
