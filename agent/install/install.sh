#!/bin/sh
# Makes this machine a host of the server that this script came from:
#
#   curl … https://SERVER/install/install.sh | ROLLCALL_TOKEN=… sh
#
# On a host it renews agent, guard and units, keeps identity and configuration, and
# needs no token. `… | sh -s -- --uninstall` takes away all that it put there.
#
#   ROLLCALL_TOKEN     the enrolment token; or its line on stdin, with --token-stdin
#   ROLLCALL_LABELS    what a new host says of itself, as in site=lisbon,role=web
#   ROLLCALL_VERSION   the release to install; by default what the fleet should run
#   https_proxy, no_proxy   what curl makes of them holds for the agent of a new host too
#
# In this order: the machine is looked at; everything is fetched and verified aside;
# files are put into place; the host is enrolled; only then do units start. What
# fails before the enrolment is undone. The token crosses no command line.
#
# Folders that the agent's user owns are written to by rename from folders of root's
# alone, and read as that user: it may have left a symbolic link there.
#
# Everything is in main(), which the last line calls, so a cut-off copy runs nothing.
# The server puts its settings in front: server_url, server_pin (empty where the
# system's authorities are to be believed), agent_addresses, root_keys, ca_pem.
#
# shellcheck disable=SC2154 # those settings

# Raised whenever units, guard or folders change in a way that updates rely on.
readonly INSTALL_REVISION=2
readonly HOME_FOLDER=/opt/rollcall
readonly BINARY=/opt/rollcall/bin/rollcall-agent
readonly GUARD=/opt/rollcall/libexec/rollcall-agent-guard
readonly CONFIG_FOLDER=/etc/rollcall
readonly CONFIG=/etc/rollcall/agent.json
readonly STATE=/var/lib/rollcall-agent
readonly IDENTITY=/var/lib/rollcall-agent/credential.json
readonly UNIT_FOLDER=/etc/systemd/system
readonly AGENT_UNIT=rollcall-agent.service
readonly GUARD_UNIT=rollcall-agent-guard.service
readonly HELLO_LIMIT_S=60

say() { printf 'rollcall: %s\n' "$*"; }

refuse() {
  printf 'rollcall: %s\n' "$*" >&2
  exit 1
}

usage() {
  printf 'usage: install.sh [--token-stdin | --uninstall]\n' >&2
  exit 2
}

as_agent() { setpriv --reuid=rollcall --regid=rollcall --clear-groups -- "$@"; }

# check_machine: refuses what the agent cannot run on. Sets platform.
check_machine() {
  [ "$(id -u)" = 0 ] || refuse 'this has to run as root'
  [ "$(uname -s)" = Linux ] || refuse "the agent runs on Linux, not on $(uname -s)"
  case $(uname -m) in
    x86_64) platform=linux-x64 ;;
    aarch64) platform=linux-arm64 ;;
    *) refuse "there is an agent for x86_64 and aarch64, not for $(uname -m)" ;;
  esac
  case $(getconf GNU_LIBC_VERSION 2>/dev/null) in
    glibc*) ;;
    *) refuse 'the agent needs glibc, which this system does not have' ;;
  esac
  systemctl show --property=Version >/dev/null 2>&1 || refuse 'the agent needs systemd, which does not run here'
}

check_programs() {
  for program in curl openssl setpriv useradd sha256sum awk cmp; do
    command -v "$program" >/dev/null || refuse "$program is missing; install it first"
  done
  case $(openssl version) in
    OpenSSL\ [3-9]*) ;;
    *) refuse 'OpenSSL 3 or newer is needed to verify what is downloaded' ;;
  esac
}

# authorize BEARER: for all requests that follow
authorize() { printf 'authorization: Bearer %s\n' "$1" >"$work/authorization"; }

