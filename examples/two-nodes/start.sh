#!/bin/sh
# Starts two nodes on one PostgreSQL, and a proxy before them. Ctrl-C ends all three.
#
#   DATABASE_URL=postgres://user:password@host/database examples/two-nodes/start.sh
#
# PROXY is nginx, haproxy or caddy. PARLOR is the program, if it is built already. The ports are PROXY_PORT, FIRST_PORT and
# SECOND_PORT.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${DATABASE_URL:?name a PostgreSQL database, such as postgres://user:password@host/database}"
kind=${PROXY:-nginx} proxy=${PROXY_PORT:-8090} first=${FIRST_PORT:-8091} second=${SECOND_PORT:-8092}
if [ -z "${PARLOR:-}" ]; then
    (cd "$here/../.." && cargo build --release)
    PARLOR=$here/../../target/release/parlor
fi
PATH=$PATH:/usr/sbin:/usr/local/sbin
case $kind in
    nginx) file=nginx.conf ;;
    haproxy) file=haproxy.cfg ;;
    caddy) file=Caddyfile ;;
    *) echo "PROXY is nginx, haproxy or caddy" >&2; exit 1 ;;
esac
command -v "$kind" > /dev/null || { echo "$kind is not installed" >&2; exit 1; }

home=$(mktemp -d)
pids=
# Each by itself: one that was killed before must not spare the others.
end() {
    for pid in $pids; do kill "$pid" 2> /dev/null || true; done
    wait
    rm -rf "$home"
}
trap end EXIT
trap 'exit 0' INT TERM
sed -e "s|NGINX_HOME|$home|; s|PROXY_PORT|$proxy|; s|FIRST_PORT|$first|; s|SECOND_PORT|$second|" \
    "$here/$file" > "$home/$file"

node() {
    # Each in a folder of its own, where it finds no parlor.toml.
    mkdir -p "$home/$1"
    cd "$home/$1"
    PARLOR__DATABASE__URL=$DATABASE_URL PARLOR__DATABASE__AUTO_MIGRATE=true \
        PARLOR__SERVER__LISTEN=127.0.0.1:$2 PARLOR__SERVER__PUBLIC_URL=http://127.0.0.1:$proxy \
        PARLOR__SERVER__TRUSTED_PROXIES=127.0.0.1 exec "$PARLOR" serve > "$home/$1.log" 2>&1
}
listens() {
    until grep -q "listening on" "$home/$1.log" 2> /dev/null; do
        kill -0 "$2" 2> /dev/null || { cat "$home/$1.log" >&2; exit 1; }
        sleep 0.2
    done
}

node first "$first" & first_pid=$!
pids=$first_pid
listens first "$first_pid"
node second "$second" & second_pid=$!
pids="$pids $second_pid"
listens second "$second_pid"
case $kind in
    nginx) nginx -p "$home" -c "$home/$file" & ;;
    haproxy) haproxy -q -db -f "$home/$file" & ;;
    # It keeps its files in the folder.
    caddy) XDG_DATA_HOME=$home XDG_CONFIG_HOME=$home caddy run --config "$home/$file" 2> "$home/caddy.log" & ;;
esac
pids="$pids $!"
echo "open http://127.0.0.1:$proxy in two browsers"
echo "  first node   pid $first_pid, http://127.0.0.1:$first"
echo "  second node  pid $second_pid, http://127.0.0.1:$second"
echo "  kill either of them with: kill -9 PID"
wait
