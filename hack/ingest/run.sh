#!/usr/bin/env bash
# Measures how many spans a second one core takes in: Foresail with snapshots out, and beside it, in the same run and with
# the same requests, the OpenTelemetry Collector with its spanmetrics connector and passing spans through, and Foresail as one and
# two ingesters with a daemon that merges what they count.
#
#	hack/ingest/run.sh [--rounds 5] [--duration 10s]
#
# The first run builds the Collector from modules with its own builder (builder.yaml), which takes minutes. It needs two
# processors: one is measured, the other one sends. Prints a table and writes build/result.json.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$here/build"
if [ ! -x "$here/build/collector/otelcol" ]; then
	(cd "$here" && go run go.opentelemetry.io/collector/cmd/builder@v0.165.0 --config builder.yaml --skip-strict-versioning)
fi
cd "$here/../.."
go build -o "$here/build/ingest" ./hack/ingest
go build -o "$here/build/foresail" ./cmd/foresail
commit=$(git rev-parse --short HEAD)
git diff --quiet HEAD || commit+=-dirty
exec "$here/build/ingest" --collector "$here/build/collector/otelcol" --foresail "$here/build/foresail" --commit "$commit" --out "$here/build/result.json" "$@"
