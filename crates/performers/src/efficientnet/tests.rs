use super::*;

#[test]
fn sizes_are_those_of_the_published_networks() {
    let [lite0, lite1, lite2] =
        [EfficientNetLiteSizes::LITE0, EfficientNetLiteSizes::LITE1, EfficientNetLiteSizes::LITE2];
    assert_eq!((lite0.widths, lite0.repeats), ([16, 24, 40, 80, 112, 192, 320], [1, 2, 2, 3, 3, 4, 1]));
    // 1.1 times as deep: 2.2, 3.3 and 4.4 blocks, rounded up.
    assert_eq!((lite1.widths, lite1.repeats), (lite0.widths, [1, 3, 3, 4, 4, 5, 1]));
    // 1.1 times as wide: 17.6, 26.4, 44, 88, 123.2, 211.2 and 352, to the nearest multiple of 8 (44 up).
    assert_eq!((lite2.widths, lite2.repeats), ([16, 24, 48, 88, 120, 208, 352], lite1.repeats));
    for (sizes, input, blocks, name) in [
        (lite0, 224, 16, "EfficientNet-Lite0"),
        (lite1, 240, 21, "EfficientNet-Lite1"),
        (lite2, 260, 21, "EfficientNet-Lite2"),
    ] {
        assert_eq!((sizes.input, sizes.blocks().len(), sizes.name()), (input, blocks, name));
        assert_eq!((sizes.stem, sizes.head, sizes.classes), (32, 1280, 1000));
    }
    assert_eq!(EfficientNetLiteSizes { stem: 2, widths: [1; 7], ..lite0 }.name(), "EfficientNet-Lite");
}

#[test]
fn same_padding_keeps_the_units_and_puts_the_odd_zero_behind() {
    // ⌈side/stride⌉ units need (units − 1)·stride + kernel − side zeros.
    for (side, kernel, stride, expected) in [
        (224, 3, 2, [0, 1]),
        (112, 3, 1, [1, 1]),
        (56, 5, 2, [1, 2]),
        (15, 5, 2, [2, 2]),
        (33, 3, 2, [1, 1]),
        (7, 1, 1, [0, 0]),
        (4, 1, 2, [0, 0]),
    ] {
        assert_eq!(same_padding(side, kernel, stride), expected, "{side} {kernel} {stride}");
    }
}

#[test]
fn receptive_fields_match_those_worked_out_by_hand() {
    let device = Device::flex();
    let network = |sizes: EfficientNetLiteSizes| {
        // Fields do not depend on the widths.
        let sizes = EfficientNetLiteSizes { stem: 1, widths: [1; 7], head: 1, classes: 1, ..sizes };
        EfficientNetLite::zeros(sizes, EfficientNetLite::preprocessing_of(sizes.input), &device)
    };
    // Lite0, 224 pixels. Stride 2 on an even side pads (0, 1) for a kernel of 3 and (1, 2) for 5, so that the
    // centre moves by the stride below it: 1, then 1 + 2, 3 + 4, 7 + 8, 15 + 16.
    // Sizes: 3; +2·2 = 7; +2·2 = 11, at stride 4: +8 = 19; +4·4 = 35, at stride 8: +32 = 67; +16 = 83, at stride
    // 16: +32 = 115, 147; +64 = 211, 275, 339; +64 = 403, at stride 32: +128 = 531, 659, 787; +64 = 851.
    let expected = [
        (2.0, 1.0, vec![3, 7]),
        (4.0, 3.0, vec![11, 19]),
        (8.0, 7.0, vec![35, 67]),
        (16.0, 15.0, vec![83, 115, 147, 211, 275, 339]),
        (32.0, 31.0, vec![403, 531, 659, 787, 851]),
    ];
    let lite0 = network(EfficientNetLiteSizes::LITE0);
    let mut blocks = 0;
    for (stride, center, sizes) in expected {
        for size in sizes {
            assert_eq!(lite0.field(blocks), ReceptiveField { stride, center, size }, "{blocks} blocks");
            blocks += 1;
        }
    }
    assert_eq!(blocks, 17);
    assert_eq!(lite0.top_conv_field(), lite0.field(16));
    let block = lite0.clone().with_target(TargetLayer::Block(10)).expect("block 10");
    assert_eq!(block.target_field(), ReceptiveField { stride: 16.0, center: 15.0, size: 339 });

    // Lite2, 260 pixels: the sides 65, 33 and 17 are odd, and padding is the same on both sides from there on.
    let lite2 = network(EfficientNetLiteSizes::LITE2);
    let geometry = |blocks| (lite2.field(blocks).stride, lite2.field(blocks).center);
    assert_eq!(
        [0, 2, 5, 8, 16].map(geometry),
        [(2.0, 1.0), (4.0, 3.0), (8.0, 3.0), (16.0, 3.0), (32.0, 3.0)]
    );
    assert_eq!([0, 2, 5, 8, 16, 21].map(|blocks| lite2.sizes().side(blocks)), [130, 65, 33, 17, 9, 9]);
}

#[test]
fn every_layer_has_its_blueprints_shapes() {
    let device = Device::flex();
    let widths = [2, 3, 4, 5, 6, 7, 8];
    for input in [32, 45] {
        let sizes = EfficientNetLiteSizes {
            stem: 3,
            widths,
            head: 9,
            classes: 4,
            input,
            ..EfficientNetLiteSizes::LITE0
        };
        let network = EfficientNetLite::init(sizes, EfficientNetLite::preprocessing_of(input), 1, &device);
        let images = Tensor::ones([2, 3, input, input], &device);
        let layers = std::iter::once(TargetLayer::Stem).chain((0..16).map(TargetLayer::Block));
        for layer in layers {
            let network = network.clone().with_target(layer).expect("a layer");
            assert_eq!(network.target(), layer);
            let (tapped, blueprint) = (network.tap(images.clone()), network.blueprint());
            let ([target, top], length) = (blueprint.top.channels(), blueprint.length);
            assert_eq!(tapped.target.dims(), [2, target, length, length], "{layer:?}");
            assert_eq!(tapped.top_conv.dims(), [2, top, blueprint.top_length(), blueprint.top_length()]);
            assert_eq!((tapped.upper[0].dims(), tapped.scores.dims()), ([2, 9], [2, 4]));
            assert_eq!(blueprint.upper_widths(), [9]);
            let last = layer == TargetLayer::Block(15);
            assert_eq!(matches!(blueprint.top, TopLayer::Conv(_)), last, "{layer:?}");
        }
        let error = network.with_target(TargetLayer::Block(16)).expect_err("there are 16");
        assert!(error.to_string().contains("0 to 15, not at layer 16"), "{error}");
    }
}

#[test]
fn a_random_copy_has_the_same_sizes_and_target_and_other_weights() {
    let device = Device::flex();
    let sizes =
        EfficientNetLiteSizes { stem: 2, widths: [2; 7], head: 3, input: 32, ..EfficientNetLiteSizes::LITE0 };
    let network = EfficientNetLite::init(sizes, EfficientNetLite::preprocessing_of(32), 1, &device);
    let network = network.with_target(TargetLayer::Block(3)).expect("block 3");
    let copy = network.randomized(2);
    assert_eq!((copy.sizes(), copy.target()), (sizes, TargetLayer::Block(3)));
    let images = Tensor::ones([1, 3, 32, 32], &device);
    let scores = |network: &EfficientNetLite| network.forward(images.clone()).into_data();
    assert_ne!(scores(&copy), scores(&network));
    assert_eq!(scores(&network.randomized(2)), scores(&copy), "the seed decides");
}
