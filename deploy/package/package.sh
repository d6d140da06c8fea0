#!/bin/sh
# Builds what is released: for each architecture a .deb and a .tar.gz that carry their own Node, beside them an SBOM
# (CycloneDX) of each and SHA256SUMS. `npm run package`.
#   package.sh [--arch amd64|arm64]... [--out DIR]     both architectures and dist/package, unless given
# The same commit gives the same bytes: every time stamp is SOURCE_DATE_EPOCH (reproducible-builds.org), by default the
# commit's.
set -eu

cd "$(dirname "$0")/../.."
say() { printf '%s\n' "package: $*" >&2; }
die() { say "$*"; exit 1; }

architectures=
out=dist/package
while [ $# -gt 0 ]; do
  case $1 in
    --arch) architectures="$architectures ${2?--arch needs amd64 or arm64}"; shift 2 ;;
    --out) out=${2?--out needs a directory}; shift 2 ;;
    *) die "unknown argument $1: package.sh [--arch amd64|arm64]... [--out DIR]" ;;
  esac
done
[ -n "$architectures" ] || architectures="amd64 arm64"
for program in dpkg-deb npm xz; do
  command -v "$program" >/dev/null || die "$program is missing"
done
[ -f deploy/systemd/twilld.service ] || die "deploy/systemd/twilld.service is missing"

PATH=$PWD/node_modules/.bin:$PATH
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022
version=$(node -p 'require("./package.json").version')
unit=/usr/lib/systemd/system
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# The parts of twilld have names by their contents: those of an older build lie beside them.
: >"$work/begun"
npm run --silent build

