//! The structured report: Comprehensive 3D SR by TID 1500.
//!
//! Measurements stand in groups (TID 1411 where a segment goes with them, else TID 1501), the
//! result word, checks, caveats and limits among the qualitative evaluations. What was not found
//! and what was not done is said in so many items: a reader of the tree must never have to take
//! silence for an answer.

use super::code::{self, Code};
use super::common::Common;
use super::set::{Set, decimal};
use super::{Kind, Reference};
use crate::base::ident::Class;
use crate::base::language::Language;
use crate::report::{Analysed, BANNER, DEMONSTRATION, Outcome, words};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use std::collections::BTreeSet;

/// The object; `region` says whether a segmentation goes with it.
pub fn write(make: &Common, region: bool) -> Set {
    let mut set = make.begin(Kind::Sr, "SR", "measurements");
    set.empty(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, VR::SQ);
    set.empty(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, VR::SQ);
    set.code_string(tags::COMPLETION_FLAG, "COMPLETE");
    set.code_string(tags::VERIFICATION_FLAG, "UNVERIFIED");
    set.code_string(tags::PRELIMINARY_FLAG, "PRELIMINARY");

    let mut evidence = make.source.images.clone();
    if region {
        evidence.push(make.reference(Kind::Seg));
    }
    set.items(
        tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
        vec![studies(make, &evidence)],
    );
    let own = make.sop(Kind::Sr);
    let before = make.source.predecessor.as_ref();
    // The same run again is the same document, and none comes before itself.
    if let Some(before) = before.filter(|before| before.sop != own) {
        let before = vec![studies(make, std::slice::from_ref(before))];
        set.items(tags::PREDECESSOR_DOCUMENTS_SEQUENCE, before);
    }

    let tree = Tree { make, region };
    set.code_string(tags::VALUE_TYPE, "CONTAINER");
    set.code(tags::CONCEPT_NAME_CODE_SEQUENCE, code::REPORT_TITLE);
    set.code_string(tags::CONTINUITY_OF_CONTENT, "SEPARATE");
    tree.template(&mut set, "1500");
    set.items(tags::CONTENT_SEQUENCE, tree.root());
    set
}

/// One study with its series and instances.
fn studies(make: &Common, references: &[Reference]) -> Set {
    make.item(|item| {
        item.uid(tags::STUDY_INSTANCE_UID, &make.source.study());
        item.items(
            tags::REFERENCED_SERIES_SEQUENCE,
            make.by_series(references, tags::REFERENCED_SOP_SEQUENCE),
        );
    })
}

struct Tree<'a> {
    make: &'a Common<'a>,
    region: bool,
}

/// How an item hangs on the one above it.
const CONTAINS: &str = "CONTAINS";
const MODIFIES: &str = "HAS CONCEPT MOD";
const CONTEXT: &str = "HAS OBS CONTEXT";

/// What a group of measurements is about.
struct About {
    /// Tells the groups of one report apart, and the same group over several reports together.
    name: &'static str,
    finding: Code,
    laterality: Option<Code>,
    modifier: Option<Code>,
    segment: bool,
    /// Names every slice as its source.
    sources: bool,
}

