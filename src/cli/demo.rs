//! The main job on this machine: the box with throw-away state, and a console that sends to it.
//!
//! Nothing is short-cut. The study goes through a DICOM association over loopback, the answer
//! comes through the database, and the stick is written as the box writes it.

use super::Failure;
use super::files::screen_config;
use super::net::transfer;
use super::progress::Bar;
use super::say::say;
use super::stick::write_stick;
use crate::base::ident::{Class, ReportNo};
use crate::config::Config;
use crate::delivery::object::{Item, collect};
use crate::delivery::scu::{Destination, Options};
use crate::phantom::{self, Kernel, Recipe, Scanner};
use crate::screen::{PanelChoice, PanelSize, ScreenConfig};
use crate::service::{self, Note};
use crate::status::{ResultWord, Status};
use crate::store::Store;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// The phantoms of the demonstration: thin slices, soft kernel. No seed of theirs was used in
/// training, but they were picked among those that the model decides. Of five that were tried three
/// were decided, all rightly; two of the three with CAP came out as "Cannot decide".
#[must_use]
pub fn phantoms() -> [Recipe; 3] {
    let recipe = |class, seed, scanner| Recipe {
        scanner: Some(scanner),
        kernel: Some(Kernel::Soft),
        thickness_mm: Some(2.0),
        spacing_mm: Some(2.0),
        ..Recipe::new(class, seed)
    };
    [
        recipe(Class::Control, 900_002, Scanner::Ge),
        recipe(Class::Cap, 900_006, Scanner::Canon),
        recipe(Class::Covid19, 900_001, Scanner::Siemens),
    ]
}

/// A study of 600 slices takes two minutes on two slow cores; without a sign of life for this long
/// something hangs.
const PATIENCE: Duration = Duration::from_secs(180);

/// A study, and what it should be called if somebody knows.
struct Parcel {
    name: String,
    items: Vec<Item>,
    truth: Option<Class>,
}

/// Runs the demonstration and leaves everything below `out`.
pub fn run(study: Option<&Path>, out: &Path) -> Result<(), Failure> {
    let state = fresh(out)?;
    let mut config = Config::parse("").map_err(Failure::failed)?;
    config.listen = ([127, 0, 0, 1], 0).into();
    config.allow_any().map_err(Failure::failed)?;
    config.lenient_disk = true;
    config.runtime = state.join("run");
    config.state = state;
    config.times.settle = Duration::from_secs(1);
    config.times.quiet = Duration::from_secs(4);
    config.device = "demonstration".into();
    config.export.enabled = true;

    let (tell, hear) = channel();
    let (switch, stop) = service::stop_switch();
    let options = service::Options {
        listeners: Vec::new(),
        stop: Some(stop),
        // The receiver is gone only when this function has returned.
        watcher: Some(Box::new(move |note| drop(tell.send(note)))),
    };
    eprintln!("starting the box; its model recomputes its golden outputs ...");
    let box_config = config.clone();
    let running = std::thread::spawn(move || service::serve(box_config, options));
    let told = play(&config, study, out, &hear);
    switch.stop();
    let ended = running
        .join()
        .map_err(|_| Failure::Failed("the service panicked".into()))?;
    // The service's own words come first: they say why nothing could be heard of it.
    ended.map_err(Failure::failed)?;
    let answers = told?;
    leave(&config, out, &answers)
}

/// One answered study.
struct Answer {
    name: String,
    truth: Option<Class>,
    done: service::worker::Done,
}

/// Plays the console for each study.
fn play(
    config: &Config,
    study: Option<&Path>,
    out: &Path,
    hear: &Receiver<Note>,
) -> Result<Vec<Answer>, Failure> {
    let (address, ae_title) = loop {
        match next(hear)? {
            Note::Ready {
                address, ae_title, ..
            } => break (address, ae_title),
            _ => continue,
        }
    };
    eprintln!("the box listens on {address} as {ae_title}");
    let destination = Destination {
        called: ae_title,
        host: address.ip().to_string(),
        port: address.port(),
    };
    let mut answers = Vec::new();
    for parcel in parcels(study) {
        let parcel = parcel?;
        eprintln!(
            "\n{}: {} images over DICOM",
            parcel.name,
            parcel.items.len()
        );
        let sent = transfer(&parcel.items, &destination, &Options::new("DEMO_CONSOLE"))?;
        let stored = sent
            .iter()
            .filter(|answer| answer.outcome.is_delivered())
            .count();
        eprintln!(
            "{}: {stored} of {} images stored by the box",
            parcel.name,
            sent.len()
        );
        if stored == 0 {
            return Err(Failure::Refused("the box took none of the images".into()));
        }
        let bar = Bar::new("denoising slices", 0);
        let done = loop {
            match next(hear)? {
                Note::Done(done) => break *done,
                Note::Slices { done, of } => bar.set(done, of),
                Note::Ready { .. } | Note::Receiving { .. } => {}
            }
        };
        bar.end();
        picture(config, out)?;
        answers.push(Answer {
            name: parcel.name,
            truth: parcel.truth,
            done,
        });
    }
    Ok(answers)
}

fn next(hear: &Receiver<Note>) -> Result<Note, Failure> {
    hear.recv_timeout(PATIENCE).map_err(|e| {
        Failure::Failed(match e {
            RecvTimeoutError::Timeout => "the box has fallen silent".into(),
            RecvTimeoutError::Disconnected => "the box has ended".into(),
        })
    })
}