# The programs with what they need: the same tree as in a checkout after `npm ci && npm run build`, so that whatever
# looks beside itself finds the same.
programs() { # ARCH TOP
  case $1 in
    amd64) cpu=x64 ;;
    arm64) cpu=arm64 ;;
    *) die "unknown architecture $1: amd64 or arm64" ;;
  esac
  mkdir -p "$2/bin" "$2/dist/twilld"
  cp package-lock.json "$2/"
  node deploy/package/documents.ts manifest >"$2/package.json"
  quietly npm ci --prefix "$2" --omit=dev --ignore-scripts --no-audit --no-fund --os=linux --cpu=$cpu --libc=glibc
  node deploy/package/documents.ts sbom "$2" "$1" >"$out/twill_${version}_$1.cdx.json"
  # Only what runs: no types, maps, documentation, nor koffi for another libc.
  rm -rf "$2/package-lock.json" "$2/node_modules/.bin" "$2/node_modules/.package-lock.json" \
    "$2"/node_modules/koffi/doc "$2"/node_modules/koffi/vendor "$2"/node_modules/@koromix/*/musl_*
  find "$2/node_modules" -type f \( -name '*.map' -o -name '*.ts' -o -name '*.md' -o -name '*.cc' -o -name '*.hh' \) -delete
  find "$2/node_modules" -depth -type d -empty -delete

  mkdir -p "$work/$1/runtime"
  cp deploy/package/runtime/package.json deploy/package/runtime/package-lock.json "$work/$1/runtime/"
  quietly npm ci --prefix "$work/$1/runtime" --ignore-scripts --no-audit --no-fund --os=linux --cpu=$cpu
  mv "$work/$1/runtime/node_modules/node-linux-$cpu/bin/node" "$2/bin/node"
  mv "$work/$1/runtime/node_modules/node-linux-$cpu/LICENSE" "$2/LICENSE.node"

  find dist/twilld -name '*.js' -newer "$work/begun" -exec cp {} "$2/dist/twilld/" \;
  cp dist/twillctl.cjs dist/twillctl-ui.html dist/twill-cni.cjs "$2/dist/"
  # The launchers of a checkout look for Node there.
  cp bin/twilld bin/twillctl bin/twill-cni "$2/bin/"
  mkdir "$2/node_modules/.bin"
  ln -s ../../bin/node "$2/node_modules/.bin/node"
}

quietly() {
  "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "failed: $*"; }
}

deb() { # ARCH PROGRAMS
  tree=$work/$1/deb
  mkdir -p "$tree/usr/lib" "$tree/usr/bin" "$tree$unit" "$tree/usr/share/twill" "$tree/usr/share/doc/twill" \
    "$tree/usr/share/man/man8" "$tree/usr/share/bash-completion/completions" "$tree/DEBIAN" \
    "$tree/usr/share/fish/vendor_completions.d" "$tree/usr/share/zsh/vendor-completions" "$tree/opt/cni/bin"
  cp -a "$2" "$tree/usr/lib/twill"
  mv "$tree/usr/lib/twill/share/man"/*.8 "$tree/usr/share/man/man8/"
  gzip -9n "$tree/usr/share/man/man8"/*.8
  completion=$tree/usr/lib/twill/share/completion
  mv "$completion/bash" "$tree/usr/share/bash-completion/completions/twillctl"
  mv "$completion/zsh" "$tree/usr/share/zsh/vendor-completions/_twillctl"
  mv "$completion/fish" "$tree/usr/share/fish/vendor_completions.d/twillctl.fish"
  mv "$tree/usr/lib/twill/share/systemd/twilld.service" "$tree$unit/"
  for runtime in docker containerd; do
    mkdir "$tree$unit/$runtime.service.d"
    cp "$tree/usr/lib/twill/share/systemd/container-runtime.conf" "$tree$unit/$runtime.service.d/twill.conf"
  done
  mv "$tree/usr/lib/twill/share/default" "$tree/usr/share/twill/twilld.default"
  mv "$tree/usr/lib/twill/share/cni/10-twill.conflist" "$tree/usr/share/twill/"
  mv "$tree/usr/lib/twill/CHANGELOG.md" "$tree/usr/lib/twill/LICENSE.node" "$tree/usr/share/doc/twill/"
  cp deploy/package/debian/copyright "$tree/usr/share/doc/twill/copyright"
  rm -r "$tree/usr/lib/twill/share"
  for program in twilld twillctl; do ln -s ../lib/twill/bin/$program "$tree/usr/bin/$program"; done
  # A runtime looks for the plugin by the type in its configuration, which is twill.
  for name in twill twill-cni; do ln -s /usr/lib/twill/bin/twill-cni "$tree/opt/cni/bin/$name"; done

  for script in postinst prerm postrm; do
    cp "deploy/package/debian/$script" "$tree/DEBIAN/$script"
    chmod 755 "$tree/DEBIAN/$script"
  done
  size=$(du -sk --apparent-size "$tree" | cut -f1)
  sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$1/" -e "s/@SIZE@/$size/" deploy/package/debian/control >"$tree/DEBIAN/control"
  (cd "$tree" && find usr opt -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
  # Level 2 takes a third of the time of level 6 and 15 % more space.
  quietly dpkg-deb --root-owner-group -Zxz -z2 --build "$tree" "$out/twill_${version}_$1.deb"
}

tarball() { # ARCH PROGRAMS
  name=twill-$version-linux-$1
  tar -C "$work/$1" --transform "s|^programs|$name|S" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 \
    --numeric-owner --format=gnu -cf - programs | gzip -6n >"$out/$name.tar.gz"
}

for arch in $architectures; do
  top=$work/$arch/programs
  programs "$arch" "$top"
  mkdir -p "$top/share/man" "$top/share/completion" "$top/share/cni"
  node deploy/package/documents.ts man twilld >"$top/share/man/twilld.8"
  node deploy/package/documents.ts man twillctl >"$top/share/man/twillctl.8"
  for shell in bash zsh fish; do bin/twillctl completion $shell >"$top/share/completion/$shell"; done
  cp deploy/cni/10-twill.conflist "$top/share/cni/"
  cp deploy/package/twilld.default "$top/share/default"
  mkdir "$top/share/systemd"
  cp deploy/systemd/twilld.service deploy/systemd/container-runtime.conf "$top/share/systemd/"
  cp CHANGELOG.md "$top/"
  chmod -R u=rwX,go=rX "$top"
  deb "$arch" "$top"
  tarball "$arch" "$top"
done

cd "$out"
sha256sum twill*"$version"* >SHA256SUMS
say "written to $out:"
cat SHA256SUMS >&2
