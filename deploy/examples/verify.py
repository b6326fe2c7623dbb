"""Verifies an export of the audit trail: failsafe audit export | python3 verify.py. The hash is described in deploy/audit.md."""
import base64, datetime, hashlib, json, sys, uuid

def field(value):
    return b"\xff\xff\xff\xff" if value is None else len(value).to_bytes(4, "big") + value

def number(value):
    return None if value is None else value.to_bytes(8, "big", signed=True)

def text(value):
    return None if value is None else value.encode()

heads = {}
for line in sys.stdin:
    e = json.loads(line)
    link, previous = heads.get(e["month"], (0, "0" * 64))
    since = datetime.datetime.fromisoformat(e["received_at"].replace("Z", "+00:00")) - datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
    hashed = b"failsafe audit event 1\n" + b"".join(map(field, [
        bytes.fromhex(e["previous"]), text(e["month"]), number(e["link"]), uuid.UUID(e["event_id"]).bytes,
        uuid.UUID(e["deployment_id"]).bytes, text(e["kind"]), text(e["subject"]), number(e["stream_sequence"]),
        text(e["message_id"]), text(e["traceparent"]), number(since // datetime.timedelta(microseconds=1)),
        base64.b64decode(e["bytes"])]))
    if (e["link"], e["previous"], e["hash"]) != (link + 1, previous, hashlib.sha256(hashed).hexdigest()):
        sys.exit(f"{e['month']}: broken at link {e['link']}, event {e['event_id']}")
    heads[e["month"]] = (e["link"], e["hash"])
for month, (events, head) in sorted(heads.items()):
    print(f"{month}: {events} events, whole, ending in {head}")
