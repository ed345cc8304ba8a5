//! The commands that work on files.

use super::Failure;
use super::progress::Bar;
use super::say::say;
use crate::base::ident::Class;
use crate::board::Board;
use crate::config::Config;
use crate::infer::{Bundle, Model};
use crate::phantom::{self, Kernel, Recipe as PhantomRecipe};
use crate::report::{self, Outcome, Report};
use crate::screen::panel::drm::DrmFacts;
use crate::screen::{self, PanelChoice, PanelSize, ScreenConfig};
use crate::service::analyse::{Images, analyse as analyse_study};
use crate::service::files::{Folder, read_folder};
use crate::service::source::source;
use crate::service::worker::report_of;
use crate::study::assemble::assemble;
use crate::study::choose::choose;
use crate::volume::input::network_input;
use crate::volume::profiles::{Profile, Recipe};
use std::path::Path;

pub fn class(text: &str) -> Result<Class, String> {
    Class::ALL
        .into_iter()
        .find(|class| class.word() == text)
        .ok_or_else(|| "not one of: control, covid19, cap".into())
}

pub fn kernel(text: &str) -> Result<Kernel, String> {
    match text {
        "soft" => Ok(Kernel::Soft),
        "lung" => Ok(Kernel::Lung),
        _ => Err("not one of: soft, lung".into()),
    }
}

fn read(dir: &Path) -> Result<Folder, Failure> {
    let folder =
        read_folder(dir).map_err(|e| Failure::Failed(format!("{}: {e}", dir.display())))?;
    if folder.headers.is_empty() {
        return Err(Failure::Refused(format!(
            "there are no DICOM images in {}",
            dir.display()
        )));
    }
    Ok(folder)
}

/// Where an answer goes.
pub struct Out<'a> {
    pub json: bool,
    /// The difference map.
    pub difference: Option<&'a Path>,
    /// A folder for the report in all its forms.
    pub report: Option<&'a Path>,
}

pub fn analyse(
    config: &Config,
    dir: &Path,
    profile: Option<Profile>,
    out: &Out,
) -> Result<(), Failure> {
    let folder = read(dir)?;
    let bundle = Bundle::load(&config.model).map_err(Failure::failed)?;
    let trained = bundle.card().profile;
    if let Some(asked) = profile.filter(|asked| *asked != trained) {
        return Err(Failure::Refused(format!(
            "the model {} was trained with profile {trained} and must not run with {asked}",
            bundle.card().name
        )));
    }
    let bar = Bar::new("denoising slices", 0);
    let mut analysis = analyse_study(
        &Images {
            headers: &folder.headers,
            load: &|index| folder.pixels(index),
            unreadable: 0,
        },
        Ok(&bundle),
        &config.limits,
        &|done, of| bar.set(done, of),
    );
    bar.end();
    analysis.seconds.read = folder.seconds;
    analysis.seconds.all += folder.seconds;
    if let (Some(path), Some(map)) = (out.difference, &analysis.difference) {
        ndarray_npy::write_npy(path, map).map_err(Failure::failed)?;
    }
    // Number 0: no box has given it one.
    let study = analysis.study.study_uid.clone();
    let mut source = source(&folder, &study, analysis.chosen.take());
    source.serial = "0".into();
    let report = report_of(analysis, 0, config, &Ok(bundle));
    if let Some(dir) = out.report {
        std::fs::create_dir_all(dir).map_err(Failure::failed)?;
        let made = report::folder(&report, Some(&source)).map_err(Failure::failed)?;
        for (name, bytes) in made.files {
            std::fs::write(dir.join(name), bytes).map_err(Failure::failed)?;
        }
    }
    if out.json {
        say!("{}", report::json::write(&report).map_err(Failure::failed)?);
    } else {
        tell(&report);
    }
    match report.outcome {
        Outcome::Analysed(_) => Ok(()),
        Outcome::NotAnalysed { reason, action, .. } => Err(Failure::Refused(
            format!("not analysed: {reason} {action}")
                .trim_end()
                .to_owned(),
        )),
    }
}

/// A result as a person at a terminal wants to read it.
pub fn tell(report: &Report) {
    say!("{}", report::BANNER);
    if let Outcome::Analysed(a) = &report.outcome {
        if report.model.demonstration {
            say!("{}", report::DEMONSTRATION);
        }
        say!();
        say!(
            "  {}",
            report::words::result(a.decision).of(report.language)
        );
        if !a.undecided_because.is_empty() {
            say!("  {}", a.undecided_because);
        }
        say!(
            "  control {:.3}   covid19 {:.3}   cap {:.3}",
            a.p.control,
            a.p.covid19,
            a.p.cap
        );
        say!(
            "  involvement {:.1} % (right {:.1} %, left {:.1} %)",
            a.involvement.total_percent,
            a.involvement.right_percent,
            a.involvement.left_percent
        );
        say!(
            "  distance to the training data {:.1}, limit {:.1}",
            a.distance,
            a.distance_limit
        );
    }
    for check in report.checks.iter().filter(|check| check.verdict != "pass") {
        say!("  {}: {}", check.verdict, check.words);
    }
    let s = &report.seconds;
    say!(
        "  {} images, {} slices of 1 mm; {:.1} s (read {:.1}, preprocess {:.1}, denoise {:.1}, classify {:.1})",
        report.study.slices_received,
        report.study.slices_denoised,
        s.all,
        s.read,
        s.preprocess,
        s.denoise,
        s.classify
    );
}

