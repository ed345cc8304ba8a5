//! The language of the display and of reports, as it may be set.

use super::ConfigError;
use crate::base::language::Language;

/// The language of a tag; English where none is set.
pub(super) fn check(tag: Option<String>) -> Result<Language, ConfigError> {
    let Some(tag) = tag else {
        return Ok(Language::default());
    };
    match Language::from_tag(&tag) {
        Some(language) => Ok(language),
        None => Err(ConfigError::Language(format!(
            "the language \"{tag}\" is not one of en (English), de (German), es (Spanish), \
             fr (French), fa (Persian)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_spoken_is_refused_in_words() {
        let check = |tag: &str| check(Some(tag.to_owned()));
        assert_eq!(check("fr").unwrap(), Language::French);
        assert_eq!(check("fa").unwrap(), Language::Persian);
        let why = check("german").unwrap_err().to_string();
        assert!(why.contains("\"german\" is not one of en"), "{why}");
    }
}
