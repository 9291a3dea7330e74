#!/usr/bin/env bash
# health PORT [PATH [STATUS]]: passes when http://127.0.0.1:PORT/PATH answers with the status, for images without curl.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "${2:-/health/ready}" >&3
IFS= read -r -t 3 status <&3
[[ $status == *" ${3:-200} "* ]]
