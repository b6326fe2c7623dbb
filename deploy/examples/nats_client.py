"""Submits a diff over NATS, watches its events, and asks the audit trail for the verdict.

    pip install nats-py
    NATS_URL=nats://127.0.0.1:4222 python3 nats_client.py change.diff
"""
import asyncio, json, os, sys

import nats
from nats.errors import NoRespondersError

from deployment_id import deployment_id

REPOSITORY, PULL_REQUEST = "acme/shop", 11

async def main(path):
    with open(path, "rb") as file:
        diff = file.read()
    connection = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    jetstream = connection.jetstream()
    request = {"repository": REPOSITORY, "pull_request": PULL_REQUEST, "author": "ada", "diff": diff.decode()}
    # Acknowledged: the stream has it.
    await jetstream.publish("failsafe.v1.deployment.submitted", json.dumps(request).encode())
    identifier = deployment_id(REPOSITORY, PULL_REQUEST, diff)
    print("submitted:", identifier)

    # Everything that the stream holds of this deployment, then what comes.
    events = await jetstream.subscribe(f"failsafe.v1.*.*.{identifier}", ordered_consumer=True)
    async for event in events.messages:
        kind = ".".join(event.subject.split(".")[2:4])
        print(f"{event.metadata.sequence.stream:>6} {kind}")
        if kind == "explanation.written":
            break

    # A question is protobuf: field 1 is the id. The answer is a GetDeploymentResponse.
    question = b"\n\x24" + identifier.encode()
    answer = await connection.request("failsafe.ask.v1.get_deployment", question, timeout=5)
    if answer.headers and "Nats-Service-Error" in answer.headers:
        sys.exit(answer.headers["Nats-Service-Error"])
    print(f"the audit trail knows it: {len(answer.data)} bytes")
    await connection.close()

try:
    asyncio.run(main(sys.argv[1]))
except NoRespondersError:
    sys.exit("the decision service does not answer")
