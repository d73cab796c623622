#!/bin/sh
# PNG, SVG and PDF figures and the browser tests need a Chrome or Chromium. Where there is none, Debian's is installed if
# this may be done here (root, apt-get); else one sentence says what to do. Never fails: all else works without it.
set -u

for browser in chromium chromium-browser google-chrome google-chrome-stable chrome; do
    if command -v "$browser" >/dev/null 2>&1; then
        exit 0
    fi
done
if [ -d "/Applications/Google Chrome.app" ] || [ -d "/Applications/Chromium.app" ]; then
    exit 0
fi

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "No Chrome or Chromium is installed, so figures are written as HTML only and browser tests are skipped: install one (on Debian: sudo apt-get install chromium)."
    exit 0
fi

echo "Installing Debian's chromium, for PNG figures and the browser tests …"
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
if apt-get update >"$log" 2>&1 && apt-get install -y --no-install-recommends chromium >>"$log" 2>&1; then
    rm -f "$log"
else
    echo "Chromium could not be installed ($(grep -m 1 '^E:' "$log" || tail -n 1 "$log")), so figures are written as HTML only and browser tests are skipped: install one by hand."
    rm -f "$log"
fi
exit 0
