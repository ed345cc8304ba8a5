//! One study through the box's own path, and the questions that only a judge asks.
//!
//! The answer comes from [`crate::service::analyse`] and the shipped networks, with the limits of
//! the settings: the same code as on the box. Beside it the second network is asked twice more, with
//! the lungs blanked and with all but the lungs blanked, and, on request, the whole study is run
//! again through the first network in fp32.

use super::EvaluateError;
use super::answer::{Answer, State};
use super::cohort::{Study, Task};
use crate::base::language::Language;
use crate::finding::calibrate::probabilities;
use crate::infer::{Bundle, Model};
use crate::phantom;
use crate::report::{self, KeyImage, Outcome};
use crate::service::analyse::{Analysis, Images, analyse};
use crate::service::files::{Folder, read_folder};
use crate::study::check::Limits;
use crate::study::choose::{Sharpness, has_contrast, sharpness};
use crate::study::header::Header;
use crate::volume::resize::to_cube;
use ndarray::{Array3, Zip};
use sha2::{Digest, Sha256};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Folder of the pictures of studies without the right word, below the folder of the answers.
pub const PICTURES: &str = "pictures";

/// Folder of the phantom at work; emptied when a run begins.
pub const WORK: &str = "work";

/// What every study of a run needs.
pub struct Bench {
    pub bundle: Bundle,
    pub fp32: Option<Bundle>,
    pub limits: Limits,
    pub out: PathBuf,
}

impl Bench {
    /// Judges one study. What goes wrong is an answer too; a panic ends this study and no other.
    #[must_use]
    pub fn answer(&self, task: &Task) -> Answer {
        let mut answer = Answer {
            id: task.id.clone(),
            source: task.source.clone(),
            split: task.split.clone(),
            truth: task.truth.word().into(),
            model_sha256: self.bundle.sha256.clone(),
            ..Answer::default()
        };
        match &task.study {
            Study::Folder(path) => answer.path = path.display().to_string(),
            Study::Phantom(recipe) => answer.seed = Some(recipe.seed),
        }
        let run = AssertUnwindSafe(|| self.judge(task, &mut answer));
        let trouble = match catch_unwind(run) {
            Ok(Ok(())) => return answer,
            Ok(Err(trouble)) => trouble.to_string(),
            Err(_) => "the program failed on this study".into(),
        };
        answer.state = State::Failed;
        answer.code = "failed".into();
        answer.reason = trouble;
        answer
    }

    fn judge(&self, task: &Task, answer: &mut Answer) -> Result<(), EvaluateError> {
        let made;
        let path = match &task.study {
            Study::Folder(path) => path.as_path(),
            Study::Phantom(recipe) => {
                made = Made::new(recipe, &self.out.join(WORK))?;
                made.0.as_path()
            }
        };
        let folder = read_folder(path).map_err(|source| EvaluateError::Io {
            path: path.to_owned(),
            source,
        })?;
        if folder.headers.is_empty() {
            return Err(EvaluateError::Empty(path.to_owned()));
        }
        let analysis = self.analyse(&folder, &self.bundle);
        answer.seconds = folder.seconds + analysis.seconds.all;
        facts(answer, &analysis, &folder.headers, task);
        outcome(answer, &analysis);
        self.probe(answer, &analysis)?;
        self.compare(answer, &folder);
        if answer.decision != answer.truth {
            answer.picture = self.picture(&task.id, &analysis)?;
        }
        Ok(())
    }

    fn analyse(&self, folder: &Folder, bundle: &Bundle) -> Analysis {
        let images = Images {
            headers: &folder.headers,
            load: &|index| folder.pixels(index),
            unreadable: 0,
        };
        analyse(&images, Ok(bundle), &self.limits, &())
    }

    /// Asks the second network again without the lungs, and without all else.
    fn probe(&self, answer: &mut Answer, analysis: &Analysis) -> Result<(), EvaluateError> {
        let (Some(map), Some(inside)) = (&analysis.difference, &analysis.inside) else {
            return Ok(());
        };
        let ask = |keep_lungs: bool| {
            let kept = Zip::from(map)
                .and(&inside.lungs)
                .map_collect(|&d, &lung| if lung == keep_lungs { d } else { 0.0 });
            self.ask(&kept)
        };
        let [control, covid19, cap] = ask(false)?;
        answer.blanked_control = Some(control);
        answer.blanked_covid19 = Some(covid19);
        answer.blanked_cap = Some(cap);
        let [control, covid19, cap] = ask(true)?;
        answer.inside_control = Some(control);
        answer.inside_covid19 = Some(covid19);
        answer.inside_cap = Some(cap);
        Ok(())
    }

    fn ask(&self, map: &Array3<f32>) -> Result<[f64; 3], EvaluateError> {
        let said = self
            .bundle
            .classify(&to_cube(map.view()))
            .map_err(|e| EvaluateError::Network(e.to_string()))?;
        let p = probabilities(said.logits, self.bundle.card().calibration.temperature);
        Ok([p.control, p.covid19, p.cap].map(f64::from))
    }

    /// The same study with the first network in fp32.
    fn compare(&self, answer: &mut Answer, folder: &Folder) {
        let Some(fp32) = &self.fp32 else { return };
        let mut other = Answer::default();
        outcome(&mut other, &self.analyse(folder, fp32));
        answer.fp32_control = other.p_control;
        answer.fp32_covid19 = other.p_covid19;
        answer.fp32_cap = other.p_cap;
        answer.fp32_decision = other.decision;
        answer.fp32_involvement_percent = other.involvement_percent;
    }

