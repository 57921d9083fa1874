#!/bin/sh
# The guard: puts the version before an update back when the new one does not
# come to life. It needs nothing of the new version: a shell and coreutils, and
# util-linux for the lock.
#
#   guard.sh watch   BINARY STATE_DIR CONFIG    looks every 5 s, as a service of its own
#   guard.sh look    BINARY STATE_DIR CONFIG    looks once
#   guard.sh stopped BINARY STATE_DIR CONFIG    after the agent ended (ExecStopPost)
#
# It acts only while the agent's journal says `unconfirmed`:
#
#   the new version ended three times, with any
#   exit status or signal but SIGTERM               -> restore: crashed
#   no confirmation for 45 s since the swap, or
#   since it was first seen in a later boot         -> ask .old whether it reaches the server
#     it does not                                   -> the new version stays; ask again in 30 s
#     it does, for the first time since it did not  -> the new version gets another 45 s
#     it does                                       -> look again after 10 s, then
#                                                      restore: not_confirmed, server_unreachable
#
# To restore: the binary must be the journal's `to` and .old its `from`, by
# sha256; then the file `verdict-JOB` is linked, which fails once the agent has
# confirmed; then .old gets a second name, which takes the binary's place by
# rename, so that a whole binary stands there throughout and .old stays. The
# journal is the agent's: at its next start it finds the verdict and tells it.
# Killed anywhere in between, the next look goes on from the verdict.
#
# A journal that is torn, foreign or a symbolic link means: do nothing. Nothing
# is ever sourced. Times are those of /proc/uptime within one boot: the wall
# clock may jump. It runs as the agent's own user: what that user may not touch,
# it cannot either.
#
# shellcheck disable=SC2154 # read_lines sets v_KEY
set -u
umask 077
LC_ALL=C
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

LOOK_EVERY_S=5
PATIENCE_MS=45000
NEXT_QUESTION_MS=30000
SECOND_LOOK_S=10
REACH_LIMIT_S=8
STOP_LIMIT_S=5
CRASHES=3
# Between a crash and the next start: a crash loop may not eat the machine.
PAUSE_UNCONFIRMED_S=1
PAUSE_S=5

say() { # PRIORITY SENTENCE: as the journal of systemd reads it
  printf '<%s>rollcall-agent-guard: %s\n' "$1" "$2" >&2
}

is_file() { [ -f "$1" ] && [ ! -L "$1" ]; }

is_word() {
  case $1 in '' | *[!0-9A-Za-z.+_-]*) return 1 ;; esac
  [ "${#1}" -le 128 ]
}

is_count() {
  case $1 in '' | *[!0-9]* | 0?*) return 1 ;; esac
  [ "${#1}" -le 16 ]
}

is_digest() {
  case $1 in *[!0-9a-f]*) return 1 ;; esac
  [ "${#1}" -eq 64 ]
}

digest() { # FILE: nothing for what is no regular file
  is_file "$1" && sha256sum <"$1" | cut -c 1-64
}

# Reads a file that holds exactly the lines "KEY value", in this order, and "end".
# Sets v_KEY. Bytes that `read` would swallow show when the text is written again.
read_lines() { # FILE KEY...
  is_file "$1" || return 1
  lines_file=$1
  shift
  lines_text=
  {
    for key in "$@"; do
      IFS=' ' read -r found value || return 1
      [ "$found" = "$key" ] && is_word "$value" || return 1
      eval "v_$key=\$value"
      lines_text="$lines_text$key $value
"
    done
    IFS= read -r found && [ "$found" = end ] || return 1
  } <"$lines_file" || return 1
  [ "$(printf '%send\n' "$lines_text" | sha256sum)" = "$(sha256sum <"$lines_file")" ]
}

# What the agent is in the middle of. Sets job, verdict, from, to, swapped_boot, swapped_ms, change.
is_unconfirmed() {
  is_file "$journal" || return 1
  # Nearly every look ends here, before any other program is started.
  { read -r _ && read -r _ v_state; } <"$journal" && [ "$v_state" = unconfirmed ] || return 1
  read_lines "$journal" format state job from to from_version to_version sequence boot_id uptime_ms reason || return 1
  [ "$v_format" = 1 ] && [ "$v_state" = unconfirmed ] && is_digest "$v_from" && is_digest "$v_to" || return 1
  [ "$v_from" != "$v_to" ] && is_count "$v_uptime_ms" && is_count "$v_sequence" || return 1
  job=$v_job verdict=$state_dir/verdict-$v_job
  from=$v_from to=$v_to swapped_boot=$v_boot_id swapped_ms=$v_uptime_ms
  change="$v_to_version was rolled back to $v_from_version"
}

