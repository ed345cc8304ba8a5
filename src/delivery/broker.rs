//! Messages to an MQTT 5 broker, one at a time, each with the broker's answer (QoS 1).
//!
//! A line is one connection. It asks for no session to be kept: what was not answered stands in the
//! outbox and goes out on the next line. The broker holds a last will for as long as the line lives.

use crate::reception::tls::Connector;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectReturnCode, LastWill, Packet, PubAckReason, PublishProperties,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
use rumqttc::{TlsConfiguration, Transport};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// From the first packet to the broker's welcome.
const CONNECT: Duration = Duration::from_secs(15);

/// For the answer to one message.
const ANSWER: Duration = Duration::from_secs(20);

/// How often a silent line proves that it lives. The broker tells the last will after half as long
/// again.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Messages on their way at a time, the proofs of life included.
const ON_THE_WAY: u16 = 4;

/// Why a line or a message came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Another try may help.
    #[error("{0}")]
    Again(String),
    /// Another try may help, but a person has to do something first.
    #[error("the broker does not let this box in: {0}")]
    Person(String),
    /// This message is never taken; others may be.
    #[error("the broker does not take the message: {0}")]
    Message(String),
}

/// Where and as whom.
pub struct Call<'a> {
    pub host: &'a str,
    pub port: u16,
    pub client: String,
    pub tls: Option<&'a Connector>,
    /// User and password.
    pub login: Option<(String, String)>,
    /// Topic and text that the broker keeps and tells when the line breaks.
    pub will: (String, String),
}

/// A connection that stands.
pub struct Line {
    client: AsyncClient,
    events: EventLoop,
}

impl Line {
    /// Calls the broker.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub async fn open(call: Call<'_>) -> Result<Self, BrokerError> {
        let mut options = MqttOptions::new(call.client, call.host, call.port);
        options
            .set_keep_alive(KEEP_ALIVE)
            .set_clean_start(true)
            .set_connection_timeout(CONNECT.as_secs())
            .set_outgoing_inflight_upper_limit(ON_THE_WAY);
        if let Some(connector) = call.tls {
            let config = TlsConfiguration::Rustls(connector.config());
            options.set_transport(Transport::tls_with_config(config));
        }
        if let Some((user, password)) = call.login {
            options.set_credentials(user, password);
        }
        let (topic, text) = call.will;
        options.set_last_will(LastWill::new(topic, text, QoS::AtLeastOnce, true, None));
        let (client, events) = AsyncClient::new(options, usize::from(ON_THE_WAY));
        let mut line = Self { client, events };
        let until = Instant::now() + CONNECT;
        loop {
            if let Packet::ConnAck(_) = line.next(until).await? {
                break;
            }
        }
        // A broker may say 0 for "no limit", and the library would then prove its life without pause.
        if line.events.options.keep_alive() < Duration::from_secs(1) {
            line.events.options.set_keep_alive(KEEP_ALIVE);
        }
        Ok(line)
    }

    /// Sends one message and waits for the answer.
    ///
    /// # Errors
    /// [`BrokerError`]; the line is of no more use then.
    pub async fn publish(
        &mut self,
        topic: &str,
        retain: bool,
        key: Option<&str>,
        text: &str,
    ) -> Result<(), BrokerError> {
        let properties = PublishProperties {
            payload_format_indicator: Some(1),
            content_type: Some("application/json".to_owned()),
            user_properties: key
                .map(|key| ("key".to_owned(), key.to_owned()))
                .into_iter()
                .collect(),
            ..PublishProperties::default()
        };
        let text = text.to_owned();
        self.client
            .try_publish_with_properties(topic, QoS::AtLeastOnce, retain, text, properties)
            .map_err(|trouble| BrokerError::Again(trouble.to_string()))?;
        let until = Instant::now() + ANSWER;
        loop {
            // One message is on its way, so the answer is its.
            if let Packet::PubAck(answer) = self.next(until).await? {
                return judged(answer.reason);
            }
        }
    }

    /// Keeps the line alive for so long.
    ///
    /// # Errors
    /// [`BrokerError`] when it broke.
    pub async fn idle(&mut self, pause: Duration) -> Result<(), BrokerError> {
        let until = Instant::now() + pause;
        loop {
            match timeout_at(until, self.events.poll()).await {
                Err(_) => return Ok(()),
                Ok(Ok(_)) => {}
                Ok(Err(trouble)) => return Err(broken(trouble)),
            }
        }
    }

    /// Says farewell, so that the broker does not tell the last will.
    pub async fn close(mut self) {
        if self.client.try_disconnect().is_ok() {
            let _ = timeout(ANSWER, async { while self.events.poll().await.is_ok() {} }).await;
        }
    }

    /// The next packet from the broker.
    async fn next(&mut self, until: Instant) -> Result<Packet, BrokerError> {
        loop {
            match timeout_at(until, self.events.poll()).await {
                Err(_) => return Err(BrokerError::Again("the broker does not answer".into())),
                Ok(Err(trouble)) => return Err(broken(trouble)),
                Ok(Ok(Event::Incoming(packet))) => return Ok(packet),
                Ok(Ok(Event::Outgoing(_))) => {}
            }
        }
    }
}