pub fn preprocess(recipe: Recipe, dir: &Path, out: &Path) -> Result<(), Failure> {
    let folder = read(dir)?;
    let assembly = assemble(&folder.headers);
    let choice = choose(&assembly, &folder.headers)
        .map_err(|refusal| Failure::Refused(refusal.to_string()))?;
    let stack = assembly
        .stacks
        .get(choice.stack)
        .ok_or_else(|| Failure::Refused("there is no series to use".into()))?;
    let input = network_input(recipe, stack, &folder.headers, &|index| {
        folder.pixels(index)
    })
    .map_err(|e| Failure::Refused(e.to_string()))?;
    ndarray_npy::write_npy(out, &input.unit).map_err(Failure::failed)?;
    let (z, y, x) = input.unit.dim();
    say!(
        "{}: {z} x {y} x {x} from {}",
        out.display(),
        choice.why.words(crate::base::language::Language::English)
    );
    Ok(())
}

pub fn phantom(recipe: &PhantomRecipe, enhanced: bool, out: &Path) -> Result<(), Failure> {
    let phantom = phantom::generate(recipe);
    if enhanced {
        let path = phantom::write_enhanced(&phantom, out).map_err(Failure::failed)?;
        say!("{} frames in {}", phantom::count(&phantom), path.display());
        return Ok(());
    }
    let files = phantom::write(&phantom, out).map_err(Failure::failed)?;
    say!("{} files in {}", files.len(), out.display());
    Ok(())
}

pub fn screen(config: &Config, panel: &str, once: bool) -> Result<(), Failure> {
    let board = match &config.board {
        Some(path) => Board::load(path).map_err(|e| Failure::Usage(e.to_string()))?,
        None => Board::desk(),
    };
    let panel = panel_choice(&board, panel)?;
    let config = ScreenConfig {
        button: board.service_button,
        told: Some(config.door_file()).filter(|_| !once),
        panel,
        once,
        ..screen_config(config)
    };
    screen::run(config).map_err(Failure::failed)
}

/// One picture of the wall in a file, for a machine without a button.
pub fn screen_config(config: &Config) -> ScreenConfig {
    ScreenConfig {
        status_file: config.status_file(),
        service_file: config.service_file(),
        sticks: config.stick_messages(),
        input: "/dev/input".into(),
        button: None,
        pin: config.pin.clone(),
        told: None,
        panel: PanelChoice::Png {
            file: "screen.png".into(),
            size: PanelSize::SEVEN_INCH,
        },
        language: config.language,
        once: true,
    }
}

/// `drm`, `png:FILE` or `png:FILE@WIDTHxHEIGHT`.
fn panel_choice(board: &Board, text: &str) -> Result<PanelChoice, Failure> {
    let facts = drm_facts(board);
    if text == "drm" {
        return Ok(PanelChoice::Drm(facts));
    }
    let usage = || {
        Failure::Usage(format!(
            "\"{text}\" is not drm, png:FILE or png:FILE@800x480"
        ))
    };
    let rest = text.strip_prefix("png:").ok_or_else(usage)?;
    let Some((file, size)) = rest.rsplit_once('@') else {
        return Ok(PanelChoice::Png {
            file: rest.into(),
            size: PanelSize::SEVEN_INCH,
        });
    };
    let (width, height) = size.split_once('x').ok_or_else(usage)?;
    let px = (
        width.parse().map_err(|_| usage())?,
        height.parse().map_err(|_| usage())?,
    );
    if !(64..=8192).contains(&px.0) || !(64..=8192).contains(&px.1) {
        return Err(usage());
    }
    Ok(PanelChoice::Png {
        file: file.into(),
        // As large as the board's display, where its file says that.
        size: PanelSize {
            px,
            mm: facts.mm.unwrap_or_default(),
        },
    })
}

fn drm_facts(board: &Board) -> DrmFacts {
    use crate::board;
    use crate::screen::panel::drm::Rotation;
    DrmFacts {
        card: board.panel.card.clone(),
        connector: match &board.panel.connector {
            board::Connector::Any => None,
            board::Connector::Named(name) => Some(name.clone()),
        },
        mm: match board.panel.size {
            board::PanelSize::Edid => None,
            board::PanelSize::Measured { width, height } => {
                Some((width.0.round() as u32, height.0.round() as u32))
            }
        },
        rotation: match board.panel.rotation.degrees() {
            90 => Rotation::Quarter,
            180 => Rotation::Half,
            270 => Rotation::ThreeQuarters,
            _ => Rotation::None,
        },
    }
}
