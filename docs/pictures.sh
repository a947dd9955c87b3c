#!/usr/bin/env bash
# Make the pictures of the README from the reports of the newest version: docs/pictures.sh reviews@v1.0.0
set -euo pipefail
cd "$(dirname "$0")/.."
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
for report in validation evaluation; do
  chromium --headless --no-sandbox --disable-gpu --disable-background-networking --hide-scrollbars \
    --user-data-dir="$profile" --window-size=1160,1250 --screenshot="docs/$report.png" \
    "file://$PWD/.luodi/reports/$1/$report.html"
done
