//! Tells the audit trail to a collector of the site, in order, each row at least once.
//!
//! A thread of the process `deliver`, so that an archive that is slow holds up no audit message, nor the
//! other way round. What was taken is written down after the collector has read it all; a process that
//! is killed before sends a batch again, and its rows have the same numbers and hashes.

use super::clock;
use super::deliver::{DeliverError, later_pause};
use crate::config::{Collector, Config, Way};
use crate::delivery::audit::{self, Source};
use crate::delivery::syslog::{self, Sender, SyslogError};
use crate::reception::tls::Connector;
use crate::store::{Store, StoreError, Tale};
use std::convert::Infallible;
use std::time::Duration;

/// How often the trail is looked at. A message is a matter of seconds, not of less.
const POLL: Duration = Duration::from_secs(1);

/// Rows of one connection. A longer one would send more again after a break.
const BATCH: u32 = 256;

/// A collector that is away all night is found again within minutes.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Tells rows until the process ends.
///
/// # Errors
/// [`DeliverError`] when the database or the system fails. A collector that fails is tried again for
/// as long as there is one in the settings.
pub(super) fn run(
    config: &Config,
    collector: &Collector,
    connector: &Connector,
    store: &Store,
) -> Result<Infallible, DeliverError> {
    let address = collector.to.to_string();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DeliverError::Start)?;
    let host = host_name();
    let source = Source {
        ae_title: config.ae_title.clone(),
        host: host.clone(),
        site: config.site.clone(),
        patient_ids: collector.patient_ids,
        secret: store.collector(&address)?.secret,
        archives: archives(config),
    };
    let sender = Sender {
        host,
        process: std::process::id(),
    };
    let mut failed = 0;
    loop {
        let told = store.collector(&address)?.told;
        let tales = store.tales(told, BATCH)?;
        let Some(last) = tales.last().map(|tale| tale.row.seq) else {
            std::thread::sleep(POLL);
            continue;
        };
        let frames: Vec<Vec<u8>> = tales
            .iter()
            .map(|tale| frame(&sender, tale, &source))
            .collect();
        let to = (collector.to.host.as_str(), collector.to.port);
        match runtime.block_on(syslog::send(to, connector, &frames)) {
            Ok(()) => {
                store.collector_told(&address, last, clock::now_ms())?;
                if failed > 0 {
                    log::info!("the audit collector {address} takes messages again");
                }
                failed = 0;
            }
            Err(trouble) => {
                let pause = again(store, &address, collector, &trouble, failed)?;
                failed = failed.saturating_add(1);
                std::thread::sleep(pause);
            }
        }
    }
}

/// Writes down what a try came to, and says how long to wait.
fn again(
    store: &Store,
    address: &str,
    collector: &Collector,
    trouble: &SyslogError,
    failed: u32,
) -> Result<Duration, StoreError> {
    let words = trouble.to_string();
    store.collector_failed(address, &words, clock::now_ms())?;
    // What only a person can mend is not asked for every few seconds.
    let pause = if trouble.is_permanent() && failed > 0 {
        LONGEST_PAUSE.min(collector.retry.saturating_mul(60))
    } else {
        later_pause(collector.retry, failed, LONGEST_PAUSE)
    };
    let level = if trouble.is_permanent() {
        log::Level::Error
    } else {
        log::Level::Warn
    };
    crate::limited!(
        level,
        "audit messages for {address} wait: {words}; next try in {} s",
        pause.as_secs()
    );
    Ok(pause)
}

fn frame(sender: &Sender, tale: &Tale, source: &Source) -> Vec<u8> {
    let text = audit::message(tale, source);
    syslog::frame(sender, tale.row.at_ms, tale.row.seq, &text)
}

/// What this machine is called on its network.
fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The destinations by the names that the trail calls them.
fn archives(config: &Config) -> Vec<(String, String, String)> {
    config
        .destinations
        .iter()
        .map(|destination| match &destination.way {
            Way::Dicom { to, .. } => (destination.name.clone(), to.called.clone(), to.host.clone()),
            Way::Web { url, .. } => {
                let host = url.split_once("://").map_or("", |(_, rest)| rest);
                let host = host.split(['/', ':']).next().unwrap_or_default();
                (destination.name.clone(), url.clone(), host.to_owned())
            }
        })
        .collect()
}
