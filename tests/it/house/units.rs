//! What the services may do, asked of systemd itself.

use super::{none, read, root, tracked};
use scanside::board::{Board, PowerMode};
use std::path::Path;
use std::process::{Command, Output};

/// Unit, the most exposure it may have (0 is best, 10 worst).
const LIMITS: [(&str, f32); 9] = [
    ("systemd/scanside-serve.service", 0.5),
    ("systemd/scanside-screen.service", 0.5),
    ("systemd/scanside-export@.service", 1.8),
    ("systemd/scanside-deliver.service", 1.2),
    ("systemd/scanside-install.service", 1.2),
    ("systemd/scanside-watch.service", 1.8),
    ("systemd/scanside-restart.service", 0.5),
    ("board/orin-nano/systemd/scanside-power.service", 2.0),
    (
        "board/image/files/usr/lib/systemd/system/scanside-journal.service",
        2.0,
    ),
];

fn systemd_analyze(arguments: &[&str], folder: &Path) -> Option<Output> {
    Command::new("systemd-analyze")
        .args(arguments)
        .env("SYSTEMD_COLORS", "0")
        .env("LC_ALL", "C.UTF-8")
        .current_dir(folder)
        .output()
        .ok()
}

#[test]
fn every_service_has_a_limit() {
    let missing: Vec<String> = tracked()
        .into_iter()
        .filter(|name| name.ends_with(".service") && !name.starts_with("tests/"))
        .filter(|name| !LIMITS.iter().any(|(unit, _)| unit == name))
        .collect();
    none("services without a limit", &missing);
}

#[test]
fn services_stay_closed() {
    for (unit, limit) in LIMITS {
        let arguments = ["security", "--offline=yes", "--no-pager", unit];
        let Some(output) = systemd_analyze(&arguments, root()) else {
            return crate::peers::missing("systemd-analyze is not installed");
        };
        let text = String::from_utf8_lossy(&output.stdout);
        // "→ Overall exposure level for scanside-serve.service: 0.2 SAFE 😀"
        let exposure = text
            .lines()
            .find_map(|line| {
                line.split_once("Overall exposure level for ")?
                    .1
                    .split_once(": ")
            })
            .and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<f32>().ok());
        let Some(exposure) = exposure else {
            let words = String::from_utf8_lossy(&output.stderr);
            // systemd before 250 has no --offline.
            return crate::peers::missing(words.trim());
        };
        println!("{unit}: exposure {exposure} of at most {limit}");
        assert!(
            exposure <= limit,
            "{unit}: {exposure} is over {limit}\n{text}"
        );
    }
}

/// systemd reads the units without a complaint. The programs that they call are not installed
/// here, so copies are verified in which /usr/bin/true stands for them.
#[test]
fn systemd_understands_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for name in tracked() {
        let below = match name.split_once("systemd/") {
            // system.conf and journald.conf are no units.
            Some((_, below)) if !name.starts_with("tests/") && !name.contains("/etc/") => below,
            _ => continue,
        };
        if ![".service", ".socket", ".path", ".conf"]
            .iter()
            .any(|end| below.ends_with(end))
        {
            continue;
        }
        let path = folder.path().join(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text: Vec<String> = read(&name)
            .lines()
            .map(|line| match line.strip_prefix("ExecStart=") {
                Some(_) => "ExecStart=/usr/bin/true".to_owned(),
                None => line.to_owned(),
            })
            .collect();
        std::fs::write(path, text.join("\n") + "\n").unwrap();
        if !below.ends_with(".conf") {
            units.push(below.to_owned());
        }
    }
    assert_eq!(units.len(), 12, "{units:?}");
    let mut arguments = vec!["verify", "--man=no"];
    arguments.extend(units.iter().map(String::as_str));
    let Some(output) = systemd_analyze(&arguments, folder.path()) else {
        return crate::peers::missing("systemd-analyze is not installed");
    };
    let complaints: Vec<String> = String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|line| line.contains("scanside"))
        .map(str::to_owned)
        .collect();
    none("systemd complains", &complaints);
}

#[test]
fn units_call_the_commands_that_there_are() {
    let mut called = Vec::new();
    for name in tracked() {
        if name.starts_with("systemd/") {
            // export-stick calls it by a variable.
            let text = read(&name).replace("\"$scanside\"", "/usr/bin/scanside");
            for line in text.lines() {
                if let Some((_, rest)) = line.split_once("/usr/bin/scanside ")
                    && !line.starts_with('#')
                {
                    // The commands of updates have two words.
                    let rest = rest.replacen("update ", "update-", 1);
                    let words: Vec<&str> = rest.split_whitespace().take(3).collect();
                    assert_eq!(
                        words[1..],
                        ["--config", "/etc/scanside/scanside.toml"],
                        "{name}"
                    );
                    called.push(words[0].to_owned());
                }
            }
        }
    }
    called.sort();
    let wanted = [
        "deliver",
        "export",
        "screen",
        "serve",
        "update-install",
        "update-watch",
    ];
    assert_eq!(called, wanted);
}

