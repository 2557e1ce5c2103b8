//! The orientation in an EXIF block.

use image::metadata::Orientation;

/// Tag of the orientation in the first directory.
const ORIENTATION: u16 = 0x0112;

/// The orientation that a block states, from its TIFF header on; none if it states none that makes sense.
///
/// EXIF has it as a SHORT. Some editors write a LONG or a BYTE, which viewers read as well.
pub(super) fn orientation(block: &[u8]) -> Orientation {
    stated(block).and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

fn stated(block: &[u8]) -> Option<u8> {
    let big = match block.get(..4)? {
        b"MM\0*" => true,
        b"II*\0" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes: [u8; 2] = block.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    };
    let long = |at: usize| {
        let bytes: [u8; 4] = block.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    };
    let directory = usize::try_from(long(4)?).ok()?;
    let entries = directory.checked_add(2)?;
    for entry in (0..usize::from(short(directory)?)).map(|i| entries.checked_add(12 * i)) {
        let entry = entry?;
        if short(entry)? == ORIENTATION && long(entry + 4)? == 1 {
            let value = match short(entry + 2)? {
                1 => u32::from(*block.get(entry + 8)?),
                3 => u32::from(short(entry + 8)?),
                4 => long(entry + 8)?,
                _ => return None,
            };
            return u8::try_from(value).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of two entries, the second the orientation.
    fn block(big: bool, kind: u16, value: &[u8]) -> Vec<u8> {
        let mut block = if big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
        let mut put = |bytes: &[u8]| {
            let bytes = bytes.iter().copied();
            if big { block.extend(bytes) } else { block.extend(bytes.rev()) }
        };
        put(&8u32.to_be_bytes());
        put(&2u16.to_be_bytes());
        for (tag, kind, count) in [(0x0100u16, 3u16, 1u32), (ORIENTATION, kind, 1)] {
            put(&tag.to_be_bytes());
            put(&kind.to_be_bytes());
            put(&count.to_be_bytes());
            put(value);
            put(&vec![0; 4 - value.len()]);
        }
        block
    }

    #[test]
    fn an_orientation_is_read_in_whatever_width_it_is_stored() {
        for big in [false, true] {
            assert_eq!(orientation(&block(big, 1, &[6])), Orientation::Rotate90);
            assert_eq!(orientation(&block(big, 3, &6u16.to_be_bytes())), Orientation::Rotate90);
            let long = block(big, 4, &6u32.to_be_bytes());
            assert_eq!(orientation(&long), Orientation::Rotate90);
            for length in 0..long.len() {
                assert_eq!(orientation(&long[..length]), Orientation::NoTransforms, "{length}");
            }
            for (kind, value) in [(4, 9u32), (4, 0), (4, 0x0106), (5, 6)] {
                let found = orientation(&block(big, kind, &value.to_be_bytes()));
                assert_eq!(found, Orientation::NoTransforms, "{kind} {value}");
            }
        }
    }
}
