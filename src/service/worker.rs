//! The worker: one study at a time from the spool to a report that is durable.
//!
//! An attempt is counted before anything is decoded. A study that takes the process down twice is
//! marked as failed by the third start, so that one bad input cannot stop the queue for good.

use super::analyse::{Analysis, Images, analyse, analyse_with};
use super::early::Early;
use super::once::once;
use super::selftest::{self, Tested};
use super::source::source;
use super::{clock, files, said, words};
use crate::base::disk::{self, Disk};
use crate::base::ident::ReportNo;
use crate::base::language::Language;
use crate::config::Config;
use crate::finding::{Caveat, Decision};
use crate::infer::{Bundle, Progress};
use crate::report::dicom::{Reference, Source};
use crate::report::{self, ModelFacts, Outcome, Report};
use crate::status::{self, ResultWord};
use crate::store::{NewEvent, NewObject, NewResult, SelfTest, Standing, Store, StoreError};
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs of one input that may begin. The second covers a power cut in the first.
const MOST_ATTEMPTS: u32 = 2;

/// Why a model whose goldens are met is not used.
const DOUBT: &str = "the last self-test failed";

/// Side of the picture that the wall shows beside a result, in pixels.
const MAP_SIDE: usize = 240;

/// The model, or the sentence why none can be trusted.
pub type Trusted = Result<Bundle, String>;

