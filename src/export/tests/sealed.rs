//! Sticks that are sealed for somebody.

use super::*;

/// Every file below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| match path.is_dir() {
        true => files_below(&path),
        false => vec![path],
    };
    entries.flat_map(below).collect()
}

/// Nothing of a report of a [`Bench`] can be read on its stick, whatever became of the export.
pub fn nothing_is_open(bench: &Bench) {
    for path in files_below(&bench.stick) {
        let bytes = fs::read(&path).unwrap();
        let holds = |words: &[u8]| bytes.windows(words.len()).any(|there| there == words);
        assert!(!holds(b"report 1") && !holds(b"%PDF"), "{path:?}");
        assert!(!holds(&[7; 12]), "the picture in {path:?}");
    }
}

#[test]
fn a_sealed_report_opens_for_its_reader_and_is_the_whole_folder() {
    let mut bench = Bench::new(&[123]);
    let (reader, other) = (Identity::draw(), Identity::draw().recipient());
    let recipients = [reader.recipient(), other];
    bench.seal_for(&recipients);
    let exported = bench.export().unwrap();
    assert_eq!(
        exported.sentence(Language::English),
        "SAFE TO REMOVE. 1 report copied and checked. Sealed: only the key opens them."
    );
    let mut names: Vec<&str> = exported.copied[0].files.iter().map(|f| &*f.name).collect();
    names.push("SHA256SUMS");
    names.sort_unstable();
    let mut there = files_below(&bench.on_stick("R000123"));
    there.sort();
    let there = there
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap());
    assert_eq!(names, there.collect::<Vec<_>>());
    assert_eq!(names, ["REPORT.AGE", "SEALED.TXT", "SHA256SUMS"]);
    assert!(bench.whole("R000123"));
    nothing_is_open(&bench);
    for text in ["README.TXT", "R000123/SEALED.TXT"] {
        let text = fs::read_to_string(bench.on_stick(text)).unwrap();
        for recipient in &recipients {
            assert!(text.contains(&recipient.to_string()), "{text}");
        }
    }

    let file = fs::read(bench.on_stick("R000123/REPORT.AGE")).unwrap();
    assert_eq!(file.len() as u64, exported.copied[0].files[0].bytes);
    let archive = reader.open(&file).unwrap();
    let mut archive = tar::Archive::new(&*archive);
    let out = tempfile::tempdir().unwrap();
    archive.unpack(out.path()).unwrap();
    let opened = Bench {
        stick: out.path().to_owned(),
        reports: bench.reports.clone(),
        seal: None,
        _folder: out,
    };
    fs::create_dir(opened.stick.join(FOLDER)).unwrap();
    fs::rename(opened.stick.join("R000123"), opened.on_stick("R000123")).unwrap();
    assert!(opened.whole("R000123"));
    // As an open stick has it, file by file: that is what an open export finds there already.
    assert_eq!(opened.export().unwrap().already, [ReportNo(123)]);
    let made = fs::metadata(opened.on_stick("R000123/REPORT.PDF")).unwrap();
    assert!(made.modified().unwrap().elapsed().unwrap().as_secs() < 3600);
}

/// A stick that was written before is no proof that its readers are those of today.
#[test]
fn a_report_goes_again_for_other_readers_and_from_another_box() {
    let mut bench = Bench::new(&[5]);
    bench.export().unwrap();
    let (one, other) = (Identity::draw().recipient(), Identity::draw().recipient());
    let mut folder = |recipients: &[Recipient], key| {
        bench.seal = Seal::new(recipients, &[key; SEAL_KEY]);
        let exported = bench.export().unwrap();
        exported.copied.first().map(|copied| copied.folder.clone())
    };
    let once = std::slice::from_ref(&one);
    assert_eq!(folder(once, 3).as_deref(), Some("R000005A"), "it was open");
    assert_eq!(folder(once, 3), None);
    assert_eq!(
        folder(std::slice::from_ref(&other), 3).as_deref(),
        Some("R000005B")
    );
    assert_eq!(
        folder(&[one.clone(), other], 3).as_deref(),
        Some("R000005C")
    );
    assert_eq!(folder(once, 4).as_deref(), Some("R000005D"), "another box");
    assert_eq!(folder(once, 3), None);
}

#[test]
fn a_sealed_file_that_was_put_in_its_place_is_not_taken_for_ours() {
    let bench = Bench::of(&[5], true);
    bench.export().unwrap();
    let folder = bench.on_stick("R000005");
    let mut bytes = fs::read(folder.join("REPORT.AGE")).unwrap();
    bytes[1000] ^= 1;
    fs::write(folder.join("REPORT.AGE"), &bytes).unwrap();
    // With sums that fit.
    let text = fs::read(folder.join("SEALED.TXT")).unwrap();
    let files = [
        ("REPORT.AGE".to_owned(), bytes),
        ("SEALED.TXT".to_owned(), text),
    ];
    fs::write(folder.join("SHA256SUMS"), sums(&files)).unwrap();
    assert!(bench.whole("R000005"));
    assert_eq!(bench.export().unwrap().copied[0].folder, "R000005A");
}

#[test]
fn room_is_asked_for_what_a_sealed_report_takes() {
    let written = Cell::new(0);
    let bench = Bench::of(&[1], true);
    let free = |free: u64| {
        let room = move |_: &fs::File| Ok(Room { free, cluster: 1 });
        let seams = Seams {
            room: &room,
            before: &|_, _| {
                written.set(written.get() + 1);
                Ok(())
            },
        };
        bench.export_through(&seams)
    };
    assert!(matches!(
        free(1000).unwrap_err().cause,
        Cause::StickFull { needed_mb: 1 }
    ));
    // What it took, and a cluster for each entry of a folder.
    let real = Bench::of(&[1], true);
    real.export().unwrap();
    let taken = files_below(&real.stick)
        .into_iter()
        .map(|path| fs::metadata(path).unwrap().len());
    let taken: u64 = taken.sum::<u64>() + 4;
    assert!(free(taken - 1).is_err());
    assert_eq!(written.get(), 0);
    assert!(free(taken).is_ok());
}
