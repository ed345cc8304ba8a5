//! The box with `[tls]`: the plain port off by setting, and certificates that end.

use crate::box_process::{BoxProcess, Home, model, turn};
use crate::reception::Certificates;
use scanside::delivery::scu::{self, Destination, Options};
use scanside::reception::tls::Identity;
use std::path::Path;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(86_400);

fn settings(certificates: &Certificates, more: &str) -> String {
    let files = certificates.of("box");
    format!(
        "[tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\nport = 0\n{more}\n",
        files.certificate, files.key, files.client_ca
    )
}

/// C-ECHO, plain or with the certificate of a console.
fn echo(port: u16, with: Option<&Certificates>) -> Result<Duration, String> {
    let to: Destination = format!("SCANSIDE@127.0.0.1:{port}").parse().unwrap();
    let mut options = Options::new("CT1");
    options.tls = with.map(|certificates| {
        let identity = Identity::load(&certificates.of("console")).unwrap();
        identity.connector().unwrap()
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answer = runtime.block_on(scu::echo(&to, &options));
    answer.map_err(|fault| fault.to_string())
}

/// The TCP ports on which a process listens.
fn listening(process: &BoxProcess) -> Vec<u16> {
    let folder = format!("/proc/{}", process.pid());
    let sockets: Vec<String> = std::fs::read_dir(format!("{folder}/fd"))
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter_map(|to| {
            let to = to.to_str()?.strip_prefix("socket:[")?;
            Some(to.trim_end_matches(']').to_owned())
        })
        .collect();
    let table = |name| std::fs::read_to_string(format!("{folder}/net/{name}")).unwrap_or_default();
    let all = table("tcp") + &table("tcp6");
    let mut ports: Vec<u16> = all
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        // Address, peer, state (0A is LISTEN), and the number of the socket.
        .filter(|words| {
            words.len() > 9 && words[3] == "0A" && sockets.iter().any(|s| s == words[9])
        })
        .map(|words| u16::from_str_radix(words[1].rsplit(':').next().unwrap(), 16).unwrap())
        .collect();
    ports.sort_unstable();
    ports
}

#[test]
fn the_plain_port_can_be_switched_off() {
    let certificates = Certificates::new(&["box", "console"]);
    let home = Home::new(Path::new("/nowhere"), &settings(&certificates, ""));
    let running = home.start();
    let mut both = vec![running.to.port, running.secure];
    both.sort_unstable();
    assert_eq!(listening(&running), both);
    echo(running.to.port, None).unwrap();
    echo(running.secure, Some(&certificates)).unwrap();
    assert!(running.stop().success());

    let home = Home::new(
        Path::new("/nowhere"),
        &settings(&certificates, "only = true"),
    );
    let running = home.start();
    assert_eq!(listening(&running), [running.secure]);
    assert_eq!(
        running.to.port, running.secure,
        "what it says it listens on"
    );
    echo(running.secure, Some(&certificates)).unwrap();
    echo(running.secure, None).unwrap_err();
    let status = home.wait_for_wall("attention");
    let address = format!("{} SCANSIDE", running.secure);
    assert_eq!(status["strip"]["address"], address, "{status:#}");
    assert!(running.stop().success());
}

/// Told on the wall, in the log and by `check`; the plain port does not care.
#[test]
fn a_certificate_that_ends_is_told_and_stops_nothing() {
    let _turn = turn();
    let now = SystemTime::now();
    for (end, said, words) in [
        (
            now + 20 * DAY + DAY / 2,
            true,
            "The TLS certificate ends in 20 days",
        ),
        (
            now - 3 * DAY,
            true,
            "The TLS certificate has ended: calls over TLS may fail",
        ),
        (now + 90 * DAY, false, "The TLS certificate ends"),
    ] {
        let certificates = Certificates::until(&["box", "console"], "box", end);
        let home = Home::new(&model(), &settings(&certificates, ""));
        let running = home.start();
        let kind = if said { "attention" } else { "ready" };
        let status = home.wait_for_wall(kind);
        if said {
            assert_eq!(status["state"]["cause"], words, "{status:#}");
        }
        assert_eq!(home.log().contains(words), said, "{}", home.log());
        echo(running.to.port, None).unwrap();
        let secure = echo(running.secure, Some(&certificates));
        assert_eq!(secure.is_ok(), end > now, "{secure:?}");
        assert!(running.stop().success());

        let check = home.run("check", &[]);
        let text = String::from_utf8_lossy(&check.stdout).into_owned();
        let line = text.lines().find(|line| line.contains(" certificate "));
        let line = line.unwrap_or_else(|| panic!("nothing of the certificate: {text}"));
        assert_eq!(line.contains(words), said, "{line}");
    }
}