# request PATH FILE: sets status
request() {
  path=$1 file=$2
  set -- -q -sS --connect-timeout 15 --speed-limit 1 --speed-time 60
  # The pin is what says that it is this server: no authority is asked then.
  if [ -n "$server_pin" ]; then set -- "$@" --insecure --pinnedpubkey "$server_pin"; fi
  ended=0
  status=$(curl "$@" -H "@$work/authorization" -o "$file" -w '%{http_code}' "$server_url$path" \
    </dev/null 2>"$work/said") || ended=$?
  case $ended in
    0) ;;
    90) refuse "$server_url shows another key than the server that this script came from" ;;
    *) refuse "$server_url could not be asked: $(head -n 1 "$work/said")" ;;
  esac
}

# fetch PATH FILE
fetch() {
  request "$1" "$2"
  [ "$status" = 200 ] || refuse "$server_url$1 answers with status $status: $(head -c 200 "$2")"
}

# choose_identity: sets identity to kept or new, and what requests are authorized by
choose_identity() {
  identity=new
  if [ -e "$IDENTITY" ]; then
    credential=$(as_agent cat "$IDENTITY" 2>/dev/null | sed -n 's/^ *"credential": "\([^"\\]*\)".*/\1/p')
    [ -n "$credential$token" ] || refuse "the user rollcall cannot read $IDENTITY"
    authorize "$credential"
    request /install/verify-release.sh "$work/verify-release.sh"
    case $status in
      200) identity=kept; return ;;
      401) [ -n "$token" ] || refuse 'the server does not know this host any more; ask it for a token' ;;
      *) refuse "$server_url answers with status $status: $(head -c 200 "$work/verify-release.sh")" ;;
    esac
  fi
  [ -n "$token" ] || refuse 'there is no token: set ROLLCALL_TOKEN to one that the server made'
  case $token in *[!0-9A-Za-z_-]*) refuse 'ROLLCALL_TOKEN holds no enrolment token' ;; esac
  authorize "$token"
  request /install/verify-release.sh "$work/verify-release.sh"
  [ "$status" != 401 ] || refuse 'the token is unknown, used up or expired; make a new one'
  [ "$status" = 200 ] || refuse "$server_url answers with status $status: $(head -c 200 "$work/verify-release.sh")"
}

# fetch_files: into $work. Nothing of the release is run before it was verified.
fetch_files() {
  mkdir "$work/$platform"
  for name in "$AGENT_UNIT" "$GUARD_UNIT" rollcall-agent-guard; do fetch "/install/$name" "$work/$name"; done
  for name in keys.json keys.json.minisig manifest.json manifest.json.minisig "$platform/rollcall-agent"; do
    fetch "/releases/$version/$name" "$work/$name"
  done
  set --
  for key in $root_keys; do set -- "$@" --root "$key"; done
  if [ "$version" != target ]; then set -- "$@" --version "$version"; fi
  sh "$work/verify-release.sh" "$@" --platform "$platform" "$work" </dev/null ||
    refuse 'the release that the server sent is not to be trusted'
}

# make_folder PATH MODE OWNER
make_folder() {
  if [ ! -d "$1" ]; then
    mkdir "$1"
    made="$1 $made"
  fi
  chown "$3:$3" "$1"
  chmod "$2" "$1"
}

# place FILE PATH MODE [GROUP]: into a folder of root's
place() {
  [ -e "$2" ] || made="$2 $made"
  unplaced=$2.new
  cp "$1" "$unplaced"
  chgrp "${4:-root}" "$unplaced"
  chmod "$3" "$unplaced"
  mv -fT "$unplaced" "$2"
}

make_places() {
  if ! id -u rollcall >/dev/null 2>&1; then
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin rollcall
    made_user=yes
  fi
  if [ ! -d "${HOME_FOLDER%/*}" ]; then make_folder "${HOME_FOLDER%/*}" 755 root; fi
  for folder in "$HOME_FOLDER" "${GUARD%/*}" "$CONFIG_FOLDER"; do make_folder "$folder" 755 root; done
  make_folder "${BINARY%/*}" 755 rollcall
  make_folder "$STATE" 700 rollcall
  staged=$HOME_FOLDER/.rollcall-agent.new
  cp "$work/$platform/rollcall-agent" "$staged"
  rm "$work/$platform/rollcall-agent"
  chown rollcall:rollcall "$staged"
  chmod 755 "$staged"
  sync "$staged"
}

