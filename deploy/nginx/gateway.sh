#!/usr/bin/env bash
# Starts nginx, and keeps its list of evaluation replicas as DNS has it. Open-source nginx before
# 1.27.3 resolves the servers of an upstream once, and without an upstream it keeps no connection alive.
set -euo pipefail

conf=/tmp/gateway
tls=/etc/gateway/tls
seconds_between_looks=2

main() {
  mkdir -p "$conf"
  require_number GATEWAY_RATE_PER_SECOND 1000000
  require_number GATEWAY_BURST 65535
  names=$(names)
  GATEWAY_SCHEME=http GATEWAY_HTTPS_URL=
  if [ -e "$tls" ]; then
    require_certificate
    GATEWAY_SCHEME=https
    : "${names:?GATEWAY_HOSTS: the first names the server as its certificate does}"
    GATEWAY_HTTPS_URL=https://${names%%$'\n'*}:$GATEWAY_HTTPS_PORT
    GATEWAY_HTTPS_URL=${GATEWAY_HTTPS_URL%:443}
  fi
  export GATEWAY_SCHEME GATEWAY_HTTPS_URL
  fill nginx.conf
  fill site.conf
  fill "$GATEWAY_SCHEME.conf"
  listen_https >"$conf/listen_https.conf"
  trusted_proxies >"$conf/trusted_proxies.conf"
  printf '%s 1;\n' localhost $names | sort --ignore-case --unique >"$conf/hosts.conf"
  upstream "$(replicas)" >"$conf/upstream.conf"
  follow_replicas &
  exec nginx -c "$conf/nginx.conf" -g 'daemon off;'
}

fill() {
  # shellcheck disable=SC2016  # the names of variables, for envsubst
  envsubst '$GATEWAY_WORKERS $GATEWAY_RATE_PER_SECOND $GATEWAY_BURST $GATEWAY_SCHEME $GATEWAY_HTTPS_URL' \
    <"/etc/gateway/$1.template" >"$conf/$1"
}

# nginx would name a file of ours, and not the setting.
require_number() {
  if [[ ! ${!1} =~ ^[1-9][0-9]{0,6}$ ]] || [ "${!1}" -gt "$2" ]; then
    echo "$1 must be a number from 1 to $2, and is '${!1}'." >&2
    exit 2
  fi
}

# Whoever mounts the folder wants HTTPS: without its files plain HTTP would carry people's sessions.
require_certificate() {
  local file
  for file in "$tls/tls.crt" "$tls/tls.key"; do
    if [ ! -r "$file" ]; then
      echo "${file##*/} is not in TLS_FOLDER, or not readable by user $(id -u)" >&2
      exit 2
    fi
  done
}

# The names by which browsers and callers may ask it, one a line; people's links lead to the last.
names() {
  local name public=${GATEWAY_PUBLIC_URL#*://}
  public=${public%%/*}
  # An address needs no name, and of an IPv6 one the port is not what the last colon begins.
  case $public in \[*) public= ;; esac
  for name in ${GATEWAY_HOSTS//,/ } ${public%:*}; do
    case $name in
      *[!A-Za-z0-9._-]*)
        echo "GATEWAY_HOSTS (WEB_HOST in .env): $name is no name without scheme and port" >&2
        exit 2
        ;;
    esac
    printf '%s\n' "$name"
  done
}

# HTTP/2 is a word of `listen` before nginx 1.25.1, and deprecated there since.
listen_https() {
  local version
  version=$(nginx -v 2>&1)
  version=${version##*/}
  if printf '1.25.1\n%s\n' "${version%% *}" | sort --version-sort --check=quiet; then
    printf 'listen 8443 ssl default_server;\nhttp2 on;\n'
  else
    printf 'listen 8443 ssl http2 default_server;\n'
  fi
}

trusted_proxies() {
  if [ -z "$GATEWAY_TRUSTED_PROXIES" ]; then return; fi
  printf 'set_real_ip_from %s;\n' ${GATEWAY_TRUSTED_PROXIES//,/ }
  printf 'real_ip_header X-Forwarded-For;\nreal_ip_recursive on;\n'
}

# One address a line, sorted; nothing while the name has none.
replicas() {
  { getent ahosts "$GATEWAY_EVALUATION_HOST" || true; } | awk '{print $1}' | sort -u
}

# Of those, the ones that are known, and new ones once they listen: a container has its address before
# its service does, and would be given whatever comes, having the fewest connections.
listening() {
  local address
  for address in $(replicas); do
    case $'\n'$1$'\n' in
      *$'\n'"$address"$'\n'*) printf '%s\n' "$address" ;;
      *) if is_listening "$address"; then printf '%s\n' "$address"; fi ;;
    esac
  done
}

is_listening() {
  timeout 1 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$GATEWAY_EVALUATION_PORT" 2>/dev/null
}

upstream() {
  local address
  # max_fails=0: a replica that refuses costs a moment and the next one answers; taking it out of turn
  # could leave none in turn.
  printf 'upstream evaluation {\n    zone evaluation 64k;\n    least_conn;\n'
  for address in $1; do
    case $address in *:*) address="[$address]" ;; esac
    printf '    server %s:%s max_fails=0;\n' "$address" "$GATEWAY_EVALUATION_PORT"
  done
  # The pages are served without it, and its routes answer 503.
  if [ -z "$1" ]; then printf '    server 127.0.0.1:9 down;\n'; fi
  # For less than the 75 idle seconds after which the service hangs up, and not for ever, so that new
  # replicas behind one address (a Kubernetes Service) get their share.
  printf '    keepalive 64;\n    keepalive_time 30s;\n}\n'
}

follow_replicas() {
  local known now
  known=$(replicas)
  while sleep "$seconds_between_looks"; do
    now=$(listening "$known")
    # A name without addresses is a service that starts again: what is known is the better guess.
    if [ -n "$now" ] && [ "$now" != "$known" ]; then
      upstream "$now" >"$conf/upstream.conf"
      nginx -c "$conf/nginx.conf" -s reload || continue
      known=$now
    fi
  done
}

main
