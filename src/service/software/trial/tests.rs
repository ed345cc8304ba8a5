//! The database of a box that is brought into a newer layout, and what is left of that when the software was no good.

use super::*;
use crate::store::{TestDatabase, test_older};

struct Bench {
    _folder: tempfile::TempDir,
    config: Config,
}

impl Bench {
    /// A database of the layout before, with a row that counts.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::parse("").unwrap();
        config.state = folder.path().join("state");
        config.runtime = folder.path().join("run");
        fs::create_dir(&config.state).unwrap();
        let older = test_older(&config.database(), Store::layout() as usize - 1);
        mark(&older, "before");
        let _folder = folder;
        Self { _folder, config }
    }

    fn start(&self, running: &str) -> Result<Store, StoreError> {
        fs::write(self.config.slot_file(), running).unwrap();
        open_store(&self.config)
    }

    fn copy(&self) -> PathBuf {
        kept(&self.config, i64::from(Store::layout()) - 1)
    }

    /// This program stands for the old one: what a newer one made of the database is beyond it.
    fn as_if_newer(&self) {
        let database = TestDatabase::open(self.config.database()).unwrap();
        mark(&database, "on trial");
        let newer = i64::from(Store::layout()) + 1;
        (database.execute_batch(&format!("PRAGMA user_version={newer}"))).unwrap();
        fs::rename(self.copy(), kept(&self.config, newer - 1)).unwrap();
    }

    fn marks(&self) -> Vec<String> {
        let database = TestDatabase::open(self.config.database()).unwrap();
        let mut query = database.prepare("SELECT words FROM marks").unwrap();
        let rows = query.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

fn mark(database: &TestDatabase, words: &str) {
    let table = "CREATE TABLE IF NOT EXISTS marks (words TEXT)";
    database.execute(table, []).unwrap();
    (database.execute("INSERT INTO marks VALUES (?1)", [words])).unwrap();
}

#[test]
fn new_software_keeps_a_copy_until_it_stays() {
    let bench = Bench::new();
    drop(bench.start("b trial").unwrap());
    let layout = |path: &Path| Records::open(path).unwrap().known_layout().unwrap();
    let known = i64::from(Store::layout());
    assert_eq!(layout(&bench.config.database()), known);
    assert_eq!(layout(&bench.copy()), known - 1);
    // A second try does not copy what the first one has changed.
    let copied = fs::read(bench.copy()).unwrap();
    drop(bench.start("b trial").unwrap());
    assert_eq!(fs::read(bench.copy()).unwrap(), copied);
    drop(bench.start("b good").unwrap());
    assert!(!bench.copy().exists());
    assert_eq!(bench.marks(), ["before"]);
}

#[test]
fn the_old_software_takes_the_copy_back() {
    let bench = Bench::new();
    drop(bench.start("b trial").unwrap());
    bench.as_if_newer();
    drop(bench.start("a good").unwrap());
    assert_eq!(bench.marks(), ["before"]);
    // What came in between is kept until the next start.
    let aside = bench.config.database().with_extension("newer");
    assert!(aside.exists());
    drop(bench.start("a good").unwrap());
    assert!(!aside.exists());
    assert_eq!(bench.marks(), ["before"]);
}

#[test]
fn a_cut_while_the_copy_is_taken_back_loses_nothing() {
    let bench = Bench::new();
    drop(bench.start("b trial").unwrap());
    bench.as_if_newer();
    let path = bench.config.database();
    fs::rename(&path, path.with_extension("newer")).unwrap();
    fs::write(with_end(&path, "-wal"), b"of the other one").unwrap();
    drop(bench.start("a good").unwrap());
    assert_eq!(bench.marks(), ["before"]);
}

/// One that ran for long without a start, and was replaced then.
#[test]
fn the_copy_of_an_earlier_update_is_not_taken_back() {
    let bench = Bench::new();
    drop(bench.start("b trial").unwrap());
    let database = TestDatabase::open(bench.config.database()).unwrap();
    let newer = i64::from(Store::layout()) + 1;
    (database.execute_batch(&format!("PRAGMA user_version={newer}"))).unwrap();
    drop(database);
    let refused = bench.start("b good").err().unwrap();
    assert!(matches!(refused, StoreError::Newer { .. }));
    assert!(bench.copy().exists());
}