# write_config: the agent never looks into its environment, so what is to hold for it stands there
write_config() {
  proxy=${https_proxy:-${HTTPS_PROXY-}} direct=${no_proxy:-${NO_PROXY-}}
  case $proxy$direct in *[\"\\]*) refuse 'https_proxy or no_proxy holds a character that has no place there' ;; esac
  case $proxy in '' | *://*) ;; *) proxy=http://$proxy ;; esac
  addresses=''
  for address in $agent_addresses; do addresses="$addresses${addresses:+, }\"$address\""; done
  {
    printf '{\n  "servers": [%s],\n' "$addresses"
    if [ -n "$ca_pem" ]; then
      printf '  "ca_pem": "%s",\n' "$(printf '%s\n' "$ca_pem" | awk '{ printf "%s\\n", $0 }')"
    else
      printf '  "ca": "system",\n'
    fi
    if [ -n "$proxy" ]; then printf '  "https_proxy": "%s",\n  "no_proxy": "%s",\n' "${proxy%/}" "$direct"; fi
    printf '  "install_revision": %s\n}\n' "$INSTALL_REVISION"
  } >"$work/agent.json"
}

# revise_config: what somebody wrote there stays
revise_config() {
  if grep -q '"install_revision"' "$CONFIG"; then
    sed "s/\"install_revision\": *[0-9]*/\"install_revision\": $INSTALL_REVISION/" "$CONFIG" >"$work/agent.json"
  else
    sed "1s/{/{ \"install_revision\": $INSTALL_REVISION,/" "$CONFIG" >"$work/agent.json"
  fi
}

put_into_place() {
  # An agent in the middle of an update finds out at its next start that this came in between.
  if [ -e "$UNIT_FOLDER/$AGENT_UNIT" ]; then
    stopped=yes
    systemctl stop "$GUARD_UNIT" "$AGENT_UNIT" 2>/dev/null || true
  fi
  [ -e "$BINARY" ] || made="$BINARY $made"
  mv -fT "$staged" "$BINARY"
  sync "${BINARY%/*}"
  place "$work/rollcall-agent-guard" "$GUARD" 755
  if [ -e "$CONFIG" ]; then revise_config; else write_config; fi
  # A proxy's password may stand in it.
  place "$work/agent.json" "$CONFIG" 640 rollcall
  for unit in "$AGENT_UNIT" "$GUARD_UNIT"; do place "$work/$unit" "$UNIT_FOLDER/$unit" 644; done
  if command -v restorecon >/dev/null && selinuxenabled 2>/dev/null; then
    restorecon -RF "$HOME_FOLDER" "$CONFIG_FOLDER" "$STATE" "$UNIT_FOLDER/$AGENT_UNIT" "$UNIT_FOLDER/$GUARD_UNIT"
  fi
  as_agent "$BINARY" --probe --config "$CONFIG" --state-dir "$STATE" >/dev/null </dev/null ||
    refuse 'the agent does not run here'
}

enrol() {
  set -- --token-stdin --config "$CONFIG" --state-dir "$STATE"
  # An identity that the server does not know any more.
  if [ -e "$IDENTITY" ]; then set -- "$@" --force; fi
  rest=$labels,
  while [ -n "$rest" ]; do
    label=${rest%%,*} rest=${rest#*,}
    if [ -n "$label" ]; then set -- "$@" --label "$label"; fi
  done
  printf '%s\n' "$token" | as_agent "$BINARY" enroll "$@" || refuse 'the host was not enrolled'
}

start() {
  systemctl daemon-reload
  systemctl enable --quiet "$AGENT_UNIT" "$GUARD_UNIT"
  systemctl restart "$AGENT_UNIT" "$GUARD_UNIT"
}

# wait_for_hello: until the agent, as it was started now, tells that the server took it in
wait_for_hello() {
  waited=0
  while [ "$waited" -lt "$HELLO_LIMIT_S" ]; do
    invocation=$(systemctl show --property=InvocationID --value "$AGENT_UNIT")
    if journalctl --quiet --no-pager --output=cat "_SYSTEMD_INVOCATION_ID=$invocation" 2>/dev/null |
      grep -q '"event":"connected"'; then return 0; fi
    sleep 1
    waited=$((waited + 1))
  done
  journalctl --quiet --no-pager --output=cat --lines=5 --unit="$AGENT_UNIT" >&2 || true
  refuse "installed and started, but not connected within $HELLO_LIMIT_S s; it goes on trying: journalctl -u $AGENT_UNIT"
}

uninstall() {
  [ "$(id -u)" = 0 ] || refuse 'this has to run as root'
  systemctl disable --now --quiet "$AGENT_UNIT" "$GUARD_UNIT" 2>/dev/null || true
  rm -f "$UNIT_FOLDER/$AGENT_UNIT" "$UNIT_FOLDER/$GUARD_UNIT"
  systemctl daemon-reload 2>/dev/null || true
  rm -rf "$HOME_FOLDER" "$CONFIG_FOLDER" "$STATE"
  if id -u rollcall >/dev/null 2>&1; then userdel rollcall; fi
  say 'the agent is uninstalled; remove the host at the server too'
}

# leave: whatever ends this script
leave() {
  ended=$?
  rm -rf "$work" "$staged" "$unplaced"
  if [ "$phase" = placing ]; then
    # Names that this script chose, without spaces; each folder after what is in it.
    for path in $made; do rm -rf "$path"; done
    if [ "$made_user" = yes ]; then userdel rollcall || true; fi
    systemctl daemon-reload || true
    printf 'rollcall: what was put here was taken away again\n' >&2
  fi
  if [ "$stopped" = yes ] && [ "$phase" != started ]; then systemctl start "$AGENT_UNIT" "$GUARD_UNIT" || true; fi
  exit "$ended"
}

main() {
  set -eu
  umask 077
  LC_ALL=C
  export LC_ALL
  # A variable of that name that came from outside would go on to every program.
  unset token
  token=${ROLLCALL_TOKEN-} version=${ROLLCALL_VERSION:-target} labels=${ROLLCALL_LABELS-}
  unset ROLLCALL_TOKEN
  case ${1-} in
    '') ;;
    --uninstall) uninstall; return ;;
    --token-stdin) IFS= read -r token || true ;;
    *) usage ;;
  esac
  [ $# -le 1 ] || usage
  case $labels in *[!0-9A-Za-z._=,-]*) refuse 'ROLLCALL_LABELS must be KEY=VALUE, separated by commas' ;; esac
  case $version in *[!0-9A-Za-z.+_-]*) refuse 'ROLLCALL_VERSION holds no version' ;; esac
  [ -n "${server_url-}" ] || refuse 'fetch this script from the server that this machine is to be a host of'
  check_machine
  check_programs
  phase=fetching made='' made_user=no stopped=no staged='' unplaced=''
  work=$(mktemp -d "${TMPDIR:-/var/tmp}/rollcall-install.XXXXXX")
  trap leave EXIT
  trap 'exit 1' HUP INT TERM
  choose_identity
  fetch_files
  # On a host there is something to keep: nothing is taken away.
  if [ ! -e "$IDENTITY" ]; then phase=placing; fi
  make_places
  put_into_place
  if [ "$identity" = new ]; then enrol; fi
  phase=enrolled
  start
  phase=started
  wait_for_hello
  say "this host runs $(as_agent "$BINARY" version </dev/null) and is connected"
}

main "$@"
