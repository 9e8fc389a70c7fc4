#!/usr/bin/env bash
# Wait for outputs of jobs that have ended well: on a shared file system they may come late.
# usage: wait_for.sh <file>...    at most SDTOOLS_GRACE_SEC seconds (default 60) for all together, else status 1
grace_sec=${SDTOOLS_GRACE_SEC:-60}
grace_sec=${grace_sec%.*}
for file; do
  until [ -e "$file" ]; do
    if [ $SECONDS -ge "${grace_sec:-0}" ]; then
      echo "${0##*/}: $file: got no such file $SECONDS s after its job has ended well, need it. Look at the file system and run again" >&2
      exit 1
    fi
    ls "${file%/*}" >/dev/null 2>&1 # so that a network file system asks anew
    sleep 0.2
  done
done
