#!/bin/sh
# Submits a diff with the nats command line (https://github.com/nats-io/natscli), watches it, and looks the verdict up.
#   NATS_URL=nats://127.0.0.1:4222 sh nats.sh change.diff
set -eu
export NATS_URL="${NATS_URL:-nats://127.0.0.1:4222}"
diff=${1:?the file of a diff}
nats=${NATS:-nats}

# The message is that of the gRPC call, in JSON. Who submits computes the deployment's id, or lists the repository.
request=$(python3 -c 'import json, sys; print(json.dumps({"repository": "acme/shop", "pull_request": 9, "author": "ada",
    "diff": open(sys.argv[1]).read()}))' "$diff")
id=$(python3 "$(dirname "$0")/deployment_id.py" acme/shop 9 "$diff")
echo "submitted: $id"
printf '%s' "$request" | $nats pub --jetstream failsafe.v1.deployment.submitted

# What the stream holds of it, until the verdict is there.
$nats subscribe --stream FAILSAFE --all --count 1 --raw "failsafe.v1.verdict.reached.$id" > /dev/null
echo "a verdict was reached"

# Questions are asked outside the stream, in protobuf: field 1 is the id.
printf '\n\044%s' "$id" | $nats request --raw failsafe.ask.v1.get_deployment > /dev/null
echo "and is in the audit trail"
