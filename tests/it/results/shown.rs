//! What Orthanc shows of each object that it took, held against what was sent: the pixels of the
//! secondary capture and of the segmentation, the numbers of the structured report, the bytes of the PDF.

use super::{Archive, deliver, home, pauses, queue, to, wait_for};
use dicom_object::open_file;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One of our objects, as it lies on the disk.
struct Ours {
    pixels: Vec<u8>,
    rows: usize,
    columns: usize,
    frames: usize,
}

fn ours(file: &Path) -> Ours {
    let object = open_file(file).unwrap();
    let number = |name: &str| -> usize {
        let element = object.element_by_name(name).unwrap();
        element.to_int().unwrap()
    };
    Ours {
        pixels: (object.element_by_name("PixelData").unwrap())
            .to_bytes()
            .unwrap()
            .into_owned(),
        rows: number("Rows"),
        columns: number("Columns"),
        frames: number("NumberOfFrames"),
    }
}

/// Orthanc's own picture of a frame: width, height and channels, and the bytes.
fn shown(archive: &Archive, instance: &str, frame: usize) -> ([usize; 3], Vec<u8>) {
    let bytes = archive.fetch(&format!("/instances/{instance}/frames/{frame}/preview"));
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(info.bit_depth, png::BitDepth::Eight);
    pixels.truncate(info.buffer_size());
    let size = [
        info.width as usize,
        info.height as usize,
        info.color_type.samples(),
    ];
    (size, pixels)
}

/// Every number of a structured report, with the names of what was measured beside it.
fn numbers(tags: &Value, found: &mut Vec<f64>) {
    match tags {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(text) if name == "NumericValue" => found.push(text.parse().unwrap()),
                    _ => numbers(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| numbers(item, found)),
        _ => {}
    }
}

#[test]
fn the_archive_shows_what_it_took() {
    let Some(archive) = Archive::new() else {
        return;
    };
    let home = home(&to(archive.dicom, &pauses(30)));
    queue(&home, 1, "pacs");
    let _running = archive.start();
    let _deliver = deliver(&home);
    wait_for(&home, "delivered", 4);
    let folder = home.state().join("reports/R000001");
    let file = |name: &str| -> PathBuf { folder.join(name) };
    let ids = archive.get("/instances");
    let ids: Vec<&str> = (ids.as_array().unwrap().iter())
        .map(|id| id.as_str().unwrap())
        .collect();
    let tags = |id: &str| archive.get(&format!("/instances/{id}/simplified-tags"));
    let of = |modality: &str| -> (&str, Value) {
        let mut found = ids.iter().map(|id| (*id, tags(id)));
        let found = found.find(|(_, tags)| tags["Modality"] == modality);
        found.unwrap_or_else(|| panic!("no {modality} in the archive"))
    };

    let (id, _) = of("DOC");
    let pdf = archive.fetch(&format!("/instances/{id}/pdf"));
    assert!(
        pdf == std::fs::read(file("report.pdf")).unwrap(),
        "another PDF"
    );

    // The page with the answer and every key slice, in colours.
    let sent = ours(&file("sc.dcm"));
    assert!(sent.frames > 1);
    let (id, _) = of("OT");
    for (frame, page) in sent.pixels.chunks(sent.rows * sent.columns * 3).enumerate() {
        if frame == sent.frames {
            // Only the byte that makes the length even.
            assert_eq!(page.len(), 1);
            break;
        }
        let (size, pixels) = shown(&archive, id, frame);
        assert_eq!(size, [sent.columns, sent.rows, 3], "page {frame}");
        assert!(pixels == page, "page {frame} looks different");
    }

    // One bit a pixel, the lowest first.
    let sent = ours(&file("seg.dcm"));
    let (id, _) = of("SEG");
    let area = sent.rows * sent.columns;
    let mut raised = 0;
    for frame in 0..sent.frames {
        let (size, pixels) = shown(&archive, id, frame);
        assert_eq!(size, [sent.columns, sent.rows, 1], "frame {frame}");
        for (at, pixel) in pixels.iter().enumerate() {
            let bit = frame * area + at;
            let set = sent.pixels[bit / 8] >> (bit % 8) & 1 == 1;
            assert_eq!(*pixel > 0, set, "frame {frame}, pixel {at}");
            raised += usize::from(set);
        }
    }
    assert!(raised > 100, "{raised}");

    // The tree with its names, and each number of report.json in it.
    let (_, tags) = of("SR");
    assert_eq!(tags["ValueType"], "CONTAINER");
    let mut found = Vec::new();
    numbers(&tags, &mut found);
    let json = std::fs::read(file("report.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    for (part, names) in [
        ("p", &["control", "covid19", "cap"][..]),
        (
            "involvement",
            &["total_percent", "right_percent", "left_percent"][..],
        ),
    ] {
        for name in names {
            let ours = json[part][name].as_f64().unwrap();
            let same = found.iter().any(|number| (number - ours).abs() < 1e-9);
            assert!(same, "{part} {name} {ours} in {found:?}");
        }
    }
    assert!(tags.to_string().contains("Not a medical device"));
}
