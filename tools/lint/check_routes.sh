#!/usr/bin/env bash
# The route table in the tree is the one that its generator makes. With Atlassian's OpenAPI document (JIRAPOOL_OPENAPI, or
# beside the checkout) from the document; without it from the templates in the table.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

document=${JIRAPOOL_OPENAPI:-../shared/jira-openapi/swagger-v3.v3.json.xz}
if [ -f "$document" ]; then
    tools/scripts/generate_routes.py --check "$document" >/dev/null
    echo "routes: as the OpenAPI document has them"
else
    tools/scripts/generate_routes.py --check >/dev/null
    echo "routes: the table is its generator's (no OpenAPI document here to compare it with)"
fi
