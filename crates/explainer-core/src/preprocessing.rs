//! From decoded pixels to what a performer was trained on.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::CoreError;

/// ImageNet's mean and standard deviation per channel of RGB in 0..1, as torchvision states them.
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// See [`IMAGENET_MEAN`].
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// The input a performer expects: `(pixel / 255 − mean − mean image) / std` for each channel of RGB.
///
/// A network of pixels in 0..255 has a standard deviation of 1/255 and a mean over 255.
///
/// # Shapes
/// - images: `size × size` pixels of 8-bit RGB, rows from the top
/// - tensor: `[batch, 3, size, size]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Height and width of the input in pixels.
    pub size: usize,
    /// Subtracted from each channel, in 0..1.
    pub mean: [f32; 3],
    /// Divides each channel after the mean is taken off.
    pub std: [f32; 3],
    /// The order in which the network reads the channels.
    #[serde(default)]
    pub order: ChannelOrder,
    /// Subtracted from each pixel, in 0..1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_image: Option<MeanImage>,
}

/// The order of an input's channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelOrder {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red, as networks trained with Caffe or OpenCV read them. Mean, standard deviation
    /// and mean image stay those of red, green and blue.
    Bgr,
}

/// A mean for each pixel: three planes of red, green and blue, row by row, in 0..1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<f32>", into = "Vec<f32>")]
pub struct MeanImage(Arc<[f32]>);

impl MeanImage {
    /// The values.
    pub fn values(&self) -> &[f32] {
        &self.0
    }
}

impl From<Vec<f32>> for MeanImage {
    fn from(values: Vec<f32>) -> Self {
        Self(values.into())
    }
}

impl From<MeanImage> for Vec<f32> {
    fn from(image: MeanImage) -> Self {
        image.0.to_vec()
    }
}

impl Preprocessing {
    /// `(pixel / 255 − mean) / std` at `size × size` pixels.
    pub const fn new(size: usize, mean: [f32; 3], std: [f32; 3]) -> Self {
        Self { size, mean, std, order: ChannelOrder::Rgb, mean_image: None }
    }

    /// ImageNet's preprocessing at `size × size` pixels.
    pub const fn imagenet(size: usize) -> Self {
        Self::new(size, IMAGENET_MEAN, IMAGENET_STD)
    }

    /// Number of bytes of one decoded image.
    pub fn bytes(&self) -> usize {
        3 * self.size * self.size
    }

    /// Makes the performer's input from decoded images (8-bit RGB, interleaved, row by row).
    ///
    /// # Errors
    /// [`CoreError::ImageSize`] if an image has another number of bytes than `3 · size²`.
    ///
    /// # Panics
    /// If the mean image has another number of values than that.
    pub fn batch(&self, images: &[&[u8]], device: &Device) -> Result<Tensor<4>, CoreError> {
        if let Some(mean) = &self.mean_image {
            let (values, size) = (mean.values().len(), self.size);
            assert_eq!(values, self.bytes(), "a mean image of {values} values for {size}×{size} pixels");
        }
        let plane = self.size * self.size;
        let mut values = vec![0f32; images.len() * self.bytes()];
        for (index, (image, out)) in images.iter().zip(values.chunks_exact_mut(self.bytes())).enumerate() {
            if image.len() != self.bytes() {
                return Err(CoreError::ImageSize { index, expected: self.bytes(), found: image.len() });
            }
            for (position, out) in out.chunks_exact_mut(plane).enumerate() {
                let channel = match self.order {
                    ChannelOrder::Rgb => position,
                    ChannelOrder::Bgr => 2 - position,
                };
                let scale = 1.0 / (255.0 * self.std[channel]);
                let shift = self.mean[channel] / self.std[channel];
                for (value, pixel) in out.iter_mut().zip(image.chunks_exact(3)) {
                    *value = f32::from(pixel[channel]) * scale - shift;
                }
                if let Some(mean) = &self.mean_image {
                    let mean = &mean.values()[channel * plane..][..plane];
                    out.iter_mut().zip(mean).for_each(|(value, mean)| *value -= mean / self.std[channel]);
                }
            }
        }
        Ok(Tensor::from_data(TensorData::new(values, [images.len(), 3, self.size, self.size]), device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_is_scaled_shifted_and_put_into_its_channel() {
        let device = Device::flex();
        let input = Preprocessing::new(1, [0.5, 0.0, 0.25], [0.5, 1.0, 0.25]);
        let tensor = input.batch(&[&[255, 51, 0], &[0, 255, 255]], &device).unwrap();
        assert_eq!(tensor.dims(), [2, 3, 1, 1]);
        let values = tensor.into_data().try_to_vec::<f32>().unwrap();
        for (value, expected) in values.iter().zip([1.0, 0.2, -1.0, -1.0, 1.0, 3.0]) {
            assert!((value - expected).abs() < 1e-6, "{values:?}");
        }
    }

    #[test]
    fn a_mean_image_is_of_pixels_and_the_order_is_of_planes() {
        // 0..255, two pixels a side: the red plane's means are 10, 20, 30, 40, and so on by 100.
        let mean: Vec<f32> = (0..12).map(|at| (100 * (at / 4) + 10 * (at % 4 + 1)) as f32 / 255.0).collect();
        let rgb = Preprocessing {
            mean_image: Some(mean.into()),
            ..Preprocessing::new(2, [0.0; 3], [1.0 / 255.0; 3])
        };
        let bgr = Preprocessing { order: ChannelOrder::Bgr, ..rgb.clone() };
        let pixels = [50, 150, 250, 51, 151, 251, 52, 152, 252, 53, 153, 253];
        let values = |input: &Preprocessing| {
            let tensor = input.batch(&[&pixels], &Device::flex()).unwrap();
            let values = tensor.into_data().try_to_vec::<f32>().unwrap();
            values.into_iter().map(f32::round).collect::<Vec<_>>()
        };
        let red = [40.0, 31.0, 22.0, 13.0];
        assert_eq!(values(&rgb), [red, red, red].concat());
        assert_eq!(values(&bgr), [red, red, red].concat());
        let tinted = Preprocessing { mean: [1.0 / 255.0, 0.0, 0.0], ..bgr };
        assert_eq!(values(&tinted)[8..], [39.0, 30.0, 21.0, 12.0], "red is the last plane");

        let again: Preprocessing = serde_json::from_str(&serde_json::to_string(&tinted).unwrap()).unwrap();
        assert_eq!(again, tinted);
        let plain = r#"{"size":4,"mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}"#;
        assert_eq!(serde_json::from_str::<Preprocessing>(plain).unwrap(), Preprocessing::imagenet(4));
    }

    #[test]
    #[should_panic(expected = "a mean image of 11 values for 2×2 pixels")]
    fn a_mean_image_of_another_size_is_refused() {
        let input = Preprocessing { mean_image: Some(vec![0.0; 11].into()), ..Preprocessing::imagenet(2) };
        let _ = input.batch(&[&[0; 12]], &Device::flex());
    }

    #[test]
    fn an_image_of_another_size_is_refused() {
        let error = Preprocessing::imagenet(2).batch(&[&[0; 11]], &Device::flex()).unwrap_err();
        assert!(error.to_string().contains("12") && error.to_string().contains("11"), "{error}");
    }
}
