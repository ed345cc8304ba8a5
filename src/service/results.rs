//! Results on their way to archives, by C-STORE or over the web.
//!
//! What is due stands in the database, written with the result. A round takes for each destination
//! what is due there: the try is counted, then the objects go out over one association, and each
//! answer is written down as it comes. So a process that is killed in the middle sends at most one
//! object again, and that is the same object to the archive, for its UID follows from its content.

use super::clock;
use super::commitment::note_report;
use super::deliver::{DeliverError, PATIENCE, alive, later};
use crate::config::{Config, Destination, Way};
use crate::delivery::commitment;
use crate::delivery::object::Item;
use crate::delivery::scu::{self, Options, Outcome};
use crate::delivery::web::{Stored, Web};
use crate::reception::commitment::{Reference, Request};
use crate::reception::tls::{Connector, Identity};
use crate::report::hex;
use crate::store::{Errand, Fate, Parcel, Store, StoreError};
use sha2::{Digest, Sha256};
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// What is taken up for a destination in one round: a few reports.
const ROUND: u32 = 16;

/// The longest time that is ever set for a next try, with a margin. A row whose time lies further
/// away was written before the clock was set back.
const FARTHEST: Duration = Duration::from_secs(3 * 3600);

/// After the last pause of a destination's own: the row is then up for a person, and this only
/// keeps it from being taken up again before that is written.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// Brings results to the destinations of the settings.
pub(super) struct Results<'a> {
    store: &'a Store,
    config: &'a Config,
    lines: Vec<Line>,
}

/// How a destination is reached.
enum Line {
    Dicom(Box<Options>),
    Web(Web),
}

/// What became of one object.
struct Verdict {
    fate: Fate,
    status: Option<u16>,
    words: String,
}

impl<'a> Results<'a> {
    /// Reads the certificates that the destinations need.
    pub fn new(config: &'a Config, store: &'a Store) -> Result<Self, DeliverError> {
        let lines = config.destinations.iter().map(|destination| {
            line(config, destination).map_err(|why| DeliverError::Destination {
                name: destination.name.clone(),
                why,
            })
        });
        Ok(Self {
            store,
            config,
            lines: lines.collect::<Result<_, _>>()?,
        })
    }

    /// Everything that is due now.
    pub fn round(&self) -> Result<(), DeliverError> {
        for (destination, line) in self.config.destinations.iter().zip(&self.lines) {
            alive();
            let farthest = i64::try_from(FARTHEST.as_millis()).unwrap_or(i64::MAX);
            let name = std::slice::from_ref(&destination.name);
            let due = self
                .store
                .deliveries_due(name, clock::now_ms(), farthest, ROUND)?;
            let mut send = Vec::new();
            let mut ask = Vec::new();
            for parcel in due {
                if !self.begin(destination, &parcel)? {
                    continue;
                }
                match parcel.errand {
                    Errand::Send => send.push(parcel),
                    Errand::Ask => ask.push(parcel),
                }
            }
            if !send.is_empty() {
                self.send(destination, line, send)?;
            }
            if !ask.is_empty() {
                self.ask(destination, line, ask)?;
            }
        }
        Ok(())
    }

    /// Counts a try; false where there are none left.
    fn begin(&self, destination: &Destination, parcel: &Parcel) -> Result<bool, StoreError> {
        let now = clock::now_ms();
        // The first try has no pause before it.
        if usize::try_from(parcel.tries).unwrap_or(usize::MAX) > destination.pauses.len() {
            self.end(
                parcel,
                Verdict {
                    fate: Fate::Manual,
                    status: None,
                    words: "too many tries have come to nothing".to_owned(),
                },
            )?;
            return Ok(false);
        }
        let pause = destination.pause(parcel.tries).unwrap_or(AFTERWARDS);
        self.store
            .delivery_begun(parcel.id, now, later(now, pause))?;
        Ok(true)
    }

