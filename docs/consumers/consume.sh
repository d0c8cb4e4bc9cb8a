#!/usr/bin/env bash
# Reads the events of an organization page by page, from a checkpoint on, with curl and jq.
#
#   PROPTY_URL=https://… PROPTY_TOKEN=propty_… ./consume.sh [checkpoint]
#
# What was handled and not yet kept when this is killed comes again: handle by `id`, or keep both in one place.
set -euo pipefail
url=${PROPTY_URL:-http://127.0.0.1:8080}
checkpoint=${1:-propty.checkpoint}
page=$(mktemp)
trap 'rm -f "$page"' EXIT

# Your part. One line per event, in order.
handle() {
    jq -r '.events[] | [.position, .id, .type, .subject] | @tsv' "$1"
}

while :; do
    position=0 incarnation=
    [ ! -s "$checkpoint" ] || read -r position incarnation <"$checkpoint"
    # The incarnation makes sure that the position means what it meant.
    query="after=$position&limit=500${incarnation:+&incarnation=$incarnation}"
    if ! status=$(curl -s -m 30 -o "$page" -w '%{http_code}' -H "Authorization: Bearer $PROPTY_TOKEN" "$url/v1/events?$query"); then
        sleep 1
        continue
    fi
    case $status in
        200) ;;
        401 | 403 | 410) jq -r .detail "$page" >&2 && exit 1 ;;
        *) sleep 1 && continue ;;
    esac
    handle "$page"
    # Renamed, so that a crash leaves the old one or the new one.
    jq -r '"\(.complete_up_to) \(.incarnation)"' "$page" >"$checkpoint.new"
    mv "$checkpoint.new" "$checkpoint"
    jq -e '.complete_up_to < .head' "$page" >/dev/null || sleep 1
done
