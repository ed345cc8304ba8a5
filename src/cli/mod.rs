//! The commands. Each one is a few lines around a function of the library.
//!
//! Results go to stdout, progress to stderr: a bar on a terminal, plain lines otherwise.

mod audit;
mod backup;
mod check;
mod cube;
mod deliver;
pub mod demo;
mod evaluate;
mod feedback;
mod files;
mod net;
mod progress;
mod say;
mod stick;
mod update;
mod visitors;

use crate::base::ident::Class;
use crate::config::{self, Config};
use crate::delivery::scu::Options;
use crate::phantom::{Flaw, Kernel, Scanner};
use crate::reception::tls::{Connector, Identity};
use crate::service::updates;
use crate::volume::profiles::{Profile, Size, ZPolicy};
use clap::{Parser, Subcommand};
use say::say;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Chest CT in over DICOM; Covid-19, other pneumonia or neither out. RESEARCH USE ONLY.
#[derive(Parser)]
#[command(version, about)]
pub struct Args {
    /// Says more on stderr.
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    pub command: Command,
}

impl Args {
    #[must_use]
    pub fn level(&self) -> log::LevelFilter {
        match (&self.command, self.verbose) {
            (_, true) => log::LevelFilter::Debug,
            (
                Command::Serve { .. }
                | Command::Screen { .. }
                | Command::Export { .. }
                | Command::Deliver { .. },
                false,
            ) => log::LevelFilter::Info,
            _ => log::LevelFilter::Warn,
        }
    }
}

