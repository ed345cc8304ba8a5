//! The commands about models that go onto a stick.

use super::Failure;
use super::say::say;
use crate::config::Config;
use crate::service::updates;
use crate::update::{self, NAME_END, SigningKey};
use clap::Subcommand;
use std::fs::File;
use std::io::{BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub enum UpdateCommand {
    /// Makes a key that signs, as OpenSSL writes it (PKCS #8), and prints the half that boxes get.
    Key { out: PathBuf },
    /// Packs and signs the model of a folder: one file for a stick.
    Pack {
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        folder: PathBuf,
        out: PathBuf,
    },
    /// Says whether this box would take a package, and why not.
    Look {
        #[arg(long)]
        config: Option<PathBuf>,
        package: PathBuf,
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
        UpdateCommand::Pack { key, folder, out } => pack(&key, &folder, &out),
        UpdateCommand::Look { config, package } => {
            let words = look(&super::load(config.as_deref())?, &package)?;
            say!("{words}: this box would take it");
            Ok(())
        }
        UpdateCommand::Put { config, package } => {
            let config = super::load(config.as_deref())?;
            let words = look(&config, &package)?;
            let put = updates::slots(&config).put(&package);
            put.map_err(Failure::failed)?;
            say!("{words}: the next start of the box tries it");
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

fn pack(key: &Path, folder: &Path, out: &Path) -> Result<(), Failure> {
    let bytes = std::fs::read(key).map_err(at(key))?;
    let key = SigningKey::parse(&bytes)
        .ok_or_else(|| Failure::Refused(format!("{} is no Ed25519 key", key.display())))?;
    let (name, version) = updates::present(folder)
        .ok_or_else(|| Failure::Refused(format!("{} is no model", folder.display())))?;
    if !out.to_string_lossy().ends_with(NAME_END) {
        let words = format!("a box looks for names that end in {NAME_END}");
        return Err(Failure::Usage(words));
    }
    let file = File::create(out).map_err(at(out))?;
    let made = update::pack(folder, (&name, &version.to_string()), &key, file);
    let manifest = made.map_err(at(folder))?;
    let bytes: u64 = manifest.files.values().map(|m| m.bytes).sum();
    say!(
        "{}: {name} {version}, {} files, {:.1} MB",
        out.display(),
        manifest.files.len(),
        bytes as f64 / 1e6
    );
    Ok(())
}

fn look(config: &Config, package: &Path) -> Result<String, Failure> {
    let slots = updates::slots(config);
    let folder = slots.in_use();
    let present = updates::present(&folder)
        .ok_or_else(|| Failure::failed(format!("{} is no model", folder.display())))?;
    let file = File::open(package).map_err(at(package))?;
    let manifest = slots.look(BufReader::new(file), &config.update_keys, &present);
    let manifest = manifest.map_err(|why| Failure::Refused(why.to_string()))?;
    Ok(format!("{} {}", manifest.name, manifest.version))
}
