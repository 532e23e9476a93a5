#!/usr/bin/env bash
# Packs a release: archive.sh BINARY TARGET FOLDER writes FOLDER/convoke-VERSION-TARGET.tar.gz with the program, its
# manual, completions and licenses. The archive depends only on its content, not on times or owners.
#
# RUNS is a binary of the same program that can run here. It prints the manual and completions if BINARY is for another
# machine.
set -euo pipefail
binary=$1 target=$2 folder=$3
runs=${RUNS:-$binary}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
name=convoke-$version-$target

work=$(mktemp -d)
mkdir -p "$work/$name/completions" "$work/$name/man" "$folder"
case "$binary" in *.exe) program=convoke.exe ;; *) program=convoke ;; esac
install -m 755 "$binary" "$work/$name/$program"
install -m 644 "$root/README.md" "$root/CHANGELOG.md" "$root/LICENSE-MIT" "$root/LICENSE-APACHE" "$work/$name/"

# The names under which the shells load them.
for completion in bash=convoke.bash elvish=convoke.elv fish=convoke.fish powershell=_convoke.ps1 zsh=_convoke; do
  "$runs" completions "${completion%%=*}" > "$work/$name/completions/${completion#*=}"
done
"$runs" man > "$work/$name/man/convoke.1"
# The program lists its own commands, so none is forgotten.
"$runs" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | while read -r command; do
  if [ "$command" != help ]; then "$runs" man "$command" > "$work/$name/man/convoke-$command.1"; fi
done

# Only GNU tar can omit times and owners. With another tar, only the content of the archive is the same.
if tar --version | grep -q GNU; then
  tar --sort=name --mtime="@${SOURCE_DATE_EPOCH:-0}" --owner=0 --group=0 --numeric-owner -C "$work" -cf - "$name"
else
  tar -C "$work" -cf - "$name"
fi | gzip -n -9 > "$folder/$name.tar.gz"
rm -r "$work"
