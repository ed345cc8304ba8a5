//! Wall-clock time for rows and reports. Deadlines use a monotonic clock, never this one.

use jiff::{Timestamp, Zoned};

/// Milliseconds since 1970, UTC.
#[must_use]
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// "2026-03-14T09:26:53+01:00", for reports.
#[must_use]
pub fn iso_now() -> String {
    Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// "09:26" in local time, for the wall.
#[must_use]
pub fn hour_minute(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(
        |_| String::new(),
        |at| {
            at.to_zoned(jiff::tz::TimeZone::system())
                .strftime("%H:%M")
                .to_string()
        },
    )
}

/// "2026-03-14 09:26" in local time, for lists.
#[must_use]
pub fn day_hour_minute(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(
        |_| String::new(),
        |at| {
            at.to_zoned(jiff::tz::TimeZone::system())
                .strftime("%Y-%m-%d %H:%M")
                .to_string()
        },
    )
}

/// "09:26" of today, "03-14 09:26" of another day, in local time.
#[must_use]
pub fn day_or_hour(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(
        |_| String::new(),
        |at| {
            let at = at.to_zoned(jiff::tz::TimeZone::system());
            let today = Zoned::now().date() == at.date();
            let form = if today { "%H:%M" } else { "%m-%d %H:%M" };
            at.strftime(form).to_string()
        },
    )
}

/// No study was made before the program was: a clock that says so has lost its battery.
pub const BUILT_AFTER_MS: i64 = 1_790_000_000_000;
