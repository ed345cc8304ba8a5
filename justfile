# The chores. The README names the first two; each is one line that works without `just` too.

set shell := ["bash", "-euo", "pipefail", "-c"]

# cross looks for Cross.toml unless this is set.
export CROSS_CONFIG := "cross.toml"

# what there is
default:
    @just --list

# the main job on this machine: phantoms in over DICOM, screen, report, database and stick out
demo:
    cargo run --release -- demo

# every test
test:
    cargo test --release

# what CI does, in one go
ci:
    .ci/run

# format and lint
lint:
    cargo fmt --check
    cargo clippy --release --all-targets -- -D warnings

# draw the golden pictures and texts anew; look at the difference before committing it
golden:
    UPDATE_GOLDEN=1 cargo test --release

# the box's program with Debian's cross packages, and the same answer under emulation
aarch64:
    .ci/aarch64

# the box's program for JetPack 5: the same objects, linked by zig for glibc 2.31
jetpack5:
    .ci/aarch64 build --glibc 2.31

# the arm64 image for a board, from Debian packages; see board/image/README.md
image board="qemu-virt" out="target/image":
    .ci/aarch64 build
    board/image/make {{board}} ${CARGO_TARGET_DIR:-target}/aarch64/aarch64-unknown-linux-gnu/release/scanside {{out}}/{{board}}

# the image booted in QEMU and driven from outside: main, all or names; see tests/vm/README.md
vm *scenarios="main":
    tests/vm/run {{scenarios}}

# the same in a container
cross:
    cross build --release --target aarch64-unknown-linux-gnu

# exposure of the services
units:
    cargo test --release --test it -- house::units --nocapture

# licences, advisories and sources of every crate (needs cargo-deny)
deny:
    cargo deny check

# reception beside other software, in one run (needs pydicom; see the script)
bench-reception:
    cargo build --release
    ${SCANSIDE_PYTHON:-python3} benches/peers/reception.py ${CARGO_TARGET_DIR:-target}/release/scanside

# libFuzzer on one of pdu_stream, command_set, data_set, decode, study (needs cargo-fuzz; see fuzz/README.md)
fuzz target="data_set" seconds="3600":
    mkdir -p fuzz/corpus/{{target}} fuzz/seeds/{{target}}
    RUSTC_BOOTSTRAP=1 cargo fuzz run {{target}} fuzz/corpus/{{target}} fuzz/seeds/{{target}} -- \
        -max_total_time={{seconds}} -rss_limit_mb=1024 -max_len=262144 -timeout=10

# analysis beside other software, in one run; the table goes into docs/performance.md
bench-analysis *options:
    cargo build --release
    ${SCANSIDE_PYTHON:-python3} benches/peers/analysis.py ${CARGO_TARGET_DIR:-target}/release/scanside --write docs/performance.md {{options}}

# instructions of a slice on aarch64, int8 over fp32 (needs the program for aarch64 and Debian's qemu-user)
bench-instructions program="target/aarch64/aarch64-unknown-linux-gnu/release/scanside":
    ${SCANSIDE_PYTHON:-python3} benches/peers/instructions.py {{program}}

# one phantom study of each class, to look at
phantoms out="target/phantoms":
    for class in control covid19 cap; do cargo run --release -- phantom --class $class --seed 1 {{out}}/$class; done
