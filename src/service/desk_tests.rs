//! What the loop does with the rarer events.

use super::*;
use crate::base::disk::RealDisk;
use crate::spool::Quota;

#[test]
fn after_lost_events_the_database_says_which_studies_are_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::parse("").unwrap();
    config.state = folder.path().to_owned();
    let store = Store::open(&config.database()).unwrap();
    let root = folder.path().join("spool");
    let spool = Spool::open(Arc::new(RealDisk), &root, Quota::lenient()).unwrap();
    let (jobs, _worker) = std::sync::mpsc::sync_channel(1);
    let (to_loop, _events) = mpsc::channel(1);
    let (sign, scene) = (String::new(), Scene::default());
    let spool = Arc::new(spool);
    let mut desk = Desk::new(config, store.clone(), spool, sign, jobs, scene, to_loop);
    for study in ["1", "2"] {
        store.receive(crate::store::test_instance(study)).unwrap();
    }
    store.set_state("2", StudyState::Queued, "", 5).unwrap();
    assert!(!desk.arrivals.has("1"));
    desk.door(Door::Lost(2));
    assert!(desk.arrivals.has("1"));
    assert!(!desk.arrivals.has("2"), "the worker has it");
}
