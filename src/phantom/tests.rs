//! What a phantom promises to those who use it.

use super::*;
use dicom_dictionary_std::tags;
use rayon::ThreadPoolBuilder;

/// A whole chest, small enough to test with.
fn small(class: Class, seed: u64) -> Recipe {
    Recipe {
        scanner: Some(Scanner::Siemens),
        kernel: Some(Kernel::Soft),
        matrix: 128,
        thickness_mm: Some(3.0),
        spacing_mm: Some(3.0),
        dose: Some(2.0),
        ..Recipe::new(class, seed)
    }
}

/// Lung voxels by threshold: dark, and not joined to the air round the patient.
fn lungs(p: &Phantom) -> Array3<bool> {
    let (nz, ny, nx) = p.hu.dim();
    let dark = p.hu.mapv(|v| v < -400);
    let mut outside = Array3::from_elem((nz, ny, nx), false);
    let mut todo: Vec<(usize, usize, usize)> = Vec::new();
    for z in 0..nz {
        for k in 0..nx.max(ny) {
            for (y, x) in [(0, k), (ny - 1, k), (k, 0), (k, nx - 1)] {
                todo.push((z, y, x));
            }
        }
    }
    while let Some((z, y, x)) = todo.pop() {
        if !dark[[z, y, x]] || outside[[z, y, x]] {
            continue;
        }
        outside[[z, y, x]] = true;
        // Within the slice only: the trachea must not let the outside in from the top.
        for (y, x) in [
            (y.wrapping_sub(1), x),
            (y + 1, x),
            (y, x.wrapping_sub(1)),
            (y, x + 1),
        ] {
            if y < ny && x < nx {
                todo.push((z, y, x));
            }
        }
    }
    let mut lung = dark;
    lung.zip_mut_with(&outside, |l, o| *l &= !o);
    largest(lung)
}

/// Keeps the parts that are joined and larger than 0.3 litres at 3 mm and more.
fn largest(mut mask: Array3<bool>) -> Array3<bool> {
    let (nz, ny, nx) = mask.dim();
    let mut out = Array3::from_elem((nz, ny, nx), false);
    for start in 0..nz * ny * nx {
        let at = |i: usize| (i / (ny * nx), i / nx % ny, i % nx);
        if !mask[at(start)] {
            continue;
        }
        let mut part = vec![start];
        mask[at(start)] = false;
        let mut k = 0;
        while k < part.len() {
            let (z, y, x) = at(part[k]);
            k += 1;
            for (dz, dy, dx) in [(0, 0, 1), (0, 1, 0), (1, 0, 0)] {
                for (z, y, x) in [
                    (z + dz, y + dy, x + dx),
                    (z.wrapping_sub(dz), y.wrapping_sub(dy), x.wrapping_sub(dx)),
                ] {
                    if z < nz && y < ny && x < nx && mask[[z, y, x]] {
                        mask[[z, y, x]] = false;
                        part.push((z * ny + y) * nx + x);
                    }
                }
            }
        }
        if part.len() > 10_000 {
            part.into_iter().for_each(|i| out[at(i)] = true);
        }
    }
    out
}

fn litres(p: &Phantom, voxels: usize) -> f64 {
    let s = p.spacing();
    voxels as f64 * s.z.0 * s.y.0 * s.x.0 / 1e6
}

/// Share of the control's lung that has become dense in `ill`: right and left, split at `cut`
/// of the height and of the depth: `[side][lower, upper, front, back]`.
fn denser(control: &Phantom, ill: &Phantom) -> [[f64; 4]; 2] {
    let lung = lungs(control);
    let bounds = |axis: usize| {
        let of = |i: (usize, usize, usize)| [i.0, i.1, i.2][axis];
        let all = lung.indexed_iter().filter(|(_, l)| **l).map(|(i, _)| of(i));
        let (low, high) = all.fold((usize::MAX, 0), |b, v| (b.0.min(v), b.1.max(v)));
        (low + high) / 2
    };
    let (mz, my, mx) = (bounds(0), bounds(1), bounds(2));
    let mut sum = [[(0usize, 0usize); 4]; 2];
    for ((z, y, x), _) in lung.indexed_iter().filter(|(_, l)| **l) {
        let dense = control.hu[[z, y, x]] < -700 && ill.hu[[z, y, x]] > -600;
        for zone in [usize::from(z > mz), 2 + usize::from(y > my)] {
            let s = &mut sum[usize::from(x > mx)][zone];
            s.0 += usize::from(dense);
            s.1 += 1;
        }
    }
    sum.map(|side| side.map(|(ill, all)| ill as f64 / all.max(1) as f64))
}

