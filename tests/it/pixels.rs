//! Every transfer syntax on real images: the same pixels as the uncompressed file, and the same
//! as pydicom gives. And files of all kinds that are no CT: an answer, never a panic.

use crate::peers;
use ndarray::Array2;
use scanside::service::files::{read_header, read_object, read_pixels};
use scanside::volume::decode::{DECODABLE, StoredPixels, decode_data_set};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

fn pixels(path: &Path) -> StoredPixels {
    read_pixels(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn values(pixels: &StoredPixels) -> Vec<i32> {
    pixels.words.iter().map(|&w| pixels.value(w)).collect()
}

/// First digits of the SHA-256 of the values as little-endian int16.
fn digest(pixels: &StoredPixels) -> String {
    let mut sha = Sha256::new();
    for value in values(pixels) {
        sha.update((value as i16).to_le_bytes());
    }
    sha.finalize()[..5]
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn one_slice_in_every_lossless_syntax_is_one_picture() {
    let Some(data) = peers::data() else { return };
    let mut seen = Vec::new();
    for path in files(&data.join("robustness/transfer_syntax_ge_chest")) {
        let Ok((_, syntax)) = read_object(&path) else {
            continue;
        };
        let decoded = read_pixels(&path);
        if !DECODABLE.contains(&syntax.as_str()) {
            assert!(decoded.is_err(), "{syntax} is not on the list");
        } else if syntax.ends_with(".91") {
            // JPEG 2000 that may lose: near, not equal.
            assert_eq!(decoded.unwrap().words.len(), 512 * 512);
        } else {
            assert_eq!(digest(&decoded.unwrap()), "1bee432808", "{syntax}");
            seen.push(syntax);
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 8, "{seen:?}");
}

#[test]
fn the_standard_bodys_sample_in_three_codings_is_one_picture() {
    let Some(data) = peers::data() else { return };
    let folder = data.join("robustness/nema_wg04");
    for name in [
        "REF_CT1_UNC",
        "RLE_CT1_RLE",
        "JPLL_CT1_JPLL",
        "J2KR_CT1_J2KR",
    ] {
        assert_eq!(digest(&pixels(&folder.join(name))), "1add6ede29", "{name}");
    }
}

#[test]
fn real_slices_decode_as_pydicom_decodes_them() {
    let Some(data) = peers::data() else { return };
    let Some(mut python) = peers::python_with(&["numpy", "pydicom", "pylibjpeg", "openjpeg"])
    else {
        return;
    };
    let first = |folder: &str, count: usize| {
        let mut files = files(&data.join(folder));
        files.retain(|f| !f.ends_with("README.md"));
        files.truncate(count);
        files
    };
    let cases: Vec<(PathBuf, i32)> = [
        (first("ct/covid_ct_md/Covid-19/P001", 3), 0),
        (first("ct/covid_ct_md/CAP/cap001", 1), 0),
        (first("ct/ricord_sagittal", 1), 0),
        (first("ct/cip_ct64_lowres", 1), 0),
        (first("robustness/totalseg_siemens_mct_j2k", 3), 0),
        (first("robustness/ge_ct750hd_explicit_big_endian", 2), 0),
        (vec![data.join("robustness/gantry_tilt/GE_13.dcm")], 0),
        (
            vec![data.join("robustness/pydicom/test_files/CT_small.dcm")],
            0,
        ),
        (
            vec![data.join("robustness/pydicom/test_files/J2K_pixelrep_mismatch.dcm")],
            0,
        ),
        // Lossy JPEG 2000: two decoders may round the last bit differently.
        (vec![data.join("robustness/nema_wg04/J2KI_CT1_J2KI")], 1),
    ]
    .into_iter()
    .flat_map(|(files, tolerance)| files.into_iter().map(move |f| (f, tolerance)))
    .collect();

    let out = tempfile::tempdir().unwrap();
    let script = "import sys, numpy, pydicom\n\
        for i, f in enumerate(sys.argv[2:]):\n\
        \x20   a = pydicom.dcmread(f).pixel_array.astype('<i4')\n\
        \x20   numpy.save(f'{sys.argv[1]}/{i}.npy', a)\n";
    python.args(["-c", script]).arg(out.path());
    peers::run(python.args(cases.iter().map(|case| &case.0)));
    for (i, (path, tolerance)) in cases.iter().enumerate() {
        let theirs: Array2<i32> =
            ndarray_npy::read_npy(out.path().join(format!("{i}.npy"))).unwrap();
        let ours = pixels(path);
        assert_eq!((ours.rows, ours.columns), theirs.dim());
        let differences = values(&ours);
        let differences = differences.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
        let largest = differences.max().unwrap_or(0);
        assert!(largest <= *tolerance, "{}: {largest}", path.display());
    }
}

#[test]
fn odd_and_hostile_files_get_an_answer() {
    let Some(data) = peers::data() else { return };
    let (mut headers, mut images, mut refused) = (0, 0, 0);
    for path in files(&data.join("robustness")) {
        let Ok((object, syntax)) = read_object(&path) else {
            continue;
        };
        headers += usize::from(read_header(&path).is_ok());
        let decoded = read_pixels(&path);
        // One frame read by its place is the one that a parser finds.
        let whole = decode_data_set(&object, &syntax);
        assert_eq!(
            decoded.as_ref().ok(),
            whole.ok().as_ref(),
            "{}",
            path.display()
        );
        match decoded {
            Ok(pixels) => {
                images += 1;
                assert_eq!(pixels.words.len(), pixels.rows * pixels.columns);
            }
            Err(reason) => {
                refused += 1;
                assert!(!reason.to_string().is_empty());
            }
        }
    }
    peers::say(&format!(
        "{headers} headers, {images} images, {refused} refused"
    ));
    assert!(headers > 50 && images > 30 && refused > 30);
}

/// A syntax that the port accepts and nobody can read would be a study lost on the way.
#[test]
fn what_the_port_accepts_can_be_decoded_and_the_other_way_round() {
    let accepted = scanside::reception::TRANSFER_SYNTAXES.map(|syntax| syntax.uid());
    assert_eq!(accepted, scanside::volume::decode::DECODABLE);
}