# What was decided about this job. Sets decision: confirmed, restored, or none, also for what nobody can have linked.
read_verdict() {
  decision=none
  read_lines "$verdict" decision job reason || return 0
  [ "$v_job" = "$job" ] || return 0
  case $v_decision in confirmed | restored) decision=$v_decision ;; esac
}

# This boot, and the time since it began. Sets boot, now_ms.
read_moment() {
  read -r boot </proc/sys/kernel/random/boot_id
  read -r uptime _ </proc/uptime
  hundredths=${uptime#*.}
  # Not read as octal.
  now_ms=$((${uptime%.*} * 1000 + 1$hundredths * 10 - 1000))
}

# What earlier looks at this job found: the time from which it waits in this boot, crashes in any. Not durable: at
# worst it is found again. Sets since_ms, crashes, finding, and is_seen once it knows since when to wait.
read_record() {
  crashes=0 finding=none since_ms=$now_ms is_seen=no
  if [ "$boot" = "$swapped_boot" ]; then since_ms=$swapped_ms is_seen=yes; fi
  read_lines "$record" job boot_id since_ms crashes finding || return 0
  [ "$v_job" = "$job" ] && is_count "$v_crashes" && is_count "$v_since_ms" || return 0
  crashes=$v_crashes
  [ "$v_boot_id" = "$boot" ] || return 0
  since_ms=$v_since_ms finding=$v_finding is_seen=yes
}

write_record() {
  write_new "$record.tmp" \
    "job $job" "boot_id $boot" "since_ms $since_ms" "crashes $crashes" "finding $finding" end &&
    mv -fT "$record.tmp" "$record"
}

write_new() { # FILE LINE...: never through a symbolic link
  rm -f "$1" || return 1
  new_file=$1
  shift
  (set -C && printf '%s\n' "$@" >"$new_file")
}

# One guard at a time decides and restores: the one that watches and the one after a crash may meet.
lock() { exec 9<"$state_dir" && flock -w 30 9; }

# Links the verdict. Fails when the agent's confirmation stands.
decide() { # REASON
  write_new "$own_verdict" 'decision restored' "job $job" "reason $1" end && sync "$own_verdict" || return 1
  link_verdict
  decided=$?
  rm -f "$own_verdict"
  sync "$state_dir" && return "$decided"
}

link_verdict() {
  ln -T "$own_verdict" "$verdict" 2>/dev/null && return 0
  read_verdict
  case $decision in
  restored) return 0 ;;
  confirmed) return 1 ;;
  # Neither's: a verdict is whole before it gets its name.
  none) mv -fT "$own_verdict" "$verdict" ;;
  esac
}

# Whether the files are those of the journal. Sets standing: to, from, other.
read_standing() {
  case $(digest "$binary") in
  "$to") standing=to ;;
  "$from") standing=from ;;
  *) standing=other ;;
  esac
}

is_predecessor_kept() { [ "$(digest "$binary.old")" = "$from" ]; }

restore() { # REASON
  lock && is_unconfirmed && read_standing && [ "$standing" = to ] && is_predecessor_kept && decide "$1" || return 1
  put_back
}

# A guard that stood still for long may wake up in another update: all is asked again.
put_back() {
  wanted=$job
  is_unconfirmed && [ "$job" = "$wanted" ] && read_verdict && [ "$decision" = restored ] || return 1
  rm -f "$binary.restore" || return 1
  ln -T "$binary.old" "$binary.restore" 2>/dev/null ||
    cp --preserve=mode -T "$binary.old" "$binary.restore" || return 1
  [ "$(digest "$binary.restore")" = "$from" ] && sync "$binary.restore" &&
    mv -fT "$binary.restore" "$binary" && sync "${binary%/*}" || return 1
  say 4 "$change ($v_reason)"
}

# Processes of the version that was replaced: the system calls their file deleted.
list_replaced() {
  # shellcheck disable=SC2012 # the names are numbers, and find would take a pattern
  ls -l /proc/[0-9]*/exe 2>/dev/null | while IFS= read -r line; do
    case $line in *" -> $binary (deleted)") ;; *) continue ;; esac
    line=${line##* /proc/}
    printf '%s ' "${line%%/*}"
  done
}

# The service manager starts the restored version once this one is gone.
stop_replaced() {
  processes=$(list_replaced)
  [ -n "$processes" ] || return 0
  # shellcheck disable=SC2086 # a list of numbers
  kill -TERM $processes 2>/dev/null
  tenths=0
  while [ -n "$(list_replaced)" ] && [ "$tenths" -lt $((STOP_LIMIT_S * 10)) ]; do
    sleep 0.1
    tenths=$((tenths + 1))
  done
  # shellcheck disable=SC2046
  kill -KILL $(list_replaced) 2>/dev/null
  return 0
}

