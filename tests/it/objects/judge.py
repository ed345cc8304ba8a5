"""Reads the DICOM objects of a report's folder with pydicom and highdicom, and holds their numbers
against report.json. Prints one line of JSON; what is wrong is an exception."""

import json
import sys

import highdicom as hd
import numpy as np
import pydicom
from highdicom.sr import srread

folder = sys.argv[1]
report = json.load(open(f"{folder}/report.json", encoding="utf-8"))


def read(kind):
    return pydicom.dcmread(f"{folder}/{kind}.dcm")


def numbers(group):
    return {m.name.value: float(m.value) for m in group.get_measurements()}


kinds = ["sr", "sc", "pdf"] + (["seg"] if "--seg" in sys.argv else [])
objects = {kind: read(kind) for kind in kinds}
for kind, data in objects.items():
    assert data.file_meta.ImplementationVersionName.startswith("SCANSIDE"), kind
    assert "RESEARCH, AI result, not verified" in data.SeriesDescription, kind
    assert data.StudyInstanceUID == report["study_uid"], kind
    maker = data.ContributingEquipmentSequence[0]
    assert maker.PurposeOfReferenceCodeSequence[0].CodeValue == "109102", kind
    assert maker.ManufacturerModelName == report["model"]["name"], kind
assert len({d.SeriesInstanceUID for d in objects.values()}) == len(objects)

tree = srread(f"{folder}/sr.dcm")
assert tree.VerificationFlag == "UNVERIFIED"
content = tree.content
segments = content.get_volumetric_roi_measurement_groups()
groups = {g.tracking_identifier: g for g in segments + content.get_image_measurement_groups()}
if report["decision"] is None:
    assert not groups
else:
    share = report["involvement"]
    for name, field in [
        ("both lungs", "total"),
        ("right lung", "right"),
        ("left lung", "left"),
        ("upper third", "upper"),
        ("middle third", "middle"),
        ("lower third", "lower"),
    ]:
        said = numbers(groups[f"scanside {name}"])["SHARE"]
        assert said == share[f"{field}_percent"], (name, said)
    result = groups["scanside result"]
    assert result.finding_type.value == report["decision"].upper()
    said = numbers(result)
    for name in ["control", "covid19", "cap"]:
        assert said[f"P_{name.upper()}"] == report["p"][name], name
    if report["distance"]["value"] is not None:
        assert said["DISTANCE"] == report["distance"]["value"]
    assert groups["scanside right lung"].finding_sites[0].laterality.meaning == "Right"

evaluations = [
    item
    for container in tree.ContentSequence
    if container.ConceptNameCodeSequence[0].CodeValue == "C0034375"
    for item in container.ContentSequence
]
coded = [
    item.ConceptCodeSequence[0].CodeMeaning
    for item in evaluations
    if item.ValueType == "CODE" and item.ConceptNameCodeSequence[0].CodeValue == "RESULT"
]
assert coded == [report["result_words"]], coded

raised = 0
if "seg" in objects:
    assert len(segments) == 1
    region = hd.seg.segread(f"{folder}/seg.dcm")
    assert region.segmentation_type == hd.seg.SegmentationTypeValues.BINARY
    uids = [uid for _, _, uid in region.get_source_image_uids()]
    group = objects["seg"].PerFrameFunctionalGroupsSequence
    sources = [g.DerivationImageSequence[0].SourceImageSequence[0] for g in group]
    if "ReferencedFrameNumber" in sources[0]:
        assert len(uids) == 1
        planes = region.get_pixels_by_source_frame(
            uids[0],
            [int(one.ReferencedFrameNumber) for one in sources],
            segment_numbers=[1],
            assert_missing_frames_are_empty=True,
        )
    else:
        planes = region.get_pixels_by_source_instance(
            uids, segment_numbers=[1], assert_missing_frames_are_empty=True
        )
    raised = int(np.count_nonzero(planes))
    assert raised == int(np.count_nonzero(objects["seg"].pixel_array))
    of_group = segments[0].referenced_segment
    assert of_group.referenced_sop_instance_uid == region.SOPInstanceUID
    assert region.get_volume().spatial_shape[1:] == (region.Rows, region.Columns)
else:
    assert not segments

pages = objects["sc"].pixel_array
if pages.ndim == 3:
    pages = pages[None]
assert len(pages) == len(report["key_images"]) + 1
# White letters of the banner in the upper left corner of each page.
for page in pages:
    assert (page[:60, :400] > 230).all(axis=-1).sum() > 300

evidence = [
    instance.ReferencedSOPInstanceUID
    for study in tree.CurrentRequestedProcedureEvidenceSequence
    for series in study.ReferencedSeriesSequence
    for instance in series.ReferencedSOPSequence
]
assert len(evidence) == len(set(evidence))
print(json.dumps({"raised": raised, "pages": len(pages), "evidence": len(evidence)}))
