//! Programs that run beside the box in a test: peers, and the box's own `deliver`.

use crate::box_process::{Home, program};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// A program that ends with this value.
pub struct Beside(pub Child);

impl Beside {
    /// As if its power went.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port for a peer that must be told one.
pub fn free_port() -> u16 {
    // Below those that the system gives out by itself, so that nobody is given it in the meantime.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 12_000 + (std::process::id() % 150) as u16 * 100;
    loop {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Returns when somebody listens there.
pub fn wait_for_port(port: u16) {
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody listens");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `scanside deliver` with the settings of a home; it writes to the home's log.
pub fn deliver(home: &Home) -> Beside {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(home.settings().with_file_name("log.txt"))
        .unwrap();
    let child = program()
        .arg("deliver")
        .arg("--config")
        .arg(home.settings())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    Beside(child.unwrap())
}
