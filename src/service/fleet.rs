//! Tells results and the box's own state to a broker, for a view over many boxes.
//!
//! A thread of the process `deliver`. Events come from the outbox, oldest first, one at a time; one is
//! taken away when the broker has answered. A retained message says how the box is; the broker turns it
//! into "offline" by itself when the line breaks. Nothing is about a patient.

use super::clock;
use super::deliver::{DeliverError, later_pause};
use crate::config::Broker;
use crate::delivery::broker::{BrokerError, Call, Line};
use crate::reception::tls::Connector;
use crate::store::{Store, StoreError};
use serde_json::json;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// How often the outbox is looked at.
const POLL: Duration = Duration::from_secs(1);

/// How often the box says how it is.
const STATUS: Duration = Duration::from_secs(60);

/// `serve` writes down every minute how long it has run; a live one has done so within this time.
const ALIVE: Duration = Duration::from_secs(180);

/// A broker that is away all night is found again within minutes.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// JSON schema of the retained message.
pub const SCHEMA: &str = include_str!("fleet.schema.json");

/// Why a line ended.
enum End {
    Broker(BrokerError),
    Store(StoreError),
}

impl From<BrokerError> for End {
    fn from(trouble: BrokerError) -> Self {
        Self::Broker(trouble)
    }
}

impl From<StoreError> for End {
    fn from(trouble: StoreError) -> Self {
        Self::Store(trouble)
    }
}

/// Speaks until the process ends.
///
/// # Errors
/// [`DeliverError`] when the database or the system fails. A broker that fails is tried again for as
/// long as there is one in the settings.
pub(super) fn run(
    broker: &Broker,
    password: Option<&str>,
    connector: Option<&Connector>,
    store: &Store,
) -> Result<Infallible, DeliverError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DeliverError::Start)?;
    let mut pulse = Pulse::new(store.ran_ms()?);
    let mut failed = 0u32;
    loop {
        let begun = Instant::now();
        let line = talk(broker, password, connector, store, &mut pulse);
        let trouble = match runtime.block_on(line) {
            Ok(never) => match never {},
            Err(End::Store(trouble)) => return Err(trouble.into()),
            Err(End::Broker(trouble)) => trouble,
        };
        // A line that stood was no failed try; one that breaks at once is, or two boxes of one name would
        // throw each other out without a pause.
        if begun.elapsed() > STATUS {
            failed = 0;
        }
        store.events_failed(&trouble.to_string())?;
        let pause = match &trouble {
            BrokerError::Person(_) if failed > 0 => {
                LONGEST_PAUSE.min(broker.retry.saturating_mul(60))
            }
            _ => later_pause(broker.retry, failed, LONGEST_PAUSE),
        };
        let level = match &trouble {
            BrokerError::Again(_) => log::Level::Warn,
            _ => log::Level::Error,
        };
        crate::limited!(
            level,
            "events for the broker {} wait: {trouble}; next try in {} s",
            broker.to,
            pause.as_secs()
        );
        failed = failed.saturating_add(1);
        std::thread::sleep(pause);
    }
}

/// One line, from the call to its break.
async fn talk(
    broker: &Broker,
    password: Option<&str>,
    connector: Option<&Connector>,
    store: &Store,
    pulse: &mut Pulse,
) -> Result<Infallible, End> {
    let topic = |last: &str| format!("{}/{}/{last}", broker.prefix, broker.name);
    let (status, result) = (topic("status"), topic("result"));
    let gone = json!({ "schema_version": 1, "box": broker.name, "state": "offline" });
    let login = broker.login.as_ref().zip(password);
    let mut line = Line::open(Call {
        host: &broker.to.host,
        port: broker.to.port,
        client: format!("scanside-{}", broker.name),
        tls: connector,
        login: login.map(|((user, _), password)| (user.clone(), password.to_owned())),
        will: (status.clone(), gone.to_string()),
    })
    .await?;
    log::info!("events go to the broker {}", broker.to);
    let mut said: Option<Instant> = None;
    loop {
        if said.is_none_or(|at| at.elapsed() >= STATUS) {
            let text = state(broker, store, pulse)?;
            line.publish(&status, true, None, &text).await?;
            said = Some(Instant::now());
        }
        let Some(event) = store.event_waiting()? else {
            line.idle(POLL).await?;
            continue;
        };
        let key = Some(event.key.as_str());
        match line.publish(&result, false, key, &event.body).await {
            Ok(()) => store.event_taken(event.id)?,
            Err(BrokerError::Message(words)) => {
                store.event_refused(event.id, &words)?;
                return Err(BrokerError::Message(words).into());
            }
            Err(trouble) => return Err(trouble.into()),
        }
    }
}

/// Whether `serve` lives, by the time that it writes down.
struct Pulse {
    ran_ms: i64,
    changed: Instant,
}

impl Pulse {
    fn new(ran_ms: i64) -> Self {
        Self {
            ran_ms,
            changed: Instant::now(),
        }
    }

    fn beats(&mut self, ran_ms: i64) -> bool {
        if ran_ms != self.ran_ms {
            *self = Self::new(ran_ms);
        }
        self.changed.elapsed() < ALIVE
    }
}

/// The retained message.
fn state(broker: &Broker, store: &Store, pulse: &mut Pulse) -> Result<String, StoreError> {
    let figures = store.figures()?;
    let outbox = store.outbox()?;
    let sum = |pairs: &[(String, u64)]| pairs.iter().map(|(_, count)| count).sum::<u64>();
    let waiting = ["receiving", "queued", "analysing"];
    let studies = figures.studies.iter();
    let stuck = figures.deliveries.iter();
    let utc = |ms| jiff::Timestamp::from_millisecond(ms).map(|at| format!("{at:.0}"));
    let text = json!({
        "schema_version": 1,
        "box": broker.name,
        "state": "online",
        "at": utc(clock::now_ms()).unwrap_or_default(),
        "receiving": pulse.beats(store.ran_ms()?),
        "software": concat!("scanside ", env!("CARGO_PKG_VERSION")),
        "results": sum(&figures.results),
        "last_result": figures.last_result_ms.and_then(|ms| utc(ms).ok()),
        "studies_waiting": studies
            .filter(|(state, _)| waiting.contains(&state.as_str()))
            .map(|(_, count)| count)
            .sum::<u64>(),
        "deliveries_stuck": stuck
            .filter(|(_, state, _)| state == "manual" || state == "failed")
            .map(|(_, _, count)| count)
            .sum::<u64>(),
        "events_waiting": outbox.waiting,
        "events_refused": outbox.refused,
    });
    Ok(text.to_string())
}
