//! Stored value to HU, as a table over all 65,536 patterns of a 16-bit pixel.
//!
//! `paper` takes the bits that are stored, knows padding and works in f64; `release` repeats the
//! public code's int16 arithmetic with its quirks. A table makes both a look-up, and makes it easy
//! to see that every pattern has a defined outcome. The slices of a series nearly always share one.
//!
//! It assumes that the header's rescale values were checked for presence
//! ([`crate::study::check`]); a slice without them has no HU and is refused here as well.

use super::decode::StoredPixels;
use super::profiles::Profile;
use crate::base::unit::Hu;
use crate::study::header::{Header, Padding, Rescale};

/// Why a slice has no Hounsfield units.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HounsfieldError {
    #[error("the image has no rescale slope and intercept, so its values are not Hounsfield units")]
    NoRescale,
    #[error("the image's rescale type is \"{0}\", not HU")]
    NotHu(String),
}

/// What padding becomes: air.
const PADDING_HU: f32 = -1000.0;

/// Floor before resampling, so that scanner padding (-2000, -3024) can neither ring nor bleed
/// into the body's edge (pipeline section 2.2).
const FLOOR_HU: f32 = -1024.0;

/// HU for every pattern of a pixel.
#[derive(Clone, Debug)]
pub struct HuTable {
    hu: Vec<f32>,
    of: Format,
}

/// All that decides a table.
#[derive(Clone, Debug, PartialEq)]
struct Format {
    profile: Profile,
    bits_stored: u16,
    high_bit: u16,
    signed: bool,
    rescale: Rescale,
    padding: Option<Padding>,
}

impl Format {
    fn new(
        profile: Profile,
        pixels: &StoredPixels,
        header: &Header,
    ) -> Result<Self, HounsfieldError> {
        let rescale = header.rescale.ok_or(HounsfieldError::NoRescale)?;
        if !header.speaks_hu() {
            return Err(HounsfieldError::NotHu(header.rescale_type.clone()));
        }
        Ok(Self {
            profile,
            bits_stored: pixels.bits_stored,
            high_bit: pixels.high_bit,
            signed: pixels.signed,
            rescale,
            padding: header.padding,
        })
    }
}

impl HuTable {
    /// # Errors
    /// [`HounsfieldError`] when the header gives no rescale to HU.
    pub fn new(
        profile: Profile,
        pixels: &StoredPixels,
        header: &Header,
    ) -> Result<Self, HounsfieldError> {
        let of = Format::new(profile, pixels, header)?;
        let (rescale, padding) = (of.rescale, of.padding);
        let hu = match profile {
            Profile::Paper => all_patterns(|word| paper(word, pixels, rescale, padding)),
            Profile::Release => all_patterns(|word| release(word, rescale)),
        };
        Ok(Self { hu, of })
    }

    /// Whether this is the table of these pixels.
    ///
    /// # Errors
    /// As for [`HuTable::new`].
    pub fn fits(&self, pixels: &StoredPixels, header: &Header) -> Result<bool, HounsfieldError> {
        Ok(self.of == Format::new(self.of.profile, pixels, header)?)
    }

    #[must_use]
    pub fn hu(&self, word: u16) -> Hu {
        // The table has an entry for every u16.
        Hu(self.hu[usize::from(word)])
    }

    /// HU of a line of pixels.
    pub fn fill(&self, words: &[u16], out: &mut [f32]) {
        // As an array the compiler knows that every word is inside.
        let Some(hu) = self.hu.first_chunk::<{ 1 << 16 }>() else {
            return;
        };
        for (o, &word) in out.iter_mut().zip(words) {
            *o = hu[usize::from(word)];
        }
    }
}

fn all_patterns(hu: impl Fn(u16) -> f32) -> Vec<f32> {
    (0..=u16::MAX).map(hu).collect()
}

fn paper(word: u16, pixels: &StoredPixels, rescale: Rescale, padding: Option<Padding>) -> f32 {
    let value = pixels.value(word);
    if padding.is_some_and(|p| is_padding(word, value, pixels.signed, p)) {
        return PADDING_HU;
    }
    let hu = f64::from(value) * rescale.slope + rescale.intercept;
    (hu as f32).max(FLOOR_HU)
}

/// Padding may be written in all 16 bits of a pixel that stores fewer, so both the value and the
/// whole pattern are compared.
fn is_padding(word: u16, value: i32, signed: bool, padding: Padding) -> bool {
    let read = |bits: u16| {
        if signed {
            i32::from(bits as i16)
        } else {
            i32::from(bits)
        }
    };
    let (a, b) = (read(padding.value), read(padding.limit));
    let range = a.min(b)..=a.max(b);
    range.contains(&value) || range.contains(&read(word))
}