    fn end(&self, parcel: &Parcel, verdict: Verdict) -> Result<(), StoreError> {
        let Verdict {
            fate,
            status,
            words,
        } = verdict;
        let (report, to) = (parcel.report, &parcel.destination);
        match &fate {
            Fate::Taken { .. } => log::info!("report {report}: an object is at {to}"),
            Fate::Again => {
                crate::limited!(
                    log::Level::Warn,
                    "report {report} to {to}: {words}; again later"
                );
            }
            Fate::Failed => log::error!("report {report}: {to} does not take an object: {words}"),
            Fate::Manual => log::error!("report {report} to {to} waits for a person: {words}"),
        }
        let now = clock::now_ms();
        self.store
            .delivery_ended(parcel.id, fate, status, &words, now)
    }

    /// A try that may be made again, as long as there are some left.
    fn again(destination: &Destination, parcel: &Parcel, words: String) -> Verdict {
        let left = destination.pause(parcel.tries).is_some();
        Verdict {
            fate: if left { Fate::Again } else { Fate::Manual },
            status: None,
            words,
        }
    }

    fn send(
        &self,
        destination: &Destination,
        line: &Line,
        parcels: Vec<Parcel>,
    ) -> Result<(), DeliverError> {
        // What has changed on the disk since it was made is not the result any more.
        let mut sound = Vec::with_capacity(parcels.len());
        for parcel in parcels {
            let path = self.config.state.join(&parcel.path);
            match std::fs::read(&path) {
                Ok(bytes) if hex(&Sha256::digest(&bytes)) == parcel.sha256 => {
                    sound.push((parcel, bytes));
                }
                read => {
                    let words = match read {
                        Ok(_) => "the object on this box is damaged".to_owned(),
                        Err(trouble) => format!("the object cannot be read: {trouble}"),
                    };
                    let verdict = Verdict {
                        fate: Fate::Failed,
                        status: None,
                        words,
                    };
                    self.end(&parcel, verdict)?;
                }
            }
        }
        match (line, &destination.way) {
            (Line::Web(web), _) => {
                for (parcel, bytes) in sound {
                    alive();
                    let verdict = match web.store(&parcel.sop_uid, &bytes) {
                        Stored::Taken(status) => Verdict {
                            fate: Fate::Taken { commit: false },
                            status: Some(status),
                            words: String::new(),
                        },
                        Stored::Again(status, words) => Verdict {
                            status,
                            ..Self::again(destination, &parcel, words)
                        },
                        Stored::Refused(status, words) => Verdict {
                            fate: Fate::Failed,
                            status,
                            words,
                        },
                    };
                    self.end(&parcel, verdict)?;
                }
                Ok(())
            }
            (Line::Dicom(options), Way::Dicom { to, .. }) => {
                self.c_store(destination, options, to, &sound)
            }
            (Line::Dicom(_), Way::Web { .. }) => Ok(()),
        }
    }

    fn c_store(
        &self,
        destination: &Destination,
        options: &Options,
        to: &scu::Destination,
        parcels: &[(Parcel, Vec<u8>)],
    ) -> Result<(), DeliverError> {
        let items: Vec<Item> = parcels
            .iter()
            .map(|(parcel, _)| Item::File(self.config.state.join(&parcel.path)))
            .collect();
        let told: RefCell<Vec<bool>> = RefCell::new(vec![false; parcels.len()]);
        let trouble: Cell<Option<StoreError>> = Cell::new(None);
        let answered = |answer: &scu::Answer| {
            alive();
            let Some((parcel, _)) = parcels.get(answer.index) else {
                return;
            };
            if let Some(told) = told.borrow_mut().get_mut(answer.index) {
                *told = true;
            }
            let verdict = judged(destination, parcel, &answer.outcome);
            if let Err(error) = self.end(parcel, verdict) {
                trouble.set(Some(error));
            }
        };
        let sent = scu::blocking(scu::send(&items, to, options, answered));
        let sent = sent.map_err(DeliverError::Start)?;
        if let Some(error) = trouble.take() {
            return Err(error.into());
        }
        let words = match sent {
            Ok(_) => "no answer came".to_owned(),
            Err(trouble) => trouble.to_string(),
        };
        for ((parcel, _), told) in parcels.iter().zip(told.take()) {
            if !told {
                self.end(parcel, Self::again(destination, parcel, words.clone()))?;
            }
        }
        Ok(())
    }