#[derive(Subcommand)]
pub enum Command {
    /// Runs the whole box on this machine with throw-away state, plays the console, shows the answer.
    Demo {
        /// A study to send instead of the three phantoms.
        #[arg(long)]
        study: Option<PathBuf>,
        #[arg(long, default_value = "scanside-demo")]
        out: PathBuf,
    },
    /// The box: listens, analyses, stores, writes status and reports.
    Serve {
        #[arg(long)]
        config: Option<PathBuf>,
        #[arg(long, value_name = "ADDR:PORT")]
        listen: Option<SocketAddr>,
        #[arg(long, value_name = "TITLE")]
        ae: Option<String>,
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
        /// Takes every caller; with a loopback address only.
        #[arg(long)]
        allow_any: bool,
    },
    /// Draws the status on the display or into a picture.
    Screen {
        #[arg(long)]
        config: Option<PathBuf>,
        /// `drm`, or `png:FILE` with an optional `@800x480`.
        #[arg(long, default_value = "drm")]
        panel: String,
        /// Draws once and ends.
        #[arg(long)]
        once: bool,
    },
    /// Writes finished reports to a mounted stick, reads them back, says SAFE TO REMOVE.
    Export {
        #[arg(long)]
        config: Option<PathBuf>,
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// The block device that is mounted there: its serial number is looked up and kept.
        #[arg(long)]
        device: Option<PathBuf>,
        /// Leaves a receipt in this folder in place of a row in the database.
        #[arg(long, value_name = "DIR")]
        receipts: Option<PathBuf>,
    },
    /// Analyses one series or study from files, without the service.
    Analyse {
        dir: PathBuf,
        #[arg(long)]
        json: bool,
        /// The profile to run; the model must have been trained with it.
        #[arg(long)]
        profile: Option<Profile>,
        /// Writes the difference map, float32 (z, y, x).
        #[arg(long, value_name = "OUT.npy")]
        difference: Option<PathBuf>,
        /// Writes the report's folder: PDF, JSON, pictures and DICOM objects.
        #[arg(long, value_name = "DIR")]
        report: Option<PathBuf>,
        #[arg(long)]
        model: Option<PathBuf>,
        /// Takes the limits of the acquisition checks from a settings file.
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Writes the networks' input, float32 (z, y, x), feet first.
    Preprocess {
        #[arg(long)]
        profile: Profile,
        #[arg(long)]
        size: Size,
        #[arg(long, default_value = "iso1")]
        z_policy: ZPolicy,
        dir: PathBuf,
        out: PathBuf,
    },
    /// Writes the second network's input of preprocessed volumes, float32 (50, y, x); for training.
    Cube {
        /// The first network, as ONNX.
        #[arg(long)]
        network: PathBuf,
        #[arg(long)]
        size: Size,
        /// Pairs: a volume as `preprocess` writes it, and the file to make of it.
        #[arg(required = true, value_name = "IN.npy OUT.npy")]
        files: Vec<PathBuf>,
    },
    /// Writes a synthetic chest CT as DICOM.
    Phantom {
        #[arg(long, value_parser = files::class)]
        class: Class,
        #[arg(long)]
        seed: u64,
        #[arg(long)]
        scanner: Option<Scanner>,
        #[arg(long, value_parser = files::kernel, value_name = "soft|lung")]
        kernel: Option<Kernel>,
        #[arg(long, default_value_t = 512)]
        matrix: usize,
        #[arg(long, value_name = "MM")]
        thickness: Option<f64>,
        #[arg(long, value_name = "MM")]
        spacing: Option<f64>,
        /// Only so many slices from the middle.
        #[arg(long)]
        slices: Option<usize>,
        #[arg(long)]
        dose: Option<f32>,
        /// Adds a scout view as a series of its own.
        #[arg(long)]
        localizer: bool,
        /// Something wrong, for the acquisition checks to find: `gap`, `cut-side`, `motion` and others.
        #[arg(long, conflicts_with = "enhanced")]
        flaw: Option<Flaw>,
        /// Writes one multi-frame Enhanced CT object instead of one file a slice.
        #[arg(long, conflicts_with = "localizer")]
        enhanced: bool,
        outdir: PathBuf,
    },
    /// Sends DICOM files, as a console does.
    Send {
        #[arg(value_name = "AE@HOST:PORT")]
        to: String,
        #[arg(required = true)]
        dir: Vec<PathBuf>,
        #[arg(long, default_value = "SCANSIDE_SCU")]
        calling: String,
        /// One association per image.
        #[arg(long)]
        single: bool,
        /// Shuffles the images by this seed.
        #[arg(long, value_name = "SEED")]
        shuffle: Option<u64>,
        /// Over TLS, with the files that this settings file names under [tls].
        #[arg(long, value_name = "CONFIG")]
        tls: Option<PathBuf>,
    },
    /// Asks a DICOM peer whether it is there.
    Echo {
        #[arg(value_name = "AE@HOST:PORT")]
        to: String,
        #[arg(long, default_value = "SCANSIDE_SCU")]
        calling: String,
        /// Over TLS, with the files that this settings file names under [tls].
        #[arg(long, value_name = "CONFIG")]
        tls: Option<PathBuf>,
    },
    /// Says in words what is wrong with this box and what to do; exit code 1 if something is.
    Check {
        #[arg(long)]
        config: Option<PathBuf>,
        /// Sends the phantoms of the self-test through now.
        #[arg(long)]
        phantoms: bool,
        /// Writes their numbers beside a model that has none.
        #[arg(long, conflicts_with = "phantoms")]
        record: bool,
    },
    /// Prints who called: the last associations, accepted and refused.
    Associations {
        #[arg(long)]
        config: Option<PathBuf>,
        /// So many of them.
        #[arg(long, default_value_t = 40)]
        last: u32,
    },
    /// For ten minutes the box notes callers that are on no list. They are refused all the same.
    Learn {
        #[arg(long)]
        config: Option<PathBuf>,
        /// Only prints the callers that were noted, ready to paste into the settings.
        #[arg(long, conflicts_with = "stop")]
        show: bool,
        /// Ends the ten minutes now.
        #[arg(long)]
        stop: bool,
    },
    /// Brings results to the archives of the settings, and answers consoles about storage commitment.
    Deliver {
        #[arg(long)]
        config: Option<PathBuf>,
        /// Only prints what is and was on its way.
        #[arg(long, conflicts_with = "again")]
        list: bool,
        /// Starts again what has failed or waits for a person; the process that runs takes it up.
        #[arg(long)]
        again: bool,
    },
    /// The audit trail: what was received, refused, analysed, exported, sent and deleted.
    Audit {
        #[command(subcommand)]
        command: audit::AuditCommand,
    },
    /// Packs models for sticks, and takes them.
    Update {
        #[command(subcommand)]
        command: update::UpdateCommand,
    },
    /// Judges the model on a cohort or on phantoms: answers, numbers with intervals, one page.
    Evaluate(Box<evaluate::EvaluateArgs>),
    /// Enters what a reader thinks of results: a CSV with report,opinion and truth,reason,reader.
    Feedback {
        #[arg(long)]
        config: Option<PathBuf>,
        file: PathBuf,
    },
    /// Puts a box into one file while it works: database, reports, settings.
    Backup {
        #[arg(long)]
        config: Option<PathBuf>,
        out: PathBuf,
    },
    /// Brings a backup back to an empty box, when all of it is as it was written.
    Restore {
        #[arg(long)]
        config: Option<PathBuf>,
        from: PathBuf,
    },
}

/// How a command fails; each kind has its own exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Usage(String),
    /// The input was read and is not to be analysed; the sentence says why.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    fn failed(what: impl std::fmt::Display) -> Self {
        Self::Failed(what.to_string())
    }
}

