//! The table `[disk]`: where the disk is yellow and where it is red. What is left out keeps its default.

use super::ConfigError;
use crate::spool::Quota;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    warn_percent: Option<u64>,
    warn_free_gb: Option<f64>,
    stop_percent: Option<u64>,
    stop_free_gb: Option<f64>,
}

impl Raw {
    pub(super) fn check(self) -> Result<Quota, ConfigError> {
        let usual = Quota::default();
        let bytes = |gb: Option<f64>, usual: u64| match gb {
            None => Ok(usual),
            Some(gb) if (0.0..=1e6).contains(&gb) => Ok((gb * 1e9) as u64),
            Some(_) => Err(ConfigError::Disk),
        };
        let quota = Quota {
            low_percent: self.warn_percent.unwrap_or(usual.low_percent),
            low_free: bytes(self.warn_free_gb, usual.low_free)?,
            stop_percent: self.stop_percent.unwrap_or(usual.stop_percent),
            stop_free: bytes(self.stop_free_gb, usual.stop_free)?,
        };
        let sound = quota.low_percent <= quota.stop_percent
            && quota.stop_percent <= 100
            && quota.low_free >= quota.stop_free;
        sound.then_some(quota).ok_or(ConfigError::Disk)
    }
}
