//! HU window and scale: the part of [-1000, 400] HU that the networks see, as 0 to 1.
//!
//! The profiles differ at the top. `paper` clips: bone stays bright. `release` repeats the
//! public code, where what is denser than 400 HU becomes air, after rounding to int16.

use super::profiles::Profile;

/// Air, the lower end of the window.
pub const LOW: f32 = -1000.0;
/// Soft bone, the upper end of the window.
pub const HIGH: f32 = 400.0;

/// HU of the 1 mm grid to the networks' 0 to 1, in place.
pub fn to_unit(profile: Profile, hu: &mut [f32]) {
    // Two loops and not one over a function: the compiler sees through each and does several
    // voxels at a time.
    match profile {
        Profile::Paper => hu.iter_mut().for_each(|v| *v = paper(*v)),
        Profile::Release => hu.iter_mut().for_each(|v| *v = release(*v)),
    }
}

fn paper(hu: f32) -> f32 {
    (hu.clamp(LOW, HIGH) - LOW) / (HIGH - LOW)
}

fn release(hu: f32) -> f32 {
    // f32::round goes half away from zero, as the public code's cast does, and the cast saturates.
    let v = f32::from(hu.round() as i16);
    let v = if v > HIGH { LOW } else { v.max(LOW) };
    (v - LOW) / (HIGH - LOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(profile: Profile, hu: f32) -> f32 {
        let mut v = [hu];
        to_unit(profile, &mut v);
        v[0]
    }

    #[test]
    fn paper_clips_on_both_sides() {
        assert_eq!(unit(Profile::Paper, -1024.0), 0.0);
        assert_eq!(unit(Profile::Paper, -300.0), 0.5);
        assert_eq!(unit(Profile::Paper, 3000.0), 1.0);
    }

    #[test]
    fn release_turns_bone_into_air_after_rounding() {
        assert_eq!(unit(Profile::Release, 400.4), 1.0);
        assert_eq!(unit(Profile::Release, 400.5), 0.0);
        assert_eq!(unit(Profile::Release, 1e6), 0.0);
        assert_eq!(unit(Profile::Release, -1730.0), 0.0);
        assert_eq!(
            unit(Profile::Release, -300.5),
            (-301.0f32 + 1000.0) / 1400.0
        );
    }
}
