#!/bin/sh
# Verifies a downloaded release before anything of it is run: its key set by a root
# public key that you give, its manifest by a key that the key set names and does not
# revoke, and the program by size and sha256. Needs a POSIX shell and OpenSSL 3.
#
# Development keys are told of and taken: whose roots you give is whom you trust.
#
# The documents are read in the one form in which they are written, line by line, and
# refused in any other: nothing is skipped that a stricter reader would see.
#
# Everything is in main(), which the last line calls, so a cut-off copy runs nothing.

usage() {
  cat >&2 <<'USAGE'
Usage: verify-release.sh --root KEY [--root KEY]... --platform PLATFORM [--version VERSION]
                         [--artifact FILE] DIR

  DIR holds manifest.json, keys.json, their .minisig files, and PLATFORM/rollcall-agent
  --root KEY          a root public key of the publisher: the text, or a file of them
  --platform PLATFORM such as linux-x64
  --version VERSION   refuse any other
  --artifact FILE     the program, where it is not in DIR
USAGE
  exit 2
}

refuse() {
  printf 'verify-release: %s\n' "$*" >&2
  exit 1
}

# decode TEXT FILE LENGTH: base64, of exactly so many bytes
decode() {
  printf %s "$1" | openssl base64 -d -A >"$2" 2>/dev/null && [ "$(wc -c <"$2")" -eq "$3" ]
}

# bytes FILE SKIP COUNT
bytes() {
  dd if="$1" bs=1 skip="$2" count="$3" 2>/dev/null
}

# is_signed FILE SIGNATURE KEY: a prehashed minisign signature, its trusted comment included
is_signed() {
  decode "$3" "$work/key" 42 || return 1
  decode "$(sed -n 2p "$2" | tr -d '\r\n')" "$work/signature" 74 || return 1
  decode "$(sed -n 4p "$2" | tr -d '\r\n')" "$work/global" 64 || return 1
  [ "$(bytes "$work/key" 0 2)" = Ed ] && [ "$(bytes "$work/signature" 0 2)" = ED ] || return 1
  bytes "$work/key" 2 8 >"$work/key-id"
  bytes "$work/signature" 2 8 | cmp -s - "$work/key-id" || return 1
  sed -n 3p "$2" | grep -q '^trusted comment: ' || return 1
  # What DER puts before the 32 bytes of an Ed25519 public key.
  printf '\060\052\060\005\006\003\053\145\160\003\041\000' >"$work/key.der"
  bytes "$work/key" 10 32 >>"$work/key.der"
  bytes "$work/signature" 10 64 >"$work/raw"
  openssl dgst -blake2b512 -binary "$1" >"$work/digest" || return 1
  verify_ed25519 "$work/digest" "$work/raw" || return 1
  {
    cat "$work/raw"
    sed -n '3s/^trusted comment: //p' "$2" | tr -d '\r\n'
  } >"$work/commented"
  verify_ed25519 "$work/commented" "$work/global"
}

# verify_ed25519 FILE SIGNATURE: by the key in key.der
verify_ed25519() {
  openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key.der" -rawin -in "$1" -sigfile "$2" >/dev/null 2>&1
}

# check_size FILE LIMIT
check_size() {
  [ -f "$1" ] || refuse "$1 is missing"
  [ "$(wc -c <"$1")" -le "$2" ] || refuse "$1 has more than $2 bytes"
}

# Both readers print `NAME VALUE` lines and fail at the first line that has another form.
# A string cannot hold a line break, so whatever a text says, it stays within its line.
readonly COMMON_AWK='
  function fail() { failed = 1; exit 1 }
  function value(line) { sub(/^[^:]*: "?/, "", line); sub(/"?,?$/, "", line); return line }
  function once(name) { if (name in seen) fail(); seen[name] = 1 }
  function name(line) { sub(/^ *"/, "", line); sub(/".*$/, "", line); return line }
  NR == 1 { if ($0 != "{") fail(); next }
  ended { fail() }
  $0 == "}" && section == "" { ended = 1; next }
'

read_keys() {
  awk "$COMMON_AWK"'
    section == "" && /^  "(signingKeys|revokedKeys)": \[$/ { section = name($0); once(section); next }
    section == "" && /^  "revokedKeys": \[\],?$/ { once("revokedKeys"); next }
    section == "" && /^  "[A-Za-z]+": ("[^"\\]*"|[0-9]+|true|false),?$/ {
      once(name($0)); print name($0), value($0); next
    }
    section != "" && /^  \],?$/ { section = ""; next }
    section == "signingKeys" && /^    (\{|\},?)$/ { next }
    section == "signingKeys" && /^      "publicKey": "[A-Za-z0-9+\/=]+",?$/ { print "signing", value($0); next }
    section == "signingKeys" && /^      "label": ".*",?$/ { next }
    section == "revokedKeys" && /^    "[A-Za-z0-9+\/=]+",?$/ { print "revoked", name($0); next }
    { fail() }
    END { if (failed || !ended || !("signingKeys" in seen) || !("revokedKeys" in seen)) exit 1 }
  ' "$1"
}

