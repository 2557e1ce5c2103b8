//! Pictures of all kinds, sound and damaged.

use image::{GrayImage, ImageBuffer, Luma, LumaA, Rgb, Rgba};

use super::*;

fn image() -> RgbImage {
    RgbImage::from_fn(10, 8, |x, y| Rgb([x as u8, y as u8, 0]))
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn decoded(bytes: &[u8]) -> RgbImage {
    decode(bytes, Orientation::AsStored).unwrap()
}

#[test]
fn damaged_pictures_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let read = || read_picture(&path, Orientation::AsStored);
    assert!(matches!(read(), Err(DatasetError::Io { .. })));
    image().save(&path).unwrap();
    assert!(read().unwrap() == image());
    std::fs::write(&path, "<!DOCTYPE html><p>404").unwrap();
    let error = read().unwrap_err().to_string();
    assert!(error.contains("expected a sound picture within the limits, found an HTML page"), "{error}");
    image().save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(read(), Err(DatasetError::Image { .. })));
}

#[test]
fn a_picture_that_ends_early_is_an_error_wherever_it_ends() {
    let noise = |x: u32, y: u32| [(x * 37 + y * 91) as u8, (x * y) as u8, (x * x + y) as u8];
    let image = RgbImage::from_fn(60, 45, |x, y| Rgb(noise(x, y)));
    let files = [
        encoded(image.clone(), ImageFormat::Jpeg),
        encoded(image, ImageFormat::Png),
        fixture("kind_progressive.jpg"),
        fixture("kind_restarts.jpg"),
    ];
    for bytes in files {
        decoded(&bytes);
        // The last chunk of a PNG says that this was all, in 12 bytes; the pixels are there before.
        for length in 0..bytes.len() - 12 {
            let cut = decode(&bytes[..length], Orientation::Upright);
            assert!(cut.is_err(), "{length} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn a_picture_that_states_another_size_is_an_error() {
    let noise = |x: u32, y: u32| [(x * 37 + y * 91) as u8; 3];
    let noise = encoded(RgbImage::from_fn(64, 48, |x, y| Rgb(noise(x, y))), ImageFormat::Jpeg);
    let flat = encoded(RgbImage::new(64, 48), ImageFormat::Jpeg);
    for bytes in [noise, flat] {
        // The frame's header: marker, length, precision, height, width.
        let frame = |w: &[u8]| w[0] == 0xff && (0xc0..=0xc2).contains(&w[1]);
        let at = bytes.windows(2).position(frame).unwrap() + 5;
        assert_eq!((decoded(&bytes).dimensions(), &bytes[at..at + 4]), ((64, 48), &[0, 48, 0, 64][..]));
        for [height, width] in [[480u16, 64], [65, 64], [48, 640], [16_000, 16_000]] {
            let mut lying = bytes.clone();
            lying[at..at + 2].copy_from_slice(&height.to_be_bytes());
            lying[at + 2..at + 4].copy_from_slice(&width.to_be_bytes());
            assert!(decode(&lying, Orientation::AsStored).is_err(), "{height} × {width}");
        }
        let mut lying = bytes;
        lying[at..at + 4].fill(0xff);
        assert!(matches!(decode(&lying, Orientation::AsStored), Err(ImageError::Limits(_))));
    }
}

#[test]
fn a_picture_beyond_the_limits_is_refused_before_it_is_decoded() {
    let wide = encoded(RgbImage::new(MAX_SIDE + 1, 1), ImageFormat::Png);
    let error = decode(&wide, Orientation::AsStored).unwrap_err();
    assert!(matches!(error, ImageError::Limits(_)), "{error}");
    // A few kilobytes that unfold to 768 megabytes.
    let mut bomb = encoded(GrayImage::new(MAX_SIDE, 8), ImageFormat::Png);
    bomb[20..24].copy_from_slice(&MAX_SIDE.to_be_bytes());
    let sum = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&sum.to_be_bytes());
    let error = decode(&bomb, Orientation::AsStored).unwrap_err();
    assert!(!error.to_string().contains("CRC"), "{error}");
}

#[test]
fn no_format_is_decoded_beyond_the_limits() {
    let mut bitmap = encoded(RgbImage::new(4, 4), ImageFormat::Bmp);
    bitmap[18..22].copy_from_slice(&16_000i32.to_le_bytes());
    bitmap[22..26].copy_from_slice(&16_000i32.to_le_bytes());
    let mut frames = fixture("kind_frames.gif");
    frames[6..10].copy_from_slice(&[0x80, 0x3e, 0x80, 0x3e]);
    for file in [bitmap, frames, b"P6 16000 16000 255\n".to_vec()] {
        let error = decode(&file, Orientation::AsStored).unwrap_err();
        assert!(matches!(error, ImageError::Limits(_)), "{error}");
    }
}

/// The checksum of a PNG chunk.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn all_kinds_of_pixels_become_rgb() {
    let grey = GrayImage::from_fn(10, 8, |x, y| Luma([(20 * x + y) as u8]));
    let tripled = RgbImage::from_fn(10, 8, |x, y| Rgb([(20 * x + y) as u8; 3]));
    assert!(decoded(&encoded(grey.clone(), ImageFormat::Png)) == tripled);
    let jpeg = decoded(&encoded(grey, ImageFormat::Jpeg));
    assert!(jpeg.pixels().zip(tripled.pixels()).all(|(a, b)| a.0[0].abs_diff(b.0[0]) < 12));
    assert!(jpeg.pixels().all(|p| p.0[0] == p.0[1] && p.0[1] == p.0[2]));

    let deep = ImageBuffer::from_fn(10, 8, |x, y| Rgb([257 * x as u16 + 100, 257 * y as u16, 65_535]));
    let rounded = RgbImage::from_fn(10, 8, |x, y| Rgb([x as u8, y as u8, 255]));
    assert!(decoded(&encoded(DynamicImage::ImageRgb16(deep), ImageFormat::Png)) == rounded);

    let clear = ImageBuffer::from_fn(3, 1, |x, _| Rgba([200u8, 100, 0, [0, 51, 255][x as usize]]));
    let expected = [Rgb([255; 3]), Rgb([244, 224, 204]), Rgb([200, 100, 0])];
    assert_eq!(decoded(&encoded(clear, ImageFormat::Png)).pixels().copied().collect::<Vec<_>>(), expected);
    let clear = ImageBuffer::from_fn(2, 1, |x, _| LumaA([10u8, [0, 255][x as usize]]));
    let expected = [Rgb([255; 3]), Rgb([10; 3])];
    assert_eq!(decoded(&encoded(clear, ImageFormat::Png)).pixels().copied().collect::<Vec<_>>(), expected);
}

/// Against what PIL makes of the same files.
#[test]
fn palettes_inks_and_other_formats_are_seen_as_pil_sees_them() {
    for (name, tolerance) in [
        ("palette.png", 0),
        ("palette_clear.png", 0),
        ("cmyk.jpg", 4),
        ("progressive.jpg", 4),
        ("restarts.jpg", 4),
        ("lossless.webp", 0),
        ("lossy.webp", 4),
        ("grey.bmp", 0),
        ("frames.gif", 0),
        ("pixmap.ppm", 0),
    ] {
        let found = decoded(&fixture(&format!("kind_{name}")));
        let stem = name.split('.').next().unwrap();
        let expected = decoded(&fixture(&format!("kind_{stem}_rgb.png")));
        assert_eq!(found.dimensions(), expected.dimensions());
        let worst = found.iter().zip(expected.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= tolerance, "{name}: {worst}");
    }
}

/// The file with segments in front of its first and with other names of its components: see `make_colours.py`.
fn stated(jpeg: &[u8], segments: &str, names: &str) -> Vec<u8> {
    let mut file = jpeg[..2].to_vec();
    for segment in segments.split(' ').filter(|&word| word != "-") {
        match segment.strip_prefix('A') {
            None => file.extend(b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
            Some(transform) => {
                file.extend(b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0");
                file.push(transform.parse().unwrap());
            }
        }
    }
    let from = file.len();
    file.extend(&jpeg[2..]);
    let names: &[u8] = match names {
        "-" => return file,
        "RGB" => b"RGB",
        "012" => b"\0\x01\x02",
        _ => b"\x01\x02\x03",
    };
    let place = |marker: u8| from + file[from..].windows(2).position(|w| w == [0xff, marker]).unwrap();
    let [frame, scan] = [place(0xc0), place(0xda)];
    for (i, &name) in names.iter().enumerate() {
        file[frame + 10 + 3 * i] = name;
        file[scan + 5 + 2 * i] = name;
    }
    file
}

/// JFIF and Adobe segments, in either order, and names of components, against PIL.
#[test]
fn colours_are_those_that_the_markers_state() {
    let table = String::from_utf8(fixture("colours.csv")).unwrap();
    let mut rows = 0;
    for row in table.lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        let [components, segments, names, left, right] = fields[..] else { panic!("{row}") };
        let jpeg = fixture(&format!("colours_{components}.jpg"));
        let image = decoded(&stated(&jpeg, segments, names));
        for (x, expected) in [(4, left), (12, right)] {
            let found = image.get_pixel(x, 4).0;
            let expected: Vec<u8> = expected.split(' ').map(|v| v.parse().unwrap()).collect();
            let close = found.iter().zip(&expected).all(|(a, b)| a.abs_diff(*b) <= 2);
            assert!(close, "{row}: {found:?}");
        }
        rows += 1;
    }
    assert_eq!(rows, 55);
}

#[test]
fn a_whole_picture_without_its_end_marker_is_read() {
    for name in ["kind_restarts.jpg", "kind_cmyk.jpg", "colours_1.jpg", "colours_3.jpg"] {
        let whole = fixture(name);
        assert_eq!(whole[whole.len() - 2..], [0xff, 0xd9]);
        for cut in [1, 2] {
            assert!(decoded(&whole[..whole.len() - cut]) == decoded(&whole), "{name}, without {cut}");
        }
    }
    // How many passes there are to be is stated nowhere.
    let whole = fixture("kind_progressive.jpg");
    assert!(decode(&whole[..whole.len() - 2], Orientation::AsStored).is_err());
}

#[test]
fn tiff_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.tif");
    std::fs::write(&path, b"II*\0\x08\0\0\0\0\0\0\0\0\0").unwrap();
    let error = read_picture(&path, Orientation::AsStored).unwrap_err();
    assert!(matches!(error, DatasetError::Image { content: "a TIFF picture", .. }), "{error}");
}

/// Every orientation, of a JPEG with an EXIF block: one of two rows and three columns, turned back.
#[test]
fn cameras_orientations_are_applied_if_asked_for() {
    let upright = RgbImage::from_fn(24, 16, |x, y| Rgb([(10 * x) as u8, (15 * y) as u8, 60]));
    type Turn = fn(&RgbImage) -> RgbImage;
    let flip: Turn = |image| image::imageops::flip_horizontal(image);
    let stored: [Turn; 8] = [
        RgbImage::clone,
        flip,
        |image| image::imageops::rotate180(image),
        |image| image::imageops::flip_vertical(image),
        |image| image::imageops::rotate270(&image::imageops::flip_horizontal(image)),
        |image| image::imageops::rotate270(image),
        |image| image::imageops::rotate90(&image::imageops::flip_horizontal(image)),
        |image| image::imageops::rotate90(image),
    ];
    for (tag, stored) in (1u8..).zip(stored) {
        let stored = stored(&upright);
        let jpeg = encoded(stored.clone(), ImageFormat::Jpeg);
        let close = |a: &RgbImage, b: &RgbImage| {
            a.dimensions() == b.dimensions() && a.iter().zip(b.iter()).all(|(a, b)| a.abs_diff(*b) < 30)
        };
        for value in [[0, 3, 0, 0, 0, 1, 0, tag, 0, 0], [0, 4, 0, 0, 0, 1, 0, 0, 0, tag]] {
            let bytes = with_exif(&jpeg, value);
            assert!(close(&decode(&bytes, Orientation::Upright).unwrap(), &upright), "{value:?}");
            assert!(close(&decode(&bytes, Orientation::AsStored).unwrap(), &stored), "{value:?}");
        }
    }
}

/// The JPEG file with an EXIF block of one entry, the orientation: its kind, count and value.
fn with_exif(jpeg: &[u8], orientation: [u8; 10]) -> Vec<u8> {
    let mut block = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12".to_vec();
    block.extend(orientation);
    block.extend([0; 4]);
    let length = (block.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &block, &jpeg[2..]].concat()
}
