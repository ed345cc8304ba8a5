//! The front door of the real program: what hostile peers cost it, what many associations leave
//! behind, and what it tells of callers afterwards.

use crate::box_process::{BoxProcess, Home, model, turn};
use crate::peers;
use crate::reception::Certificates;
use crate::reception::hostile::{self, play};
use crate::reception::talk::{Door, Request};
use scanside::delivery::object::Item;
use scanside::delivery::scu::{self, Destination, Options};
use scanside::reception::TransferSyntax;
use scanside::reception::tls::Identity;
use std::path::Path;
use std::time::{Duration, Instant};

/// What one hostile peer may cost (issue of the front door), in KiB.
const MOST: u64 = 64 * 1024;

fn tls_settings(certificates: &Certificates) -> String {
    let files = certificates.of("box");
    format!(
        "[tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\nport = 0\n",
        files.certificate, files.key, files.client_ca
    )
}

fn doors(running: &BoxProcess, certificates: &Certificates) -> [Door; 2] {
    let identity = Identity::load(&certificates.of("console")).unwrap();
    [
        Door {
            to: running.to.clone(),
            tls: None,
        },
        Door {
            to: Destination {
                port: running.secure,
                ..running.to.clone()
            },
            tls: Some(identity.connector().unwrap()),
        },
    ]
}

/// A number of `/proc/PID/status`, in KiB.
fn memory(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What a box keeps in KiB: the least of a second, since the last associations are still being put away.
fn kept(pid: u32) -> u64 {
    let looks = (0..10).map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        memory(pid, "VmRSS:")
    });
    looks.min().unwrap()
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count()
}

fn has_proc() -> bool {
    let there = Path::new("/proc/self/status").exists();
    if !there {
        peers::say("SKIPPED: this system has no /proc");
    }
    there
}

#[test]
fn no_hostile_peer_costs_memory() {
    if !has_proc() {
        return;
    }
    let _turn = turn();
    let certificates = Certificates::new(&["box", "console"]);
    let home = Home::new(&model(), &tls_settings(&certificates));
    let running = home.start();
    let pid = running.pid();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for door in doors(&running, &certificates) {
        let before = std::cell::Cell::new(0);
        runtime.block_on(play(
            &door,
            |_| {
                // From here on the peak counts anew.
                std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
                before.set(memory(pid, "VmRSS:"));
            },
            |row| {
                let grown = memory(pid, "VmHWM:").saturating_sub(before.get());
                let port = if door.tls.is_some() { "TLS" } else { "plain" };
                println!("{port}: {row}: {grown} KiB");
                assert!(grown < MOST, "{port}: {row} costs {grown} KiB");
            },
        ));
    }
    assert_eq!(home.count("SELECT count(*) FROM instances"), 0);
    assert!(running.stop().success(), "{}", home.log());
    home.check_whole("spool");
    let rows = home.count("SELECT count(*) FROM associations WHERE outcome='Accepted' AND secure");
    assert!(rows > 20, "{rows} secure associations in the history");
}

/// How many associations bring the images; how many more there are until each thread that serves them has
/// had its largest, and the soak itself (issue of the front door).
const FIRST: u32 = 2_000;
const WARM: u32 = 6_000;
const ROUNDS: u32 = WARM + 2_000;

/// What one caller of the soak does in turn `n`; says which image was taken.
async fn call(doors: &[Door; 2], images: &[Item], n: u32) -> Option<usize> {
    let [plain, secure] = doors;
    match n % 10 {
        0..=2 => plain.is_alive("others").await,
        3 => secure.is_alive("others").await,
        4 | 5 if n < FIRST => {
            let at = usize::try_from(n / 10 * 2 + n % 10 - 4).unwrap();
            let item = [images[at].clone()];
            let answers = scu::send(&item, &plain.to, &plain.options(), |_| {}).await;
            let answers = answers.unwrap();
            assert!(answers[0].outcome.is_delivered(), "{answers:?}");
            return Some(at);
        }
        4 | 5 => plain.is_alive("others").await,
        6 => {
            let request = Request {
                called: Some("somebody"),
                ..Request::default()
            };
            assert_eq!(plain.ask(&request).await.rejected().await, [1, 1, 7]);
        }
        7 => drop(plain.open().await),
        8 => hostile::cut_short(plain).await,
        _ => hostile::rubbish(plain).await,
    }
    None
}

