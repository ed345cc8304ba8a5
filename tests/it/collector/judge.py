"""Audit messages, one a line, against the schema of PS3.15 A.5.1 and the tables of A.5.3.

Usage: judge.py audit.rng messages.xml. Prints one line of counts by event, or what is wrong.
"""

import sys
from collections import Counter

from lxml import etree

SOURCE, DESTINATION, MEDIA = "110153", "110152", "110154"
STUDY, PATIENT = "110180", "2"

# Event: actions, roles that must be there, kinds of objects that must be there, types that it may have.
TABLES = {
    "110100": ("E", {"110150"}, set(), {"110120", "110121"}),
    "110102": ("E", {SOURCE, DESTINATION}, {STUDY, PATIENT}, set()),
    "110103": ("CRUD", set(), {STUDY, PATIENT}, set()),
    "110104": ("CRU", {SOURCE, DESTINATION}, {STUDY, PATIENT}, set()),
    "110105": ("D", set(), {STUDY, PATIENT}, set()),
    "110106": ("R", {SOURCE, MEDIA}, {STUDY, PATIENT}, set()),
    "110113": ("E", set(), {"110182"}, {"110126", "110129", "110131", "110132"}),
}


def main():
    schema = etree.RelaxNG(etree.parse(sys.argv[1]))
    events, wrong = Counter(), []
    with open(sys.argv[2], encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            message = etree.fromstring(line.encode())
            if not schema.validate(message):
                wrong.append(f"message {number}: {schema.error_log.last_error}")
            codes = lambda path: {e.get("csd-code") for e in message.findall(path)}
            event = message.find("EventIdentification/EventID").get("csd-code")
            events[event] += 1
            actions, roles, objects, types = TABLES[event]
            identification = message.find("EventIdentification")
            if identification.get("EventActionCode") not in actions:
                wrong.append(f"message {number}: the action of {event}")
            if not roles <= codes("ActiveParticipant/RoleIDCode"):
                wrong.append(f"message {number}: the roles of {event}")
            if not objects <= codes("ParticipantObjectIdentification/ParticipantObjectIDTypeCode"):
                wrong.append(f"message {number}: the objects of {event}")
            kinds = codes("EventIdentification/EventTypeCode")
            if not kinds <= types or bool(types) != bool(kinds):
                wrong.append(f"message {number}: the type of {event}")
    if wrong:
        sys.exit("\n".join(wrong))
    print(" ".join(f"{event}:{count}" for event, count in sorted(events.items())))


main()
