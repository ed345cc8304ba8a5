//! Other people's senders, each accepted transfer syntax, one association for all and one per image:
//! whatever comes is kept with the very pixels that were sent.

use super::{CT, Station, slice, uid};
use crate::beside::free_port;
use crate::commitment::orthanc::{Orthanc, have_orthanc};
use crate::objects::written;
use crate::peers;
use dicom_core::header::Header;
use dicom_core::value::PixelFragmentSequence;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject, open_file};
use scanside::base::ident::Class;
use scanside::phantom::{self, Recipe};
use scanside::reception::TransferSyntax as S;
use scanside::report::dicom::sample::source;
use scanside::report::sample;
use scanside::service::files::{read_header, read_pixels};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const STUDY: u32 = 90;

/// What an image is to the matrix: its syntax and its pixels.
type Images = BTreeMap<String, (S, Vec<u16>)>;

/// Two images in each syntax, written by DCMTK, or for JPEG 2000 around a stream of OpenJPEG.
fn files(folder: &Path) -> Option<BTreeMap<S, Vec<PathBuf>>> {
    let tools: [(S, &str, &[&str]); 7] = [
        (S::ExplicitLittle, "dcmconv", &["+te"]),
        (S::ImplicitLittle, "dcmconv", &["+ti"]),
        (S::ExplicitBig, "dcmconv", &["+tb"]),
        (S::Deflated, "dcmconv", &["+td"]),
        (S::JpegLosslessSv1, "dcmcjpeg", &["+e1"]),
        (S::JpegLossless, "dcmcjpeg", &["+el", "+sv", "6"]),
        (S::Rle, "dcmcrle", &[]),
    ];
    let mut files: BTreeMap<S, Vec<PathBuf>> = BTreeMap::new();
    let plain = folder.join("plain");
    let mut n = 0;
    for (syntax, tool, options) in tools {
        for _ in 0..2 {
            n += 1;
            std::fs::write(&plain, slice(STUDY, n, 40, S::ExplicitLittle)).unwrap();
            let file = folder.join(format!("{n}.dcm"));
            // Instance and pixels stay what they are, whatever the syntax.
            let mut command = peers::program(tool, "--version")?;
            if tool == "dcmcjpeg" {
                command.arg("+un");
            }
            peers::run(command.args(options).arg(&plain).arg(&file));
            files.entry(syntax).or_default().push(file);
        }
    }
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/decode");
    for (syntax, seed) in [(S::Jpeg2000Lossless, "j2k-0-1"), (S::Jpeg2000, "j2k-1-1")] {
        // Seven bytes say how the frame is to be read.
        let seed = std::fs::read(seeds.join(seed)).unwrap()[7..].to_vec();
        for _ in 0..2 {
            n += 1;
            std::fs::write(&plain, slice(STUDY, n, 40, S::ExplicitLittle)).unwrap();
            let mut object = open_file(&plain).unwrap().into_inner();
            let frame = PixelFragmentSequence::new_fragments(vec![seed.clone()]);
            object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, frame));
            let meta = FileMetaTableBuilder::new()
                .media_storage_sop_class_uid(CT)
                .media_storage_sop_instance_uid(uid(STUDY, n))
                .transfer_syntax(syntax.uid());
            let file = folder.join(format!("{n}.dcm"));
            object
                .with_meta(meta)
                .unwrap()
                .write_to_file(&file)
                .unwrap();
            files.entry(syntax).or_default().push(file);
        }
    }
    Some(files)
}

