//! Counts of everything, for whoever watches many boxes. Counts only: no name, no UID, no address.

use super::writer::{Store, StoreError};

/// What the database counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub images: u64,
    pub image_bytes: u64,
    /// State and count.
    pub studies: Vec<(String, u64)>,
    /// Decision, or "not_analysed", and count; all runs.
    pub results: Vec<(String, u64)>,
    pub analysis_seconds: f64,
    pub last_result_ms: Option<i64>,
    /// Destination, state and count.
    pub deliveries: Vec<(String, String, u64)>,
    /// "agree" or "disagree", and count.
    pub opinions: Vec<(String, u64)>,
    /// Collector, and rows of the audit trail that it has not taken.
    pub untold: Vec<(String, u64)>,
    /// "waiting" or "refused", and count of events.
    pub events: Vec<(String, u64)>,
}

impl Store {
    /// # Errors
    /// [`StoreError`].
    pub fn figures(&self) -> Result<Figures, StoreError> {
        self.run(|c| {
            let t = c.transaction()?;
            let pairs = |sql: &str| -> rusqlite::Result<Vec<(String, u64)>> {
                t.prepare_cached(sql)?
                    .query_map([], |row| Ok((row.get(0)?, count(row.get(1)?))))?
                    .collect()
            };
            let (images, image_bytes) = t.query_row(
                "SELECT count(*), coalesce(sum(bytes), 0) FROM instances",
                [],
                |row| Ok((count(row.get(0)?), count(row.get(1)?))),
            )?;
            let (analysis_seconds, last_result_ms) = t.query_row(
                "SELECT coalesce(sum(seconds), 0.0), max(made) FROM results",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let deliveries = t
                .prepare_cached(
                    "SELECT destination, state, count(*) FROM deliveries GROUP BY 1, 2 ORDER BY 1, 2",
                )?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, count(row.get(2)?))))?
                .collect::<rusqlite::Result<_>>()?;
            Ok(Figures {
                images,
                image_bytes,
                studies: pairs("SELECT state, count(*) FROM studies GROUP BY 1 ORDER BY 1")?,
                results: pairs(
                    "SELECT coalesce(decision, 'not_analysed'), count(*) FROM results \
                     GROUP BY 1 ORDER BY 1",
                )?,
                analysis_seconds,
                last_result_ms,
                deliveries,
                opinions: pairs(
                    "SELECT iif(agrees, 'agree', 'disagree'), count(*) FROM feedback \
                     GROUP BY 1 ORDER BY 1",
                )?,
                untold: pairs(
                    "SELECT address, (SELECT count(*) FROM audit WHERE seq > told) \
                     FROM collectors ORDER BY 1",
                )?,
                events: pairs("SELECT state, count(*) FROM outbox GROUP BY 1 ORDER BY 1")?,
            })
        })
    }
}

/// A count is never negative.
fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}
