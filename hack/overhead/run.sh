#!/usr/bin/env bash
# Measures what telemetry/instrument takes of a server's latency and throughput, in many short pairs with and without it.
#
#	hack/overhead/run.sh [--pairs 1500] [--slot 200ms] [--rate 10000] [--work 20us]
#
# The default takes 20 minutes; the machine should do nothing else. Prints a table and writes build/result.json.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p hack/overhead/build
go build -o hack/overhead/build/overhead ./hack/overhead
commit=$(git rev-parse --short HEAD)
git diff --quiet HEAD || commit+=-dirty
exec hack/overhead/build/overhead --commit "$commit" --out hack/overhead/build/result.json "$@"