    /// Keeps the key slice with the most difference, original beside overlay.
    fn picture(&self, id: &str, analysis: &Analysis) -> Result<String, EvaluateError> {
        let Outcome::Analysed(analysed) = &analysis.outcome else {
            return Ok(String::new());
        };
        let most = |a: &&KeyImage, b: &&KeyImage| a.percent.total_cmp(&b.percent);
        let Some(image) = analysed.key_images.iter().max_by(most) else {
            return Ok(String::new());
        };
        if !image.is_sound() {
            return Ok(String::new());
        }
        let png = report::png::pair_png(image, Language::English)
            .map_err(|e| EvaluateError::Row(e.to_string()))?;
        let name = format!("{PICTURES}/{}.png", file_name(id));
        let path = self.out.join(&name);
        let failed = |source| EvaluateError::Io {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(self.out.join(PICTURES)).map_err(failed)?;
        std::fs::write(&path, png).map_err(failed)?;
        Ok(name)
    }
}

/// A phantom on the disk, gone with this value.
struct Made(PathBuf);

impl Made {
    fn new(recipe: &phantom::Recipe, work: &Path) -> Result<Self, EvaluateError> {
        let made = Self(work.join(format!("{}_{}", recipe.class, recipe.seed)));
        phantom::write(&phantom::generate(recipe), &made.0)
            .map_err(|e| EvaluateError::Phantom(e.to_string()))?;
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // What stays behind is removed when the next run begins.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the headers say of person and scanner.
fn facts(answer: &mut Answer, analysis: &Analysis, headers: &[Header], task: &Task) {
    let study = &analysis.study;
    let chosen = headers
        .iter()
        .find(|h| h.series.as_str() == study.series_uid)
        .or(headers.first());
    answer.scanner = study.scanner.clone();
    answer.kernel = study.kernel.clone();
    answer.thickness_mm = study.thickness_mm;
    answer.spacing_mm = study.spacing_mm;
    answer.pixel_mm = study.pixel_mm;
    answer.slices = study.slices_used;
    let Some(header) = chosen else { return };
    answer.fov_mm = study.pixel_mm.map(|mm| mm * f64::from(header.columns));
    answer.maker = header.manufacturer.clone();
    answer.sharpness = match sharpness(header) {
        Sharpness::Sharp => "sharp",
        Sharpness::Soft => "soft",
        Sharpness::Unknown => "",
    }
    .into();
    answer.age = header.patient.age_years();
    answer.sex = header.patient.sex.reveal().to_owned();
    answer.contrast = has_contrast(header);
    answer.mas = header.tube_current_time;
    answer.patient = match &task.patient {
        Some(patient) => hash(&["cohort", &task.source, patient]),
        None if header.patient.id.reveal().is_empty() => hash(&["study", header.study.as_str()]),
        None => hash(&[
            "id",
            &task.source,
            header.patient.id_issuer.reveal(),
            header.patient.id.reveal(),
        ]),
    };
}

/// The answer as the box would have given it.
fn outcome(answer: &mut Answer, analysis: &Analysis) {
    let warned: Vec<&str> = analysis
        .checks
        .iter()
        .filter(|check| check.verdict == "warn")
        .map(|check| check.code.as_str())
        .collect();
    answer.warnings = warned.join(" ");
    match &analysis.outcome {
        Outcome::NotAnalysed {
            code,
            reason,
            action,
        } => {
            answer.state = State::NotAnalysed;
            answer.code = code.clone();
            answer.reason = format!("{reason} {action}").trim_end().to_owned();
            // A fault of ours is no property of the study.
            if code == "internal" || code == "model" {
                answer.state = State::Failed;
            }
        }
        Outcome::Analysed(a) => {
            let some = |v: f32| Some(f64::from(v));
            answer.state = State::Analysed;
            answer.p_control = some(a.p.control);
            answer.p_covid19 = some(a.p.covid19);
            answer.p_cap = some(a.p.cap);
            answer.decision = format!("{:?}", a.decision).to_lowercase();
            answer.because = a.undecided_because.clone();
            answer.distance = some(a.distance);
            answer.distance_limit = some(a.distance_limit);
            answer.involvement_percent = some(a.involvement.total_percent);
            answer.right_percent = some(a.involvement.right_percent);
            answer.left_percent = some(a.involvement.left_percent);
            answer.lungs_ml = some(a.lungs.right_ml + a.lungs.left_ml);
            if let Some(inside) = &analysis.inside {
                let [control, covid19, cap] = inside.logits;
                answer.logit_control = some(control);
                answer.logit_covid19 = some(covid19);
                answer.logit_cap = some(cap);
            }
        }
    }
}

/// Sixteen digits of the SHA-256 over the parts.
fn hash(parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.join("\0").as_bytes());
    report::hex(digest.get(..8).unwrap_or_default())
}

/// A file name that nothing in an ID can lead astray.
fn file_name(id: &str) -> String {
    let plain: String = id
        .chars()
        .rev()
        .take(60)
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let plain: String = plain.chars().rev().collect();
    format!("{plain}_{}", hash(&[id]).get(..6).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_tame_and_differ() {
        assert!(file_name("../../etc/passwd").starts_with("______etc_passwd_"));
        assert_ne!(file_name("a/b"), file_name("a_b"));
        assert!(file_name(&"x".repeat(500)).len() < 80);
    }

    #[test]
    fn the_patients_id_cannot_be_read_from_its_hash() {
        let hashed = hash(&["id", "here", "", "4711"]);
        assert_eq!(hashed.len(), 16);
        assert!(!hashed.contains("4711"));
        assert_ne!(hashed, hash(&["id", "there", "", "4711"]));
    }
}
