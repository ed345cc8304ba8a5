//! One study from headers to an answer: the walk through study, volume, infer and finding.
//!
//! Nothing here knows where the images come from; the service reads them from the spool and
//! `scanside analyse` from a folder. A study that cannot be analysed is an answer too.

use super::early::{Plane, Ready};
use super::measure::image_facts;
use super::pictures::key_images;
use super::said::{self, Said, Stop};
use super::words::Trouble;
use crate::base::ident::Private;
use crate::base::language::Language;
use crate::finding::calibrate::{distance, probabilities};
use crate::finding::decide::{Needed, decide};
use crate::finding::difference::difference;
use crate::finding::region::{self, Region};
use crate::finding::{Caveat, involvement, keyslices, lungs};
use crate::infer::{Bundle, InferError, Model, Progress};
use crate::report::{self, Analysed, CheckRow, Outcome, Patient, Seconds, StudyFacts};
use crate::study::assemble::{Stack, Upright, assemble};
use crate::study::check::{self, Check, Limits, Verdict};
use crate::study::choose::choose;
use crate::study::header::Header;
use crate::volume::decode::{DecodeError, StoredPixels};
use crate::volume::input::{InputError, NetworkInput};
use crate::volume::plan::Plan;
use crate::volume::profiles::{Profile, Recipe};
use crate::volume::resize::to_cube;
use ndarray::{Array3, Axis};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Rows of the product's check table of which two warnings together weaken a result.
const WEAKENING: [u8; 5] = [3, 6, 7, 8, 10];

/// The texts of a run are English; [`Said`] puts them into other languages.
const ENGLISH: Language = Language::English;

/// Where the images of a study are.
pub struct Images<'a> {
    pub headers: &'a [Header],
    /// Gives the pixels of one header.
    pub load: &'a (dyn Fn(usize) -> Result<StoredPixels, DecodeError> + Sync),
    /// Images that are in the study but could not be read.
    pub unreadable: usize,
}

/// Everything about one run but its number and date.
#[derive(Clone, Debug)]
pub struct Analysis {
    pub outcome: Outcome,
    pub study: StudyFacts,
    pub patient: Patient,
    pub checks: Vec<CheckRow>,
    pub caveats: Vec<Caveat>,
    pub seconds: Seconds,
    /// Planes of the networks' input that had been made while the study arrived.
    pub planes_ready: usize,
    /// The difference map (z, y, x), when it came to that.
    pub difference: Option<Array3<f32>>,
    /// What the networks said before it became an answer, for those who judge them.
    pub inside: Option<Inside>,
    /// The series that was analysed, when one was chosen.
    pub chosen: Option<Chosen>,
    /// What the texts above were made from, for other languages than English.
    pub said: Said,
}

/// The slices that were analysed, and where on them the difference is raised.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// Indices of headers, feet to head.
    pub slices: Vec<usize>,
    pub region: Option<Region>,
}

/// Numbers on the way to an answer that no report shows.
#[derive(Clone, Debug)]
pub struct Inside {
    /// Of the second network, not calibrated; control, covid19, cap.
    pub logits: [f32; 3],
    /// The lungs on the grid of the difference map.
    pub lungs: Array3<bool>,
}

impl Analysis {
    /// What is known before anything was looked at.
    fn new(images: &Images) -> Self {
        Self {
            outcome: Outcome::NotAnalysed {
                code: String::new(),
                reason: String::new(),
                action: String::new(),
            },
            study: study_facts(images),
            patient: patient(images.headers),
            checks: Vec::new(),
            caveats: Vec::new(),
            seconds: Seconds::default(),
            planes_ready: 0,
            difference: None,
            inside: None,
            chosen: None,
            said: Said::default(),
        }
    }
}

impl Analysis {
    /// Takes the checks as they stand now.
    fn judged(&mut self, checks: &[Check]) {
        self.checks = said::rows(checks, ENGLISH);
        self.said.checks = checks.to_vec();
    }
}

/// Analyses a study. `model` is the bundle, or the sentence why there is none to trust.
#[must_use]
pub fn analyse(
    images: &Images,
    model: Result<&Bundle, &str>,
    limits: &Limits,
    progress: &dyn Progress,
) -> Analysis {
    analyse_with(images, model, limits, progress, Ready::default())
}