impl Tree<'_> {
    fn root(&self) -> Vec<Set> {
        let make = self.make;
        let (maker, model) = make.maker();
        let name = if make.report.device.is_empty() {
            "scanside"
        } else {
            &make.report.device
        };
        let mut items = vec![
            self.coded(MODIFIES, code::LANGUAGE, code::ENGLISH),
            self.coded(CONTEXT, code::OBSERVER_TYPE, code::DEVICE),
            self.uid(CONTEXT, code::DEVICE_UID, &make.device_uid()),
            self.text(CONTEXT, code::DEVICE_NAME, name),
            self.text(CONTEXT, code::DEVICE_MAKER, maker),
            self.text(CONTEXT, code::DEVICE_MODEL, model),
            self.text(CONTEXT, code::DEVICE_SERIAL, &make.source.serial),
            self.coded(MODIFIES, code::PROCEDURE, code::CT_CHEST),
        ];
        items.extend(self.library());
        if let Outcome::Analysed(analysed) = &make.report.outcome {
            items.push(self.container(code::MEASUREMENTS, self.groups(analysed)));
        }
        items.push(self.container(code::EVALUATIONS, self.evaluations()));
        items
    }

    /// The images of the series that was analysed (TID 1600).
    fn library(&self) -> Option<Set> {
        let images = self.images(None);
        if images.is_empty() {
            return None;
        }
        let mut items = vec![self.coded("HAS ACQ CONTEXT", code::MODALITY, code::CT)];
        items.extend(images);
        let group = self.container(code::LIBRARY_GROUP, items);
        let mut library = self.container(code::LIBRARY, vec![group]);
        self.template(&mut library, "1600");
        Some(library)
    }

    /// An item for each object of the analysed series.
    fn images(&self, concept: Option<Code>) -> Vec<Set> {
        let source = self.make.source;
        let objects: BTreeSet<usize> = source.slices.iter().map(|slice| slice.image).collect();
        objects
            .into_iter()
            .filter_map(|image| source.images.get(image))
            .map(|image| self.image(concept, image, None))
            .collect()
    }

    fn groups(&self, analysed: &Analysed) -> Vec<Set> {
        let about = |name, laterality, modifier| About {
            name,
            finding: code::RAISED,
            laterality,
            modifier,
            segment: false,
            sources: false,
        };
        let share = |value| self.number(code::SHARE, value, code::PERCENT);
        let volume = |value| self.number(code::VOLUME, value, code::MILLILITRE);
        let part = &analysed.involvement;
        let lungs = &analysed.lungs;
        let p = &analysed.p;
        let probability = |class, value| self.number(code::probability(class), value, code::UNITY);
        let mut distances = vec![
            probability(Class::Control, p.control),
            probability(Class::Covid19, p.covid19),
            probability(Class::Cap, p.cap),
        ];
        // A model without a measured distance has none here, and not a number that stands for it.
        for (concept, value) in [
            (code::DISTANCE, analysed.distance),
            (code::DISTANCE_LIMIT, analysed.distance_limit),
        ] {
            if value.is_finite() {
                distances.push(self.number(concept, value, code::UNITY));
            }
        }
        vec![
            self.group(
                &About {
                    finding: code::result(analysed.decision),
                    sources: true,
                    ..about("result", None, None)
                },
                distances,
            ),
            self.group(
                &About {
                    segment: self.region,
                    sources: !self.region,
                    ..about("both lungs", None, None)
                },
                vec![
                    share(part.total_percent),
                    volume(lungs.right_ml + lungs.left_ml),
                    self.number(code::LUNG_HEIGHT, lungs.height_mm, code::MILLIMETRE),
                ],
            ),
            self.group(
                &about("right lung", Some(code::RIGHT), None),
                vec![share(part.right_percent), volume(lungs.right_ml)],
            ),
            self.group(
                &about("left lung", Some(code::LEFT), None),
                vec![share(part.left_percent), volume(lungs.left_ml)],
            ),
            self.group(
                &about("upper third", None, Some(code::UPPER)),
                vec![share(part.upper_percent)],
            ),
            self.group(
                &about("middle third", None, Some(code::MIDDLE)),
                vec![share(part.middle_percent)],
            ),
            self.group(
                &about("lower third", None, Some(code::LOWER)),
                vec![share(part.lower_percent)],
            ),
        ]
    }

    fn group(&self, about: &About, numbers: Vec<Set>) -> Set {
        let make = self.make;
        let model = &make.report.model;
        let tracking = make.key.uid(&format!("tracking {}", about.name));
        let mut items = vec![
            self.text(CONTEXT, code::TRACKING, &format!("scanside {}", about.name)),
            self.uid(CONTEXT, code::TRACKING_UID, &tracking),
            self.coded(CONTAINS, code::FINDING, about.finding),
        ];
        if about.segment {
            items.push(self.image(Some(code::SEGMENT), &make.reference(Kind::Seg), Some(1)));
            let series = &make.report.study.series_uid;
            items.push(self.uid(CONTAINS, code::SEGMENTED_SERIES, series));
        }
        items.push(self.text(MODIFIES, code::ALGORITHM, &model.name));
        items.push(self.text(MODIFIES, code::ALGORITHM_VERSION, &model.version));
        let mut site = self.coded(MODIFIES, code::SITE, code::LUNG);
        let mut below = Vec::new();
        if let Some(side) = about.laterality {
            below.push(self.coded(MODIFIES, code::LATERALITY, side));
        }
        if let Some(third) = about.modifier {
            below.push(self.coded(MODIFIES, code::MODIFIER, third));
        }
        if !below.is_empty() {
            site.items(tags::CONTENT_SEQUENCE, below);
        }
        items.push(site);
        if about.sources {
            items.extend(self.images(Some(code::SOURCE_IMAGE)));
        }
        items.extend(numbers);
        let mut group = self.container(code::GROUP, items);
        let template = if about.segment { "1411" } else { "1501" };
        self.template(&mut group, template);
        group
    }

    /// The answer in words, and everything that it must not be read without.
    fn evaluations(&self) -> Vec<Set> {
        let report = self.make.report;
        let text = |concept, words: &str| self.text(CONTAINS, concept, words);
        let mut items = vec![text(code::RESEARCH, BANNER)];
        if report.model.demonstration {
            items.push(text(code::RESEARCH, DEMONSTRATION));
        }
        match &report.outcome {
            Outcome::Analysed(analysed) => {
                let result = code::result(analysed.decision);
                items.push(self.coded(CONTAINS, code::RESULT, result));
                items.push(text(
                    code::RESULT,
                    words::meaning(analysed.decision).of(Language::English),
                ));
                if !analysed.undecided_because.is_empty() {
                    items.push(text(code::REASON, &analysed.undecided_because));
                }
                if !self.region {
                    let none = "None: no voxel of the lungs has a raised difference";
                    items.push(text(code::NO_REGION, none));
                }
            }
            Outcome::NotAnalysed { reason, action, .. } => {
                items.push(self.coded(CONTAINS, code::RESULT, code::NOT_ANALYSED));
                items.push(text(
                    code::RESULT,
                    words::NOT_ANALYSED_MEANING.of(Language::English),
                ));
                items.push(text(code::REASON, reason));
                if !action.is_empty() {
                    items.push(text(code::ACTION, action));
                }
            }
        }
        for caveat in &report.caveats {
            items.push(text(code::CAVEAT, &caveat.words));
        }
        for check in &report.checks {
            let verdict = words::verdict(Language::English, &check.verdict);
            let measured = match (check.value.as_str(), check.limit.as_str()) {
                ("", _) => String::new(),
                (value, "") => format!(" ({value})"),
                (value, limit) => format!(" ({value}; limit {limit})"),
            };
            let name = check.code.replace('_', " ");
            let line = format!("{name}: {verdict}. {}{measured}", check.words);
            items.push(text(code::CHECK, &line));
        }
        for sentence in report
            .model
            .limits
            .iter()
            .map(String::as_str)
            .chain(words::LIMITS.map(|limit| limit.en))
        {
            items.push(text(code::MODEL_LIMIT, sentence));
        }
        for finding in words::NOT_LOOKED_FOR {
            items.push(text(code::NOT_LOOKED_FOR, finding.en));
        }
        items
    }

    fn template(&self, set: &mut Set, number: &str) {
        set.item(tags::CONTENT_TEMPLATE_SEQUENCE, |item| {
            item.code_string(tags::MAPPING_RESOURCE, "DCMR");
            item.code_string(tags::TEMPLATE_IDENTIFIER, number);
        });
    }

    fn node(&self, relation: &str, kind: &str, concept: Option<Code>) -> Set {
        self.make.item(|item| {
            item.code_string(tags::RELATIONSHIP_TYPE, relation);
            item.code_string(tags::VALUE_TYPE, kind);
            if let Some(concept) = concept {
                item.code(tags::CONCEPT_NAME_CODE_SEQUENCE, concept);
            }
        })
    }

    fn container(&self, concept: Code, items: Vec<Set>) -> Set {
        let mut node = self.node(CONTAINS, "CONTAINER", Some(concept));
        node.code_string(tags::CONTINUITY_OF_CONTENT, "SEPARATE");
        node.items(tags::CONTENT_SEQUENCE, items);
        node
    }

    fn coded(&self, relation: &str, concept: Code, value: Code) -> Set {
        let mut node = self.node(relation, "CODE", Some(concept));
        node.code(tags::CONCEPT_CODE_SEQUENCE, value);
        node
    }

    /// A value must not be empty.
    fn text(&self, relation: &str, concept: Code, value: &str) -> Set {
        let mut node = self.node(relation, "TEXT", Some(concept));
        let value = if value.is_empty() { "none" } else { value };
        node.text(tags::TEXT_VALUE, VR::UT, value);
        node
    }

    fn uid(&self, relation: &str, concept: Code, value: &str) -> Set {
        let mut node = self.node(relation, "UIDREF", Some(concept));
        node.uid(tags::UID, value);
        node
    }

    /// The digits are those of the report for programs.
    fn number(&self, concept: Code, value: f32, unit: Code) -> Set {
        let mut node = self.node(CONTAINS, "NUM", Some(concept));
        let shortest: f64 = value.to_string().parse().unwrap_or(f64::from(value));
        node.item(tags::MEASURED_VALUE_SEQUENCE, |item| {
            item.code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, unit);
            item.text(tags::NUMERIC_VALUE, VR::DS, &decimal(shortest));
            item.double(tags::FLOATING_POINT_VALUE, shortest);
        });
        node
    }

    fn image(&self, concept: Option<Code>, of: &Reference, segment: Option<u16>) -> Set {
        let mut node = self.node(CONTAINS, "IMAGE", concept);
        let mut pointer = self.make.pointer(of);
        if let Some(segment) = segment {
            pointer.small(tags::REFERENCED_SEGMENT_NUMBER, segment);
        }
        node.items(tags::REFERENCED_SOP_SEQUENCE, vec![pointer]);
        node
    }
}
