#!/usr/bin/env bash
# Look up what the images' tags mean today and write that into `.env`, which Compose reads: from then on exactly these
# images are used. Run it again to take newer ones, and look at the difference. Needs Docker with buildx, and a network.
set -euo pipefail
cd "$(dirname "$0")/.."
touch .env
chmod 600 .env
[[ -z $(tail -c 1 .env) ]] || echo >>.env # else a last line without its end would take up the first digest
pin() {
  local digest
  digest=$(docker buildx imagetools inspect "$2" --format '{{.Manifest.Digest}}')
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "$2 has no digest: $digest" >&2; exit 1; }
  sed -i.before "/^$1=/d" .env && rm .env.before
  echo "$1=$digest" >>.env
  echo "$2 is $digest"
}
pin PYTHON_DIGEST python:3.11-slim-bookworm
pin KAFKA_DIGEST apache/kafka:4.1.0
pin REDIS_DIGEST redis:6.2-bookworm
pin POSTGRES_DIGEST postgres:16-bookworm
pin PROMETHEUS_DIGEST prom/prometheus:v2.55.1
pin ALERTMANAGER_DIGEST prom/alertmanager:v0.28.1
pin GRAFANA_DIGEST grafana/grafana:11.6.0