/// As [`analyse`], with planes that were made while the study arrived. The answer is the same.
#[must_use]
pub fn analyse_with(
    images: &Images,
    model: Result<&Bundle, &str>,
    limits: &Limits,
    progress: &dyn Progress,
    ready: Ready,
) -> Analysis {
    let begun = Instant::now();
    let mut run = Analysis::new(images);
    run.outcome = match walk(images, model, limits, progress, ready, &mut run) {
        Ok(analysed) => Outcome::Analysed(Box::new(analysed)),
        Err(stop) => {
            let outcome = Outcome::NotAnalysed {
                code: stop.code().into(),
                reason: stop.reason(ENGLISH),
                action: stop.action(ENGLISH).into(),
            };
            run.said.stop = Some(stop);
            outcome
        }
    };
    let decoded = run.checks.iter().any(|row| row.code == "image_data");
    if !decoded {
        run.said.unreadable = images.unreadable;
    }
    run.caveats = said::caveats(&run.checks, run.said.unreadable, ENGLISH);
    run.seconds.all = begun.elapsed().as_secs_f64();
    run
}

/// The acquisition checks of a study alone, and the first refusal as reason and action. The networks
/// are not asked.
#[must_use]
pub fn checks(images: &Images, recipe: Recipe, limits: &Limits) -> Checked {
    let mut run = Analysis::new(images);
    let prepared = prepare(images, &|| Ok(recipe), limits, Ready::default(), &mut run);
    Checked {
        refused: prepared
            .err()
            .map(|stop| (stop.reason(ENGLISH), stop.action(ENGLISH).to_owned())),
        checks: run.checks,
    }
}

/// What the checks of a study say.
#[derive(Clone, Debug)]
pub struct Checked {
    pub checks: Vec<CheckRow>,
    pub refused: Option<(String, String)>,
}

/// A study that has passed its checks.
struct Prepared {
    stack: Stack,
    input: NetworkInput,
    clean: Option<Clean>,
    /// Rows of the table that weaken a result, with a warning.
    weak: usize,
}

/// From headers to the networks' input, through all checks.
fn prepare(
    images: &Images,
    recipe: &dyn Fn() -> Result<Recipe, Stop>,
    limits: &Limits,
    ready: Ready,
    run: &mut Analysis,
) -> Result<Prepared, Stop> {
    let headers = images.headers;
    let mut assembly = assemble(headers);
    let choice = choose(&assembly, headers).map_err(|refusal| {
        let check = check::unfit(refusal);
        run.judged(std::slice::from_ref(&check));
        Stop::Check(Box::new(check))
    })?;
    if choice.stack >= assembly.stacks.len() {
        return Err(Stop::Trouble(Trouble::Internal(None)));
    }
    let stack = assembly.stacks.swap_remove(choice.stack);
    describe(&mut run.study, &stack, headers, &choice.why.words(ENGLISH));
    run.said.why = Some(choice.why);
    run.chosen = Some(Chosen {
        slices: stack.slices.clone(),
        region: None,
    });

    let mut checks = check::acquisition(&stack, headers, limits);
    run.judged(&checks);
    if let Some(refused) = check::refusal(&checks) {
        return Err(Stop::Check(Box::new(refused.clone())));
    }
    let recipe = recipe()?;

    let clock = Instant::now();
    let lossy = check::lossy(&stack, headers);
    let slices = stack.slices.len();
    let plan = Plan::new(recipe, &stack, headers);
    let plan = plan.map_err(|error| unusable(error, slices, lossy, images, run))?;
    let mut ready = ready.of(&plan);
    run.planes_ready = ready.len();
    let input = plan
        .fill(headers, images.load, &mut |j| {
            ready
                .get_mut(&j)
                .map(|plane| std::mem::take(&mut plane.unit))
        })
        .map_err(|error| unusable(error, slices, lossy, images, run))?;
    checks.push(check::image_data(slices, lossy, images.unreadable, None));
    run.seconds.preprocess = clock.elapsed().as_secs_f64();
    run.study.slices_denoised = u32::try_from(input.unit.dim().0).unwrap_or(u32::MAX);

    let looked_at = || {
        // Gone before the networks need the memory.
        let air = lungs::find(&input.unit, None, input.spacing);
        image_facts(&input, &air, recipe.profile)
    };
    let (facts, clean) = rayon::join(looked_at, || Clean::of(&input.unit, ready));
    checks.extend(check::image(&facts, limits));
    run.judged(&checks);
    if let Some(refused) = check::refusal(&checks) {
        return Err(Stop::Check(Box::new(refused.clone())));
    }
    // Two checks of one row, such as contrast medium in the header and in the picture, see one thing.
    let weak = checks
        .iter()
        .filter(|c| c.verdict == Verdict::Warn && WEAKENING.contains(&c.kind));
    let weak = weak.map(|c| c.kind).collect::<BTreeSet<u8>>().len();
    Ok(Prepared {
        stack,
        input,
        clean,
        weak,
    })
}

