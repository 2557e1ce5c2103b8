//! The figures of arXiv:1805.07468.

use serde::Deserialize;

use super::plan::Network;

/// One of its experiments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Table {
    /// Pascal-Part, a performer for each of six animals, and their mean.
    PascalPartSingle,
    /// Pascal-Part, one performer of six animals.
    PascalPartMulti,
    /// CUB-200-2011, birds.
    Cub,
}

/// A row of its tables. Errors are shares of the images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    /// Location instability of the performer's top conv-layer and of conv-interp-2.
    pub top_conv: f64,
    pub conv_interp_2: f64,
    pub share: f64,
    /// Errors of the performer, with the explainer's features, and of explainer+cls.
    pub performer: f64,
    pub explainer: f64,
    pub classification: f64,
}

impl Published {
    /// The row of explainer+cls, of which the paper tells the error alone.
    pub fn classifying(self) -> Self {
        Self { conv_interp_2: f64::NAN, share: f64::NAN, explainer: self.classification, ..self }
    }
}

impl Table {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::PascalPartSingle => "Pascal-Part, single category",
            Self::PascalPartMulti => "Pascal-Part, multi-category",
            Self::Cub => "CUB-200-2011",
        }
    }

    /// The row of a network; there is none of AlexNet for several categories. The shares p are those of the
    /// paper's appendix, whose main text has two columns swapped.
    pub fn of(self, network: Network) -> Option<Published> {
        let column = match network {
            Network::AlexNet | Network::CaffeAlexNet => 0,
            Network::VggM => 1,
            Network::VggS => 2,
            Network::Vgg16 => 3,
        };
        // Instability of the top conv and of conv-interp-2, p, and errors in per cent.
        let rows: [Option<[f64; 6]>; 4] = match self {
            Self::PascalPartSingle => [
                Some([0.140, 0.096, 0.71, 4.60, 8.20, 2.88]),
                Some([0.141, 0.097, 0.81, 3.18, 8.58, 3.40]),
                Some([0.139, 0.094, 0.90, 2.26, 10.97, 3.86]),
                Some([0.139, 0.090, 0.87, 1.34, 6.12, 1.76]),
            ],
            Self::PascalPartMulti => [
                None,
                Some([0.135, 0.097, 0.901, 6.12, 6.62, 5.22]),
                Some([0.138, 0.107, 0.927, 5.95, 6.97, 5.43]),
                Some([0.128, 0.109, 0.859, 2.03, 2.17, 2.49]),
            ],
            Self::Cub => [
                Some([0.1502, 0.0906, 0.581, 4.41, 10.98, 3.57]),
                Some([0.1476, 0.0815, 0.861, 2.66, 6.84, 2.54]),
                Some([0.1481, 0.0704, 0.953, 2.76, 8.53, 2.72]),
                Some([0.1373, 0.0490, 0.958, 1.09, 6.04, 0.90]),
            ],
        };
        rows[column].map(|[top_conv, conv_interp_2, share, performer, explainer, classification]| Published {
            top_conv,
            conv_interp_2,
            share,
            performer: performer / 100.0,
            explainer: explainer / 100.0,
            classification: classification / 100.0,
        })
    }
}
