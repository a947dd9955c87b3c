#!/usr/bin/env bash
# Make the pictures of the README, from the pages of a version and from what `luodi gate` found in this checkout:
#   docs/pictures.sh reviews@v1.0.0
set -euo pipefail
cd "$(dirname "$0")/.."
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
picture() {
  chromium --headless --no-sandbox --disable-gpu --disable-background-networking --hide-scrollbars \
    --user-data-dir="$profile" --window-size=1160,1250 --screenshot="docs/$1.png" "file://$PWD/$2"
}
for page in validation evaluation card; do
  picture "$page" ".luodi/reports/$1/$page.html"
done
picture comparison artifacts/reviews/gate/report.html