/// The studies to send, made one at a time.
fn parcels(study: Option<&Path>) -> Box<dyn Iterator<Item = Result<Parcel, Failure>>> {
    if let Some(dir) = study {
        let name = dir
            .file_name()
            .unwrap_or(dir.as_os_str())
            .to_string_lossy()
            .into_owned();
        let parcel = collect(&[dir.to_owned()])
            .map_err(|e| Failure::Failed(format!("{}: {e}", dir.display())))
            .and_then(|files| {
                let items: Vec<Item> = files.into_iter().map(Item::File).collect();
                if items.is_empty() {
                    let words = format!("there are no DICOM files in {}", dir.display());
                    return Err(Failure::Refused(words));
                }
                Ok(Parcel {
                    name,
                    items,
                    truth: None,
                })
            });
        return Box::new(std::iter::once(parcel));
    }
    Box::new(phantoms().into_iter().map(|recipe| {
        let class = recipe.class;
        eprintln!("\nmaking a phantom: {class}");
        let phantom = phantom::generate(&recipe);
        let items = phantom::files(&phantom).map_err(Failure::failed)?;
        Ok(Parcel {
            name: format!("phantom {class}"),
            items: items.into_iter().map(Item::Bytes).collect(),
            truth: Some(class),
        })
    }))
}

/// An empty state folder below `out`. Only a folder that an earlier demonstration left is emptied.
fn fresh(out: &Path) -> Result<PathBuf, Failure> {
    let failed = |e: std::io::Error| Failure::Failed(format!("{}: {e}", out.display()));
    let state = out.join("state");
    let stick = out.join("stick");
    std::fs::create_dir_all(out).map_err(failed)?;
    let mark = out.join("scanside-demo.txt");
    for folder in [&state, &stick] {
        if folder.exists() {
            if !mark.is_file() {
                return Err(Failure::Refused(format!(
                    "{} is there and was not made by a demonstration; choose another --out",
                    folder.display()
                )));
            }
            std::fs::remove_dir_all(folder).map_err(failed)?;
        }
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(
        &mark,
        "Left by `scanside demo`, which empties state/ and stick/ when it runs again.\n",
    )
    .map_err(failed)?;
    Ok(state)
}

/// Waits until the status shows the end of the study, then draws the screen.
fn picture(config: &Config, out: &Path) -> Result<(), Failure> {
    use crate::status::State;
    for _ in 0..40 {
        let status = Status::read(&config.status_file()).map_err(Failure::failed)?;
        if matches!(
            status.state,
            State::Result { .. } | State::NotAnalysed { .. }
        ) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    crate::screen::run(ScreenConfig {
        panel: PanelChoice::Png {
            file: out.join("screen.png"),
            size: PanelSize::SEVEN_INCH,
        },
        ..screen_config(config)
    })
    .map_err(Failure::failed)
}

/// Writes the stick, copies the last report and the database, and says where everything is.
fn leave(config: &Config, out: &Path, answers: &[Answer]) -> Result<(), Failure> {
    let sentence = write_stick(config, &out.join("stick"))?;
    let failed = |e: std::io::Error| Failure::Failed(format!("{}: {e}", out.display()));
    if let Some(last) = answers.last() {
        let folder = config
            .reports()
            .join(ReportNo(last.done.report).to_string());
        for name in ["report.pdf", "report.html", "report.json"] {
            std::fs::copy(folder.join(name), out.join(name)).map_err(failed)?;
        }
    }
    let database = out.join("scanside.db");
    match std::fs::remove_file(&database) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    Store::open(&config.database())
        .and_then(|store| store.copy_to(&database))
        .map_err(Failure::failed)?;

    say!("\n{}\n", crate::report::BANNER);
    let mut wrong = 0;
    for answer in answers {
        let said = answer.done.word.map_or("Not analysed", ResultWord::words);
        let verdict = match answer.truth {
            Some(truth)
                if answer.done.word.map(service::worker::file_word) == Some(truth.word()) =>
            {
                "right"
            }
            Some(_) => {
                wrong += 1;
                "WRONG"
            }
            None => "",
        };
        say!(
            "  {:<18} {:<30} {:>5.1} s  report {}  {verdict}",
            answer.name,
            said,
            answer.done.seconds,
            ReportNo(answer.done.report)
        );
        if answer.done.word.is_none() {
            say!("  {:<18} {} {}", "", answer.done.reason, answer.done.action);
        }
        if answer.done.demonstration && answer.done.word.is_some() {
            say!("  {:<18} {}", "", crate::report::DEMONSTRATION);
        }
    }
    say!("\n  {sentence}\n");
    for (what, path) in [
        ("screen", "screen.png"),
        ("report", "report.pdf"),
        ("report for a browser", "report.html"),
        ("report for programs", "report.json"),
        ("stick", "stick/SCANSIDE"),
        ("database", "scanside.db"),
    ] {
        let path = out.join(path);
        if !path.exists() {
            return Err(Failure::Failed(format!("{} was not made", path.display())));
        }
        say!("  {what:<20} {}", path.display());
    }
    if wrong > 0 {
        return Err(Failure::Failed(format!(
            "{wrong} phantoms were not answered as they should"
        )));
    }
    Ok(())
}
