//! Callers that nobody knows: what they are told, and what is told of them.

use super::talk::{Door, Request};
use super::{Event, Station, TransferSyntax, Why, slice};
use scanside::delivery::object::Item;
use scanside::delivery::scu::{self, Options};
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_heard_while_learning_and_refused_all_the_same() {
    let mut station = Station::with(|settings| {
        settings.access = scanside::reception::Access::Peers(vec![scanside::reception::Peer {
            calling: "CT1".to_owned(),
            network: "10.99.0.1".parse().unwrap(),
            echo_only: false,
        }]);
    });
    let learning = station.learning.clone();
    let refused = |event: &Event| matches!(event, Event::Refused { .. });
    let to = station.destination();
    let told = scu::echo(&to, &Options::new("ct2")).await.unwrap_err();
    assert!(
        !told.to_string().contains("title"),
        "a stranger was told: {told}"
    );
    let Event::Refused { calling, why, .. } = station.event(refused).await else {
        unreachable!()
    };
    assert_eq!((calling.as_str(), why), ("", Why::UnknownAddress));
    learning.store(true, Ordering::Relaxed);
    let item = Item::Bytes(slice(14, 1, 32, TransferSyntax::ExplicitLittle));
    let answers = scu::send(&[item], &to, &Options::new("ct2"), |_| {}).await;
    let delivered = |a: &scu::Answer| a.outcome.is_delivered();
    assert!(!answers.is_ok_and(|answers| answers.iter().any(delivered)));
    let Event::Refused { calling, why, .. } = station.event(refused).await else {
        unreachable!()
    };
    assert_eq!((calling.as_str(), why), ("ct2", Why::UnknownAddress));
    assert!(station.kept().is_empty());
}

/// Odd bytes of a title are shown, not swallowed.
#[tokio::test(flavor = "multi_thread")]
async fn titles_are_kept_as_they_came() {
    let mut station = Station::start();
    let door = Door {
        to: station.destination(),
        tls: None,
    };
    let request = Request {
        calling: b"c\xE9\x1B\\",
        called: Some("nobody"),
        ..Request::default()
    };
    let _talk = door.ask(&request).await;
    let refused = station.event(|event| matches!(event, Event::Refused { .. }));
    let Event::Refused {
        calling,
        called,
        why,
        ..
    } = refused.await
    else {
        unreachable!()
    };
    assert_eq!(calling, "c\\xe9\\x1b\\\\");
    assert_eq!((called.as_str(), why), ("nobody", Why::BadCalledTitle));
}
