//! The slices worth printing: the most involved ones, spread over the height of the lungs.

use super::KeySlice;

/// As many as fit on a page as pairs (product spec 6.1).
pub const KEY_SLICES: usize = 6;

/// Picks at most six slices, ascending. `profile` is the involved percentage and `lung` the
/// number of lung voxels of each slice.
///
/// The most involved slice comes first; every further one keeps a distance of a tenth of the
/// lungs' height from those taken. Where nothing is involved the slices are spread evenly, so
/// that a reader of a negative result sees the whole lung.
#[must_use]
pub fn pick(profile: &[f32], lung: &[usize]) -> Vec<KeySlice> {
    let largest = lung.iter().copied().max().unwrap_or(0);
    // Apex and recess have so little lung that a few voxels make a large percentage.
    let usable: Vec<usize> = (0..profile.len().min(lung.len()))
        .filter(|&z| lung[z] > 0 && lung[z] * 5 >= largest)
        .collect();
    let (Some(&first), Some(&last)) = (usable.first(), usable.last()) else {
        return Vec::new();
    };
    let apart = ((last - first) / 10).max(1);
    let mut order = usable.clone();
    order.sort_by(|&a, &b| profile[b].total_cmp(&profile[a]).then(a.cmp(&b)));
    let mut taken: Vec<usize> = Vec::with_capacity(KEY_SLICES);
    for z in order.into_iter().filter(|&z| profile[z] > 0.0) {
        if taken.len() < KEY_SLICES && taken.iter().all(|&t| t.abs_diff(z) >= apart) {
            taken.push(z);
        }
    }
    for step in 0..KEY_SLICES {
        let z = first + (2 * step + 1) * (last - first) / (2 * KEY_SLICES);
        if taken.len() < KEY_SLICES && taken.iter().all(|&t| t.abs_diff(z) >= apart) {
            taken.push(z);
        }
    }
    taken.sort_unstable();
    taken
        .into_iter()
        .map(|z| KeySlice {
            z,
            percent: profile[z],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_involved_slice_is_always_among_them_and_they_are_spread() {
        let mut profile = vec![0.0; 200];
        profile[120] = 40.0;
        profile[121] = 39.0;
        profile[60] = 10.0;
        let picked = pick(&profile, &[100; 200]);
        assert_eq!(picked.len(), KEY_SLICES);
        assert!(picked.iter().any(|k| k.z == 120) && picked.iter().any(|k| k.z == 60));
        assert!(picked.windows(2).all(|pair| pair[1].z - pair[0].z >= 19));
    }

    #[test]
    fn a_clean_lung_is_shown_evenly() {
        let picked: Vec<usize> = pick(&[0.0; 120], &[50; 120]).iter().map(|k| k.z).collect();
        assert_eq!(picked.len(), KEY_SLICES);
        assert!(picked[0] < 20 && picked[5] > 100, "{picked:?}");
    }

    #[test]
    fn no_lung_no_slices_and_a_short_scan_gives_what_it_has() {
        assert!(pick(&[0.0; 10], &[0; 10]).is_empty());
        assert!(pick(&[1.0, 2.0], &[5, 5]).len() <= 2);
    }
}
