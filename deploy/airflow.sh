#!/usr/bin/env bash
# `airflow.sh COMMAND ...`: an Airflow command with the users that Compose mounts as a secret.
set -euo pipefail
python3.11 "$(dirname "$0")/secret.py" users "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
exec airflow "$@"
