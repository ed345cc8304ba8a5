//! Which number is the worst, and the sentence that says it.
//!
//! Numbers of different kinds are compared by how far they have gone from their goal towards being
//! useless: a sensitivity of 45 % where 90 % is wanted has gone half of the way to finding nothing.
//! Goals are those of the product specification, section 12. A group is named only if enough
//! studies stand behind it, so that chance does not choose the headline.

use super::Flow;
use super::classes::ClassFacts;
use super::groups::Group;
use super::probes::{Int8, Probe};
use super::trust::Trust;
use crate::base::ident::Class;
use crate::base::language::Language;
use crate::evaluate::statistics::proportion::Share;
use crate::report::words;
use serde::Serialize;

/// Studies behind a group's number before it may lead the page.
const ENOUGH: usize = 10;

/// The worst number of the judgement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worst {
    pub sentence: String,
    pub value: f64,
    pub goal: f64,
    /// 0 = at its goal, 1 = useless; below 0 = better than its goal.
    pub way_to_useless: f64,
}

/// What it is chosen from.
pub struct Found<'a> {
    pub flow: &'a Flow,
    pub classes: &'a [ClassFacts],
    pub trust: &'a Trust,
    pub groups: &'a [Group],
    pub probes: &'a [Probe],
    pub int8: Option<&'a Int8>,
}

fn claim(value: f64, goal: f64, useless: f64, sentence: String) -> Worst {
    Worst {
        sentence,
        value,
        goal,
        way_to_useless: (goal - value) / (goal - useless),
    }
}

#[must_use]
pub fn worst(found: &Found) -> Worst {
    let mut claims = Vec::new();
    for facts in found.classes {
        claims.extend(of_class(facts));
    }
    for group in found.groups {
        claims.extend(of_group(group));
    }
    claims.extend(of_trust(found.trust));
    for probe in found.probes.iter().filter(|probe| probe.alarms()) {
        if let Some(auc) = probe.auc {
            let words = format!(
                "{}: the class can still be told with an AUC of {:.2} ({:.2} to {:.2}), where chance \
                 has 0.50.",
                probe.name, auc.value, auc.low, auc.high
            );
            claims.push(claim(auc.value, 0.5, 1.0, words));
        }
    }
    if let Some((int8, flips)) = found.int8.and_then(|i| Some((i, i.flips?))) {
        let words = format!(
            "The shipped int8 network names another class than fp32 in {} of {} studies ({}).",
            flips.count,
            int8.studies,
            percent(&flips)
        );
        claims.push(claim(flips.value, 0.01, 0.5, words));
    }
    let refused = found.flow.not_analysed;
    if let Some(share) = Share::new(refused, found.flow.studies) {
        let words = format!(
            "The box refused {refused} of {} studies ({}).",
            share.of,
            percent(&share)
        );
        // False refusals should stay below 2 %; here right and wrong ones are counted together.
        claims.push(claim(share.value, 0.02, 1.0, words));
    }
    claims
        .into_iter()
        .filter(|c| c.way_to_useless.is_finite())
        .max_by(|a, b| a.way_to_useless.total_cmp(&b.way_to_useless))
        .unwrap_or_else(|| Worst {
            sentence: "Not one study could be judged.".into(),
            value: 0.0,
            goal: 1.0,
            way_to_useless: 1.0,
        })
}

fn of_class(facts: &ClassFacts) -> Vec<Worst> {
    let name = disease(facts.class);
    let call = words::result(facts.class.into()).of(Language::English);
    let mut claims = Vec::new();
    if let Some(share) = &facts.sensitivity {
        let missed = share.of - share.count;
        let silent = facts.undetermined.min(missed);
        let rest = match (silent, missed - silent) {
            (0, 0) => String::new(),
            (silent, 0) => format!(" On the other {silent} it could not decide."),
            (0, wrong) => format!(" It called the other {wrong} something else."),
            (silent, wrong) => format!(
                " Of the other {missed} it called {wrong} something else and could not decide on \
                 {silent}."
            ),
        };
        let words = format!(
            "Of {} studies {name} the box called {} \"{call}\" ({}).{rest}",
            share.of,
            share.count,
            percent(share)
        );
        claims.push(claim(share.value, 0.9, 0.0, words));
    }
    if let Some(share) = &facts.specificity {
        let alarms = share.of - share.count;
        let words = format!(
            "Of {} studies {}, the box called {alarms} \"{call}\": specificity {}.",
            share.of,
            others(facts.class),
            percent(share)
        );
        claims.push(claim(share.value, 0.93, 0.0, words));
    }
    if let Some(auc) = &facts.auc {
        let words = format!(
            "It tells studies {name} from the others with an AUC of {:.2} ({:.2} to {:.2}).",
            auc.value, auc.low, auc.high
        );
        claims.push(claim(auc.value, 0.97, 0.5, words));
    }
    claims
}

fn of_group(group: &Group) -> Vec<Worst> {
    let of = format!("{} {}", group.what, group.name);
    let mut claims = Vec::new();
    for (class, share) in Class::ALL.into_iter().zip(&group.found) {
        if let Some(share) = share.filter(|share| share.of >= ENOUGH) {
            let words = format!(
                "With {of}, the box called {} of {} studies {} \"{}\" ({}).",
                share.count,
                share.of,
                disease(class),
                words::result(class.into()).of(Language::English),
                percent(&share)
            );
            claims.push(claim(share.value, 0.9, 0.0, words));
        }
    }
    if let Some(auc) = group.auc.filter(|_| group.analysed >= ENOUGH) {
        let words = format!(
            "With {of} ({} studies), it tells the classes apart with an AUC of {:.2} only ({:.2} to \
             {:.2}).",
            group.analysed, auc.value, auc.low, auc.high
        );
        claims.push(claim(auc.value, 0.97, 0.5, words));
    }
    claims
}

fn of_trust(trust: &Trust) -> Vec<Worst> {
    let mut claims = Vec::new();
    if let Some(share) = &trust.answered {
        let words = format!(
            "The box could not decide on {} of {} studies that it analysed.",
            share.of - share.count,
            share.of
        );
        claims.push(claim(share.value, 0.8, 0.0, words));
    }
    if let Some(ece) = &trust.ece {
        let words = format!(
            "Its probabilities are off by {:.0} points on average ({:.0} to {:.0}).",
            100.0 * ece.value,
            100.0 * ece.low,
            100.0 * ece.high
        );
        // What few studies show by chance is no fault of the model.
        let goal = trust.ece_by_chance.unwrap_or(0.0).max(0.05);
        claims.push(claim(ece.value, goal, 0.5, words));
    }
    claims
}

/// After "studies": "with Covid-19".
#[must_use]
pub fn disease(class: Class) -> &'static str {
    match class {
        Class::Control => "without pneumonia",
        Class::Covid19 => "with Covid-19",
        Class::Cap => "with another pneumonia",
    }
}

/// The studies of the other two classes.
fn others(class: Class) -> &'static str {
    match class {
        Class::Control => "with a pneumonia",
        Class::Covid19 => "without Covid-19",
        Class::Cap => "without a pneumonia of another kind",
    }
}

/// "24 %, 95 % interval 13 to 41 %".
#[must_use]
pub fn percent(share: &Share) -> String {
    format!(
        "{:.0} %, 95 % interval {:.0} to {:.0} %",
        100.0 * share.value,
        100.0 * share.low,
        100.0 * share.high
    )
}