fn walk(
    images: &Images,
    model: Result<&Bundle, &str>,
    limits: &Limits,
    progress: &dyn Progress,
    ready: Ready,
    run: &mut Analysis,
) -> Result<Analysed, Stop> {
    let trusted = || model.map_err(|why| Stop::Trouble(Trouble::Model(why.to_owned())));
    let recipe = || trusted().map(|bundle| bundle.card().recipe());
    let Prepared {
        stack,
        input,
        clean,
        weak,
    } = prepare(images, &recipe, limits, ready, run)?;
    let bundle = trusted()?;
    let card = bundle.card();

    let internal = |error: InferError| Stop::Trouble(Trouble::Internal(Some(error.to_string())));
    let clock = Instant::now();
    let clean = match clean {
        Some(begun) => begun.whole(bundle, &input.unit, progress),
        None => bundle.denoise(&input.unit, progress).map(|made| made.clean),
    };
    let clean = clean.map_err(internal)?;
    run.seconds.denoise = clock.elapsed().as_secs_f64();

    let lungs = lungs::find(&input.unit, Some(&clean), input.spacing);
    let map = difference(input.unit, &clean);
    drop(clean);
    let (said, shown) = rayon::join(
        || {
            let clock = Instant::now();
            let said = bundle.classify(&to_cube(map.view()));
            (said, clock.elapsed().as_secs_f64())
        },
        || {
            let rule = &card.involvement;
            let involved =
                involvement::measure(&map, &lungs, rule.sigma, rule.difference_threshold);
            let seen = Seen {
                map: &map,
                lungs: &lungs,
                involved: &involved,
                source: &input.source,
                spacing: input.spacing,
            };
            let shown = show(&seen, &stack, card.profile, images);
            (involved, shown)
        },
    );
    let (said, seconds) = said;
    let said = said.map_err(internal)?;
    run.seconds.classify = seconds;
    let (involved, shown) = shown;
    let p = probabilities(said.logits, card.calibration.temperature);
    let space = bundle.feature_space();
    let means: Vec<&[f32]> = space.means.iter().map(Vec::as_slice).collect();
    let far = distance(&said.features, &means, &space.inverse_covariance);
    let [control, covid19, cap] = card.decision.thresholds;
    let needed = Needed {
        control,
        covid19,
        cap,
    };
    let (decision, doubt) = decide(p, needed, far, card.decision.distance_limit, weak);
    run.said.doubt = doubt;
    if let Some(chosen) = &mut run.chosen {
        chosen.region = Some(shown.region);
    }
    run.difference = Some(map);
    run.inside = Some(Inside {
        logits: said.logits,
        lungs: lungs.mask,
    });
    Ok(Analysed {
        decision,
        undecided_because: doubt.map(|doubt| doubt.words(ENGLISH)).unwrap_or_default(),
        p,
        involvement: involved.share,
        lungs: lungs.facts,
        profile: involved.profile,
        distance: far,
        distance_limit: card.decision.distance_limit,
        key_images: shown.key_images,
        solid: shown.solid,
    })
}

/// What a study shows before it has an answer.
struct Seen<'a> {
    map: &'a Array3<f32>,
    lungs: &'a lungs::Lungs,
    involved: &'a involvement::Involved,
    source: &'a [usize],
    spacing: crate::base::grid::Spacing,
}

/// Where the involvement is, for people and for the archive.
struct Shown {
    key_images: Vec<report::KeyImage>,
    region: Region,
    solid: Option<report::Raster>,
}

/// Pictures and region. They need no answer, so that they are made while the second network works.
fn show(seen: &Seen, stack: &Stack, profile: Profile, images: &Images) -> Shown {
    let mask = &seen.involved.mask;
    let pictures = || {
        let areas: Vec<usize> = seen
            .lungs
            .mask
            .axis_iter(Axis(0))
            .map(|slice| slice.iter().filter(|lung| **lung).count())
            .collect();
        let keys = keyslices::pick(&seen.involved.profile, &areas);
        let (headers, load) = (images.headers, images.load);
        let key_images = key_images(&keys, mask, seen.map, seen.source, stack, headers, load);
        let upright = match profile {
            Profile::Paper => stack.upright,
            // Its grid is that of the images as they are stored.
            Profile::Release => Upright::default(),
        };
        let of = (stack.rows, stack.columns);
        let region = region::on_slices(mask, seen.source, stack.slices.len(), of, upright);
        (key_images, region)
    };
    let solid = || report::solid::draw(&seen.lungs.mask, mask, seen.spacing);
    let ((key_images, region), solid) = rayon::join(pictures, solid);
    Shown {
        key_images,
        region,
        solid,
    }
}

/// Why a stack gives no network input; a row of the checks where an image is to blame.
fn unusable(
    error: InputError,
    slices: usize,
    lossy: usize,
    images: &Images,
    run: &mut Analysis,
) -> Stop {
    match error {
        InputError::Decode { slice, source } => {
            let damaged = Some((slice + 1, source.to_string()));
            let check = check::image_data(slices, lossy, images.unreadable, damaged);
            run.checks
                .extend(said::rows(std::slice::from_ref(&check), ENGLISH));
            run.said.checks.push(check.clone());
            Stop::Check(Box::new(check))
        }
        other => Stop::Trouble(Trouble::Unusable(other.to_string())),
    }
}