/// What each service must say, beyond its score. Every line here was paid for on a machine that
/// booted (`systemd/README.md`).
#[test]
fn services_survive_and_keep_quiet() {
    for unit in ["serve", "screen", "deliver"] {
        let text = read(&format!("systemd/scanside-{unit}.service"));
        for line in ["Type=notify", "StartLimitIntervalSec=0", "WatchdogSec="] {
            assert!(text.contains(line), "{unit} lacks {line}");
        }
    }
    for (unit, _) in LIMITS {
        assert!(
            read(unit).contains("\nLimitCORE=0\n"),
            "{unit}: a core holds patients' data"
        );
        if unit.starts_with("systemd/") {
            for line in ["MemoryMax=", "TasksMax=", "MemorySwapMax=0"] {
                assert!(read(unit).contains(line), "{unit} lacks {line}");
            }
        }
    }
    let serve = read("systemd/scanside-serve.service");
    for line in ["PrivateNetwork=yes", "Restart=always", "IPAddressDeny=any"] {
        assert!(serve.contains(line), "serve lacks {line}");
    }
    let socket = read("systemd/scanside-serve.socket");
    assert!(socket.contains("IPAddressDeny=any"));
    assert!(socket.contains("TriggerLimitIntervalSec=0"));
    assert!(
        read("systemd/scanside-export@.service").contains("RuntimeDirectory=scanside-stick/%i")
    );
}

#[test]
fn the_power_mode_is_said_once() {
    let Ok(board) = Board::load(&root().join("board/orin-nano/board.toml")) else {
        panic!("board/orin-nano/board.toml is not taken");
    };
    let PowerMode::Nvpmodel(mode) = board.power else {
        panic!("the board has no power mode");
    };
    let unit = read("board/orin-nano/systemd/scanside-power.service");
    let line = format!("\nExecStart=/usr/sbin/nvpmodel -m {mode}\n");
    assert!(unit.contains(&line), "the unit and board.toml differ");
}

/// Runs `export-stick` with stand-ins for mount, umount, blkid and scanside.
fn stick_says(blkid: &str, mount: &str, export: &str, umount: &str) -> serde_json::Value {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("programs");
    let run = folder.path().join("run");
    std::fs::create_dir_all(&programs).unwrap();
    std::fs::create_dir_all(&run).unwrap();
    for (name, body) in [
        ("blkid", blkid),
        ("mount", mount),
        ("umount", umount),
        ("scanside", export),
    ] {
        let path = programs.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let output = Command::new(root().join("systemd/export-stick"))
        .arg("/dev/none")
        .env("PATH", path)
        .env("SCANSIDE", programs.join("scanside"))
        .env("RUNTIME_DIRECTORY", &run)
        .output()
        .expect("a shell");
    assert!(
        output.status.success(),
        "the unit must stay active: {output:?}"
    );
    let status = run.join("status.json");
    let mode = status.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "screen must be able to read it");
    serde_json::from_str(&std::fs::read_to_string(status).unwrap()).unwrap()
}

#[test]
fn a_stick_is_safe_only_after_unmount() {
    let words = "SAFE TO REMOVE. 2 reports copied and checked.";
    let fine = stick_says("echo vfat", "exit 0", &format!("echo '{words}'"), "exit 0");
    assert_eq!(fine["state"], "safe_to_remove");
    assert_eq!(fine["words"], words);

    let stuck = stick_says("echo vfat", "exit 0", "echo done", "exit 1");
    assert_eq!(stuck["state"], "failed");

    let full = "echo 'scanside: \"STICK FULL\": 12 MB needed' >&2; exit 1";
    let full = stick_says("echo exfat", "exit 0", full, "exit 0");
    assert_eq!(full["state"], "failed");
    assert_eq!(full["words"], "STICK FULL: 12 MB needed");

    let slow = stick_says("echo vfat", "exit 0", "exit 124", "exit 0");
    assert_eq!(slow["state"], "failed");
    assert!(slow["words"].as_str().unwrap().ends_with("again."));

    let silent = stick_says("echo vfat", "exit 0", "exit 1", "exit 0");
    assert_eq!(silent["words"], "Copy failed. Nothing was exported.");
}

#[test]
fn a_stick_that_is_no_stick_is_told() {
    for (blkid, mount) in [
        ("echo ntfs", "exit 0"),
        ("exit 2", "exit 0"),
        ("echo vfat", "exit 32"),
    ] {
        let said = stick_says(blkid, mount, "echo never; exit 0", "exit 0");
        assert_eq!(said["state"], "unusable", "{blkid}, {mount}");
    }
}
