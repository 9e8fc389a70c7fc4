#!/usr/bin/env bash
# Wait for outputs of jobs that have ended with status 0; on a shared file system they may be late.
# usage: wait_for.sh <file>...
# Status 1 if a file is still missing after SDTOOLS_GRACE_SEC seconds (default 60) in all.
grace_sec=${SDTOOLS_GRACE_SEC:-60}
grace_sec=${grace_sec%.*}
for file; do
  until [ -e "$file" ]; do
    if [ $SECONDS -ge "${grace_sec:-0}" ]; then
      echo "${0##*/}: $file: the file is still missing $SECONDS s after its job has ended." \
        "Check the file system and run again." >&2
      exit 1
    fi
    ls "${file%/*}" >/dev/null 2>&1 # so that a network file system looks again
    sleep 0.2
  done
done
