//! Messages to a syslog collector: RFC 5424 over TLS, with the octet counts of RFC 5425.
//!
//! Syslog has no answers. So a batch has a connection of its own, and counts as taken only when the
//! collector has read it to the end: we wait a moment in which a collector that dies is noticed, say
//! that nothing more comes, and wait until the collector has closed as well. A connection that ends in
//! any other way has delivered nothing, as far as we know, and the whole batch goes again.

use crate::reception::tls::Connector;
use jiff::Timestamp;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Security, notice (PS3.15 A.6).
const PRIORITY: u8 = 85;

/// For the connection and for the handshake, each.
const CONNECT: Duration = Duration::from_secs(10);

/// For one message.
const WRITE: Duration = Duration::from_secs(20);

/// Between the last message and the farewell. A collector that is killed is seen to go; one that lives
/// has the time to bring what it read to its own disk.
const LINGER: Duration = Duration::from_secs(1);

/// For the collector to read to the end and close.
const FAREWELL: Duration = Duration::from_secs(30);

/// A collector says nothing. More than this from it is no syslog.
const MOST_WORDS: usize = 64 * 1024;

/// Largest number of the parameter sequenceId (RFC 5424 7.3.1).
const LAST_SEQUENCE: i64 = 2_147_483_647;

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SyslogError {
    #[error("the collector cannot be reached: {0}")]
    Away(io::Error),
    #[error("the collector does not answer in time")]
    Silent,
    #[error("the connection to the collector broke: {0}")]
    Broken(io::Error),
    /// Tried again as well, but a person has to do something first.
    #[error("the collector and this box do not trust each other: {0}")]
    Distrust(io::Error),
    #[error("what answers there is no syslog collector")]
    Stranger,
}

impl SyslogError {
    /// Whether only a person can help.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Distrust(_) | Self::Stranger)
    }
}

/// Who sends, for the head of each message.
#[derive(Clone, Debug)]
pub struct Sender {
    pub host: String,
    pub process: u32,
}

/// One message as it goes over the line; `sequence` counts from 1.
#[must_use]
pub fn frame(sender: &Sender, at_ms: i64, sequence: i64, text: &str) -> Vec<u8> {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let host = header_word(&sender.host, 255);
    let sequence = (sequence.max(1) - 1) % LAST_SEQUENCE + 1;
    let message = format!(
        "<{PRIORITY}>1 {at:.3} {host} scanside {} DICOM+RFC3881 [meta sequenceId=\"{sequence}\"] \
         \u{FEFF}{text}",
        sender.process
    );
    let mut frame = format!("{} ", message.len()).into_bytes();
    frame.extend_from_slice(message.as_bytes());
    frame
}

/// A field of the head: printable ASCII without blanks, or "-".
fn header_word(text: &str, longest: usize) -> String {
    let word: String = text
        .chars()
        .filter(char::is_ascii_graphic)
        .take(longest)
        .collect();
    if word.is_empty() {
        "-".to_owned()
    } else {
        word
    }
}

/// Sends frames and returns when the collector has read them all.
///
/// # Errors
/// [`SyslogError`]; then none of them counts as taken.
pub async fn send(
    (host, port): (&str, u16),
    connector: &Connector,
    frames: &[Vec<u8>],
) -> Result<(), SyslogError> {
    let stream = timeout(CONNECT, TcpStream::connect((host, port)))
        .await
        .map_err(|_| SyslogError::Silent)?
        .map_err(SyslogError::Away)?;
    stream.set_nodelay(true).map_err(SyslogError::Away)?;
    let mut line = timeout(CONNECT, connector.connect(host, stream))
        .await
        .map_err(|_| SyslogError::Silent)?
        .map_err(broken)?;
    for frame in frames {
        timeout(WRITE, line.write_all(frame))
            .await
            .map_err(|_| SyslogError::Silent)?
            .map_err(broken)?;
    }
    timeout(WRITE, line.flush())
        .await
        .map_err(|_| SyslogError::Silent)?
        .map_err(broken)?;

    let mut heard = 0;
    if let Ok(end) = timeout(LINGER, to_the_end(&mut line, &mut heard)).await {
        // It went before we had said that we are done.
        return Err(match end {
            Ok(()) => SyslogError::Broken(io::ErrorKind::UnexpectedEof.into()),
            Err(trouble) => trouble,
        });
    }
    timeout(WRITE, line.shutdown())
        .await
        .map_err(|_| SyslogError::Silent)?
        .map_err(broken)?;
    timeout(FAREWELL, to_the_end(&mut line, &mut heard))
        .await
        .map_err(|_| SyslogError::Silent)?
}

/// Reads until the collector closes. Many close without the farewell of TLS; what they had not read
/// makes that a reset, which is an error here.
async fn to_the_end(
    line: &mut (impl tokio::io::AsyncRead + Unpin),
    heard: &mut usize,
) -> Result<(), SyslogError> {
    let mut words = [0; 1024];
    loop {
        match line.read(&mut words).await {
            Ok(0) => return Ok(()),
            Ok(n) => *heard += n,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(e) => return Err(broken(e)),
        }
        if *heard > MOST_WORDS {
            return Err(SyslogError::Stranger);
        }
    }
}

/// rustls tells a fault of trust or of the protocol as invalid data.
fn broken(trouble: io::Error) -> SyslogError {
    match trouble.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => SyslogError::Distrust(trouble),
        _ => SyslogError::Broken(trouble),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_both_papers_want() {
        let sender = Sender {
            host: "box 1".into(),
            process: 7,
        };
        let frame = String::from_utf8(frame(&sender, 1_800_000_000_123, 3, "<a>é</a>")).unwrap();
        let (count, message) = frame.split_once(' ').unwrap();
        assert_eq!(count.parse::<usize>().unwrap(), message.len(), "octets");
        let head = "<85>1 2027-01-15T08:00:00.123Z box1 scanside 7 DICOM+RFC3881 \
                    [meta sequenceId=\"3\"] \u{FEFF}<a>";
        assert!(message.starts_with(head), "{message}");
        let wrapped = super::frame(&sender, 0, LAST_SEQUENCE + 1, "");
        assert!(String::from_utf8(wrapped).unwrap().contains("\"1\""));
    }

    #[test]
    fn what_a_person_must_mend_is_told_from_what_passes() {
        assert!(broken(io::ErrorKind::InvalidData.into()).is_permanent());
        assert!(!broken(io::ErrorKind::ConnectionReset.into()).is_permanent());
    }
}
