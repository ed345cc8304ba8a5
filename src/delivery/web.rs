//! DICOMweb: one instance to an archive over HTTP (STOW-RS, PS3.18 section 10.5).
//!
//! One request carries one instance, so that each has an answer of its own. Redirections are not
//! followed and no proxy is asked: results go where the settings say and nowhere else.

use serde_json::Value;
use std::io::Read;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Longest time for one instance, from the connection to the answer.
const WHOLE: Duration = Duration::from_secs(180);

const CONNECT: Duration = Duration::from_secs(10);

/// Longest answer that is read; a sound one names one instance.
const LONGEST_ANSWER: u64 = 256 * 1024;

/// Most characters of a server's words that are kept.
const LONGEST_WORDS: usize = 200;

/// Parts a body at a line that no DICOM file has: it ends in the instance's own UID.
const BOUNDARY: &str = "scanside-part";

/// A service that takes instances.
pub struct Web {
    agent: Agent,
    url: String,
    authorization: Option<String>,
}

/// What the service has said to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It has it; a status other than 0 is a warning.
    Taken(u16),
    /// Another try may help.
    Again(Option<u16>, String),
    /// It does not take it.
    Refused(Option<u16>, String),
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error("the authorities are no PEM certificates")]
    Authorities,
    #[error("there are no authorities in the file")]
    NoAuthority,
}

impl Web {
    /// A client for the service at `url`; `ca` is the PEM text of the authorities for https,
    /// `authorization` the value of that header.
    ///
    /// # Errors
    /// [`WebError`].
    pub fn new(
        url: &str,
        ca: Option<&str>,
        authorization: Option<String>,
    ) -> Result<Self, WebError> {
        let mut config = Agent::config_builder()
            .timeout_global(Some(WHOLE))
            .timeout_connect(Some(CONNECT))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent("scanside");
        if let Some(pem) = ca {
            let mut authorities: Vec<Certificate<'static>> = Vec::new();
            for item in ureq::tls::parse_pem(pem.as_bytes()) {
                match item {
                    Ok(ureq::tls::PemItem::Certificate(one)) => authorities.push(one),
                    Ok(_) => {}
                    Err(_) => return Err(WebError::Authorities),
                }
            }
            if authorities.is_empty() {
                return Err(WebError::NoAuthority);
            }
            crate::reception::tls::choose_provider();
            let roots = RootCerts::new_with_certs(&authorities);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Self {
            agent: config.build().into(),
            url: url.to_owned(),
            authorization,
        })
    }

    /// Sends the content of one DICOM file.
    #[must_use]
    pub fn store(&self, sop: &str, file: &[u8]) -> Stored {
        let boundary = format!("{BOUNDARY}-{sop}");
        let mut body = Vec::with_capacity(file.len() + 256);
        body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        body.extend_from_slice(b"Content-Type: application/dicom\r\n\r\n");
        body.extend_from_slice(file);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let kind = format!("multipart/related; type=\"application/dicom\"; boundary={boundary}");
        let mut request = self
            .agent
            .post(format!("{}/studies", self.url))
            .header("Content-Type", kind)
            .header("Accept", "application/dicom+json");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut response = match request.send(&body[..]) {
            Ok(response) => response,
            Err(trouble) => return Stored::Again(None, short(&trouble.to_string())),
        };
        let mut answer = Vec::new();
        let reader = response.body_mut().as_reader();
        let read = reader.take(LONGEST_ANSWER).read_to_end(&mut answer);
        if let Err(trouble) = read {
            return Stored::Again(None, short(&trouble.to_string()));
        }
        judge(response.status().as_u16(), &answer, sop)
    }
}

/// By the answer's own word about the instance; without one by the status of HTTP.
fn judge(http: u16, answer: &[u8], sop: &str) -> Stored {
    let said: Value = serde_json::from_slice(answer).unwrap_or_default();
    // Some services answer with an array of one.
    let said = said.get(0).unwrap_or(&said);
    if let Some(item) = named(said, "00081198", sop) {
        let reason = number(item, "00081197").unwrap_or(0xC000);
        let words = format!("refused with {reason:04X}");
        return match reason {
            0x0111 => Stored::Taken(reason),
            0xA700..=0xA7FF | 0x0213 => Stored::Again(Some(reason), words),
            _ => Stored::Refused(Some(reason), words),
        };
    }
    if let Some(item) = named(said, "00081199", sop)
        && (200..300).contains(&http)
    {
        return Stored::Taken(number(item, "00081196").unwrap_or(0));
    }
    let words = format!("HTTP {http} {}", short(&String::from_utf8_lossy(answer)));
    match http {
        // "All instances are stored", whether or not it names the one that there was.
        200 => Stored::Taken(0),
        201..=299 => Stored::Again(None, words),
        // Credentials and paths are mended by a person, whom the last pause waits for.
        401 | 403 | 404 | 408 | 425 | 429 | 500..=599 => Stored::Again(None, words),
        _ => Stored::Refused(None, words),
    }
}

/// The item of a sequence that names the instance.
fn named<'a>(said: &'a Value, sequence: &str, sop: &str) -> Option<&'a Value> {
    let items = said.get(sequence)?.get("Value")?.as_array()?;
    items
        .iter()
        .find(|item| item["00081155"]["Value"][0].as_str() == Some(sop))
}

fn number(item: &Value, tag: &str) -> Option<u16> {
    let value = &item[tag]["Value"][0];
    u16::try_from(value.as_u64()?).ok()
}

fn short(words: &str) -> String {
    words
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_WORDS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(sequence: &str, more: (&str, u16)) -> Vec<u8> {
        let item = json!({
            "00081155": { "vr": "UI", "Value": ["1.2"] },
            more.0: { "vr": "US", "Value": [more.1] },
        });
        let said = json!({ sequence: { "vr": "SQ", "Value": [item] } });
        said.to_string().into_bytes()
    }

    #[test]
    fn answers_say_what_to_do_next() {
        let good = answer("00081199", ("00081190", 0));
        assert_eq!(judge(200, &good, "1.2"), Stored::Taken(0));
        let warned = answer("00081199", ("00081196", 0xB000));
        assert_eq!(judge(202, &warned, "1.2"), Stored::Taken(0xB000));
        for (reason, again) in [
            (0xA700, true),
            (0x0213, true),
            (0x0110, false),
            (0xC000, false),
        ] {
            let said = judge(409, &answer("00081198", ("00081197", reason)), "1.2");
            assert_eq!(
                matches!(said, Stored::Again(Some(r), _) if r == reason),
                again
            );
        }
        let have = answer("00081198", ("00081197", 0x0111));
        assert_eq!(judge(409, &have, "1.2"), Stored::Taken(0x0111));
        assert_eq!(judge(200, b"", "1.2"), Stored::Taken(0));
        // Some are stored, but not this one.
        assert!(matches!(judge(202, &good, "1.3"), Stored::Again(..)));
        assert!(matches!(judge(503, b"", "1.2"), Stored::Again(..)));
        assert!(matches!(judge(415, b"", "1.2"), Stored::Refused(..)));
    }

    #[test]
    fn authorities_must_be_some() {
        assert!(Web::new("http://h", None, None).is_ok());
        let none = Web::new("https://h", Some("no certificate"), None);
        assert!(matches!(none, Err(WebError::NoAuthority)));
    }
}