    /// Asks an archive for commitment of what it has taken.
    fn ask(
        &self,
        destination: &Destination,
        line: &Line,
        parcels: Vec<Parcel>,
    ) -> Result<(), DeliverError> {
        let (Line::Dicom(options), Way::Dicom { to, .. }) = (line, &destination.way) else {
            return Ok(());
        };
        let request = Request {
            // The UUID form of a UID (PS3.5 B.2).
            transaction: format!("2.25.{}", rand::random::<u128>()),
            references: parcels
                .iter()
                .map(|parcel| Reference {
                    sop_class: parcel.sop_class.clone(),
                    sop: parcel.sop_uid.clone(),
                })
                .collect(),
        };
        // First the rows: the report may be at our port before the response is here.
        let ids = parcels.iter().map(|parcel| parcel.id).collect();
        self.store
            .deliveries_asked(ids, &request.transaction, clock::now_ms())?;
        let mut trouble = None;
        let heard = |report| match note_report(self.store, report) {
            Ok(noted) => Some(noted),
            Err(error) => {
                trouble = Some(error);
                None
            }
        };
        let asked = commitment::ask(to, options, &request, PATIENCE, heard);
        let asked = scu::blocking(asked).map_err(DeliverError::Start)?;
        if let Some(error) = trouble {
            return Err(error.into());
        }
        let words = match asked {
            // Its report comes, or the rows are due again.
            Ok(asked) if asked.status == 0 => return Ok(()),
            Ok(asked) => format!(
                "commitment is answered {:04X} {}",
                asked.status, asked.comment
            ),
            Err(trouble) => trouble.to_string(),
        };
        for parcel in &parcels {
            self.end(parcel, Self::again(destination, parcel, words.clone()))?;
        }
        Ok(())
    }
}

/// What an answer to C-STORE means for the queue.
fn judged(destination: &Destination, parcel: &Parcel, outcome: &Outcome) -> Verdict {
    let (status, words) = match outcome {
        Outcome::Answered { status, comment } => {
            (Some(*status), format!("answered {status:04X} {comment}"))
        }
        Outcome::NotAccepted => (None, "the class is not accepted".to_owned()),
        Outcome::Unreadable(why) | Outcome::Lost(why) => (None, why.clone()),
    };
    if outcome.is_delivered() {
        let commit = destination.commitment;
        return Verdict {
            fate: Fate::Taken { commit },
            status,
            words: String::new(),
        };
    }
    if outcome.is_transient() {
        return Verdict {
            status,
            ..Results::again(destination, parcel, words)
        };
    }
    Verdict {
        fate: Fate::Failed,
        status,
        words,
    }
}

fn line(config: &Config, destination: &Destination) -> Result<Line, String> {
    match &destination.way {
        Way::Dicom { tls, .. } => {
            let mut options = Options::new(&config.ae_title);
            options.tls = connector(config, *tls)?;
            Ok(Line::Dicom(Box::new(options)))
        }
        Way::Web {
            url,
            ca,
            authorization,
        } => {
            let read = |path: &std::path::PathBuf| {
                let failed = |why| format!("{}: {why}", path.display());
                std::fs::read_to_string(path).map_err(failed)
            };
            let ca = ca.as_ref().map(read).transpose()?;
            let authorization = authorization.as_ref().map(read).transpose()?;
            let authorization = authorization.map(|text| text.trim().to_owned());
            let web = Web::new(url, ca.as_deref(), authorization);
            web.map(Line::Web).map_err(|why| why.to_string())
        }
    }
}

fn connector(config: &Config, tls: bool) -> Result<Option<Connector>, String> {
    let Some(files) = config.tls.as_ref().filter(|_| tls) else {
        return Ok(None);
    };
    let identity = Identity::load(&files.files).map_err(|why| why.to_string())?;
    identity
        .connector()
        .map(Some)
        .map_err(|why| why.to_string())
}