/// Runs one command.
///
/// # Errors
/// [`Failure`], whose text is meant for the person at the terminal.
pub fn run(command: Command) -> Result<(), Failure> {
    obey(command)?;
    let words = |trouble| format!("the output cannot be written: {trouble}");
    say::finish().map_err(|trouble| Failure::failed(words(trouble)))
}

fn obey(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo { study, out } => demo::run(study.as_deref(), &out),
        Command::Serve {
            config,
            listen,
            ae,
            state,
            allow_any,
        } => serve(config.as_deref(), listen, ae, state, allow_any),
        Command::Screen {
            config,
            panel,
            once,
        } => files::screen(&load(config.as_deref())?, &panel, once),
        Command::Export {
            config,
            to,
            device,
            receipts,
        } => {
            let stick = stick::Stick { device, receipts };
            stick::export(&load(config.as_deref())?, &to, &stick)
        }
        Command::Analyse {
            dir,
            json,
            profile,
            difference,
            report,
            model,
            config,
        } => {
            let mut config = load(config.as_deref())?;
            if let Some(model) = model {
                config.model = model;
            }
            let out = files::Out {
                json,
                difference: difference.as_deref(),
                report: report.as_deref(),
            };
            files::analyse(&config, &dir, profile, &out)
        }
        Command::Preprocess {
            profile,
            size,
            z_policy,
            dir,
            out,
        } => files::preprocess(
            crate::volume::profiles::Recipe {
                profile,
                size,
                z_policy,
            },
            &dir,
            &out,
        ),
        Command::Cube {
            network,
            size,
            files,
        } => cube::cubes(&network, size, &files),
        Command::Phantom {
            class,
            seed,
            scanner,
            kernel,
            matrix,
            thickness,
            spacing,
            slices,
            dose,
            localizer,
            flaw,
            enhanced,
            outdir,
        } => files::phantom(
            &crate::phantom::Recipe {
                scanner,
                kernel,
                matrix,
                thickness_mm: thickness,
                spacing_mm: spacing,
                slices,
                dose,
                localizer,
                flaw,
                ..crate::phantom::Recipe::new(class, seed)
            },
            enhanced,
            &outdir,
        ),
        Command::Send {
            to,
            dir,
            calling,
            single,
            shuffle,
            tls,
        } => {
            let options = Options {
                one_association_per_image: single,
                shuffle,
                tls: connector(tls.as_deref())?,
                ..Options::new(&calling)
            };
            net::send(&to, &dir, &options)
        }
        Command::Echo { to, calling, tls } => {
            let tls = connector(tls.as_deref())?;
            net::echo(
                &to,
                &Options {
                    tls,
                    ..Options::new(&calling)
                },
            )
        }
        Command::Check {
            config,
            phantoms,
            record,
        } => {
            let phantoms = match (phantoms, record) {
                (true, _) => check::Phantoms::Send,
                (_, true) => check::Phantoms::Record,
                _ => check::Phantoms::No,
            };
            check::run(config.as_deref(), phantoms)
        }
        Command::Associations { config, last } => {
            visitors::associations(&load(config.as_deref())?, last)
        }
        Command::Learn { config, show, stop } => {
            let config = load(config.as_deref())?;
            match (show, stop) {
                (true, _) => visitors::show(&config),
                (_, true) => visitors::stop(&config),
                _ => visitors::learn(&config),
            }
        }
        Command::Feedback { config, file } => feedback::enter(&load(config.as_deref())?, &file),
        Command::Backup { config, out } => {
            backup::make(&load(config.as_deref())?, config.as_deref(), &out)
        }
        Command::Deliver {
            config,
            list,
            again,
        } => {
            let config = load(config.as_deref())?;
            match (list, again) {
                (true, _) => deliver::list(&config),
                (_, true) => deliver::again(&config),
                _ => deliver::run(&config),
            }
        }
        Command::Audit { command } => audit::run(command),
        Command::Update { command } => update::run(command),
        Command::Restore { config, from } => backup::bring_back(&load(config.as_deref())?, &from),
        Command::Evaluate(args) => {
            let config = load(args.config())?;
            if args.is_about_feedback() {
                return feedback::show(&config);
            }
            evaluate::run(*args, config)
        }
    }
}