/// Pipeline section 2.3, steps 4 and 5, in exact order.
fn release(word: u16, rescale: Rescale) -> f32 {
    let mut raw = word as i16;
    if raw == -2000 {
        raw = 0;
    }
    if rescale.slope != 1.0 {
        raw = wrapped(rescale.slope * f64::from(raw));
    }
    f32::from(raw.wrapping_add(wrapped(rescale.intercept)))
}

/// Toward zero, then the low 16 bits.
fn wrapped(value: f64) -> i16 {
    value as i64 as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::fixture;

    fn pixels(bits_stored: u16, high_bit: u16, signed: bool) -> StoredPixels {
        StoredPixels {
            rows: 0,
            columns: 0,
            bits_stored,
            high_bit,
            signed,
            words: vec![],
        }
    }

    fn header(slope: f64, intercept: f64) -> Header {
        Header {
            rescale: Some(Rescale { slope, intercept }),
            padding: None,
            ..fixture::slice(0)
        }
    }

    fn hu(profile: Profile, pixels: &StoredPixels, header: &Header, word: u16) -> f32 {
        HuTable::new(profile, pixels, header).unwrap().hu(word).0
    }

    #[test]
    fn paper_takes_the_stored_bits_and_no_others() {
        let plain = header(1.0, 0.0);
        let junk_above = pixels(12, 11, false);
        assert_eq!(
            hu(Profile::Paper, &junk_above, &plain, 0xF123),
            0x123 as f32
        );
        let left_aligned = pixels(12, 15, false);
        assert_eq!(
            hu(Profile::Paper, &left_aligned, &plain, 0x123F),
            0x123 as f32
        );
        let not_extended = pixels(12, 11, true);
        assert_eq!(hu(Profile::Paper, &not_extended, &plain, 0x0FFF), -1.0);
        let whole = pixels(16, 15, true);
        assert_eq!(hu(Profile::Paper, &whole, &plain, 0xFFFE), -2.0);
    }

    #[test]
    fn paper_turns_padding_into_air_and_has_a_floor() {
        let mut h = header(1.0, -1024.0);
        h.padding = Some(Padding {
            value: 63536,
            limit: 63536,
        });
        let p = pixels(16, 15, true);
        assert_eq!(hu(Profile::Paper, &p, &h, -2000i16 as u16), -1000.0);
        assert_eq!(hu(Profile::Paper, &p, &h, -1999i16 as u16), -1024.0);
        assert_eq!(hu(Profile::Paper, &p, &h, 1064), 40.0);
        h.padding = Some(Padding {
            value: 0,
            limit: -5i16 as u16,
        });
        assert_eq!(hu(Profile::Paper, &p, &h, -3i16 as u16), -1000.0);
        assert_eq!(hu(Profile::Paper, &p, &h, 1), -1023.0);
    }

    #[test]
    fn padding_outside_the_stored_bits_is_found_in_the_whole_word() {
        let mut h = header(1.0, -1024.0);
        h.padding = Some(Padding {
            value: 63536,
            limit: 63536,
        });
        assert_eq!(
            hu(Profile::Paper, &pixels(12, 11, false), &h, 63536),
            -1000.0
        );
    }

    #[test]
    fn fractional_slopes_are_not_rounded() {
        let h = header(2.059, -32754.0);
        let got = hu(Profile::Paper, &pixels(16, 15, false), &h, 15908);
        assert!((got - 0.572).abs() < 1e-3, "{got}");
    }

    #[test]
    fn release_repeats_the_public_arithmetic() {
        let p = pixels(16, 15, true);
        let plain = header(1.0, -1024.0);
        assert_eq!(hu(Profile::Release, &p, &plain, -2000i16 as u16), -1024.0);
        assert_eq!(hu(Profile::Release, &p, &plain, -2001i16 as u16), -3025.0);
        let steep = header(1.7, -0.9);
        assert_eq!(hu(Profile::Release, &p, &steep, -3i16 as u16), -5.0);
        assert_eq!(hu(Profile::Release, &p, &plain, 32768), 31744.0);
    }

    #[test]
    fn without_rescale_or_in_another_unit_there_is_no_hu() {
        let p = pixels(16, 15, true);
        let mut h = header(1.0, 0.0);
        h.rescale_type = "OD".to_owned();
        let refused = HuTable::new(Profile::Paper, &p, &h).err();
        assert_eq!(refused, Some(HounsfieldError::NotHu("OD".to_owned())));
        h.rescale = None;
        let refused = HuTable::new(Profile::Paper, &p, &h).err();
        assert_eq!(refused, Some(HounsfieldError::NoRescale));
        for unit in ["US", "", "Houndsfield Unit"] {
            h.rescale_type = unit.to_owned();
            assert!(h.speaks_hu());
        }
    }
}