reaches_server() { # PROGRAM
  env -i timeout -k 1 "$REACH_LIMIT_S" "$1" --reach --config "$config" --state-dir "$state_dir" </dev/null >/dev/null 2>&1
}

# It was decided before, and not carried out to the end.
finish() {
  lock && read_standing || return 1
  if [ "$standing" = to ]; then
    is_predecessor_kept && put_back || return 1
  fi
  [ "$standing" != other ] && sync "${binary%/*}" && stop_replaced
}

# Nothing of this update can be put back.
give_up() { # SENTENCE
  say 3 "$1; nothing was changed"
  finding=given_up
  write_record
  return 1
}

question() {
  if ! reaches_server "$binary.old"; then
    [ "$finding" = server_unreachable ] ||
      say 5 'the version before does not reach the server either: the new version stays'
    finding=server_unreachable since_ms=$((now_ms - PATIENCE_MS + NEXT_QUESTION_MS))
    write_record
    return
  fi
  if [ "$finding" = server_unreachable ]; then
    finding=none since_ms=$now_ms
    write_record
    return
  fi
  reaches_server "$binary" &
  sleep "$SECOND_LOOK_S"
  reason=server_unreachable
  if wait "$!"; then reason=not_confirmed; fi
  asked=$job
  is_unconfirmed && [ "$job" = "$asked" ] || return 0
  note "$v_to_version is not confirmed after $((PATIENCE_MS / 1000)) s ($reason)"
  # The verdict decides, should the agent have confirmed by now.
  restore "$reason" && stop_replaced
}

look() {
  if ! is_unconfirmed; then
    for leftover in "$record" "$record.tmp" "$own_verdict" "$binary.restore"; do
      if [ -e "$leftover" ] || [ -L "$leftover" ]; then rm -f "$leftover"; fi
    done
    return 0
  fi
  read_verdict
  # What is confirmed the agent writes into its journal itself.
  [ "$decision" != confirmed ] || return 0
  if [ "$decision" = restored ]; then
    finish
    return
  fi
  read_moment
  read_record
  [ "$finding" != given_up ] || return 0
  if [ "$is_seen" = no ]; then write_record; fi
  [ $((now_ms - since_ms)) -ge "$PATIENCE_MS" ] || return 0
  read_standing
  case $standing in
  from) return 0 ;; # the swap never took place: the agent finds out at its next start
  other) give_up 'neither the old nor the new version stands at the path' || return ;;
  esac
  is_predecessor_kept || give_up 'the file that was kept is not the version before' || return
  question
}

watch() {
  while :; do
    # In a process of its own, with which its lock ends.
    (look)
    sleep "$LOOK_EVERY_S"
  done
}

# An agent ends in order by SIGTERM alone, also by its own when it was replaced. Exit status 0 is none: nobody asked.
stopped() {
  [ "${EXIT_STATUS:-}" != TERM ] || return 0
  if ! is_unconfirmed; then sleep "$PAUSE_S" && return; fi
  read_verdict
  # Restored: the version before is about to stand there again.
  [ "$decision" != restored ] || return 0
  if [ "$decision" != confirmed ] && count_crash; then return 0; fi
  sleep "$PAUSE_UNCONFIRMED_S"
}

# Into the log that the version before tells with the outcome: of a version that cannot be started this is all there is.
note() { # SENTENCE
  if [ -L "$job_log" ]; then return; fi
  printf '%s: %s\n' rollcall-agent-guard "$1" >>"$job_log"
} 2>/dev/null

# How the agent ended, as the service manager says. Nothing else is repeated.
describe_end() {
  end=ended:
  for word in "${EXIT_CODE:-}" "${EXIT_STATUS:-}" "${SERVICE_RESULT:-}"; do
    if is_word "$word"; then end="$end $word"; fi
  done
}

# True once the next start is that of the version before.
count_crash() {
  read_moment
  read_record
  crashes=$((crashes + 1))
  write_record
  if [ "$crashes" -le "$CRASHES" ]; then describe_end && note "$v_to_version $end ($crashes of $CRASHES)"; fi
  [ "$crashes" -ge "$CRASHES" ] && [ "$finding" != given_up ] && restore crashed
}

main() {
  if [ "$#" -ne 4 ]; then
    say 3 'needs four arguments: watch, look or stopped, the binary, the state directory, the configuration'
    return 2
  fi
  mode=$1 binary=$2 state_dir=$3 config=$4
  journal=$state_dir/journal own_verdict=$state_dir/verdict.guard job_log=$state_dir/job-log record=$state_dir/guard
  case $mode in
  watch | look | stopped) "$mode" ;;
  *)
    say 3 "the first argument must be watch, look or stopped, not $mode"
    return 2
    ;;
  esac
}

main "$@"
