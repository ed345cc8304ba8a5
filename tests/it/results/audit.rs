//! The audit trail beside a queue that works.

use super::{Archive, deliver, home, pauses, queue, to, wait_for};
use crate::box_process::{Home, output, program};

fn audit(home: &Home, more: &[&str]) -> (Option<i32>, String) {
    let mut command = program();
    command
        .args(["audit", more[0], "--config"])
        .arg(home.settings());
    let said = output(command.args(&more[1..]));
    let words = [said.stdout, said.stderr].concat();
    (
        said.status.code(),
        String::from_utf8_lossy(&words).into_owned(),
    )
}

/// What went out is in the audit trail, and one byte that is changed in the file is found.
#[test]
fn the_audit_trail_tells_of_transfers_and_of_a_changed_byte() {
    let Some(archive) = Archive::new() else {
        return;
    };
    let home = home(&to(archive.dicom, &pauses(30)));
    queue(&home, 1, "pacs");
    let _running = archive.start();
    let mut courier = deliver(&home);
    wait_for(&home, "delivered", 4);
    courier.kill();
    let (code, words) = audit(&home, &["verify"]);
    assert_eq!(code, Some(0), "{words}");
    let head = words.lines().find_map(|line| line.strip_prefix("head "));
    let head = head.expect("the head").to_owned();
    assert_eq!(audit(&home, &["verify", "--head", &head]).0, Some(0));
    let (_, shown) = audit(&home, &["show"]);
    for (event, count) in [("receive", 1), ("result", 1), ("transfer", 4)] {
        let lines = shown.lines().filter(|line| line.contains(event));
        assert_eq!(lines.count(), count, "{event} in\n{shown}");
    }

    let file = home.state().join("scanside.db");
    let database = rusqlite::Connection::open(&file).unwrap();
    database
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(database);
    let mut bytes = std::fs::read(&file).unwrap();
    let needle = b"report 1, sc ";
    let at = bytes
        .windows(needle.len())
        .position(|window| window == needle)
        .expect("the row of a transfer");
    bytes[at + needle.len() - 2] = b'r';
    std::fs::write(&file, bytes).unwrap();
    let (code, words) = audit(&home, &["verify"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("broken at row"), "{words}");
}