fn image(path: &Path) -> (String, (S, Vec<u16>)) {
    let header = read_header(path).unwrap();
    let syntax = S::from_uid(&header.transfer_syntax).unwrap();
    let pixels = read_pixels(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    (header.sop.to_string(), (syntax, pixels.words))
}

fn kept(station: &Station) -> Images {
    station.spool.tidy().unwrap();
    let files = station.spool.files().unwrap();
    let place = |found: &scanside::spool::Found| station.spool.locate(&found.path);
    files.iter().map(|found| image(&place(found))).collect()
}

/// How a program is told to send these files; nothing where it cannot propose their syntax.
type Program = fn(port: u16, syntax: S, files: &[PathBuf]) -> Option<Command>;

/// One end of the matrix: sends these files to a port and returns when all are acknowledged, or
/// says that it cannot propose their syntax.
trait Sender {
    fn send(&mut self, port: u16, syntax: S, files: &[PathBuf]) -> bool;
}

impl Sender for Program {
    fn send(&mut self, port: u16, syntax: S, files: &[PathBuf]) -> bool {
        let Some(mut command) = self(port, syntax, files) else {
            return false;
        };
        let output = command.output().expect("it runs");
        let words = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{syntax:?}: {words}");
        true
    }
}

/// An Orthanc that takes files in and stores them to a station.
#[derive(Default)]
struct Archive(Option<(u16, Orthanc)>);

impl Sender for Archive {
    fn send(&mut self, port: u16, _: S, files: &[PathBuf]) -> bool {
        if self.0.as_ref().is_none_or(|(to, _)| *to != port) {
            self.0 = Some((port, Orthanc::start("CT1", free_port(), port, None)));
        }
        let (_, orthanc) = self.0.as_ref().expect("it runs");
        // It answers when the last image is acknowledged, and with an error if one is not.
        let stored = orthanc.store(files, false);
        assert_eq!(stored["FailedInstancesCount"], 0, "{stored}");
        assert_eq!(stored["InstancesCount"], files.len(), "{stored}");
        true
    }
}

fn dcmtk(program: &str, port: u16) -> Command {
    let mut command = Command::new(program);
    command.args(["-aet", "CT1", "-aec", "SCANSIDE"]);
    command.args(["127.0.0.1", &port.to_string()]);
    command
}

fn storescu(port: u16, syntax: S, files: &[PathBuf]) -> Option<Command> {
    let proposes = match syntax {
        S::ExplicitLittle => "-xe",
        S::ImplicitLittle => "-xi",
        S::ExplicitBig => "-xb",
        S::Deflated => "-xd",
        S::JpegLosslessSv1 => "-xs",
        S::Rle => "-xr",
        S::Jpeg2000Lossless => "-xv",
        S::Jpeg2000 => "-xw",
        S::JpegLossless | S::JpegBaseline => return None,
    };
    let mut command = dcmtk("storescu", port);
    command.args(["-R", proposes]).args(files);
    Some(command)
}

fn dcmsend(port: u16, _: S, files: &[PathBuf]) -> Option<Command> {
    let mut command = dcmtk("dcmsend", port);
    // What lies in the file is sent, and not decompressed for us.
    command.arg("--decompress-never").args(files);
    Some(command)
}

fn dcmjs(port: u16, syntax: S, files: &[PathBuf]) -> Option<Command> {
    // It calls plain data deflated.
    if syntax == S::Deflated {
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/dcmjs.cjs");
    let mut command = Command::new("node");
    command.arg(script).arg(port.to_string()).arg("SCANSIDE");
    command.args(files);
    Some(command)
}

/// Each file on one association, in the syntax that it lies in.
const PYNETDICOM: &str = "import sys\n\
    from pydicom import dcmread\n\
    from pynetdicom import AE\n\
    files = [dcmread(name) for name in sys.argv[2:]]\n\
    ae = AE('CT1')\n\
    for f in files: ae.add_requested_context(f.SOPClassUID, f.file_meta.TransferSyntaxUID)\n\
    a = ae.associate('127.0.0.1', int(sys.argv[1]), ae_title='SCANSIDE')\n\
    assert a.is_established\n\
    assert all(a.send_c_store(f).Status == 0 for f in files)\n\
    a.release()\n";

fn pynetdicom(port: u16, _: S, files: &[PathBuf]) -> Option<Command> {
    let mut command = peers::python_with(&["pydicom", "pynetdicom"])?;
    command.args(["-W", "ignore", "-c", PYNETDICOM]);
    command.arg(port.to_string()).args(files);
    Some(command)
}

/// Sends all pairs of this sender, the images of a syntax together and each alone.
async fn play(name: &str, mut sender: impl Sender, may_transcode: bool) {
    let folder = tempfile::tempdir().unwrap();
    let Some(files) = files(folder.path()) else {
        return;
    };
    let mut played = 0;
    for alone in [false, true] {
        let station = Station::start();
        let mut sent = Images::new();
        for (&syntax, files) in &files {
            let size = if alone { 1 } else { files.len() };
            for files in files.chunks(size) {
                if !tokio::task::block_in_place(|| sender.send(station.port, syntax, files)) {
                    continue;
                }
                sent.extend(files.iter().map(|file| image(file)));
                played += 1;
            }
        }
        let mut kept = kept(&station);
        let names = |images: &Images| images.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(names(&kept), names(&sent), "{name}, alone {alone}");
        for (sop, (syntax, pixels)) in &sent {
            let (as_what, got) = kept.remove(sop).unwrap();
            assert!(got == *pixels, "{name}: other pixels of {syntax:?}");
            // DCMTK writes plain data in another plain syntax if we prefer that one.
            let same = as_what == *syntax || (as_what.is_native() && syntax.is_native());
            assert!(may_transcode || same, "{syntax:?} became {as_what:?}");
        }
    }
    peers::say(&format!("{name}: {played} sendings, all kept"));
}

#[tokio::test(flavor = "multi_thread")]
async fn storescu_in_every_syntax() {
    if peers::program("storescu", "--version").is_some() {
        play("storescu", storescu as Program, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmsend_in_every_syntax() {
    if peers::program("dcmsend", "--version").is_some() {
        play("dcmsend", dcmsend as Program, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmjs_in_every_syntax() {
    if peers::node_with("dcmjs-dimse") {
        play("dcmjs-dimse", dcmjs as Program, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pynetdicom_in_every_syntax() {
    if peers::python_with(&["pydicom", "pynetdicom"]).is_some() {
        play("pynetdicom", pynetdicom as Program, false).await;
    }
}

/// It sends what it has in the syntax in which it was given it, and keeps every bit of it.
#[tokio::test(flavor = "multi_thread")]
async fn orthanc_in_every_syntax() {
    if have_orthanc() {
        play("Orthanc", Archive::default(), false).await;
    }
}

/// Every element of an object with its value, whatever the lengths around it say.
fn elements(object: &InMemDicomObject, path: &str, into: &mut BTreeMap<String, Vec<u8>>) {
    for element in object {
        // Lengths of groups, which a sender makes anew.
        if element.tag().element() == 0 {
            continue;
        }
        let path = format!("{path}{}", element.tag());
        match element.items() {
            Some(items) => {
                for (at, item) in items.iter().enumerate() {
                    elements(item, &format!("{path}[{at}]"), into);
                }
            }
            None => {
                let value = element.to_bytes().expect("a value").into_owned();
                into.insert(path, value);
            }
        }
    }
}

fn everything(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    elements(&open_file(path).unwrap(), "", &mut found);
    found
}

/// And instances of every kind: an Enhanced CT, and the report, mask, pages and document of a result.
#[tokio::test(flavor = "multi_thread")]
async fn orthanc_with_instances_of_every_kind() {
    if !have_orthanc() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = phantom::generate(&Recipe {
        matrix: 64,
        slices: Some(4),
        ..Recipe::new(Class::Control, 930_001)
    });
    let mut files = vec![phantom::write_enhanced(&made, folder.path()).expect("an object")];
    for object in written(folder.path(), &sample::covid(), &source()) {
        files.push(folder.path().join(object.kind.file()));
    }
    assert_eq!(files.len(), 5, "one of each kind");
    let station = Station::start();
    let mut archive = Archive::default();
    tokio::task::block_in_place(|| archive.send(station.port, S::ExplicitLittle, &files));
    station.spool.tidy().unwrap();
    let kept = station.spool.files().unwrap();
    let mut kept: Vec<_> = kept
        .iter()
        .map(|found| everything(&station.spool.locate(&found.path)))
        .collect();
    for file in &files {
        let sent = everything(file);
        let at = kept.iter().position(|got| *got == sent);
        let at = at.unwrap_or_else(|| panic!("{} is not kept as it is", file.display()));
        kept.remove(at);
    }
    assert!(kept.is_empty(), "and nothing else");
}