#[test]
fn a_recipe_gives_the_same_bytes_on_any_number_of_threads() {
    let recipe = Recipe {
        matrix: 64,
        slices: Some(5),
        ..Recipe::new(Class::Covid19, 11)
    };
    let with = |threads: usize| {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let p = generate(&recipe);
            let files: Vec<Vec<u8>> = objects(&p)
                .unwrap()
                .iter()
                .map(|o| {
                    let mut bytes = Vec::new();
                    o.write_all(&mut bytes).unwrap();
                    bytes
                })
                .collect();
            (p.hu, files)
        })
    };
    assert_eq!(with(1), with(3));
    let other = Recipe { seed: 12, ..recipe };
    assert_ne!(generate(&other).hu, with(2).0);
}

#[test]
fn a_healthy_chest_has_the_right_densities() {
    for seed in [1, 4, 9] {
        let p = generate(&small(Class::Control, seed));
        let lung = lungs(&p);
        let voxels = lung.iter().filter(|l| **l).count();
        let volume = litres(&p, voxels);
        assert!((1.5..9.0).contains(&volume), "seed {seed}: {volume} l");
        let nx = p.acquisition.matrix;
        let left = lung
            .indexed_iter()
            .filter(|(i, l)| **l && i.2 > nx / 2)
            .count();
        let share = left as f64 / voxels as f64;
        assert!((0.3..0.7).contains(&share), "seed {seed}: left {share}");
        let mean = |f: &dyn Fn(usize, usize, usize) -> bool| {
            let all = p.hu.indexed_iter().filter(|(i, _)| f(i.0, i.1, i.2));
            let (sum, n) = all.fold((0.0, 0.0), |s, (_, v)| (s.0 + f64::from(*v), s.1 + 1.0));
            sum / n
        };
        let inside = mean(&|z, y, x| lung[[z, y, x]]);
        assert!(
            (-900.0..-740.0).contains(&inside),
            "seed {seed}: lung {inside}"
        );
        let air = mean(&|_, y, x| y < 3 && x < 3);
        assert!((-1050.0..-950.0).contains(&air), "seed {seed}: air {air}");
        let bone = p.hu.iter().filter(|v| **v > 200).count() as f64 / p.hu.len() as f64;
        assert!((0.004..0.08).contains(&bone), "seed {seed}: bone {bone}");
        assert_eq!(p.truth.involved, [0.0; 2]);
    }
}

#[test]
fn covid_is_on_both_sides_low_and_at_the_back() {
    // Averages over some patients: a single one may have its worst patch at the top.
    let (mut lower, mut upper) = (0.0, 0.0);
    for seed in 0..16 {
        let recipe = Recipe {
            slices: Some(1),
            ..small(Class::Covid19, seed)
        };
        let truth = generate(&recipe).truth;
        lower += truth.right_lobes[2] + truth.left_lobes[1];
        upper += truth.right_lobes[0] + truth.left_lobes[0];
    }
    assert!(lower > 1.5 * upper, "lower lobes {lower}, upper {upper}");
    for seed in [21, 41] {
        let control = generate(&small(Class::Control, seed));
        let ill = generate(&small(Class::Covid19, seed));
        assert!(ill.truth.involved.iter().all(|v| *v > 0.0), "seed {seed}");
        for [low, up, front, back] in denser(&control, &ill) {
            assert!(low + up > 0.004, "seed {seed}: {low} {up}");
            assert!(back > front, "seed {seed}: back {back}, front {front}");
        }
    }
}

#[test]
fn other_pneumonia_fills_the_side_that_the_truth_names() {
    let mut one_sided = Vec::new();
    for seed in 0..16 {
        let recipe = Recipe {
            slices: Some(1),
            ..small(Class::Cap, seed)
        };
        let [right, left] = generate(&recipe).truth.involved;
        assert!(right + left > 0.0, "seed {seed}");
        if right.min(left) == 0.0 && right.max(left) > 0.08 {
            one_sided.push((seed, usize::from(left > right)));
        }
    }
    assert!(one_sided.len() > 4, "{one_sided:?}");
    for (seed, worse) in one_sided.into_iter().take(3) {
        let control = generate(&small(Class::Control, seed));
        let ill = generate(&small(Class::Cap, seed));
        let d = denser(&control, &ill).map(|s| s[0] + s[1]);
        assert!(d[worse] > 0.02, "seed {seed}: {d:?}");
        assert!(d[worse] > 3.0 * d[1 - worse], "seed {seed}: {d:?}");
    }
}