/// What the answer to a message means.
fn judged(reason: PubAckReason) -> Result<(), BrokerError> {
    match reason {
        // Nobody listens yet: the broker has it all the same.
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(()),
        PubAckReason::TopicNameInvalid | PubAckReason::PayloadFormatInvalid => {
            Err(BrokerError::Message(format!("{reason:?}")))
        }
        PubAckReason::NotAuthorized => Err(BrokerError::Person(format!("{reason:?}"))),
        _ => Err(BrokerError::Again(format!("the broker answers {reason:?}"))),
    }
}

fn broken(trouble: ConnectionError) -> BrokerError {
    let words = trouble.to_string();
    match trouble {
        ConnectionError::ConnectionRefused(code) => match code {
            ConnectReturnCode::ServiceUnavailable
            | ConnectReturnCode::ServerUnavailable
            | ConnectReturnCode::ServerBusy
            | ConnectReturnCode::ConnectionRateExceeded
            | ConnectReturnCode::UnspecifiedError
            | ConnectReturnCode::QuotaExceeded => {
                BrokerError::Again(format!("the broker answers {code:?}"))
            }
            _ => BrokerError::Person(format!("{code:?}")),
        },
        // A message that is too large for this broker is so every time.
        ConnectionError::MqttState(StateError::OutgoingPacketTooLarge { .. }) => {
            BrokerError::Message(words)
        }
        ConnectionError::Tls(rumqttc::TlsError::Io(e))
            if e.kind() != std::io::ErrorKind::InvalidData =>
        {
            BrokerError::Again(format!("the connection to the broker broke: {e}"))
        }
        ConnectionError::Tls(_) => BrokerError::Person(words),
        _ => BrokerError::Again(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_say_what_to_do_next() {
        assert!(judged(PubAckReason::Success).is_ok());
        assert!(judged(PubAckReason::NoMatchingSubscribers).is_ok());
        let said = |reason| judged(reason).unwrap_err();
        assert!(matches!(
            said(PubAckReason::QuotaExceeded),
            BrokerError::Again(_)
        ));
        assert!(matches!(
            said(PubAckReason::NotAuthorized),
            BrokerError::Person(_)
        ));
        assert!(matches!(
            said(PubAckReason::PayloadFormatInvalid),
            BrokerError::Message(_)
        ));
        let refused = |code| broken(ConnectionError::ConnectionRefused(code));
        assert!(matches!(
            refused(ConnectReturnCode::ServerBusy),
            BrokerError::Again(_)
        ));
        assert!(matches!(
            refused(ConnectReturnCode::BadUserNamePassword),
            BrokerError::Person(_)
        ));
    }
}
