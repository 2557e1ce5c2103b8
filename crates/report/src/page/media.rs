//! Pictures and bars as parts of the file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};
use maud::{Markup, html};

use crate::ReportError;

/// Quality of photographs, in 1..=100.
const QUALITY: u8 = 78;
/// Colours of parts, told apart by people with any colour vision (Okabe and Ito); further parts begin anew.
pub(crate) const COLORS: [&str; 7] =
    ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"];

/// A photograph.
pub(crate) fn jpeg(picture: &RgbImage) -> Result<String, ReportError> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(picture)?;
    Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes)))
}

/// A picture of few large pixels.
pub(crate) fn png(picture: &RgbImage) -> Result<String, ReportError> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(bytes.into_inner())))
}

/// An image with its sizes, so that nothing moves when it comes.
pub(crate) fn img(source: &str, [width, height]: [u32; 2], class: &str, alt: &str) -> Markup {
    html! {
        img class=(class) src=(source) width=(width) height=(height) alt=(alt) loading="lazy" decoding="async";
    }
}

/// A photograph as an image.
pub(crate) fn photo(picture: &RgbImage, class: &str, alt: &str) -> Result<Markup, ReportError> {
    Ok(img(&jpeg(picture)?, picture.dimensions().into(), class, alt))
}

/// Maps as an image, whose pixels stay sharp when enlarged.
pub(crate) fn grid(picture: &RgbImage, alt: &str) -> Result<Markup, ReportError> {
    Ok(img(&png(picture)?, picture.dimensions().into(), "grid", alt))
}

/// A bar from 0 to `value` on a scale from `low` to `high`, with 0 on it.
pub(crate) fn bar(value: f64, [low, high]: [f64; 2], color: &str) -> Markup {
    let place = |value: f64| 200.0 * (value - low) / (high - low).max(f64::MIN_POSITIVE);
    let (from, to) = (place(value.min(0.0)), place(value.max(0.0)));
    html! {
        svg.bar viewBox="0 0 200 12" preserveAspectRatio="none" aria-hidden="true" {
            rect x=(format!("{from:.1}")) y="1" width=(format!("{:.1}", (to - from).max(0.6))) height="10" fill=(color) {}
            line.zero x1=(format!("{:.1}", place(0.0))) x2=(format!("{:.1}", place(0.0))) y1="0" y2="12" {}
        }
    }
}

/// The colour of a part.
pub(crate) fn color(part: usize) -> &'static str {
    COLORS[part % COLORS.len()]
}

/// The number of a part on its colour, which the style sheet has for a class: styles of single elements would need a
/// policy that allows any.
pub(crate) fn badge(part: usize) -> Markup {
    html! { span class={ "badge color-" (part % COLORS.len()) } { (part + 1) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_sheet_has_the_colours_of_parts() {
        let style = include_str!("style.css");
        for (part, color) in COLORS.iter().enumerate() {
            assert!(style.contains(&format!(".color-{part} {{ --part: {color}; }}")), "{part}");
        }
        assert!(!style.contains(&format!(".color-{}", COLORS.len())));
        assert_eq!(badge(8).into_string(), r#"<span class="badge color-1">9</span>"#);
    }
}