/// What the wall and the queue must know of a finished run.
#[derive(Clone, Debug)]
pub struct Done {
    pub study_uid: String,
    pub report: u32,
    pub word: Option<ResultWord>,
    /// Why it was not analysed, and what to do.
    pub reason: String,
    pub action: String,
    /// A PNG in the runtime folder.
    pub map: Option<String>,
    pub demonstration: bool,
    /// What the wall says with a result: the first warning of the acquisition checks, or that the
    /// result is an earlier one.
    pub note: String,
    pub seconds: f64,
    /// False when these very images had been analysed before.
    pub new: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the report cannot be written: {0}")]
    Write(#[from] io::Error),
    #[error(transparent)]
    Report(#[from] report::ReportError),
}

/// What a run needs.
pub struct Worker {
    pub config: Config,
    pub store: Store,
    pub model: Arc<Trusted>,
    pub early: Early,
    /// The last self-test through phantoms failed: what this model says is not to be trusted.
    pub doubt: Arc<AtomicBool>,
}

impl Done {
    /// A result that stood before: the study came again, and this is shown for it.
    #[must_use]
    pub fn again(study_uid: &str, standing: &Standing, runtime: &Path, language: Language) -> Self {
        let json: serde_json::Value = serde_json::from_str(&standing.json).unwrap_or_default();
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        let map = map_name(ReportNo(standing.report));
        Self {
            study_uid: study_uid.into(),
            report: standing.report,
            word: from_file_word(&text("decision")),
            reason: text("reason"),
            action: text("action"),
            map: runtime.join(&map).is_file().then_some(map),
            demonstration: json["model"]["demonstration"].as_bool().unwrap_or(true),
            note: words::again(language, &clock::hour_minute(standing.made_ms)),
            seconds: standing.seconds,
            new: false,
        }
    }
}

/// The wall's picture of a report, in the runtime folder.
fn map_name(number: ReportNo) -> String {
    format!("map-{number}.png")
}

impl Worker {
    /// Analyses one study and makes its report.
    ///
    /// # Errors
    /// [`WorkError`] for trouble of our own; the study stays in the queue then.
    pub fn run(&self, study_uid: &str, progress: &dyn Progress) -> Result<Done, WorkError> {
        let stored = self.store.instances(study_uid)?;
        let input = digest(
            stored
                .iter()
                .flat_map(|i| [i.sop_uid.as_str(), i.sha256.as_str()]),
        );
        let paths: Vec<PathBuf> = stored
            .iter()
            .map(|i| self.config.state.join(&i.path))
            .collect();
        let attempt = self
            .store
            .begin_attempt(study_uid, &input, clock::now_ms())?;
        let digests = paths
            .iter()
            .cloned()
            .zip(stored.into_iter().map(|i| i.sha256))
            .collect();
        let folder = files::read_files(paths);
        let ready = self.early.take(study_uid, &folder, &digests);
        let images = Images {
            headers: &folder.headers,
            load: &|index| folder.pixels(index),
            unreadable: folder.skipped,
        };
        let mut analysis = if attempt > MOST_ATTEMPTS {
            let stopped = "An internal error stopped the analysis twice: code CRASH";
            analyse(&images, Err(stopped), &self.config.limits, &())
        } else {
            let model = match &*self.model {
                Ok(_) if self.doubt.load(Ordering::Relaxed) => Err(DOUBT),
                model => model.as_ref().map_err(String::as_str),
            };
            analyse_with(&images, model, &self.config.limits, progress, ready)
        };
        if analysis.planes_ready > 0 {
            log::info!(
                "{} of {} planes were made while the study arrived",
                analysis.planes_ready,
                analysis.study.slices_denoised
            );
        }
        let (aside, _) = self.store.quarantined(Some(study_uid))?;
        if aside > 0 {
            analysis
                .caveats
                .push(said::resent(aside, Language::English));
            analysis.said.resent = aside;
        }
        let sending = self.store.sending(study_uid)?;
        if let Some(caveat) = said::sending(sending, Language::English) {
            analysis.caveats.insert(0, caveat);
        }
        analysis.said.sending = Some(sending);
        // The same images again would not be here: see `service::desk`.
        analysis.checks.push(said::new(Language::English));
        analysis.said.new = true;
        analysis.seconds.read = folder.seconds;
        analysis.seconds.all += folder.seconds;
        analysis.study.input_sha256 = input.clone();
        if analysis.study.study_uid.is_empty() {
            analysis.study.study_uid = study_uid.to_owned();
        }
        if let Some(header) = folder.headers.first() {
            let patient = &header.patient;
            self.store
                .name(study_uid, patient.name.reveal(), patient.id.reveal())?;
        }
        let source = source(&folder, study_uid, analysis.chosen.take());
        self.finish(study_uid, input, analysis, source)
            .inspect_err(|_| {
                // A disk that is full is no fault of the study's.
                if let Err(trouble) = self.store.take_back_attempt(study_uid) {
                    log::warn!("an attempt stays counted: {trouble}");
                }
            })
    }

    /// Sends the phantoms through, and keeps how it went. Nothing when it gave way to a study, or
    /// where there is no model to test.
    pub fn test(&self, progress: &dyn Progress) -> Option<Tested> {
        let bundle = (*self.model).as_ref().ok()?;
        let tested = selftest::run(&self.config, bundle, progress).ok()?;
        let words = tested.words();
        if tested.good() {
            log::info!("self-test passed after {:.1} s: {words}", tested.seconds);
        } else {
            log::error!("self-test failed: {words}");
        }
        self.doubt.store(!tested.good(), Ordering::Relaxed);
        let row = SelfTest {
            at_ms: clock::now_ms(),
            good: tested.good(),
            words,
            ran_ms: self.store.running_ms(),
            seconds: tested.seconds,
        };
        if let Err(trouble) = self.store.self_test(&row, &tested.steps) {
            log::error!("the self-test cannot be kept: {trouble}");
        }
        Some(tested)
    }

    fn finish(
        &self,
        study_uid: &str,
        input_sha256: String,
        analysis: Analysis,
        mut source: Source,
    ) -> Result<Done, WorkError> {
        let made_ms = clock::now_ms();
        let number = self.store.begin_report(study_uid, made_ms)?;
        let seconds = analysis.seconds.all;
        let report = report_of(analysis, number, &self.config, &self.model);
        // What may leave on a stick is written now, beside the box's own copy: the exporter only
        // copies files, and an export can then never carry more than was decided here.
        source.serial = self.serial()?;
        let before = self.store.newest_object(study_uid, "sr")?;
        source.predecessor = before.map(|(sop_class, sop, series)| Reference {
            sop_class,
            sop,
            series,
        });
        let stick = if self.config.export.identified {
            report::stick_folder(&report, &source)?
        } else {
            let (secret, retain) = (self.secret()?, &self.config.export.retain);
            let hidden = source.deidentified(&secret, retain);
            report::stick_folder(&report.deidentified(&secret, retain), &hidden)?
        };
        write_folder(&self.config.stick_reports(), number, &stick.files)?;
        drop(stick);
        let report::Folder { files, objects } = report::folder(&report, Some(&source))?;
        let sums = write_folder(&self.config.reports(), number, &files)?;
        let map = self.map(&report);
        let json = files.iter().find(|(name, _)| name == "report.json");
        let (analysed, reason, action) = match &report.outcome {
            Outcome::Analysed(_) => (true, String::new(), String::new()),
            Outcome::NotAnalysed { reason, action, .. } => (false, reason.clone(), action.clone()),
        };
        let word = word(&report.outcome);
        let numbers = match &report.outcome {
            Outcome::Analysed(a) => Some((
                [a.p.control, a.p.covid19, a.p.cap],
                [
                    a.involvement.total_percent,
                    a.involvement.right_percent,
                    a.involvement.left_percent,
                ],
            )),
            Outcome::NotAnalysed { .. } => None,
        };
        self.store.finish(NewResult {
            report: number,
            study_uid: study_uid.into(),
            series_uid: report.study.series_uid.clone(),
            model: (
                report.model.sha256.clone(),
                report.model.name.clone(),
                report.model.version.clone(),
            ),
            input_sha256,
            made_ms,
            analysed,
            reason: reason.clone(),
            decision: word.map(|w| file_word(w).to_owned()),
            p: numbers.map(|(p, _)| p),
            involvement: numbers.map(|(_, share)| share),
            profile: report.model.profile.clone(),
            seconds,
            json: json
                .map(|(_, bytes)| String::from_utf8_lossy(bytes).into())
                .unwrap_or_default(),
            sums_sha256: sums,
            objects: self.queued(number, objects),
            event: self.config.broker.as_ref().map(|broker| {
                let (key, body) = report::event::event(&report, &broker.name);
                NewEvent { key, body }
            }),
        })?;
        Ok(Done {
            study_uid: study_uid.into(),
            report: number,
            word,
            reason,
            action,
            map,
            demonstration: report.model.demonstration,
            note: note(&report),
            seconds,
            new: true,
        })
    }

    /// The objects of a report with the destinations that want them.
    fn queued(&self, number: u32, objects: Vec<report::ObjectFacts>) -> Vec<NewObject> {
        objects
            .into_iter()
            .map(|object| NewObject {
                kind: object.kind.word(),
                sop_class: object.kind.sop_class(),
                sop_uid: object.sop,
                series_uid: object.series,
                path: format!("reports/{}/{}", ReportNo(number), object.kind.file()),
                bytes: object.bytes,
                sha256: object.sha256,
                destinations: self
                    .config
                    .destinations
                    .iter()
                    .filter(|destination| destination.kinds.contains(&object.kind))
                    .map(|destination| destination.name.clone())
                    .collect(),
            })
            .collect()
    }

    /// Draws the wall's picture. Without it the wall shows the word alone, so trouble is logged.
    fn map(&self, report: &Report) -> Option<String> {
        let images = report.key_images();
        let most = images
            .iter()
            .max_by(|a, b| a.percent.total_cmp(&b.percent))?;
        let name = map_name(report.number);
        let png = report::png::map_png(most, MAP_SIDE, report.language).ok()?;
        // Readable for the screen's account, in spite of the unit's umask.
        match status::file::replace(&self.config.runtime.join(&name), &png) {
            Ok(()) => {
                self.forget_maps(&name);
                Some(name)
            }
            Err(trouble) => {
                log::warn!("the wall's picture cannot be written: {trouble}");
                None
            }
        }
    }

    /// The wall shows the last result only, and the runtime folder lies in memory.
    fn forget_maps(&self, kept: &str) {
        let Ok(entries) = std::fs::read_dir(&self.config.runtime) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("map-") && name.ends_with(".png") && name != kept {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// The key of the replacement UIDs in de-identified reports: made once, never leaves the box.
    fn secret(&self) -> io::Result<[u8; 32]> {
        once(&self.config.state, "deidentify.key")
    }

    /// The serial number of this box in DICOM objects: drawn once, so that it names no hardware.
    fn serial(&self) -> io::Result<String> {
        let bytes: [u8; 6] = once(&self.config.state, "serial")?;
        Ok(report::hex(&bytes).to_uppercase())
    }
}

/// What the wall says beside a result: that images may be missing, or the first warning; mostly
/// nothing.
fn note(report: &Report) -> String {
    let broken =
        |caveat: &&Caveat| [said::INTERRUPTED, said::LONGEST].contains(&caveat.code.as_str());
    let missing = report.caveats.iter().find(broken).map(|c| &c.words);
    let warned = report.checks.iter().find(|row| row.verdict == "warn");
    let words = missing.or(warned.map(|row| &row.words));
    words.cloned().unwrap_or_default()
}

/// A run as a report of now.
#[must_use]
pub fn report_of(analysis: Analysis, number: u32, config: &Config, model: &Trusted) -> Report {
    let language = config.language;
    let texts = analysis.said.texts(language);
    let report = Report {
        language: Language::English,
        english: None,
        number: ReportNo(number),
        made: clock::iso_now(),
        deidentified: false,
        device: config.device.clone(),
        site: config.site.clone(),
        software: concat!("scanside ", env!("CARGO_PKG_VERSION")).into(),
        patient: analysis.patient,
        study: analysis.study,
        outcome: analysis.outcome,
        checks: analysis.checks,
        caveats: analysis.caveats,
        model: model_facts(model, language),
        seconds: analysis.seconds,
    };
    report.in_language(language, texts)
}

/// The facts of the model that a report names.
#[must_use]
pub fn model_facts(model: &Trusted, language: Language) -> ModelFacts {
    match model {
        Ok(bundle) => {
            let card = crate::infer::Model::card(bundle);
            let [control, covid19, cap] = card.decision.thresholds;
            ModelFacts {
                name: card.name.clone(),
                version: card.version.clone(),
                sha256: bundle.sha256.clone(),
                profile: card.profile.to_string(),
                demonstration: card.demonstration,
                limits: card.limits.sentences.clone(),
                calibration: match card.calibration.fitted_on.as_str() {
                    "" => String::new(),
                    data => report::words::calibrated_on(language, data),
                },
                thresholds: Some(crate::finding::Probabilities {
                    control,
                    covid19,
                    cap,
                }),
            }
        }
        Err(_) => ModelFacts {
            name: "none".into(),
            ..ModelFacts::default()
        },
    }
}

/// Writes the files of a report into a folder of its own, the sums last, and returns their digest.
fn write_folder(reports: &Path, number: u32, files: &[(String, Vec<u8>)]) -> io::Result<String> {
    let disk = disk::RealDisk;
    let folder = reports.join(ReportNo(number).to_string());
    disk::settle_folder(&disk, &folder)?;
    let mut sums = String::new();
    for (name, bytes) in files {
        disk::write_whole(&disk, &folder.join(name), bytes)?;
        if name == report::SUMS {
            sums = report::hex(&Sha256::digest(bytes));
        }
    }
    disk.sync_folder(&folder)?;
    Ok(sums)
}

/// The digest of what a run looks at: equal digests give equal results.
fn digest<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    report::hex(&hash.finalize())
}

pub(super) fn word(outcome: &Outcome) -> Option<ResultWord> {
    match outcome {
        Outcome::Analysed(analysed) => Some(match analysed.decision {
            Decision::Control => ResultWord::Control,
            Decision::Covid19 => ResultWord::Covid19,
            Decision::Cap => ResultWord::Cap,
            Decision::Undetermined => ResultWord::Undetermined,
        }),
        Outcome::NotAnalysed { .. } => None,
    }
}

/// The word of files and of the database.
#[must_use]
pub fn file_word(word: ResultWord) -> &'static str {
    match word {
        ResultWord::Control => "control",
        ResultWord::Covid19 => "covid19",
        ResultWord::Cap => "cap",
        ResultWord::Undetermined => "undetermined",
    }
}

/// The result word of a database row.
#[must_use]
pub fn from_file_word(word: &str) -> Option<ResultWord> {
    Some(match word {
        "control" => ResultWord::Control,
        "covid19" => ResultWord::Covid19,
        "cap" => ResultWord::Cap,
        "undetermined" => ResultWord::Undetermined,
        _ => return None,
    })
}

/// The digest that [`Worker::run`] would store for these instances.
#[must_use]
pub fn input_digest(stored: &[crate::store::StoredInstance]) -> String {
    digest(
        stored
            .iter()
            .flat_map(|i| [i.sop_uid.as_str(), i.sha256.as_str()]),
    )
}
