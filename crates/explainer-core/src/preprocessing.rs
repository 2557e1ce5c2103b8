//! From decoded pixels to what a performer was trained on.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::CoreError;

/// ImageNet's mean and standard deviation per channel of RGB in 0..1, as torchvision states them.
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// See [`IMAGENET_MEAN`].
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// The input a performer expects: `(pixel / 255 − mean) / std` for each channel of RGB.
///
/// # Shapes
/// - images: `size × size` pixels of 8-bit RGB, rows from the top
/// - tensor: `[batch, 3, size, size]`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Height and width of the input in pixels.
    pub size: usize,
    /// Subtracted from each channel, in 0..1.
    pub mean: [f32; 3],
    /// Divides each channel after the mean is taken off.
    pub std: [f32; 3],
}

impl Preprocessing {
    /// ImageNet's preprocessing at `size × size` pixels.
    pub fn imagenet(size: usize) -> Self {
        Self { size, mean: IMAGENET_MEAN, std: IMAGENET_STD }
    }

    /// Number of bytes of one decoded image.
    pub fn bytes(&self) -> usize {
        3 * self.size * self.size
    }

    /// Makes the performer's input from decoded images (8-bit RGB, interleaved, row by row).
    ///
    /// # Errors
    /// [`CoreError::ImageSize`] if an image has another number of bytes than `3 · size²`.
    pub fn batch(&self, images: &[&[u8]], device: &Device) -> Result<Tensor<4>, CoreError> {
        let plane = self.size * self.size;
        let mut values = vec![0f32; images.len() * self.bytes()];
        for (index, (image, out)) in images.iter().zip(values.chunks_exact_mut(self.bytes())).enumerate() {
            if image.len() != self.bytes() {
                return Err(CoreError::ImageSize { index, expected: self.bytes(), found: image.len() });
            }
            for (channel, out) in out.chunks_exact_mut(plane).enumerate() {
                let scale = 1.0 / (255.0 * self.std[channel]);
                let shift = self.mean[channel] / self.std[channel];
                for (value, pixel) in out.iter_mut().zip(image.chunks_exact(3)) {
                    *value = f32::from(pixel[channel]) * scale - shift;
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
        let input = Preprocessing { size: 1, mean: [0.5, 0.0, 0.25], std: [0.5, 1.0, 0.25] };
        let tensor = input.batch(&[&[255, 51, 0], &[0, 255, 255]], &device).unwrap();
        assert_eq!(tensor.dims(), [2, 3, 1, 1]);
        let values = tensor.into_data().try_to_vec::<f32>().unwrap();
        for (value, expected) in values.iter().zip([1.0, 0.2, -1.0, -1.0, 1.0, 3.0]) {
            assert!((value - expected).abs() < 1e-6, "{values:?}");
        }
    }

    #[test]
    fn an_image_of_another_size_is_refused() {
        let error = Preprocessing::imagenet(2).batch(&[&[0; 11]], &Device::flex()).unwrap_err();
        assert!(error.to_string().contains("12") && error.to_string().contains("11"), "{error}");
    }
}
