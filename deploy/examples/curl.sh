#!/bin/sh
# Submits a diff with curl, looks the verdict up, and watches how it came about.
#   FAILSAFE_HTTP=http://127.0.0.1:50080 sh curl.sh change.diff
set -eu
http=${FAILSAFE_HTTP:-http://127.0.0.1:50080}
diff=${1:?the file of a diff}

# The body is the diff itself. With `wait` the answer holds the verdict, if it comes in time.
submitted=$(curl -sS --fail-with-body --data-binary "@$diff" "$http/analyze?repo=acme/shop&pr_id=7&author=ada&wait=8s")
id=$(printf '%s' "$submitted" | sed -E 's/.*"deployment_id":"([^"]*)".*/\1/')
echo "submitted: $id"

# Each stage as it happens: server-sent events, or one JSON object a line for programs.
curl -sSN --fail-with-body -H 'Accept: application/x-ndjson' "$http/v1/deployments/$id:watch" | cut -c 1-120

# Only what is wanted.
curl -sS --fail-with-body "$http/v1/deployments/$id?read_mask=verdicts.judgement.verdict,explanations.headline"
