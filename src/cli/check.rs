//! The command of a fault call: one line for each thing that was looked at.

use super::Failure;
use super::say::say;
use crate::config::Config;
use crate::infer::Bundle;
use crate::service::checkup::{self, Finding, Grade};
use crate::service::{clock, selftest, updates};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// Where a box has its settings.
const SETTINGS: &str = "/etc/scanside/scanside.toml";

/// What else is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phantoms {
    No,
    /// Sent through now, beside what the service does by itself.
    Send,
    /// Their numbers are written beside the model.
    Record,
}

pub fn run(path: Option<&Path>, phantoms: Phantoms) -> Result<(), Failure> {
    let path = path.map(Path::to_owned).or_else(settings_file);
    let (mut config, settings) = match checkup::settings(path.as_deref()) {
        Ok(read) => read,
        Err(finding) => return end(&[finding]),
    };
    config.model = updates::slots(&config).in_use();
    if phantoms == Phantoms::Record {
        record(&config)?;
    }
    let (mut found, bundle) = checkup::examine(&config, clock::now_ms());
    found.insert(0, settings);
    if let (Phantoms::Send, Some(bundle)) = (phantoms, &bundle) {
        found.push(send(&config, bundle)?);
    }
    end(&found)
}

/// The settings of a box, on a box.
pub fn settings_file() -> Option<PathBuf> {
    let usual = Path::new(SETTINGS);
    usual.is_file().then(|| usual.to_owned())
}

fn end(found: &[Finding]) -> Result<(), Failure> {
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    for finding in found {
        say!("{}", line(finding, colours));
    }
    let count = |grade| found.iter().filter(|one| one.grade == grade).count();
    match (count(Grade::Wrong), count(Grade::Look)) {
        (0, 0) => say!("nothing is wrong"),
        (0, 1) => say!("nothing is wrong; one thing is to be known"),
        (0, n) => say!("nothing is wrong; {n} things are to be known"),
        (1, _) => return Err(Failure::failed("one thing is wrong")),
        (n, _) => return Err(Failure::Failed(format!("{n} things are wrong"))),
    }
    Ok(())
}

/// "WRONG  port         11112 is held". The word says it without the colour.
fn line(finding: &Finding, colours: bool) -> String {
    let (word, colour) = match finding.grade {
        Grade::Good => ("ok", "32"),
        Grade::Look => ("look", "33"),
        Grade::Wrong => ("WRONG", "1;31"),
    };
    let Finding { what, words, .. } = finding;
    if colours {
        format!("\u{1b}[{colour}m{word:<5}\u{1b}[0m  {what:<12} {words}")
    } else {
        format!("{word:<5}  {what:<12} {words}")
    }
}

fn send(config: &Config, bundle: &Bundle) -> Result<Finding, Failure> {
    eprintln!("sending the phantoms through ...");
    let (grade, words) = {
        let at = Scratch::new()?;
        let tested = selftest::by_hand(&config.model, &at.0.join("study"), bundle);
        match tested.good() {
            true => (Grade::Good, tested.words()),
            false => (Grade::Wrong, tested.words()),
        }
    };
    Ok(Finding {
        what: "sent now",
        grade,
        words,
    })
}

fn record(config: &Config) -> Result<(), Failure> {
    let bundle = Bundle::load(&config.model).map_err(Failure::failed)?;
    let at = Scratch::new()?;
    let text = selftest::record(&at.0.join("study"), &bundle).map_err(Failure::Failed)?;
    let path = config.model.join(selftest::FILE);
    std::fs::write(&path, text).map_err(|e| Failure::Failed(format!("{}: {e}", path.display())))?;
    say!("the numbers of the phantoms are in {}", path.display());
    Ok(())
}

/// A folder that goes with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let name = format!("scanside-check-{}", std::process::id());
        let at = std::env::temp_dir().join(name);
        // Fails where somebody else has put one.
        std::fs::create_dir(&at).map_err(|e| Failure::Failed(format!("{}: {e}", at.display())))?;
        Ok(Self(at))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of a temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