#[test]
fn many_associations_leave_nothing_behind() {
    if !has_proc() {
        return;
    }
    let _turn = turn();
    let certificates = Certificates::new(&["box", "console"]);
    let home = Home::new(&model(), &tls_settings(&certificates));
    let running = home.start_to_be_measured();
    let pid = running.pid();
    let doors = doors(&running, &certificates);
    // One study, so that nothing is analysed while images come.
    let images: Vec<Item> = (1..=FIRST / 5)
        .map(|n| Item::Bytes(hostile::image(70, n, TransferSyntax::ExplicitLittle)))
        .collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let begun = Instant::now();
    let run = |from: u32, to: u32| {
        let calls = async {
            let next = std::sync::atomic::AtomicU32::new(from);
            let caller = || async {
                let mut taken = Vec::new();
                loop {
                    let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if n >= to {
                        return taken;
                    }
                    taken.extend(call(&doors, &images, n).await);
                }
            };
            // One below what a peer may have open, since an end is seen a little later there.
            let (a, b, c) = tokio::join!(caller(), caller(), caller());
            [a, b, c].concat()
        };
        runtime.block_on(calls)
    };
    let idle = descriptors(pid);
    let mut taken = run(0, FIRST);
    // Its report takes memory of its own, once.
    home.wait("the study has ended", || {
        (home.count("SELECT count(*) FROM results") > 0).then_some(())
    });
    taken.extend(run(FIRST, WARM));
    let before = kept(pid);
    taken.extend(run(WARM, ROUNDS));
    let after = kept(pid);
    peers::say(&format!(
        "{ROUNDS} associations in {:.1} s, {} images; resident {before} KiB after {WARM}, {after} KiB at \
         the end",
        begun.elapsed().as_secs_f64(),
        taken.len()
    ));
    assert_eq!(taken.len(), images.len());
    assert!(
        after * 100 <= before * 105,
        "{before} KiB grew to {after} KiB"
    );
    home.wait("descriptors are given back", || {
        (descriptors(pid) <= idle + 1).then_some(())
    });
    home.check_kept(&images);
    assert!(running.stop().success(), "{}", home.log());
    let rows = home.count("SELECT sum(times) FROM associations");
    assert!(rows >= i64::from(ROUNDS / 2), "{rows} in the history");
}

fn said(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_console_that_nobody_knows_is_learned_and_told() {
    let _turn = turn();
    let home = Home::new(
        &model(),
        "[[caller]]\nae_title = \"CT1\"\naddress = \"10.99.0.1\"\n",
    );
    let running = home.start_listed();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let echo = |calling: &str| {
        let options = Options::new(calling);
        runtime.block_on(scu::echo(&running.to, &options)).is_ok()
    };
    assert!(!echo("ct-New"));
    assert!(said(&home.run("learn", &[])).contains("10 minutes"));
    home.wait("learning begins", || {
        home.log().contains("are heard and noted").then_some(())
    });
    assert!(!echo("ct-New"), "a stranger is refused while learning");
    let proposals = home.wait("the proposal", || {
        let text = said(&home.run("learn", &[Path::new("--show")]));
        text.contains("[[caller]]").then_some(text)
    });
    let proposed: toml::Table = proposals.parse().unwrap();
    let caller = &proposed["caller"][0];
    assert_eq!(caller["ae_title"].as_str(), Some("ct-New"));
    assert_eq!(caller["address"].as_str(), Some("127.0.0.1"));
    let status = home.wait("the wall says it", || {
        let status = home.status();
        status["refused"].is_string().then_some(status)
    });
    let words = status["refused"].as_str().unwrap();
    assert!(
        words.contains("ct-New at 127.0.0.1 is not on the list"),
        "{words}"
    );
    assert!(said(&home.run("learn", &[Path::new("--stop")])).contains("no longer"));
    home.wait("learning ends", || {
        home.log().contains("are no longer heard").then_some(())
    });
    let list = said(&home.run("associations", &[]));
    assert!(list.contains("Unknown Address"), "{list}");
    assert!(list.contains("\"ct-New\" -> \"SCANSIDE\""), "{list}");
    assert!(running.stop().success());
    assert_eq!(home.count("SELECT count(*) FROM instances"), 0);
}

#[test]
fn certificates_are_checked_before_the_port_opens() {
    let certificates = Certificates::new(&["box", "console"]);
    let mut settings = tls_settings(&certificates);
    settings = settings.replace("box.key", "console.key");
    let home = Home::new(&model(), &settings);
    let output = home.start_to_fail("127.0.0.1:0");
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        words.contains("does not belong to the certificate"),
        "{words}"
    );
    let silent = Duration::from_secs(10);
    assert_eq!(scanside::reception::Timers::default().handshake, silent);
}
