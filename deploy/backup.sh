#!/bin/sh
# Back up the stack: ClickHouse's data and .env, in files that only their owner can read.
#
#   deploy/backup.sh /var/backups/otel-intel [how many to keep: 7]
#
# ClickHouse is stopped meanwhile, and started again whatever happens to this script (a power cut happens to more than that:
# see docs/operations.md). What can be refused is refused before. An older backup is deleted only after this one is whole.
set -eu
umask 077
usage() { echo "usage: $0 /absolute/folder [how many to keep, 1 or more]" >&2; exit 2; }
refuse() { echo "No backup was made: $1" >&2; exit 1; }
[ $# -le 2 ] || usage
case ${1-} in *:*) usage ;; /*) ;; *) usage ;; esac # Docker would read a colon as the end of the folder
folder=$1 keep=${2-7}
case $keep in '' | 0* | *[!0-9]*) usage ;; esac

cd "$(dirname "$0")/.."
[ -r .env ] || refuse "$PWD/.env is missing or cannot be read, and without its passwords a backup is of no use"
mkdir -p "$folder" || refuse "$folder cannot be made"
# Another run would start ClickHouse under this one, whatever folder it writes to.
exec 8<. 9<"$folder"
{ flock -n 8 && flock -n 9; } || refuse "another backup is running"

two='[0-9][0-9]'
own=telemetry-$two$two$two${two}T$two$two${two}Z # nothing else in the folder is touched
find "$folder" -maxdepth 1 -name "$own.part" | while read -r old; do
  rm -f "$old" "${old%.part}.env" # of a run that was killed
done
last=$(find "$folder" -maxdepth 1 -name "$own.tgz" | sort | tail -n 1)
if [ -n "$last" ]; then
  needed=$((($(stat -c %s "$last") + 1023) / 1024)) free=$(df -k --output=avail "$folder" | tail -n 1 | tr -d ' ')
  [ "$free" -ge "$needed" ] || refuse "$folder has $free KB of free space, and the last backup takes $needed KB"
fi

name=$folder/telemetry-$(date -u +%Y%m%dT%H%M%SZ)
stopped=
end() {
  code=$?
  trap - EXIT
  rm -f "$name.part"
  [ -e "$name.tgz" ] || rm -f "$name.env"
  if [ -n "$stopped" ]; then docker compose start clickhouse || code=1; fi
  exit "$code"
}
trap end EXIT
trap 'exit 1' HUP INT TERM
# The container writes as root. A file that is there already stays this user's, and private.
: >"$name.part" || refuse "$folder cannot be written to"
cp .env "$name.env"
stopped=yes
docker compose stop clickhouse
# Into a mounted folder: what a container prints, Docker also writes into its log.
docker compose run --rm -T --no-deps -v "$folder:/mnt" --entrypoint tar clickhouse \
  -C /var/lib/clickhouse -czf "/mnt/${name##*/}.part" . </dev/null
mv "$name.part" "$name.tgz"
# This one stays even where a clock was wrong and others seem to be younger.
find "$folder" -maxdepth 1 -name "$own.tgz" ! -name "${name##*/}.tgz" | sort -r | tail -n +"$keep" | while read -r old; do
  rm -f "$old" "${old%.tgz}.env"
done
