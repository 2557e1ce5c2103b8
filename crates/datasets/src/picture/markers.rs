//! What stands around the data of a JPEG file: its markers.

use std::ops::Range;

/// How the components of a JPEG file make up colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    Grey,
    Rgb,
    YCbCr,
    Cmyk,
    Ycck,
}

/// The markers of a file as far as they matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Markers {
    /// Where the marker of the end is; `None` if the file ends within the data of a scan.
    pub end: Option<usize>,
    /// Whether the picture comes in several passes.
    pub progressive: bool,
    /// Whether a JFIF segment stands before the data.
    jfif: bool,
    /// The Adobe segments before the data.
    pub adobe: Vec<Range<usize>>,
    /// What the last of them says.
    transform: Option<u8>,
    /// Where the frame's header has the components' identifiers.
    components: Vec<usize>,
    /// The same of the headers of scans.
    scanned: Vec<usize>,
}

impl Markers {
    /// Walks from marker to marker; `None` if the file ends before the data do.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let (mut markers, mut at) = (Self::default(), 0);
        loop {
            let marker = loop {
                // What is no marker is data, or stands where it should not: 0xff before 0 is data too.
                match bytes.get(at..at + 2) {
                    Some(&[0xff, marker @ 1..=0xfe]) => break marker,
                    Some(_) => at += 1,
                    None => return markers.all_scanned(bytes).then_some(markers),
                }
            };
            match marker {
                0xd9 => {
                    markers.end = Some(at);
                    return Some(markers);
                }
                // Start of the file, restarts and others without contents.
                0x01 | 0xd0..=0xd8 => at += 2,
                _ => {
                    let &[high, low] = bytes.get(at + 2..at + 4)? else {
                        return None;
                    };
                    let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
                    markers.segment(marker, at..end, bytes.get(at + 4..end.max(at + 4))?);
                    at = end.max(at + 2);
                }
            }
        }
    }

    /// Notes a segment, whose contents are these.
    fn segment(&mut self, marker: u8, place: Range<usize>, contents: &[u8]) {
        let data = place.start + 4;
        let is_first_scan = self.scanned.is_empty();
        match marker {
            // As libjpeg knows them (jdmarker.c): by their names, if they are long enough.
            0xe0 if is_first_scan => self.jfif |= contents.len() >= 14 && contents.starts_with(b"JFIF\0"),
            0xee if is_first_scan && contents.len() >= 12 && contents.starts_with(b"Adobe") => {
                self.transform = Some(contents[11]);
                self.adobe.push(place);
            }
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                self.progressive |= marker == 0xc2;
                let count = contents.get(5).copied().unwrap_or_default().into();
                self.components = (0..count).map(|i| data + 6 + 3 * i).filter(|&at| at < place.end).collect();
            }
            0xda => {
                let count = contents.first().copied().unwrap_or_default().into();
                self.scanned.extend((0..count).map(|i| data + 1 + 2 * i).filter(|&at| at < place.end));
            }
            _ => {}
        }
    }

    /// Whether each component has been in a scan. Of a picture in several passes that says nothing.
    fn all_scanned(&self, bytes: &[u8]) -> bool {
        let scanned = |&at: &usize| self.scanned.iter().any(|&scan| bytes[scan] == bytes[at]);
        !self.progressive && !self.components.is_empty() && self.components.iter().all(scanned)
    }

    /// How the components make up colours, by libjpeg's rules (jdapimin.c, `default_decompress_parms`), which PIL
    /// and OpenCV follow: JFIF comes before Adobe's segment, and that before the components' identifiers. `None`
    /// for another number of components.
    pub fn model(&self, bytes: &[u8]) -> Option<Model> {
        Some(match (self.components.len(), self.jfif, self.transform) {
            (1, ..) => Model::Grey,
            (3, true, _) | (3, false, Some(1..)) => Model::YCbCr,
            (3, false, Some(0)) => Model::Rgb,
            (3, false, None) => {
                if self.has_letters(bytes) {
                    Model::Rgb
                } else {
                    Model::YCbCr
                }
            }
            (4, _, Some(1..)) => Model::Ycck,
            (4, ..) => Model::Cmyk,
            _ => return None,
        })
    }

    /// Whether the components are called R, G and B.
    pub fn has_letters(&self, bytes: &[u8]) -> bool {
        self.components.iter().map(|&at| bytes[at]).eq(*b"RGB")
    }

    /// Calls the components 1, 2 and 3, everywhere.
    pub fn number_components(&self, bytes: &mut [u8]) {
        let names: Vec<u8> = self.components.iter().map(|&at| bytes[at]).collect();
        for &at in self.components.iter().chain(&self.scanned) {
            if let Some(number) = names.iter().position(|&name| name == bytes[at]) {
                bytes[at] = number as u8 + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_behind_the_data_and_not_in_it() {
        // A thumbnail within a block of its own, data with 0xff, a restart, another pass, and a tail.
        let file = [
            &[0xff, 0xd8][..],
            &[0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9],
            &[0xff, 0xff, 0xc2, 0, 3, 9],
            &[0xff, 0xda, 0, 2, 1, 0xff, 0, 2, 0xff, 0xd3, 3],
            &[0xff, 0xda, 0, 2, 4, 5, 0xff, 0xd9, 0xff, 0xd8],
        ]
        .concat();
        let markers = Markers::of(&file).unwrap();
        assert_eq!((markers.end, markers.progressive), (Some(file.len() - 4), true));
        for length in 0..file.len() - 2 {
            assert_eq!(Markers::of(&file[..length]), None, "{length}");
        }
    }

    #[test]
    fn without_an_end_all_components_must_have_had_their_scan() {
        let frame = [0xff, 0xc0, 0, 14, 8, 0, 8, 0, 8, 2, 1, 0x11, 0, 2, 0x11, 0];
        let scan = |component| [0xff, 0xda, 0, 8, 1, component, 0, 0, 63, 0, 0x5a];
        let both = [&[0xff, 0xd8][..], &frame, &scan(1), &scan(2)].concat();
        assert_eq!(Markers::of(&both).map(|markers| markers.end), Some(None));
        for length in 0..both.len() - 1 {
            assert_eq!(Markers::of(&both[..length]), None, "{length}");
        }
    }
}
