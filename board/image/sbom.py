"""The parts list of an image: CycloneDX 1.5, from Cargo's and Debian's own records.

sbom.py BOARD DEBS.tsv > sbom.cdx.json          run in the repository

DEBS.tsv has a package a line: name, version, architecture, source, sha256 of the .deb. The crates are
those that `cargo metadata` finds for the board's processor, with the sums of Cargo.lock; the models
are the files of models/ with theirs.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tomllib
import urllib.parse

TARGET = "aarch64-unknown-linux-gnu"


def crates():
    """The crates that are in the program: reached from it by other than dev and build dependencies."""
    words = ["metadata", "--format-version=1", "--locked", "--filter-platform", TARGET]
    found = json.loads(subprocess.check_output([os.environ.get("CARGO", "cargo"), *words]))
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    root = found["resolve"]["root"]
    reached, todo = {root}, [root]
    while todo:
        for dep in nodes[todo.pop()]["deps"]:
            normal = any(kind["kind"] is None for kind in dep["dep_kinds"])
            if normal and dep["pkg"] not in reached:
                reached.add(dep["pkg"])
                todo.append(dep["pkg"])
    lock = tomllib.loads(pathlib.Path("Cargo.lock").read_text())
    sums = {(p["name"], p["version"]): p.get("checksum") for p in lock["package"]}
    parts = {}
    for package in found["packages"]:
        if package["id"] not in reached:
            continue
        name, version = package["name"], package["version"]
        purl = f"pkg:cargo/{name}@{version}"
        part = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        if package["license"]:
            part["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        if sums.get((name, version)):
            part["hashes"] = [{"alg": "SHA-256", "content": sums[name, version]}]
        parts[package["id"]] = part
    edges = [
        {
            "ref": part["bom-ref"],
            "dependsOn": sorted(
                parts[d["pkg"]]["bom-ref"] for d in nodes[id]["deps"] if d["pkg"] in parts
            ),
        }
        for id, part in parts.items()
    ]
    program = parts.pop(root)
    program["type"] = "application"
    return program, list(parts.values()), edges


def packages(path):
    for line in pathlib.Path(path).read_text().splitlines():
        name, version, architecture, source, sha256 = line.split("\t")
        purl = f"pkg:deb/debian/{name}@{urllib.parse.quote(version, safe='')}?arch={architecture}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            "hashes": [{"alg": "SHA-256", "content": sha256}],
            "properties": [{"name": "debian:source", "value": source}],
        }


def models():
    for card in sorted(pathlib.Path("models").glob("*/card.toml")):
        facts = tomllib.loads(card.read_text())
        for path in sorted(card.parent.iterdir()):
            yield {
                "type": "machine-learning-model" if path.suffix == ".onnx" else "data",
                "bom-ref": str(path),
                "name": str(path),
                "version": str(facts["version"]),
                "hashes": [
                    {"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}
                ],
            }


def main():
    board, debs = sys.argv[1:]
    program, libraries, edges = crates()
    debian, bundles = list(packages(debs)), list(models())
    image = {
        "type": "firmware",
        "bom-ref": f"image-{board}",
        "name": f"scanside image for {board}",
        "version": program["version"],
    }
    top = [program, *debian, *bundles]
    edges.insert(0, {"ref": image["bom-ref"], "dependsOn": [part["bom-ref"] for part in top]})
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": image},
        "components": [*top, *libraries],
        "dependencies": edges,
    }
    json.dump(bom, sys.stdout, indent=1)
    print(f"{len(libraries)} crates, {len(debian)} packages", file=sys.stderr)


if __name__ == "__main__":
    main()