/// The reconstruction as far as it was made while the study arrived.
struct Clean {
    volume: Array3<f32>,
    /// Planes that are still to be made.
    open: BTreeSet<usize>,
}

impl Clean {
    /// Nothing where no plane is ready.
    fn of(unit: &Array3<f32>, mut ready: BTreeMap<usize, Plane>) -> Option<Self> {
        if ready.is_empty() {
            return None;
        }
        let mut volume = Array3::<f32>::zeros(unit.raw_dim());
        let mut open = BTreeSet::new();
        for (z, mut plane) in volume.axis_iter_mut(Axis(0)).enumerate() {
            match ready.remove(&z) {
                Some(made) => plane.iter_mut().zip(made.clean).for_each(|(to, v)| *to = v),
                None => {
                    open.insert(z);
                }
            }
        }
        Some(Self { volume, open })
    }

    /// Reconstructs the planes that are not ready, and puts all together.
    fn whole(
        self,
        bundle: &Bundle,
        unit: &Array3<f32>,
        progress: &dyn Progress,
    ) -> Result<Array3<f32>, InferError> {
        let Self { mut volume, open } = self;
        let of = unit.dim().0;
        let done = AtomicUsize::new(of - open.len());
        let planes = volume.axis_iter_mut(Axis(0)).enumerate();
        let planes: Vec<_> = planes.filter(|(z, _)| open.contains(z)).collect();
        planes.into_par_iter().try_for_each(|(z, mut plane)| {
            let made = bundle.denoise_slice(unit.index_axis(Axis(0), z));
            plane.assign(&made.map_err(|error| match error {
                InferError::Denoise { why, .. } => InferError::Denoise { slice: z, why },
                other => other,
            })?);
            progress.slices(done.fetch_add(1, Ordering::Relaxed) + 1, of);
            Ok(())
        })?;
        progress.slices(of, of);
        // As when all are made at once.
        if volume.iter().all(|v| Some(v) == volume.first()) {
            return Err(InferError::Dead);
        }
        Ok(volume)
    }
}

fn patient(headers: &[Header]) -> Patient {
    headers
        .first()
        .map_or_else(Patient::default, |header| Patient {
            name: header.patient.name.clone(),
            id: header.patient.id.clone(),
            birth_date: header.patient.birth_date.clone(),
            sex: header.patient.sex.clone(),
            age: header.patient.age.clone(),
            others: vec![
                header.referring_physician.clone(),
                header.accession.clone(),
                Private::new(header.institution.clone()),
            ],
        })
}

/// What is known before a series is chosen.
fn study_facts(images: &Images) -> StudyFacts {
    let received = u32::try_from(images.headers.len() + images.unreadable).unwrap_or(u32::MAX);
    let Some(first) = images.headers.first() else {
        return StudyFacts {
            slices_received: received,
            ..StudyFacts::default()
        };
    };
    StudyFacts {
        study_uid: first.study.to_string(),
        date: date(&first.study_date),
        time: time(&first.study_time),
        description: first.study_description.clone(),
        scanner: format!("{} {}", first.manufacturer, first.model)
            .trim()
            .to_owned(),
        slices_received: received,
        ..StudyFacts::default()
    }
}

fn describe(study: &mut StudyFacts, stack: &Stack, headers: &[Header], why: &str) {
    study.series_uid = stack.series.to_string();
    study.slices_used = u32::try_from(stack.slices.len()).unwrap_or(u32::MAX);
    study.spacing_mm = Some(stack.spacing.z.0);
    study.pixel_mm = Some(stack.spacing.x.0);
    study.series_choice = why.into();
    if let Some(header) = stack.slices.first().and_then(|&i| headers.get(i)) {
        study.kernel = header.kernel.join(" ");
        study.thickness_mm = header.thickness;
        study.scanner = format!("{} {}", header.manufacturer, header.model)
            .trim()
            .to_owned();
    }
}

/// "20200314" as "2020-03-14"; anything else as it stands.
fn date(text: &str) -> String {
    match (text.get(..4), text.get(4..6), text.get(6..8)) {
        (Some(y), Some(m), Some(d)) if text.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{y}-{m}-{d}")
        }
        _ => text.to_owned(),
    }
}

/// "140233.5" as "14:02"; anything else as it stands.
fn time(text: &str) -> String {
    match (text.get(..2), text.get(2..4)) {
        (Some(h), Some(m)) if (h.to_owned() + m).bytes().all(|b| b.is_ascii_digit()) => {
            format!("{h}:{m}")
        }
        _ => text.to_owned(),
    }
}
