//! The commands about models and systems that go onto a stick.

use super::Failure;
use super::say::say;
use crate::config::Config;
use crate::service::software::watch::{self, End};
use crate::service::{software, updates};
use crate::update::{self, Kind, Manifest, NAME_END, SigningKey};
use clap::Subcommand;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Subcommand)]
pub enum UpdateCommand {
    /// Makes a key that signs, as OpenSSL writes it (PKCS #8), and prints the half that boxes get.
    Key { out: PathBuf },
    /// Packs and signs the model of a folder: one file for a stick.
    Pack {
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The folder is what board/image/make has filled: its system is packed.
        #[arg(long)]
        image: bool,
        folder: PathBuf,
        out: PathBuf,
    },
    /// Says whether this box would take a package, and why not.
    Look {
        #[arg(long)]
        config: Option<PathBuf>,
        package: PathBuf,
    },
    /// Puts the software that waits into the other slot; for scanside-install.service.
    #[command(hide = true)]
    Install {
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Sees new software through its first start; for scanside-watch.service. Fails where the box has to go back.
    #[command(hide = true)]
    Watch {
        #[arg(long)]
        config: Option<PathBuf>,
        /// The system before takes over when the new one is not ready by then.
        #[arg(long, default_value_t = 15)]
        minutes: u64,
    },
    /// Lets this box try a package at its next start, as a stick does.
    Put {
        #[arg(long)]
        config: Option<PathBuf>,
        package: PathBuf,
    },
}

pub fn run(command: UpdateCommand) -> Result<(), Failure> {
    match command {
        UpdateCommand::Key { out } => key(&out),
        UpdateCommand::Pack {
            key,
            image,
            folder,
            out,
        } => pack(&key, (&folder, image), &out),
        UpdateCommand::Install { config } => {
            let config = super::load(config.as_deref())?;
            say!("{}", software::install(&config).map_err(Failure::failed)?);
            Ok(())
        }
        UpdateCommand::Watch { config, minutes } => {
            let config = super::load(config.as_deref())?;
            let limit = Duration::from_secs(60 * minutes);
            match watch::watch(&config, limit).map_err(Failure::failed)? {
                End::Stays(words) => say!("{words}"),
                End::Back(words) => return Err(Failure::Failed(words)),
            }
            Ok(())
        }
        UpdateCommand::Look { config, package } => {
            let manifest = look(&super::load(config.as_deref())?, &package)?;
            say!("{}: this box would take it", words(&manifest));
            Ok(())
        }
        UpdateCommand::Put { config, package } => {
            let config = super::load(config.as_deref())?;
            let manifest = look(&config, &package)?;
            match manifest.kind {
                Kind::Model => updates::slots(&config).put(&package),
                Kind::Software => software::fetch(&config, &package),
            }
            .map_err(Failure::failed)?;
            say!("{}: the next start of the box tries it", words(&manifest));
            Ok(())
        }
    }
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |e| Failure::failed(format!("{}: {e}", path.display()))
}

fn key(out: &Path) -> Result<(), Failure> {
    let bytes = SigningKey::generate().map_err(Failure::failed)?;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(out);
    let mut file = file.map_err(at(out))?;
    file.write_all(&bytes).map_err(at(out))?;
    let public = SigningKey::parse(&bytes).map(|key| key.public().hex());
    say!("[update]");
    say!("keys = [\"{}\"]", public.unwrap_or_default());
    Ok(())
}

fn pack(key: &Path, (folder, image): (&Path, bool), out: &Path) -> Result<(), Failure> {
    let bytes = std::fs::read(key).map_err(at(key))?;
    let key = SigningKey::parse(&bytes)
        .ok_or_else(|| Failure::Refused(format!("{} is no Ed25519 key", key.display())))?;
    if !out.to_string_lossy().ends_with(NAME_END) {
        let words = format!("a box looks for names that end in {NAME_END}");
        return Err(Failure::Usage(words));
    }
    let made = if image {
        let file = File::create(out).map_err(at(out))?;
        update::pack_system(folder, &key, file)
    } else {
        let (name, version) = updates::present(folder)
            .ok_or_else(|| Failure::Refused(format!("{} is no model", folder.display())))?;
        let file = File::create(out).map_err(at(out))?;
        update::pack(folder, (&name, &version.to_string()), &key, file)
    };
    let manifest = made.map_err(at(folder))?;
    let bytes: u64 = manifest.files.values().map(|m| m.bytes).sum();
    say!(
        "{}: {}, {} files, {:.1} MB",
        out.display(),
        words(&manifest),
        manifest.files.len(),
        bytes as f64 / 1e6
    );
    Ok(())
}

fn words(manifest: &Manifest) -> String {
    format!("{} {}", manifest.name, manifest.version)
}

fn look(config: &Config, package: &Path) -> Result<Manifest, Failure> {
    updates::judge(config, package).map_err(|why| Failure::Refused(why.to_string()))
}
