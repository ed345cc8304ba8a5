"""Stands in front of an archive: answers some C-STORE requests itself, as an archive with a full disk
or with a taste of its own does, and hands the rest on.

door.py PORT ARCHIVE_PORT full COUNT      A700 to the first COUNT instances
door.py PORT ARCHIVE_PORT refuse CLASS    C000 to instances of this class
door.py PORT ARCHIVE_PORT drop COUNT      hands COUNT instances on and aborts instead of answering
"""

import sys

from pynetdicom import AE, AllStoragePresentationContexts, evt

port, archive, mode, what = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
seen = 0


def hand_on(event):
    data = event.dataset
    data.file_meta = event.file_meta
    console = AE("DOOR")
    console.add_requested_context(data.SOPClassUID, event.context.transfer_syntax)
    association = console.associate("127.0.0.1", archive, ae_title="PACS")
    if not association.is_established:
        return 0xA700
    status = association.send_c_store(data)
    association.release()
    return status.Status if status else 0xA700


def store(event):
    global seen
    seen += 1
    if mode == "full" and seen <= int(what):
        return 0xA700
    if mode == "refuse" and event.request.AffectedSOPClassUID == what:
        return 0xC000
    status = hand_on(event)
    if mode == "drop" and seen <= int(what):
        event.assoc.abort()
    return status


door = AE("PACS")
door.supported_contexts = AllStoragePresentationContexts
print("open", flush=True)
door.start_server(("127.0.0.1", port), block=True, evt_handlers=[(evt.EVT_C_STORE, store)])
