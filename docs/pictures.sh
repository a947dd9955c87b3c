#!/usr/bin/env bash
# Make the pictures of the README from the pages of a version that took a champion's place:
#   docs/pictures.sh reviews@v1.1.0
set -euo pipefail
cd "$(dirname "$0")/.."
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
for page in validation evaluation comparison card; do
  chromium --headless --no-sandbox --disable-gpu --disable-background-networking --hide-scrollbars \
    --user-data-dir="$profile" --window-size=1160,1250 --screenshot="docs/$page.png" \
    "file://$PWD/.luodi/reports/$1/$page.html"
done
