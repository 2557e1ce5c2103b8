//! torchvision's public files by name, from the network.
//!
//! [`Downloads::fetch`] keeps a file in the platform's cache folder. It is streamed to the disk with a
//! progress bar, gone on with where it broke off, checked against its SHA-256, and only then given its name: what has
//! the name is whole. A server that is asked by https cannot send elsewhere by http, and no file grows beyond 4 GiB. Nothing else in this crate reaches for the network.
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

/// torchvision's names of networks that this crate loads, their files, and the SHA-256 of each. The eight digits at the
/// end of a file's name begin it; of four networks no more of it was found to be published.
const TORCHVISION: [(&str, &str, &str); 12] = [
    (
        "alexnet",
        "alexnet-owt-7be5be79.pth",
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    ),
    ("vgg11", "vgg11-8a719046.pth", "8a719046"),
    ("vgg11_bn", "vgg11_bn-6002323d.pth", "6002323d"),
    ("vgg13", "vgg13-19584684.pth", "19584684"),
    ("vgg13_bn", "vgg13_bn-abd245e5.pth", "abd245e5"),
    ("vgg16", "vgg16-397923af.pth", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"),
    ("vgg16_bn", "vgg16_bn-6c64b313.pth", "6c64b3138f2f4fcb3bcc4cafde11619c4f440eb1631787e93a682fd88305888a"),
    ("vgg19", "vgg19-dcbb9e9d.pth", "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"),
    ("vgg19_bn", "vgg19_bn-c79401a0.pth", "c79401a0cf3cb42714e4182f5868c7a6f4f4534f5df9e956e2bb2098de41cbb6"),
    ("resnet18", "resnet18-f37072fd.pth", "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"),
    ("resnet50", "resnet50-11ad3fa6.pth", "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca"),
    (
        "resnet50_v1",
        "resnet50-0676ba61.pth",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    ),
];

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// A public file: its name on the server and its SHA-256, or how that begins.
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
        let found = TORCHVISION.iter().find(|(name, _, _)| *name == network);
        let file = found.map(|(_, name, sha256)| Self { name: name.to_string(), sha256: sha256.to_string() });
        file.ok_or_else(|| DownloadError::Unknown {
            name: network.to_string(),
            known: Self::names().collect(),
        })
    }

    /// The names that [`torchvision`](Self::torchvision) knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TORCHVISION.iter().map(|(name, _, _)| *name)
    }

    /// A file of your own server; `sha256` is the whole of it in hexadecimal digits.
    ///
    /// # Panics
    /// If the name has a folder in it, or `sha256` is not 64 hexadecimal digits.
    pub fn new(name: &str, sha256: &str) -> Self {
        let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':']);
        assert!(plain, "{name:?} is not the plain name of a file");
        let digits = sha256.len() == DIGITS && sha256.bytes().all(|digit| digit.is_ascii_hexdigit());
        assert!(digits, "{sha256:?} is not the {DIGITS} digits of a SHA-256");
        Self { name: name.to_string(), sha256: sha256.to_ascii_lowercase() }
    }

    /// Whether its whole SHA-256 is known, and not only the eight digits in its name: they tell a damaged file, but
    /// not one that somebody made to have them.
    pub fn is_pinned(&self) -> bool {
        self.sha256.len() == DIGITS
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
            assert!(file.name.ends_with(&format!("-{}.pth", &file.sha256[..8])), "{file:?}");
            let pinned = !name.starts_with("vgg11") && !name.starts_with("vgg13");
            assert_eq!(
                (file.sha256.len(), file.is_pinned()),
                (if pinned { 64 } else { 8 }, pinned),
                "{file:?}"
            );
            assert!(file.name.starts_with(&name[..5]));
        }
        let error = PublicFile::torchvision("vgg17").unwrap_err().to_string();
        assert!(error.contains("vgg17") && error.contains("vgg16_bn"), "{error}");
    }

    #[test]
    #[should_panic(expected = "not the plain name")]
    fn a_name_cannot_leave_the_folder() {
        let _ = PublicFile::new("../vgg16.pth", &"0".repeat(64));
    }

    #[test]
    #[should_panic(expected = "not the 64 digits")]
    fn the_beginning_of_a_checksum_is_none() {
        let _ = PublicFile::new("vgg16.pth", "397923af");
    }
}
