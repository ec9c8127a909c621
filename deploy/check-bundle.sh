#!/usr/bin/env bash
# Checks databricks.yml with the Databricks CLI: every target, every choice of the
# event log, without a single warning. The CLI signs in to the workspace that its
# profile or DATABRICKS_HOST names and changes nothing there. Where prod is deployed
# already, JOB_PRINCIPAL is the one it was deployed with: the CLI compares permissions.
set -euo pipefail
cd "$(dirname "$0")/.."

cli=${DATABRICKS_CLI:-databricks}
if ! command -v "$cli" >/dev/null 2>&1; then
	echo "check-bundle: the Databricks CLI (1.7.0 or newer) is not on the PATH: https://docs.databricks.com/dev-tools/cli/install" >&2
	exit 1
fi
principal=${JOB_PRINCIPAL:-00000000-0000-0000-0000-000000000000}
validate() {
	echo "check-bundle: bundle validate --strict $*"
	"$cli" bundle validate --strict "$@" >/dev/null
}
# shellcheck disable=SC2016 # the CLI resolves these, not the shell
for log in '${var.embedded_log}' '${var.nats_outside}' '${var.nats_account}'; do
	validate -t dev --var "event_log=$log"
	validate -t prod --var "event_log=$log" --var "job_principal=$principal"
done
# shellcheck disable=SC2016
validate -t prod --var "job_principal=$principal" --var 'catalogs=${var.unity_catalog}'
echo "check-bundle: no warnings"