#[test]
fn a_class_changes_nothing_outside_the_chest() {
    let control = generate(&small(Class::Control, 44));
    let ill = generate(&small(Class::Covid19, 44));
    assert_eq!(control.acquisition, ill.acquisition);
    let lung = lungs(&control);
    let changed = control.hu.indexed_iter().filter(|(i, v)| **v != ill.hu[*i]);
    let (inside, all) = changed.fold((0usize, 0usize), |n, (i, _)| {
        (n.0 + usize::from(lung[i]), n.1 + 1)
    });
    assert!(all > 1000);
    assert!(inside as f64 > 0.8 * all as f64, "{inside} of {all}");
}

#[test]
fn files_read_back_with_geometry_and_hounsfield_units() {
    for scanner in Scanner::ALL {
        let recipe = Recipe {
            scanner: Some(scanner),
            matrix: 96,
            slices: Some(4),
            localizer: true,
            ..Recipe::new(Class::Cap, 6)
        };
        let p = generate(&recipe);
        let dir = tempfile::tempdir().unwrap();
        let paths = write(&p, dir.path()).unwrap();
        assert_eq!(paths.len(), 5);
        for (k, path) in paths.iter().take(4).enumerate() {
            let o = dicom_object::open_file(path).unwrap();
            let numbers = |tag| o.element(tag).unwrap().to_multi_float64().unwrap();
            let a = &p.acquisition;
            assert_eq!(numbers(tags::PIXEL_SPACING), [a.pixel, a.pixel]);
            let at = numbers(tags::IMAGE_POSITION_PATIENT);
            assert_eq!(at[..2], a.corner);
            assert!((at[2] - a.z_offset - a.positions[k]).abs() < 1e-4);
            let slope = numbers(tags::RESCALE_SLOPE)[0];
            let intercept = numbers(tags::RESCALE_INTERCEPT)[0];
            let signed = o.element(tags::PIXEL_REPRESENTATION).unwrap();
            let signed = signed.to_int::<u16>().unwrap() == 1;
            let bytes = o.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
            let padding = o.element_opt(tags::PIXEL_PADDING_VALUE).unwrap();
            let padding = padding.map(|e| e.to_int::<i32>().unwrap());
            assert_eq!(padding.is_some(), scanner == Scanner::Ge);
            let plane = p.hu.index_axis(ndarray::Axis(0), k);
            let mut padded = 0;
            for (pair, hu) in bytes.chunks_exact(2).zip(plane) {
                let raw = u16::from_le_bytes([pair[0], pair[1]]);
                let stored = if signed {
                    i32::from(raw as i16)
                } else {
                    i32::from(raw)
                };
                if Some(stored) == padding {
                    padded += 1;
                    continue;
                }
                let got = f64::from(stored) * slope + intercept;
                assert_eq!(
                    got,
                    f64::from(*hu).max(if signed { -2000.0 } else { intercept })
                );
            }
            assert_eq!(padded > 0, padding.is_some());
        }
        let scout = dicom_object::open_file(&paths[4]).unwrap();
        let kind = scout.element(tags::IMAGE_TYPE).unwrap().to_str().unwrap();
        assert!(kind.contains("LOCALIZER"));
    }
}

#[test]
fn canon_names_its_files_in_no_order() {
    let recipe = Recipe {
        scanner: Some(Scanner::Canon),
        matrix: 32,
        slices: Some(8),
        ..Recipe::new(Class::Control, 3)
    };
    let dir = tempfile::tempdir().unwrap();
    let paths = write(&generate(&recipe), dir.path()).unwrap();
    let mut sorted = paths.clone();
    sorted.sort();
    assert_ne!(paths, sorted);
    sorted.reverse();
    assert_ne!(paths, sorted);
}

#[test]
fn a_recipe_that_makes_no_sense_still_gives_a_study() {
    let recipe = Recipe {
        matrix: 1,
        thickness_mm: Some(f64::NAN),
        spacing_mm: Some(-3.0),
        slices: Some(0),
        ..Recipe::new(Class::Cap, u64::MAX)
    };
    let p = generate(&recipe);
    assert_eq!(p.hu.dim(), (1, 32, 32));
    assert_eq!(objects(&p).unwrap().len(), 1);
}
