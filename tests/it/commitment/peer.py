"""pynetdicom as console and as archive in matters of storage commitment.

    peer.py ask     --port BOX --title CT1 --transaction UID [--more CLASS:UID] [--wait S] FILE...
    peer.py listen  --port OWN --title CT1 [--fail-first N]
    peer.py archive --port OWN --title PACS --box BOX --report early|same|SECONDS [--lose UID]

Says what happens as JSON, one object a line, on stdout.
"""

import argparse
import json
import sys
import threading
import time

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import CTImageStorage, StorageCommitmentPushModel

INSTANCE = "1.2.840.10008.1.20.1.1"
BOX = "SCANSIDE"
lock = threading.Lock()


def say(**what):
    with lock:
        print(json.dumps(what), flush=True)


def reference(class_uid, uid, reason=None):
    item = Dataset()
    item.ReferencedSOPClassUID = class_uid
    item.ReferencedSOPInstanceUID = uid
    if reason is not None:
        item.FailureReason = reason
    return item


def read(report, event_type):
    return {
        "event": event_type,
        "transaction": report.TransactionUID,
        "committed": [i.ReferencedSOPInstanceUID for i in report.get("ReferencedSOPSequence", [])],
        "failed": [
            [i.ReferencedSOPInstanceUID, i.FailureReason]
            for i in report.get("FailedSOPSequence", [])
        ],
    }


class Ears:
    """Takes reports; answers the first ones with a failure if told so."""

    def __init__(self, fail_first=0):
        self.left = fail_first
        self.heard = threading.Event()

    def handle(self, event):
        status = 0x0000
        if self.left:
            self.left -= 1
            status = 0x0110
        say(report=read(event.event_information, event.event_type), status=status)
        self.heard.set()
        return status, None


def ask(args):
    ae = AE(ae_title=args.title)
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    ae.add_requested_context(StorageCommitmentPushModel)
    ears = Ears()
    assoc = ae.associate(
        "127.0.0.1", args.port, ae_title=BOX, evt_handlers=[(evt.EVT_N_EVENT_REPORT, ears.handle)]
    )
    if not assoc.is_established:
        sys.exit("no association")
    accepted = {c.abstract_syntax for c in assoc.accepted_contexts}
    say(accepted=StorageCommitmentPushModel in accepted)
    request = Dataset()
    request.TransactionUID = args.transaction
    request.ReferencedSOPSequence = []
    for name in args.files:
        image = dcmread(name)
        say(stored=image.SOPInstanceUID, status=assoc.send_c_store(image).Status)
        request.ReferencedSOPSequence.append(reference(image.SOPClassUID, image.SOPInstanceUID))
    for more in args.more:
        request.ReferencedSOPSequence.append(reference(*more.split(":")))
    if StorageCommitmentPushModel in accepted:
        status, _ = assoc.send_n_action(request, 1, StorageCommitmentPushModel, INSTANCE)
        say(asked=status.Status if "Status" in status else None)
        if args.wait:
            say(heard=ears.heard.wait(args.wait))
            time.sleep(0.3)
    assoc.release()


def listen(args):
    ae = AE(ae_title=args.title)
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    ears = Ears(args.fail_first)
    ae.start_server(("127.0.0.1", args.port), evt_handlers=[(evt.EVT_N_EVENT_REPORT, ears.handle)])


class Archive:
    def __init__(self, args):
        self.args = args
        self.has = set()

    def store(self, event):
        self.has.add(event.request.AffectedSOPInstanceUID)
        say(stored=event.request.AffectedSOPInstanceUID)
        return 0x0000

    def action(self, event):
        request = event.action_information
        wanted = [
            (i.ReferencedSOPClassUID, i.ReferencedSOPInstanceUID)
            for i in request.ReferencedSOPSequence
        ]
        say(wanted=[uid for _, uid in wanted], transaction=request.TransactionUID)
        has = self.has - set(self.args.lose)
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        good = [reference(*w) for w in wanted if w[1] in has]
        bad = [reference(*w, reason=0x0112) for w in wanted if w[1] not in has]
        if good:
            report.ReferencedSOPSequence = good
        if bad:
            report.FailedSOPSequence = bad
        kind = 2 if bad else 1
        if self.args.report == "early":
            self.call(report, kind)
        elif self.args.report == "same":
            threading.Thread(target=self.here, args=(event.assoc, report, kind)).start()
        else:
            timer = threading.Timer(float(self.args.report), self.call, (report, kind))
            timer.start()
        return 0x0000, None

    def here(self, assoc, report, kind):
        time.sleep(0.3)
        status, _ = assoc.send_n_event_report(report, kind, StorageCommitmentPushModel, INSTANCE)
        say(reported=status.Status if "Status" in status else None)

    def call(self, report, kind):
        ae = AE(ae_title=self.args.title)
        ae.add_requested_context(StorageCommitmentPushModel)
        roles = [build_role(StorageCommitmentPushModel, scp_role=True)]
        for _ in range(100):
            assoc = ae.associate("127.0.0.1", self.args.box, ae_title=BOX, ext_neg=roles)
            if assoc.is_established:
                status, _ = assoc.send_n_event_report(
                    report, kind, StorageCommitmentPushModel, INSTANCE
                )
                assoc.release()
                say(reported=status.Status if "Status" in status else None)
                return
            time.sleep(0.3)
        say(reported=None)

    def run(self):
        ae = AE(ae_title=self.args.title)
        ae.add_supported_context(CTImageStorage, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        ae.add_supported_context(StorageCommitmentPushModel)
        handlers = [(evt.EVT_C_STORE, self.store), (evt.EVT_N_ACTION, self.action)]
        ae.start_server(("127.0.0.1", self.args.port), evt_handlers=handlers)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["ask", "listen", "archive"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--title", required=True)
    parser.add_argument("--transaction", default="1.2.3.4")
    parser.add_argument("--more", action="append", default=[])
    parser.add_argument("--wait", type=float, default=0)
    parser.add_argument("--fail-first", type=int, default=0)
    parser.add_argument("--box", type=int, default=0)
    parser.add_argument("--report", default="early")
    parser.add_argument("--lose", action="append", default=[])
    parser.add_argument("files", nargs="*")
    args = parser.parse_intermixed_args()
    if args.mode == "ask":
        ask(args)
    elif args.mode == "listen":
        listen(args)
    else:
        Archive(args).run()


main()
