//! Resizing as PIL's `BILINEAR` does it, to the bit.

use image::RgbImage;

/// Fraction bits of the weights.
const PRECISION: u32 = 22;

/// Resizes with an antialiased triangle filter.
///
/// Unlike plain bilinear interpolation, which looks at two neighbours whatever the scale, the filter
/// grows with the step between output pixels: when the image shrinks by `s`, output pixel `i` is the
/// mean of input pixels `j` with weights
///
/// `max(0, 1 − |j + ½ − (i + ½)·s| / max(s, 1))`, normalised to 1,
///
/// first along rows, then along columns, in fixed-point arithmetic with 22 fraction bits and rounded
/// to 8 bits in between. This is what Pillow computes, so that networks see the pixels that they
/// were trained on there.
///
/// # Panics
///
/// If the image is empty, or `width` or `height` is 0.
///
/// # Example
///
/// ```
/// let checkers = image::RgbImage::from_fn(8, 8, |x, y| image::Rgb([((x + y) % 2 * 255) as u8; 3]));
/// let grey = explainer_datasets::resize_bilinear(&checkers, 2, 2);
/// assert!(grey.pixels().all(|p| p.0[0].abs_diff(128) <= 1));
/// ```
pub fn resize_bilinear(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let (w, h) = image.dimensions();
    assert!(w > 0 && h > 0 && width > 0 && height > 0, "cannot resize {w}×{h} to {width}×{height}");
    let (w, out_w, out_h) = (w as usize, width as usize, height as usize);

    let columns = filters(w, out_w);
    let mut narrowed = Vec::with_capacity(out_w * h as usize * 3);
    for row in image.as_raw().chunks_exact(w * 3) {
        for filter in &columns {
            let pixels = row[filter.start * 3..].as_chunks::<3>().0;
            let mut sums = [1i64 << (PRECISION - 1); 3];
            for (pixel, &weight) in pixels.iter().zip(&filter.weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i64::from(value) * weight;
                }
            }
            narrowed.extend(sums.map(to_byte));
        }
    }

    let stride = out_w * 3;
    let mut resized = Vec::with_capacity(stride * out_h);
    let mut sums = vec![0i64; stride];
    for filter in filters(h as usize, out_h) {
        sums.fill(1 << (PRECISION - 1));
        let rows = narrowed[filter.start * stride..].chunks_exact(stride);
        for (row, &weight) in rows.zip(&filter.weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i64::from(value) * weight;
            }
        }
        resized.extend(sums.iter().map(|&sum| to_byte(sum)));
    }
    let mut image = RgbImage::new(width, height);
    image.copy_from_slice(&resized);
    image
}

fn to_byte(sum: i64) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// The weights of one output pixel, from the input pixel `start` on.
struct Filter {
    start: usize,
    weights: Vec<i64>,
}

fn filters(input: usize, output: usize) -> Vec<Filter> {
    let step = input as f64 / output as f64;
    let support = step.max(1.0);
    (0..output)
        .map(|i| {
            let center = (i as f64 + 0.5) * step;
            // Both truncate towards zero, so that a negative start becomes 0.
            let start = (center - support + 0.5) as usize;
            let end = ((center + support + 0.5) as usize).min(input);
            let triangle = |j: usize| (1.0 - ((j as f64 - center + 0.5) * (1.0 / support)).abs()).max(0.0);
            let total: f64 = (start..end).map(triangle).sum();
            let fixed = |j| (0.5 + triangle(j) / total * f64::from(1u32 << PRECISION)) as i64;
            Filter { start, weights: (start..end).map(fixed).collect() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> RgbImage {
        let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        image::open(path).unwrap().to_rgb8()
    }

    #[test]
    fn equals_pil_to_the_bit() {
        let source = fixture("resize_source.png");
        for (width, height) in [(24, 24), (80, 60), (61, 10), (7, 47)] {
            let expected = fixture(&format!("resize_{width}x{height}.png"));
            assert!(resize_bilinear(&source, width, height) == expected, "{width}×{height}");
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let source = fixture("resize_source.png");
        assert!(resize_bilinear(&source, source.width(), source.height()) == source);
    }

    #[test]
    fn one_pixel_fills_everything_and_all_shrink_to_their_mean() {
        let pixel = RgbImage::from_pixel(1, 1, image::Rgb([3, 200, 255]));
        assert!(resize_bilinear(&pixel, 5, 4).pixels().all(|p| p.0 == [3, 200, 255]));
        let pair = RgbImage::from_fn(2, 1, |x, _| image::Rgb([(100 * x) as u8; 3]));
        assert_eq!(resize_bilinear(&pair, 1, 1).get_pixel(0, 0).0, [50; 3]);
    }

    #[test]
    #[should_panic(expected = "cannot resize 2×2 to 0×3")]
    fn nothing_to_resize_to() {
        resize_bilinear(&RgbImage::new(2, 2), 0, 3);
    }
}
