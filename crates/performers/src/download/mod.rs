//! torchvision's public files by name, from the network.
//!
//! [`Downloads::fetch`] keeps a file in the platform's cache folder. It is streamed to the disk with a
//! progress bar, gone on with where it broke off, checked against the SHA-256 that its name carries, and
//! only then given its name: what has the name is whole. Nothing else in this crate reaches for the network.
//!
//! ```no_run
//! use explainer_performers::download::{Downloads, PublicFile};
//! use explainer_performers::{Vgg16, Weights};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = Downloads::new()?.fetch(&PublicFile::torchvision("vgg16")?)?;
//! let performer = Vgg16::load(Weights::file(file), &burn::tensor::Device::default())?;
//! # Ok(())
//! # }
//! ```

mod error;
mod fetch;
mod transfer;

pub use error::DownloadError;
pub use fetch::Downloads;

/// torchvision's names of networks that this crate loads, and their files. The eight digits at the end of a
/// file's name begin its SHA-256.
const TORCHVISION: [(&str, &str); 12] = [
    ("alexnet", "alexnet-owt-7be5be79.pth"),
    ("vgg11", "vgg11-8a719046.pth"),
    ("vgg11_bn", "vgg11_bn-6002323d.pth"),
    ("vgg13", "vgg13-19584684.pth"),
    ("vgg13_bn", "vgg13_bn-abd245e5.pth"),
    ("vgg16", "vgg16-397923af.pth"),
    ("vgg16_bn", "vgg16_bn-6c64b313.pth"),
    ("vgg19", "vgg19-dcbb9e9d.pth"),
    ("vgg19_bn", "vgg19_bn-c79401a0.pth"),
    ("resnet18", "resnet18-f37072fd.pth"),
    ("resnet50", "resnet50-11ad3fa6.pth"),
    ("resnet50_v1", "resnet50-0676ba61.pth"),
];

/// A public file: its name on the server and how its SHA-256 begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicFile {
    name: String,
    sha256: String,
}

impl PublicFile {
    /// The file of one of torchvision's networks: [`names`](Self::names) lists them.
    ///
    /// # Errors
    /// [`DownloadError::Unknown`].
    pub fn torchvision(network: &str) -> Result<Self, DownloadError> {
        let found = TORCHVISION.iter().find(|(name, _)| *name == network);
        let file = found.map(|(_, file)| Self::of_digits(file));
        file.ok_or_else(|| DownloadError::Unknown {
            name: network.to_string(),
            known: Self::names().collect(),
        })
    }

    /// The names that [`torchvision`](Self::torchvision) knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TORCHVISION.iter().map(|(name, _)| *name)
    }

    /// A file of your own server; `sha256` is the whole of it in hexadecimal digits, or its beginning.
    ///
    /// # Panics
    /// If the name has a folder in it, or `sha256` is not 8 to 64 hexadecimal digits.
    pub fn new(name: &str, sha256: &str) -> Self {
        let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':']);
        assert!(plain, "{name:?} is not the plain name of a file");
        let digits =
            (8..=64).contains(&sha256.len()) && sha256.bytes().all(|digit| digit.is_ascii_hexdigit());
        assert!(digits, "{sha256:?} is not 8 to 64 digits of a SHA-256");
        Self { name: name.to_string(), sha256: sha256.to_ascii_lowercase() }
    }

    /// A file whose name ends in how its SHA-256 begins.
    fn of_digits(name: &str) -> Self {
        let digits = name.trim_end_matches(".pth").rsplit('-').next().unwrap_or_default();
        Self::new(name, digits)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_file_whose_digits_are_its_checksums() {
        for name in PublicFile::names() {
            let file = PublicFile::torchvision(name).unwrap();
            assert!(file.name.ends_with(&format!("-{}.pth", file.sha256)), "{file:?}");
            assert_eq!(file.sha256.len(), 8, "{file:?}");
            assert!(file.name.starts_with(&name[..5]));
        }
        let error = PublicFile::torchvision("vgg17").unwrap_err().to_string();
        assert!(error.contains("vgg17") && error.contains("vgg16_bn"), "{error}");
    }

    #[test]
    #[should_panic(expected = "not the plain name")]
    fn a_name_cannot_leave_the_folder() {
        let _ = PublicFile::new("../vgg16.pth", "397923af");
    }
}
