//! Real studies of real scanners through the whole program. Nobody of us made them.

use super::box_process::{model, output, program};
use super::{objects, peers};
use scanside::delivery::object::{Item, collect};
use scanside::infer::Bundle;
use scanside::report::Outcome;
use scanside::report::dicom::Kind;
use scanside::service::analyse::{Images, analyse};
use scanside::service::files::read_folder;
use std::path::PathBuf;

/// The studies, and the folders into which two of them are unpacked.
struct Studies {
    folders: Vec<PathBuf>,
    _unpacked: Vec<tempfile::TempDir>,
}

fn studies() -> Option<Studies> {
    let data = peers::data()?.join("ct");
    let unpacked: Vec<tempfile::TempDir> = [
        "lung_pet_ct_dx/A0001_philips_kernel_L.tar.xz",
        "cmb_crc/cmb_crc_01068_ge_vct_lung.tar.xz",
    ]
    .map(|archive| peers::unpacked(&data.join(archive)))
    .into();
    let mut folders: Vec<PathBuf> = ["Covid-19/P001", "CAP/cap001", "Control/normal001"]
        .map(|study| data.join("covid_ct_md").join(study))
        .into();
    folders.extend(unpacked.iter().map(|folder| folder.path().to_owned()));
    Some(Studies {
        folders,
        _unpacked: unpacked,
    })
}

/// The three of COVID-CT-MD have no instance UID in their file headers.
#[test]
fn every_file_can_be_sent_under_its_own_name() {
    let Some(studies) = studies() else { return };
    for study in &studies.folders {
        let files = collect(std::slice::from_ref(study)).unwrap();
        assert!(files.len() >= 64, "{}", study.display());
        for file in files {
            let object = Item::File(file.clone()).open().unwrap();
            assert!(
                !object.sop.is_empty() && !object.sop_class.is_empty(),
                "{}",
                file.display()
            );
        }
    }
}

/// Which class it says is for the card; that it says one, and that the lungs were found in the
/// reconstruction as in the scan, is for us.
#[test]
fn every_study_ends_with_a_result() {
    let Some(studies) = studies() else { return };
    let _turn = super::box_process::turn();
    let bundle = Bundle::load(&super::box_process::model()).unwrap();
    for study in &studies.folders {
        let folder = read_folder(study).unwrap();
        let analysis = analyse(
            &Images {
                headers: &folder.headers,
                load: &|index| folder.pixels(index),
                unreadable: 0,
            },
            Ok(&bundle),
            &scanside::config::Config::parse("").unwrap().limits,
            &(),
        );
        match analysis.outcome {
            Outcome::Analysed(found) => {
                let ml = found.lungs.right_ml + found.lungs.left_ml;
                assert!(
                    (2000.0..9000.0).contains(&ml),
                    "{}: {ml} ml",
                    study.display()
                );
                assert!(found.involvement.total_percent > 0.0, "{}", study.display());
                assert_eq!(found.key_images.len(), 6, "{}", study.display());
            }
            Outcome::NotAnalysed { reason, .. } => panic!("{}: {reason}", study.display()),
        }
    }
}

/// What dciodvfy, dcm2pdf, pydicom and highdicom say of the objects of three real scanners' studies and of
/// a whole phantom, as the command writes them.
#[test]
fn the_objects_of_real_studies_and_of_a_phantom_are_sound() {
    let Some(mut studies) = studies() else { return };
    let _turn = super::box_process::turn();
    let phantom = tempfile::tempdir().unwrap();
    let make = "--class covid19 --seed 5 --matrix 256 --thickness 2 --spacing 2";
    let mut command = program();
    command.arg("phantom").args(make.split(' '));
    let made = output(command.arg(phantom.path()));
    assert!(made.status.success());
    studies.folders.push(phantom.path().to_owned());
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    std::fs::write(&settings, format!("model = {:?}\n", model())).unwrap();
    for study in &studies.folders {
        let out = tempfile::tempdir().unwrap();
        let mut analyse = program();
        analyse.arg("analyse").arg(study).arg("--report");
        let said = output(analyse.arg(out.path()).arg("--config").arg(&settings));
        assert!(said.status.success(), "{}: {said:?}", study.display());
        for kind in Kind::ALL {
            objects::conforms(&out.path().join(kind.file()));
        }
        objects::same_pdf(out.path());
        if let Some(verdict) = objects::judged(out.path(), &Kind::ALL) {
            assert!(verdict["raised"].as_u64().unwrap() > 0, "{verdict}");
        }
    }
}