/// The settings, with the model that counts where another was brought than the one they name.
fn load(path: Option<&Path>) -> Result<Config, Failure> {
    let mut config = as_written(path)?;
    config.model = updates::slots(&config).in_use();
    Ok(config)
}

fn as_written(path: Option<&Path>) -> Result<Config, Failure> {
    path.map_or_else(|| Config::parse(""), Config::load)
        .map_err(|e| Failure::Usage(e.to_string()))
}

/// Our end of calls over TLS, from the settings file that was named.
fn connector(path: Option<&Path>) -> Result<Option<Connector>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let Some(tls) = load(Some(path))?.tls else {
        let words = format!("{} has no [tls]", path.display());
        return Err(Failure::Usage(words));
    };
    let identity = Identity::load(&tls.files).map_err(|e| Failure::Usage(e.to_string()))?;
    identity.connector().map(Some).map_err(Failure::failed)
}

fn serve(
    path: Option<&Path>,
    listen: Option<SocketAddr>,
    ae: Option<String>,
    state: Option<PathBuf>,
    allow_any: bool,
) -> Result<(), Failure> {
    let usage = |e: config::ConfigError| Failure::Usage(e.to_string());
    let mut config = as_written(path)?;
    if let Some(listen) = listen {
        config.listen = listen;
        if let Some(tls) = &mut config.tls {
            tls.listen.set_ip(listen.ip());
        }
    }
    if let Some(title) = ae {
        config.ae_title = config::title(title).map_err(usage)?;
    }
    if let Some(state) = state {
        config.runtime = state.join("run");
        config.state = state;
    }
    if allow_any {
        config.allow_any().map_err(usage)?;
        config.lenient_disk = true;
    }
    // One process holds the port and the networks: a panic anywhere ends it, and systemd starts it
    // anew. A half-dead service that still answers would be worse than a short gap.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        hook(panic);
        eprintln!("the last events:\n{}", crate::service::last_events());
        std::process::abort();
    }));
    let options = crate::service::Options {
        listeners: net::inherited_listeners()?,
        watcher: Some(Box::new(|note| {
            if let crate::service::Note::Ready {
                address,
                secure,
                ae_title,
            } = note
            {
                say!("ready {address} {ae_title}");
                if let Some(secure) = secure {
                    say!("secure {secure} {ae_title}");
                }
            }
        })),
        stop: None,
    };
    crate::service::serve(config, options).map_err(Failure::failed)
}
