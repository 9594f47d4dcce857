#!/usr/bin/env bash
# Looks at the function's binary itself, since flags that ask for a static one can be ignored in silence.
#   scripts/check-binary.sh target/lambda/optimizer/bootstrap arm64|x86_64
set -euo pipefail
binary=$1 arch=$2

fail() {
  echo "error: $binary: $*" >&2
  exit 1
}

[ -f "$binary" ] || fail "was not built"
case $arch in
  arm64) machine=AArch64 ;;
  x86_64) machine=X86-64 ;;
  *) fail "unknown architecture $arch, want arm64 or x86_64" ;;
esac
file "$binary"
readelf -h "$binary" | grep -q "Machine:.*$machine" || fail "is not for $arch"
# A static position-independent binary has a dynamic section, for its own relocations alone: what counts is that it asks
# for no loader and no library.
if readelf -l "$binary" | grep -q INTERP || readelf -d "$binary" | grep -q NEEDED; then
  fail "is dynamically linked: it would depend on the system it runs on"
fi
python3 - "$binary" <<'PY'
import io, os, sys, zipfile
packed = io.BytesIO()
with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
    z.write(sys.argv[1], "bootstrap")
print(f"{os.path.getsize(sys.argv[1]) / 1e6:.1f} MB, zipped {len(packed.getvalue()) / 1e6:.1f} MB")
PY
