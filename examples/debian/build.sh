#!/bin/sh
# Make a Debian package of an interpreter: build.sh PYTHON REVISION OUTPUT-FOLDER [OPTIONS OF zipstrap stage]
#
#   /usr/lib/zipstrap-pythonX.Y/package    the tree as dpkg unpacks it; nothing runs from there
#   /usr/lib/zipstrap-pythonX.Y/VERSION    links to its files, made when the package is configured: the tree of
#                                          one version, in which nothing ever changes
#   /usr/lib/zipstrap-pythonX.Y/current    a link to the tree in use, for virtual environments
#   /usr/bin/pythonX.Y                     a link to the executable of the tree in use
#
# At an upgrade dpkg replaces file after file. Who ran from there would find one version's archive with
# another's extension modules, or nothing. So starts go to a tree of their own, and from one to the next by the
# change of one link.
set -eu

python=$1 revision=$2 output=$3
shift 3
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

release=$("$python" -I -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
feature=${release%.*}
version=$release-$revision
name=zipstrap-python$feature
base=/usr/lib/$name
root=$work/root

zipstrap stage "$python" --destdir "$root" --prefix "$base/package" -q "$@"

# pip is to leave this tree to dpkg (PEP 668); in virtual environments it works as ever
cat >"$root$base/package/lib/python$feature/EXTERNALLY-MANAGED" <<END
[externally-managed]
Error=This Python is managed by dpkg: make a virtual environment with python$feature -m venv PATH.
END

# A virtual environment notes the folder of the executable, and up to 3.13 looks for the library from there:
# beside /usr/bin it would find none, and the tree of this version will be gone one day.
cat >"$root$base/package/lib/python$feature/site-packages/sitecustomize.py" <<END
import sys

if sys.prefix == sys.base_prefix:
    sys._base_executable = "$base/current/bin/python$feature"
END

mkdir -p "$root/DEBIAN"
for script in postinst postrm; do
    sed -e "s|@BASE@|$base|" -e "s|@VERSION@|$version|" -e "s|@COMMAND@|python$feature|" "$here/$script" >"$root/DEBIAN/$script"
    chmod 755 "$root/DEBIAN/$script"
done

# which packages have the shared libraries that it needs; it has a few itself
mkdir "$work/debian"
printf 'Source: %s\nPackage: %s\n' "$name" "$name" >"$work/debian/control"
depends=$(cd "$work" && find root -type f \( -name '*.so*' -o -path '*/bin/*' \) -exec dpkg-shlibdeps \
    --ignore-missing-info -lroot"$base/package/lib" -O {} + 2>"$work/warnings" |
    sed -n 's/^shlibs:Depends=//p') || { cat "$work/warnings" >&2; exit 1; }
cat >"$root/DEBIAN/control" <<END
Package: $name
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: you <you@example.org>
Section: python
Priority: optional
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: $depends
Conflicts: python$feature-minimal
Description: Python $feature with its library in an archive
 The standard library is imported from one archive; several versions of this
 package never mix.
END
(cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) \
    >"$root/DEBIAN/md5sums"

mkdir -p "$output"
dpkg-deb --root-owner-group -Zxz -z1 --build "$root" "$output" >&2
echo "$output/${name}_${version}_$(dpkg --print-architecture).deb"