read_manifest() {
  awk -v platform="$2" "$COMMON_AWK"'
    section == "" && /^  "artifacts": \[$/ { section = "artifacts"; once(section); next }
    section == "" && /^  "[A-Za-z]+": ("[^"\\]*"|[0-9]+|true|false),?$/ {
      once(name($0)); print name($0), value($0); next
    }
    section != "" && /^  \],?$/ { section = ""; next }
    section == "artifacts" && /^    \{$/ { own = 0; next }
    section == "artifacts" && /^    \},?$/ { next }
    section == "artifacts" && /^      "platform": "[^"\\]*",?$/ {
      own = value($0) == platform
      if (own) once("own platform")
      next
    }
    section == "artifacts" && /^      "[A-Za-z0-9]+": ("[^"\\]*"|[0-9]+),?$/ {
      if (own) print "artifact." name($0), value($0)
      next
    }
    { fail() }
    END { if (failed || !ended) exit 1 }
  ' "$1"
}

# field NAME FILE
field() {
  sed -n "s/^$1 //p" "$2"
}

# find_root: whether one of the root keys signed the key set
find_root() {
  while IFS= read -r root; do
    if is_signed "$work/keys.json" "$work/keys.json.minisig" "$root"; then return 0; fi
  done <"$work/roots"
  return 1
}

# find_signer: prints the key that signed the manifest, of those that count
find_signer() {
  field signing "$work/keys" | while IFS= read -r key; do
    if field revoked "$work/keys" | grep -qxF -e "$key"; then continue; fi
    if is_signed "$work/manifest.json" "$work/manifest.json.minisig" "$key"; then
      printf '%s\n' "$key"
      break
    fi
  done
}

# add_root KEY: the text of a key, or a file of keys
add_root() {
  if [ -f "$1" ]; then
    grep -v '^untrusted comment:' "$1" | tr -d '\r' >"$work/given"
  else
    printf '%s\n' "$1" >"$work/given"
  fi
  while IFS= read -r root; do
    decode "$root" "$work/key" 42 || refuse "$1 is no minisign public key"
    printf '%s\n' "$root" >>"$work/roots"
  done <"$work/given"
}

main() {
  set -eu
  umask 077
  LC_ALL=C
  export LC_ALL
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' HUP INT TERM
  case $(openssl version 2>/dev/null) in
    OpenSSL\ [3-9]*) ;;
    *) refuse 'OpenSSL 3 or newer is needed' ;;
  esac
  : >"$work/roots"
  directory='' platform='' version='' artifact=''
  while [ $# -gt 0 ]; do
    case $1 in
      --root | --platform | --version | --artifact) if [ -z "${2-}" ]; then usage; fi ;;
    esac
    case $1 in
      --root) add_root "$2"; shift ;;
      --platform) platform=$2; shift ;;
      --version) version=$2; shift ;;
      --artifact) artifact=$2; shift ;;
      -*) usage ;;
      *) [ -z "$directory" ] || usage; directory=$1 ;;
    esac
    shift
  done
  if [ -z "$directory" ] || [ -z "$platform" ] || [ ! -s "$work/roots" ]; then usage; fi

  # Copies: what was verified is what is read afterwards.
  for name in keys.json.minisig manifest.json.minisig; do check_size "$directory/$name" 4096; done
  check_size "$directory/keys.json" 65536
  check_size "$directory/manifest.json" 262144
  for name in keys.json keys.json.minisig manifest.json manifest.json.minisig; do
    cat "$directory/$name" >"$work/$name"
  done

  find_root || refuse 'keys.json is not signed by a root key that you gave'
  read_keys "$work/keys.json" >"$work/keys" || refuse 'keys.json has a form that is not understood'
  [ "$(field format "$work/keys")" = 1 ] || refuse 'keys.json has a format that is not understood'
  signer=$(find_signer)
  [ -n "$signer" ] || refuse 'manifest.json is not signed by a key that keys.json names and does not revoke'

  read_manifest "$work/manifest.json" "$platform" >"$work/manifest" ||
    refuse 'manifest.json has a form that is not understood'
  [ "$(field format "$work/manifest")" = 1 ] || refuse 'manifest.json has a format that is not understood'
  product=$(field product "$work/manifest")
  [ "$product" = rollcall-agent ] || refuse "it is a release of $product, not of rollcall-agent"
  found=$(field version "$work/manifest")
  [ -z "$version" ] || [ "$found" = "$version" ] || refuse "it is version $found, not $version"
  file_name=$(field artifact.fileName "$work/manifest")
  [ -n "$file_name" ] || refuse "version $found has no program for $platform"
  case $platform/$file_name in
    .* | */.* | */*/*) refuse "the program's name $platform/$file_name is no plain name" ;;
  esac
  [ -n "$artifact" ] || artifact=$directory/$platform/$file_name
  [ -f "$artifact" ] || refuse "$artifact is missing"
  size=$(field artifact.sizeBytes "$work/manifest")
  actual=$(($(wc -c <"$artifact")))
  [ "$actual" = "$size" ] || refuse "$artifact has $actual bytes; its manifest says $size"
  digest=$(openssl dgst -sha256 -r "$artifact" | cut -d ' ' -f 1)
  [ "$digest" = "$(field artifact.sha256 "$work/manifest")" ] ||
    refuse "$artifact has the sha256 $digest; its manifest says another"
  if [ "$(field development "$work/keys")" = true ]; then
    printf 'verify-release: signed with development keys, which anybody may have\n' >&2
  fi
  printf 'verified %s %s for %s, signed by %s\n' "$product" "$found" "$platform" "$signer"
}

main "$@"
