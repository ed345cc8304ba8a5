//! Tests of the rows of storage commitment.

use super::super::received::tests::{instance, store};
use super::*;

const CLASS: &str = "1.2.840.10008.5.1.4.1.1.2";
const DAY: i64 = 86_400_000;

fn asked(transaction: &str, basis: Basis, sops: &[&str]) -> NewCommitment {
    NewCommitment {
        transaction: transaction.into(),
        calling_ae: "CT1".into(),
        peer: "127.0.0.1".into(),
        basis,
        same_association: false,
        instances: sops.iter().map(|s| (CLASS.into(), (*s).into())).collect(),
        at_ms: 1000,
    }
}

fn enter(store: &Store, new: NewCommitment) -> i64 {
    match store.commitment_asked(new).unwrap() {
        Entered::New(id) => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_asked_is_held_and_what_is_not_there_is_not() {
    let (_folder, store) = store();
    store.receive(instance("1", "1.1", "aa")).unwrap();
    store.receive(instance("1", "1.1", "bb")).unwrap();
    let id = enter(&store, asked("9", Basis::Retain, &["1.1", "1.2"]));
    assert_eq!(store.held_until("1").unwrap(), None);
    store.commitment_hold(id, 1000 + 7 * DAY).unwrap();
    assert_eq!(store.held_until("1").unwrap(), Some(1000 + 7 * DAY));
    let held = |id, ran_ms| store.held_bytes(id, ran_ms).unwrap();
    assert_eq!(held(0, 1000), 20, "both revisions");
    assert_eq!(held(0, 1000 + 8 * DAY), 0);
    assert_eq!(held(id, 1000), 20, "no byte counts twice");
    assert_eq!(held(id, 1000 + 8 * DAY), 20, "what it would add");
    let wanted = store.commitment_wanted(id).unwrap();
    assert_eq!(wanted.len(), 2);
    assert_eq!(wanted[0].held.as_ref().unwrap().sha256, "bb", "the newest");
    assert_eq!(wanted[1].held, None);
    // A later request prolongs, an earlier end does not shorten.
    let other = enter(&store, asked("10", Basis::Proxy, &["1.1"]));
    store.commitment_hold(other, 2000).unwrap();
    assert_eq!(store.held_until("1").unwrap(), Some(1000 + 7 * DAY));
}

#[test]
fn an_answer_stands_when_every_instance_has_its_verdict_and_is_given_once() {
    let (_folder, store) = store();
    store.receive(instance("1", "1.1", "aa")).unwrap();
    let id = enter(&store, asked("9", Basis::Retain, &["1.1", "1.2"]));
    let due = |now| store.commitments_due(now, DAY, 10).unwrap();
    assert!(due(5000).is_empty(), "not decided");
    assert_eq!(store.commitments_undecided().unwrap(), [id]);
    store
        .commitment_verdicts(id, vec![("1.1".into(), 0)], 2000)
        .unwrap();
    assert_eq!(store.commitment_decision(id).unwrap(), None);
    store
        .commitment_verdicts(id, vec![("1.1".into(), 7), ("1.2".into(), 0x0112)], 2000)
        .unwrap();
    let decision = store.commitment_decision(id).unwrap().unwrap();
    let verdicts: Vec<u16> = decision.instances.iter().map(|i| i.2).collect();
    assert_eq!(
        (decision.transaction.as_str(), verdicts),
        ("9", vec![0, 0x0112])
    );
    assert_eq!(due(1999).len(), 0);
    assert_eq!(due(2000)[0].stage, Stage::Decided);
    store.commitment_begun(id, 3000, 9000).unwrap();
    store.commitment_failed(id, "nobody there").unwrap();
    assert!(due(8999).is_empty());
    assert_eq!(due(9000)[0].tries, 1);
    assert_eq!(due(9000 - 2 * DAY).len(), 1, "the clock was set back");
    store.commitment_answered(id, 9500).unwrap();
    assert!(due(99_000).is_empty());
    assert_eq!(store.commitment_decision(id).unwrap(), None);
    store.commitment_given_up(id, "late", 9600).unwrap();
    let state: String = store
        .run(|c| c.query_row("SELECT state FROM commitments", [], |row| row.get(0)))
        .unwrap();
    assert_eq!(state, "answered");
}

#[test]
fn a_transaction_is_entered_once() {
    let (_folder, store) = store();
    let id = enter(&store, asked("9", Basis::Retain, &["1.1", "1.2"]));
    let repeated = store.commitment_asked(asked("9", Basis::Retain, &["1.2", "1.1"]));
    assert_eq!(repeated.unwrap(), Entered::Again(id));
    let other = store.commitment_asked(asked("9", Basis::Retain, &["1.3"]));
    assert_eq!(other.unwrap(), Entered::Taken);
    let of_another = NewCommitment {
        calling_ae: "CT2".into(),
        ..asked("9", Basis::Retain, &["1.3"])
    };
    enter(&store, of_another);
    let verdicts = vec![("1.1".into(), 0), ("1.2".into(), 0)];
    store.commitment_verdicts(id, verdicts, 2000).unwrap();
    store.commitment_answered(id, 2500).unwrap();
    let late = store.commitment_asked(asked("9", Basis::Retain, &["1.1", "1.2"]));
    assert_eq!(late.unwrap(), Entered::Taken);
}

#[test]
fn the_archive_is_believed_for_what_was_sent_and_nothing_else() {
    let (_folder, store) = store();
    for sop in ["1.1", "1.2", "1.3", "1.4"] {
        store.receive(instance("1", sop, "aa")).unwrap();
    }
    let id = enter(
        &store,
        asked("9", Basis::Proxy, &["1.1", "1.2", "1.3", "1.4"]),
    );
    assert_eq!(
        store.commitments_due(1000, DAY, 10).unwrap()[0].stage,
        Stage::Asked
    );
    for sop in ["1.1", "1.2", "1.4"] {
        store.commitment_sent(id, sop, "aa").unwrap();
    }
    // 1.2 is re-sent with changes after the archive has got it.
    store.receive(instance("1", "1.2", "bb")).unwrap();
    store.archive_asked(id, "2.25.1", 1500).unwrap();
    assert!(
        !store
            .archive_reported("2.25.2", vec![], vec![], 1600)
            .unwrap()
    );
    let committed = ["1.1", "1.2", "1.3", "5.5"].map(String::from).to_vec();
    assert!(
        store
            .archive_reported("2.25.1", committed, vec![], 1700)
            .unwrap()
    );
    // The response to our request is processed only now.
    store.commitment_forwarded(id, 1800, 99_000).unwrap();
    let decision = store.commitment_decision(id).unwrap().unwrap();
    let verdicts: Vec<u16> = decision.instances.iter().map(|i| i.2).collect();
    assert_eq!(verdicts, [0, 0x0110, 0x0110, 0x0110]);
    // A second report changes nothing.
    let late = vec![("1.1".into(), 0x0112)];
    assert!(
        store
            .archive_reported("2.25.1", vec![], late, 1900)
            .unwrap()
    );
    assert_eq!(store.commitment_decision(id).unwrap().unwrap(), decision);
}

#[test]
fn an_answer_on_the_same_association_is_nobody_elses_until_it_is_passed_on() {
    let (_folder, store) = store();
    let here = NewCommitment {
        same_association: true,
        ..asked("9", Basis::Retain, &["1.1"])
    };
    let id = enter(&store, here);
    store
        .commitment_verdicts(id, vec![("1.1".into(), 0x0112)], 2000)
        .unwrap();
    assert!(store.commitments_due(5000, DAY, 10).unwrap().is_empty());
    store.commitment_passed_on(Some(id + 1)).unwrap();
    assert!(store.commitments_due(5000, DAY, 10).unwrap().is_empty());
    store.commitment_passed_on(None).unwrap();
    assert_eq!(store.commitments_due(5000, DAY, 10).unwrap().len(), 1);
}

#[test]
fn neither_open_nor_closed_requests_grow_without_a_limit() {
    let (_folder, store) = store();
    // In one transaction: as many requests as that would cost as many flushes of the disk.
    let all = |sql: &'static str| {
        store
            .run(move |c| {
                let t = c.transaction()?;
                for id in 1..=MOST_OPEN {
                    t.execute(sql, [id])?;
                }
                t.commit()
            })
            .unwrap();
    };
    all(
        "INSERT INTO commitments (id, transaction_uid, calling_ae, peer, policy, state, route, \
         asked, changed, next_try) VALUES (?1, '9.' || ?1, 'CT1', '', 'proxy', 'asked', 'new', \
         1, 1, 1)",
    );
    all("INSERT INTO commitment_instances (commitment, sop_uid, sop_class) VALUES (?1, '1.1', '')");
    all(
        "INSERT INTO archive_requests (transaction_uid, commitment, at) VALUES ('2.' || ?1, ?1, 1)",
    );
    let more = || store.commitment_asked(asked("8", Basis::Proxy, &["1.1"]));
    assert_eq!(more().unwrap(), Entered::Full);
    all("UPDATE commitments SET state='answered' WHERE id=?1");
    assert!(matches!(more().unwrap(), Entered::New(_)));
    let left = |table: &'static str| {
        let count = format!("SELECT count(*) FROM {table}");
        store
            .run(move |c| c.query_row(&count, [], |row| row.get::<_, i64>(0)))
            .unwrap()
    };
    store
        .run(|c| {
            let t = c.transaction()?;
            clear(&t, 3)?;
            t.commit()
        })
        .unwrap();
    assert_eq!(left("commitments"), 4);
    assert_eq!(left("commitment_instances"), 4);
    assert_eq!(left("archive_requests"), 3);
}
