"""The id of a deployment, as every sender computes it: python3 deployment_id.py acme/shop 7 change.diff [REVISION]."""
import hashlib, sys, uuid

NAMESPACE = uuid.UUID("6f1d8c0e-2b7a-5d43-9e54-0fa115afe001")

def deployment_id(repository, pull_request, diff, revision=""):
    """Without a revision the SHA-256 of the diff's bytes stands in."""
    revision = revision.lower() or "diff:" + hashlib.sha256(diff).hexdigest()
    return str(uuid.uuid5(NAMESPACE, f"{repository}\n{pull_request}\n{revision}"))

if __name__ == "__main__":
    with open(sys.argv[3], "rb") as file:
        print(deployment_id(sys.argv[1], int(sys.argv[2]), file.read(), *sys.argv[4:5]))
