use super::table::BlockTable;
use super::*;

#[test]
fn receptive_fields_match_those_worked_out_by_hand() {
    // All kernels are padded by half of them: every centre is pixel 0. Sizes: conv1 7, pool +2·2 = 11,
    // at stride 4. ResNet-18: stage 1: 4 convolutions, 11 + 4·8 = 43; stage 2: +8, then 3 at stride 8:
    // 51 + 3·16 = 99; stage 3: +16, 115 + 3·32 = 211; stage 4: +32, 243 + 64 = 307, the last block
    // 307 + 2·64 = 435.
    let field = |size| ReceptiveField { stride: 32.0, center: 0.0, size };
    assert_eq!([7, 8].map(ResNet18::field), [field(307), field(435)]);
    // ResNet-50, 3×3 only: stage 1: 11 + 3·8 = 35; stage 2: +8, 43 + 3·16 = 91; stage 3: +16,
    // 107 + 5·32 = 267; stage 4: +32, 299 + 64 = 363, the last block 427.
    assert_eq!([15, 16].map(ResNet50::field), [field(363), field(427)]);
}

#[test]
fn blocks_have_torchvisions_channels_and_projections() {
    let eighteen = ResNetSizes::PUBLISHED.blocks::<ResNet18Layers>();
    let projected = |blocks: &[BlockTable]| -> Vec<usize> {
        let is = |table: &&BlockTable| matches!(table.connection, Connection::Projection { .. });
        blocks.iter().filter(is).map(|table| table.stage).collect()
    };
    assert_eq!((eighteen.len(), projected(&eighteen)), (8, vec![1, 2, 3]));
    let fifty = ResNetSizes::PUBLISHED.blocks::<ResNet50Layers>();
    assert_eq!((fifty.len(), projected(&fifty)), (16, vec![0, 1, 2, 3]));
    let first = &fifty[3].convs;
    let shapes: Vec<_> = first.iter().map(|c| (c.inputs, c.outputs, c.kernel, c.stride)).collect();
    assert_eq!(shapes, [(256, 128, 1, 1), (128, 128, 3, 2), (128, 512, 1, 1)]);
}

#[test]
fn maps_of_any_input_have_the_blueprints_length() {
    let device = Device::flex();
    for input in [32, 33, 48, 65] {
        let sizes = ResNetSizes { stem: 2, widths: [2, 2, 3, 4], classes: 3, input };
        let network = ResNet50::init(sizes, Preprocessing::imagenet(input), 1, &device);
        assert_eq!(network.sizes(), sizes);
        let tapped = network.tap(Tensor::ones([1, 3, input, input], &device));
        let length = network.blueprint().length;
        assert_eq!(tapped.target.dims(), [1, 16, length, length], "{input}");
        assert_eq!((tapped.upper[0].dims(), tapped.scores.dims()), ([1, 16], [1, 3]));
    }
}
