//! Our preprocessing held against the reference program on real studies, voxel by voxel.

use crate::peers;
use ndarray::Array3;
use scanside::service::files::read_folder;
use scanside::study::assemble::assemble;
use scanside::volume::input::network_input;
use scanside::volume::profiles::{Profile, Recipe};
use std::path::{Path, PathBuf};

const MODULES: [&str; 4] = ["numpy", "scipy", "skimage", "pydicom"];

/// Compares (profile, size, z policy) cases on one study.
fn compare(study: impl Fn(&Path) -> Study, cases: &[(&str, &str, &str)]) {
    let Some(data) = peers::data() else { return };
    if peers::python_with(&MODULES).is_none() {
        return;
    }
    let study = study(&data);
    for case in cases {
        let (ours, seconds) = ours(study.path(), *case);
        let theirs = theirs(&data, study.path(), *case);
        assert_eq!(ours.dim(), theirs.dim(), "{case:?}");
        let difference = Difference::of(&ours, &theirs);
        let (profile, size, z) = case;
        peers::say(&format!(
            "{} {profile} {size} {z}: {:?} in {seconds:.2} s, {difference:?}",
            study.name(),
            ours.dim()
        ));
        match *profile {
            "paper" => assert!(difference.largest <= 1e-4, "{case:?} {difference:?}"),
            _ => {
                assert!(difference.over_one_hu <= 1e-3, "{case:?} {difference:?}");
                assert!(
                    difference.over_a_hundredth < 1e-5,
                    "{case:?} {difference:?}"
                );
            }
        }
    }
}

/// A folder in the data, or an archive of it that was unpacked.
enum Study {
    Folder(PathBuf),
    Unpacked(String, tempfile::TempDir),
}

impl Study {
    fn path(&self) -> &Path {
        match self {
            Study::Folder(path) => path,
            Study::Unpacked(_, folder) => folder.path(),
        }
    }

    fn name(&self) -> String {
        match self {
            Study::Folder(path) => path.file_name().unwrap_or_default().display().to_string(),
            Study::Unpacked(name, _) => name.clone(),
        }
    }
}

fn folder(path: &'static str) -> impl Fn(&Path) -> Study {
    move |data| Study::Folder(data.join(path))
}

fn archive(path: &'static str) -> impl Fn(&Path) -> Study {
    move |data| Study::Unpacked(path.to_owned(), peers::unpacked(&data.join(path)))
}

#[derive(Debug)]
#[allow(dead_code, reason = "the fields are printed")]
struct Difference {
    largest: f32,
    /// Share of voxels that differ by more than 1 HU of the window, and by more than 0.01.
    over_one_hu: f64,
    over_a_hundredth: f64,
}

impl Difference {
    fn of(ours: &Array3<f32>, theirs: &Array3<f32>) -> Self {
        let differences = || ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
        let share = |limit: f32| {
            // A hair above, for voxels that are one HU apart to the last digit.
            let over = differences().filter(|d| *d > limit + 1e-6).count();
            over as f64 / ours.len() as f64
        };
        Difference {
            largest: differences().fold(0.0, f32::max),
            over_one_hu: share(1.0 / 1400.0),
            over_a_hundredth: share(0.01),
        }
    }
}

fn ours(study: &Path, (profile, size, z_policy): (&str, &str, &str)) -> (Array3<f32>, f64) {
    let recipe = Recipe {
        profile: profile.parse::<Profile>().unwrap(),
        size: size.parse().unwrap(),
        z_policy: z_policy.parse().unwrap(),
    };
    let start = std::time::Instant::now();
    let folder = read_folder(study).unwrap();
    let assembly = assemble(&folder.headers);
    let stack = assembly.stacks.first().expect("a stack");
    let input = network_input(recipe, stack, &folder.headers, &|i| folder.pixels(i)).unwrap();
    (input.unit, start.elapsed().as_secs_f64())
}

fn theirs(data: &Path, study: &Path, (profile, size, z): (&str, &str, &str)) -> Array3<f32> {
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("reference.npy");
    let mut python = peers::python_with(&MODULES).expect("it was there before");
    python.arg(data.join("../reference/ctnet_reference.py"));
    python.args([
        "preprocess",
        "--profile",
        profile,
        "--size",
        size,
        "--z-policy",
        z,
    ]);
    peers::run(python.arg(study).arg(&out));
    ndarray_npy::read_npy(&out).unwrap()
}

#[test]
fn small_chest_in_every_variant() {
    compare(
        folder("ct/cip_ct64_lowres"),
        &[
            ("paper", "128", "iso1"),
            ("paper", "240", "iso1"),
            ("paper", "128", "native"),
            ("release", "128", "iso1"),
            ("release", "240", "iso1"),
            ("release", "128", "native"),
        ],
    );
}

#[test]
fn siemens_covid_study() {
    compare(
        folder("ct/covid_ct_md/Covid-19/P001"),
        &[
            ("paper", "128", "iso1"),
            ("release", "128", "iso1"),
            ("release", "240", "iso1"),
        ],
    );
}

#[test]
fn philips_study_of_five_millimetres() {
    compare(
        archive("ct/lung_pet_ct_dx/A0001_philips_kernel_L.tar.xz"),
        &[
            ("paper", "240", "iso1"),
            ("paper", "128", "native"),
            ("release", "128", "iso1"),
        ],
    );
}

#[test]
fn ge_study_feet_first_with_padding() {
    compare(
        archive("ct/cmb_crc/cmb_crc_01068_ge_vct_lung.tar.xz"),
        &[("paper", "128", "iso1"), ("release", "240", "iso1")],
    );
}
