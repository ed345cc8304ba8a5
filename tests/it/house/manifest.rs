//! The manifest's style: what is given is there, what is there is used, and nothing forces a
//! download of a toolchain.

use super::source::{blanked, paths, tokens};
use super::{none, read, root, toml, tracked};

/// Packages that the project was given. Each is used and not only named.
const GIVEN: [&str; 9] = [
    "dicom-ul",
    "embedded-graphics",
    "heapless",
    "log",
    "ndarray",
    "rusqlite",
    "tokio",
    "tract-core",
    "tract-onnx",
];

/// Crates that stand in the manifest only to switch a feature of another one on, with the reason.
const ONLY_FEATURES: [(&str, &str); 0] = [];

fn dependencies(section: &str) -> Vec<String> {
    read("Cargo.toml")
        .lines()
        .skip_while(|line| *line != format!("[{section}]"))
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned()))
        .filter(|name| !name.starts_with('#'))
        .collect()
}

#[test]
fn dependencies_are_sorted() {
    for section in ["dependencies", "dev-dependencies"] {
        let names = dependencies(section);
        assert!(!names.is_empty(), "[{section}] is empty");
        assert!(names.is_sorted(), "[{section}] is not sorted: {names:?}");
    }
}

#[test]
fn what_was_given_is_there() {
    let names = dependencies("dependencies");
    let missing: Vec<String> = GIVEN
        .iter()
        .filter(|name| !names.iter().any(|have| have == *name))
        .map(|name| (*name).to_owned())
        .collect();
    none("given packages that are not in the manifest", &missing);
}

#[test]
fn what_is_there_is_used() {
    let code: Vec<Vec<String>> = tracked()
        .iter()
        .filter(|name| name.ends_with(".rs"))
        .flat_map(|name| paths(&tokens(&blanked(&read(name)))))
        .collect();
    let used = |name: &str| {
        let name = name.replace('-', "_");
        code.iter()
            .any(|path| path.len() > 1 && path.iter().find(|word| !word.is_empty()) == Some(&name))
    };
    let idle: Vec<String> = ["dependencies", "dev-dependencies"]
        .iter()
        .flat_map(|section| dependencies(section))
        .filter(|name| !used(name) && !ONLY_FEATURES.iter().any(|(only, _)| only == name))
        .collect();
    none("crates that nothing uses", &idle);
}

#[test]
fn the_manifest_pins_a_version_and_no_toolchain() {
    let manifest = toml("Cargo.toml");
    let package = manifest["package"].as_table().expect("[package]");
    assert!(
        package.contains_key("rust-version"),
        "rust-version is the one statement about the compiler"
    );
    assert_eq!(package["license"].as_str(), Some("MIT OR Apache-2.0"));
    assert_eq!(package["autotests"].as_bool(), Some(false));
    let tests = manifest["test"].as_array().expect("[[test]]");
    assert_eq!(tests.len(), 1, "one integration binary, for link time");
    for name in ["rust-toolchain", "rust-toolchain.toml"] {
        assert!(
            !root().join(name).exists(),
            "{name} would force a download on every machine"
        );
    }
    assert!(root().join("Cargo.lock").exists());
}

#[test]
fn nothing_comes_from_elsewhere() {
    let elsewhere: Vec<String> = read("Cargo.lock")
        .lines()
        .filter_map(|line| line.strip_prefix("source = "))
        .filter(|source| !source.contains("registry+https://github.com/rust-lang/crates.io-index"))
        .map(str::to_owned)
        .collect();
    none("crates that are not from crates.io", &elsewhere);
    toml("deny.toml");
}

#[test]
fn there_is_one_ndarray_and_one_engine() {
    let lock = toml("Cargo.lock");
    let packages = lock["package"].as_array().expect("[[package]]");
    for name in ["ndarray", "rusqlite", "tract-core", "dicom-core"] {
        let versions: Vec<&str> = packages
            .iter()
            .filter(|package| package["name"].as_str() == Some(name))
            .filter_map(|package| package["version"].as_str())
            .collect();
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
}

/// `cross` skips a file that it does not understand with a warning only, so we look ourselves.
#[test]
fn cross_toml_is_what_cross_reads() {
    const TARGET: &str = "aarch64-unknown-linux-gnu";
    let cross = toml("cross.toml");
    assert_eq!(cross["build"]["default-target"].as_str(), Some(TARGET));
    let target = &cross["target"][TARGET];
    assert!(
        target["image"]
            .as_str()
            .is_some_and(|image| image.contains(TARGET))
    );
    assert_eq!(target["runner"].as_str(), Some("qemu-user"));
    for table in ["build", "target"] {
        for key in cross[table].as_table().expect(table).keys() {
            assert!(
                ["default-target", "env", TARGET].contains(&key.as_str()),
                "{table}.{key}"
            );
        }
    }

    // What the container sets is repeated for a build without one.
    let config = toml(".cargo/config.toml");
    assert_eq!(
        config["target"][TARGET]["linker"].as_str(),
        Some("aarch64-linux-gnu-gcc")
    );
    let runner: Vec<&str> = config["target"][TARGET]["runner"]
        .as_array()
        .expect("runner")
        .iter()
        .filter_map(|word| word.as_str())
        .collect();
    assert_eq!(runner.first(), Some(&"qemu-aarch64-static"));
    for variable in target["env"]["passthrough"]
        .as_array()
        .expect("passthrough")
    {
        let variable = variable.as_str().expect("a word");
        assert!(
            runner.contains(&variable),
            "{variable} is not in the runner"
        );
    }

    assert!(
        read("justfile").contains("export CROSS_CONFIG := \"cross.toml\""),
        "without the variable cross ignores cross.toml"
    );
}
