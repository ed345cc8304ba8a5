//! The page as a reader gets it.

use super::*;
use crate::evaluate::judge::fixture::cohort;
use crate::evaluate::judge::{ModelFacts, judge};

fn page(count: usize, skill: f64) -> (Judgement, String) {
    let model = ModelFacts {
        name: "fixture-128".into(),
        version: "0.0.1".into(),
        demonstration: true,
        thresholds: Some([0.6; 3]),
        limits: vec!["Never < trained > on anything.".into()],
        ..ModelFacts::default()
    };
    let j = judge(
        &cohort(count, skill),
        model,
        "2026-11-22T01:00:00+00:00".into(),
    );
    let html = write(&j, &|name| {
        name.starts_with("pictures/").then(|| "iVBORw0KGgo=".into())
    });
    (j, html)
}

/// What stands between tags.
fn text(html: &str) -> String {
    let body = html.split("</style>").nth(1).unwrap_or(html);
    let mut out = String::new();
    let mut inside = false;
    for c in body.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                out.push(' ');
            }
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_worst_number_comes_before_every_other() {
    let (j, html) = page(210, 2.5);
    let text = text(&html);
    let sentence = escape(&j.worst.sentence);
    // A firm space is a space here, as in the text.
    let sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    let worst = text.find(&sentence).unwrap();
    for later in [
        "What it said",
        "Sensitivity",
        "AUC of the",
        "right,",
        "simulated.",
    ] {
        let at = text
            .find(later)
            .unwrap_or_else(|| panic!("{later}: {text}"));
        assert!(at > worst, "{later}");
    }
    // Nothing before it but the banner and the title.
    let before = text[..worst].chars().filter(char::is_ascii_digit).count();
    assert!(before < 10, "{}", &text[..worst]);
}

#[test]
fn it_says_what_it_is_not_at_both_ends() {
    let (_, html) = page(60, 2.5);
    assert_eq!(html.matches(BANNER).count(), 2);
    assert!(html.contains(DEMONSTRATION));
    assert!(html.contains("All studies are simulated"));
    assert!(
        html.contains("RESEARCH USE ONLY  -  page"),
        "on each printed page"
    );
}

#[test]
fn it_is_one_file_without_a_script() {
    let (_, html) = page(210, 1.0);
    let lower = html.to_lowercase();
    for word in [
        "<script", "<link", "<iframe", "http:", "https:", "url(", "@import", "onload",
    ] {
        assert!(!lower.contains(word), "{word}");
    }
    let pictures = html.matches("<img").count();
    assert_eq!(
        pictures,
        html.matches("src=\"data:image/png;base64,").count()
    );
    assert_eq!(pictures, MOST_PICTURES);
    assert!(html.contains("Never &lt; trained &gt;"));
    for tag in ["table", "figure", "svg", "p", "ul", "h2", "tr", "div"] {
        let open =
            html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(open, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn every_study_without_the_right_word_is_named() {
    let (j, html) = page(84, 2.0);
    assert!(!j.failures.is_empty());
    for failure in &j.failures {
        assert!(html.contains(&failure.id), "{}", failure.id);
    }
    assert!(!html.contains("NaN") && !html.contains("inf "));
}

#[test]
fn a_page_of_nothing_is_still_a_page() {
    for count in [0, 1, 3] {
        let (_, html) = page(count, 6.0);
        assert!(html.contains("Worst number") && html.ends_with("</html>\n"));
    }
}

/// Writes the page under the folder in SCANSIDE_LOOK, for people who want to see it.
#[test]
fn a_page_to_look_at() {
    if let Some(folder) = std::env::var_os("SCANSIDE_LOOK") {
        let (_, html) = page(300, 2.5);
        std::fs::write(std::path::Path::new(&folder).join("evaluation.html"), html).unwrap();
    }
}
