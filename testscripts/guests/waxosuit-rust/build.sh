#!/bin/sh
# Builds the guest: sh build.sh OUT.wasm
#
# The crates of Cargo.lock come from the registry, or from cargo's own cache
# when it holds them. Nothing is left behind but OUT.wasm.
#
# Exit status: 0 built, 1 failed, 2 usage, 3 no Rust that compiles to
# WebAssembly, 4 the crates cannot be had.
set -eu

if [ $# -ne 1 ]; then
	echo "usage: sh build.sh OUT.wasm" >&2
	exit 2
fi
out=$1
here=$(cd "$(dirname "$0")" && pwd)
target=wasm32-unknown-unknown

# The first folder of PATH whose Rust has the target's standard library. The
# first Rust of all will not do: rustup's often stands before Debian's, and
# only one of them may have the target.
bin=
IFS=:
for dir in $PATH; do
	[ -x "$dir/cargo" ] && [ -x "$dir/rustc" ] || continue
	lib=$("$dir/rustc" --print target-libdir --target "$target" 2>/dev/null) || continue
	[ -d "$lib" ] || continue
	bin=$dir
	break
done
unset IFS
if [ -z "$bin" ]; then
	echo "no Rust with the target $target: rustup target add $target, or on Debian apt-get install cargo libstd-rust-dev-wasm32" >&2
	exit 3
fi

mkdir -p "$(dirname "$out")"
out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
work=$(mktemp -d "$out.XXXXXX")

trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# cargo before 1.68 knows the registry's sparse index, but not as stable, and
# would clone the whole history of the other one. The switch is for this step
# alone: build scripts must not take the compiler for a nightly one.
cd "$here"
minor=$("$bin/cargo" --version | sed 's/^cargo 1\.\([0-9]*\).*/\1/')
if [ "$minor" -lt 68 ] 2>/dev/null; then
	RUSTC_BOOTSTRAP=1 "$bin/cargo" -Z sparse-registry vendor --quiet --locked "$work/vendor" >/dev/null || exit 4
else
	"$bin/cargo" vendor --quiet --locked "$work/vendor" >/dev/null || exit 4
fi

# The prefixes go from the module: the same compiler gives the same bytes,
# wherever it runs.
RUSTC=$bin/rustc RUSTFLAGS="--remap-path-prefix=$work=. --remap-path-prefix=$here=." \
	"$bin/cargo" build --quiet --frozen --release --lib --target "$target" \
	--target-dir "$work/target" \
	--config 'source.crates-io.replace-with="vendor"' \
	--config "source.vendor.directory=\"$work/vendor\""

mv "$work/target/$target/release/waxosuit_rust.wasm" "$out"
