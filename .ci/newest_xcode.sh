#!/usr/bin/env bash
# Chooses a version of Xcode for the next steps of a workflow: the newest that is installed with a major version.
#
#     .ci/newest_xcode.sh MAJOR
#
# Images of hosted Macs have several versions, and they change without notice. Prints DEVELOPER_DIR=PATH for $GITHUB_ENV.
# Ends with 1 if there is no such version, and prints the versions that there are to stderr.
set -euo pipefail
folder=${APPLICATIONS:-/Applications}
found=$(cd "$folder" && printf '%s\n' Xcode_"$1".app Xcode_"$1".*.app | sort -V | while read -r name; do
    if [ -d "$name/Contents/Developer" ]; then printf '%s\n' "$name"; fi
done | tail -n 1)
if [ -z "$found" ]; then
    echo "$folder has no Xcode $1. It has: $(cd "$folder" && printf '%s ' Xcode*.app)" >&2
    exit 1
fi
echo "DEVELOPER_DIR=$folder/$found/Contents/Developer"
