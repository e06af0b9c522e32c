#!/bin/sh
# Back up the stack: ClickHouse's data and .env, in files that only their owner can read.
#
#   deploy/backup.sh /var/backups/otel-intel [how many to keep: 7]
#
# ClickHouse is stopped meanwhile, and started again whatever happens. An older backup is deleted only after this one is whole.
set -eu
umask 077
case ${1-} in /*) ;; *) echo "usage: $0 /absolute/folder [how many to keep]" >&2; exit 2 ;; esac
folder=$1 keep=${2:-7}
cd "$(dirname "$0")/.."
mkdir -p "$folder"
name=$folder/telemetry-$(date -u +%Y%m%dT%H%M%SZ)
stopped=
end() {
  code=$?
  trap - EXIT
  rm -f "$name.part"
  if [ -n "$stopped" ]; then docker compose start clickhouse || code=1; fi
  exit "$code"
}
trap end EXIT
trap 'exit 1' HUP INT TERM
stopped=yes
docker compose stop clickhouse
docker compose run --rm -T --no-deps --entrypoint tar clickhouse -C /var/lib/clickhouse -czf - . >"$name.part" </dev/null
cp .env "$name.env"
mv "$name.part" "$name.tgz"
find "$folder" -name 'telemetry-*.tgz' | sort -r | tail -n +"$((keep + 1))" | while read -r old; do
  rm -f "$old" "${old%.tgz}.env"
done
