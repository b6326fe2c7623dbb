#!/bin/sh
# Submits a diff with grpcurl (https://github.com/fullstorydev/grpcurl), watches it, and looks the verdict up. No .proto file is needed.
#   FAILSAFE_GRPC=127.0.0.1:50051 sh grpcurl.sh change.diff
set -eu
grpc=${FAILSAFE_GRPC:-127.0.0.1:50051}
diff=${1:?the file of a diff}
service=failsafe.v1.DeploymentService
call() { ${GRPCURL:-grpcurl} -plaintext -d @ "$grpc" "$service/$1"; }

# grpcurl takes JSON: python3 quotes the diff.
request=$(python3 -c 'import json, sys; print(json.dumps({"repository": "acme/shop", "pull_request": 8, "author": "ada", "wait": "8s",
    "diff": open(sys.argv[1]).read()}))' "$diff")
id=$(printf '%s' "$request" | call SubmitDeployment | sed -n 's/.*"deploymentId": "\([^"]*\)".*/\1/p' | head -n 1)
echo "submitted: $id"

echo "{\"deployment_id\": \"$id\"}" | call WatchDeployment | grep -E '^  "(accepted|signal|verdict|explanation)"' || true

# Newer ones also take "read_mask": "verdicts.judgement.verdict,explanations.headline".
echo "{\"deployment_id\": \"$id\"}" | call GetDeployment | grep -E '"(verdict|headline)": "'
